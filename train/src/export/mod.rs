//! From a finished run to a model bundle.

mod builder;
mod graph;
mod manifest;
mod reference;
mod stored;

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use leukd_cell::preprocess::Preprocessing;
use leukd_cell::synthetic::{self, Kind};
use leukd_model::bundle::{self, Bundle, BundleError};
use leukd_model::manifest::{GOLDEN_TOLERANCE, Manifest, Precision};
use leukd_model::serving::{Model, ModelError};

pub use graph::graph;
pub use manifest::{Facts, golden, manifest};
pub use reference::{Referred, referred};
pub use stored::rounded;

use crate::dataset::{Cell, Split};
use crate::evaluate::{
    self, EngineRunError, Evaluation, Figures, Prediction, THRESHOLD, through_engine,
};
use crate::fit::{Checkpoint, CheckpointError, validate};
use crate::network::Network;
use crate::recipe::{Kept, Recipe};

/// A bundle with what was measured of it.
#[derive(Debug, Clone)]
pub struct Exported {
    /// The file.
    pub bytes: Vec<u8>,
    /// On the validation cells, calibrated, at threshold 0.5.
    pub figures: Figures,
    /// The most that the daemon's engine differs from burn, over every validation cell.
    pub difference: f64,
}

/// Why a run cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The run's folder.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The data differ from those of the run.
    #[error(
        "the images are not those that the run was trained on: give the same --data and \
         the same split (--split takes the run's split.csv)"
    )]
    OtherData,
    /// The bundle cannot be written or read back.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The daemon would refuse the bundle.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The daemon's engine cannot run a cell.
    #[error(transparent)]
    Engine(#[from] EngineRunError),
    /// The daemon's engine computes something else than burn.
    #[error(
        "the daemon's engine differs from burn by {difference} on {name}; at most \
         {GOLDEN_TOLERANCE} is allowed"
    )]
    Differs {
        /// The cell.
        name: String,
        /// |Δ P(all)|.
        difference: f64,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

/// What people call a model and its data.
#[derive(Debug, Clone, Copy)]
pub struct Naming<'a> {
    /// The model's name: 1 to 64 letters, digits, `.`, `-`, `_`.
    pub id: &'a str,
    /// The training data in words, with their source.
    pub data: &'a str,
}

/// Exports `kept`'s epoch of the run in `checkpoint` under the names of `naming`, with kernels
/// stored as `precision` asks. `split` is the run's own: calibration and figures come from its
/// validation side, computed with the stored kernels, and the daemon's engine must agree on every
/// cell of it.
///
/// # Errors
///
/// See [`ExportError`].
pub fn export(
    checkpoint: &Checkpoint,
    split: &Split,
    naming: Naming<'_>,
    precision: Precision,
    kept: Kept,
) -> Result<Exported, ExportError> {
    let state = checkpoint.state()?;
    if state.training_digest != split.training_digest().to_string() {
        return Err(ExportError::OtherData);
    }
    let device = Device::flex();
    let network = checkpoint.weights(network(&state.recipe, &device), kept)?;
    let network = rounded(network.valid(), precision);
    let predictions = validate(&network, &split.validation, &state.recipe, &device).predictions;
    let calibration = evaluate::calibrated(&predictions);
    let temperature = calibration.temperature;
    let facts = Facts {
        naming,
        state: &state,
        kept,
        trained_at: checkpoint.trained_at(kept)?,
        precision,
        calibration,
        predictions: &predictions,
    };
    let pictures = [(7, Kind::Blast), (8, Kind::Normal), (9, Kind::Blast)];
    let golden = pictures
        .map(|(seed, kind)| {
            let name = format!("synthetic {kind:?}, seed {seed}").to_lowercase();
            golden(&network, &state.recipe.preprocessing(), name, &synthetic::cell(seed, kind))
        })
        .into_iter()
        .collect::<Result<Vec<_>, _>>()
        .map_err(|fault| ModelError::GoldenInput {
            name: "synthetic cell".to_owned(),
            problem: fault.message().to_owned(),
        })?;
    let size = state.recipe.input.size as usize;
    let bytes = bundle::write(graph(&network, size, precision), &manifest(&facts, golden))?;
    let model = Model::load(Bundle::from_bytes(&bytes, "the new bundle")?)?;
    let difference = compare(&model, &split.validation, &predictions, temperature)?;
    let figures = Figures::of(&predictions, temperature, THRESHOLD);
    Ok(Exported { bytes, figures, difference })
}

/// A network of the recipe's shape, to load weights into.
#[must_use]
pub fn network(recipe: &Recipe, device: &Device) -> Network {
    Network::new(&recipe.architecture(), &recipe.regularisation(), device)
}

/// Runs every cell through the daemon's engine; the most that P(all) differs from `predictions`.
fn compare(
    model: &Model,
    cells: &[Cell],
    predictions: &[Prediction],
    temperature: f64,
) -> Result<f64, ExportError> {
    let mut most = 0.0_f64;
    for (served, prediction) in through_engine(model, cells)?.iter().zip(predictions) {
        let difference =
            (served.probability(temperature) - prediction.probability(temperature)).abs();
        if difference.is_nan() || difference > GOLDEN_TOLERANCE {
            return Err(ExportError::Differs { name: served.name.clone(), difference });
        }
        most = most.max(difference);
    }
    Ok(most)
}

/// The bundle `bytes` calibrated anew on `predictions`, what its own engine says of the validation
/// cells: quantization may have shifted what the f32 bundle was calibrated for.
///
/// # Errors
///
/// Where `bytes` are no bundle.
pub fn recalibrated(bytes: &[u8], predictions: &[Prediction]) -> Result<Vec<u8>, ExportError> {
    rewritten(bytes, |manifest| {
        manifest.calibration = evaluate::calibrated(predictions);
        manifest.card = manifest::recalibrated(&manifest.card, &manifest.calibration, predictions);
    })
}

/// The bundle `bytes` with the figures of `evaluation` in its manifest and on its card.
///
/// # Errors
///
/// Where `bytes` are no bundle.
pub fn with_figures(bytes: &[u8], evaluation: &Evaluation) -> Result<Vec<u8>, ExportError> {
    rewritten(bytes, |manifest| {
        manifest.metrics = evaluation.metrics();
        manifest.curves = vec![evaluation.curves()];
        manifest.card = manifest::told(&manifest.card, evaluation);
    })
}

/// The bundle `bytes` with its manifest changed.
///
/// # Errors
///
/// Where `bytes` are no bundle, or would be none with such a manifest.
pub fn rewritten(bytes: &[u8], change: impl FnOnce(&mut Manifest)) -> Result<Vec<u8>, ExportError> {
    Ok(bundle::rewritten(bytes, change)?)
}

/// Writes `bytes` to `path`, whole or not at all.
///
/// # Errors
///
/// Where the folder cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), ExportError> {
    crate::files::replace(path, bytes)
        .map_err(|source| ExportError::File { path: path.to_owned(), source })
}

/// What burn says of one square that [`Preprocessing::square`] has made: row by row, red green
/// blue.
#[must_use]
pub fn probabilities(network: &Network, preprocessing: &Preprocessing, square: &[u8]) -> Vec<f64> {
    let input = crate::fit::pixels(&[square], preprocessing, &Device::flex());
    let logits: Vec<f64> =
        network.forward(input).into_data().iter::<f32>().map(f64::from).collect();
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}
