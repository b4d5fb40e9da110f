//! Events and records of the audit chain as they are stored: the very text that was hashed. A store
//! that copies the journal takes this, for a decoded event may be written anew in other words.

use rusqlite::Connection;

use crate::audit::{AuditHead, Sealed, read_head};
use crate::error::JournalError;
use crate::handle::Journal;
use crate::kinds;
use crate::result::Timestamp;
use crate::sql::{limit, unsigned};
use crate::tail::gap;
use crate::types::MAX_READ;

/// One event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place among all events.
    pub sequence: u64,
    /// Its kind's word.
    pub kind: String,
    /// When it came about, by the wall clock.
    pub at: Timestamp,
    /// The JSON text whose digest the audit chain holds.
    pub payload: String,
}

/// Stored events that follow a cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredBatch {
    /// In ascending order of sequence, without holes.
    pub events: Vec<StoredEvent>,
    /// As [`crate::Batch::gap`].
    pub gap: Option<(u64, u64)>,
}

impl Journal {
    /// Stored events with a sequence above `after`, ascending, at most `limit` and [`MAX_READ`].
    /// Blocks.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn stored_after(&self, after: u64, limit: usize) -> Result<StoredBatch, JournalError> {
        let newest = self.bounds().newest;
        if after >= newest {
            return Ok(StoredBatch::default());
        }
        self.read(|connection| {
            // One snapshot for both statements: retention may work in between.
            let snapshot = connection.unchecked_transaction()?;
            let (oldest, _) = kinds::ends(&snapshot)?;
            let mut gap = gap(after, oldest, newest);
            if let Some((_, last)) = &mut gap {
                *last = (*last).min(newest);
            }
            Ok(StoredBatch { events: read(&snapshot, (after, newest), limit)?, gap })
        })
    }

    /// Records of the audit chain with a number above `after`, ascending, at most `limit` and
    /// [`MAX_READ`]. Blocks.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn sealed_after(&self, after: u64, limit: usize) -> Result<Vec<Sealed>, JournalError> {
        if after >= self.audit_head().number {
            return Ok(Vec::new());
        }
        let mut previous = self.sealed_hash(after)?.unwrap_or(AuditHead::NONE.hash);
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, hash, record FROM audit WHERE number > ?1 ORDER BY number LIMIT ?2",
            )?;
            let rows = statement.query_map(
                [after.cast_signed(), self::limit(limit.min(MAX_READ))],
                |row| {
                    let hash = read_head(row, 0)?.hash;
                    let record = row.get(2)?;
                    Ok(Sealed { previous: std::mem::replace(&mut previous, hash), hash, record })
                },
            )?;
            rows.collect()
        })
    }

    /// The hash of the audit record with this number; none where there is no such record.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn sealed_hash(&self, number: u64) -> Result<Option<blake3::Hash>, JournalError> {
        use rusqlite::OptionalExtension as _;
        self.read(|connection| {
            connection
                .prepare_cached("SELECT number, hash FROM audit WHERE number = ?1")?
                .query_row([number.cast_signed()], |row| read_head(row, 0))
                .optional()
                .map(|head| head.map(|head| head.hash))
        })
    }

    /// Every epoch that this journal has had before the running one, as its audit chain and its
    /// origin name them. Blocks.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn former_epochs(&self) -> Result<Vec<String>, JournalError> {
        let mut epochs: Vec<String> = self.read(|connection| {
            connection
                .prepare(&format!(
                    "SELECT DISTINCT record ->> 'from' FROM audit
                     WHERE kind = 'epoch' AND {} AND record ->> 'from' IS NOT NULL",
                    crate::audit::RARE
                ))?
                .query_map([], |row| row.get(0))?
                .collect()
        })?;
        epochs.extend(self.status()?.origin.before);
        epochs.sort();
        epochs.dedup();
        Ok(epochs)
    }
}

fn read(
    connection: &Connection,
    (after, to): (u64, u64),
    rows: usize,
) -> rusqlite::Result<Vec<StoredEvent>> {
    connection
        .prepare_cached(
            "SELECT sequence, kind, at_ms, payload FROM events
             WHERE sequence > ?1 AND sequence <= ?2 ORDER BY sequence LIMIT ?3",
        )?
        .query_map([after.cast_signed(), to.cast_signed(), limit(rows.min(MAX_READ))], |row| {
            Ok(StoredEvent {
                sequence: unsigned(row, 0)?,
                kind: row.get(1)?,
                at: Timestamp(row.get(2)?),
                payload: row.get(3)?,
            })
        })?
        .collect()
}
