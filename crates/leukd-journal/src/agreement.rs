//! How often readers agree with what leukd suggested.
//!
//! Of each reader and cell the first answer counts: a later one was given after the suggestion was
//! seen. A result never changes, so `confirms` of a review compares it with the suggestion that
//! stood when the reader answered.

use rusqlite::{Connection, Row, params};

use crate::error::JournalError;
use crate::handle::Journal;
use crate::result::Timestamp;
use crate::sql::{limit, unsigned};
use crate::types::MAX_READ;

/// The newest reviews that a count by day looks at: some weeks of a busy lab, and a bound on time.
pub const MAX_COUNTED: usize = 20_000;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// First answers of one reader, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderCount {
    /// Who answered.
    pub reviewer: String,
    /// Cells that the reader answered.
    pub answers: u64,
    /// Those whose first answer is what leukd suggested.
    pub agreed: u64,
    /// Those whose first answer was given blind.
    pub blind: u64,
    /// Those of them whose first answer is what leukd suggested.
    pub blind_agreed: u64,
    /// Those whose answer the reader changed later.
    pub changed: u64,
    /// When the first of them was stored.
    pub first_at: Timestamp,
    /// When the last of them was stored.
    pub last_at: Timestamp,
}

impl Journal {
    /// Readers by day (UTC), the newest day first, over the newest [`MAX_COUNTED`] reviews. At most
    /// `most`. Blocks.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn readers_by_day(&self, most: usize) -> Result<Vec<ReaderCount>, JournalError> {
        let newest = self.bounds().newest;
        self.read(|connection| by_day(connection, newest, most))
    }

    /// Readers of one specimen. At most `most`. Blocks.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn readers_of(
        &self,
        specimen: &str,
        most: usize,
    ) -> Result<Vec<ReaderCount>, JournalError> {
        let newest = self.bounds().newest;
        self.read(|connection| of_specimen(connection, specimen, newest, most))
    }
}

/// Counts of first answers. A change is another label than the first one's.
const COUNTS: &str = "v.reviewer, count(*), sum(v.confirms),
    sum(EXISTS (SELECT 1 FROM reviews b WHERE b.result_id = v.result_id
        AND b.reviewer = v.reviewer AND b.sequence > v.sequence AND b.sequence <= ?1
        AND b.label <> v.label)),
    min(v.reviewed_ms), max(v.reviewed_ms), sum(v.blind), sum(v.blind AND v.confirms)";

/// True of each reader's first answer to a cell.
const IS_FIRST: &str = "NOT EXISTS (SELECT 1 FROM reviews b WHERE b.result_id = v.result_id
    AND b.reviewer = v.reviewer AND b.sequence < v.sequence)";

fn by_day(connection: &Connection, newest: u64, most: usize) -> rusqlite::Result<Vec<ReaderCount>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COUNTS}, v.reviewed_ms / {DAY_MS} AS day FROM reviews v
             WHERE v.sequence <= ?1 AND v.sequence >= coalesce((SELECT sequence FROM reviews
                 WHERE sequence <= ?1 ORDER BY sequence DESC LIMIT 1 OFFSET ?2), 0)
               AND {IS_FIRST}
             GROUP BY day, v.reviewer ORDER BY day DESC, v.reviewer LIMIT ?3"
        ))?
        .query_map(
            params![newest.cast_signed(), limit(MAX_COUNTED - 1), limit(most.clamp(1, MAX_READ))],
            counted,
        )?
        .collect()
}

fn of_specimen(
    connection: &Connection,
    specimen: &str,
    newest: u64,
    most: usize,
) -> rusqlite::Result<Vec<ReaderCount>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COUNTS} FROM reviews v WHERE v.specimen = ?2 AND v.sequence <= ?1
               AND {IS_FIRST}
             GROUP BY v.reviewer ORDER BY v.reviewer LIMIT ?3"
        ))?
        .query_map(
            params![newest.cast_signed(), specimen, limit(most.clamp(1, MAX_READ))],
            counted,
        )?
        .collect()
}

fn counted(row: &Row<'_>) -> rusqlite::Result<ReaderCount> {
    Ok(ReaderCount {
        reviewer: row.get(0)?,
        answers: unsigned(row, 1)?,
        agreed: unsigned(row, 2)?,
        changed: unsigned(row, 3)?,
        first_at: Timestamp(row.get(4)?),
        last_at: Timestamp(row.get(5)?),
        blind: unsigned(row, 6)?,
        blind_agreed: unsigned(row, 7)?,
    })
}
