//! Where a network's pooled features lie for the cells that it was trained on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use half::f16;
use serde::{Deserialize, Serialize};

use crate::manifest_error::ManifestError;

/// The most features, and the most directions, of a space.
const MOST_FEATURES: usize = 65_536;
/// See [`MOST_FEATURES`].
const MOST_DIRECTIONS: usize = 256;

/// A Gaussian over the pooled features with a few wide directions and the same narrow spread in all
/// others: probabilistic principal component analysis (Tipping & Bishop 1999), as a bundle stores
/// it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSpace {
    /// The mean of each feature: base64 of little-endian f32.
    pub mean: String,
    /// The wide directions, each of length 1, one after the other: base64 of little-endian IEEE
    /// half precision.
    pub directions: String,
    /// The variance along each of them, greatest first.
    pub variances: Vec<f64>,
    /// The variance along every other direction.
    pub residual: f64,
    /// A capture further away is unlike the training cells.
    pub limit: f64,
}

/// A [`FeatureSpace`] made ready.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    mean: Vec<f32>,
    directions: Vec<f32>,
    variances: Vec<f64>,
    residual: f64,
    /// See [`FeatureSpace::limit`].
    pub limit: f64,
}

impl FeatureSpace {
    /// Packs a space: mean, directions (row-major), their variances, the residual one, the limit.
    #[must_use]
    pub fn pack(
        mean: &[f32],
        directions: &[f32],
        variances: Vec<f64>,
        residual: f64,
        limit: f64,
    ) -> Self {
        let mean: Vec<u8> = mean.iter().flat_map(|value| value.to_le_bytes()).collect();
        let directions: Vec<u8> =
            directions.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect();
        let (mean, directions) = (BASE64.encode(mean), BASE64.encode(directions));
        Self { mean, directions, variances, residual, limit }
    }

    pub(super) fn check(&self) -> Result<(), ManifestError> {
        self.unpack().map(drop)
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// The first field that is not what it should be.
    pub fn unpack(&self) -> Result<Space, ManifestError> {
        let wrong = |field: &str, problem: &str| {
            ManifestError::new(format!("reference.features.{field}"), problem)
        };
        let bytes = |field: &str, text: &str| {
            BASE64.decode(text).map_err(|error| wrong(field, &error.to_string()))
        };
        let mean: Vec<f32> = bytes("mean", &self.mean)?
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect();
        let directions: Vec<f32> = bytes("directions", &self.directions)?
            .as_chunks::<2>()
            .0
            .iter()
            .map(|bytes| f16::from_le_bytes(*bytes).to_f32())
            .collect();
        let (features, count) = (mean.len(), self.variances.len());
        if !(1..=MOST_FEATURES).contains(&features) || count > MOST_DIRECTIONS {
            let most =
                format!("1 to {MOST_FEATURES} features and up to {MOST_DIRECTIONS} directions");
            return Err(wrong(
                "mean",
                &format!("{features} features and {count} directions are not {most}"),
            ));
        }
        if directions.len() != features * count {
            let problem =
                format!("{} numbers are not {count} directions of {features}", directions.len());
            return Err(wrong("directions", &problem));
        }
        if !mean.iter().chain(&directions).all(|value| value.is_finite()) {
            return Err(wrong("directions", "a number is not finite"));
        }
        let positive = |value: &f64| value.is_finite() && *value > 0.0;
        if !self.variances.iter().chain([&self.residual, &self.limit]).all(positive) {
            return Err(wrong("variances", "a variance, or the limit, is not greater than 0"));
        }
        let variances = self.variances.clone();
        Ok(Space { mean, directions, variances, residual: self.residual, limit: self.limit })
    }
}

impl Space {
    /// How many features it is of.
    #[must_use]
    pub const fn features(&self) -> usize {
        self.mean.len()
    }

    /// The Mahalanobis distance of `features` from the training cells' mean, by the square root of
    /// their number: near 1 for a cell of theirs. None for another number of features.
    #[must_use]
    pub fn distance(&self, features: &[f32]) -> Option<f64> {
        if features.len() != self.mean.len() {
            return None;
        }
        let off: Vec<f32> =
            features.iter().zip(&self.mean).map(|(value, mean)| value - mean).collect();
        let dot = |one: &[f32], other: &[f32]| -> f64 {
            // Eight sums, so that the processor adds several at once.
            let mut sums = [0.0_f32; 8];
            let (ones, others) = (one.as_chunks::<8>(), other.as_chunks::<8>());
            for (one, other) in ones.0.iter().zip(others.0) {
                for place in 0..8 {
                    sums[place] += one[place] * other[place];
                }
            }
            let rest: f32 = ones.1.iter().zip(others.1).map(|(one, other)| one * other).sum();
            f64::from(sums.iter().sum::<f32>() + rest)
        };
        let mut rest = dot(&off, &off);
        let mut square = 0.0;
        for (direction, variance) in self.directions.chunks_exact(off.len()).zip(&self.variances) {
            let along = dot(direction, &off);
            square += along * along / variance;
            rest -= along * along;
        }
        square += rest.max(0.0) / self.residual;
        Some((square / features.len() as f64).sqrt())
    }
}
