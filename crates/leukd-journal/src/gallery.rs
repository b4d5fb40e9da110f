//! What a person looks through: specimens, and a specimen's cells in the order that was asked for.

use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use crate::error::JournalError;
use crate::filter::Filter;
use crate::handle::Journal;
use crate::kinds::result::verdict_sql;
use crate::kinds::{COLUMNS, record};
use crate::result::{ReasonCode, Record};
use crate::review::Verdict;
use crate::sql::{limit, unsigned};
use crate::types::MAX_READ;

/// The most specimens that a listing knows. Names come in their own order and are sorted by time
/// afterwards, so that a limit would leave out the newest; each costs two looks into an index.
const MAX_SPECIMENS: u32 = 1_000_000;

/// The furthest cell of a gallery that can be asked for.
pub const MAX_OFFSET: u64 = 100_000;

/// Orders of a gallery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As they were stored, the newest first.
    #[default]
    Newest,
    /// By P(all), the likeliest blasts first; rejected ones last.
    LikeliestFirst,
    /// By P(all), the likeliest blasts last.
    LikeliestLast,
    /// Shuffled; the same seed gives the same order.
    Random(u32),
}

/// Which live cells, in which order.
#[derive(Debug, Clone, Default)]
pub struct GalleryQuery {
    /// Names a specimen, so that an index bounds the work.
    pub filter: Filter,
    /// Only those with this reason.
    pub reason: Option<ReasonCode>,
    /// Only those that stand so now.
    pub verdict: Option<Verdict>,
    /// The order.
    pub order: Order,
    /// How many to pass over; at most [`MAX_OFFSET`].
    pub offset: u64,
    /// The most cells of the page.
    pub limit: usize,
}

/// A page of a gallery.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GalleryPage {
    /// The cells.
    pub records: Vec<Arc<Record>>,
    /// How many there are on all pages.
    pub total: u64,
}

/// One specimen of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecimenLine {
    /// Its name; empty for cells of no specimen.
    pub specimen: String,
    /// The sequence of its newest result.
    pub newest: u64,
    /// Live cells under `review` that nobody has reviewed.
    pub to_review: u64,
}

impl Journal {
    /// Live cells of a gallery. Blocks.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn gallery(&self, query: &GalleryQuery) -> Result<GalleryPage, JournalError> {
        let newest = self.bounds().newest;
        self.read(|connection| gallery(connection, query, newest))
    }

    /// Specimens, that with the newest result first. Blocks.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn specimens(&self, offset: u64, most: usize) -> Result<Vec<SpecimenLine>, JournalError> {
        let newest = self.bounds().newest;
        self.read(|connection| specimens(connection, offset, most, newest))
    }
}

fn gallery(
    connection: &Connection,
    query: &GalleryQuery,
    newest: u64,
) -> rusqlite::Result<GalleryPage> {
    let up_to = Value::Integer(newest.cast_signed());
    let (mut conditions, mut values) = query.filter.to_sql();
    // The plus keeps SQLite from walking along the sequence, and sorting all that it finds.
    conditions.push("superseded_by IS NULL AND +sequence <= ?".to_owned());
    values.push(up_to.clone());
    if let Some(verdict) = query.verdict {
        conditions.push(verdict_sql(verdict).to_owned());
        values.push(up_to);
    }
    if let Some(reason) = query.reason {
        conditions.push(
            "EXISTS (SELECT 1 FROM json_each(payload, '$.finding.reasons') AS reason
             WHERE reason.value ->> '$.code' = ?)"
                .to_owned(),
        );
        values.push(Value::Text(reason.as_str().to_owned()));
    }
    // Reasons stand in the payload alone. Without, no payload is read but those of the page.
    let tables = match query.reason {
        Some(_) => "results JOIN events USING (sequence)",
        None => "results",
    };
    let from = format!("FROM {tables} WHERE {}", conditions.join(" AND "));
    let snapshot = connection.unchecked_transaction()?;
    let total = snapshot
        .prepare_cached(&format!("SELECT count(*) {from}"))?
        .query_row(params_from_iter(&values), |row| unsigned(row, 0))?;
    let order = match query.order {
        Order::Newest => "sequence DESC",
        // As the index results_gallery goes, in either direction.
        Order::LikeliestFirst => "p_all DESC NULLS LAST, sequence DESC",
        Order::LikeliestLast => "p_all NULLS LAST, sequence",
        Order::Random(seed) => {
            values.push(Value::Integer(seed.into()));
            // Knuth's multiplicative hash ("The Art of Computer Programming" 3, 6.4), twice, so
            // that neighbours part.
            "((((sequence + ?) * 2654435761) & 4294967295) >> 16) * 40503 & 65535, sequence"
        }
    };
    values.push(Value::Integer(limit(query.limit.clamp(1, MAX_READ))));
    values.push(Value::Integer(query.offset.min(MAX_OFFSET).cast_signed()));
    let page: Vec<i64> = snapshot
        .prepare_cached(&format!("SELECT sequence {from} ORDER BY {order} LIMIT ? OFFSET ?"))?
        .query_map(params_from_iter(&values), |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut payload =
        snapshot.prepare_cached(&format!("SELECT {COLUMNS} FROM events WHERE sequence = ?1"))?;
    let records = page
        .into_iter()
        .map(|sequence| payload.query_row([sequence], |row| record(row).map(Arc::new)))
        .collect::<rusqlite::Result<_>>()?;
    Ok(GalleryPage { records, total })
}

fn specimens(
    connection: &Connection,
    offset: u64,
    most: usize,
    newest: u64,
) -> rusqlite::Result<Vec<SpecimenLine>> {
    // Steps from name to name along the index, instead of reading every row.
    let mut statement = connection.prepare_cached(
        "WITH RECURSIVE names (name) AS (
           SELECT min(specimen) FROM results
           UNION ALL
           SELECT (SELECT min(specimen) FROM results WHERE specimen > name) FROM names
             WHERE name IS NOT NULL LIMIT ?1
         ), page (name, latest) AS (
           SELECT name, (SELECT max(sequence) FROM results
                         WHERE specimen = name AND sequence <= ?4) AS latest
           FROM names WHERE name IS NOT NULL AND latest IS NOT NULL
           ORDER BY latest DESC LIMIT ?2 OFFSET ?3
         )
         SELECT name, latest,
           (SELECT count(*) FROM results r WHERE r.specimen = name AND r.decision = 'review'
              AND r.superseded_by IS NULL AND r.sequence <= ?4 AND NOT EXISTS
                (SELECT 1 FROM reviews v WHERE v.result_sequence = r.sequence AND v.sequence <= ?4))
         FROM page ORDER BY latest DESC",
    )?;
    let (rows, skip) = (limit(most.clamp(1, MAX_READ)), offset.min(MAX_OFFSET).cast_signed());
    statement
        .query_map(params![MAX_SPECIMENS, rows, skip, newest.cast_signed()], |row| {
            let (newest, to_review) = (unsigned(row, 1)?, unsigned(row, 2)?);
            Ok(SpecimenLine { specimen: row.get(0)?, newest, to_review })
        })?
        .collect()
}
