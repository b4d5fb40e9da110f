//! How far a figure would have moved had other subjects been drawn.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::Prediction;
use super::measures::Sample;
use crate::dataset::{LABELS, Protocol};

/// How many times the bootstrap draws.
pub const DRAWS: usize = 2000;

/// What the bootstrap draws, with replacement, as many as there are within each class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resampling {
    /// Subjects, each with all its cells: the cells of one subject are alike.
    Subjects,
    /// Single cells.
    Cells,
}

impl From<Protocol> for Resampling {
    /// Subjects for a split by subject; else, where subjects stand on both sides, cells.
    fn from(protocol: Protocol) -> Self {
        if protocol == Protocol::Subject { Self::Subjects } else { Self::Cells }
    }
}

/// The units that are drawn, for each class: each the places of its cells.
#[derive(Debug)]
pub(super) struct Units {
    classes: [Vec<Vec<usize>>; LABELS.len()],
    cells: usize,
}

impl Units {
    pub(super) fn new(predictions: &[Prediction], resampling: Resampling) -> Self {
        let mut classes: [Vec<Vec<usize>>; LABELS.len()] = Default::default();
        let mut subjects: BTreeMap<(usize, &str), Vec<usize>> = BTreeMap::new();
        for (index, one) in predictions.iter().enumerate() {
            match resampling {
                Resampling::Cells => classes[one.label].push(vec![index]),
                Resampling::Subjects => {
                    subjects.entry((one.label, &one.subject)).or_default().push(index);
                }
            }
        }
        for ((label, _), cells) in subjects {
            classes[label].push(cells);
        }
        Self { classes, cells: predictions.len() }
    }

    /// How many units class `label` has.
    pub(super) fn count(&self, label: usize) -> usize {
        self.classes[label].len()
    }

    /// How often each cell is in the `draw`-th draw: the same for the same seed, whatever thread
    /// asks and in whatever order.
    fn weights(&self, seed: u64, draw: usize) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(draw as u64);
        let mut weights = vec![0.0; self.cells];
        for units in &self.classes {
            for _ in 0..units.len() {
                for cell in &units[rng.random_range(0..units.len())] {
                    weights[*cell] += 1.0;
                }
            }
        }
        weights
    }

    /// What `measure` gives on each of [`DRAWS`] draws.
    pub(super) fn draw<T: Send>(&self, seed: u64, measure: impl Fn(&[f64]) -> T + Sync) -> Vec<T> {
        (0..DRAWS).into_par_iter().map(|draw| measure(&self.weights(seed, draw))).collect()
    }
}

/// The 2.5 % and the 97.5 % point of `values`, interpolated linearly (Hyndman & Fan's type 7, as
/// numpy's default); none where there is no value.
pub(super) fn percentiles(mut values: Vec<f64>) -> Option<(f64, f64)> {
    values.sort_by(f64::total_cmp);
    // In whole fortieths, so that nothing is rounded before the neighbours are found.
    let at = |fortieths: usize| {
        let place = values.len().checked_sub(1)? * fortieths;
        let (index, rest) = (place / 40, (place % 40) as f64 / 40.0);
        let (lower, upper) = (values[index], values[(index + 1).min(values.len() - 1)]);
        Some(lower + (upper - lower) * rest)
    };
    Some((at(1)?, at(39)?))
}

/// 95 % intervals of [`super::Figures::named`] from a bootstrap over subjects: within each class
/// as many subjects are drawn, with replacement, as there are, each with all its cells. A figure
/// without cells to stand on is not a number.
///
/// A class with a single subject does not vary between draws, so the interval leaves out how
/// much such subjects differ.
#[must_use]
pub fn intervals(
    predictions: &[Prediction],
    temperature: f64,
    threshold: f64,
    seed: u64,
) -> [(f64, f64); 6] {
    let sample = Sample::new(predictions, temperature, threshold);
    let draws = Units::new(predictions, Resampling::Subjects).draw(seed, |weights| {
        let measured = sample.measure(weights);
        [
            measured.accuracy,
            measured.balanced_accuracy,
            measured.auroc,
            measured.sensitivity,
            measured.specificity,
            measured.calibration_error,
        ]
    });
    std::array::from_fn(|figure| {
        percentiles(draws.iter().filter_map(|draw| draw[figure]).collect())
            .unwrap_or((f64::NAN, f64::NAN))
    })
}
