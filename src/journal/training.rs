//! What a training takes from a journal: the cells that people have reviewed, and which images are still of a result.

use std::collections::HashSet;
use std::path::Path;

use super::auditor::open_auditor;
use super::{FILE, Journal, JournalError, review_row, row};
use crate::result::{CapturePath, CellIds, Digest};
use crate::review::ReviewLabel;

/// A result with what its latest review says.
#[derive(Debug, Clone, PartialEq)]
pub struct ReviewedCell {
    /// The result's place in the journal.
    pub sequence: u64,
    /// SHA-256 of the capture's bytes. None: they could not be read when it was rejected.
    pub sha256: Option<Digest>,
    /// The file that the result was made from; none for a request.
    pub path: Option<CapturePath>,
    /// What the capture belongs to.
    pub ids: CellIds,
    /// What the latest review says.
    pub label: ReviewLabel,
    /// Who says it.
    pub reviewer: String,
}

/// Every result in the journal of `directory` that somebody has reviewed, by its sequence. A daemon may be at work on it.
/// Superseded results are among them: what a person said of bytes holds for those bytes. Blocks.
///
/// # Errors
/// [`JournalError`] when there is no journal, it cannot be read, or it is of a newer leukd.
pub fn reviewed_cells(directory: &Path) -> Result<Vec<ReviewedCell>, JournalError> {
    let file = directory.join(FILE);
    let connection = open_auditor(&file)?;
    let read = || -> rusqlite::Result<Vec<ReviewedCell>> {
        // Beside one max() the other columns are those of its row: https://sqlite.org/lang_select.html#bareagg
        let mut statement = connection.prepare(
            "SELECT r.sequence, r.sha256, r.folder, r.path, r.specimen, r.slide, r.cell, v.label, v.reviewer, max(v.sequence)
             FROM reviews v JOIN results r ON r.sequence = v.result_sequence
             GROUP BY r.sequence ORDER BY r.sequence",
        )?;
        let cells = statement.query_map([], |found| {
            let folder: Option<String> = found.get(2)?;
            let path: Option<String> = found.get(3)?;
            Ok(ReviewedCell {
                sequence: row::unsigned(found, 0)?,
                sha256: found.get::<_, Option<[u8; 32]>>(1)?.map(Digest),
                path: folder.zip(path).map(|(folder, path)| CapturePath { folder, path }),
                ids: CellIds { specimen: found.get(4)?, slide: found.get(5)?, cell: found.get(6)? },
                label: review_row::word(found, 7)?,
                reviewer: found.get(8)?,
            })
        })?;
        cells.collect()
    };
    read().map_err(|error| JournalError::sqlite(&file, &error))
}

impl Journal {
    /// Takes out of `digests` all that a stored result is of. Reads every result once, and blocks meanwhile.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn take_known(&self, digests: &mut HashSet<Digest>) -> Result<(), JournalError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare("SELECT sha256 FROM results WHERE sha256 IS NOT NULL")?;
            let mut rows = statement.query([])?;
            while let Some(found) = rows.next()? {
                digests.remove(&Digest(found.get(0)?));
            }
            Ok(())
        })
    }
}
