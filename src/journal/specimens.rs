//! When a specimen is told: which ones are quiet, and what an event of theirs does to the tables.
//!
//! A specimen is *open* while it has a live result that is newer than its last event. What is open follows from the
//! journal alone, so that a restart forgets nothing. So that not all of it is looked through each time,
//! `meta.specimens_to` notes how far every specimen is told.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::audit::Chain;
use super::event::Event;
use super::{Journal, JournalError, row, specimen_row, writer};
use crate::result::{Decision, Timestamp};
use crate::told::{Cause, Marker, SpecimenTold};

/// How many specimens one look gives at the most; the others are given by the next.
const AT_ONCE: usize = 64;

/// What the writer is asked to tell.
#[derive(Debug, Clone)]
pub(super) enum Ask {
    /// This specimen, if its newest live result is not newer than the time; everything up to the sequence has been told.
    Quiet { specimen: String, not_after: Timestamp, told_to: u64 },
    /// This specimen, whose done-marker is there.
    Marked { specimen: String, marker: Marker },
    /// Whatever came up to now is never told: nobody wants to know.
    Nothing,
}

/// What became of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    /// It led to an event.
    Told,
    /// It needs nothing more: it led to an event before, or its specimen was told without it.
    Known,
    /// No result names its specimen yet.
    Early,
}

/// What a look at the open specimens found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenSpecimens {
    /// Those whose newest live result is not newer than asked for; some of them, where they are many.
    pub quiet: Vec<String>,
    /// When the oldest newest result of the others was classified; none where there are no others.
    pub next: Option<Timestamp>,
    /// Every specimen has been told up to here, but for the open ones, whose results are all newer.
    pub told_to: u64,
}

impl Journal {
    /// Looks for specimens whose newest live result was classified at `not_after` or before, and which have not been
    /// told since. Looks through the results after `told_to`; 0: where the last process left off. Blocks.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn open_specimens(
        &self,
        not_after: Timestamp,
        told_to: u64,
    ) -> Result<OpenSpecimens, JournalError> {
        let newest = self.bounds().newest;
        self.read(|connection| {
            let snapshot = connection.unchecked_transaction()?;
            let stored: u64 = snapshot
                .prepare_cached("SELECT specimens_to FROM meta")?
                .query_row([], |found| row::unsigned(found, 0))?;
            look(&snapshot, not_after, told_to.max(stored), newest)
        })
    }

    /// Tells one quiet specimen, if it still is. True when an event was stored.
    ///
    /// # Errors
    /// As [`Journal::commit`].
    pub async fn tell_quiet(
        &self,
        specimen: String,
        not_after: Timestamp,
        told_to: u64,
    ) -> Result<bool, JournalError> {
        let ask = Ask::Quiet { specimen, not_after, told_to };
        let told = self.ask(|reply| writer::Work::Specimen(Box::new(ask), reply)).await?;
        Ok(told == Marked::Told)
    }

    /// Whatever has come up to now is never told.
    ///
    /// # Errors
    /// As [`Journal::commit`].
    pub async fn tell_nothing_of_before(&self) -> Result<(), JournalError> {
        self.ask(|reply| writer::Work::Specimen(Box::new(Ask::Nothing), reply)).await.map(drop)
    }

    /// Tells a specimen whose done-marker is there. For a thread that may block.
    ///
    /// # Errors
    /// As [`Journal::commit`].
    pub fn tell_marked(&self, specimen: String, marker: Marker) -> Result<Marked, JournalError> {
        let ask = Ask::Marked { specimen, marker };
        self.ask_blocking(|reply| writer::Work::Specimen(Box::new(ask), reply))
    }
}

fn look(
    connection: &Connection,
    not_after: Timestamp,
    told_to: u64,
    newest: u64,
) -> rusqlite::Result<OpenSpecimens> {
    let mut found = OpenSpecimens { told_to: newest, ..OpenSpecimens::default() };
    let mut groups = connection.prepare_cached(
        "SELECT specimen, min(sequence), max(sequence), max(classified_ms) FROM results
         WHERE sequence > ?1 AND sequence <= ?2 AND superseded_by IS NULL AND specimen <> ''
         GROUP BY specimen",
    )?;
    let mut rows = groups.query([told_to.cast_signed(), newest.cast_signed()])?;
    while let Some(group) = rows.next()? {
        let specimen: String = group.get(0)?;
        let (first, last) = (row::unsigned(group, 1)?, row::unsigned(group, 2)?);
        let told = last_event(connection, &specimen)?.map_or(0, |(sequence, _)| sequence);
        if told > last {
            continue;
        }
        found.told_to = found.told_to.min(told.max(first - 1));
        let at = Timestamp(group.get(3)?);
        if at > not_after {
            found.next = Some(found.next.map_or(at, |known| known.min(at)));
        } else if found.quiet.len() < AT_ONCE {
            found.quiet.push(specimen);
        }
    }
    Ok(found)
}

/// The sequence and the round of a specimen's last event.
fn last_event(connection: &Connection, specimen: &str) -> rusqlite::Result<Option<(u64, u64)>> {
    connection
        .prepare_cached(
            "SELECT sequence, round FROM specimens WHERE specimen = ?1
             ORDER BY sequence DESC LIMIT 1",
        )?
        .query_row([specimen], |found| Ok((row::unsigned(found, 0)?, row::unsigned(found, 1)?)))
        .optional()
}

/// The live results of one specimen.
#[derive(Default)]
struct Counted {
    all: u64,
    hem: u64,
    review: u64,
    rejected: u64,
    newest: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

fn count(connection: &Connection, specimen: &str) -> rusqlite::Result<Counted> {
    let mut counted = Counted::default();
    let mut statement = connection.prepare_cached(
        "SELECT decision, count(*), max(sequence), min(classified_ms), max(classified_ms)
         FROM results WHERE specimen = ?1 AND superseded_by IS NULL GROUP BY decision",
    )?;
    let mut rows = statement.query([specimen])?;
    while let Some(found) = rows.next()? {
        let cells = row::unsigned(found, 1)?;
        match super::review_row::word::<Decision>(found, 0)? {
            Decision::All => counted.all = cells,
            Decision::Hem => counted.hem = cells,
            Decision::Review => counted.review = cells,
            Decision::Rejected => counted.rejected = cells,
        }
        counted.newest = counted.newest.max(row::unsigned(found, 2)?);
        let (first, last) = (Timestamp(found.get(3)?), Timestamp(found.get(4)?));
        counted.first = Some(counted.first.map_or(first, |known| known.min(first)));
        counted.last = counted.last.max(Some(last));
    }
    Ok(counted)
}

/// Does what was asked inside the writer's transaction. An event gets the sequence `next`.
pub(super) fn settle(
    connection: &Connection,
    chain: &mut Chain,
    next: u64,
    now: Timestamp,
    ask: Ask,
) -> rusqlite::Result<(Marked, Option<Event>)> {
    let (specimen, cause) = match ask {
        Ask::Nothing => {
            told_to(connection, next.saturating_sub(1))?;
            return Ok((Marked::Known, None));
        }
        Ask::Quiet { specimen, not_after, told_to: up_to } => {
            told_to(connection, up_to)?;
            let counted = count(connection, &specimen)?;
            if counted.last.is_none_or(|last| last > not_after) {
                return Ok((Marked::Early, None));
            }
            (specimen, Cause::Quiet)
        }
        Ask::Marked { specimen, marker } => {
            if served(connection, &specimen, &marker)? {
                return Ok((Marked::Known, None));
            }
            (specimen, Cause::Marker(marker))
        }
    };
    let counted = count(connection, &specimen)?;
    let (Some(first), Some(last)) = (counted.first, counted.last) else {
        return Ok((Marked::Early, None));
    };
    let before = last_event(connection, &specimen)?;
    if before.is_some_and(|(sequence, _)| sequence > counted.newest) {
        return Ok((Marked::Known, None));
    }
    let told = SpecimenTold {
        sequence: next,
        specimen,
        round: before.map_or(0, |(_, round)| round) + 1,
        cause,
        all: counted.all,
        hem: counted.hem,
        review: counted.review,
        rejected: counted.rejected,
        first_classified_at: first,
        last_classified_at: last,
        told_at: now,
    };
    let content = specimen_row::insert(connection, &told)?;
    chain.specimen(connection, now, &told, content)?;
    Ok((Marked::Told, Some(Event::Specimen(Arc::new(told)))))
}

fn told_to(connection: &Connection, sequence: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE meta SET specimens_to = ?1 WHERE specimens_to < ?1")?
        .execute([sequence.cast_signed()])
        .map(drop)
}

/// Whether this state of the marker has led to an event before.
fn served(connection: &Connection, specimen: &str, marker: &Marker) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT 1 FROM specimens WHERE specimen = ?1 AND folder = ?2 AND path = ?3
               AND marker_mtime_ns = ?4",
        )?
        .exists(params![specimen, marker.path.folder, marker.path.path, marker.mtime_ns])
}
