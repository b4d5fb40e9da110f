//! Cells, subjects and decisions, counted.

use std::collections::BTreeSet;

use leukd_journal::result::Decision;
use leukd_model::manifest::Calibration;
use serde::{Deserialize, Serialize};

use super::Prediction;

/// How many cells of how many subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Cells of both classes.
    pub cells: u64,
    /// `all` cells.
    pub all: u64,
    /// `hem` cells.
    pub hem: u64,
    /// Subjects of both classes; one with cells of both counts once.
    pub subjects: u64,
    /// Subjects with `all` cells.
    pub all_subjects: u64,
    /// Subjects with `hem` cells.
    pub hem_subjects: u64,
}

impl Counts {
    pub(super) fn of(predictions: &[Prediction]) -> Self {
        let cells = |label: usize| predictions.iter().filter(move |one| one.label == label);
        let names = |label: usize| -> BTreeSet<&str> {
            cells(label).map(|one| one.subject.as_str()).collect()
        };
        let (blasts, normal) = (names(0), names(1));
        Self {
            cells: predictions.len() as u64,
            all: cells(0).count() as u64,
            hem: cells(1).count() as u64,
            subjects: blasts.union(&normal).count() as u64,
            all_subjects: blasts.len() as u64,
            hem_subjects: normal.len() as u64,
        }
    }
}

/// Truth against decision at the threshold, in cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// `all` decided as `all`: true positives.
    pub all_as_all: u64,
    /// `all` decided as `hem`: false negatives.
    pub all_as_hem: u64,
    /// `hem` decided as `all`: false positives.
    pub hem_as_all: u64,
    /// `hem` decided as `hem`: true negatives.
    pub hem_as_hem: u64,
}

/// What leukd suggests for the cells of one class, review band included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// Cells decided as `all`.
    pub all: u64,
    /// Cells that a person should look at.
    pub review: u64,
    /// Cells decided as `hem`.
    pub hem: u64,
}

/// [`Decided`] for each true class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decisions {
    /// Of the true `all` cells.
    pub all: Decided,
    /// Of the true `hem` cells.
    pub hem: Decided,
}

impl Confusion {
    pub(super) fn of(predictions: &[Prediction], calibration: &Calibration) -> Self {
        let mut counts = [[0_u64; 2]; 2];
        for one in predictions {
            let as_all = one.probability(calibration.temperature) >= calibration.threshold;
            counts[one.label][usize::from(!as_all)] += 1;
        }
        let [[all_as_all, all_as_hem], [hem_as_all, hem_as_hem]] = counts;
        Self { all_as_all, all_as_hem, hem_as_all, hem_as_hem }
    }
}

impl Decisions {
    pub(super) fn of(predictions: &[Prediction], calibration: &Calibration) -> Self {
        let mut decisions = Self::default();
        for one in predictions {
            let of = if one.label == 0 { &mut decisions.all } else { &mut decisions.hem };
            *match calibration.decide(one.probability(calibration.temperature)) {
                Decision::All => &mut of.all,
                Decision::Hem => &mut of.hem,
                Decision::Review | Decision::Rejected => &mut of.review,
            } += 1;
        }
        decisions
    }
}
