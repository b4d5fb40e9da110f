//! The figures of one set of cells, each from weighted counts.

use serde::{Deserialize, Serialize};

use super::Prediction;
use super::bands::Bands;
use super::calibration::{brier, calibration_error};
use super::persons::Persons;
use super::ranking::Ranking;

/// Declares [`Measures`], so that a figure's name, its field and its place in every table are one.
macro_rules! measures {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One value of each figure: in `figures` of the JSON form an
        /// [`Estimate`](super::Estimate).
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        pub struct Measures<T> {
            $($(#[$doc])* pub $name: T,)*
        }

        impl<T> Measures<T> {
            /// The values with their names, in the order of the fields.
            #[must_use]
            pub fn named(&self) -> Vec<(&'static str, &T)> {
                vec![$((stringify!($name), &self.$name)),*]
            }

            /// Each value through `change`, which also gets the figure's name.
            #[must_use]
            pub fn map<U>(self, mut change: impl FnMut(&'static str, T) -> U) -> Measures<U> {
                Measures { $($name: change(stringify!($name), self.$name)),* }
            }
        }
    };
}

measures! {
    /// Cells that are decided rightly at the threshold, 0 to 1.
    accuracy,
    /// Mean of sensitivity and specificity, 0 to 1.
    balanced_accuracy,
    /// Each class's F1 at the threshold, weighted by its number of cells, 0 to 1: the C-NMC
    /// challenge's metric, as scikit-learn's `f1_score(average="weighted")`.
    weighted_f1,
    /// Area under the receiver operating characteristic, 0 to 1: how often a random `all` is
    /// ranked above a random `hem`, ties counted half.
    auroc,
    /// The same between cells of like area alone, in bands a tenth wide: what is left where size is
    /// no cue.
    #[serde(default)]
    auroc_in_area_bands,
    /// Mean over all pairs of a healthy person and one with blasts of the AUROC between their
    /// cells, 0 to 1: every person counts once. Only for a split by subject, and only pairs that
    /// one model tested.
    #[serde(default)]
    person_auroc,
    /// The same between cells of like area alone, in bands a tenth wide: what is left where size is
    /// no cue.
    #[serde(default)]
    person_auroc_in_area_bands,
    /// Median over healthy persons of their specificity at the threshold. Only for a split by
    /// subject.
    #[serde(default)]
    person_specificity_median,
    /// The lowest of them.
    #[serde(default)]
    person_specificity_minimum,
    /// How often a person with blasts has a higher score than a healthy one, 0 to 1: of the pairs
    /// that one model tested, both with cells enough for a score ([`leukd_journal::score`]). A
    /// figure of persons, never of cells. Only for a split by subject.
    #[serde(default)]
    specimen_auroc,
    /// Average precision, 0 to 1: the area under the precision–recall curve as a step function
    /// (scikit-learn's `average_precision_score`), not its trapezoids. Chance is the share of
    /// `all`.
    average_precision,
    /// Share of `all` cells that are decided as `all` at the threshold.
    sensitivity,
    /// Share of `hem` cells that are decided as `hem` at the threshold.
    specificity,
    /// The highest sensitivity of any threshold with specificity 0.80 or more. The threshold is
    /// found on these same cells, so this is what the ranking allows, not what a user will see.
    sensitivity_at_specificity_80,
    /// As before, at specificity 0.90.
    sensitivity_at_specificity_90,
    /// As before, at specificity 0.95.
    sensitivity_at_specificity_95,
    /// The highest specificity of any threshold with sensitivity 0.80 or more; see
    /// `sensitivity_at_specificity_80`.
    specificity_at_sensitivity_80,
    /// As before, at sensitivity 0.90.
    specificity_at_sensitivity_90,
    /// As before, at sensitivity 0.95.
    specificity_at_sensitivity_95,
    /// Expected calibration error before temperature scaling (15 bins; see
    /// [`Reliability`](super::Reliability)).
    calibration_error_before,
    /// Expected calibration error with the bundle's temperature.
    calibration_error,
    /// Brier score, mean (P(all) − truth)², before temperature scaling: 0 is best, 0.25 is what
    /// P(all) = 0.5 everywhere gives.
    brier_before,
    /// Brier score with the bundle's temperature.
    brier,
}

/// The two ways of being wrong and of being right, as sums of weights.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// `all` decided as `all`.
    pub(super) hits: f64,
    /// `all` decided as `hem`.
    pub(super) misses: f64,
    /// `hem` decided as `all`.
    pub(super) alarms: f64,
    /// `hem` decided as `hem`.
    pub(super) rejections: f64,
}

impl Tally {
    /// Of `(decided as all, is all)` with its weight.
    pub(super) fn of(decided: impl IntoIterator<Item = ((bool, bool), f64)>) -> Self {
        let mut tally = Self::default();
        for (decision, weight) in decided {
            *match decision {
                (true, true) => &mut tally.hits,
                (false, true) => &mut tally.misses,
                (true, false) => &mut tally.alarms,
                (false, false) => &mut tally.rejections,
            } += weight;
        }
        tally
    }

    pub(super) fn accuracy(&self) -> Option<f64> {
        let Self { hits, misses, alarms, rejections } = *self;
        share(hits + rejections, hits + misses + alarms + rejections)
    }

    pub(super) fn sensitivity(&self) -> Option<f64> {
        share(self.hits, self.hits + self.misses)
    }

    pub(super) fn specificity(&self) -> Option<f64> {
        share(self.rejections, self.alarms + self.rejections)
    }

    pub(super) fn balanced_accuracy(&self) -> Option<f64> {
        Some(f64::midpoint(self.sensitivity()?, self.specificity()?))
    }

    fn weighted_f1(&self) -> Option<f64> {
        let Self { hits, misses, alarms, rejections } = *self;
        // A class that nobody is of and nothing is decided as has no F1, and no weight either.
        let f1 = |right: f64| share(2.0 * right, 2.0 * right + misses + alarms).unwrap_or(0.0);
        let (positives, negatives) = (hits + misses, alarms + rejections);
        share(f1(hits) * positives + f1(rejections) * negatives, positives + negatives)
    }
}

fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then_some(part / whole)
}

/// A set of predictions made ready to be measured under many weightings.
#[derive(Debug)]
pub(super) struct Sample {
    /// P(all) without and with the temperature, and whether the cell is `all`.
    cells: Vec<(f64, f64, bool)>,
    ranking: Ranking,
    bands: Bands,
    /// Empty where cells are not told apart by person.
    persons: Persons,
    threshold: f64,
}

impl Sample {
    pub(super) fn new(predictions: &[Prediction], temperature: f64, threshold: f64) -> Self {
        let cells: Vec<_> = predictions
            .iter()
            .map(|one| (one.probability(1.0), one.probability(temperature), one.label == 0))
            .collect();
        let ranking = Ranking::new(cells.iter().map(|(_, p, positive)| (*p, *positive)));
        let scores: Vec<f64> = cells.iter().map(|(_, p, _)| *p).collect();
        let bands = Bands::new(predictions, &scores);
        Self { cells, ranking, bands, persons: Persons::default(), threshold }
    }

    /// With the figures of [`Persons`]; `folds` as there. The weights of one person's cells must
    /// then be equal.
    pub(super) fn with_persons(mut self, predictions: &[Prediction], folds: &[usize]) -> Self {
        let scores: Vec<f64> = self.cells.iter().map(|(_, p, _)| *p).collect();
        self.persons = Persons::new(predictions, &scores, folds, self.threshold);
        self
    }

    pub(super) fn ranking(&self) -> &Ranking {
        &self.ranking
    }

    pub(super) fn tally(&self, weights: &[f64]) -> Tally {
        let decided = self.cells.iter().map(|(_, p, positive)| (*p >= self.threshold, *positive));
        Tally::of(decided.zip(weights.iter().copied()))
    }

    /// Every figure; none where it has no cells to stand on.
    pub(super) fn measure(&self, weights: &[f64]) -> Measures<Option<f64>> {
        let tally = self.tally(weights);
        let ranking = &self.ranking;
        let persons = self.persons.measure(weights);
        let weighted = || self.cells.iter().zip(weights.iter().copied());
        let before = || weighted().map(|((p, _, positive), weight)| (*p, *positive, weight));
        let after = || weighted().map(|((_, p, positive), weight)| (*p, *positive, weight));
        Measures {
            accuracy: tally.accuracy(),
            balanced_accuracy: tally.balanced_accuracy(),
            weighted_f1: tally.weighted_f1(),
            auroc: ranking.auroc(weights),
            auroc_in_area_bands: self.bands.auroc(weights),
            person_auroc: persons.auroc,
            person_auroc_in_area_bands: persons.within_bands,
            person_specificity_median: persons.specificity_median,
            person_specificity_minimum: persons.specificity_minimum,
            specimen_auroc: persons.specimen_auroc,
            average_precision: ranking.average_precision(weights),
            sensitivity: tally.sensitivity(),
            specificity: tally.specificity(),
            sensitivity_at_specificity_80: ranking.sensitivity_at(0.80, weights),
            sensitivity_at_specificity_90: ranking.sensitivity_at(0.90, weights),
            sensitivity_at_specificity_95: ranking.sensitivity_at(0.95, weights),
            specificity_at_sensitivity_80: ranking.specificity_at(0.80, weights),
            specificity_at_sensitivity_90: ranking.specificity_at(0.90, weights),
            specificity_at_sensitivity_95: ranking.specificity_at(0.95, weights),
            calibration_error_before: calibration_error(before()),
            calibration_error: calibration_error(after()),
            brier_before: brier(before()),
            brier: brier(after()),
        }
    }
}
