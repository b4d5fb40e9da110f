//! One daemon for one state directory.

use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use fs_err::OpenOptions;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::{FlockOperation, flock};

use super::error::JournalError;

const LOCK_FILE: &str = "leukd.lock";

/// Holds the directory until it is dropped or the process ends, however it ends: the kernel keeps the
/// lock, the file only tells people who has it.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    _file: fs_err::File,
}

impl DirectoryLock {
    /// Takes the lock of `directory`, or says who has it.
    pub(super) fn take(directory: &Path) -> Result<Self, JournalError> {
        let path = directory.join(LOCK_FILE);
        let trouble = |error: &std::io::Error| JournalError::io(&path, error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o640)
            .open(&path)
            .map_err(|error| trouble(&error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                // Only a hint for people: without it the message just lacks the process id.
                let _ = (&mut file).take(32).read_to_string(&mut text);
                return Err(JournalError::Locked {
                    directory: directory.to_owned(),
                    pid: text.trim().parse().ok(),
                });
            }
            Err(error) => return Err(trouble(&error.into())),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|error| trouble(&error))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_and_names_the_holder() {
        let directory = tempfile::tempdir().unwrap();
        let first = DirectoryLock::take(directory.path()).unwrap();
        let refused = DirectoryLock::take(directory.path()).unwrap_err();
        assert_eq!(
            refused,
            JournalError::Locked {
                directory: directory.path().to_owned(),
                pid: Some(std::process::id()),
            }
        );
        assert!(refused.to_string().contains(&std::process::id().to_string()));
        drop(first);
        DirectoryLock::take(directory.path()).unwrap();
    }
}
