//! A backup of a journal at work, and a journal out of a backup.
//!
//! A backup is one SQLite file without a write-ahead log: the journal as it was at one moment. It
//! is verified before it gets its name. A restored journal begins a new epoch: events that were
//! stored after the backup are not in it, and their numbers are given again.

use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::audit::{NewEpoch, Restored as RestoredRecord};
use super::check::{Report, check};
use super::epoch::{self, EpochReason, FileMark};
use super::error::JournalError;
use super::file_id::with_suffix;
use super::lock::DirectoryLock;
use super::schema;
use super::types::{Counts, FILE};
use crate::clock::Clock;
use crate::result::{Digest, Timestamp};

/// Pages between two reports of progress: 8 MiB.
const PAGES: i32 = 2048;

/// How the file of a backup under way begins.
const PART: &str = ".leukd-backup-";

/// Bytes that are hashed at once.
const AT_ONCE: usize = 1 << 20;

/// How long a step waits for another program's lock.
const WAIT: Duration = Duration::from_secs(10);

/// The pause between two tries of a step.
const PAUSE: Duration = Duration::from_millis(50);

/// Reports bytes done, and bytes in all.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// A backup that was made and verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackedUp {
    /// The backup's file.
    pub backup: PathBuf,
    /// Its size.
    pub size_bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
    /// The epoch and the newest sequence in it.
    pub epoch: String,
    /// The newest sequence; 0 when it holds no event.
    pub newest: u64,
    /// The newest record of its audit chain, as NUMBER:HASH.
    pub audit_head: String,
    /// Its events, by kind.
    pub events: Counts,
    /// Its ledger rows.
    pub files: u64,
}

/// A journal that was made of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// The journal's file.
    pub journal: PathBuf,
    /// The backup.
    pub backup: PathBuf,
    /// SHA-256 of the copy that was verified, in hexadecimal.
    pub backup_sha256: String,
    /// Where the journal before is kept; none where there was none.
    pub replaced: Option<PathBuf>,
    /// The backup's epoch.
    pub epoch_before: String,
    /// The new epoch.
    pub epoch: String,
    /// The newest sequence; 0 when it holds no event.
    pub newest: u64,
    /// The newest record of the backup's audit chain, as NUMBER:HASH.
    pub audit_head_before: String,
    /// The events, by kind.
    pub events: Counts,
    /// The ledger rows.
    pub files: u64,
}

/// Copies the journal in `file`, which a daemon may be writing, to `target`, which must not exist.
/// Reads everything of the copy before it gets its name. Blocks.
///
/// # Errors
/// [`JournalError::Exists`]; [`JournalError::Damaged`] where the journal is not sound;
/// [`JournalError::Held`], [`JournalError::Newer`], [`JournalError::Storage`]. There is no file
/// `target` then.
pub fn backup(
    file: &Path,
    target: &Path,
    progress: Progress<'_>,
) -> Result<BackedUp, JournalError> {
    let trouble = |error: &std::io::Error| JournalError::io(target, error);
    if fs_err::symlink_metadata(target).is_ok() {
        return Err(JournalError::Exists { file: target.to_owned() });
    }
    let folder = folder_of(target);
    remove_abandoned(folder);
    let part = tempfile::Builder::new()
        .prefix(PART)
        .permissions(std::fs::Permissions::from_mode(0o640))
        .tempfile_in(folder)
        .map_err(|error| trouble(&error))?;
    // Tells a backup under way from one whose program was killed.
    part.as_file().lock().map_err(|error| trouble(&error))?;
    copy(file, part.path(), target, progress)?;
    let report = sound(part.path(), file)?;
    let (epoch, newest) = ends(part.path())?;
    let sha256 = digest(part.path())?;
    let size_bytes = part.as_file().metadata().map_err(|error| trouble(&error))?.len();
    part.as_file().sync_all().map_err(|error| trouble(&error))?;
    part.persist_noclobber(target).map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => JournalError::Exists { file: target.to_owned() },
        _ => trouble(&error.error),
    })?;
    sync_folder(folder)?;
    Ok(BackedUp {
        backup: target.to_owned(),
        size_bytes,
        sha256: sha256.to_string(),
        epoch,
        newest,
        audit_head: head(&report),
        events: report.events,
        files: report.files,
    })
}

/// Puts a copy of `backup` in the place of the journal in `state`, in an epoch of its own. The
/// journal before is kept beside it. Blocks.
///
/// # Errors
/// [`JournalError::Locked`] while a daemon has the journal; [`JournalError::UnsoundBackup`]; [`JournalError::Newer`], [`JournalError::Storage`]. The journal before is
/// then where it was.
pub fn restore(
    backup: &Path,
    state: &Path,
    clock: &Clock,
    progress: Progress<'_>,
) -> Result<Restored, JournalError> {
    let trouble = |error: &std::io::Error| JournalError::io(state, error);
    // As the daemon makes it.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(state)
        .map_err(|error| trouble(&error))?;
    let lock = DirectoryLock::take(state)?;
    let (now, target) = (clock.wall(), state.join(FILE));
    remove_remains(state);
    if same_file(backup, &target) {
        return Err(JournalError::Exists { file: target });
    }
    let work = tempfile::Builder::new()
        .prefix("restoring-")
        .tempdir_in(state)
        .map_err(|error| trouble(&error))?;
    let fresh = work.path().join(FILE);
    // Made here rather than by SQLite for its permissions, as any journal.
    fs_err::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o640)
        .open(&fresh)
        .map_err(|error| trouble(&error))?;
    let copied = copy(backup, &fresh, &target, progress).and_then(|()| sound(&fresh, backup));
    let report = copied.map_err(|error| match error {
        JournalError::Damaged { file, what } => JournalError::UnsoundBackup { file, what },
        other => other,
    })?;
    let sha256 = digest(&fresh)?.to_string();
    let aside = aside(&target, "replaced", now);
    let is_there = fs_err::symlink_metadata(&target).is_ok();
    let replaced = is_there.then(|| aside.clone());
    let (epoch_before, epoch, newest) =
        renumbered(&fresh, backup, &sha256, replaced.as_deref(), now)?;
    for path in [fresh.as_path(), &state.join(super::lock::LOCK_FILE)] {
        give_to_owner_of(state, path)?;
    }
    if is_there {
        fold(&target);
    }
    // A log may lie there without its journal, and would be applied to the restored one.
    keep_aside(&target, &aside)?;
    fs_err::rename(&fresh, &target).map_err(|error| trouble(&error))?;
    sync_folder(state)?;
    // The next start finds its own journal here.
    let noted = lock.water_mark().map_err(|error| trouble(&error))?;
    noted.note(&epoch, 1);
    noted.sync();
    Ok(Restored {
        journal: target,
        backup: backup.to_owned(),
        backup_sha256: sha256,
        replaced,
        epoch_before,
        epoch,
        newest,
        audit_head_before: head(&report),
        events: report.events,
        files: report.files,
    })
}

/// Removes what killed backups left in a folder. One under way has its file locked.
fn remove_abandoned(folder: &Path) {
    for found in fs_err::read_dir(folder).into_iter().flatten().flatten() {
        if !found.file_name().as_encoded_bytes().starts_with(PART.as_bytes()) {
            continue;
        }
        let (path, begun) = (found.path(), std::fs::File::open(found.path()));
        if begun.is_ok_and(|file| file.try_lock().is_ok()) {
            match fs_err::remove_file(&path) {
                Ok(()) => tracing::info!(file = %path.display(), "remains of a backup removed"),
                Err(error) => tracing::warn!(%error, "the remains of a killed backup stay"),
            }
        }
    }
}

/// Removes the remains of killed commands from the state folder, which the caller has locked.
fn remove_remains(state: &Path) {
    for found in fs_err::read_dir(state).into_iter().flatten().flatten() {
        let name = found.file_name();
        let name = name.as_encoded_bytes();
        if name.starts_with(b"restoring-") || name.starts_with(b"recovering-") {
            match fs_err::remove_dir_all(found.path()) {
                Ok(()) => tracing::info!(folder = %found.path().display(), "remains removed"),
                Err(error) => tracing::warn!(%error, "the remains of a killed command stay"),
            }
        }
    }
}

/// Brings a journal's write-ahead log into its file, so that no death in between can part them.
/// The journal may be damaged: then its log is kept beside it.
fn fold(journal: &Path) {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let folded = Connection::open_with_flags(journal, flags).and_then(|own| {
        own.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        own.close().map_err(|(_, error)| error)
    });
    if let Err(error) = folded {
        tracing::warn!(%error, "the journal before keeps its write-ahead log beside it");
    }
}

/// Copies every page as one moment has them. The copy has no write-ahead log. `name` is the file
/// that the copy will be, for messages: `to` is a passing one.
fn copy(from: &Path, to: &Path, name: &Path, progress: Progress<'_>) -> Result<(), JournalError> {
    let source = schema::open_read_only(from)?;
    let trouble = |error: rusqlite::Error| JournalError::sqlite(from, &error);
    // Held open, so that what a daemon stores meanwhile does not begin the copy anew.
    let snapshot = source.unchecked_transaction().map_err(trouble)?;
    snapshot.query_row("SELECT epoch FROM meta", [], |_| Ok(())).map_err(trouble)?;
    let page: u64 = snapshot
        .query_row("PRAGMA page_size", [], |row| super::sql::unsigned(row, 0))
        .map_err(trouble)?;
    let failed = |error: rusqlite::Error| JournalError::sqlite(name, &error);
    let mut copy = Connection::open(to).map_err(failed)?;
    // The file has no name yet, and is flushed before it gets one.
    copy.execute_batch("PRAGMA synchronous = OFF").map_err(failed)?;
    {
        let steps = Backup::new(&snapshot, &mut copy).map_err(trouble)?;
        let mut waiting: Option<Instant> = None;
        loop {
            let step = steps.step(PAGES).map_err(|error| match error.sqlite_error_code() {
                Some(ErrorCode::DiskFull | ErrorCode::CannotOpen) => {
                    JournalError::sqlite(name, &error)
                }
                _ => trouble(error),
            })?;
            let at = steps.progress();
            let all = u64::try_from(at.pagecount).unwrap_or_default();
            let left = u64::try_from(at.remaining).unwrap_or_default();
            progress(all.saturating_sub(left).saturating_mul(page), all.saturating_mul(page));
            match step {
                StepResult::Done => break,
                StepResult::More => waiting = None,
                _ if waiting.get_or_insert_with(Instant::now).elapsed() < WAIT => pause(),
                _ => return Err(JournalError::Held { file: from.to_owned() }),
            }
        }
    }
    copy.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))
        .and_then(|()| copy.close().map_err(|(_, error)| error))
        .map_err(failed)?;
    fs_err::File::open(to)
        .and_then(|file| file.sync_all())
        .map_err(|error| JournalError::io(to, &error))
}

#[expect(clippy::disallowed_methods, reason = "another program's lock is waited for, not a clock")]
fn pause() {
    std::thread::sleep(PAUSE);
}

/// Examines the copy; what is wrong with it is wrong with `original`.
fn sound(copy: &Path, original: &Path) -> Result<Report, JournalError> {
    let report = check(copy)?;
    match report.findings.first() {
        None => Ok(report),
        Some(finding) => Err(JournalError::Damaged {
            file: original.to_owned(),
            what: format!("{}: {}", finding.area, finding.what),
        }),
    }
}

fn ends(file: &Path) -> Result<(String, u64), JournalError> {
    let meta = schema::open_read_only(file).and_then(|connection| {
        schema::read_meta(&connection).map_err(|error| JournalError::sqlite(file, &error))
    })?;
    Ok((meta.epoch, meta.next_sequence.saturating_sub(1)))
}

/// Begins the epoch of a restored journal, and gives the epoch before, the new one and the newest
/// sequence.
fn renumbered(
    fresh: &Path,
    backup: &Path,
    sha256: &str,
    replaced: Option<&Path>,
    now: Timestamp,
) -> Result<(String, String, u64), JournalError> {
    let trouble = |error: rusqlite::Error| JournalError::sqlite(fresh, &error);
    let (mut connection, mut meta) = schema::open_writer(fresh, now)?;
    let before = meta.epoch.clone();
    let (backup, replaced) = (backup.to_string_lossy(), replaced.map(Path::to_string_lossy));
    let restored =
        RestoredRecord { backup: &backup, backup_sha256: sha256, replaced: replaced.as_deref() };
    let told = NewEpoch { restored: Some(restored), ..NewEpoch::default() };
    let reason = (EpochReason::Restored, FileMark::new(fresh)?);
    epoch::begin(&mut connection, &mut meta, reason, told, now).map_err(trouble)?;
    // The log goes into the file, which is then complete by itself.
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .and_then(|()| connection.close().map_err(|(_, error)| error))
        .map_err(trouble)?;
    Ok((before, meta.epoch, meta.next_sequence.saturating_sub(1)))
}

/// Gives the journal's files a second name, and a log that lies there alone too. The journal's own
/// name stays until another takes it, so that a death in between leaves a journal there.
fn keep_aside(target: &Path, aside: &Path) -> Result<(), JournalError> {
    let trouble = |error: std::io::Error| JournalError::io(target, &error);
    // SQLite would take a log beside the new file for its own.
    for suffix in ["-wal", "-shm"] {
        let from = with_suffix(target, suffix);
        if from.exists() {
            fs_err::rename(&from, with_suffix(aside, suffix)).map_err(trouble)?;
        }
    }
    if fs_err::symlink_metadata(target).is_err() {
        return Ok(());
    }
    // A file system without hard links.
    fs_err::hard_link(target, aside).or_else(|_| fs_err::rename(target, aside)).map_err(trouble)
}

/// The name under which a journal is kept that another takes the place of.
pub(super) fn aside(original: &Path, why: &str, now: Timestamp) -> PathBuf {
    let stamp: String = now.to_rfc3339().chars().filter(char::is_ascii_alphanumeric).collect();
    with_suffix(original, &format!(".{why}-{stamp}"))
}

/// A file that the superuser made for a daemon that runs as another user.
pub(super) fn give_to_owner_of(folder: &Path, file: &Path) -> Result<(), JournalError> {
    let give = || -> std::io::Result<()> {
        let (owner, now) = (fs_err::metadata(folder)?, fs_err::metadata(file)?);
        if rustix::process::geteuid().is_root() && owner.uid() != now.uid() {
            fs_err::os::unix::fs::chown(file, Some(owner.uid()), Some(owner.gid()))?;
        }
        Ok(())
    };
    give().map_err(|error| JournalError::io(file, &error))
}

fn same_file(one: &Path, other: &Path) -> bool {
    let id = |path| fs_err::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    id(one).is_some_and(|one| Some(one) == id(other))
}

fn head(report: &Report) -> String {
    report.audit.as_ref().map(|audit| audit.head.to_string()).unwrap_or_default()
}

fn digest(file: &Path) -> Result<Digest, JournalError> {
    let read = || -> std::io::Result<Digest> {
        let (mut file, mut hasher) = (fs_err::File::open(file)?, Sha256::new());
        let mut part = vec![0; AT_ONCE];
        loop {
            match file.read(&mut part) {
                Ok(0) => break,
                Ok(read) => hasher.update(&part[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Digest(hasher.finalize().into()))
    };
    read().map_err(|error| JournalError::io(file, &error))
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn sync_folder(folder: &Path) -> Result<(), JournalError> {
    fs_err::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| JournalError::io(folder, &error))
}
