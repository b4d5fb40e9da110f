//! The ledger: what became of each file that was ever seen.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::sql::{digest, stamp, unsigned};
use super::types::{CaptureState, FileStamp, FolderCounts, LedgerRow, Stored};
use crate::result::{CapturePath, Digest, Timestamp};

/// The row of one file, and the digest of the bytes that it held.
pub(super) fn row(
    connection: &Connection,
    path: &CapturePath,
) -> rusqlite::Result<Option<(LedgerRow, Option<Digest>)>> {
    connection
        .prepare_cached(
            "SELECT size, mtime_ns, ctime_ns, inode, state, sequence, digest FROM ledger
             WHERE folder = ?1 AND path = ?2",
        )?
        .query_row([&path.folder, &path.path], |row| {
            let (stamp, state, sequence) = (stamp(row, 0)?, row.get(4)?, unsigned(row, 5)?);
            Ok((LedgerRow { stamp, state, sequence }, digest(row, 6)?))
        })
        .optional()
}

/// The most names of one result's file.
const MOST_NAMES: i64 = 16;

/// Files whose rows lead to `sequence`, the one that was last seen first.
pub(super) fn files_of(
    connection: &Connection,
    sequence: u64,
) -> rusqlite::Result<Vec<CapturePath>> {
    connection
        .prepare_cached(
            "SELECT folder, path FROM ledger WHERE sequence = ?1
             ORDER BY updated_ms DESC, path LIMIT ?2",
        )?
        .query_map([sequence.cast_signed(), MOST_NAMES], |row| {
            Ok(CapturePath { folder: row.get(0)?, path: row.get(1)? })
        })?
        .collect()
}

/// Whether another file's row leads to `sequence` too.
pub(super) fn is_shared(
    connection: &Connection,
    path: &CapturePath,
    sequence: u64,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT 1 FROM ledger WHERE sequence = ?1 AND NOT (folder = ?2 AND path = ?3) LIMIT 1",
        )?
        .exists(params![sequence.cast_signed(), path.folder, path.path])
}

/// Makes the row of `path` lead to `stored`, and closes its account of crashes.
pub(super) fn lead(
    connection: &Connection,
    path: &CapturePath,
    stamp: FileStamp,
    digest: Option<Digest>,
    stored: &Stored,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO ledger (folder, path, size, mtime_ns, ctime_ns, inode, digest, state, sequence,
                updated_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (folder, path) DO UPDATE SET
                size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns,
                inode = excluded.inode, digest = excluded.digest, state = excluded.state,
                sequence = excluded.sequence, updated_ms = excluded.updated_ms",
        )?
        .execute(params![
            path.folder,
            path.path,
            stamp.size.cast_signed(),
            stamp.mtime_ns,
            stamp.ctime_ns,
            stamp.inode.cast_signed(),
            digest.map(|digest| digest.0),
            CaptureState::new(path, stored).as_str(),
            stored.sequence.cast_signed(),
            now.0,
        ])?;
    connection
        .prepare_cached("DELETE FROM crashes WHERE folder = ?1 AND path = ?2")?
        .execute([&path.folder, &path.path])?;
    Ok(())
}

/// Makes every row that leads to a rejection lead to the capture that supersedes it.
pub(super) fn lead_on(
    connection: &Connection,
    old: u64,
    new: u64,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE ledger SET sequence = ?1, state = 'duplicate', updated_ms = ?2
             WHERE sequence = ?3",
        )?
        .execute([new.cast_signed(), now.0, old.cast_signed()])
        .map(drop)
}

/// The rows of one watched folder, in numbers.
pub(super) fn folder_counts(
    connection: &Connection,
    folder: &str,
) -> rusqlite::Result<FolderCounts> {
    let count = |state: CaptureState| {
        connection
            .prepare_cached("SELECT count(*) FROM ledger WHERE folder = ?1 AND state = ?2")?
            .query_row([folder, state.as_str()], |row| unsigned(row, 0))
    };
    Ok(FolderCounts {
        done: count(CaptureState::Done)?,
        duplicates: count(CaptureState::Duplicate)?,
        rejected: count(CaptureState::Rejected)?,
    })
}

impl CaptureState {
    /// The word in the table.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Duplicate => "duplicate",
            Self::Rejected => "rejected",
        }
    }

    /// How the story of `path` ended when it leads to `stored`.
    pub(super) fn new(path: &CapturePath, stored: &Stored) -> Self {
        match stored.capture().and_then(|capture| capture.path()) {
            _ if stored.is_rejected() => Self::Rejected,
            Some(own) if own == path => Self::Done,
            _ => Self::Duplicate,
        }
    }
}

impl FromSql for CaptureState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_str()? {
            "done" => Ok(Self::Done),
            "duplicate" => Ok(Self::Duplicate),
            "rejected" => Ok(Self::Rejected),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}
