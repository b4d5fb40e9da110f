//! What one entry becomes. The rules stand in the room's own documentation.

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::Connection;

use super::error::ApplyError;
use super::kinds::result::{by_head, is_taken, known_field_request, known_request, live};
use super::kinds::{self, Event};
use super::ledger;
use super::types::{Entry, FieldRequest, FileStamp, Found, Stored};
use crate::result::{
    CaptureKind, CellIds, Decision, Field, Finding, Record, ScaleSource, Tally, Timestamp,
};

/// What became of an entry.
#[derive(Debug)]
pub(super) enum Outcome {
    /// These are the newest events, with the digests of their payloads.
    Stored(Stored, Vec<(Event, blake3::Hash)>),
    /// The capture was there already.
    Known(Stored),
}

/// Applies `entry` inside the writer's transaction. New events are numbered from `next` on.
pub(super) fn apply(
    connection: &Connection,
    entry: Entry,
    next: u64,
    now: Timestamp,
) -> Result<Outcome, ApplyError> {
    match entry {
        Entry::Capture { stamp, found } => capture(connection, stamp, found, next, now),
        Entry::Alias { path, stamp, digest, sequence } => {
            let Some(live) = live(connection, &digest)? else {
                return Err(ApplyError::Stale(sequence));
            };
            ledger::lead(connection, &path, stamp, Some(digest), &live, now)?;
            Ok(Outcome::Known(live))
        }
        Entry::Request { found } => request(connection, found, next, now),
    }
}

fn capture(
    connection: &Connection,
    stamp: FileStamp,
    found: Found,
    next: u64,
    now: Timestamp,
) -> Result<Outcome, ApplyError> {
    let Some(path) = found.capture.path().cloned() else {
        return Err(refused("a folder's capture names a request as its source"));
    };
    check(&found)?;
    let previous = ledger::row(connection, &path)?;
    let digest = found.capture.digest;
    let mut replaced_rejection = None;
    if let Some(digest) = &digest {
        if let Some(live) = live(connection, digest)? {
            if !live.is_rejected() || found.is_rejected() {
                ledger::lead(connection, &path, stamp, Some(*digest), &live, now)?;
                return Ok(Outcome::Known(live));
            }
            replaced_rejection = Some(live.sequence);
        }
    } else if let Some((row, _)) =
        previous.as_ref().filter(|(row, digest)| digest.is_none() && row.stamp == stamp)
        && let Some(known) = by_head(connection, row.sequence)?
    {
        return Ok(Outcome::Known(known));
    }
    let supersedes = match (replaced_rejection, &previous) {
        (Some(rejection), _) => Some(rejection),
        (None, Some((row, _))) if !ledger::is_shared(connection, &path, row.sequence)? => {
            Some(row.sequence)
        }
        _ => None,
    };
    let (stored, events) = store(connection, found, next, supersedes, now)?;
    if let Some(old) = replaced_rejection {
        ledger::lead_on(connection, old, stored.sequence, now)?;
    }
    ledger::lead(connection, &path, stamp, digest, &stored, now)?;
    Ok(Outcome::Stored(stored, events))
}

fn request(
    connection: &Connection,
    found: Found,
    next: u64,
    now: Timestamp,
) -> Result<Outcome, ApplyError> {
    if found.capture.path().is_some() {
        return Err(refused("a request's capture names a folder as its source"));
    }
    check(&found)?;
    if let Some(known) = known(connection, &found)? {
        return Ok(Outcome::Known(known));
    }
    let (stored, events) = store(connection, found, next, None, now)?;
    Ok(Outcome::Stored(stored, events))
}

/// The capture of an earlier request that asked for the same.
fn known(connection: &Connection, found: &Found) -> rusqlite::Result<Option<Stored>> {
    let Some(digest) = &found.capture.digest else { return Ok(None) };
    let cell = found.cells.first();
    let model = cell.and_then(|cell| cell.model.as_ref()).map_or("", |model| &model.digest);
    let no_ids = CellIds::default();
    let ids = cell.map_or(&no_ids, |cell| &cell.ids);
    if found.capture.kind == CaptureKind::Cell {
        return known_request(connection, digest, ids, model);
    }
    let given = found.figures.filter(|own| own.scale_source == ScaleSource::Given);
    let micrometres_per_pixel = given.map(|own| own.micrometres_per_pixel);
    known_field_request(connection, &FieldRequest { digest, ids, model, micrometres_per_pixel })
}

/// Numbers and stores the events of a capture: one for each cell, and one that closes a field of
/// view.
fn store(
    connection: &Connection,
    found: Found,
    next: u64,
    supersedes: Option<u64>,
    now: Timestamp,
) -> Result<(Stored, Vec<(Event, blake3::Hash)>), ApplyError> {
    let Found { capture, cells, figures, took_us } = found;
    let is_field = capture.kind == CaptureKind::Field;
    let head = next + if is_field { cells.len() as u64 } else { 0 };
    let (mut records, mut events) = (Vec::with_capacity(cells.len()), Vec::new());
    let mut put = |event: Event| -> rusqlite::Result<()> {
        let content = kinds::store(connection, &event)?;
        events.push((event, content));
        Ok(())
    };
    let mut tally = Tally::default();
    for (sequence, cell) in (next..).zip(cells) {
        tally.add(cell.decision, 1);
        let record = Arc::new(Record {
            sequence,
            supersedes,
            field: is_field.then_some(head),
            capture: capture.clone(),
            finding: with_free_id(connection, cell)?,
        });
        put(Event::Result(Arc::clone(&record)))?;
        records.push(record);
    }
    let field = is_field.then(|| {
        Arc::new(Field {
            sequence: head,
            supersedes,
            capture,
            cells: tally,
            figures,
            took_us,
            stored_at: now,
        })
    });
    if let Some(field) = &field {
        put(Event::Field(Arc::clone(field)))?;
    }
    Ok((Stored { sequence: head, field, records }, events))
}

/// An id is a capture's from its discovery on. When a commit reached the disk although it reported
/// an error, and the capture then became another result, that one needs an id of its own.
fn with_free_id(connection: &Connection, mut finding: Finding) -> rusqlite::Result<Finding> {
    finding.quality = finding.quality.map(crate::result::Figures::finite);
    if is_taken(connection, &finding.result_id)? {
        let fresh = uuid::Uuid::now_v7().to_string();
        tracing::info!(result_id = finding.result_id, fresh, "the id is taken: it gets another");
        finding.result_id = fresh;
    }
    Ok(finding)
}

/// What contradicts itself, or could not be given back as it was.
fn check(found: &Found) -> Result<(), ApplyError> {
    if found.capture.kind == CaptureKind::Cell && found.cells.len() != 1 {
        return Err(refused("a capture of a cell has one result"));
    }
    let mut ordinals = HashSet::new();
    for cell in &found.cells {
        if !ordinals.insert(cell.ordinal) {
            return Err(refused("two of its cells have the same ordinal"));
        }
        match cell.p_all {
            Some(p_all) if !(0.0..=1.0).contains(&p_all) => {
                return Err(refused("a probability is no number from 0 to 1"));
            }
            None if cell.decision != Decision::Rejected => {
                return Err(refused("it has a decision but no probability"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn refused(reason: &str) -> ApplyError {
    ApplyError::Refused(reason.to_owned())
}
