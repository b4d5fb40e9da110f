//! Cost of a result's measures and heat map beside the network.

use std::hint::black_box;
use std::time::Instant;

use image::RgbImage;
use serde::Serialize;

use super::statistics::median;
use crate::cell::preprocess::InputTensor;
use crate::cell::quality;
use crate::cli::error::CliError;
use crate::model::heatmap::HeatMap;
use crate::model::serving::Model;

/// Runs of each cell.
const ROUNDS: usize = 40;

/// Medians over all cells and rounds; the network's were taken in turns with the others'.
#[derive(Debug, Serialize)]
pub(super) struct Meaning {
    /// The network, on the engine that serves, in microseconds a cell, without the pooling of what
    /// it left.
    network_us: f64,
    /// The quality flags of the picture, its measures against the training cells' bounds, the
    /// pooling of its features and their distance from theirs, with the probabilities and the
    /// decision: all that is said of it.
    pub(super) quality_us: f64,
    /// The heat map with Grad-CAM, from what the network's one run and the pooling left; none where
    /// the model's head has no map.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) heat_map_us: Option<f64>,
    /// The median over cells and rounds of all of these by the network's time.
    pub(super) share_of_network: f64,
}

/// Measures on the pictures, whose inputs these are.
///
/// # Errors
/// A run that fails.
pub(super) fn measure(
    model: &Model,
    pictures: &[RgbImage],
    inputs: &[InputTensor],
) -> Result<Meaning, CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::Software(error.to_string());
    let (mut network, mut assessed, mut mapped, mut shares) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for (picture, input) in pictures.iter().zip(inputs) {
            let started = Instant::now();
            let seen = model.look(input).map_err(|error| failed(&error))?;
            let looked = Instant::now();
            if let (Ok(head), Some(activation)) = (model.head(), &seen.activation) {
                black_box(head.pool(activation));
            }
            // A run pools once, for the distance and the map: that is taken off it here.
            let pooling = looked.elapsed();
            let measured = model.measure(picture).map_err(|fault| failed(&fault))?;
            black_box(quality::flags(
                measured.measures.as_ref(),
                picture.as_raw().len() as u64 / 3,
            ));
            black_box(model.verdict(&seen, &measured));
            let judged = Instant::now();
            if model.head().is_ok() {
                black_box(HeatMap::of(model, &seen, picture)).map_err(|error| failed(&error))?;
            }
            let run = (looked - started).saturating_sub(pooling);
            let [run, quality, map] =
                [run, judged - looked, judged.elapsed()].map(|t| t.as_secs_f64() * 1e6);
            network.push(run);
            assessed.push(quality);
            mapped.push(map);
            shares.push((quality + map) / run);
        }
    }
    Ok(Meaning {
        network_us: median(&network),
        quality_us: median(&assessed),
        heat_map_us: model.head().is_ok().then(|| median(&mapped)),
        share_of_network: median(&shares),
    })
}
