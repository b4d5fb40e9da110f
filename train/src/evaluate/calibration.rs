//! Whether P(all) means what it says.

use serde::{Deserialize, Serialize};

use super::Prediction;

/// Bins of the expected calibration error: those of Guo et al. 2017, "On Calibration of Modern
/// Neural Networks".
const BINS: usize = 15;

/// The cells whose confidence falls into one bin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Where the bin begins; it holds confidences from here up to, and without, `upper` (the last
    /// holds 1 too).
    pub lower: f64,
    /// Where it ends.
    pub upper: f64,
    /// How many cells are in it.
    pub cells: u64,
    /// Their mean confidence in the likelier class; none in an empty bin.
    pub confidence: Option<f64>,
    /// The share of them whose likelier class is the true one; none in an empty bin.
    pub accuracy: Option<f64>,
}

/// Confidence against accuracy in 15 bins of equal width over [0, 1]. The expected calibration
/// error is Σ cells · |confidence − accuracy| / all cells. With two classes the confidence is at
/// least 0.5, so the lower bins stay empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// With the logits as the network gives them.
    pub before: Vec<Bin>,
    /// With the logits divided by the bundle's temperature.
    pub after: Vec<Bin>,
}

impl Reliability {
    pub(super) fn of(predictions: &[Prediction], temperature: f64) -> Self {
        let bins = |temperature| {
            let scored =
                predictions.iter().map(|one| (one.probability(temperature), one.label == 0, 1.0));
            binned(scored)
                .into_iter()
                .enumerate()
                .map(|(index, [confidence, right, cells])| Bin {
                    lower: index as f64 / BINS as f64,
                    upper: (index + 1) as f64 / BINS as f64,
                    cells: whole(cells),
                    confidence: (cells > 0.0).then_some(confidence / cells),
                    accuracy: (cells > 0.0).then_some(right / cells),
                })
                .collect()
        };
        Self { before: bins(1.0), after: bins(temperature) }
    }
}

#[expect(clippy::cast_sign_loss, reason = "a number of cells is not negative")]
fn whole(cells: f64) -> u64 {
    cells as u64
}

/// Sums of confidence, of right ones and of weights in each bin, from `(P(all), is all, weight)`.
#[expect(clippy::cast_sign_loss, reason = "a confidence is not negative")]
fn binned(scored: impl Iterator<Item = (f64, bool, f64)>) -> [[f64; 3]; BINS] {
    let mut bins = [[0.0; 3]; BINS];
    for (p, positive, weight) in scored {
        let confidence = p.max(1.0 - p);
        let right = (p >= 0.5) == positive;
        let bin = &mut bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
        bin[0] += confidence * weight;
        bin[1] += if right { weight } else { 0.0 };
        bin[2] += weight;
    }
    bins
}

/// Expected calibration error of the likelier class, from `(P(all), is all, weight)`; none without
/// cells.
pub(super) fn calibration_error(scored: impl Iterator<Item = (f64, bool, f64)>) -> Option<f64> {
    let bins = binned(scored);
    let total: f64 = bins.iter().map(|bin| bin[2]).sum();
    let gaps: f64 = bins.iter().map(|[confidence, right, _]| (confidence - right).abs()).sum();
    (total > 0.0).then_some(gaps / total)
}

/// Brier score (Brier 1950), from `(P(all), is all, weight)`; none without cells.
pub(super) fn brier(scored: impl Iterator<Item = (f64, bool, f64)>) -> Option<f64> {
    let (sum, total) = scored.fold((0.0, 0.0), |(sum, total), (p, positive, weight)| {
        let off = p - if positive { 1.0 } else { 0.0 };
        (sum + off * off * weight, total + weight)
    });
    (total > 0.0).then_some(sum / total)
}

/// The temperature that makes the labels likeliest, between 0.05 and 20: a golden-section search
/// of the mean negative log likelihood, which has one minimum over log T. Call it on validation
/// cells only.
///
/// 1 where the cells determine none: where every one is classified rightly, any smaller temperature
/// makes the labels likelier still, and where the logits say nothing, any larger one.
#[must_use]
pub fn fit_temperature(predictions: &[Prediction]) -> f64 {
    let loss = |log: f64| -> f64 {
        let temperature = log.exp();
        predictions
            .iter()
            .map(|prediction| {
                let margin =
                    prediction.logits[prediction.label] - prediction.logits[1 - prediction.label];
                let z = -margin / temperature;
                // ln(1 + e^z) without overflow.
                z.max(0.0) + (-z.abs()).exp().ln_1p()
            })
            .sum()
    };
    let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (0.05_f64.ln(), 20.0_f64.ln());
    for _ in 0..60 {
        let width = (high - low) * ratio;
        let (left, right) = (high - width, low + width);
        if loss(left) < loss(right) { high = right } else { low = left }
    }
    let temperature = f64::midpoint(low, high).exp();
    // Within a hundredth of a bound: the minimum lies beyond it.
    let determined = (0.05 * 1.01..20.0 / 1.01).contains(&temperature);
    if determined { temperature } else { 1.0 }
}
