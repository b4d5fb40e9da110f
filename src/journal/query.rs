//! What can be read. All of it blocks for a moment: call it from a worker or through `spawn_blocking`.
//!
//! Answers end at the newest published sequence, so that no reader sees a result before the others can.

use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params_from_iter};

use super::filter::Filter;
use super::reviews::verdict_sql;
use super::row::{self, COLUMNS, PATH_COLUMN};
use super::tail::{self, Batch};
use super::types::{FileStamp, LedgerRow};
use super::{Journal, JournalError, crash, event, settle, tables};
use crate::result::{CapturePath, CellIds, Digest, Record};
use crate::review::Verdict;

/// How many rows one statement of a listing with a glob walks along before it lets go of its snapshot.
const STRIDE: usize = 4096;

/// How many strides one listing makes at the most: a glob that matches little or nothing must not walk a journal of
/// millions in one call.
const MOST_STRIDES: usize = 16;

/// The most events that one read gives, whatever its limit: nobody holds the journal in memory.
pub const MAX_READ: usize = 4096;

/// The most names of one result's file.
const MOST_NAMES: i64 = 16;

/// Which one result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// By its place.
    Sequence(u64),
    /// By its UUID.
    ResultId(String),
    /// The latest result of this file, or of the name under which its bytes were known already.
    Path(CapturePath),
}

/// One page of a listing.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Which results.
    pub filter: Filter,
    /// Only live ones that stand so now. None: any.
    pub verdict: Option<Verdict>,
    /// [`Page::next`] of the page before; none for the first.
    pub after: Option<u64>,
    /// The most results of the page: 1 to [`MAX_READ`].
    pub limit: usize,
    /// Descending instead of ascending.
    pub newest_first: bool,
}

/// A part of a listing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// At most [`ListQuery::limit`] results.
    pub records: Vec<Arc<Record>>,
    /// Where the next page goes on; none when this is the last one.
    pub next: Option<u64>,
}

/// The ledger of one folder, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FolderCounts {
    /// Captures with a result of their own.
    pub done: u64,
    /// Captures whose bytes have another capture's result.
    pub duplicates: u64,
    /// Captures that were rejected and have not come back whole.
    pub rejected: u64,
}

impl Journal {
    /// Events with a sequence above `after`, ascending, at most `limit` and [`MAX_READ`]; none when there
    /// are none yet.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn read_after(&self, after: u64, limit: usize) -> Result<Batch, JournalError> {
        let limit = limit.min(MAX_READ);
        if let Some(batch) = self.recent(after, limit) {
            return Ok(batch);
        }
        let newest = self.bounds().newest;
        self.read(|connection| {
            // One snapshot for all statements: retention may work in between.
            let snapshot = connection.unchecked_transaction()?;
            let oldest = tables::oldest(&snapshot)?;
            let mut gap = tail::gap(after, oldest, newest);
            if let Some((_, last)) = &mut gap {
                // Retention may have passed what is published of it, but a cursor never passes that.
                *last = (*last).min(newest);
            }
            Ok(Batch { events: event::read(&snapshot, after, newest, limit)?, gap })
        })
    }

    /// The same from memory alone, without blocking; none when the cursor lies before what is held there.
    #[must_use]
    pub fn recent(&self, after: u64, limit: usize) -> Option<Batch> {
        self.inner.shared.tail(|tail| tail.read_after(after, limit.min(MAX_READ)))
    }

    /// The ledger's row of one file; none when the file is new.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn ledger(&self, path: &CapturePath) -> Result<Option<LedgerRow>, JournalError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT size, mtime_ns, ctime_ns, inode, state, sequence FROM captures
                     WHERE folder = ?1 AND path = ?2",
                )?
                .query_row([&path.folder, &path.path], |row| {
                    Ok(LedgerRow {
                        stamp: row::stamp(row, 0)?,
                        state: row.get(4)?,
                        sequence: row::unsigned(row, 5)?,
                    })
                })
                .optional()
        })
    }

    /// The live folder result of these bytes, a rejection included.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn known(&self, sha256: &Digest) -> Result<Option<Arc<Record>>, JournalError> {
        self.read(|connection| settle::live(connection, sha256)).map(|found| found.map(Arc::new))
    }

    /// The result of an earlier request with these bytes, ids and model (empty: no model saw it).
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn known_request(
        &self,
        sha256: &Digest,
        ids: &CellIds,
        model_digest: &str,
    ) -> Result<Option<Arc<Record>>, JournalError> {
        self.read(|connection| settle::known_request(connection, sha256, ids, model_digest))
            .map(|found| found.map(Arc::new))
    }

    /// How often this state of the file was in a worker's hands when the process died.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn crash_count(&self, path: &CapturePath, stamp: &FileStamp) -> Result<u32, JournalError> {
        self.read(|connection| crash::crash_count(connection, path, stamp))
    }

    /// One result; none when there is none, or no longer.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn get(&self, which: &Lookup) -> Result<Option<Arc<Record>>, JournalError> {
        let newest = self.bounds().newest;
        if let Lookup::Sequence(sequence) = which
            && let Some(record) = self.inner.shared.tail(|tail| tail.get(*sequence))
        {
            return Ok(Some(record));
        }
        let found = self.read(|connection| read_result(connection, which))?;
        Ok(found.filter(|record| record.sequence <= newest).map(Arc::new))
    }

    /// Files that led to the result at `sequence`, under the names that they were last seen under first: the
    /// one that it was made from, and those that held the same bytes. At most [`MOST_NAMES`].
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn files_of(&self, sequence: u64) -> Result<Vec<CapturePath>, JournalError> {
        self.read(|connection| {
            let sql = "SELECT folder, path FROM captures WHERE sequence = ?1
                       ORDER BY updated_ms DESC, path LIMIT ?2";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([sequence.cast_signed(), MOST_NAMES], |row| {
                Ok(CapturePath { folder: row.get(0)?, path: row.get(1)? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// One page of the results that a filter lets through. With a glob a page may be short, or empty, before the
    /// last one: a call walks along 65,536 results at the most.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn list(&self, query: &ListQuery) -> Result<Page, JournalError> {
        let limit = query.limit.clamp(1, MAX_READ);
        let newest = self.bounds().newest;
        let mut cursor = query.after;
        let mut records: Vec<Arc<Record>> = Vec::new();
        let mut strides = 0;
        // One more than asked for tells whether there is a next page.
        while records.len() <= limit {
            if strides == MOST_STRIDES {
                return Ok(Page { records, next: cursor });
            }
            strides += 1;
            let wanted = limit + 1 - records.len();
            let (walked, last) = self.read(|connection| {
                stride(connection, query, newest, cursor, wanted, &mut records)
            })?;
            if !walked {
                break;
            }
            cursor = last;
        }
        let more = records.len() > limit;
        records.truncate(limit);
        let next = records.last().filter(|_| more).map(|record| record.sequence);
        Ok(Page { records, next })
    }

    /// The ledger of one watched folder, in numbers.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn folder_counts(&self, folder: &str) -> Result<FolderCounts, JournalError> {
        self.read(|connection| {
            let count = |state: &str| {
                connection
                    .prepare_cached(
                        "SELECT count(*) FROM captures WHERE folder = ?1 AND state = ?2",
                    )?
                    .query_row([folder, state], |row| row::unsigned(row, 0))
            };
            Ok(FolderCounts {
                done: count("done")?,
                duplicates: count("duplicate")?,
                rejected: count("rejected")?,
            })
        })
    }

    pub(super) fn read<T>(
        &self,
        look: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, JournalError> {
        let connection = self.inner.readers.take()?;
        look(&connection).map_err(|error| self.inner.shared.trouble(&error))
    }
}

/// One result, by whatever names it.
pub(super) fn read_result(
    connection: &Connection,
    which: &Lookup,
) -> rusqlite::Result<Option<Record>> {
    match which {
        Lookup::Sequence(sequence) => settle::by_sequence(connection, *sequence),
        Lookup::ResultId(id) => connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM results WHERE result_id = ?1"))?
            .query_row([id], row::record)
            .optional(),
        Lookup::Path(path) => connection
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM results WHERE sequence =
                    (SELECT sequence FROM captures WHERE folder = ?1 AND path = ?2)"
            ))?
            .query_row([&path.folder, &path.path], row::record)
            .optional(),
    }
}

/// Adds up to `wanted` matching results that follow `cursor`. Tells whether there may be more, and where
/// to go on.
fn stride(
    connection: &Connection,
    query: &ListQuery,
    newest: u64,
    cursor: Option<u64>,
    wanted: usize,
    records: &mut Vec<Arc<Record>>,
) -> rusqlite::Result<(bool, Option<u64>)> {
    let (mut conditions, mut values) = query.filter.to_sql();
    conditions.push("sequence <= ?".to_owned());
    values.push(Value::Integer(newest.cast_signed()));
    if let Some(verdict) = query.verdict {
        conditions.push(verdict_sql(verdict).to_owned());
        values.push(Value::Integer(newest.cast_signed()));
    }
    if let Some(cursor) = cursor {
        conditions.push(format!("sequence {} ?", if query.newest_first { '<' } else { '>' }));
        values.push(Value::Integer(cursor.cast_signed()));
    }
    let rows_at_most = if query.filter.has_glob() { STRIDE } else { wanted };
    values.push(Value::Integer(i64::try_from(rows_at_most).unwrap_or(i64::MAX)));
    let sql = format!(
        "SELECT {COLUMNS} FROM results WHERE {} ORDER BY sequence {} LIMIT ?",
        conditions.join(" AND "),
        if query.newest_first { "DESC" } else { "ASC" }
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut walked, mut last, mut found) = (0, cursor, 0);
    while let Some(row) = rows.next()? {
        walked += 1;
        last = Some(row::unsigned(row, 0)?);
        if query.filter.admits_path(row.get_ref(PATH_COLUMN)?.as_str_or_null()?) {
            records.push(Arc::new(row::record(row)?));
            found += 1;
            if found == wanted {
                return Ok((true, last));
            }
        }
    }
    Ok((walked == rows_at_most, last))
}
