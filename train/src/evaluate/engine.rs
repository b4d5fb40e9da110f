//! Cells through the engine that serves them, so that what is measured is what a user gets.

use indicatif::{ProgressBar, ProgressStyle};
use leukd::model::serving::{Model, ModelError};
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

/// Runs every cell through the daemon's engine, on all cores; the predictions stand in the order of
/// the cells. Where stderr is a terminal a progress bar is drawn on it.
///
/// The cells must have been read with the bundle's preprocessing.
///
/// # Errors
///
/// The first cell, in the order of `cells`, that cannot be measured.
pub fn through_engine(model: &Model, cells: &[Cell]) -> Result<Vec<Prediction>, EngineRunError> {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} cells, {eta} left");
    let bar = ProgressBar::new(cells.len() as u64).with_message("through the daemon's engine");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    let predictions: Vec<Result<Prediction, EngineRunError>> = cells
        .par_iter()
        .map(|cell| {
            let prediction = predict(model, cell);
            bar.inc(1);
            prediction
        })
        .collect();
    bar.finish_and_clear();
    // Collected first: rayon's own short cut would give any one of several errors.
    predictions.into_iter().collect()
}

fn predict(model: &Model, cell: &Cell) -> Result<Prediction, EngineRunError> {
    let manifest = model.manifest();
    let name = || cell.name.clone();
    let size = manifest.preprocessing.size;
    let square = cell.square(size).ok_or_else(|| EngineRunError::Size {
        name: name(),
        bytes: cell.pixels.len(),
        size,
    })?;
    // A longer buffer would pass as a picture too.
    if square.as_raw().len() != size as usize * size as usize * 3 {
        return Err(EngineRunError::Size { name: name(), bytes: cell.pixels.len(), size });
    }
    let found = model
        .logits(&manifest.preprocessing.numbers(&square))
        .map_err(|source| EngineRunError::Model { name: name(), source })?;
    let of = |label: &str| {
        let place = manifest.labels.iter().position(|own| own == label)?;
        found.get(place).copied().filter(|logit| logit.is_finite())
    };
    let [Some(all), Some(hem)] = LABELS.map(of) else {
        let labels = manifest.labels.clone();
        return Err(EngineRunError::NotNumbers { name: name(), logits: found, labels });
    };
    Ok(Prediction {
        name: name(),
        logits: [all, hem],
        label: cell.label,
        subject: cell.subject.clone(),
        area: cell.area,
    })
}
