//! Which cells a person should look at, and what that spares.

use leukd_journal::result::Decision;
use leukd_model::manifest::Calibration;
use serde::{Deserialize, Serialize};

use super::{Figures, Prediction, fit_temperature};

/// Outside the review band at least this share of the cells that it is fitted on is decided
/// rightly, each class counted equally, where a band reaches it; the card says where none does.
pub const REVIEW_ACCURACY: f64 = 0.95;

/// At or above this P(all) a cell is decided as `all`: even odds, after calibration.
pub const THRESHOLD: f64 = 0.5;

/// One point of the risk–coverage curve (El-Yaniv & Wiener 2010, "On the Foundations of Noise-free
/// Selective Classification").
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RiskPoint {
    /// Share of the cells that are decided, the surest first, above 0 to 1.
    pub coverage: f64,
    /// Share of those that are decided wrongly.
    pub risk: f64,
}

/// What the review band does to a set of cells.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// A P(all) inside `[lower, upper)` is decided as `review`.
    pub band: (f64, f64),
    /// How many cells fall into it.
    pub cells: u64,
    /// Their share of all cells; none without cells.
    pub share: Option<f64>,
    /// Share of the cells outside the band that are decided wrongly; none where there are none.
    pub error_outside: Option<f64>,
    /// Share of wrong decisions where every cell is decided at the threshold, for comparison.
    pub error_without: Option<f64>,
}

impl Review {
    pub(super) fn of(predictions: &[Prediction], calibration: &Calibration) -> Self {
        let Calibration { temperature, threshold, review, .. } = *calibration;
        let (mut inside, mut wrong_outside, mut wrong) = (0_u64, 0_u64, 0_u64);
        for prediction in predictions {
            let p = prediction.probability(temperature);
            let is_wrong = u64::from((p >= threshold) != (prediction.label == 0));
            wrong += is_wrong;
            if calibration.decide(p) == Decision::Review {
                inside += 1;
            } else {
                wrong_outside += is_wrong;
            }
        }
        let total = predictions.len() as u64;
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        Self {
            band: review,
            cells: inside,
            share: share(inside, total),
            error_outside: share(wrong_outside, total - inside),
            error_without: share(wrong, total),
        }
    }
}

/// How many cells are decided wrongly when only the surest share of them is decided. Sureness is
/// the probability of the likelier class; equally sure cells come together.
#[must_use]
pub fn risk_coverage(
    predictions: &[Prediction],
    temperature: f64,
    threshold: f64,
) -> Vec<RiskPoint> {
    let mut cells: Vec<(f64, bool)> = predictions
        .iter()
        .map(|prediction| {
            let p = prediction.probability(temperature);
            (p.max(1.0 - p), (p >= threshold) != (prediction.label == 0))
        })
        .collect();
    cells.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut decided, mut wrong) = (0_usize, 0_usize);
    cells
        .chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq())
        .map(|tied| {
            decided += tied.len();
            wrong += tied.iter().filter(|(_, wrong)| *wrong).count();
            RiskPoint {
                coverage: decided as f64 / cells.len() as f64,
                risk: wrong as f64 / decided as f64,
            }
        })
        .collect()
}

/// The widest band that is considered: `0.5 ± 0.45`.
pub const WIDEST_BAND: (f64, f64) = (0.05, 0.95);

/// Outside a band there must be at least so many cells of each class for their share to mean
/// something.
const FEWEST_OUTSIDE: usize = 5;

/// The band of P(all) in which a person should look: the narrowest `0.5 ± w` (w a multiple of 0.01)
/// outside which at least `accuracy` of the cells are decided rightly, each class counted equally,
/// with at least five cells of each class outside. Where none is found, [`WIDEST_BAND`]: a model
/// that cannot be trusted leaves the decision to a person. Call it on validation cells only.
#[must_use]
pub fn review_band(predictions: &[Prediction], temperature: f64, accuracy: f64) -> (f64, f64) {
    for step in 0..45_u32 {
        let half = f64::from(step) / 100.0;
        let band = (0.5 - half, 0.5 + half);
        let outside: Vec<Prediction> = predictions
            .iter()
            .filter(|prediction| {
                let p = prediction.probability(temperature);
                p < band.0 || p >= band.1
            })
            .cloned()
            .collect();
        let of = |label: usize| outside.iter().filter(|one| one.label == label).count();
        if of(0) < FEWEST_OUTSIDE || of(1) < FEWEST_OUTSIDE {
            break;
        }
        if Figures::of(&outside, temperature, 0.5).balanced_accuracy >= accuracy {
            return band;
        }
    }
    WIDEST_BAND
}

/// Temperature and review band, fitted on `predictions`, and [`THRESHOLD`]. Call it only on cells
/// that the network was not fitted on.
#[must_use]
pub fn calibrated(predictions: &[Prediction]) -> Calibration {
    let temperature = fit_temperature(predictions);
    Calibration {
        temperature,
        threshold: THRESHOLD,
        review: review_band(predictions, temperature, REVIEW_ACCURACY),
    }
}
