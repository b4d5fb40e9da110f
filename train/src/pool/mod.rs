//! Cross-validation: what runs of one recipe, each tested on cells of its own, say together of that
//! recipe.
//!
//! ```text
//! run.rs    one run's folder, and whether its files are of one making
//! check.rs  whether runs are siblings: one recipe, the same cells, none tested twice
//! weigh.rs  a discriminant beside each run's network
//! ```
//!
//! Logits of different networks have no common scale. What is measured together are therefore
//! **calibrated probabilities**: each run's logits divided by the temperature that its own
//! validation cells gave (with a discriminant: what the other runs tested), so that nothing is
//! fitted on what it measures. The one exception is
//! [`Pooled::calibration`], made for another network of the recipe whose logits come with no
//! temperature yet: it is fitted on the logits as they are.

mod check;
mod run;
mod weigh;

use std::collections::BTreeMap;
use std::path::PathBuf;

use leukd_journal::result::{ModelRef, RESEARCH_USE_ONLY};
use leukd_model::manifest::Calibration;
use serde::{Deserialize, Serialize};

pub use check::{MAY_DIFFER, difference};
pub use run::Run;
pub use weigh::{DISCRIMINANT, Scores};

use crate::dataset::Protocol;
use crate::evaluate::{
    About, AreaFigures, Baseline, Counts, Doubted, Estimate, Evaluation, Measures, Prediction,
    Resampling, Review, Seen, THRESHOLD, Thresholds, calibrated,
};
use check::Cell;

/// The version of `pooled.json` that is written and read.
pub const POOLED_VERSION: u32 = 1;

/// Why runs cannot be pooled.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// Too few runs.
    #[error(
        "{given} tests one fold of a split by subject, and says nothing of the others: give the runs of all folds, or \
         --partial to have it said"
    )]
    OneFold {
        /// The run that was given; `no run` where none was.
        given: String,
    },
    /// A file cannot be read, or is not what it should be.
    #[error("{path}: {problem}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A run is not what it claims, or no sibling of another.
    #[error("{run}: `{field}`: {problem}")]
    Run {
        /// The run's folder.
        run: PathBuf,
        /// What is wrong: a field of `evaluation.json`, a setting of the recipe, or a file.
        field: String,
        /// In which way.
        problem: String,
    },
}

/// Figures of several runs: the schema of `pooled.json`. Field names are the JSON's, `null` stands
/// for none. The same runs, seed and version give the same figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pooled {
    /// [`POOLED_VERSION`].
    pub version: u32,
    /// [`RESEARCH_USE_ONLY`].
    pub notice: String,
    /// What every run's split keeps apart: `subject` or `image`.
    pub protocol: Protocol,
    /// Each run's own figures, in the order in which the runs were given.
    pub folds: Vec<Fold>,
    /// The mean of each figure over the folds; none where a fold has none.
    pub mean: Measures<Option<f64>>,
    /// Every tested cell's calibrated P(all) together, each from the model that tested it.
    /// `calibration.temperature` is 1, for each run's own has been applied, and the band is the one
    /// that [`Pooled::calibration`] would give; the figures `*_before` are those of the logits as
    /// they are. `model` and `training_digest` name no single model.
    pub pooled: Evaluation,
    /// The cells' area alone: each cell decided by the cut of its own run. None where a run has no
    /// cut.
    pub baseline: Option<AreaFigures>,
    /// For a model of the same recipe that was trained on everything: temperature and review band
    /// fitted on the tested cells' logits as they are, the threshold as served.
    pub calibration: Calibration,
    /// What that band does to the tested cells.
    pub review: Review,
    /// What other thresholds would give, on calibrated P(all) of that calibration; none where a
    /// class has no cell.
    pub thresholds: Option<Thresholds>,
    /// The settings that all runs share, by name.
    pub recipe: BTreeMap<String, String>,
    /// Those of [`MAY_DIFFER`] that differ, with each run's value; empty text where a run has none.
    pub differing: BTreeMap<String, Vec<String>>,
    /// How many different pictures each run was made of, all sides together.
    pub cells: u64,
    /// [`Split::cells_digest`](crate::dataset::Split::cells_digest) of them, hexadecimal.
    pub cells_digest: String,
    /// How many of them no run tested.
    pub untested: u64,
    /// How many tested cells are byte-identical copies of one that another run tested under another
    /// subject's name: such a picture counts once in what is pooled, for the run that comes first.
    pub copies: u64,
}

/// One run's figures, as it wrote them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// Its folder, as it was given.
    pub run: String,
    /// The bundle that was measured.
    pub model: ModelRef,
    /// Its split, in words.
    pub split: String,
    /// What the intervals rest on: `subjects` or `cells`.
    pub resampled: String,
    /// What to keep in mind; whole sentences.
    pub caveats: Vec<String>,
    /// Cells and subjects of its test side.
    pub counts: Counts,
    /// Its own, fitted on its validation side.
    pub calibration: Calibration,
    /// On its test side.
    pub figures: Measures<Estimate>,
    /// The cells' area alone; none where its training side lacks a class.
    pub baseline: Option<Baseline>,
    /// How many of its test cells its bundle doubts; absent where it holds no reference, or was
    /// measured before that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubted: Option<Doubted>,
}

impl Fold {
    fn of(run: &Run) -> Self {
        let of = &run.evaluation;
        Self {
            run: run.folder.display().to_string(),
            model: of.model.clone(),
            split: of.split.clone(),
            resampled: of.resampled.clone(),
            caveats: of.caveats.clone(),
            counts: of.counts,
            calibration: of.calibration,
            figures: of.figures,
            baseline: of.baseline.clone(),
            doubted: of.served.as_ref().and_then(|served| served.doubted.clone()),
        }
    }
}

impl Pooled {
    /// How many of all tested cells the model that tested them doubts; none where a fold does not
    /// tell. Copies, which count once elsewhere, count for each fold here.
    #[must_use]
    pub fn doubted(&self) -> Option<Doubted> {
        let each: Option<Vec<&Doubted>> =
            self.folds.iter().map(|fold| fold.doubted.as_ref()).collect();
        Doubted::together(each?)
    }

    /// Pools `runs`. `seed` is the bootstrap's. With `partial` a single run by subject will do:
    /// [`Pooled::untested`] and a caveat say how many cells nobody tested.
    ///
    /// # Errors
    ///
    /// Where they are no siblings, naming run and field; where there is no run, or a single one by
    /// subject.
    pub fn of(runs: &[Run], partial: bool, seed: u64) -> Result<Self, PoolError> {
        let siblings = check::siblings(runs, partial)?;
        let cells = &siblings.tested;
        let raw: Vec<Prediction> = cells.iter().map(|cell| cell.prediction.clone()).collect();
        let calibration = calibrated(&raw);
        let about = about(runs, &siblings, calibration, seed);
        let fitted = Evaluation::of(&raw, &About { calibration, ..about.clone() });
        let mut pooled = together(cells, &fitted, &about);
        pooled.caveats.extend(caveats(&siblings));
        let cut = |cell: &Cell<'_>| {
            Some((cell.prediction.clone(), cell.run.evaluation.baseline.as_ref()?.cut))
        };
        let baseline: Option<Vec<_>> = cells.iter().map(cut).collect();
        let resampling = Resampling::from(siblings.protocol);
        let folds: Vec<Fold> = runs.iter().map(Fold::of).collect();
        Ok(Self {
            version: POOLED_VERSION,
            notice: RESEARCH_USE_ONLY.to_owned(),
            protocol: siblings.protocol,
            mean: mean(&pooled.figures, &folds),
            folds,
            baseline: baseline.map(|cells| AreaFigures::pooled(&cells, resampling, seed)),
            thresholds: Thresholds::of(&raw, calibration.temperature),
            review: fitted.review,
            pooled,
            calibration,
            recipe: siblings.recipe,
            differing: siblings.differing,
            cells: siblings.cells,
            cells_digest: siblings.cells_digest,
            untested: siblings.untested,
            copies: siblings.copies,
        })
    }
}

/// What the pooled evaluation says about where its predictions came from.
fn about(runs: &[Run], siblings: &check::Siblings<'_>, fitted: Calibration, seed: u64) -> About {
    let inherited = runs.iter().any(|run| run.evaluation.seen == Seen::Inherited);
    About {
        side: crate::dataset::Side::Test,
        protocol: siblings.protocol,
        split: format!("cross-validation by {} over {} models", siblings.protocol, runs.len()),
        training_digest: String::new(),
        recipe: siblings.recipe.clone(),
        model: ModelRef { id: format!("{} siblings", runs.len()), digest: String::new() },
        calibration: Calibration { temperature: 1.0, threshold: THRESHOLD, ..fitted },
        seen: if inherited { Seen::Inherited } else { Seen::No },
        baseline: None,
        folds: siblings.folds(runs),
        seed,
    }
}

/// Measures all tested cells, their logits brought to one scale by each run's own temperature.
/// `fitted` is the same of the logits as they are.
fn together(cells: &[Cell<'_>], fitted: &Evaluation, about: &About) -> Evaluation {
    let scaled: Vec<Prediction> = cells
        .iter()
        .map(|cell| {
            let temperature = cell.run.evaluation.calibration.temperature;
            let logits = cell.prediction.logits.map(|logit| logit / temperature);
            Prediction { logits, ..cell.prediction.clone() }
        })
        .collect();
    let mut pooled = Evaluation::of(&scaled, about);
    // What was before scaling, the scaled logits do not tell.
    pooled.figures.calibration_error_before = fitted.figures.calibration_error_before;
    pooled.figures.brier_before = fitted.figures.brier_before;
    pooled.reliability.before.clone_from(&fitted.reliability.before);
    pooled
}

fn caveats(siblings: &check::Siblings<'_>) -> Vec<String> {
    let mut caveats = Vec::new();
    if siblings.untested > 0 && siblings.protocol == Protocol::Subject {
        caveats.push(format!(
            "No run tested {} of the {} cells: the folds do not cover all subjects.",
            siblings.untested, siblings.cells
        ));
    }
    if siblings.copies > 0 {
        caveats.push(format!(
            "{} tested cells are byte-identical copies of another subject's in another fold, and count once.",
            siblings.copies
        ));
    }
    caveats
}

/// The mean of each figure; `shape` gives the names.
fn mean(shape: &Measures<Estimate>, folds: &[Fold]) -> Measures<Option<f64>> {
    let mut figure = 0;
    shape.map(|_, _| {
        let values: Option<Vec<f64>> =
            folds.iter().map(|fold| fold.figures.named().get(figure)?.1.value).collect();
        figure += 1;
        values.map(|values| values.iter().sum::<f64>() / values.len() as f64)
    })
}
