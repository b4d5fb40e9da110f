//! Everything that is measured on one side of a split.

use std::collections::BTreeMap;

use leukd_journal::result::{ModelRef, RESEARCH_USE_ONLY};
use leukd_model::curves::Curves;
use leukd_model::manifest::{Calibration, Metric};
use serde::{Deserialize, Serialize};

use super::about::{About, Seen};
use super::bootstrap::{Resampling, Units, percentiles};
use super::counts::{Confusion, Counts, Decisions};
use super::measures::{Measures, Sample};
use super::ranking::{PrecisionRecallPoint, RocPoint};
use super::served::{Doubted, Served};
use super::subjects::{SubjectRow, subject_table};
use super::{Answer, Baseline, Prediction, Reliability, Review, RiskPoint, risk_coverage};
use crate::dataset::{LABELS, Protocol, Side};

/// Points of a curve that goes into a manifest.
const DRAWN_POINTS: usize = 101;

/// Bars of the histogram of P(all).
const BARS: usize = 20;

/// A figure with its 95 % interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// None where it has no cells to stand on.
    pub value: Option<f64>,
    /// 2.5 % and 97.5 % points over the bootstrap's draws; none without a value, and none for
    /// sensitivity or specificity where their class has a single subject (or cell) to draw.
    pub interval: Option<(f64, f64)>,
}

impl Estimate {
    /// Without its interval where the figure `name` stands on one class and that has one unit:
    /// drawing it again and again would give an interval without width.
    pub(super) fn unless_single(mut self, name: &str, units: &Units) -> Self {
        let label = match name {
            "sensitivity" => 0,
            "specificity" | "person_specificity_median" | "person_specificity_minimum" => 1,
            _ => return self,
        };
        if units.count(label) < 2 {
            self.interval = None;
        }
        self
    }
}

/// Everything that is measured on one side of a split. This is the schema of an element of
/// `evaluation.json`: field names are the JSON's, `null` stands for none, and no number is NaN or
/// infinite. Probabilities, shares and rates run from 0 to 1. The same predictions, seed and
/// version give the same evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// [`RESEARCH_USE_ONLY`].
    pub notice: String,
    /// Which side.
    pub side: Side,
    /// What the split keeps apart.
    pub protocol: Protocol,
    /// The split, in words.
    pub split: String,
    /// [`Split::training_digest`](crate::dataset::Split::training_digest), hexadecimal.
    pub training_digest: String,
    /// How the bundle was trained: each setting of its recipe, and what its run adds, by name.
    /// Absent in a file of before it was told.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub recipe: BTreeMap<String, String>,
    /// The bundle.
    pub model: ModelRef,
    /// What the bundle has had to do with these cells.
    pub seen: Seen,
    /// What to keep in mind; whole sentences.
    pub caveats: Vec<String>,
    /// What the intervals rest on: `subjects` or `cells`.
    pub resampled: String,
    /// The bootstrap's seed.
    pub seed: u64,
    /// Cells and subjects.
    pub counts: Counts,
    /// Temperature, threshold and review band that everything here was measured with.
    pub calibration: Calibration,
    /// The figures, each with its interval.
    pub figures: Measures<Estimate>,
    /// Decisions at the threshold alone.
    pub confusion: Confusion,
    /// Decisions by P(all) and the review band, whatever the pictures look like.
    pub decisions: Decisions,
    /// Decisions as the daemon gives them, its doubts about captures among their reasons; absent in
    /// a file of before they were told, and where runs are pooled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<Served>,
    /// What the review band costs and spares.
    pub review: Review,
    /// From (0, 0) to (1, 1); empty where a class has no cell.
    pub roc: Vec<RocPoint>,
    /// In rising order of recall; empty where a class has no cell.
    pub precision_recall: Vec<PrecisionRecallPoint>,
    /// Confidence against accuracy.
    pub reliability: Reliability,
    /// In rising order of coverage.
    pub risk_coverage: Vec<RiskPoint>,
    /// How many `all` and how many `hem` cells have a P(all) in each of 20 equal parts of 0 to 1.
    pub histogram: [Vec<u64>; LABELS.len()],
    /// Subject by subject.
    pub subjects: Vec<SubjectRow>,
    /// The cell's area alone; none where the training side lacks a class.
    pub baseline: Option<Baseline>,
}

impl Evaluation {
    /// Measures `predictions`. Nothing is fitted on them.
    #[must_use]
    pub fn of(predictions: &[Prediction], about: &About) -> Self {
        let Calibration { temperature, threshold, .. } = about.calibration;
        let mut sample = Sample::new(predictions, temperature, threshold);
        if about.protocol == Protocol::Subject {
            sample = sample.with_persons(predictions, &about.folds);
        }
        let units = Units::new(predictions, about.protocol.into());
        let draws = units.draw(about.seed, |weights| sample.measure(weights));
        // One list of draws a figure, in the order of the fields.
        let mut drawn = vec![Vec::with_capacity(draws.len()); draws[0].named().len()];
        for draw in &draws {
            for (values, (_, value)) in drawn.iter_mut().zip(draw.named()) {
                values.extend(*value);
            }
        }
        let ones = vec![1.0; predictions.len()];
        let mut drawn = drawn.into_iter();
        let figures = sample.measure(&ones).map(|name, value| {
            let interval = percentiles(drawn.next().unwrap_or_default());
            Estimate { value, interval }.unless_single(name, &units)
        });
        let counts = Counts::of(predictions);
        let resampling = Resampling::from(about.protocol);
        Self {
            notice: RESEARCH_USE_ONLY.to_owned(),
            side: about.side,
            protocol: about.protocol,
            split: about.split.clone(),
            training_digest: about.training_digest.clone(),
            recipe: about.recipe.clone(),
            model: about.model.clone(),
            seen: about.seen,
            caveats: about.caveats(&counts, resampling),
            resampled: match resampling {
                Resampling::Subjects => "subjects",
                Resampling::Cells => "cells",
            }
            .to_owned(),
            seed: about.seed,
            counts,
            calibration: about.calibration,
            figures,
            confusion: Confusion::of(predictions, &about.calibration),
            decisions: Decisions::of(predictions, &about.calibration),
            served: None,
            review: Review::of(predictions, &about.calibration),
            roc: sample.ranking().roc(),
            precision_recall: sample.ranking().precision_recall(),
            reliability: Reliability::of(predictions, temperature),
            risk_coverage: risk_coverage(predictions, temperature, threshold),
            histogram: histogram(predictions, temperature),
            subjects: subject_table(predictions, &about.calibration),
            baseline: about.baseline.map(|cut| Baseline::of(cut, predictions, &units, about.seed)),
        }
    }

    /// Measures what the daemon answered: as [`Evaluation::of`] its predictions, and its decisions
    /// beside that. `has_reference`: whether the bundle knows its training cells, without which
    /// nothing is doubted. `others`: of [`others`](super::others()).
    #[must_use]
    pub fn of_answers(
        answers: &[Answer],
        about: &About,
        has_reference: bool,
        others: &[Doubted],
    ) -> Self {
        let predictions: Vec<Prediction> =
            answers.iter().map(|answer| answer.prediction.clone()).collect();
        let doubted = has_reference.then(|| {
            let kind = format!("{} cells", about.side);
            Doubted::none_of(kind, about.protocol.to_string())
        });
        let served = Served::of(answers, doubted, others);
        Self { served: Some(served), ..Self::of(&predictions, about) }
    }

    /// The figures as a manifest holds them; those without a value are left out.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        self.figures
            .named()
            .into_iter()
            .filter_map(|(name, estimate)| {
                Some(Metric {
                    name: name.to_owned(),
                    value: estimate.value?,
                    interval: estimate.interval,
                    split: self.protocol.to_string(),
                    siblings: None,
                    cells: self.counts.cells,
                    subjects: self.counts.subjects,
                })
            })
            .collect()
    }

    /// The curves as a manifest holds them.
    #[must_use]
    pub fn curves(&self) -> Curves {
        let roc = self.roc.iter().map(|at| (at.false_positive_rate, at.true_positive_rate));
        let bins = self.reliability.after.iter();
        let risk = self.risk_coverage.iter().map(|at| (at.coverage, at.risk));
        Curves {
            split: self.protocol.to_string(),
            cells: self.counts.cells,
            subjects: self.counts.subjects,
            roc: thinned(roc.collect()),
            reliability: bins
                .filter_map(|bin| Some((bin.confidence?, bin.accuracy?, bin.cells)))
                .collect(),
            risk_coverage: thinned(risk.collect()),
        }
    }
}

/// At most [`DRAWN_POINTS`] of the points, both ends among them.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let steps = DRAWN_POINTS - 1;
    if points.len() <= DRAWN_POINTS {
        return points;
    }
    (0..=steps).map(|step| points[step * (points.len() - 1) / steps]).collect()
}

#[expect(clippy::cast_sign_loss, reason = "a probability is not negative")]
fn histogram(predictions: &[Prediction], temperature: f64) -> [Vec<u64>; LABELS.len()] {
    let mut bars = [vec![0; BARS], vec![0; BARS]];
    for one in predictions {
        let bar = (one.probability(temperature) * BARS as f64) as usize;
        bars[one.label][bar.min(BARS - 1)] += 1;
    }
    bars
}
