//! What is known of one specimen, counted.

use rusqlite::types::Type;
use rusqlite::{Connection, params};

use super::row;
use super::{Journal, JournalError};
use crate::result::{Decision, Timestamp};

/// The most slides that [`SpecimenCounts`] names.
pub const MAX_SLIDES: usize = 1000;

/// Which cells, and what is counted of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpecimenQuery {
    /// Exact. Results that name no specimen belong to the one with the empty name.
    pub specimen: String,
    /// Only this slide, exact; the empty name for cells of no slide. None: all of them.
    pub slide: Option<String>,
    /// Count the cells whose P(all) is at or above it, 0 to 1. None: count none.
    pub threshold: Option<f64>,
}

/// Live results by decision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Decided as blast.
    pub all: u64,
    /// Decided as normal.
    pub hem: u64,
    /// For a person to look at.
    pub review: u64,
    /// Not classified.
    pub rejected: u64,
}

impl Tally {
    /// Cells that a model saw.
    #[must_use]
    pub const fn classified(&self) -> u64 {
        self.all + self.hem + self.review
    }

    fn add(&mut self, decision: Decision, count: u64) {
        match decision {
            Decision::All => self.all += count,
            Decision::Hem => self.hem += count,
            Decision::Review => self.review += count,
            Decision::Rejected => self.rejected += count,
        }
    }
}

/// The live results of one slide.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlideCounts {
    /// Its name; empty for cells of no slide.
    pub slide: String,
    /// Its cells.
    pub tally: Tally,
}

/// The live results of one specimen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpecimenCounts {
    /// All of them.
    pub tally: Tally,
    /// In order of their first live result; at most [`MAX_SLIDES`].
    pub slides: Vec<SlideCounts>,
    /// Classified cells whose P(all) is at or above the threshold, whatever was decided.
    pub at_or_above: u64,
    /// Digests of the models that classified them; at most 2.
    pub models: Vec<String>,
    /// The earliest of `classified_at`; none when all results are superseded.
    pub first_classified_at: Option<Timestamp>,
    /// The latest of `classified_at`.
    pub last_classified_at: Option<Timestamp>,
    /// Everything up to this sequence is counted, and nothing after it.
    pub as_of_sequence: u64,
}

impl Journal {
    /// What is known of one specimen, or of one slide of it; none when no result names it.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn specimen(&self, query: &SpecimenQuery) -> Result<Option<SpecimenCounts>, JournalError> {
        let newest = self.bounds().newest;
        self.read(|connection| count(connection, query, newest))
    }
}

fn count(
    connection: &Connection,
    query: &SpecimenQuery,
    newest: u64,
) -> rusqlite::Result<Option<SpecimenCounts>> {
    // One snapshot for all statements: retention may work in between.
    let snapshot = connection.unchecked_transaction()?;
    let which = params![query.specimen, newest.cast_signed(), query.slide];
    let named =
        "FROM results WHERE specimen = ?1 AND sequence <= ?2 AND (?3 IS NULL OR slide = ?3)";
    if !snapshot.prepare_cached(&format!("SELECT 1 {named} LIMIT 1"))?.exists(which)? {
        return Ok(None);
    }
    let live = format!("{named} AND (superseded_by IS NULL OR superseded_by > ?2)");
    let mut counts = SpecimenCounts { as_of_sequence: newest, ..SpecimenCounts::default() };

    // There are two classes, so that the other one's probability is what the label's leaves. Without a threshold the
    // comparison is NULL and counts nothing; so is a rejection's label.
    let mut by_decision = snapshot.prepare_cached(&format!(
        "SELECT decision, count(*), min(classified_ms), max(classified_ms),
             coalesce(sum(CASE label WHEN 'all' THEN probability ELSE 1.0 - probability END >= ?4), 0)
         {live} GROUP BY decision"
    ))?;
    let with_threshold =
        params![query.specimen, newest.cast_signed(), query.slide, query.threshold];
    let mut rows = by_decision.query(with_threshold)?;
    while let Some(row) = rows.next()? {
        counts.tally.add(decision(row, 0)?, row::unsigned(row, 1)?);
        counts.at_or_above += row::unsigned(row, 4)?;
        let (first, last) = (Timestamp(row.get(2)?), Timestamp(row.get(3)?));
        let earliest = counts.first_classified_at.map_or(first, |known| known.min(first));
        counts.first_classified_at = Some(earliest);
        counts.last_classified_at = counts.last_classified_at.max(Some(last));
    }

    let mut by_slide = snapshot.prepare_cached(&format!(
        "SELECT slide, decision, count(*), min(min(sequence)) OVER (PARTITION BY slide) AS first
         {live} GROUP BY slide, decision ORDER BY first, slide"
    ))?;
    let mut rows = by_slide.query(which)?;
    while let Some(row) = rows.next()? {
        let slide = row.get_ref(0)?.as_str()?;
        if counts.slides.last().is_none_or(|last| last.slide != slide) {
            if counts.slides.len() == MAX_SLIDES {
                break;
            }
            counts.slides.push(SlideCounts { slide: slide.to_owned(), ..SlideCounts::default() });
        }
        if let Some(last) = counts.slides.last_mut() {
            last.tally.add(decision(row, 1)?, row::unsigned(row, 2)?);
        }
    }

    counts.models = snapshot
        .prepare_cached(&format!(
            "SELECT DISTINCT coalesce(model_digest, '') {live} AND decision <> 'rejected' LIMIT 2"
        ))?
        .query_map(which, |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Some(counts))
}

fn decision(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Decision> {
    row.get_ref(column)?
        .as_str()?
        .parse()
        .map_err(|_| rusqlite::Error::InvalidColumnType(column, "decision".to_owned(), Type::Text))
}
