//! Which captures were in a worker's hands when the process died.
//!
//! Each worker has a small file that names what it works on. The file is written without a flush:
//! it survives the death of the process, and a power cut is no capture's fault. [`Journal::open`]
//! counts what it finds there, and the count stands until the capture has a result.
//!
//! Several captures are in hand when one of them kills the process. Those that were are worked on
//! alone from then on ([`Marks::enter`] sees to it), so that the second crash names the guilty one
//! only.
//!
//! [`Journal::open`]: super::Journal::open

use std::collections::HashSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::error::JournalError;
use super::sql::stamp;
use super::types::FileStamp;
use crate::result::{CapturePath, Digest, Timestamp};

const FOLDER: &str = "marks";

/// No mark is longer; what is, was not written by this program.
const LONGEST_MARK: u64 = 64 << 10;

/// A mark file's first line; the second is its SHA-256, without which a torn write would be
/// believed.
#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    mark: String,
    #[serde(flatten)]
    path: CapturePath,
    size: u64,
    mtime_ns: i64,
    ctime_ns: i64,
    inode: u64,
}

/// The marks of this process. One for each journal.
#[derive(Debug)]
pub struct Marks {
    folder: PathBuf,
    found: Vec<CapturePath>,
    suspects: Mutex<HashSet<CapturePath>>,
    alone: RwLock<()>,
}

impl Marks {
    /// Counts the marks that the last process left, and removes them.
    pub(super) fn open(
        directory: &Path,
        connection: &mut Connection,
        file: &Path,
        now: Timestamp,
    ) -> Result<Self, JournalError> {
        let folder = directory.join(FOLDER);
        let trouble = |error: std::io::Error| JournalError::io(&folder, &error);
        fs_err::create_dir_all(&folder).map_err(trouble)?;
        let mut left = Vec::new();
        let mut marks = Vec::new();
        for entry in fs_err::read_dir(&folder).map_err(trouble)? {
            let entry = entry.map_err(trouble)?;
            let is_file = entry.file_type().map_err(trouble)?.is_file();
            if !is_file || entry.path().extension().is_none_or(|kind| kind != "mark") {
                continue;
            }
            let length = entry.metadata().map_err(trouble)?.len();
            if (1..=LONGEST_MARK).contains(&length) {
                let text = fs_err::read(entry.path()).map_err(trouble)?;
                marks.extend(parse(&text));
            }
            left.push(entry.path());
        }
        let counted = count(connection, &marks, now).map_err(|e| JournalError::sqlite(file, &e));
        let found = match counted {
            Ok(found) => {
                for mark in left {
                    fs_err::remove_file(mark).map_err(trouble)?;
                }
                found
            }
            // The marks stay for the next start, as far as no worker writes over them until then.
            Err(error) if error.is_transient() => {
                tracing::error!(%error, "this death is not counted yet");
                marks.into_iter().map(|mark| mark.path).collect()
            }
            Err(error) => return Err(error),
        };
        for path in &found {
            tracing::warn!(capture = %path, "in work when leukd last died; it is tried again alone");
        }
        let mut suspects = suspects(connection).map_err(|e| JournalError::sqlite(file, &e))?;
        suspects.extend(found.iter().cloned());
        Ok(Self { folder, found, suspects: Mutex::new(suspects), alone: RwLock::new(()) })
    }

    /// The captures that were in a worker's hands when the last process died.
    #[must_use]
    pub fn suspects(&self) -> &[CapturePath] {
        &self.found
    }

    /// Notes that worker number `worker` has `path` in hand until the guard is dropped.
    ///
    /// Waits for the other workers to finish what they have in hand when `path` was there at a
    /// crash, and while another worker has such a capture: call it inside the job that touches the
    /// bytes, once.
    ///
    /// # Errors
    /// [`JournalError::Storage`] when the mark cannot be written; the capture can be worked on all
    /// the same, and a crash is then not blamed on it.
    pub fn enter(
        &self,
        worker: usize,
        path: &CapturePath,
        stamp: &FileStamp,
    ) -> Result<InHand<'_>, JournalError> {
        let is_suspect =
            self.suspects.lock().unwrap_or_else(PoisonError::into_inner).contains(path);
        let turn = if is_suspect {
            Turn::Alone(self.alone.write().unwrap_or_else(PoisonError::into_inner))
        } else {
            Turn::Shared(self.alone.read().unwrap_or_else(PoisonError::into_inner))
        };
        let name = self.folder.join(format!("worker-{worker}.mark"));
        let trouble = |error: std::io::Error| JournalError::io(&name, &error);
        let mark = Mark {
            mark: uuid::Uuid::new_v4().to_string(),
            path: path.clone(),
            size: stamp.size,
            mtime_ns: stamp.mtime_ns,
            ctime_ns: stamp.ctime_ns,
            inode: stamp.inode,
        };
        let line = serde_json::to_string(&mark).map_err(|error| trouble(error.into()))?;
        let text = format!("{line}\n{}\n", Digest::of(line.as_bytes()));
        let mut file = fs_err::File::create(&name).map_err(trouble)?;
        file.write_all(text.as_bytes()).map_err(trouble)?;
        Ok(InHand { file, _turn: turn })
    }

    /// Work on bytes that no capture of a folder has: it takes turns with a suspect, so that what
    /// such bytes do to the process is not blamed on it.
    pub fn share(&self) -> SharedTurn<'_> {
        SharedTurn(self.alone.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Clears every worker's mark: a process that ends on purpose while captures are in hand blames
    /// none.
    pub fn clear_all(&self) {
        let marks = fs_err::read_dir(&self.folder).into_iter().flatten().flatten();
        for mark in marks {
            if let Err(error) =
                fs_err::OpenOptions::new().write(true).truncate(true).open(mark.path())
            {
                tracing::warn!(%error, "a mark could not be cleared: a capture may be blamed wrongly");
            }
        }
    }

    /// The capture has a result: it may share the workers again.
    pub(super) fn acquit(&self, path: &CapturePath) {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }
}

/// See [`Marks::share`].
#[derive(Debug)]
#[must_use = "the turn lasts as long as this value"]
pub struct SharedTurn<'a>(#[expect(dead_code, reason = "held, not read")] RwLockReadGuard<'a, ()>);

/// One capture in one worker's hands. Dropped also when the worker panics, which is not a crash.
#[derive(Debug)]
#[must_use = "the mark lasts as long as this value"]
pub struct InHand<'a> {
    file: fs_err::File,
    _turn: Turn<'a>,
}

#[derive(Debug)]
enum Turn<'a> {
    Alone(#[expect(dead_code, reason = "held, not read")] RwLockWriteGuard<'a, ()>),
    Shared(#[expect(dead_code, reason = "held, not read")] RwLockReadGuard<'a, ()>),
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.file.set_len(0) {
            tracing::warn!(%error, "a mark could not be cleared: a later crash may blame a capture wrongly");
        }
    }
}

fn parse(text: &[u8]) -> Option<Mark> {
    let text = std::str::from_utf8(text).ok()?;
    let (line, digest) = text.strip_suffix('\n')?.split_once('\n')?;
    (digest.parse().ok() == Some(Digest::of(line.as_bytes())))
        .then(|| serde_json::from_str(line).ok())
        .flatten()
}

/// Adds one crash to each marked capture that has no result for its state yet. A mark that was
/// counted before (the process died between counting and removing) changes nothing.
fn count(
    connection: &mut Connection,
    marks: &[Mark],
    now: Timestamp,
) -> rusqlite::Result<Vec<CapturePath>> {
    let transaction = connection.transaction()?;
    let mut counted = Vec::new();
    for mark in marks {
        let state =
            (mark.size.cast_signed(), mark.mtime_ns, mark.ctime_ns, mark.inode.cast_signed());
        let is_done = transaction
            .prepare_cached(
                "SELECT 1 FROM ledger WHERE folder = ?1 AND path = ?2 AND size = ?3 AND mtime_ns = ?4
                 AND ctime_ns = ?5 AND inode = ?6",
            )?
            .exists(params![mark.path.folder, mark.path.path, state.0, state.1, state.2, state.3])?;
        if is_done {
            continue;
        }
        transaction
            .prepare_cached(
                "INSERT INTO crashes (folder, path, size, mtime_ns, ctime_ns, inode, count, mark, updated_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?8)
                 ON CONFLICT (folder, path) DO UPDATE SET
                    count = CASE
                        WHEN mark = excluded.mark THEN count
                        WHEN (size, mtime_ns, ctime_ns, inode) = (excluded.size, excluded.mtime_ns,
                            excluded.ctime_ns, excluded.inode) THEN count + 1
                        ELSE 1 END,
                    size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns,
                    inode = excluded.inode, mark = excluded.mark, updated_ms = excluded.updated_ms",
            )?
            .execute(params![
                mark.path.folder, mark.path.path, state.0, state.1, state.2, state.3, mark.mark, now.0
            ])?;
        counted.push(mark.path.clone());
    }
    transaction.commit()?;
    Ok(counted)
}

fn suspects(connection: &Connection) -> rusqlite::Result<HashSet<CapturePath>> {
    connection
        .prepare("SELECT folder, path FROM crashes ORDER BY updated_ms DESC LIMIT 10000")?
        .query_map([], |row| Ok(CapturePath { folder: row.get(0)?, path: row.get(1)? }))?
        .collect()
}

/// How often this state of the file was in hand at a crash.
pub(super) fn crash_count(
    connection: &Connection,
    path: &CapturePath,
    state: &FileStamp,
) -> rusqlite::Result<u32> {
    let found = connection
        .prepare_cached(
            "SELECT size, mtime_ns, ctime_ns, inode, count FROM crashes
             WHERE folder = ?1 AND path = ?2",
        )?
        .query_row([&path.folder, &path.path], |row| Ok((stamp(row, 0)?, row.get::<_, u32>(4)?)))
        .optional()?;
    Ok(found.filter(|(known, _)| known == state).map_or(0, |(_, count)| count))
}
