//! How long to wait before the next attempt.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// A store that was restarted is used again within seconds.
const FIRST: Duration = Duration::from_millis(200);
const MAX_AWAY: Duration = Duration::from_secs(3);

/// Where a person must act, there is no hurry.
const MAX_REFUSED: Duration = Duration::from_secs(15);

/// Waits that double, up to a bound, with a fifth of chance in them: many sites do not come back in
/// the same moment.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    pub(crate) fn next(&mut self, is_refused: bool) -> Duration {
        let most = if is_refused { MAX_REFUSED } else { MAX_AWAY };
        let wait = FIRST.saturating_mul(1 << self.failures.min(10)).min(most);
        self.failures = self.failures.saturating_add(1);
        let chance = RandomState::new().build_hasher().finish() % 200;
        wait.saturating_mul(800 + u32::try_from(chance).unwrap_or(0)) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_bound() {
        let mut backoff = Backoff::default();
        let waits: Vec<Duration> = (0..40).map(|_| backoff.next(false)).collect();
        assert!(waits[0] <= FIRST && waits[0] >= FIRST.mul_f64(0.79));
        assert!(waits.iter().all(|wait| *wait <= MAX_AWAY));
        assert!(waits[39] >= MAX_AWAY.mul_f64(0.79));
        assert!(backoff.next(true) > MAX_AWAY);
        backoff.succeeded();
        assert!(backoff.next(true) <= FIRST);
    }
}
