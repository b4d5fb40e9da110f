//! Cells in the order of their score: what every threshold at once says of them.

use serde::{Deserialize, Serialize};

/// Two shares that differ by less are equal: counts are divided, so they differ by rounding alone.
const EQUAL: f64 = 1e-12;

/// One corner of the receiver operating characteristic.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// At or above this score a cell is decided as `all`; none for the corner at (0, 0), where
    /// nothing is.
    pub threshold: Option<f64>,
    /// 1 − specificity, 0 to 1.
    pub false_positive_rate: f64,
    /// Sensitivity, 0 to 1.
    pub true_positive_rate: f64,
}

/// One point of the precision–recall curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PrecisionRecallPoint {
    /// At or above this score a cell is decided as `all`.
    pub threshold: f64,
    /// Share of `all` cells that are decided as `all`, 0 to 1.
    pub recall: f64,
    /// Share of the cells decided as `all` that are, 0 to 1.
    pub precision: f64,
}

/// Scores in falling order. Each cell counts with a weight, so that a bootstrap's draw needs no
/// sorting of its own.
#[derive(Debug, Clone)]
pub(super) struct Ranking {
    /// Score, whether the cell is `all`, and its place among the weights.
    items: Vec<(f64, bool, usize)>,
}

impl Ranking {
    /// Of `(score, is all)`; the i-th belongs to the i-th weight.
    pub(super) fn new(scored: impl IntoIterator<Item = (f64, bool)>) -> Self {
        let mut items: Vec<_> = scored
            .into_iter()
            .enumerate()
            .map(|(index, (score, positive))| (score, positive, index))
            .collect();
        items.sort_by(|a, b| b.0.total_cmp(&a.0));
        Self { items }
    }

    /// Calls `each(score, true positives, false positives)` after every group of equal scores.
    fn walk(&self, weights: &[f64], mut each: impl FnMut(f64, f64, f64)) {
        let (mut hits, mut alarms) = (0.0, 0.0);
        for tied in self.items.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
            for (_, positive, index) in tied {
                *(if *positive { &mut hits } else { &mut alarms }) += weights[*index];
            }
            each(tied[0].0, hits, alarms);
        }
    }

    /// The weights of `all` and of `hem` cells; none where a class has no cell.
    fn both(&self, weights: &[f64]) -> Option<(f64, f64)> {
        let (mut positives, mut negatives) = (0.0, 0.0);
        for (_, positive, index) in &self.items {
            *(if *positive { &mut positives } else { &mut negatives }) += weights[*index];
        }
        (positives > 0.0 && negatives > 0.0).then_some((positives, negatives))
    }

    /// Area under the receiver operating characteristic, ties counted half (Mann & Whitney).
    pub(super) fn auroc(&self, weights: &[f64]) -> Option<f64> {
        let (positives, negatives) = self.both(weights)?;
        let (mut area, mut last) = (0.0, (0.0, 0.0));
        self.walk(weights, |_, hits, alarms| {
            area += (alarms - last.1) * f64::midpoint(hits, last.0);
            last = (hits, alarms);
        });
        Some(area / (positives * negatives))
    }

    /// Average precision: Σ (Rᵢ − Rᵢ₋₁) · Pᵢ over falling thresholds, without interpolation, as
    /// scikit-learn's `average_precision_score`.
    pub(super) fn average_precision(&self, weights: &[f64]) -> Option<f64> {
        let (positives, _) = self.both(weights)?;
        let (mut sum, mut last) = (0.0, 0.0);
        self.walk(weights, |_, hits, alarms| {
            if hits > last {
                sum += (hits - last) * hits / (hits + alarms);
            }
            last = hits;
        });
        Some(sum / positives)
    }

    /// The highest sensitivity of any threshold whose specificity is at least `specificity`.
    pub(super) fn sensitivity_at(&self, specificity: f64, weights: &[f64]) -> Option<f64> {
        let (positives, negatives) = self.both(weights)?;
        let mut best = 0.0_f64;
        self.walk(weights, |_, hits, alarms| {
            if 1.0 - alarms / negatives >= specificity - EQUAL {
                best = best.max(hits / positives);
            }
        });
        Some(best)
    }

    /// The highest specificity of any threshold whose sensitivity is at least `sensitivity`.
    pub(super) fn specificity_at(&self, sensitivity: f64, weights: &[f64]) -> Option<f64> {
        let (positives, negatives) = self.both(weights)?;
        let mut best = 0.0_f64;
        self.walk(weights, |_, hits, alarms| {
            if hits / positives >= sensitivity - EQUAL {
                best = best.max(1.0 - alarms / negatives);
            }
        });
        Some(best)
    }

    /// What deciding for `all` at or above each score gives, as
    /// `(score, sensitivity, specificity)`, the highest score first. Empty where a class has no
    /// cell.
    pub(super) fn decisions(&self) -> Vec<(f64, f64, f64)> {
        let weights = vec![1.0; self.items.len()];
        let Some((positives, negatives)) = self.both(&weights) else { return Vec::new() };
        let mut points = Vec::new();
        self.walk(&weights, |score, hits, alarms| {
            points.push((score, hits / positives, 1.0 - alarms / negatives));
        });
        points
    }

    /// The corners of the receiver operating characteristic from (0, 0) to (1, 1); points on a
    /// straight line between two others are left out. Empty where a class has no cell.
    pub(super) fn roc(&self) -> Vec<RocPoint> {
        let weights = vec![1.0; self.items.len()];
        let Some((positives, negatives)) = self.both(&weights) else { return Vec::new() };
        let mut counts = vec![(None, 0.0, 0.0)];
        self.walk(&weights, |score, hits, alarms| {
            if let [.., (_, hits0, alarms0), (_, hits1, alarms1)] = counts[..] {
                // Counts are whole numbers, so the cross product is exact.
                if (hits1 - hits0) * (alarms - alarms1) == (hits - hits1) * (alarms1 - alarms0) {
                    counts.pop();
                }
            }
            counts.push((Some(score), hits, alarms));
        });
        counts
            .into_iter()
            .map(|(threshold, hits, alarms)| RocPoint {
                threshold,
                false_positive_rate: alarms / negatives,
                true_positive_rate: hits / positives,
            })
            .collect()
    }

    /// Precision and recall at every threshold, in rising order of recall. Empty where a class has
    /// no cell.
    pub(super) fn precision_recall(&self) -> Vec<PrecisionRecallPoint> {
        let weights = vec![1.0; self.items.len()];
        let Some((positives, _)) = self.both(&weights) else { return Vec::new() };
        let mut points = Vec::new();
        self.walk(&weights, |threshold, hits, alarms| {
            let (recall, precision) = (hits / positives, hits / (hits + alarms));
            points.push(PrecisionRecallPoint { threshold, recall, precision });
        });
        points
    }
}
