//! The forms that are tried.

use std::collections::HashMap;

use leukd_cell::preprocess::InputTensor;
use leukd_model::engine::EngineError;
use leukd_model::manifest::Precision;
use leukd_model::onnx::ModelProto;

use super::graph::{Change, FloatNetwork};
use super::{Settings, probe, ranges};
use crate::storage::{Stored, largest_scales, least_error_scales};

/// A form's name, the word for how it stores weights, and its network.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) name: &'static str,
    pub(super) precision: Precision,
    pub(super) network: ModelProto,
    /// Layers that were left in f32, worst first.
    pub(super) kept_float: Vec<String>,
}

/// Every form of `network`, from the one that changes least.
///
/// - `f16`: half-precision kernels.
/// - `int8`: one byte a weight, one scale an output channel, nothing cut.
/// - `int8-mse`: the same with the scales of least squared error.
/// - `int8-corrected`: the same, and each output channel's mean shift mended.
/// - `int8-full`: the same, and what flows into each layer rounded to 256 levels over its
///   percentile range, as an integer processor would take it. Squeeze-and-excitations are computed
///   in f32 (their weights are bytes), as are sigmoids and pools; the `keep_float` layers with the
///   most noise to signal stay f32 altogether. Rounding makes the output jump where a number lies
///   on the edge of two levels, so another processor's f32 arithmetic may give slightly other
///   outputs.
///
/// # Errors
///
/// Where the network cannot be compiled or run on the calibration cells.
pub(super) fn forms(
    network: &FloatNetwork,
    inputs: &[InputTensor],
    settings: &Settings,
) -> Result<Vec<Form>, EngineError> {
    let stored = |form: &dyn Fn(&[f32], usize) -> Stored| -> Vec<Change> {
        let change = |stored| Change { stored: Some(stored), ..Change::default() };
        network.layers.iter().map(|layer| change(form(&layer.values, layer.rows()))).collect()
    };
    let half = stored(&|values, rows| Stored::new(values, rows, Precision::F16));
    let largest = stored(&|values, rows| Stored::int8(values, largest_scales(values, rows)));
    let least = stored(&|values, rows| Stored::int8(values, least_error_scales(values, rows)));
    tracing::info!(layers = network.layers.len(), cells = inputs.len(), "measuring each layer");
    let corrected = corrected(network, &least, inputs)?;
    let (full, kept_float) = full(network, &least, inputs, settings)?;
    let form = |name, precision, changes: &[Change]| Form {
        name,
        precision,
        network: network.with(changes),
        kept_float: Vec::new(),
    };
    Ok(vec![
        form("f16", Precision::F16, &half),
        form("int8", Precision::Int8, &largest),
        form("int8-mse", Precision::Int8, &least),
        form("int8-corrected", Precision::Int8, &corrected),
        Form { kept_float, ..form("int8-full", Precision::Int8, &full) },
    ])
}

fn corrected(
    network: &FloatNetwork,
    changes: &[Change],
    inputs: &[InputTensor],
) -> Result<Vec<Change>, EngineError> {
    let effects = probe::effects(network, changes, inputs)?;
    let mended = |(change, effect): (&Change, probe::Effect)| Change {
        shift: Some(effect.shift),
        ..change.clone()
    };
    Ok(changes.iter().zip(effects).map(mended).collect())
}

/// The changes of `int8-full`, and the outputs' names of the layers that stay f32.
fn full(
    network: &FloatNetwork,
    changes: &[Change],
    inputs: &[InputTensor],
    settings: &Settings,
) -> Result<(Vec<Change>, Vec<String>), EngineError> {
    let mut names: Vec<String> = Vec::new();
    for layer in network.layers.iter().filter(|layer| !layer.squeeze) {
        if !names.contains(&layer.input) {
            names.push(layer.input.clone());
        }
    }
    let levels = ranges::levels(&network.network, &names, inputs, settings.percentile)?;
    let levels: HashMap<String, ranges::Levels> = names.into_iter().zip(levels).collect();
    let mut changes = changes.to_vec();
    for (layer, change) in network.layers.iter().zip(&mut changes) {
        if !layer.squeeze {
            change.input = levels.get(&layer.input).copied();
        }
    }
    let effects = probe::effects(network, &changes, inputs)?;
    let mut worst: Vec<usize> =
        (0..effects.len()).filter(|index| !network.layers[*index].squeeze).collect();
    worst.sort_by(|a, b| effects[*b].noise.total_cmp(&effects[*a].noise));
    worst.truncate(settings.keep_float);
    for (index, effect) in effects.into_iter().enumerate() {
        if worst.contains(&index) {
            tracing::debug!(layer = network.layers[index].output, effect.noise, "stays f32");
            changes[index] = Change::default();
        } else {
            changes[index].shift = Some(effect.shift);
        }
    }
    let kept = worst.iter().map(|index| network.layers[*index].output.clone()).collect();
    Ok((changes, kept))
}
