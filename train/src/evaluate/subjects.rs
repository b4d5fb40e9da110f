//! Subject by subject: an average over cells hides the one whose cells all go wrong.

use std::collections::BTreeMap;

use leukd_journal::fraction;
use leukd_journal::result::Decision;
use leukd_model::manifest::Calibration;
use serde::{Deserialize, Serialize};

use super::Prediction;
use crate::dataset::LABELS;

/// One subject's cells of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubjectRow {
    /// Who; empty where the data name nobody.
    pub subject: String,
    /// The true class of the cells: `all` or `hem`.
    pub label: String,
    /// How many cells.
    pub cells: u64,
    /// How many of them are decided rightly at the threshold.
    pub right: u64,
    /// How many of them fall into the review band.
    pub review: u64,
    /// Mean calibrated P(all).
    pub mean_probability: f64,
    /// The score of all of the cells, in logits; none of few cells, and in a file of before.
    #[serde(default)]
    pub score: Option<f64>,
    /// Its 95 % interval, as if cells of a person were independent.
    #[serde(default)]
    pub score_interval: Option<(f64, f64)>,
    /// `right / cells`.
    pub accuracy: f64,
    /// 95 % interval of `accuracy` ([`wilson`]). It takes the subject's cells as independent.
    pub interval: (f64, f64),
}

/// A row for each subject and class: `all` first, then by name.
#[must_use]
pub fn subject_table(predictions: &[Prediction], calibration: &Calibration) -> Vec<SubjectRow> {
    let mut groups: BTreeMap<(usize, &str), Vec<f64>> = BTreeMap::new();
    for one in predictions {
        let p = one.probability(calibration.temperature);
        groups.entry((one.label, &one.subject)).or_default().push(p);
    }
    groups
        .into_iter()
        .map(|((label, subject), probabilities)| {
            let count =
                |is: &dyn Fn(f64) -> bool| probabilities.iter().filter(|p| is(**p)).count() as u64;
            let cells = probabilities.len() as u64;
            let right = count(&|p| (p >= calibration.threshold) == (label == 0));
            let score = super::persons::score(probabilities.iter().copied());
            SubjectRow {
                score: score.map(|score| score.value),
                score_interval: score.map(|score| (score.lower, score.upper)),
                subject: subject.to_owned(),
                label: LABELS[label].to_owned(),
                cells,
                right,
                review: count(&|p| calibration.decide(p) == Decision::Review),
                mean_probability: probabilities.iter().sum::<f64>() / cells as f64,
                accuracy: right as f64 / cells as f64,
                interval: wilson(right, cells),
            }
        })
        .collect()
}

/// The 95 % score interval of `right` out of `cells` (Wilson 1927); (0, 1) without cells.
#[must_use]
pub fn wilson(right: u64, cells: u64) -> (f64, f64) {
    fraction::wilson(right, cells).map_or((0.0, 1.0), |share| (share.lower, share.upper))
}
