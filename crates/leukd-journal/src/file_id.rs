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
}

impl FileId {
    /// The file that `file` leads to now.
    pub(super) fn new(file: &Path) -> Result<Self, JournalError> {
        let (device, inode) = look(file).map_err(|error| JournalError::io(file, &error))?;
        Ok(Self { file: file.to_owned(), device, inode })
    }

    /// # Errors
    /// [`JournalError::Moved`] where the name leads to another file, or to none: what would be
    /// stored now is gone at the next start.
    pub(super) fn check(&self) -> Result<(), JournalError> {
        if look(&self.file).ok() == Some((self.device, self.inode)) {
            return Ok(());
        }
        Err(JournalError::Moved { file: self.file.clone() })
    }
}

fn look(file: &Path) -> std::io::Result<(u64, u64)> {
    fs_err::metadata(file).map(|found| (found.dev(), found.ino()))
}
