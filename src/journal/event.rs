//! What the journal holds in one sequence, and what a subscription streams.

use std::sync::Arc;

use rusqlite::{Connection, Row};

use super::filter::Facts;
use super::tables::{RESULTS, REVIEWS, Table};
use super::{review_row, row};
use crate::result::Record;
use crate::review::Review;

/// One durable event. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// leukd found something.
    Result(Arc<Record>),
    /// A person said something of it.
    Review(Arc<Review>),
}

impl Event {
    /// Its place: 1, 2, 3, … without holes over all kinds.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        match self {
            Self::Result(record) => record.sequence,
            Self::Review(review) => review.sequence,
        }
    }

    /// The result, where it is one.
    #[must_use]
    pub const fn result(&self) -> Option<&Arc<Record>> {
        match self {
            Self::Result(record) => Some(record),
            Self::Review(_) => None,
        }
    }

    /// The review, where it is one.
    #[must_use]
    pub const fn review(&self) -> Option<&Arc<Review>> {
        match self {
            Self::Result(_) => None,
            Self::Review(review) => Some(review),
        }
    }

    /// What a filter looks at: of a review it is its result's.
    pub(super) fn facts(&self) -> Facts<'_> {
        match self {
            Self::Result(record) => Facts::of(record),
            Self::Review(review) => Facts {
                specimen: &review.of.ids.specimen,
                slide: &review.of.ids.slide,
                label: review.of.label.as_deref(),
                decision: review.of.decision,
                probability: review.of.probability,
                path: review.of.path.as_ref().map(|path| path.path.as_str()),
            },
        }
    }
}

/// The first `limit` events above `after`, up to and with `to`, in their order.
pub(super) fn read(
    connection: &Connection,
    after: u64,
    mut to: u64,
    limit: usize,
) -> rusqlite::Result<Vec<Event>> {
    let record = |found: &Row<'_>| row::record(found).map(|own| Event::Result(Arc::new(own)));
    let mut events = first(connection, &RESULTS, (after, to), limit, record)?;
    if let Some(last) = events.get(limit.saturating_sub(1)) {
        // There are as many results as are wanted: only what lies between them matters.
        to = last.sequence();
    }
    let review =
        |found: &Row<'_>| review_row::review(found).map(|own| Event::Review(Arc::new(own)));
    let others = first(connection, &REVIEWS, (after, to), limit, review)?;
    if !others.is_empty() {
        events.extend(others);
        events.sort_unstable_by_key(Event::sequence);
        events.truncate(limit);
    }
    Ok(events)
}

fn first(
    connection: &Connection,
    table: &Table,
    (after, to): (u64, u64),
    limit: usize,
    event: impl FnMut(&Row<'_>) -> rusqlite::Result<Event>,
) -> rusqlite::Result<Vec<Event>> {
    connection
        .prepare_cached(&format!(
            "SELECT {} FROM {} WHERE sequence > ?1 AND sequence <= ?2 ORDER BY sequence LIMIT ?3",
            table.columns, table.name
        ))?
        .query_map(
            [after.cast_signed(), to.cast_signed(), i64::try_from(limit).unwrap_or(i64::MAX)],
            event,
        )?
        .collect()
}
