//! How good predictions are, and how far the figures can be trusted.
//!
//! The positive class is `all` (blast) throughout. [`Evaluation`] holds everything that is measured
//! on one side of a split; its JSON form is what `leukd train evaluate` writes. Nothing here fits
//! anything on the cells that it measures: temperature, threshold and review band come with the
//! bundle, the baseline's cut from the training side.

mod about;
mod bands;
mod baseline;
mod bootstrap;
mod calibration;
mod counts;
mod engine;
mod evaluation;
mod figures;
mod measures;
mod others;
mod persons;
mod ranking;
mod review;
mod served;
mod subjects;
mod thresholds;

pub use about::{About, CELLS, INHERITED, SIDES, Seen, TEACHER};
pub use baseline::{AreaCut, AreaFigures, Baseline};
pub use bootstrap::{DRAWS, Resampling, intervals};
pub use calibration::{Bin, Reliability, fit_temperature};
pub use counts::{Confusion, Counts, Decided, Decisions};
pub use engine::{Answer, EngineRunError, answers, samples, through_engine};
pub use evaluation::{Estimate, Evaluation};
pub use figures::Figures;
pub use measures::Measures;
pub use others::{DRAWN, OthersError, others};
pub use ranking::{PrecisionRecallPoint, RocPoint};
pub use review::{
    REVIEW_ACCURACY, Review, RiskPoint, THRESHOLD, WIDEST_BAND, calibrated, review_band,
    risk_coverage,
};
pub use served::{ByTruth, Doubted, Served};
pub use subjects::{SubjectRow, subject_table, wilson};
pub use thresholds::{OperatingPoint, Thresholds};

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
