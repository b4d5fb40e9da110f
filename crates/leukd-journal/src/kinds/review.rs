//! What a person said of a result.

use std::sync::Arc;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};
use serde::Serialize;

use super::result::find;
use super::{COLUMNS, CellFacts, Columns, Event, Facts, Kind, superseded_by};
use crate::error::ReviewError;
use crate::result::{ModelRef, Record, Timestamp};
use crate::review::{Latest, Review, ReviewLabel, Reviewed, Standing, Verdict};
use crate::sql::{limit, number, text, unsigned, word};
use crate::types::{Lookup, NewReview, Opinion, ReviewQuery, Submitted};

impl Kind for Review {
    const NAME: &'static str = "review";
    const TABLE: &'static str = "reviews";

    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn set_sequence(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    fn at(&self) -> Timestamp {
        self.reviewed_at
    }

    fn columns(&self) -> Columns<'_> {
        vec![
            ("review_id", text(&self.review_id)),
            ("result_sequence", self.of.sequence.map_or(ValueRef::Null, number)),
            ("result_id", text(&self.of.result_id)),
            ("specimen", text(&self.of.ids.specimen)),
            ("reviewer", text(&self.reviewer)),
            ("label", text(self.label.as_str())),
            ("confirms", ValueRef::Integer(self.confirms.into())),
            ("blind", ValueRef::Integer(self.blind.into())),
            ("reviewed_ms", ValueRef::Integer(self.reviewed_at.0)),
        ]
    }

    /// Its note stands in the payload alone, so that retention can remove it.
    fn summary(&self) -> impl Serialize {
        #[derive(Serialize)]
        struct Summary<'a> {
            review_id: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            result: Option<u64>,
            result_id: &'a str,
            label: ReviewLabel,
            confirms: bool,
            blind: bool,
            reviewer: &'a str,
            client: &'a str,
        }
        Summary {
            review_id: &self.review_id,
            result: self.of.sequence,
            result_id: &self.of.result_id,
            label: self.label,
            confirms: self.confirms,
            blind: self.blind,
            reviewer: &self.reviewer,
            client: &self.client,
        }
    }

    fn facts(&self) -> Option<Facts<'_>> {
        let of = &self.of;
        let cell = CellFacts {
            slide: &of.ids.slide,
            label: of.label(),
            probability: of.label_probability(),
            decision: of.decision,
            path: of.path.as_ref().map(|path| path.path.as_str()),
        };
        Some(Facts { specimen: &of.ids.specimen, cell: Some(cell) })
    }

    /// A review whose result is lost keeps the result's id alone.
    fn renumber(
        &mut self,
        new: &dyn Fn(u64) -> rusqlite::Result<Option<u64>>,
    ) -> rusqlite::Result<()> {
        self.of.sequence = self.of.sequence.map(new).transpose()?.flatten();
        Ok(())
    }
}

/// The answer to a review.
pub(crate) type Answer = Result<Submitted, ReviewError>;

/// Decides on `review` inside the writer's transaction: an answer, and the event to store.
pub(crate) fn apply(
    connection: &Connection,
    next: u64,
    now: Timestamp,
    review: NewReview,
) -> rusqlite::Result<(Answer, Option<Event>)> {
    let NewReview { of, label, reviewer, note, blind, client, review_id } = review;
    // First of all: a retry is answered also when the result is gone by now.
    if let Some(id) = &review_id
        && let Some(known) = by_id(connection, id)?
    {
        let same_result = match &of {
            Lookup::Sequence(sequence) => known.of.sequence == Some(*sequence),
            Lookup::ResultId(result_id) => known.of.result_id == *result_id,
            Lookup::Path(_) => false,
        };
        let same = same_result
            && (known.label, &known.reviewer, &known.note, known.blind)
                == (label, &reviewer, &note, blind);
        return Ok(if same {
            (Ok(Submitted::Known(Arc::new(known))), None)
        } else {
            (Err(ReviewError::IdTaken(id.clone())), None)
        });
    }
    let Some(record) = find(connection, &of)? else {
        return Ok((Err(ReviewError::NoResult), None));
    };
    if let Some(by) = superseded_by(connection, record.sequence)? {
        let sequence = record.sequence;
        return Ok((Err(ReviewError::Superseded { sequence, by }), None));
    }
    let of = Reviewed::of(&record);
    let review = Arc::new(Review {
        sequence: next,
        review_id: review_id.unwrap_or_else(|| uuid::Uuid::now_v7().to_string()),
        confirms: of.is_confirmed_by(label),
        of,
        label,
        reviewer,
        note,
        blind,
        client,
        reviewed_at: now,
    });
    Ok((Ok(Submitted::Stored(Arc::clone(&review))), Some(Event::Review(review))))
}

fn by_id(connection: &Connection, review_id: &str) -> rusqlite::Result<Option<Review>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM reviews JOIN events USING (sequence) WHERE review_id = ?1"
        ))?
        .query_row([review_id], super::review)
        .optional()
}

/// The reviews up to `newest` that the query asks for, at most `rows`.
pub(crate) fn list(
    connection: &Connection,
    query: &ReviewQuery,
    newest: u64,
    rows: usize,
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
    if query.corrections {
        conditions.push("confirms = 0".to_owned());
    }
    if let Some(after) = query.after {
        conditions.push(format!("sequence {} ?", if query.newest_first { '<' } else { '>' }));
        values.push(Value::Integer(after.cast_signed()));
    }
    values.push(Value::Integer(limit(rows)));
    let sql = format!(
        "SELECT {COLUMNS} FROM reviews JOIN events USING (sequence)
         WHERE {} ORDER BY sequence {} LIMIT ?",
        conditions.join(" AND "),
        if query.newest_first { "DESC" } else { "ASC" }
    );
    connection.prepare_cached(&sql)?.query_map(params_from_iter(values), super::review)?.collect()
}

/// How one result stands, by the reviews up to `newest`.
pub(crate) fn standing(
    connection: &Connection,
    record: &Record,
    newest: u64,
) -> rusqlite::Result<Standing> {
    // Beside one max() the other columns are those of its row:
    // https://sqlite.org/lang_select.html#bareagg
    connection
        .prepare_cached(
            "SELECT count(*), max(sequence), label, confirms, reviewer, reviewed_ms FROM reviews
             WHERE result_sequence = ?1 AND sequence <= ?2",
        )?
        .query_row(params![record.sequence.cast_signed(), newest.cast_signed()], |found| {
            let reviews = unsigned(found, 0)?;
            if reviews == 0 {
                return Ok(Standing::SUGGESTED);
            }
            let verdict = if found.get(3)? { Verdict::Confirmed } else { Verdict::Corrected };
            let latest = Latest {
                label: word(found, 2)?,
                reviewer: found.get(4)?,
                at: Timestamp(found.get(5)?),
            };
            Ok(Standing { verdict, latest: Some(latest), reviews })
        })
}

/// The reviews above `after`, up to and with `to`, at most `rows`, as a caller that only counts
/// needs them; without those whose result is gone.
pub(crate) fn opinions(
    connection: &Connection,
    (after, to): (u64, u64),
    rows: usize,
) -> rusqlite::Result<Vec<Opinion>> {
    connection
        .prepare_cached(
            "SELECT v.sequence, v.confirms, r.classified_ms, e.payload ->> '$.finding.model.id', r.model_digest,
                (SELECT b.confirms FROM reviews b WHERE b.result_sequence = v.result_sequence
                    AND b.sequence < v.sequence ORDER BY b.sequence DESC LIMIT 1)
             FROM reviews v JOIN results r ON r.sequence = v.result_sequence
                JOIN events e ON e.sequence = r.sequence
             WHERE v.sequence > ?1 AND v.sequence <= ?2 ORDER BY v.sequence LIMIT ?3",
        )?
        .query_map([after.cast_signed(), to.cast_signed(), limit(rows)], |found| {
            let (id, digest): (Option<String>, Option<String>) = (found.get(3)?, found.get(4)?);
            Ok(Opinion {
                sequence: unsigned(found, 0)?,
                confirms: found.get(1)?,
                classified_at: Timestamp(found.get(2)?),
                model: id.zip(digest).map(|(id, digest)| ModelRef { id, digest }),
                before: found.get(5)?,
            })
        })?
        .collect()
}
