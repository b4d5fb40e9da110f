//! Specimens: which ones are open, their summaries, and their counts.
//!
//! A specimen is *open* while it has a live result that is newer than its last summary. What is
//! open follows from the journal alone, so that a restart forgets nothing. So that not all of it is
//! looked through each time, `meta.specimens_to` notes how far every specimen is summarised.

use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;

use super::{Columns, Event, Facts, Kind};
use crate::result::{Tally, Timestamp};
use crate::score::{Score, logit, trimmed_mean};
use crate::sql::{maybe, number, text, unsigned, word};
use crate::summary::{Cause, Marker, SpecimenSummary};
use crate::types::{
    MAX_SLIDES, Marked, OpenSpecimens, SlideCounts, SpecimenCounts, SpecimenQuery, Summarize,
};

/// The specimens that one look gives at most; the others are given by the next.
const AT_ONCE: usize = 64;

impl Kind for SpecimenSummary {
    const NAME: &'static str = "specimen";
    const TABLE: &'static str = "specimens";

    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn set_sequence(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    fn at(&self) -> Timestamp {
        self.stored_at
    }

    fn columns(&self) -> Columns<'_> {
        let marker = marker(self);
        vec![
            ("specimen", text(&self.specimen)),
            ("round", number(self.round)),
            ("folder", maybe(marker.map(|marker| marker.path.folder.as_str()))),
            ("path", maybe(marker.map(|marker| marker.path.path.as_str()))),
            ("marker_mtime_ns", marker.map_or(ValueRef::Null, |m| ValueRef::Integer(m.mtime_ns))),
        ]
    }

    fn summary(&self) -> impl Serialize {
        #[derive(Serialize)]
        struct Summary<'a> {
            specimen: &'a str,
            round: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            marker: Option<String>,
        }
        let marker = marker(self).map(|marker| marker.path.to_string());
        Summary { specimen: &self.specimen, round: self.round, marker }
    }

    fn facts(&self) -> Option<Facts<'_>> {
        Some(Facts { specimen: &self.specimen, cell: None })
    }

    fn renumber(
        &mut self,
        _: &dyn Fn(u64) -> rusqlite::Result<Option<u64>>,
    ) -> rusqlite::Result<()> {
        Ok(())
    }
}

const fn marker(summary: &SpecimenSummary) -> Option<&Marker> {
    match &summary.cause {
        Cause::Quiet => None,
        Cause::Marker(marker) => Some(marker),
    }
}

/// The open specimens, from the later of `summarized_to` and what `meta` says.
pub(crate) fn open(
    connection: &Connection,
    not_after: Timestamp,
    summarized_to: u64,
    newest: u64,
) -> rusqlite::Result<OpenSpecimens> {
    let stored: u64 = connection
        .prepare_cached("SELECT specimens_to FROM meta")?
        .query_row([], |found| unsigned(found, 0))?;
    let from = summarized_to.max(stored);
    let mut found = OpenSpecimens { summarized_to: newest, ..OpenSpecimens::default() };
    let mut groups = connection.prepare_cached(
        "SELECT specimen, min(sequence), max(sequence), max(classified_ms) FROM results
         WHERE sequence > ?1 AND sequence <= ?2 AND superseded_by IS NULL AND specimen <> ''
         GROUP BY specimen",
    )?;
    let mut rows = groups.query([from.cast_signed(), newest.cast_signed()])?;
    while let Some(group) = rows.next()? {
        let specimen: String = group.get(0)?;
        let (first, last) = (unsigned(group, 1)?, unsigned(group, 2)?);
        let summarized = last_summary(connection, &specimen)?.map_or(0, |(sequence, _)| sequence);
        if summarized > last {
            continue;
        }
        found.summarized_to = found.summarized_to.min(summarized.max(first - 1));
        let at = Timestamp(group.get(3)?);
        if at > not_after {
            found.next = Some(found.next.map_or(at, |known| known.min(at)));
        } else if found.quiet.len() < AT_ONCE {
            found.quiet.push(specimen);
        }
    }
    Ok(found)
}

/// The sequence and the round of a specimen's last summary.
fn last_summary(connection: &Connection, specimen: &str) -> rusqlite::Result<Option<(u64, u64)>> {
    connection
        .prepare_cached(
            "SELECT sequence, round FROM specimens WHERE specimen = ?1
             ORDER BY sequence DESC LIMIT 1",
        )?
        .query_row([specimen], |found| Ok((unsigned(found, 0)?, unsigned(found, 1)?)))
        .optional()
}

/// Decides inside the writer's transaction: what became of it, and the event to store.
pub(crate) fn apply(
    connection: &Connection,
    next: u64,
    now: Timestamp,
    ask: Summarize,
) -> rusqlite::Result<(Marked, Option<Event>)> {
    let (specimen, cause, not_after) = match ask {
        Summarize::Nothing => {
            note_summarized(connection, next.saturating_sub(1))?;
            return Ok((Marked::Known, None));
        }
        Summarize::Quiet { specimen, not_after, summarized_to } => {
            note_summarized(connection, summarized_to)?;
            (specimen, Cause::Quiet, Some(not_after))
        }
        Summarize::Marked { specimen, marker } => {
            if is_served(connection, &specimen, &marker)? {
                return Ok((Marked::Known, None));
            }
            (specimen, Cause::Marker(marker), None)
        }
    };
    let query = SpecimenQuery { specimen, ..SpecimenQuery::default() };
    let counted = tally(connection, &query, i64::MAX.cast_unsigned())?;
    let (Some(first), Some(last)) = (counted.first, counted.last) else {
        return Ok((Marked::Early, None));
    };
    if not_after.is_some_and(|not_after| last > not_after) {
        return Ok((Marked::Early, None));
    }
    let before = last_summary(connection, &query.specimen)?;
    if before.is_some_and(|(sequence, _)| sequence > counted.newest) {
        return Ok((Marked::Known, None));
    }
    let summary = SpecimenSummary {
        sequence: next,
        specimen: query.specimen,
        round: before.map_or(0, |(_, round)| round) + 1,
        cause,
        cells: counted.cells,
        first_classified_at: first,
        last_classified_at: last,
        stored_at: now,
    };
    Ok((Marked::Stored, Some(Event::Specimen(Arc::new(summary)))))
}

fn note_summarized(connection: &Connection, sequence: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE meta SET specimens_to = ?1 WHERE specimens_to < ?1")?
        .execute([sequence.cast_signed()])
        .map(drop)
}

/// Whether this state of the marker has led to a summary before.
fn is_served(connection: &Connection, specimen: &str, marker: &Marker) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT 1 FROM specimens WHERE specimen = ?1 AND folder = ?2 AND path = ?3
               AND marker_mtime_ns = ?4",
        )?
        .exists(params![specimen, marker.path.folder, marker.path.path, marker.mtime_ns])
}

/// The live results that a query is about.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) cells: Tally,
    at_or_above: u64,
    newest: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

/// The results of the query's specimen and slide up to a newest sequence, as the parameters 1 to 3.
const NAMED: &str =
    "FROM results WHERE specimen = ?1 AND sequence <= ?2 AND (?3 IS NULL OR slide = ?3)";

/// Those that were live then.
const LIVE: &str = "AND (superseded_by IS NULL OR superseded_by > ?2)";

pub(super) fn tally(
    connection: &Connection,
    query: &SpecimenQuery,
    newest: u64,
) -> rusqlite::Result<Counted> {
    let mut counted = Counted::default();
    // Without a threshold the comparison is NULL and counts nothing; so does a rejection.
    let mut statement = connection.prepare_cached(&format!(
        "SELECT decision, count(*), min(classified_ms), max(classified_ms), max(sequence),
             coalesce(sum(p_all >= ?4), 0)
         {NAMED} {LIVE} GROUP BY decision"
    ))?;
    let mut rows = statement.query(params![
        query.specimen,
        newest.cast_signed(),
        query.slide,
        query.threshold
    ])?;
    while let Some(row) = rows.next()? {
        counted.cells.add(word(row, 0)?, unsigned(row, 1)?);
        let (first, last) = (Timestamp(row.get(2)?), Timestamp(row.get(3)?));
        counted.first = Some(counted.first.map_or(first, |known| known.min(first)));
        counted.last = counted.last.max(Some(last));
        counted.newest = counted.newest.max(unsigned(row, 4)?);
        counted.at_or_above += unsigned(row, 5)?;
    }
    Ok(counted)
}

/// The counts of one specimen or slide, up to `newest`; none when no result names it.
pub(crate) fn count(
    connection: &Connection,
    query: &SpecimenQuery,
    newest: u64,
) -> rusqlite::Result<Option<SpecimenCounts>> {
    let which = params![query.specimen, newest.cast_signed(), query.slide];
    if !connection.prepare_cached(&format!("SELECT 1 {NAMED} LIMIT 1"))?.exists(which)? {
        return Ok(None);
    }
    let counted = tally(connection, query, newest)?;
    let mut counts = SpecimenCounts {
        tally: counted.cells,
        slides: Vec::new(),
        at_or_above: counted.at_or_above,
        from_fields: connection
            .prepare_cached(&format!(
                "SELECT count(*) {NAMED} {LIVE} AND decision <> 'rejected' AND field IS NOT NULL"
            ))?
            .query_row(which, |row| unsigned(row, 0))?,
        score: score(connection, query, newest)?,
        models: connection
            .prepare_cached(&format!(
                "SELECT DISTINCT coalesce(model_digest, '') {NAMED} {LIVE}
                 AND decision <> 'rejected' LIMIT 2"
            ))?
            .query_map(which, |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?,
        first_classified_at: counted.first,
        last_classified_at: counted.last,
        as_of_sequence: newest,
    };
    let mut by_slide = connection.prepare_cached(&format!(
        "SELECT slide, decision, count(*), min(min(sequence)) OVER (PARTITION BY slide) AS first
         {NAMED} {LIVE} GROUP BY slide, decision ORDER BY first, slide"
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
            last.tally.add(word(row, 1)?, unsigned(row, 2)?);
        }
    }
    Ok(Some(counts))
}

/// What the cells of a specimen or slide say together.
fn score(
    connection: &Connection,
    query: &SpecimenQuery,
    newest: u64,
) -> rusqlite::Result<Option<Score>> {
    let which = params![query.specimen, newest.cast_signed(), query.slide];
    let from = format!("{NAMED} {LIVE} AND p_all IS NOT NULL AND is_doubted = 0 AND field IS NULL");
    let cells = connection
        .prepare_cached(&format!("SELECT count(*) {from}"))?
        .query_row(which, |row| unsigned(row, 0))?;
    let mut sorted = connection.prepare_cached(&format!("SELECT p_all {from} ORDER BY p_all"))?;
    let mut failed = Ok(());
    let logits = sorted.query_map(which, |row| row.get(0))?;
    let logits = logits.map_while(|p_all| match p_all {
        Ok(p_all) => Some(logit(p_all)),
        Err(error) => {
            failed = Err(error);
            None
        }
    });
    let score = trimmed_mean(logits, cells);
    failed.map(|()| score)
}
