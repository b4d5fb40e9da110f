//! The tables whose rows are events: they share one sequence, and a row of theirs never changes once it is stored.

use rusqlite::{Connection, Row};

use super::audit::content;
use super::{review_row, row, specimen_row};

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    /// Its name, which is also what people call its rows.
    pub(super) name: &'static str,
    /// What people call one row.
    pub(super) one: &'static str,
    /// Every column that never changes, in the order of the row's digest; the first is `sequence`.
    pub(super) stored: &'static [&'static str],
    /// The columns that `is_sound` reads, in its order.
    pub(super) columns: &'static str,
    /// Fails where a row is not what this program writes.
    pub(super) is_sound: fn(&Row<'_>) -> rusqlite::Result<()>,
    /// The column that says when the event came about, by the wall clock, in milliseconds.
    pub(super) at: &'static str,
    /// What its rows' digests begin with.
    pub(super) form: content::Form,
}

/// What leukd found.
pub(super) const RESULTS: Table = Table {
    name: "results",
    one: "result",
    stored: &row::STORED,
    columns: row::COLUMNS,
    is_sound: |found| row::record(found).map(drop),
    at: "classified_ms",
    form: content::RESULT,
};

/// What people say of it.
pub(super) const REVIEWS: Table = Table {
    name: "reviews",
    one: "review",
    stored: &review_row::STORED,
    columns: review_row::COLUMNS,
    is_sound: |found| review_row::review(found).map(drop),
    at: "reviewed_ms",
    form: content::REVIEW,
};

/// What was counted of a specimen.
pub(super) const SPECIMENS: Table = Table {
    name: "specimens",
    one: "specimen's event",
    stored: &specimen_row::STORED,
    columns: specimen_row::COLUMNS,
    is_sound: |found| specimen_row::told(found).map(drop),
    at: "told_ms",
    form: content::SPECIMEN,
};

/// All of them.
pub(super) const TABLES: [Table; 3] = [RESULTS, REVIEWS, SPECIMENS];

impl Table {
    /// The digest of a row whose columns of `stored` begin at `first`.
    pub(super) fn content_at(&self, row: &Row<'_>, first: usize) -> rusqlite::Result<blake3::Hash> {
        let values: Vec<_> = (first..first + self.stored.len())
            .map(|column| row.get_ref(column))
            .collect::<rusqlite::Result<_>>()?;
        Ok(content::digest(self.form, &values))
    }

    /// `SELECT` of what never changes, with what `rest` asks for after it.
    pub(super) fn select(&self, rest: &str) -> String {
        format!("SELECT {} {rest}", self.stored.join(", "))
    }
}

/// What one column of every event is, in the order of the sequence: a `SELECT` of `sequence` and what `column` names.
pub(super) fn every(column: impl Fn(&Table) -> String) -> String {
    let parts =
        TABLES.map(|table| format!("SELECT sequence, {} AS x FROM {}", column(&table), table.name));
    format!("SELECT sequence, x FROM ({}) ORDER BY sequence", parts.join(" UNION ALL "))
}

/// The smallest sequence that is there; 0 for none.
pub(super) fn oldest(connection: &Connection) -> rusqlite::Result<u64> {
    end(connection, "min")
}

/// The greatest sequence that is there; 0 for none.
pub(super) fn newest(connection: &Connection) -> rusqlite::Result<u64> {
    end(connection, "max")
}

fn end(connection: &Connection, which: &str) -> rusqlite::Result<u64> {
    // One by one: over a union SQLite would read every row.
    let parts = TABLES.map(|table| format!("SELECT {which}(sequence) AS s FROM {}", table.name));
    connection
        .prepare_cached(&format!(
            "SELECT coalesce({which}(s), 0) FROM ({})",
            parts.join(" UNION ALL ")
        ))?
        .query_row([], |found| row::unsigned(found, 0))
}
