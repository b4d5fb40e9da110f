//! A reference from cells: what `leukd model reference` writes.

use std::collections::BTreeMap;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{FeatureSpace, Reference};
use leukd_cell::Measures;

/// The share of other real cells that may be doubted, 0 to 1, where nobody asks for another.
pub const FALSE_ALARMS: f64 = 0.05;

/// How many wide directions a space has. On a model of real cells 16, 32, 64 and 128 told other
/// cells from its own equally well.
const DIRECTIONS: usize = 32;

/// Passes of the iteration that finds them: what they change after it is far below half precision.
const PASSES: usize = 40;

/// Outside a measure's bounds lies this share of the training cells, on each side.
const TAIL: f64 = 0.002;

/// The fewest cells on either side.
const FEWEST: usize = 20;

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Of its picture.
    pub measures: Measures,
    /// Pooled; empty where the network's head is not known.
    pub features: Vec<f32>,
}

/// Why cells make no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// Too few to say anything.
    #[error("{0} training and {1} validation cells; at least {FEWEST} of each are needed")]
    TooFew(usize, usize),
    /// Cells of different networks, which is the caller's defect.
    #[error("not all cells have the same number of features")]
    Uneven,
}

/// The reference of `training` cells, its limit such that of the `validation` cells at most the
/// share `false_alarms` (0 to 1) is doubted by bounds and limit together. Where the bounds alone
/// doubt more, the limit lies above them all.
///
/// # Errors
///
/// See [`FitError`].
pub fn fit(
    data: String,
    training: &[Sample],
    validation: &[Sample],
    false_alarms: f64,
) -> Result<Reference, FitError> {
    if training.len() < FEWEST || validation.len() < FEWEST {
        return Err(FitError::TooFew(training.len(), validation.len()));
    }
    let width = training[0].features.len();
    if training.iter().chain(validation).any(|sample| sample.features.len() != width) {
        return Err(FitError::Uneven);
    }
    let mut reference = Reference {
        data,
        cells: training.len() as u64,
        bounds: bounds(training),
        features: None,
        asked_false_alarms: false_alarms,
        false_alarms: 0.0,
        validation_cells: validation.len() as u64,
    };
    let plain = |sample: &&Sample| reference.doubts_of_measures(&sample.measures).is_empty();
    let undoubted: Vec<&Sample> = validation.iter().filter(plain).collect();
    let doubted = validation.len() - undoubted.len();
    let mut beyond = 0;
    if width > 0 {
        let (mean, directions, variances, residual) = space(training, width);
        let packed = FeatureSpace::pack(&mean, &directions, variances, residual, f64::MAX);
        // As it will be read again, with the directions in half precision.
        if let Ok(space) = packed.unpack() {
            let far = |sample: &&Sample| space.distance(&sample.features).unwrap_or(f64::MAX);
            let mut distances: Vec<f64> = undoubted.iter().map(far).collect();
            distances.sort_by(f64::total_cmp);
            #[expect(clippy::cast_sign_loss, reason = "a number of cells")]
            let most = (false_alarms * validation.len() as f64).floor().max(0.0) as usize;
            let spare = most.saturating_sub(doubted);
            let at = distances.len().saturating_sub(spare + 1);
            // Just above the furthest cell that is to pass.
            let limit = distances.get(at).map_or(f64::MAX, |distance| distance * (1.0 + 1e-9));
            beyond = distances.iter().filter(|distance| **distance > limit).count();
            reference.features = Some(FeatureSpace { limit, ..packed });
        }
    }
    reference.false_alarms = (doubted + beyond) as f64 / validation.len() as f64;
    Ok(reference)
}

/// The bounds that all but [`TAIL`] of the cells keep, on each side. Of a cell that touches the
/// frame or is not solid too much or too little is told by one bound alone.
fn bounds(training: &[Sample]) -> BTreeMap<String, (f64, f64)> {
    let each = Measures::NAMES.iter().enumerate().map(|(at, name)| {
        let mut values: Vec<f64> =
            training.iter().map(|sample| sample.measures.values()[at]).collect();
        values.sort_by(f64::total_cmp);
        #[expect(clippy::cast_sign_loss, reason = "a place in a list")]
        let place = |share: f64| (share * (values.len() - 1) as f64).round() as usize;
        let (lower, upper) = (values[place(TAIL)], values[place(1.0 - TAIL)]);
        let bounds = match *name {
            "frame" => (0.0, upper),
            "solidity" => (lower, 1.0),
            _ => (lower, upper),
        };
        ((*name).to_owned(), bounds)
    });
    each.collect()
}

/// Mean, widest directions, variances along them and along all others: orthogonal iteration (Golub
/// & Van Loan, "Matrix Computations", 8.2.4) on the covariance, which is never formed.
fn space(training: &[Sample], width: usize) -> (Vec<f32>, Vec<f32>, Vec<f64>, f64) {
    let cells = training.len() as f64;
    let mut mean = vec![0.0_f64; width];
    for sample in training {
        mean.iter_mut()
            .zip(&sample.features)
            .for_each(|(mean, value)| *mean += f64::from(*value) / cells);
    }
    let mean: Vec<f32> = mean.into_iter().map(|value| value as f32).collect();
    let off: Vec<f32> = training
        .iter()
        .flat_map(|sample| sample.features.iter().zip(&mean).map(|(value, mean)| value - mean))
        .collect();
    let freedom = cells - 1.0;
    let total: f64 =
        off.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>() / freedom;

    let count = DIRECTIONS.min(width.saturating_sub(1)).min(training.len() - 1);
    let mut dice = ChaCha8Rng::seed_from_u64(1);
    let mut directions: Vec<f32> =
        (0..count * width).map(|_| dice.random_range(-1.0..1.0)).collect();
    orthogonal(&mut directions, width);
    let mut variances = vec![0.0; count];
    for _ in 0..PASSES {
        let mut next = vec![0.0_f32; count * width];
        variances.fill(0.0);
        for cell in off.chunks_exact(width) {
            for (at, direction) in directions.chunks_exact(width).enumerate() {
                let along: f32 = direction.iter().zip(cell).map(|(one, other)| one * other).sum();
                variances[at] += f64::from(along) * f64::from(along) / freedom;
                let row = &mut next[at * width..][..width];
                row.iter_mut().zip(cell).for_each(|(sum, value)| *sum += along * value);
            }
        }
        orthogonal(&mut next, width);
        directions = next;
    }
    // A direction without any spread says nothing and must not be divided by.
    let kept = variances.iter().take_while(|variance| **variance > total * 1e-9).count();
    variances.truncate(kept);
    directions.truncate(kept * width);
    let rest = (total - variances.iter().sum::<f64>()).max(total * 1e-9).max(1e-12);
    let residual = rest / (width - kept).max(1) as f64;
    (mean, directions, variances, residual)
}

/// Gram–Schmidt, twice, so that rounding leaves nothing: each row becomes orthogonal to those
/// before it and of length 1.
fn orthogonal(rows: &mut [f32], width: usize) {
    let dot = |one: &[f32], other: &[f32]| -> f64 {
        one.iter().zip(other).map(|(one, other)| f64::from(*one) * f64::from(*other)).sum()
    };
    for at in 0..rows.len() / width.max(1) {
        let (before, rest) = rows.split_at_mut(at * width);
        let row = &mut rest[..width];
        for _ in 0..2 {
            for other in before.chunks_exact(width) {
                let along = dot(other, row);
                row.iter_mut()
                    .zip(other)
                    .for_each(|(value, other)| *value -= (along * f64::from(*other)) as f32);
            }
        }
        let length = dot(row, row).sqrt();
        if length > 0.0 {
            row.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
        }
    }
}
