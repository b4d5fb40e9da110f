//! When each part last showed that it lives.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Counter;
use crate::clock::Clock;

/// Signs of life, by the daemon's clock.
#[derive(Debug)]
pub struct Pulse {
    clock: Clock,
    workers_ms: AtomicU64,
    folders_ms: AtomicU64,
    fed_ms: AtomicU64,
    feeds: Counter,
}

/// The signs of life at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PulseNow {
    /// Since the workers last finished something, or had nothing to do.
    pub workers: Duration,
    /// Since the folders' threads last turned, or were excused because a folder is out of reach.
    pub folders: Duration,
    /// Since systemd's watchdog was last fed; none when it never was.
    pub fed: Option<Duration>,
    /// How often it was fed.
    pub feeds: u64,
}

impl Pulse {
    /// All is well at the start.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let now = AtomicU64::new(millis(clock.monotonic()));
        let (workers_ms, folders_ms) = (AtomicU64::new(now.load(Ordering::Relaxed)), now);
        Self { clock, workers_ms, folders_ms, fed_ms: AtomicU64::new(0), feeds: Counter::default() }
    }

    /// The workers have lived until `at`, by the clock's monotonic time.
    pub fn workers(&self, at: Duration) {
        self.workers_ms.fetch_max(millis(at), Ordering::Relaxed);
    }

    /// The folders' threads have lived until `at`, by the clock's monotonic time.
    pub fn folders(&self, at: Duration) {
        self.folders_ms.fetch_max(millis(at), Ordering::Relaxed);
    }

    /// The watchdog was fed.
    pub fn fed(&self) {
        self.fed_ms.store(millis(self.clock.monotonic()), Ordering::Relaxed);
        self.feeds.one();
    }

    /// How long ago each was.
    #[must_use]
    pub fn now(&self) -> PulseNow {
        let now = self.clock.monotonic();
        let since =
            |at: &AtomicU64| now.saturating_sub(Duration::from_millis(at.load(Ordering::Relaxed)));
        let feeds = self.feeds.get();
        PulseNow {
            workers: since(&self.workers_ms),
            folders: since(&self.folders_ms),
            fed: (feeds > 0).then(|| since(&self.fed_ms)),
            feeds,
        }
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Timestamp;

    #[test]
    fn ages_grow_until_the_next_sign() {
        let clock = Clock::manual(Timestamp(0));
        let pulse = Pulse::new(clock.clone());
        assert_eq!(pulse.now().fed, None);
        clock.advance(Duration::from_secs(7));
        pulse.fed();
        pulse.workers(clock.monotonic());
        clock.advance(Duration::from_secs(2));
        let now = pulse.now();
        assert_eq!((now.workers, now.folders), (Duration::from_secs(2), Duration::from_secs(9)));
        assert_eq!((now.fed, now.feeds), (Some(Duration::from_secs(2)), 1));
    }
}
