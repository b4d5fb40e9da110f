//! What the size of a cell alone tells: the least that a network must beat.

use serde::{Deserialize, Serialize};

use super::Prediction;
use super::bootstrap::{Resampling, Units, percentiles};
use super::evaluation::Estimate;
use super::measures::Tally;
use super::ranking::Ranking;

/// A cut through the cells' areas.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AreaCut {
    /// Pixels of the whole picture that are not black.
    pub area: f64,
    /// Whether cells of at least this area are called `all` (else those below it are).
    pub larger_is_all: bool,
    /// How many cells it was fitted on.
    pub fitted_on: u64,
}

impl AreaCut {
    /// The cut with the highest balanced accuracy on `(area, label)` of training cells, halfway
    /// between two areas; the lowest one where several are equally good. None where a class has no
    /// cell.
    #[must_use]
    pub fn fit(cells: impl IntoIterator<Item = (u64, usize)>) -> Option<Self> {
        let mut cells: Vec<_> = cells.into_iter().collect();
        cells.sort_unstable();
        let blasts = cells.iter().filter(|(_, label)| *label == 0).count() as f64;
        let normal = cells.len() as f64 - blasts;
        if blasts == 0.0 || normal == 0.0 {
            return None;
        }
        let fitted_on = cells.len() as u64;
        let lowest = cells[0].0 as f64;
        // Below the smallest cell every cell is called `all`.
        let mut best = (0.5, Self { area: lowest, larger_is_all: true, fitted_on });
        let (mut blasts_below, mut normal_below) = (0.0, 0.0);
        let groups: Vec<_> = cells.chunk_by(|a, b| a.0 == b.0).collect();
        for pair in groups.windows(2) {
            for (_, label) in pair[0] {
                *(if *label == 0 { &mut blasts_below } else { &mut normal_below }) += 1.0;
            }
            let larger = f64::midpoint(1.0 - blasts_below / blasts, normal_below / normal);
            let area = f64::midpoint(pair[0][0].0 as f64, pair[1][0].0 as f64);
            for (reached, larger_is_all) in [(larger, true), (1.0 - larger, false)] {
                if reached > best.0 {
                    best = (reached, Self { area, larger_is_all, fitted_on });
                }
            }
        }
        Some(best.1)
    }

    fn is_all(&self, area: u64) -> bool {
        (area as f64 >= self.area) == self.larger_is_all
    }
}

/// The cut, measured on the same cells as the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Fitted on the training side.
    pub cut: AreaCut,
    /// What it reaches.
    #[serde(flatten)]
    pub figures: AreaFigures,
}

/// What cuts through the cells' areas reach. The decisions are the cuts'; the ranking is the area's
/// own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AreaFigures {
    /// Cells that it decides rightly.
    pub accuracy: Estimate,
    /// Mean of sensitivity and specificity.
    pub balanced_accuracy: Estimate,
    /// Area under the receiver operating characteristic of the area itself, in the cut's direction;
    /// none where cuts in both directions were pooled.
    pub auroc: Estimate,
    /// Share of `all` cells that it calls `all`.
    pub sensitivity: Estimate,
    /// Share of `hem` cells that it calls `hem`.
    pub specificity: Estimate,
}

impl Baseline {
    pub(super) fn of(cut: AreaCut, predictions: &[Prediction], units: &Units, seed: u64) -> Self {
        let cells: Vec<_> = predictions.iter().map(|one| (one, cut)).collect();
        Self { cut, figures: AreaFigures::measured(&cells, units, seed) }
    }
}

impl AreaFigures {
    /// Each cell decided by a cut of its own: that of the training side of the model that tested
    /// it. `seed` is the bootstrap's.
    #[must_use]
    pub fn pooled(cells: &[(Prediction, AreaCut)], resampling: Resampling, seed: u64) -> Self {
        let predictions: Vec<Prediction> = cells.iter().map(|(one, _)| one.clone()).collect();
        let cells: Vec<_> = cells.iter().map(|(one, cut)| (one, *cut)).collect();
        Self::measured(&cells, &Units::new(&predictions, resampling), seed)
    }

    fn measured(cells: &[(&Prediction, AreaCut)], units: &Units, seed: u64) -> Self {
        let larger = cells.first().is_none_or(|(_, cut)| cut.larger_is_all);
        let sign = if larger { 1.0 } else { -1.0 };
        let one_direction = cells.iter().all(|(_, cut)| cut.larger_is_all == larger);
        let areas = cells.iter().map(|(one, _)| (sign * one.area as f64, one.label == 0));
        let ranking = one_direction.then(|| Ranking::new(areas));
        let measure = |weights: &[f64]| -> [Option<f64>; 5] {
            let decided = cells.iter().map(|(one, cut)| (cut.is_all(one.area), one.label == 0));
            let tally = Tally::of(decided.zip(weights.iter().copied()));
            [
                tally.accuracy(),
                tally.balanced_accuracy(),
                ranking.as_ref().and_then(|ranking| ranking.auroc(weights)),
                tally.sensitivity(),
                tally.specificity(),
            ]
        };
        let values = measure(&vec![1.0; cells.len()]);
        let draws = units.draw(seed, measure);
        let estimate = |figure: usize| Estimate {
            value: values[figure],
            interval: percentiles(draws.iter().filter_map(|draw| draw[figure]).collect()),
        };
        Self {
            accuracy: estimate(0),
            balanced_accuracy: estimate(1),
            auroc: estimate(2),
            sensitivity: estimate(3).unless_single("sensitivity", units),
            specificity: estimate(4).unless_single("specificity", units),
        }
    }
}
