//! What the writer publishes and every reader sees.

use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::watch;

use super::audit::AuditHead;
use super::epoch::EpochOrigin;
use super::error::JournalError;
use super::file_id::FileId;
use super::hold::Holds;
use super::measured::Measured;
use super::retention_clock::ClockDoubt;
use super::tail::Tail;
use super::waiters::Waiters;

/// The journal's state in memory.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) file: PathBuf,
    pub(super) directory: PathBuf,
    pub(super) epoch: String,
    /// How the epoch began.
    pub(super) origin: EpochOrigin,
    /// The open file.
    pub(super) file_id: FileId,
    pub(super) disk_floor: u64,
    pub(super) tail: RwLock<Tail>,
    pub(super) newest: watch::Sender<u64>,
    pub(super) waiters: Arc<Waiters>,
    /// The newest record of the audit chain that is on the disk.
    pub(super) audit: Mutex<AuditHead>,
    /// Records of the chain that wait to be written.
    pub(super) backlog: Arc<AtomicUsize>,
    /// The wall clock leapt ahead, and retention does not go by it yet.
    pub(super) doubt: Mutex<Option<ClockDoubt>>,
    pub(super) measured: Measured,
    /// Events that retention leaves, however old they are.
    pub(super) holds: Arc<Holds>,
}

impl Shared {
    /// Runs `look` on the tail. A panic elsewhere leaves it whole: every change is a push or a pop.
    pub(super) fn tail<T>(&self, look: impl FnOnce(&Tail) -> T) -> T {
        look(&self.tail.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn audit_head(&self) -> AuditHead {
        *self.audit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change_tail(&self, change: impl FnOnce(&mut Tail)) {
        change(&mut self.tail.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Free bytes for unprivileged users on the journal's file system.
    pub(super) fn free_bytes(&self) -> Result<u64, JournalError> {
        let stat = rustix::fs::statvfs(&self.directory)
            .map_err(|error| JournalError::io(&self.directory, &error.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Whether there is space to store results.
    pub(super) fn check_floor(&self) -> Result<(), JournalError> {
        let (free, floor) = (self.free_bytes()?, self.disk_floor);
        if free < floor { Err(JournalError::DiskFloor { free, floor }) } else { Ok(()) }
    }

    pub(super) fn sqlite(&self, error: &rusqlite::Error) -> JournalError {
        JournalError::sqlite(&self.file, error)
    }
}
