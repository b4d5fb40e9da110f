//! Batching: the entries that share one transaction, and so one flush to the disk.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::types::{Committed, Entry};
use super::work::{Reply, Work};

/// The most entries of one transaction.
const MAX_GROUP: usize = 128;

/// In a backlog the transactions begin no closer than this, so that a few results share a flush and
/// the pages they touch. Nobody waits for a capture's result by the millisecond; a request ends the
/// wait.
const PACE: Duration = Duration::from_millis(10);

/// With so many captures, waiting for more saves little. It is what a daemon with a single worker
/// has on their way to the disk at the most, so that no worker waits for the pace.
const ENOUGH: usize = 6;

/// After a group of several entries, so many of one entry may follow before nobody is waited for
/// any more.
const COMPANY: u32 = 8;

/// The writer's end of its queue.
pub(super) struct Batching {
    queue: mpsc::Receiver<Work>,
    /// Taken from the queue, and no part of the group that was being gathered.
    held: Option<Work>,
    /// When the last group went to the disk.
    last: Option<Instant>,
    /// How many more groups wait for others: several callers commit at a time, or did a moment ago.
    /// A single caller would wait in vain.
    in_company: u32,
}

impl Batching {
    pub(super) const fn new(queue: mpsc::Receiver<Work>) -> Self {
        Self { queue, held: None, last: None, in_company: 0 }
    }

    /// What is next, however long it takes; none once every sender is gone.
    pub(super) fn next(&mut self) -> Option<Work> {
        self.held.take().or_else(|| self.queue.blocking_recv())
    }

    /// The entries that go to the disk together with `entry`, and who waits for them.
    pub(super) fn gather(
        &mut self,
        entry: Entry,
        reply: Reply<Committed>,
    ) -> (Vec<Entry>, Vec<Reply<Committed>>) {
        let due = self.last.filter(|_| self.in_company > 0).map(|last| last + PACE);
        let (mut entries, mut replies) = (vec![entry], vec![reply]);
        while entries.len() < MAX_GROUP {
            let waits = entries.len() < ENOUGH && entries.iter().all(is_capture);
            let next = match self.queue.try_recv() {
                Ok(work) => Some(work),
                Err(_) => due.filter(|_| waits).and_then(|due| self.next_by(due)),
            };
            match next {
                Some(Work::Commit(entry, reply)) => {
                    entries.push(*entry);
                    replies.push(reply);
                }
                other => {
                    self.held = other;
                    break;
                }
            }
        }
        self.last = Some(Instant::now());
        self.in_company =
            if entries.len() > 1 { COMPANY } else { self.in_company.saturating_sub(1) };
        (entries, replies)
    }

    /// What comes until `due`.
    fn next_by(&mut self, due: Instant) -> Option<Work> {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(work) = self.queue.poll_recv(&mut context) {
                return work;
            }
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            std::thread::park_timeout(left);
        }
    }
}

const fn is_capture(entry: &Entry) -> bool {
    matches!(entry, Entry::Capture { .. } | Entry::Alias { .. })
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
