//! Results and reviews as those see them who only count: a few columns, read in slices along the primary key.

use rusqlite::{Connection, Row};

use super::{Journal, JournalError, quality_text, row};
use crate::result::{Decision, Figures, ModelRef, Reason, Timestamp};

/// What counts of one result.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// Its place in the journal.
    pub sequence: u64,
    /// When it was classified.
    pub classified_at: Timestamp,
    /// What was suggested.
    pub decision: Decision,
    /// The codes of its reasons.
    pub codes: Vec<String>,
    /// P(all), 0 to 1; none when rejected.
    pub all: Option<f64>,
    /// What was measured of the picture.
    pub quality: Option<Figures>,
    /// Which model; none when no model saw it.
    pub model: Option<ModelRef>,
}

/// What counts of one review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    /// Its place in the journal.
    pub sequence: u64,
    /// Whether it agrees with what leukd suggested.
    pub agrees: bool,
    /// Whether the review before it, of the same result, did; none where there is none.
    pub before: Option<bool>,
    /// When its result was classified.
    pub classified_at: Timestamp,
    /// Its result's model.
    pub model: Option<ModelRef>,
}

const COLUMNS: &str = "sequence, classified_ms, decision, label, probability, reasons, quality, model_id, model_digest";

impl Journal {
    /// The results below `before`, at most `limit`, the newest first. Blocks.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn outlines_below(&self, before: u64, limit: usize) -> Result<Vec<Outline>, JournalError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM results WHERE sequence < ?1 ORDER BY sequence DESC LIMIT ?2"
        );
        self.read(|connection| outlines(connection, &sql, &[before, limit as u64]))
    }

    /// The results above `after`, up to and with `to`, at most `limit`, in their order. Blocks.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn outlines_above(
        &self,
        after: u64,
        to: u64,
        limit: usize,
    ) -> Result<Vec<Outline>, JournalError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM results WHERE sequence > ?1 AND sequence <= ?2 ORDER BY sequence LIMIT ?3"
        );
        self.read(|connection| outlines(connection, &sql, &[after, to, limit as u64]))
    }

    /// The reviews above `after`, up to and with `to`, at most `limit`, in their order; without those whose result is gone.
    /// Blocks.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn opinions_above(
        &self,
        after: u64,
        to: u64,
        limit: usize,
    ) -> Result<Vec<Opinion>, JournalError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT v.sequence, v.agrees, r.classified_ms, r.model_id, r.model_digest,
                        (SELECT b.agrees FROM reviews b WHERE b.result_sequence = v.result_sequence
                            AND b.sequence < v.sequence ORDER BY b.sequence DESC LIMIT 1)
                     FROM reviews v JOIN results r ON r.sequence = v.result_sequence
                     WHERE v.sequence > ?1 AND v.sequence <= ?2 ORDER BY v.sequence LIMIT ?3",
                )?
                .query_map([after, to, limit as u64].map(u64::cast_signed), |found| {
                    Ok(Opinion {
                        sequence: row::unsigned(found, 0)?,
                        agrees: found.get(1)?,
                        classified_at: Timestamp(found.get(2)?),
                        model: model(found, 3)?,
                        before: found.get(5)?,
                    })
                })?
                .collect()
        })
    }
}

fn outlines(connection: &Connection, sql: &str, bounds: &[u64]) -> rusqlite::Result<Vec<Outline>> {
    let bounds = rusqlite::params_from_iter(bounds.iter().map(|bound| bound.cast_signed()));
    connection.prepare_cached(sql)?.query_map(bounds, outline)?.collect()
}

fn outline(found: &Row<'_>) -> rusqlite::Result<Outline> {
    let odd = |column: usize, problem: String| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            problem.into(),
        )
    };
    let label = found.get_ref(3)?.as_str_or_null()?;
    let own: Option<f64> = found.get(4)?;
    // There are two classes, so that the other one's probability is what the label's leaves.
    let all = own.map(|own| if label == Some("all") { own } else { 1.0 - own });
    let reasons = found.get_ref(5)?.as_str()?;
    let codes = if reasons == "[]" {
        Vec::new()
    } else {
        let reasons: Vec<Reason> =
            serde_json::from_str(reasons).map_err(|error| odd(5, error.to_string()))?;
        reasons.into_iter().map(|reason| reason.code).collect()
    };
    Ok(Outline {
        sequence: row::unsigned(found, 0)?,
        classified_at: Timestamp(found.get(1)?),
        decision: found.get_ref(2)?.as_str()?.parse().map_err(|problem| odd(2, problem))?,
        codes,
        all,
        quality: found.get_ref(6)?.as_str_or_null()?.and_then(quality_text::read),
        model: model(found, 7)?,
    })
}

fn model(found: &Row<'_>, first: usize) -> rusqlite::Result<Option<ModelRef>> {
    let (id, digest): (Option<String>, Option<String>) = (found.get(first)?, found.get(first + 1)?);
    Ok(id.zip(digest).map(|(id, digest)| ModelRef { id, digest }))
}
