//! Where the predictions of an evaluation came from, and what that does to its figures.

use std::collections::BTreeMap;

use leukd_journal::result::ModelRef;
use leukd_model::manifest::{Calibration, Manifest};
use serde::{Deserialize, Serialize};

use super::AreaCut;
use super::bootstrap::Resampling;
use super::counts::Counts;
use crate::dataset::{Protocol, Side, Split};

/// The manifest's recipe tells by this key whether the weights began as those of another model of
/// such cells.
pub const INHERITED: &str = "run.inherited";

/// And by this one [`Split::sides_digest`].
pub const SIDES: &str = "run.sides_digest";

/// And by this one [`Split::cells_digest`].
pub const CELLS: &str = "run.cells_digest";

/// And by this one the SHA-256 of a teacher's targets, where it had a teacher: [`Split::teach`].
pub const TEACHER: &str = "run.teacher_targets";

/// What the bundle has had to do with the cells that it is measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seen {
    /// Nothing: the split's training side is the bundle's own, and this is its test side.
    No,
    /// They chose the temperature, the review band and perhaps the epoch.
    Steered,
    /// It was fitted on them.
    Trained,
    /// It was not fitted on them, but the model that its weights began as may have been.
    Inherited,
    /// Unknown: the bundle was trained on other images than the split's training side, so any of
    /// these cells may have been among them.
    Unknown,
}

impl Seen {
    /// Of `side` of `split`, for the bundle that `manifest` stands in.
    #[must_use]
    pub fn of(manifest: &Manifest, split: &Split, side: Side) -> Self {
        let told = |key: &str| manifest.training.recipe.get(key).map(String::as_str);
        let has_all = manifest.training.protocol == Protocol::Everything.as_str();
        if has_all && told(CELLS) == Some(split.cells_digest().to_string().as_str()) {
            return Self::Trained;
        }
        let sides = split.sides_digest().to_string();
        let same = manifest.training.data_digest == split.training_digest().to_string()
            && told(SIDES).is_none_or(|own| own == sides);
        if !same {
            return Self::Unknown;
        }
        if side == Side::Test && told(INHERITED) == Some("true") {
            return Self::Inherited;
        }
        match side {
            Side::Training => Self::Trained,
            Side::Validation => Self::Steered,
            Side::Test => Self::No,
        }
    }

    /// What to be warned of; none where there is nothing.
    #[must_use]
    pub const fn warning(self) -> Option<&'static str> {
        match self {
            Self::No => None,
            Self::Steered => Some(
                "These cells chose the temperature and the review band, and perhaps the epoch: \
                 the figures are optimistic.",
            ),
            Self::Trained => Some(
                "The model was fitted on these very cells: the figures tell nothing about new \
                 ones.",
            ),
            Self::Inherited => Some(
                "The weights began as those of another model of such cells, which may have been \
                 trained on these very ones. Trust the figures only if you know that it was not.",
            ),
            Self::Unknown => Some(
                "The bundle was trained on other cells than this split's training side, or on other \
                 sides of them, so some of these cells may have been among its own. Trust the figures only if you know \
                 that none was.",
            ),
        }
    }
}

/// What an evaluation says about where its predictions came from.
#[derive(Debug, Clone)]
pub struct About {
    /// Which side of the split the cells stand on.
    pub side: Side,
    /// What the split keeps apart.
    pub protocol: Protocol,
    /// The split, in words.
    pub split: String,
    /// [`Split::training_digest`], hexadecimal.
    pub training_digest: String,
    /// How the bundle was trained, as its manifest tells: each setting by its name.
    pub recipe: BTreeMap<String, String>,
    /// Which bundle.
    pub model: ModelRef,
    /// The bundle's own, fitted on validation cells.
    pub calibration: Calibration,
    /// What it has had to do with these cells.
    pub seen: Seen,
    /// Fitted on the training side; none where that cannot be.
    pub baseline: Option<AreaCut>,
    /// Which model tested each prediction, where several did; empty: one tested all.
    pub folds: Vec<usize>,
    /// Seeds the bootstrap.
    pub seed: u64,
}

impl About {
    /// What to keep in mind of the figures, in whole sentences.
    pub(super) fn caveats(&self, counts: &Counts, resampling: Resampling) -> Vec<String> {
        let mut caveats: Vec<String> = self.seen.warning().into_iter().map(str::to_owned).collect();
        if self.protocol == Protocol::Image {
            caveats.push(
            "Split by image: cells of the same subjects trained the model, so the figures say little \
             about a subject that it has never seen."
                .to_owned(),
        );
        }
        for (label, cells, subjects) in
            [("all", counts.all, counts.all_subjects), ("hem", counts.hem, counts.hem_subjects)]
        {
            if cells == 0 {
                caveats.push(format!(
                "There is no {label} cell on this side: figures that need both classes are left \
                 out."
            ));
            } else if resampling == Resampling::Subjects && subjects == 1 {
                caveats.push(format!(
                    "All {label} cells are one subject's: the intervals leave out how much such \
                 subjects differ, and are too narrow."
                ));
            } else if resampling == Resampling::Subjects && subjects < 5 {
                caveats.push(format!(
                "The {label} cells are of {subjects} subjects only: a bootstrap over so few gives \
                 intervals that are too narrow."
            ));
            }
        }
        caveats
    }
}
