//! Cells through the engine that serves them, so that what is measured is what a user gets.

use indicatif::{ProgressBar, ProgressStyle};
use leukd_journal::result::Decision;
use leukd_model::reference::Sample;
use leukd_model::serving::{Model, ModelError, Seen};
use leukd_model::verdict::Verdict;
use rayon::prelude::*;

use super::Prediction;
use crate::dataset::{Cell, LABELS};

/// Why a cell cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum EngineRunError {
    /// The cell was read for another input size.
    #[error(
        "{name}: it was read with {bytes} bytes of pixels, and the bundle takes {size} × {size} \
         pixels, red green blue: read the images with the bundle's own preprocessing"
    )]
    Size {
        /// The file's name.
        name: String,
        /// How many bytes of pixels the cell has.
        bytes: usize,
        /// Width and height of the network's input, pixels.
        size: u32,
    },
    /// The engine failed.
    #[error("{name}: {source}")]
    Model {
        /// The file's name.
        name: String,
        /// Its own word.
        source: ModelError,
    },
    /// The network gave no number for a class.
    #[error(
        "{name}: the network gave {logits:?} for the classes {labels:?}, not a finite number for \
         each of `all` and `hem`: the bundle cannot be measured"
    )]
    NotNumbers {
        /// The file's name.
        name: String,
        /// What came out.
        logits: Vec<f64>,
        /// The bundle's labels.
        labels: Vec<String>,
    },
}

/// What the daemon says of one cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The network's logits, and the truth.
    pub prediction: Prediction,
    /// Calibrated P(all), 0 to 1.
    pub all: f64,
    /// By P(all), the bundle's own review band and its doubts.
    pub decision: Decision,
    /// The codes of the reasons of a `review`, the most important first; empty for another
    /// decision.
    pub reasons: Vec<String>,
}

/// Runs every cell through the daemon's engine, on all cores; the predictions stand in the order of
/// the cells. Where stderr is a terminal a progress bar is drawn on it.
///
/// The cells must have been read with the bundle's preprocessing.
///
/// # Errors
///
/// The first cell, in the order of `cells`, that cannot be measured.
pub fn through_engine(model: &Model, cells: &[Cell]) -> Result<Vec<Prediction>, EngineRunError> {
    each(model, cells, |cell, seen| prediction(model, cell, &seen.logits))
}

/// As [`through_engine`], with what the daemon makes of each cell: [`Model::verdict`] decides for
/// both. A site's `decision.review` is not known here: the band is the bundle's own.
///
/// # Errors
///
/// As [`through_engine`].
pub fn answers(model: &Model, cells: &[Cell]) -> Result<Vec<Answer>, EngineRunError> {
    let place = model.manifest().labels.iter().position(|label| label == LABELS[0]);
    each(model, cells, |cell, seen| {
        let prediction = prediction(model, cell, &seen.logits)?;
        let Verdict { probabilities, judgement, .. } = model.verdict(seen, &cell.measured());
        let all = place.and_then(|place| probabilities.get(place)).copied().unwrap_or_default();
        let reasons =
            judgement.reasons.into_iter().map(|reason| reason.code.as_str().to_owned()).collect();
        Ok(Answer { prediction, all, decision: judgement.decision, reasons })
    })
}

/// What pictures and network say of the cells, to fit a reference on; cells of which all is black
/// are left out, and so are features where the network's head is not known.
///
/// # Errors
///
/// As [`through_engine`].
pub fn samples(model: &Model, cells: &[Cell]) -> Result<Vec<Sample>, EngineRunError> {
    let samples = each(model, cells, |cell, seen| {
        let pooled = seen.pooled.as_ref();
        let features = pooled.map(|pooled| pooled.features.clone()).unwrap_or_default();
        Ok(cell.measures.map(|measures| Sample { measures, features }))
    })?;
    Ok(samples.into_iter().flatten().collect())
}

/// Runs every cell, on all cores; what `tell` makes of each stands in the order of the cells.
fn each<T: Send>(
    model: &Model,
    cells: &[Cell],
    tell: impl Fn(&Cell, &Seen) -> Result<T, EngineRunError> + Sync,
) -> Result<Vec<T>, EngineRunError> {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} cells, {eta} left");
    let bar = ProgressBar::new(cells.len() as u64).with_message("through the daemon's engine");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    let told: Vec<Result<T, EngineRunError>> = cells
        .par_iter()
        .map(|cell| {
            let told = look(model, cell).and_then(|seen| tell(cell, &seen));
            bar.inc(1);
            told
        })
        .collect();
    bar.finish_and_clear();
    // Collected first: rayon's own short cut would give any one of several errors.
    told.into_iter().collect()
}

fn look(model: &Model, cell: &Cell) -> Result<Seen, EngineRunError> {
    let preprocessing = &model.manifest().preprocessing;
    let name = || cell.name.clone();
    let size = preprocessing.size;
    let square = cell.square(size).ok_or_else(|| EngineRunError::Size {
        name: name(),
        bytes: cell.pixels.len(),
        size,
    })?;
    // A longer buffer would pass as a picture too.
    if square.as_raw().len() != size as usize * size as usize * 3 {
        return Err(EngineRunError::Size { name: name(), bytes: cell.pixels.len(), size });
    }
    model
        .look(&preprocessing.numbers(&square))
        .map_err(|source| EngineRunError::Model { name: name(), source })
}

/// The logits that decide, the discriminant's score among them.
fn prediction(model: &Model, cell: &Cell, network: &[f64]) -> Result<Prediction, EngineRunError> {
    let labels = &model.manifest().labels;
    let found = model.weighed(network, cell.morphometry.as_ref());
    let of = |label: &str| {
        let place = labels.iter().position(|own| own == label)?;
        found.get(place).copied().filter(|logit| logit.is_finite())
    };
    let [Some(all), Some(hem)] = LABELS.map(of) else {
        return Err(EngineRunError::NotNumbers {
            name: cell.name.clone(),
            logits: found.to_vec(),
            labels: labels.clone(),
        });
    };
    Ok(Prediction {
        name: cell.name.clone(),
        logits: [all, hem],
        label: cell.label,
        subject: cell.subject.clone(),
        area: cell.area,
    })
}
