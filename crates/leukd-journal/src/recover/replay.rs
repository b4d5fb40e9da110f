//! Salvaged payloads → a new journal: each event is decoded, numbered anew, mended and stored as
//! the writer would.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::audit::Chain;
use crate::kinds::result::{by_head, live, live_head};
use crate::kinds::{self, Event};
use crate::ledger;
use crate::result::{CapturePath, Digest, Timestamp};
use crate::sql::{digest, stamp, unsigned};
use crate::types::{Counts, FileStamp};

/// How the new journal came out.
#[derive(Debug)]
pub(super) struct Replayed {
    /// Events that could be read, those that were left out included.
    pub(super) read: u64,
    /// Those that were not what the audit chain says.
    pub(super) altered: u64,
    /// The sequence that the next event gets.
    pub(super) next: u64,
}

/// Gives every salvaged event a new number. Retention had removed everything up to `removed_to`. To
/// call before [`events`].
pub(super) fn number(connection: &Connection, removed_to: u64) -> rusqlite::Result<Replayed> {
    let count = |sql: &str| connection.query_row(sql, [], |row| unsigned(row, 0));
    // Files whose results retention removed must not be new again: they lead to a number before all
    // others.
    let gone = connection.query_row(
        "SELECT count(*) FROM salvaged_ledger WHERE sequence <= ?1",
        [removed_to.cast_signed()],
        |row| unsigned(row, 0),
    )?;
    let before_all = u64::from(gone > 0);
    connection.execute_batch(&format!(
        "CREATE TEMP TABLE renumbered (old INTEGER PRIMARY KEY, sequence INTEGER NOT NULL);
         INSERT INTO renumbered SELECT sequence, {before_all} + row_number() OVER (ORDER BY sequence)
             FROM salvaged WHERE NOT altered;
         -- The end of a field of view is lost: the last of its cells stands for all of them.
         INSERT OR IGNORE INTO renumbered SELECT payload ->> '$.field', max(r.sequence)
             FROM salvaged s JOIN renumbered r ON r.old = s.sequence
             WHERE kind = 'result' AND payload ->> '$.field' IS NOT NULL GROUP BY 1;"
    ))?;
    Ok(Replayed {
        read: count("SELECT count(*) FROM salvaged")?,
        altered: count("SELECT count(*) FROM salvaged WHERE altered")?,
        next: before_all + count("SELECT count(*) FROM salvaged WHERE NOT altered")? + 1,
    })
}

/// The salvaged events that are replayed, by kind.
pub(super) fn counts(connection: &Connection) -> rusqlite::Result<Counts> {
    let mut counts = Counts::new();
    for (kind, _) in kinds::KINDS {
        let sql = "SELECT count(*) FROM salvaged WHERE kind = ?1 AND NOT altered";
        counts.insert(kind, connection.query_row(sql, [kind], |row| unsigned(row, 0))?);
    }
    Ok(counts)
}

/// The new number of the last event up to an old number; 0 for none.
pub(super) fn last_up_to(connection: &Connection, old: u64) -> rusqlite::Result<u64> {
    connection.query_row(
        "SELECT coalesce(max(sequence), 0) FROM renumbered WHERE old <= ?1",
        [old.cast_signed()],
        |row| unsigned(row, 0),
    )
}

/// Stores every numbered event, with its index rows and its record in the chain.
pub(super) fn events(
    connection: &Connection,
    chain: &mut Chain,
    removed_to: u64,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(
        "SELECT sequence, kind, payload FROM salvaged WHERE NOT altered ORDER BY sequence",
    )?;
    let mut rows = statement.query([])?;
    // The cells of one capture supersede the same one.
    let mut last = None;
    while let Some(row) = rows.next()? {
        let was = unsigned(row, 0)?;
        let event = kinds::decode(was, row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?)?;
        let old = event.supersedes().map(|(old, _)| old);
        let sequence = new_number(connection, was)?.unwrap_or(was);
        let mut event = event.renumbered(sequence, &|old| new_number(connection, old))?;
        if let Some((head, path, digest, supersedes)) = capture_of(&mut event) {
            let mended = match last {
                Some((same, mended)) if same == head => mended,
                _ => {
                    let is_lost = old.is_some_and(|old| old > removed_to) && supersedes.is_none();
                    superseded(connection, head, path, digest, *supersedes, is_lost)?
                }
            };
            last = Some((head, mended));
            *supersedes = mended;
        }
        let content = kinds::store(connection, &event)?;
        chain.adopt(connection, now, (&event, content), was)?;
    }
    Ok(())
}

/// The new number of an event, or of the capture that an old number stands for.
pub(super) fn new_number(connection: &Connection, old: u64) -> rusqlite::Result<Option<u64>> {
    connection
        .prepare_cached("SELECT sequence FROM renumbered WHERE old = ?1")?
        .query_row([old.cast_signed()], |row| unsigned(row, 0))
        .optional()
}

type CaptureParts<'a> = (u64, Option<CapturePath>, Option<Digest>, &'a mut Option<u64>);

fn capture_of(event: &mut Event) -> Option<CaptureParts<'_>> {
    let (head, capture, supersedes) = match event {
        Event::Result(record) => {
            let record = std::sync::Arc::make_mut(record);
            (record.head(), &record.capture, &mut record.supersedes)
        }
        Event::Field(field) => {
            let field = std::sync::Arc::make_mut(field);
            (field.sequence, &field.capture, &mut field.supersedes)
        }
        _ => return None,
    };
    Some((head, capture.path().cloned(), capture.digest, supersedes))
}

/// The capture that the one of `head` supersedes: the live one of the same bytes; or the one that
/// it names; or, where that is lost, the one before that of the same file.
fn superseded(
    connection: &Connection,
    head: u64,
    path: Option<CapturePath>,
    digest: Option<Digest>,
    named: Option<u64>,
    is_lost: bool,
) -> rusqlite::Result<Option<u64>> {
    let Some(path) = path else { return Ok(None) };
    if let Some(digest) = digest
        && let Some(same) = live_head(connection, &digest, head)?
    {
        return Ok(Some(same));
    }
    match named {
        Some(named) => {
            let is_live = kinds::superseded_by(connection, named)?.is_none();
            Ok(Some(named).filter(|_| is_live))
        }
        None if is_lost => newest_live(connection, &path, head),
        None => Ok(None),
    }
}

/// The newest live capture of a file, other than `own`.
fn newest_live(
    connection: &Connection,
    path: &CapturePath,
    own: u64,
) -> rusqlite::Result<Option<u64>> {
    connection
        .prepare_cached(
            "SELECT coalesce(field, sequence) AS head FROM results
             WHERE folder = ?1 AND path = ?2 AND superseded_by IS NULL AND head <> ?3
             UNION SELECT sequence FROM fields
             WHERE folder = ?1 AND path = ?2 AND superseded_by IS NULL AND sequence <> ?3
             ORDER BY head DESC LIMIT 1",
        )?
        .query_row(params![path.folder, path.path, own.cast_signed()], |row| unsigned(row, 0))
        .optional()
}

/// Fills the ledger: salvaged rows that fit a live capture, and those of files whose results
/// retention had removed. A file without a row leads to its newest capture, in a state that no file
/// has: it is looked at again.
pub(super) fn ledger(
    connection: &Connection,
    removed_to: u64,
    now: Timestamp,
) -> rusqlite::Result<u64> {
    connection.execute_batch(
        "CREATE INDEX replay_results ON results (folder, path);
         CREATE INDEX replay_fields ON fields (folder, path)",
    )?;
    let mut statement = connection.prepare(
        "SELECT folder, path, size, mtime_ns, ctime_ns, inode, digest, sequence FROM salvaged_ledger",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let path = CapturePath { folder: row.get(0)?, path: row.get(1)? };
        let digest = digest(row, 6)?;
        let stored = match digest {
            Some(digest) => live(connection, &digest)?,
            None => newest_live(connection, &path, 0)?
                .map(|head| by_head(connection, head))
                .transpose()?
                .flatten()
                .filter(|stored| stored.capture().is_some_and(|own| own.digest.is_none())),
        };
        if let Some(stored) = stored {
            ledger::lead(connection, &path, stamp(row, 2)?, digest, &stored, now)?;
        }
    }
    connection.execute(
        "INSERT OR IGNORE INTO ledger
         SELECT folder, path, size, mtime_ns, ctime_ns, inode, digest, 'done', 1, ?1
         FROM salvaged_ledger WHERE sequence <= ?2",
        params![now.0, removed_to.cast_signed()],
    )?;
    let mut statement = connection.prepare(
        "SELECT DISTINCT folder, path FROM
            (SELECT folder, path FROM results UNION SELECT folder, path FROM fields) AS f
         WHERE folder IS NOT NULL AND NOT EXISTS
            (SELECT 1 FROM ledger l WHERE l.folder = f.folder AND l.path = f.path)",
    )?;
    let files: Vec<CapturePath> = statement
        .query_map([], |row| Ok(CapturePath { folder: row.get(0)?, path: row.get(1)? }))?
        .collect::<rusqlite::Result<_>>()?;
    for path in files {
        if let Some(stored) =
            newest(connection, &path)?.map(|head| by_head(connection, head)).transpose()?.flatten()
        {
            let digest = stored.capture().and_then(|capture| capture.digest);
            ledger::lead(connection, &path, FileStamp::default(), digest, &stored, now)?;
        }
    }
    connection.execute_batch("DROP INDEX replay_results; DROP INDEX replay_fields")?;
    connection.query_row("SELECT count(*) FROM ledger", [], |row| unsigned(row, 0))
}

/// The newest capture of a file, or what superseded that.
fn newest(connection: &Connection, path: &CapturePath) -> rusqlite::Result<Option<u64>> {
    let mut head: Option<u64> = connection
        .prepare_cached(
            "SELECT coalesce(field, sequence) AS head FROM results WHERE folder = ?1 AND path = ?2
             UNION SELECT sequence FROM fields WHERE folder = ?1 AND path = ?2
             ORDER BY head DESC LIMIT 1",
        )?
        .query_row([&path.folder, &path.path], |row| unsigned(row, 0))
        .optional()?;
    // Later numbers supersede earlier ones, so that this ends.
    while let Some(own) = head
        && let Some(by) = kinds::superseded_by(connection, own)?.filter(|by| *by > own)
    {
        head = Some(by);
    }
    Ok(head)
}
