//! What the journal holds in one sequence, and what a subscription streams.

use std::sync::Arc;

use rusqlite::{Connection, Row};

use super::filter::Facts;
use super::tables::{RESULTS, REVIEWS, SPECIMENS, Table};
use super::{review_row, row, specimen_row};
use crate::result::Record;
use crate::review::Review;
use crate::told::SpecimenTold;

/// One durable event. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// leukd found something.
    Result(Arc<Record>),
    /// A person said something of it.
    Review(Arc<Review>),
    /// A specimen fell quiet, or was marked as done.
    Specimen(Arc<SpecimenTold>),
}

impl Event {
    /// Its place: 1, 2, 3, … without holes over all kinds.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        match self {
            Self::Result(record) => record.sequence,
            Self::Review(review) => review.sequence,
            Self::Specimen(told) => told.sequence,
        }
    }

    /// The result, where it is one.
    #[must_use]
    pub const fn result(&self) -> Option<&Arc<Record>> {
        match self {
            Self::Result(record) => Some(record),
            Self::Review(_) | Self::Specimen(_) => None,
        }
    }

    /// The review, where it is one.
    #[must_use]
    pub const fn review(&self) -> Option<&Arc<Review>> {
        match self {
            Self::Review(review) => Some(review),
            Self::Result(_) | Self::Specimen(_) => None,
        }
    }

    /// The specimen's event, where it is one.
    #[must_use]
    pub const fn specimen(&self) -> Option<&Arc<SpecimenTold>> {
        match self {
            Self::Specimen(told) => Some(told),
            Self::Result(_) | Self::Review(_) => None,
        }
    }

    /// What a filter looks at: of a review it is its result's; of a specimen's event there is its name alone.
    pub(super) fn facts(&self) -> Result<Facts<'_>, &str> {
        Ok(match self {
            Self::Specimen(told) => return Err(&told.specimen),
            Self::Result(record) => Facts::of(record),
            Self::Review(review) => Facts {
                specimen: &review.of.ids.specimen,
                slide: &review.of.ids.slide,
                label: review.of.label.as_deref(),
                decision: review.of.decision,
                probability: review.of.probability,
                path: review.of.path.as_ref().map(|path| path.path.as_str()),
            },
        })
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
    let told =
        |found: &Row<'_>| specimen_row::told(found).map(|own| Event::Specimen(Arc::new(own)));
    let mut others = first(connection, &REVIEWS, (after, to), limit, review)?;
    others.extend(first(connection, &SPECIMENS, (after, to), limit, told)?);
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
