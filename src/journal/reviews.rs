//! Reviews: what one does to the tables, and how they are read.

use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};

use super::audit::Chain;
use super::event::Event;
use super::query::{MAX_READ, read_result};
use super::review_row::{self, COLUMNS};
use super::row;
use super::{Journal, JournalError, Lookup, writer};
use crate::result::{Record, Timestamp};
use crate::review::{Latest, Review, ReviewLabel, Reviewed, Standing, Verdict};

/// A review that is to be stored.
#[derive(Debug, Clone)]
pub struct NewReview {
    /// Of which result: [`Lookup::Sequence`] or [`Lookup::ResultId`].
    pub of: Lookup,
    /// What the reviewer says.
    pub label: ReviewLabel,
    /// Who says it; see [`Review::reviewer`].
    pub reviewer: String,
    /// What else; see [`Review::note`].
    pub note: String,
    /// Who sent it.
    pub client: String,
    /// A UUID that makes giving the same again harmless. None: it gets one.
    pub review_id: Option<String>,
}

/// What the journal made of a review.
#[derive(Debug, Clone)]
pub enum Submitted {
    /// It is the newest event.
    Stored(Arc<Review>),
    /// It was stored already, under the same id.
    Known(Arc<Review>),
}

/// Why a review was not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReviewError {
    /// There is no such result, or no longer.
    #[error("there is no such result, or retention has removed it")]
    NoResult,
    /// Another result has taken its place: the picture that it is about is no longer there, or has a better result.
    #[error(
        "result {sequence} was superseded by {by}: the file came back with other bytes, or could be classified after \
         all; look at result {by} and review that one"
    )]
    Superseded {
        /// The result's sequence.
        sequence: u64,
        /// The sequence of the one that took its place.
        by: u64,
    },
    /// Another review has this id.
    #[error("the review_id {0} is that of another review: give each review an id of its own")]
    IdTaken(String),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// What the writer's transaction gives.
pub(super) type Answer = Result<Submitted, ReviewError>;

/// Which reviews, and in what order.
#[derive(Debug, Clone, Default)]
pub struct ReviewQuery {
    /// Only those of the result with this sequence.
    pub result_sequence: Option<u64>,
    /// Only those of the result with this id.
    pub result_id: Option<String>,
    /// Only those of this specimen's results.
    pub specimen: Option<String>,
    /// Only those of this reviewer.
    pub reviewer: Option<String>,
    /// Only those that say something else than leukd suggested.
    pub disagreements: bool,
    /// [`ReviewPage::next`] of the page before; none for the first.
    pub after: Option<u64>,
    /// The most reviews of the page: 1 to [`MAX_READ`].
    pub limit: usize,
    /// Descending instead of ascending.
    pub newest_first: bool,
}

/// A part of a listing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReviewPage {
    /// At most [`ReviewQuery::limit`] reviews.
    pub reviews: Vec<Review>,
    /// Where the next page goes on; none when this is the last one.
    pub next: Option<u64>,
}

impl Journal {
    /// Makes a review durable, or finds it by its id. Waits for the writer and for the disk, as
    /// [`Journal::commit`] does.
    ///
    /// # Errors
    /// See [`ReviewError`]; nothing was stored.
    pub async fn review(&self, review: NewReview) -> Result<Submitted, ReviewError> {
        self.ask(|reply| writer::Work::Review(Box::new(review), reply)).await?
    }

    /// One page of the reviews.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn reviews(&self, query: &ReviewQuery) -> Result<ReviewPage, JournalError> {
        let limit = query.limit.clamp(1, MAX_READ);
        let newest = self.bounds().newest;
        let mut reviews = self.read(|connection| list(connection, query, newest, limit + 1))?;
        let more = reviews.len() > limit;
        reviews.truncate(limit);
        let next = reviews.last().filter(|_| more).map(|review| review.sequence);
        Ok(ReviewPage { reviews, next })
    }

    /// How each of these results stands now, in their order.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn standings(&self, records: &[Arc<Record>]) -> Result<Vec<Standing>, JournalError> {
        let newest = self.bounds().newest;
        self.read(|connection| {
            records.iter().map(|record| standing(connection, record.sequence, newest)).collect()
        })
    }
}

/// Stores `review` as the event `next` inside the writer's transaction, with its record.
pub(super) fn settle(
    connection: &Connection,
    chain: &mut Chain,
    next: u64,
    now: Timestamp,
    review: NewReview,
) -> rusqlite::Result<(Answer, Option<Event>)> {
    let NewReview { of, label, reviewer, note, client, review_id } = review;
    // First of all: a retry is answered also when the result is gone by now.
    if let Some(id) = &review_id
        && let Some(known) = by_id(connection, id)?
    {
        let same_result = match &of {
            Lookup::Sequence(sequence) => known.of.sequence == Some(*sequence),
            Lookup::ResultId(result_id) => known.of.result_id == *result_id,
            Lookup::Path(_) => false,
        };
        let same =
            same_result && (known.label, &known.reviewer, &known.note) == (label, &reviewer, &note);
        return Ok(if same {
            (Ok(Submitted::Known(Arc::new(known))), None)
        } else {
            (Err(ReviewError::IdTaken(id.clone())), None)
        });
    }
    let Some(record) = read_result(connection, &of)? else {
        return Ok((Err(ReviewError::NoResult), None));
    };
    let superseded_by: Option<i64> = connection
        .prepare_cached("SELECT superseded_by FROM results WHERE sequence = ?1")?
        .query_row([record.sequence.cast_signed()], |found| found.get(0))?;
    if let Some(by) = superseded_by {
        let (sequence, by) = (record.sequence, by.cast_unsigned());
        return Ok((Err(ReviewError::Superseded { sequence, by }), None));
    }
    let of = Reviewed::of(&record);
    let review = Review {
        sequence: next,
        review_id: review_id.unwrap_or_else(|| uuid::Uuid::now_v7().to_string()),
        agrees: of.agrees_with(label),
        of,
        label,
        reviewer,
        note,
        client,
        reviewed_at: now,
    };
    let content = review_row::insert(connection, &review)?;
    chain.review(connection, now, &review, content)?;
    let review = Arc::new(review);
    Ok((Ok(Submitted::Stored(Arc::clone(&review))), Some(Event::Review(review))))
}

fn by_id(connection: &Connection, review_id: &str) -> rusqlite::Result<Option<Review>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM reviews WHERE review_id = ?1"))?
        .query_row([review_id], review_row::review)
        .optional()
}

fn list(
    connection: &Connection,
    query: &ReviewQuery,
    newest: u64,
    limit: usize,
) -> rusqlite::Result<Vec<Review>> {
    let mut conditions = vec!["sequence <= ?".to_owned()];
    let mut values = vec![Value::Integer(newest.cast_signed())];
    if let Some(sequence) = query.result_sequence {
        conditions.push("result_sequence = ?".to_owned());
        values.push(Value::Integer(sequence.cast_signed()));
    }
    for (column, wanted) in [
        ("result_id", &query.result_id),
        ("specimen", &query.specimen),
        ("reviewer", &query.reviewer),
    ] {
        if let Some(wanted) = wanted {
            conditions.push(format!("{column} = ?"));
            values.push(Value::Text(wanted.clone()));
        }
    }
    if query.disagreements {
        conditions.push("agrees = 0".to_owned());
    }
    if let Some(after) = query.after {
        conditions.push(format!("sequence {} ?", if query.newest_first { '<' } else { '>' }));
        values.push(Value::Integer(after.cast_signed()));
    }
    values.push(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
    let sql = format!(
        "SELECT {COLUMNS} FROM reviews WHERE {} ORDER BY sequence {} LIMIT ?",
        conditions.join(" AND "),
        if query.newest_first { "DESC" } else { "ASC" }
    );
    connection
        .prepare_cached(&sql)?
        .query_map(params_from_iter(values), review_row::review)?
        .collect()
}

/// How one result stands, by the reviews up to `newest`.
fn standing(connection: &Connection, sequence: u64, newest: u64) -> rusqlite::Result<Standing> {
    // Beside one max() the other columns are those of its row: https://sqlite.org/lang_select.html#bareagg
    connection
        .prepare_cached(
            "SELECT count(*), max(sequence), label, agrees, reviewer, reviewed_ms FROM reviews
             WHERE result_sequence = ?1 AND sequence <= ?2",
        )?
        .query_row(params![sequence.cast_signed(), newest.cast_signed()], |found| {
            let reviews = row::unsigned(found, 0)?;
            if reviews == 0 {
                return Ok(Standing::SUGGESTED);
            }
            let verdict = if found.get(3)? { Verdict::Confirmed } else { Verdict::Corrected };
            let latest = Latest {
                label: review_row::word(found, 2)?,
                reviewer: found.get(4)?,
                at: Timestamp(found.get(5)?),
            };
            Ok(Standing { verdict, latest: Some(latest), reviews })
        })
}

/// The condition on `results` that holds for those of this verdict, with one `?` for the newest sequence. Only live
/// ones: what was superseded is nobody's to look at.
pub(super) const fn verdict_sql(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Suggested => {
            "superseded_by IS NULL AND NOT EXISTS
                (SELECT 1 FROM reviews v WHERE v.result_sequence = results.sequence AND v.sequence <= ?)"
        }
        // Over the reviews, which are few, and not over the results.
        Verdict::Confirmed => {
            "superseded_by IS NULL AND sequence IN
                (SELECT result_sequence FROM (SELECT result_sequence, max(sequence), agrees FROM reviews
                 WHERE sequence <= ? AND result_sequence IS NOT NULL GROUP BY result_sequence) WHERE agrees = 1)"
        }
        Verdict::Corrected => {
            "superseded_by IS NULL AND sequence IN
                (SELECT result_sequence FROM (SELECT result_sequence, max(sequence), agrees FROM reviews
                 WHERE sequence <= ? AND result_sequence IS NOT NULL GROUP BY result_sequence) WHERE agrees = 0)"
        }
    }
}
