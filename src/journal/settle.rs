//! What one entry does to the tables. The rules stand in the room's own documentation.

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};

use super::row::{self, COLUMNS, Sha};
use super::types::{CaptureState, Entry, FileStamp};
use crate::result::{CapturePath, Decision, Digest, Finding, Record, Source, Timestamp};

/// What became of an entry.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is the newest result; with the digest of its row.
    Stored(Record, blake3::Hash),
    /// There was one already.
    Known(Record),
}

/// Why an entry came to nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It contradicts itself.
    Refused(String),
    /// It is an alias of this result, which is not live.
    Stale(u64),
    /// SQLite said no.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig) => {
                Self::Refused(error.to_string())
            }
            _ => Self::Sqlite(error),
        }
    }
}

/// The ledger's row of one path, as far as it matters here.
struct Previous {
    stamp: FileStamp,
    sha256: Option<Digest>,
    sequence: u64,
}

/// Applies `entry` inside the writer's transaction. A new result gets the sequence `next`.
pub(super) fn settle(
    connection: &Connection,
    entry: Entry,
    next: u64,
    now: Timestamp,
) -> Result<Outcome, Trouble> {
    match entry {
        Entry::Capture { path, stamp, finding } => {
            capture(connection, &path, stamp, finding, next, now)
        }
        Entry::Alias { path, stamp, sha256, sequence } => {
            let Some(live) = live(connection, &sha256)? else {
                return Err(Trouble::Stale(sequence));
            };
            lead(connection, &path, stamp, Some(sha256), &live, now)?;
            Ok(Outcome::Known(live))
        }
        Entry::Request { finding } => request(connection, finding, next),
    }
}

fn capture(
    connection: &Connection,
    path: &CapturePath,
    stamp: FileStamp,
    finding: Finding,
    next: u64,
    now: Timestamp,
) -> Result<Outcome, Trouble> {
    if !matches!(&finding.source, Source::Folder(own) if own == path) {
        return Err(Trouble::Refused("its finding names another source".to_owned()));
    }
    check(&finding)?;
    let previous = previous(connection, path)?;
    let mut replaced_rejection = None;
    if let Some(sha256) = finding.sha256 {
        if let Some(live) = live(connection, &sha256)? {
            if live.finding.decision != Decision::Rejected || finding.decision == Decision::Rejected
            {
                lead(connection, path, stamp, Some(sha256), &live, now)?;
                return Ok(Outcome::Known(live));
            }
            replaced_rejection = Some(live.sequence);
        }
    } else if let Some(same) =
        previous.as_ref().filter(|row| row.sha256.is_none() && row.stamp == stamp)
        && let Some(known) = by_sequence(connection, same.sequence)?
    {
        return Ok(Outcome::Known(known));
    }
    let supersedes = match (replaced_rejection, &previous) {
        (Some(rejection), _) => Some(rejection),
        (None, Some(row)) if !is_shared(connection, path, row.sequence)? => Some(row.sequence),
        _ => None,
    };
    // Before the new result comes in: no two live results have the same bytes.
    if let Some(old) = supersedes {
        connection
            .prepare_cached(
                "UPDATE results SET superseded_by = ?1 WHERE sequence = ?2 AND superseded_by IS NULL",
            )?
            .execute([next.cast_signed(), old.cast_signed()])?;
    }
    if let Some(old) = replaced_rejection {
        connection
            .prepare_cached(
                "UPDATE captures SET sequence = ?1, state = 'duplicate', updated_ms = ?2
                 WHERE sequence = ?3",
            )?
            .execute([next.cast_signed(), now.0, old.cast_signed()])?;
    }
    let finding = with_free_id(connection, finding)?;
    let record = Record { sequence: next, supersedes, finding };
    let content = row::insert(connection, &record)?;
    lead(connection, path, stamp, record.finding.sha256, &record, now)?;
    Ok(Outcome::Stored(record, content))
}

fn request(connection: &Connection, finding: Finding, next: u64) -> Result<Outcome, Trouble> {
    if !matches!(finding.source, Source::Rpc { .. }) {
        return Err(Trouble::Refused(
            "a request's finding names a folder as its source".to_owned(),
        ));
    }
    check(&finding)?;
    if let Some(sha256) = finding.sha256 {
        let model = finding.model.as_ref().map_or("", |model| model.digest.as_str());
        if let Some(known) = known_request(connection, &sha256, &finding.ids, model)? {
            return Ok(Outcome::Known(known));
        }
    }
    let finding = with_free_id(connection, finding)?;
    let record = Record { sequence: next, supersedes: None, finding };
    let content = row::insert(connection, &record)?;
    Ok(Outcome::Stored(record, content))
}

/// An id is a capture's from its discovery on. When a commit reached the disk although it reported an error, and the capture
/// then became another result, that one needs an id of its own.
fn with_free_id(connection: &Connection, mut finding: Finding) -> rusqlite::Result<Finding> {
    let is_taken = connection
        .prepare_cached("SELECT 1 FROM results WHERE result_id = ?1")?
        .exists([&finding.result_id])?;
    if is_taken {
        let fresh = uuid::Uuid::now_v7().to_string();
        tracing::info!(result_id = finding.result_id, fresh, "the id is taken: it gets another");
        finding.result_id = fresh;
    }
    Ok(finding)
}

/// What the tables could not hold, or could not give back as it was.
fn check(finding: &Finding) -> Result<(), Trouble> {
    let refuse = |reason: &str| Err(Trouble::Refused(reason.to_owned()));
    let probabilities = &finding.probabilities;
    if probabilities.iter().any(|class| !class.probability.is_finite()) {
        return refuse("a probability is not a finite number");
    }
    if finding.label.is_some() && finding.label_probability().is_none() {
        return refuse("its label is none of its classes");
    }
    if finding.label.is_none() && finding.decision != Decision::Rejected {
        return refuse("it has a decision but no label");
    }
    Ok(())
}

fn previous(connection: &Connection, path: &CapturePath) -> rusqlite::Result<Option<Previous>> {
    connection
        .prepare_cached(
            "SELECT size, mtime_ns, ctime_ns, inode, sha256, sequence FROM captures
             WHERE folder = ?1 AND path = ?2",
        )?
        .query_row([&path.folder, &path.path], |row| {
            Ok(Previous {
                stamp: row::stamp(row, 0)?,
                sha256: row.get::<_, Option<Sha>>(4)?.map(|sha| sha.0),
                sequence: row::unsigned(row, 5)?,
            })
        })
        .optional()
}

/// True when another file's row leads to `sequence` too.
fn is_shared(connection: &Connection, path: &CapturePath, sequence: u64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT 1 FROM captures WHERE sequence = ?1 AND NOT (folder = ?2 AND path = ?3) LIMIT 1",
        )?
        .exists(params![sequence.cast_signed(), path.folder, path.path])
}

/// Makes the ledger's row of `path` lead to `record`, and closes its account of crashes.
fn lead(
    connection: &Connection,
    path: &CapturePath,
    stamp: FileStamp,
    sha256: Option<Digest>,
    record: &Record,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO captures (folder, path, size, mtime_ns, ctime_ns, inode, sha256, state, sequence,
                updated_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (folder, path) DO UPDATE SET
                size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns,
                inode = excluded.inode, sha256 = excluded.sha256, state = excluded.state,
                sequence = excluded.sequence, updated_ms = excluded.updated_ms",
        )?
        .execute(params![
            path.folder,
            path.path,
            stamp.size.cast_signed(),
            stamp.mtime_ns,
            stamp.ctime_ns,
            stamp.inode.cast_signed(),
            sha256.map(Sha),
            CaptureState::of(path, record).as_str(),
            record.sequence.cast_signed(),
            now.0,
        ])?;
    connection
        .prepare_cached("DELETE FROM crashes WHERE folder = ?1 AND path = ?2")?
        .execute([&path.folder, &path.path])?;
    Ok(())
}

/// The one result of `sequence`.
pub(super) fn by_sequence(
    connection: &Connection,
    sequence: u64,
) -> rusqlite::Result<Option<Record>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM results WHERE sequence = ?1"))?
        .query_row([sequence.cast_signed()], row::record)
        .optional()
}

/// The live folder result of these bytes.
pub(super) fn live(connection: &Connection, sha256: &Digest) -> rusqlite::Result<Option<Record>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM results
             WHERE sha256 = ?1 AND source = 'folder' AND superseded_by IS NULL"
        ))?
        .query_row([Sha(*sha256)], row::record)
        .optional()
}

/// The result of an earlier request with these bytes, ids and model.
pub(super) fn known_request(
    connection: &Connection,
    sha256: &Digest,
    ids: &crate::result::CellIds,
    model_digest: &str,
) -> rusqlite::Result<Option<Record>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM results
             WHERE source = 'rpc' AND sha256 = ?1 AND specimen = ?2 AND slide = ?3 AND cell = ?4
               AND coalesce(model_digest, '') = ?5
             ORDER BY sequence LIMIT 1"
        ))?
        .query_row(
            params![Sha(*sha256), ids.specimen, ids.slide, ids.cell, model_digest],
            row::record,
        )
        .optional()
}
