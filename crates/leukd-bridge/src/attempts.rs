//! What follows an attempt: decisions alone.

use std::time::Duration;

use super::message::Verdict;

/// How long to try, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The wait after the first failure. It doubles with each further one.
    pub first_pause: Duration,
    /// The longest wait.
    pub longest_pause: Duration,
    /// Refusals of one message after which it is set aside.
    pub refusals: u32,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The message was taken: move the cursor.
    Advance,
    /// Set the message aside for this reason, then move the cursor.
    SetAside(String),
    /// Try the same message again after this time.
    Wait(Duration),
}

/// The attempts at one message.
#[derive(Debug)]
pub struct Attempts {
    patience: Patience,
    pause: Duration,
    refusals: u32,
    made: u32,
}

impl Attempts {
    /// None yet.
    #[must_use]
    pub const fn new(patience: Patience) -> Self {
        Self { patience, pause: patience.first_pause, refusals: 0, made: 0 }
    }

    /// Attempts that were made.
    #[must_use]
    pub const fn made(&self) -> u32 {
        self.made
    }

    /// Decides after an attempt. A destination that is away never costs a message.
    pub fn after(&mut self, verdict: Verdict) -> Next {
        self.made = self.made.saturating_add(1);
        match verdict {
            Verdict::Accepted => Next::Advance,
            Verdict::Refused(reason) => {
                self.refusals = self.refusals.saturating_add(1);
                if self.refusals >= self.patience.refusals {
                    return Next::SetAside(reason);
                }
                self.wait()
            }
            Verdict::Away(_) => self.wait(),
        }
    }

    fn wait(&mut self) -> Next {
        let pause = self.pause.min(self.patience.longest_pause);
        self.pause = pause.saturating_mul(2);
        Next::Wait(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(5),
        refusals: 3,
    };

    #[test]
    fn a_message_is_set_aside_after_its_refusals_and_never_for_an_outage() {
        let mut attempts = Attempts::new(PATIENCE);
        let refused = || Verdict::Refused("AE".to_owned());
        let away = || Verdict::Away("no connection".to_owned());
        for seconds in [1, 2, 4, 5, 5] {
            assert_eq!(attempts.after(away()), Next::Wait(Duration::from_secs(seconds)));
        }
        assert_eq!(attempts.after(refused()), Next::Wait(Duration::from_secs(5)));
        assert_eq!(attempts.after(away()), Next::Wait(Duration::from_secs(5)));
        assert_eq!(attempts.after(refused()), Next::Wait(Duration::from_secs(5)));
        assert_eq!(attempts.after(refused()), Next::SetAside("AE".to_owned()));
        assert_eq!(attempts.made(), 9);
        assert_eq!(Attempts::new(PATIENCE).after(Verdict::Accepted), Next::Advance);
    }
}
