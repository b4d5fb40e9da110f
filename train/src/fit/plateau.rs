//! The seed's callback: the learning rate follows what the epochs reach.

use serde::{Deserialize, Serialize};

/// How the callback is set; see [`crate::recipe::Schedule::Plateau`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlateauSettings {
    /// Below this training accuracy it watches that accuracy, at or above it the validation loss.
    pub threshold: f64,
    /// What the rate is multiplied by.
    pub factor: f64,
    /// After so many epochs that are no better.
    pub patience: u32,
    /// After so many cuts in a row the run ends.
    pub stop_after: u32,
}

/// What it remembers between epochs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plateau {
    /// The rate of the next epoch.
    pub rate: f64,
    /// The highest training accuracy so far, 0 to 1.
    pub highest_accuracy: f64,
    /// The lowest validation loss so far; none before the first epoch.
    pub lowest_loss: Option<f64>,
    /// Epochs in a row that were no better.
    pub worse: u32,
    /// Cuts in a row without a better epoch between them.
    pub cuts: u32,
}

/// What an epoch was judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Monitor {
    /// The training accuracy.
    Accuracy,
    /// The validation loss.
    ValidationLoss,
}

impl Monitor {
    /// As the line of an epoch names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::ValidationLoss => "val. loss",
        }
    }
}

/// What follows from an epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// What it was judged by.
    pub monitor: Monitor,
    /// How much better than the best before it, per cent; 0 for the first epoch.
    pub improvement: f64,
    /// Its weights are the best so far.
    pub best: bool,
    /// The best weights come back before the next epoch: the rate was cut.
    pub restore: bool,
    /// The run ends.
    pub stop: bool,
}

impl Plateau {
    /// Before the first epoch.
    #[must_use]
    pub const fn new(rate: f64) -> Self {
        Self { rate, highest_accuracy: 0.0, lowest_loss: None, worse: 0, cuts: 0 }
    }

    /// Judges an epoch by its training accuracy, 0 to 1, and its validation loss.
    ///
    /// The rules are those of the notebook's `LRA` callback with `dwell`: above the threshold the
    /// lowest loss counts from every epoch that was best, also from those judged by accuracy.
    pub fn judge(&mut self, settings: &PlateauSettings, accuracy: f64, loss: f64) -> Verdict {
        let by_accuracy = accuracy < settings.threshold;
        let first = self.lowest_loss.is_none();
        let lowest = self.lowest_loss.unwrap_or(f64::INFINITY);
        let (monitor, best, improvement) = if by_accuracy {
            let gain = (accuracy - self.highest_accuracy) / self.highest_accuracy;
            (Monitor::Accuracy, accuracy > self.highest_accuracy, gain)
        } else {
            (Monitor::ValidationLoss, loss < lowest, (lowest - loss) / lowest)
        };
        let improvement = if first || !improvement.is_finite() { 0.0 } else { improvement * 100.0 };
        let mut verdict = Verdict { monitor, improvement, best, restore: false, stop: false };
        if best {
            self.worse = 0;
            self.cuts = 0;
            self.lowest_loss = Some(loss.min(lowest));
        } else {
            self.worse += 1;
            if self.worse >= settings.patience {
                self.rate *= settings.factor;
                self.worse = 0;
                self.cuts += 1;
                verdict.restore = true;
            }
        }
        self.highest_accuracy = self.highest_accuracy.max(accuracy);
        verdict.stop = self.cuts >= settings.stop_after;
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: PlateauSettings =
        PlateauSettings { threshold: 0.9, factor: 0.5, patience: 1, stop_after: 3 };

    #[test]
    fn below_the_threshold_accuracy_decides_and_above_it_the_validation_loss() {
        let mut plateau = Plateau::new(1e-3);
        let one = plateau.judge(&SEED, 0.70, 9.0);
        assert!(one.best && one.monitor == Monitor::Accuracy);
        // A higher loss does not matter yet.
        assert!(plateau.judge(&SEED, 0.80, 9.5).best);
        let worse = plateau.judge(&SEED, 0.79, 1.0);
        assert!(!worse.best && worse.restore && !worse.stop);
        assert_eq!(plateau.rate, 5e-4);
        let above = plateau.judge(&SEED, 0.95, 8.0);
        assert!(above.best && above.monitor == Monitor::ValidationLoss);
        assert!((above.improvement - 100.0 / 9.0).abs() < 1e-9);
    }

    #[test]
    fn three_cuts_in_a_row_end_the_run_and_a_better_epoch_starts_the_count_again() {
        let mut plateau = Plateau::new(1.0);
        assert!(plateau.judge(&SEED, 0.95, 1.0).best);
        assert!(!plateau.judge(&SEED, 0.95, 1.1).stop);
        assert!(!plateau.judge(&SEED, 0.95, 1.1).stop);
        assert!(plateau.judge(&SEED, 0.95, 0.9).best);
        for stop in [false, false, true] {
            assert_eq!(plateau.judge(&SEED, 0.96, 0.9).stop, stop);
        }
        assert_eq!(plateau.rate, 1.0 / 32.0);
    }
}
