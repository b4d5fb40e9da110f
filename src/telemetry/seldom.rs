//! A log line that would come with every request.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets one of many equal log lines through, and counts the others.
#[derive(Debug)]
pub struct Seldom {
    every: Duration,
    last: Mutex<Option<(Instant, u64)>>,
}

impl Seldom {
    /// At most one line in that time.
    #[must_use]
    pub const fn new(every: Duration) -> Self {
        Self { every, last: Mutex::new(None) }
    }

    /// The number of lines left out since the last one, if a line is due.
    pub fn due(&self) -> Option<u64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *last {
            Some((at, untold)) if at.elapsed() < self.every => {
                *untold = untold.saturating_add(1);
                None
            }
            before => {
                let untold = before.map_or(0, |(_, untold)| untold);
                *before = Some((Instant::now(), 0));
                Some(untold)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_let_through_and_the_others_are_counted() {
        let seldom = Seldom::new(Duration::from_secs(3600));
        assert_eq!(seldom.due(), Some(0));
        assert_eq!((seldom.due(), seldom.due()), (None, None));
        let often = Seldom::new(Duration::ZERO);
        assert_eq!((often.due(), often.due()), (Some(0), Some(0)));
    }
}
