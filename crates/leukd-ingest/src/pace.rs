//! When the next full scan is due.

use std::time::Duration;

/// Two scans in a row never come closer: a burst of events becomes a few scans, not thousands.
const SHORTEST_GAP: Duration = Duration::from_millis(100);

/// After a scan the folder is left alone for this many times what the scan took: scanning takes at
/// most a fifth of the time, however big the folder and however fast the events.
const REST: u32 = 4;

/// Times of one folder's scans, on the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Pace {
    last: Option<(Duration, Duration)>,
}

impl Pace {
    /// A scan, or an attempt at one, began and ended.
    pub(super) fn scanned(&mut self, began: Duration, ended: Duration) {
        self.last = Some((ended, ended.saturating_sub(began)));
    }

    /// When the next scan is due; `hinted` when something is said to have changed. At once before
    /// the first.
    pub(super) fn next(&self, interval: Duration, hinted: bool) -> Duration {
        let Some((ended, took)) = self.last else { return Duration::ZERO };
        let gap = took.saturating_mul(REST).max(SHORTEST_GAP);
        ended.saturating_add(if hinted { gap } else { gap.max(interval) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn the_first_scan_is_due_at_once() {
        assert_eq!(Pace::default().next(10 * S, false), Duration::ZERO);
    }

    #[test]
    fn a_hint_brings_the_scan_forward_but_scanning_keeps_to_a_fifth_of_the_time() {
        let mut pace = Pace::default();
        pace.scanned(10 * S, 12 * S);
        assert_eq!(pace.next(60 * S, false), 72 * S);
        assert_eq!(pace.next(60 * S, true), 20 * S);
        assert_eq!(pace.next(S, false), 20 * S);
    }

    #[test]
    fn hints_on_a_small_folder_do_not_make_a_busy_loop() {
        let mut pace = Pace::default();
        pace.scanned(S, S);
        assert_eq!(pace.next(10 * S, true), S + SHORTEST_GAP);
    }
}
