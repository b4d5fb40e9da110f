//! One daemon for one state directory.

use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use fs_err::OpenOptions;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::{FlockOperation, flock};

use super::error::JournalError;

pub(super) const LOCK_FILE: &str = "leukd.lock";

/// Holds the directory until it is dropped or the process ends, however it ends: the kernel keeps
/// the lock, the file only tells people who has it.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    file: fs_err::File,
    /// How far the last holder came.
    pub(super) last: Option<HighWater>,
}

/// How far a journal came: the epoch, and the sequence that the next result was to get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HighWater {
    pub(super) epoch: String,
    pub(super) next: u64,
}

/// Where the writer notes how far it came: below the process id in the lock's file. Without a
/// flush: it survives the death of the process, and a power cut takes it back at the most, which
/// finds less and nothing wrongly. What is there is overwritten where it lies: that needs no space,
/// which a full disk has not.
#[derive(Debug)]
pub(super) struct WaterMark {
    file: std::fs::File,
}

impl WaterMark {
    pub(super) fn note(&self, epoch: &str, next: u64) {
        let text = HighWater { epoch: epoch.to_owned(), next }.text();
        if let Err(error) = self.file.write_all_at(text.as_bytes(), 0) {
            tracing::debug!(%error, "how far the journal came could not be noted");
        }
    }

    /// Waits until the note is on the disk.
    pub(super) fn sync(&self) {
        if let Err(error) = self.file.sync_data() {
            tracing::debug!(%error, "the note of how far the journal came was not flushed");
        }
    }
}

impl HighWater {
    fn parse(text: &str) -> Option<Self> {
        let (epoch, next) = text.lines().nth(1)?.split_once(' ')?;
        Some(Self { epoch: epoch.to_owned(), next: next.parse().ok()? })
    }

    /// The whole file, with this process as the holder.
    fn text(&self) -> String {
        format!("{}\n{} {:020}\n", std::process::id(), self.epoch, self.next)
    }
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
                    pid: pid(&text),
                });
            }
            Err(error) => return Err(trouble(&error.into())),
        }
        let mut bytes = Vec::new();
        (&mut file).take(256).read_to_end(&mut bytes).map_err(|error| trouble(&error))?;
        let last = HighWater::parse(&String::from_utf8_lossy(&bytes));
        let text =
            last.as_ref().map_or_else(|| format!("{}\n", std::process::id()), HighWater::text);
        // Never truncated first: on a full disk nothing might be written after that. The lock
        // itself is the kernel's.
        let written = file
            .file()
            .write_all_at(text.as_bytes(), 0)
            .and_then(|()| file.file().set_len(text.len() as u64));
        if let Err(error) = written {
            tracing::warn!(%error, "who has the state directory could not be noted in it");
        }
        Ok(Self { file, last })
    }

    /// Where to note how far the journal came. It holds the directory as well.
    pub(super) fn water_mark(&self) -> std::io::Result<WaterMark> {
        Ok(WaterMark { file: self.file.file().try_clone()? })
    }
}

fn pid(text: &str) -> Option<u32> {
    text.lines().next()?.trim().parse().ok()
}

/// Who has the directory now; none where nobody does, or where it cannot be told. The answer is a
/// glimpse: nothing is held.
pub(super) fn holder(directory: &Path) -> Option<Option<u32>> {
    let mut file = fs_err::File::open(directory.join(LOCK_FILE)).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            let _ = (&mut file).take(32).read_to_string(&mut text);
            Some(pid(&text))
        }
        _ => None,
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

    #[test]
    fn how_far_the_journal_came_survives_every_next_holder() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(LOCK_FILE);
        fs_err::write(&file, "4294967295\nan-epoch 00000000000000000007\n").unwrap();
        let told = Some(HighWater { epoch: "an-epoch".to_owned(), next: 7 });
        for _ in 0..2 {
            let lock = DirectoryLock::take(directory.path()).unwrap();
            assert_eq!(lock.last, told);
        }
        let lock = DirectoryLock::take(directory.path()).unwrap();
        lock.water_mark().unwrap().note("other-ep", 8);
        let text = fs_err::read_to_string(&file).unwrap();
        assert_eq!(text, format!("{}\nother-ep 00000000000000000008\n", std::process::id()));
    }
}
