//! How good predictions are, and how far the figures can be trusted.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One cell's prediction.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Prediction {
    /// The file's name without its folder.
    pub name: String,
    /// Logits of `all` and `hem`.
    pub logits: [f64; 2],
    /// Index of the true class: 0 `all`, 1 `hem`.
    pub label: usize,
    /// Whose cell it is.
    pub subject: String,
    /// The cell's area in the whole picture, pixels.
    pub area: u64,
}

impl Prediction {
    /// P(all) with the logits divided by `temperature`.
    #[must_use]
    pub fn probability(&self, temperature: f64) -> f64 {
        1.0 / (1.0 + ((self.logits[1] - self.logits[0]) / temperature).exp())
    }
}

/// What is measured on a set of predictions.
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
        let scored: Vec<(f64, usize)> = predictions
            .iter()
            .map(|prediction| (prediction.probability(temperature), prediction.label))
            .collect();
        let share = |label: usize| {
            let of: Vec<_> = scored.iter().filter(|(_, truth)| *truth == label).collect();
            let right = of.iter().filter(|(p, _)| (*p < threshold) == (label == 1)).count();
            right as f64 / of.len() as f64
        };
        let (sensitivity, specificity) = (share(0), share(1));
        let right = scored.iter().filter(|(p, label)| (*p < threshold) == (*label == 1)).count();
        Self {
            accuracy: right as f64 / scored.len() as f64,
            balanced_accuracy: f64::midpoint(sensitivity, specificity),
            auroc: auroc(&scored),
            sensitivity,
            specificity,
            calibration_error: calibration_error(&scored),
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

/// By ranks (Mann & Whitney), ties counted half.
fn auroc(scored: &[(f64, usize)]) -> f64 {
    let mut sorted: Vec<_> = scored.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = sorted.iter().filter(|(_, label)| *label == 0).count() as f64;
    let negatives = sorted.len() as f64 - positives;
    let mut ranks = 0.0;
    let mut start = 0;
    for tied in sorted.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let rank = start as f64 + (tied.len() as f64 + 1.0) / 2.0;
        ranks += rank * tied.iter().filter(|(_, label)| *label == 0).count() as f64;
        start += tied.len();
    }
    (ranks - positives * (positives + 1.0) / 2.0) / (positives * negatives)
}

#[expect(clippy::cast_sign_loss, reason = "a confidence is not negative")]
fn calibration_error(scored: &[(f64, usize)]) -> f64 {
    const BINS: usize = 15;
    let mut bins = [(0.0_f64, 0.0_f64); BINS];
    for (p, label) in scored {
        let confidence = p.max(1.0 - p);
        let right = (*p >= 0.5) == (*label == 0);
        let bin = &mut bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
        bin.0 += confidence;
        bin.1 += if right { 1.0 } else { 0.0 };
    }
    bins.iter().map(|(confidence, right)| (confidence - right).abs()).sum::<f64>()
        / scored.len() as f64
}

/// The temperature that makes the labels likeliest, between 0.05 and 20: a golden-section search
/// of the mean negative log likelihood, which has one minimum over log T.
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
    f64::midpoint(low, high).exp()
}

/// The band of P(all) in which a person should look: the narrowest `0.5 ± w` (w a multiple of
/// 0.01, at most 0.45) outside which at least `accuracy` of the cells are decided rightly, each
/// class counted equally. Where no band reaches it, the one that comes closest.
#[must_use]
pub fn review_band(predictions: &[Prediction], temperature: f64, accuracy: f64) -> (f64, f64) {
    let mut best = (f64::NEG_INFINITY, (0.5, 0.5));
    for step in 0..=45_u32 {
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
        let reached = Figures::of(&outside, temperature, 0.5).balanced_accuracy;
        if reached >= accuracy {
            return band;
        }
        if reached > best.0 {
            best = (reached, band);
        }
    }
    best.1
}

/// How many times the bootstrap draws.
const DRAWS: usize = 2000;

/// 95 % intervals of [`Figures::named`] from a bootstrap over subjects: within each class as many
/// subjects are drawn, with replacement, as there are, each with all its cells.
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
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let classes: [Vec<Vec<&Prediction>>; 2] = [0, 1].map(|label| by_subject(predictions, label));
    let mut figures: [Vec<f64>; 6] = Default::default();
    for _ in 0..DRAWS {
        let mut drawn = Vec::with_capacity(predictions.len());
        for subjects in &classes {
            for _ in 0..subjects.len() {
                let subject = &subjects[rng.random_range(0..subjects.len())];
                drawn.extend(subject.iter().map(|prediction| (*prediction).clone()));
            }
        }
        let measured = Figures::of(&drawn, temperature, threshold).named();
        for (values, (_, value)) in figures.iter_mut().zip(measured) {
            values.push(value);
        }
    }
    figures.map(|mut values| {
        values.sort_by(f64::total_cmp);
        let at = |quantile: usize| values[(DRAWS - 1) * quantile / 1000];
        (at(25), at(975))
    })
}

fn by_subject(predictions: &[Prediction], label: usize) -> Vec<Vec<&Prediction>> {
    let mut subjects = std::collections::BTreeMap::<&str, Vec<&Prediction>>::new();
    for prediction in predictions.iter().filter(|prediction| prediction.label == label) {
        subjects.entry(&prediction.subject).or_default().push(prediction);
    }
    subjects.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(p: f64, label: usize, subject: &str) -> Prediction {
        Prediction {
            name: String::new(),
            logits: [(p / (1.0 - p)).ln(), 0.0],
            label,
            subject: subject.to_owned(),
            area: 0,
        }
    }

    #[test]
    fn figures_of_a_small_set_are_those_counted_by_hand() {
        let set = [
            prediction(0.9, 0, "a"),
            prediction(0.4, 0, "a"),
            prediction(0.6, 1, "b"),
            prediction(0.1, 1, "b"),
            prediction(0.4, 1, "b"),
        ];
        let figures = Figures::of(&set, 1.0, 0.5);
        assert!((figures.accuracy - 0.6).abs() < 1e-12);
        assert!((figures.sensitivity - 0.5).abs() < 1e-12);
        assert!((figures.specificity - 2.0 / 3.0).abs() < 1e-12);
        // Of six pairs: four ranked rightly, one tied, one wrongly.
        assert!((figures.auroc - 4.5 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn the_temperature_of_overconfident_logits_is_found() {
        // Logits ±4 that are right in 3 of 4 cases: ln 3 would be calibrated.
        let set: Vec<_> = (0..40)
            .map(|index| Prediction {
                name: String::new(),
                area: 0,
                logits: if index % 2 == 0 { [4.0, 0.0] } else { [0.0, 4.0] },
                label: if index % 4 < 2 && index < 20 { 1 - index % 2 } else { index % 2 },
                subject: String::new(),
            })
            .collect();
        let temperature = fit_temperature(&set);
        assert!((temperature - 4.0 / 3.0_f64.ln()).abs() < 1e-3, "{temperature}");
    }

    #[test]
    fn the_review_band_leaves_only_sure_cells_outside() {
        let mut set = vec![prediction(0.55, 1, "b"), prediction(0.44, 0, "a")];
        set.extend((0..20).map(|_| prediction(0.95, 0, "a")));
        set.extend((0..20).map(|_| prediction(0.05, 1, "b")));
        let (low, high) = review_band(&set, 1.0, 0.99);
        assert!(low <= 0.44 && high > 0.55 && high < 0.6, "{low} {high}");
    }

    #[test]
    fn intervals_widen_with_the_differences_between_subjects() {
        let mut set = Vec::new();
        for (subject, p) in [("a", 0.9), ("b", 0.2), ("c", 0.8)] {
            set.extend((0..10).map(|_| prediction(p, 0, subject)));
        }
        set.extend((0..10).map(|_| prediction(0.3, 1, "h")));
        let [_, _, _, sensitivity, specificity, _] = intervals(&set, 1.0, 0.5, 1);
        assert!(sensitivity.0 < 0.35 && sensitivity.1 > 0.99, "{sensitivity:?}");
        assert_eq!(specificity, (1.0, 1.0));
    }
}
