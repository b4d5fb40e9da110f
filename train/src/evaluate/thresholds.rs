//! What other thresholds than the served one would give: information, found on the very cells that
//! it is about.

use serde::{Deserialize, Serialize};

use super::Prediction;
use super::ranking::Ranking;

/// What one threshold gives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OperatingPoint {
    /// At or above this P(all), 0 to 1, a cell is decided as `all`.
    pub threshold: f64,
    /// Share of `all` cells that are decided as `all`.
    pub sensitivity: f64,
    /// Share of `hem` cells that are decided as `hem`.
    pub specificity: f64,
    /// Their mean.
    pub balanced_accuracy: f64,
}

/// Two thresholds that somebody may want instead of the served one. What they give is what the
/// ranking allows, not what a user will see: they are found on these same cells.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// With the highest balanced accuracy; of equally good ones the one nearest to 0.5.
    pub most_balanced_accuracy: OperatingPoint,
    /// With sensitivity and specificity as equal as they get; of equally equal ones the one nearest
    /// to 0.5.
    pub equal_errors: OperatingPoint,
}

impl Thresholds {
    /// On `predictions` at `temperature`; none where a class has no cell.
    #[must_use]
    pub fn of(predictions: &[Prediction], temperature: f64) -> Option<Self> {
        let scored = predictions.iter().map(|one| (one.probability(temperature), one.label == 0));
        let points: Vec<OperatingPoint> = Ranking::new(scored)
            .decisions()
            .into_iter()
            .map(|(threshold, sensitivity, specificity)| OperatingPoint {
                threshold,
                sensitivity,
                specificity,
                balanced_accuracy: f64::midpoint(sensitivity, specificity),
            })
            .collect();
        let least = |cost: &dyn Fn(&OperatingPoint) -> f64| {
            let off = |point: &OperatingPoint| (point.threshold - 0.5).abs();
            points
                .iter()
                .min_by(|a, b| cost(a).total_cmp(&cost(b)).then(off(a).total_cmp(&off(b))))
                .copied()
        };
        Some(Self {
            most_balanced_accuracy: least(&|point| -point.balanced_accuracy)?,
            equal_errors: least(&|point| (point.sensitivity - point.specificity).abs())?,
        })
    }
}
