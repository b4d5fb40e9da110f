//! What the bundle says about itself.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use leukd_cell::Fault;
use leukd_cell::preprocess::Preprocessing;
use leukd_cell::synthetic;
use leukd_journal::result::{ModelRef, RESEARCH_USE_ONLY};
use leukd_model::manifest::{
    Calibration, Golden, MANIFEST_VERSION, Manifest, Output, Precision, Training,
};

use super::{Naming, probabilities};
use crate::card::{CALIBRATION, FIGURES, with_paragraph};
use crate::dataset::{LABELS, Protocol, Side};
use crate::evaluate::{
    About, CELLS, Evaluation, INHERITED, Prediction, REVIEW_ACCURACY, SIDES, Seen, TEACHER,
    WIDEST_BAND,
};
use crate::fit::{EpochLine, State};
use crate::network::Network;
use crate::recipe::Kept;

/// Everything that a manifest is made of.
#[derive(Debug)]
pub struct Facts<'a> {
    /// What people call the model and its data.
    pub naming: Naming<'a>,
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
    let (metrics, curves, figures) = match state.protocol {
        Protocol::Everything => (Vec::new(), Vec::new(), FIGURES.to_owned() + UNMEASURED),
        Protocol::Image | Protocol::Subject => {
            let evaluation = evaluation(facts);
            (evaluation.metrics(), vec![evaluation.curves()], figures(&evaluation))
        }
    };
    Manifest {
        version: MANIFEST_VERSION,
        id: facts.naming.id.to_owned(),
        labels: LABELS.map(str::to_owned).to_vec(),
        preprocessing: state.recipe.preprocessing(),
        scale: None,
        output: Output::Logits,
        calibration: facts.calibration,
        precision: facts.precision,
        quantization: None,
        training: Training {
            trainer: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).to_owned(),
            trained_at: facts.trained_at.clone(),
            data: facts.naming.data.to_owned(),
            data_digest: state.training_digest.clone(),
            protocol: state.protocol.to_string(),
            split: state.split.clone(),
            cells: state.cells,
            epochs: state.epochs_done(),
            best_epoch: state.epoch_of(facts.kept),
            recipe: recipe(state, facts.kept),
        },
        metrics,
        reference: None,
        curves,
        learning: state.epochs.iter().map(EpochLine::point).collect(),
        persons: Vec::new(),
        discriminant: None,
        golden,
        card: card(facts) + &figures,
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
    let probabilities = probabilities(network, preprocessing, square.as_raw());
    Ok(Golden { name, png: BASE64.encode(synthetic::png(picture)), probabilities })
}

/// What the validation cells say of the bundle.
fn evaluation(facts: &Facts<'_>) -> Evaluation {
    let state = facts.state;
    let about = About {
        side: Side::Validation,
        protocol: state.validation_protocol,
        split: state.split.clone(),
        training_digest: state.training_digest.clone(),
        recipe: recipe(state, facts.kept),
        // Its digest follows from what is told here, and is not told.
        model: ModelRef { id: facts.naming.id.to_owned(), digest: String::new() },
        calibration: facts.calibration,
        seen: Seen::Steered,
        baseline: None,
        folds: Vec::new(),
        seed: state.recipe.steps.seed,
    };
    Evaluation::of(facts.predictions, &about)
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
        (INHERITED, state.inherited.to_string()),
        (SIDES, state.sides_digest.clone()),
        (CELLS, state.cells_digest.clone()),
        ("run.device", state.device.clone()),
        ("run.minutes", format!("{:.1}", state.seconds / 60.0)),
    ];
    settings.extend(run.into_iter().map(|(key, value)| (key.to_owned(), value)));
    settings.extend(state.teacher.clone().map(|digest| (TEACHER.to_owned(), digest)));
    settings
}

fn card(facts: &Facts<'_>) -> String {
    let card = format!(
        "{RESEARCH_USE_ONLY}\n\n\
         Intended use: research on single white blood cells that were segmented from bone marrow \
         smears and stand on black, as in C-NMC 2019. It tells leukemic B-lymphoblasts (`all`) from \
         normal B-lymphoid precursors (`hem`) and knows no other kind of cell.\n\n\
         Made by {trainer} from cells at {size} × {size} pixels: {split}\n\n\
         {taught}Limits: it knows the hospitals, stains and microscopes of its training cells alone. Cell size is a \
         cue: another magnification or another cut makes the output meaningless. Stain and subject may \
         be confounded with the label: every subject has cells of one class. A class with few subjects \
         can show little about the next one.",
        trainer = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")),
        split = facts.state.split,
        taught = taught(facts.state),
        size = facts.state.recipe.input.size,
    );
    card + &calibrated(&facts.calibration, facts.predictions)
}

/// The card's paragraph on the teacher; empty where there was none.
fn taught(state: &State) -> String {
    let Some(digest) = &state.teacher else { return String::new() };
    format!(
        "Teacher: {:.0} % of each training cell's target is the P(all) of another model (distillation), and the rest \
         its label. SHA-256 of the teacher's targets: {digest}.\n\n",
        state.recipe.distil.weight * 100.0
    )
}

fn calibrated(calibration: &Calibration, predictions: &[Prediction]) -> String {
    let Calibration { temperature, threshold, review: (low, high) } = *calibration;
    let inside = |prediction: &&Prediction| {
        let p = prediction.probability(temperature);
        p >= low && p < high
    };
    let (reviewed, cells) = (predictions.iter().filter(inside).count(), predictions.len());
    let percent = REVIEW_ACCURACY * 100.0;
    let fitted = if temperature == 1.0 {
        "1: the validation cells determine none".to_owned()
    } else {
        format!("{temperature:.3}, fitted on the validation cells")
    };
    let band = if calibration.review == WIDEST_BAND {
        format!(
            "the widest, because outside no narrower one {percent} % of the validation cells are decided \
             rightly, each class counted equally: the model is too weak, or the cells too few"
        )
    } else {
        format!(
            "the narrowest around 0.5 outside which {percent} % of the validation cells are decided rightly, \
             each class counted equally"
        )
    };
    format!(
        "{CALIBRATION}temperature {fitted}. Threshold {threshold} on P(all). Review band {low:.2} to \
         {high:.2}: {band}; {reviewed} of {cells} validation cells fall into it."
    )
}

/// `card` with another paragraph on the calibration: that of these predictions.
pub(super) fn recalibrated(
    card: &str,
    calibration: &Calibration,
    predictions: &[Prediction],
) -> String {
    with_paragraph(card, CALIBRATION, &(calibrated(calibration, predictions) + OWN))
}

/// What the card says of the figures of a model that was trained on everything.
const UNMEASURED: &str = "none. It was trained on everything, so no cell was left to measure it on. The validation cells \
                          are the training subjects': they drew the learning curve and fitted the calibration, and what \
                          they say is no accuracy on new cells.";

/// Ends a paragraph that is about the bundle itself and not about the f32 bundle that it was made
/// of.
const OWN: &str = " Measured with the weights of this very file.";

/// `card` with another paragraph on its figures: those of `evaluation`, of the very bundle that the
/// card is in.
pub(super) fn told(card: &str, evaluation: &Evaluation) -> String {
    with_paragraph(card, FIGURES, &(figures(evaluation) + OWN))
}

fn figures(evaluation: &Evaluation) -> String {
    let counts = &evaluation.counts;
    let mut text = format!(
        "{FIGURES}measured on {} cells of the {} side, split by {}: {} all of {} subjects, {} hem of {} \
         subjects. 95 % intervals come from a bootstrap over {}.",
        counts.cells,
        evaluation.side.as_str(),
        evaluation.protocol,
        counts.all,
        counts.all_subjects,
        counts.hem,
        counts.hem_subjects,
        evaluation.resampled
    );
    for caveat in &evaluation.caveats {
        text.push(' ');
        text.push_str(caveat);
    }
    text
}
