//! The identity of the journal's file: a name may come to lead to another one.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::error::JournalError;

/// The file that is open, by device and inode, and the name that it was opened by.
#[derive(Debug, Clone)]
pub(super) struct FileId {
    file: PathBuf,
    device: u64,
    inode: u64,
    /// Device and inode of the write-ahead log, which stays the same file while it is open.
    log: Option<(u64, u64)>,
}

impl FileId {
    /// The file that `file` leads to now, and its log where it has one.
    pub(super) fn new(file: &Path) -> Result<Self, JournalError> {
        let (device, inode) = look(file).map_err(|error| JournalError::io(file, &error))?;
        let log = look(&with_suffix(file, "-wal")).ok();
        Ok(Self { file: file.to_owned(), device, inode, log })
    }

    /// # Errors
    /// [`JournalError::Moved`] where the name of the journal or of its log leads to another file, or
    /// to none: what would be stored now is gone at the next start.
    pub(super) fn check(&self) -> Result<(), JournalError> {
        let is_log_there =
            self.log.is_none_or(|log| look(&with_suffix(&self.file, "-wal")).ok() == Some(log));
        if is_log_there && look(&self.file).ok() == Some((self.device, self.inode)) {
            return Ok(());
        }
        Err(JournalError::Moved { file: self.file.clone() })
    }
}

/// Sizes of a journal's files in bytes; 0 for a file that is not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The database.
    pub database: u64,
    /// The write-ahead log. It grows beyond 64 MiB (`journal_size_limit`) only while a reader keeps
    /// it from being folded into the database.
    pub write_ahead_log: u64,
    /// The log's index.
    pub index: u64,
}

impl Sizes {
    /// Those of the journal in `file`.
    #[must_use]
    pub fn of(file: &Path) -> Self {
        let size =
            |suffix: &str| fs_err::metadata(with_suffix(file, suffix)).map_or(0, |file| file.len());
        Self { database: size(""), write_ahead_log: size("-wal"), index: size("-shm") }
    }

    /// All of them together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.database.saturating_add(self.write_ahead_log).saturating_add(self.index)
    }
}

/// The name of a file that stands beside the journal: `-wal`, `-shm`.
pub(super) fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn look(file: &Path) -> std::io::Result<(u64, u64)> {
    fs_err::metadata(file).map(|found| (found.dev(), found.ino()))
}
