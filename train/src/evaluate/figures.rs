//! The few figures that every epoch is measured by.

use super::Prediction;
use super::measures::Sample;

/// What is measured on a set of predictions after every epoch; [`super::Evaluation`] measures more.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Figures {
    /// Cells that are decided rightly at the threshold, 0 to 1.
    pub accuracy: f64,
    /// Mean of sensitivity and specificity.
    pub balanced_accuracy: f64,
    /// Area under the receiver operating characteristic: how often a random `all` is ranked
    /// above a random `hem`.
    pub auroc: f64,
    /// Share of `all` cells that are decided as `all`.
    pub sensitivity: f64,
    /// Share of `hem` cells that are decided as `hem`.
    pub specificity: f64,
    /// Expected calibration error of the likelier class, over 15 bins of equal width (Guo et al.
    /// 2017, "On Calibration of Modern Neural Networks").
    pub calibration_error: f64,
}

impl Figures {
    /// Measures `predictions` at `temperature`, deciding for `all` at or above `threshold`.
    ///
    /// A figure that has no cells to stand on is not a number.
    #[must_use]
    pub fn of(predictions: &[Prediction], temperature: f64, threshold: f64) -> Self {
        let sample = Sample::new(predictions, temperature, threshold);
        let measured = sample.measure(&vec![1.0; predictions.len()]);
        Self {
            accuracy: measured.accuracy.unwrap_or(f64::NAN),
            balanced_accuracy: measured.balanced_accuracy.unwrap_or(f64::NAN),
            auroc: measured.auroc.unwrap_or(f64::NAN),
            sensitivity: measured.sensitivity.unwrap_or(f64::NAN),
            specificity: measured.specificity.unwrap_or(f64::NAN),
            calibration_error: measured.calibration_error.unwrap_or(f64::NAN),
        }
    }

    /// The figures by their names.
    #[must_use]
    pub fn named(&self) -> [(&'static str, f64); 6] {
        [
            ("accuracy", self.accuracy),
            ("balanced_accuracy", self.balanced_accuracy),
            ("auroc", self.auroc),
            ("sensitivity", self.sensitivity),
            ("specificity", self.specificity),
            ("calibration_error", self.calibration_error),
        ]
    }
}
