//! The room's face: start, captures out, verdicts in, status.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::Ledger;
use super::runner::Runner;
use super::settings::IngestSettings;
use super::shared::{Shared, lock};
use super::state::{FolderState, Settled};
use super::tracker::{Moment, Tracker, Verdict};
use leukd_journal::clock::Clock;
use leukd_journal::result::{CapturePath, Timestamp};

/// A folder whose thread gives no sign of life for this long is called stuck: a system call hangs,
/// as they do on a network mount whose server is gone.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// The running room. Cheap to clone; [`Ingest::stop`] ends it, and so does dropping [`Captures`].
#[derive(Clone)]
pub struct Ingest {
    folders: Arc<[(String, Arc<Shared>)]>,
    clock: Clock,
}

impl std::fmt::Debug for Ingest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.folders.iter().map(|(folder, _)| folder)).finish()
    }
}

impl Ingest {
    /// Starts one thread a folder. The captures come out of the second value.
    ///
    /// Looks, scans and waits go by `clock`; the threads ask it every second or more often, so
    /// after moving a manual clock, [`Ingest::hint`] saves that second.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn spawn(
        settings: &IngestSettings,
        ledger: impl Ledger,
        clock: Clock,
    ) -> std::io::Result<(Self, Captures)> {
        let ledger: Arc<dyn Ledger> = Arc::new(ledger);
        let share = (settings.queue / settings.folders.len().max(1)).max(1);
        let mut folders = Vec::new();
        let mut receivers = Vec::new();
        for rules in &settings.folders {
            let tracker = Tracker::new(rules.tracking);
            let shared = Arc::new(Shared::new(tracker, FolderState::unseen(&rules.folder)));
            let (sender, receiver) = mpsc::channel(share);
            let runner = Runner::new(
                Arc::clone(rules),
                Arc::clone(&ledger),
                clock.clone(),
                Arc::clone(&shared),
                sender,
            );
            folders.push((rules.folder.clone(), shared));
            receivers.push(receiver);
            let thread = std::thread::Builder::new().name("leukd-ingest".to_owned());
            if let Err(error) = thread.spawn(move || runner.run()) {
                for (_, shared) in &folders {
                    shared.signal.stop();
                }
                return Err(error);
            }
        }
        Ok((Self { folders: folders.into(), clock }, Captures { receivers, next: 0 }))
    }

    /// What became of a capture. Every capture that was received needs exactly one verdict; until
    /// then it is not handed again. A verdict for anything else is ignored.
    pub fn report(&self, path: &CapturePath, verdict: Verdict) {
        if let Verdict::NotYet(reason) = &verdict {
            tracing::debug!(capture = %path, reason, "not whole yet");
        }
        let now = Moment { mono: self.clock.monotonic(), wall: self.clock.wall() };
        if let Some((_, shared)) = self.folders.iter().find(|(folder, _)| *folder == path.folder) {
            let changed = lock(&shared.tracker).verdict(&path.path, &verdict, now);
            if changed {
                shared.signal.hint();
            }
            shared.signal.wake();
        }
    }

    /// Scans every folder soon: the same as an event from each.
    pub fn hint(&self) {
        for (_, shared) in self.folders.iter() {
            shared.signal.hint();
        }
    }

    /// The folders, in the order of the settings. Never blocks on a folder's file system.
    #[must_use]
    pub fn status(&self) -> Vec<FolderState> {
        self.folders.iter().map(|(_, shared)| self.state_of(shared)).collect()
    }

    fn state_of(&self, shared: &Shared) -> FolderState {
        let mut state = lock(&shared.found).clone();
        let counts = lock(&shared.tracker).counts();
        state.settling = counts.settling;
        state.queued = counts.queued;
        state.oldest_waiting = counts.oldest;
        if shared.is_lost() {
            state.reachable = false;
            state.problem = Some(format!(
                "leukd no longer looks into {}: a defect ended its thread; restart leukd and report the log",
                state.folder
            ));
            state.problem_since.get_or_insert(self.clock.wall());
            return state;
        }
        let silent = shared.silent_for();
        if silent >= STUCK_AFTER && !shared.signal.stopping() {
            let since = i64::try_from(silent.as_millis()).unwrap_or(0);
            state.reachable = false;
            state.problem = Some(format!(
                "{} has not answered for {} s: check the share's server and its network, or mount it with the option \"soft\"",
                state.folder,
                silent.as_secs()
            ));
            state.problem_since = Some(Timestamp(self.clock.wall().0.saturating_sub(since)));
        }
        state
    }

    /// Signs of life of the folder that shows the fewest: goes up every second or more often, also
    /// when idle. It stands still when a folder's thread is lost, and also while a system call on a
    /// dead network mount hangs, which no restart cures; [`Ingest::status`] then says which folder.
    #[must_use]
    pub fn progress(&self) -> u64 {
        self.folders.iter().map(|(_, shared)| shared.progress()).min().unwrap_or(0)
    }

    /// A folder's thread has panicked: only a restart brings it back.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.folders.iter().any(|(_, shared)| shared.is_lost())
    }

    /// Tells every folder's thread to end. Returns at once; [`Captures::recv`] ends once they have.
    pub fn stop(&self) {
        for (_, shared) in self.folders.iter() {
            shared.signal.stop();
        }
    }

    /// After [`Ingest::stop`]: waits, blocking, until the threads have ended. False when one has
    /// not within `most`: it hangs in a system call and is left behind.
    #[must_use]
    pub fn join(&self, most: Duration) -> bool {
        let now = Instant::now();
        let deadline = now.checked_add(most).unwrap_or(now);
        self.folders.iter().all(|(_, shared)| shared.wait_finished(deadline))
    }
}

/// The settled captures of all folders. Each folder has a bounded channel of its own and they are
/// served in turn, so that a folder with a large backlog does not keep another one waiting.
#[derive(Debug)]
pub struct Captures {
    receivers: Vec<mpsc::Receiver<Settled>>,
    next: usize,
}

impl Captures {
    /// The next capture; none once every folder's thread has ended (at once when no folder is
    /// configured). Cancel-safe: a capture is lost in no case.
    pub async fn recv(&mut self) -> Option<Settled> {
        poll_fn(|context| {
            let count = self.receivers.len();
            let mut open = false;
            for offset in 0..count {
                let index = (self.next + offset) % count;
                match self.receivers[index].poll_recv(context) {
                    Poll::Ready(Some(settled)) => {
                        self.next = (index + 1) % count;
                        return Poll::Ready(Some(settled));
                    }
                    Poll::Ready(None) => {}
                    Poll::Pending => open = true,
                }
            }
            if open { Poll::Pending } else { Poll::Ready(None) }
        })
        .await
    }

    /// Ends the intake: the threads end, and captures that are still in the channels are dropped;
    /// the next start finds them again.
    pub fn close(&mut self) {
        for receiver in &mut self.receivers {
            receiver.close();
        }
    }
}
