//! What the bundle says about itself.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use leukd::cell::Fault;
use leukd::cell::preprocess::Preprocessing;
use leukd::cell::synthetic;
use leukd::model::manifest::{
    Calibration, Golden, MANIFEST_VERSION, Manifest, Metric, Output, Precision, Training,
};
use leukd::result::RESEARCH_USE_ONLY;

use super::{REVIEW_ACCURACY, probabilities};
use crate::dataset::LABELS;
use crate::evaluate::{self, Figures, Prediction};
use crate::fit::State;
use crate::network::Network;
use crate::recipe::Kept;

/// Where the images come from.
const DATA: &str = "C-NMC 2019 (Gupta & Gupta, ALL Challenge dataset of ISBI 2019, The Cancer \
    Imaging Archive, DOI 10.7937/tcia.2019.dc64i46r)";

/// Everything that a manifest is made of.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The model's name.
    pub id: &'a str,
    /// The run.
    pub state: &'a State,
    /// Which epoch's weights.
    pub kept: Kept,
    /// When the weights were written, RFC 3339.
    pub trained_at: String,
    /// How the kernels are stored.
    pub precision: Precision,
    /// Fitted on the validation cells.
    pub calibration: Calibration,
    /// Of the validation cells, with the stored kernels.
    pub predictions: &'a [Prediction],
}

/// The manifest of a bundle.
#[must_use]
pub fn manifest(facts: &Facts<'_>, golden: Vec<Golden>) -> Manifest {
    let state = facts.state;
    Manifest {
        version: MANIFEST_VERSION,
        id: facts.id.to_owned(),
        labels: LABELS.map(str::to_owned).to_vec(),
        preprocessing: state.recipe.preprocessing(),
        output: Output::Logits,
        calibration: facts.calibration,
        precision: facts.precision,
        quantization: None,
        training: Training {
            trainer: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).to_owned(),
            trained_at: facts.trained_at.clone(),
            data: DATA.to_owned(),
            data_digest: state.training_digest.clone(),
            protocol: state.protocol.to_string(),
            split: state.split.clone(),
            cells: state.cells,
            epochs: state.epochs_done(),
            best_epoch: state.epoch_of(facts.kept),
            recipe: recipe(state, facts.kept),
        },
        metrics: metrics(facts),
        golden,
        card: card(facts),
    }
}

/// One golden input: `picture` as a PNG file with what `network` says of it.
///
/// # Errors
///
/// Where the preprocessing refuses the picture.
pub fn golden(
    network: &Network,
    preprocessing: &Preprocessing,
    name: String,
    picture: &image::RgbImage,
) -> Result<Golden, Fault> {
    let square = preprocessing.square(picture)?;
    let probabilities = probabilities(network, square.as_raw(), preprocessing.size as usize);
    Ok(Golden { name, png: BASE64.encode(synthetic::png(picture)), probabilities })
}

fn metrics(facts: &Facts<'_>) -> Vec<Metric> {
    let Calibration { temperature, threshold, .. } = facts.calibration;
    let figures = Figures::of(facts.predictions, temperature, threshold).named();
    let intervals = evaluate::intervals(
        facts.predictions,
        temperature,
        threshold,
        facts.state.recipe.steps.seed,
    );
    let subjects = subjects(facts.predictions, None);
    figures
        .into_iter()
        .zip(intervals)
        .map(|((name, value), interval)| Metric {
            name: name.to_owned(),
            value,
            interval: Some(interval),
            split: facts.state.protocol.to_string(),
            cells: facts.predictions.len() as u64,
            subjects,
        })
        .collect()
}

fn subjects(predictions: &[Prediction], label: Option<usize>) -> u64 {
    let of = predictions.iter().filter(|prediction| label.is_none_or(|l| l == prediction.label));
    of.map(|prediction| prediction.subject.as_str())
        .collect::<std::collections::BTreeSet<_>>()
        .len() as u64
}

/// Every setting of the recipe by its key, and what the run itself adds.
fn recipe(state: &State, kept: Kept) -> BTreeMap<String, String> {
    let mut settings = state.recipe.settings();
    let chosen = match kept {
        Kept::Best => "what it reached on the validation cells",
        Kept::Last => "nothing: the last one",
    };
    let run = [
        ("run.epoch_chosen_by", chosen.to_owned()),
        ("run.initial_weights", state.initial.clone().unwrap_or_else(|| "random".to_owned())),
        ("run.device", state.device.clone()),
        ("run.minutes", format!("{:.1}", state.seconds / 60.0)),
    ];
    settings.extend(run.into_iter().map(|(key, value)| (key.to_owned(), value)));
    settings
}

fn card(facts: &Facts<'_>) -> String {
    let Calibration { temperature, review, .. } = facts.calibration;
    let reviewed = facts
        .predictions
        .iter()
        .filter(|prediction| {
            let p = prediction.probability(temperature);
            p >= review.0 && p < review.1
        })
        .count();
    let [blast_subjects, healthy_subjects] =
        [0, 1].map(|label| subjects(facts.predictions, Some(label)));
    format!(
        "{RESEARCH_USE_ONLY}\n\n\
         Intended use: research on single white blood cells that were segmented from bone marrow \
         smears and stand on black, as in C-NMC 2019. It tells leukemic B-lymphoblasts (`all`) from \
         normal B-lymphoid precursors (`hem`) and knows no other kind of cell.\n\n\
         Interim: it was trained from random weights, for a short time, at {size} × {size} pixels, \
         on one fold of the data set. Another model is to replace it.\n\n\
         Limits: one hospital, one stain, one microscope. {blast_subjects} patients and \
         {healthy_subjects} healthy subject(s) were held out. The same held-out subjects chose \
         {chosen}, so every figure is optimistic for that reason. \
         Intervals come from a bootstrap over subjects within each class; a class with a single \
         subject does not vary in it, so they are too narrow. Cell size is a cue: another \
         magnification or another cut makes the output meaningless. Stain and subject are confounded \
         with the label in this data set.\n\n\
         Calibration: temperature {temperature:.3}, fitted on the validation cells. Threshold 0.5 on \
         P(all). Review band {low:.2} to {high:.2}: the narrowest around 0.5 outside which {percent} % \
         of the validation cells are decided rightly, each class counted equally, or the band that \
         comes closest; {reviewed} of {cells} validation cells fall into it.",
        chosen = match facts.kept {
            Kept::Best => "the epoch, the temperature and the review band",
            Kept::Last => "the settings of the run, the temperature and the review band",
        },
        size = facts.state.recipe.input.size,
        low = review.0,
        high = review.1,
        percent = REVIEW_ACCURACY * 100.0,
        cells = facts.predictions.len(),
    )
}
