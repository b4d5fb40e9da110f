//! The chain as it is, to be verified with other tools.

use std::path::Path;

use rusqlite::OptionalExtension as _;

use super::AuditHead;
use super::chain::read_head;
use crate::error::JournalError;
use crate::schema::open_read_only;

/// One record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The hash of the record before; of zero bytes for the first.
    pub previous: blake3::Hash,
    /// BLAKE3 of `previous` and `record`, if nobody has touched them.
    pub hash: blake3::Hash,
    /// The text that was hashed.
    pub record: String,
}

/// The chain of one journal file, as it was at one moment. A daemon may go on writing.
#[derive(Debug)]
pub struct Chain {
    file: std::path::PathBuf,
    connection: rusqlite::Connection,
}

impl Chain {
    /// Opens the journal in `file`, only to read it.
    ///
    /// # Errors
    /// [`JournalError`] when it cannot be read, or holds no chain yet.
    pub fn open(file: &Path) -> Result<Self, JournalError> {
        let connection = open_read_only(file)?;
        connection.execute_batch("BEGIN").map_err(|error| JournalError::sqlite(file, &error))?;
        Ok(Self { file: file.to_owned(), connection })
    }

    /// The journal's epoch and the newest record.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn head(&self) -> Result<(String, AuditHead), JournalError> {
        let read = || {
            let epoch =
                self.connection.query_row("SELECT epoch FROM meta", [], |row| row.get(0))?;
            let sql = "SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1";
            let head =
                self.connection.query_row(sql, [], |found| read_head(found, 0)).optional()?;
            Ok((epoch, head.unwrap_or(AuditHead::NONE)))
        };
        read().map_err(|error| JournalError::sqlite(&self.file, &error))
    }

    /// Gives the records from number `from` up to and with `to` to `each`, until it fails. Holds
    /// one at a time.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read; what `each` gives.
    pub fn read<E: From<JournalError>>(
        &self,
        from: u64,
        to: u64,
        mut each: impl FnMut(Sealed) -> Result<(), E>,
    ) -> Result<(), E> {
        let trouble = |error: rusqlite::Error| JournalError::sqlite(&self.file, &error);
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let mut previous = self
            .connection
            .query_row(
                "SELECT number, hash FROM audit WHERE number = ?1",
                [number(from) - 1],
                |found| read_head(found, 0),
            )
            .optional()
            .map_err(trouble)?
            .unwrap_or(AuditHead::NONE)
            .hash;
        let mut statement = self
            .connection
            .prepare("SELECT number, hash, record FROM audit WHERE number BETWEEN ?1 AND ?2 ORDER BY number")
            .map_err(trouble)?;
        let mut rows = statement.query([number(from), number(to)]).map_err(trouble)?;
        while let Some(found) = rows.next().map_err(trouble)? {
            let hash = read_head(found, 0).map_err(trouble)?.hash;
            let record = found.get(2).map_err(trouble)?;
            each(Sealed { previous, hash, record })?;
            previous = hash;
        }
        Ok(())
    }
}
