//! What a form costs: against f32, on validation cells, through the daemon's engine.

use std::time::Instant;

use leukd_cell::preprocess::InputTensor;
use leukd_model::bundle::Bundle;
use leukd_model::serving::Model;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::QuantizeError;
use crate::dataset::Cell;
use crate::evaluate::{EngineRunError, Figures, Prediction, through_engine};

/// How often a bundle is loaded to time that; the middle one counts.
const LOADS: usize = 3;

/// Rounds of timing, in each of which every form runs one cell; and how many go first, uncounted.
const ROUNDS: usize = 60;
const WARM_UP: usize = 3;

/// The changes of one form from f32, over the same cells. Shares run over 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Changes {
    pub(super) accuracy: f64,
    pub(super) balanced_accuracy: f64,
    pub(super) sensitivity: f64,
    pub(super) flips_to_all: usize,
    pub(super) flips_to_hem: usize,
    pub(super) mean_difference: f64,
    pub(super) largest_difference: f64,
}

/// f32's predictions, and what others are compared at.
#[derive(Debug)]
pub(super) struct Baseline {
    pub(super) figures: Figures,
    /// At the specificity that f32 has at its threshold.
    pub(super) sensitivity: f64,
    predictions: Vec<Prediction>,
    temperature: f64,
    threshold: f64,
    /// How many `hem` cells f32 decides rightly.
    right_hem: usize,
}

impl Baseline {
    pub(super) fn new(model: &Model, predictions: Vec<Prediction>) -> Self {
        let calibration = model.manifest().calibration;
        let (temperature, threshold) = (calibration.temperature, calibration.threshold);
        let right_hem = predictions
            .iter()
            .filter(|cell| cell.label == 1 && cell.probability(temperature) < threshold)
            .count();
        Self {
            figures: Figures::of(&predictions, temperature, threshold),
            sensitivity: sensitivity_at(&predictions, temperature, right_hem),
            predictions,
            temperature,
            threshold,
            right_hem,
        }
    }

    pub(super) fn cells(&self) -> usize {
        self.predictions.len()
    }

    /// `others` are of the same cells in the same order.
    pub(super) fn changes(&self, others: &[Prediction]) -> Changes {
        let (temperature, threshold) = (self.temperature, self.threshold);
        let figures = Figures::of(others, temperature, threshold);
        let pairs: Vec<(f64, f64)> = self
            .predictions
            .iter()
            .zip(others)
            .map(|(own, other)| (own.probability(temperature), other.probability(temperature)))
            .collect();
        let flips = |to_all: bool| {
            let decided = |p: f64| p >= threshold;
            pairs.iter().filter(|(a, b)| decided(*a) != to_all && decided(*b) == to_all).count()
        };
        let differences = || pairs.iter().map(|(a, b)| (a - b).abs());
        Changes {
            accuracy: figures.accuracy - self.figures.accuracy,
            balanced_accuracy: figures.balanced_accuracy - self.figures.balanced_accuracy,
            sensitivity: sensitivity_at(others, temperature, self.right_hem) - self.sensitivity,
            flips_to_all: flips(true),
            flips_to_hem: flips(false),
            mean_difference: differences().sum::<f64>() / pairs.len() as f64,
            largest_difference: differences().fold(0.0, f64::max),
        }
    }
}

/// The share of `all` cells above the lowest threshold that leaves `right_hem` of the `hem` cells
/// below it.
fn sensitivity_at(predictions: &[Prediction], temperature: f64, right_hem: usize) -> f64 {
    let of = |label: usize| {
        predictions
            .iter()
            .filter(move |cell| cell.label == label)
            .map(|cell| cell.probability(temperature))
    };
    let mut hem: Vec<f64> = of(1).collect();
    hem.sort_by(f64::total_cmp);
    let limit = right_hem.checked_sub(1).and_then(|last| hem.get(last)).copied();
    let found = of(0).filter(|p| limit.is_none_or(|limit| *p > limit)).count();
    found as f64 / of(0).count() as f64
}

/// The network's input for one cell.
///
/// # Errors
///
/// [`QuantizeError::OtherSize`] for a cell that was brought to another size.
pub(super) fn input(model: &Model, cell: &Cell) -> Result<InputTensor, QuantizeError> {
    let preprocessing = &model.manifest().preprocessing;
    let size = preprocessing.size;
    let square = cell.square(size);
    let square =
        square.ok_or_else(|| QuantizeError::OtherSize { name: cell.name.clone(), size })?;
    Ok(preprocessing.numbers(&square))
}

/// Runs every cell, on all processors.
///
/// # Errors
///
/// The engine's, and [`QuantizeError::OtherSize`].
pub(super) fn predict(model: &Model, cells: &[Cell]) -> Result<Vec<Prediction>, QuantizeError> {
    through_engine(model, cells).map_err(|error| match error {
        EngineRunError::Size { name, size, .. } => QuantizeError::OtherSize { name, size },
        EngineRunError::Model { source, .. } => QuantizeError::Model(source),
        not @ EngineRunError::NotNumbers { .. } => QuantizeError::Unmeasurable(not.to_string()),
    })
}

/// Reads, compiles and tests a bundle, and tells how many milliseconds that takes.
///
/// # Errors
///
/// As the daemon's.
pub(super) fn load(bytes: &[u8], origin: &str) -> Result<(Model, f64), QuantizeError> {
    let mut took = Vec::with_capacity(LOADS);
    loop {
        let started = Instant::now();
        let model = Model::load(Bundle::from_bytes(bytes, origin)?)?;
        took.push(started.elapsed().as_secs_f64() * 1e3);
        if took.len() == LOADS {
            return Ok((model, median(took)));
        }
    }
}

/// How long a cell takes.
#[derive(Debug)]
pub(super) struct Times {
    /// f32: milliseconds.
    pub(super) float: f64,
    /// How far two copies of f32 differ, as a share.
    pub(super) noise: f64,
    /// Of each form milliseconds, and its ratio to f32.
    pub(super) forms: Vec<(f64, f64)>,
}

/// Times `forms` against two copies of f32, of which one was loaded before them and one after:
/// where a model's weights came to lie in memory shows in its time too.
///
/// All take turns on one thread, cell by cell, each round in an order of its own, and each form is
/// compared with the mean of the copies in the same round: what else the machine does meets all
/// alike. Medians over rounds.
///
/// # Errors
///
/// The engine's, and [`QuantizeError::OtherSize`].
pub(super) fn times(
    float: [&Model; 2],
    forms: &[&Model],
    cells: &[Cell],
    seed: u64,
) -> Result<Times, QuantizeError> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let models: Vec<&Model> = float.iter().chain(forms).copied().collect();
    let mut order: Vec<usize> = (0..models.len()).collect();
    let mut rounds = vec![Vec::with_capacity(ROUNDS); models.len()];
    for (round, cell) in cells.iter().cycle().take(WARM_UP + ROUNDS).enumerate() {
        order.shuffle(&mut rng);
        let input = input(float[0], cell)?;
        for index in &order {
            let started = Instant::now();
            models[*index].logits(&input)?;
            if round >= WARM_UP {
                rounds[*index].push(started.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    let ratio = |one: &[f64], other: &[f64]| {
        median(one.iter().zip(other).map(|(one, other)| one / other).collect())
    };
    let (copies, forms) = rounds.split_at(2);
    let mean: Vec<f64> =
        copies[0].iter().zip(&copies[1]).map(|(one, other)| f64::midpoint(*one, *other)).collect();
    Ok(Times {
        noise: (ratio(&copies[1], &copies[0]) - 1.0).abs(),
        forms: forms.iter().map(|own| (median(own.clone()), ratio(own, &mean))).collect(),
        float: median(mean),
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(p: f64, label: usize) -> Prediction {
        Prediction {
            name: String::new(),
            logits: [(p / (1.0 - p)).ln(), 0.0],
            label,
            subject: String::new(),
            area: 0,
        }
    }

    #[test]
    fn sensitivity_at_a_specificity_is_that_counted_by_hand() {
        let set: Vec<_> = [(0.9, 0), (0.55, 0), (0.3, 0), (0.1, 0), (0.6, 1), (0.4, 1), (0.2, 1)]
            .map(|(p, label)| prediction(p, label))
            .into();
        for (right, expected) in [(0, 1.0), (1, 0.75), (2, 0.5), (3, 0.25)] {
            assert!((sensitivity_at(&set, 1.0, right) - expected).abs() < 1e-12, "{right}");
        }
    }

    #[test]
    fn a_median_is_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-12);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-12);
        assert!(median(Vec::new()).is_nan());
    }
}
