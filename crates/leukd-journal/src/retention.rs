//! Removes the oldest events. What is removed is always a prefix of the sequence.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::audit::{Chain, Retention};
use super::kinds::{self, KINDS};
use super::sql::{limit, unsigned};
use super::types::Counts;
use crate::result::Timestamp;

/// How many events one transaction removes: few enough that a commit never waits long for it.
const BATCH: usize = 512;

/// How many events are looked at for it: more, because those of senseless times tell nothing by
/// themselves.
const LOOK: usize = 16 * BATCH;

/// Free pages that stay in the file for the events to come: 16 MiB of 4 KiB pages.
const SPARE_PAGES: i64 = 4096;

/// 2020-01-01T00:00:00Z: no leukd is older, so whatever says so was written by a clock that was not
/// set.
const EARLIEST: Timestamp = Timestamp(1_577_836_800_000);

/// What is a day ahead of retention's own time was written by a clock that was wrong.
const AHEAD_MS: i64 = 24 * 3600 * 1000;

/// How long and how many events are kept.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Keep {
    /// What was classified or reviewed longer ago is removed.
    pub(super) keep_for: Option<Duration>,
    /// Only so many of the newest stay.
    pub(super) keep_count: Option<u64>,
    /// This event and those after it stay.
    pub(super) held: Option<u64>,
}

/// What one batch removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pruned {
    /// How many events.
    pub(super) removed: u64,
    /// The oldest that is left; 0 when none is.
    pub(super) oldest: u64,
    /// There may be more to remove.
    pub(super) more: bool,
}

/// Removes one batch of what is past its time at `now`; `wall` is what the record of it says.
pub(super) fn prune(
    connection: &mut Connection,
    chain: &mut Chain,
    keep: Keep,
    now: Timestamp,
    wall: Timestamp,
) -> rusqlite::Result<Pruned> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let newest = transaction
        .query_row("SELECT next_sequence FROM meta", [], |row| unsigned(row, 0))?
        .saturating_sub(1);
    let too_many = keep.keep_count.map_or(0, |count| newest.saturating_sub(count));
    let too_old = keep
        .keep_for
        .map(|span| now.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)));
    let (mut past, mut going): (Vec<u64>, usize) = (Vec::new(), 0);
    let mut statement = transaction
        .prepare_cached("SELECT sequence, at_ms FROM events ORDER BY sequence LIMIT ?1")?;
    let mut rows = statement.query([limit(LOOK)])?;
    while let Some(row) = rows.next()? {
        let (sequence, at) = (unsigned(row, 0)?, row.get::<_, i64>(1)?);
        let is_sensible = EARLIEST.0 <= at && at <= now.0.saturating_add(AHEAD_MS);
        let is_too_old = is_sensible && too_old.is_some_and(|limit| at < limit);
        if keep.held.is_some_and(|held| sequence >= held) {
            break;
        }
        let goes = is_too_old || sequence <= too_many;
        if !goes && (is_sensible || too_old.is_none()) {
            break;
        }
        past.push(sequence);
        if goes {
            going = past.len();
        }
    }
    drop(rows);
    drop(statement);
    // An impossible time says nothing: such an event goes with the first one after it that is too
    // old.
    past.truncate(going.min(BATCH));
    if let Some(last) = past.last() {
        let mut removed = Counts::new();
        for (kind, table) in KINDS {
            let sql = format!("DELETE FROM {table} WHERE sequence <= ?1");
            let count = transaction.prepare_cached(&sql)?.execute([last.cast_signed()])? as u64;
            if count > 0 {
                removed.insert(kind, count);
            }
        }
        transaction
            .prepare_cached("DELETE FROM events WHERE sequence <= ?1")?
            .execute([last.cast_signed()])?;
        let from = past.first().copied().unwrap_or(*last);
        chain.retention(&transaction, wall, &Retention { from, to: *last, removed })?;
        chain.store(&transaction)?;
    }
    let (oldest, _) = kinds::ends(&transaction)?;
    transaction.commit()?;
    if !past.is_empty() {
        give_back(connection)?;
    }
    Ok(Pruned { removed: past.len() as u64, oldest, more: past.len() == BATCH })
}

/// Returns some free pages to the file system, so that retention also helps a disk at its floor.
fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    let free: i64 = connection.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    if free > SPARE_PAGES {
        // Each step frees one page and gives one row.
        let mut statement = connection.prepare_cached("PRAGMA incremental_vacuum(1024)")?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(())
}
