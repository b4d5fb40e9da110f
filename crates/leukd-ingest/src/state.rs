//! What the room gives out: a settled capture, and how a folder is.

use std::time::Duration;

use super::stamp;
use leukd_journal::result::{CapturePath, Timestamp};
use leukd_journal::types::FileStamp;

/// A capture that stands still and waits for its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The id of the result to come, and of every log line on the way there.
    pub result_id: uuid::Uuid,
    /// The file.
    pub path: CapturePath,
    /// The state in which it stood still: what goes into the ledger.
    pub stamp: FileStamp,
    /// Its modification time.
    pub captured_at: Timestamp,
    /// When leukd first saw it.
    pub first_seen: Timestamp,
    /// It was incomplete before and has not changed for `broken_after`: reject it if it still is.
    pub last_chance: bool,
}

impl Settled {
    /// Whether an opened file is still in the state that settled. Ask after opening and again after
    /// reading; when it is not, the verdict is [`Verdict::NotYet`](super::Verdict::NotYet).
    #[must_use]
    pub fn is_still(&self, metadata: &std::fs::Metadata) -> bool {
        stamp::is_still(&self.stamp, metadata)
    }
}

/// One folder, for `GetStatus`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderState {
    /// Its absolute path.
    pub folder: String,
    /// The kind of file system; empty until it was reached once.
    pub file_system: String,
    /// `watch` or `poll`: what is done now, which may be less than what is configured (then
    /// `problem` says why).
    pub mode: &'static str,
    /// It is there and can be read. Also false, without a `problem`, until it was first looked at.
    pub reachable: bool,
    /// What is wrong and what to do; none when all is well.
    pub problem: Option<String>,
    /// Since when; none when all is well.
    pub problem_since: Option<Timestamp>,
    /// Captures that are not settled, or are waited for because they are incomplete.
    pub settling: u64,
    /// Captures that are settled and wait for a worker, or are with one.
    pub queued: u64,
    /// When the oldest of these was first seen.
    pub oldest_waiting: Option<Timestamp>,
    /// Files that are no captures, as of the last scan.
    pub ignored: u64,
    /// Symbolic links, FIFOs, sockets and devices, as of the last scan.
    pub refused: u64,
    /// When the last complete scan ended.
    pub last_scan_at: Option<Timestamp>,
    /// How long it took.
    pub last_scan_took: Option<Duration>,
    /// Captures beyond [`super::MAX_PENDING`] that the last scan left for later.
    pub waiting_on_disk: u64,
}

impl FolderState {
    pub(super) fn unseen(folder: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            file_system: String::new(),
            mode: "poll",
            reachable: false,
            problem: None,
            problem_since: None,
            settling: 0,
            queued: 0,
            oldest_waiting: None,
            ignored: 0,
            refused: 0,
            last_scan_at: None,
            last_scan_took: None,
            waiting_on_disk: 0,
        }
    }
}
