//! What a folder's thread shares with the rest of the daemon. Each lock is held for a few map
//! operations only, never across I/O, so that a file system that hangs stops nobody but its own
//! thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::state::FolderState;
use super::tracker::Tracker;
use leukd_journal::clock::Clock;

/// Locks; a thread that panicked while it held the lock left nothing half-done that matters more
/// than going on.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One folder's shared state.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) tracker: Mutex<Tracker>,
    /// What the thread last found out; the tracker's counts are filled in on the way out.
    pub(super) found: Mutex<FolderState>,
    pub(super) signal: Signal,
    /// Goes up with each sign of life of the thread.
    progress: AtomicU64,
    /// Milliseconds of the last sign of life, by `real`.
    alive_at: AtomicU64,
    /// Not the daemon's clock: a hanging system call takes real time, whatever a test's clock says.
    real: Clock,
    finished: AtomicBool,
}

impl Shared {
    pub(super) fn new(tracker: Tracker, found: FolderState) -> Self {
        Self {
            tracker: Mutex::new(tracker),
            found: Mutex::new(found),
            signal: Signal::default(),
            progress: AtomicU64::new(0),
            alive_at: AtomicU64::new(0),
            real: Clock::system(),
            finished: AtomicBool::new(false),
        }
    }

    /// The thread lives.
    pub(super) fn beat(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
        let ms = u64::try_from(self.real.monotonic().as_millis()).unwrap_or(u64::MAX);
        self.alive_at.store(ms, Ordering::Relaxed);
    }

    pub(super) fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// How long the thread has given no sign of life.
    pub(super) fn silent_for(&self) -> Duration {
        self.real
            .monotonic()
            .saturating_sub(Duration::from_millis(self.alive_at.load(Ordering::Relaxed)))
    }

    pub(super) fn finish(&self) {
        self.finished.store(true, Ordering::SeqCst);
        self.signal.wake();
    }

    /// The thread has ended although nobody told it to: it panicked.
    pub(super) fn is_lost(&self) -> bool {
        self.finished.load(Ordering::SeqCst) && !self.signal.stopping()
    }

    /// Waits until the thread has ended; false when it has not by then.
    pub(super) fn wait_finished(&self, deadline: Instant) -> bool {
        self.signal.wait_until(deadline, || self.finished.load(Ordering::SeqCst))
    }
}

/// Wakes the folder's thread. Signals are flags, not a queue: a thousand events are one hint.
#[derive(Debug, Default)]
pub(super) struct Signal {
    flags: Mutex<Flags>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Flags {
    hinted: bool,
    woken: bool,
    stopping: bool,
}

impl Signal {
    /// Something may have changed in the folder: scan soon.
    pub(super) fn hint(&self) {
        let mut flags = lock(&self.flags);
        if !flags.hinted {
            flags.hinted = true;
            flags.woken = true;
            self.changed.notify_all();
        }
    }

    /// There is something to do besides scanning.
    pub(super) fn wake(&self) {
        lock(&self.flags).woken = true;
        self.changed.notify_all();
    }

    pub(super) fn stop(&self) {
        lock(&self.flags).stopping = true;
        self.changed.notify_all();
    }

    pub(super) fn stopping(&self) -> bool {
        lock(&self.flags).stopping
    }

    pub(super) fn hinted(&self) -> bool {
        lock(&self.flags).hinted
    }

    /// Before a scan: hints that come from now on ask for another one.
    pub(super) fn take_hint(&self) {
        lock(&self.flags).hinted = false;
    }

    /// Sleeps until woken, told to stop, or the time is over.
    pub(super) fn wait(&self, most: Duration) {
        let flags = lock(&self.flags);
        let (mut flags, _) = self
            .changed
            .wait_timeout_while(flags, most, |flags| !flags.woken && !flags.stopping)
            .unwrap_or_else(PoisonError::into_inner);
        flags.woken = false;
    }

    fn wait_until(&self, deadline: Instant, done: impl Fn() -> bool) -> bool {
        let mut flags = lock(&self.flags);
        while !done() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            (flags, _) =
                self.changed.wait_timeout(flags, left).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_hints_wake_the_thread_once() {
        let signal = Signal::default();
        for _ in 0..1000 {
            signal.hint();
        }
        signal.wait(Duration::from_secs(60)); // Woken already: returns at once.
        assert!(signal.hinted());
        signal.hint(); // Known already: does not wake again.
        let before = Instant::now();
        signal.wait(Duration::from_millis(20));
        assert!(before.elapsed() >= Duration::from_millis(20));
        signal.take_hint();
        assert!(!signal.hinted());
    }

    #[test]
    fn a_stop_ends_every_wait() {
        let signal = Signal::default();
        signal.stop();
        signal.wait(Duration::from_secs(60));
        assert!(signal.stopping());
    }
}
