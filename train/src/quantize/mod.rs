//! From an f32 bundle to smaller ones, each measured against it; the smallest that loses nothing
//! that matters wins.
//!
//! All of this works on the ONNX graph and the daemon's own engine: what is measured here is what
//! will be served.

mod forms;
mod graph;
mod measure;
mod outcome;
mod probe;
mod ranges;

use leukd_cell::preprocess::InputTensor;
use leukd_model::bundle::{self, Bundle, BundleError};
use leukd_model::engine::EngineError;
use leukd_model::manifest::{MANIFEST_VERSION, Manifest, Precision, Quantization};
use leukd_model::serving::{Model, ModelError, golden_outputs};
use leukd_model::weights;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

pub use outcome::{Gate, Measured, Outcome, Reference, Row, Verdict};

use crate::card::{OF_FLOAT, REFERENCE, with_paragraph};
use crate::dataset::{Cell, LABELS};
use forms::Form;
use graph::FloatNetwork;
use measure::Baseline;

/// How the forms are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// What a form may cost.
    pub gate: Gate,
    /// Of the calibration cells at most so many are used, the classes equally often.
    pub calibration_cells: usize,
    /// `int8-full` covers what flows into a layer between the percentiles 100 − this and this:
    /// above 50, to 100.
    pub percentile: f64,
    /// `int8-full` leaves so many layers in f32: those that lose most.
    pub keep_float: usize,
    /// Draws the calibration cells and the order of timing.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            gate: Gate::default(),
            calibration_cells: 64,
            percentile: 99.99,
            keep_float: 4,
            seed: 0,
        }
    }
}

/// What quantization works on.
#[derive(Debug, Clone, Copy)]
pub struct QuantizeInput<'a> {
    /// Where the f32 bundle came from, for messages.
    pub origin: &'a str,
    /// Cells of the training side: they decide shifts and ranges.
    pub calibration: &'a [Cell],
    /// Cells that the weights were not fitted on: they are measured on. Both classes are needed.
    pub validation: &'a [Cell],
    /// How.
    pub settings: Settings,
}

/// Why nothing can be quantized.
#[derive(Debug, thiserror::Error)]
pub enum QuantizeError {
    /// It is no bundle, or a form's bundle cannot be written.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The bundle is quantized already.
    #[error(
        "{origin}: its weights are stored as {precision}; quantization starts from an f32 bundle: \
         export it with --weights f32"
    )]
    NotF32 {
        /// Where it came from.
        origin: String,
        /// How it stores its weights.
        precision: &'static str,
    },
    /// The bundle holds a discriminant, which what is compared here does not know.
    #[error(
        "{origin}: it holds a discriminant beside its network: quantize the bundle from before, then \
         `leukd train ship --discriminant`"
    )]
    Weighed {
        /// Where it came from.
        origin: String,
    },
    /// Nothing in the graph is known to carry weights.
    #[error(
        "{origin}: no Conv or Gemm node with a stored f32 kernel of its own: nothing to quantize"
    )]
    NoLayers {
        /// Where it came from.
        origin: String,
    },
    /// The f32 bundle does not serve.
    #[error("{0}")]
    Model(#[from] ModelError),
    /// The network gives no number for a class.
    #[error("{0}")]
    Unmeasurable(String),
    /// The network cannot be observed on the calibration cells.
    #[error("the network cannot be measured on the calibration cells: {0}")]
    Engine(#[from] EngineError),
    /// There are no calibration cells.
    #[error("no cells to calibrate on: the training side is empty")]
    NoCalibration,
    /// A class is missing.
    #[error(
        "the validation side has no {label} cells: sensitivity and specificity need both classes"
    )]
    OneClass {
        /// Which one.
        label: &'static str,
    },
    /// A cell was read for another bundle.
    #[error(
        "cell {name} is not {size} × {size} pixels: read the cells with the bundle's own preprocessing"
    )]
    OtherSize {
        /// The cell.
        name: String,
        /// The bundle's size.
        size: u32,
    },
    /// A setting is impossible.
    #[error("{setting} is {value}: {allowed}")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// What it is.
        value: f64,
        /// What it may be.
        allowed: &'static str,
    },
}

/// Makes every form of the f32 bundle `bytes` and measures each against it.
///
/// A form that misses the gate, or that the daemon's engine does not run, is refused in its row and
/// stops no other. Each form's bundle has the f32 bundle's calibration and figures, its own golden
/// outputs, what it cost, and no reference: that of a network is its own
/// ([`crate::export::referred`]).
///
/// # Errors
///
/// See [`QuantizeError`].
pub fn run(bytes: &[u8], input: &QuantizeInput<'_>) -> Result<Outcome, QuantizeError> {
    let settings = &input.settings;
    check(input)?;
    let bundle = Bundle::from_bytes(bytes, input.origin)?;
    accept(&bundle)?;
    let network = FloatNetwork::of(bundle.network().clone());
    if network.layers.is_empty() {
        return Err(QuantizeError::NoLayers { origin: input.origin.to_owned() });
    }
    let (model, load_milliseconds) = measure::load(bytes, input.origin)?;
    let calibration: Vec<InputTensor> = chosen(input)
        .into_iter()
        .map(|cell| measure::input(&model, cell))
        .collect::<Result<_, _>>()?;
    let baseline = Baseline::new(&model, measure::predict(&model, input.validation)?);
    let mut tried = Vec::new();
    for form in forms::forms(&network, &calibration, settings)? {
        tracing::info!(form = form.name, "measuring");
        let made = attempt(&form, &model, &baseline, input);
        tried.push((form, made));
    }
    let twin = Model::load(Bundle::from_bytes(bytes, input.origin)?)?;
    let models: Vec<&Model> =
        tried.iter().filter_map(|(_, made)| Some(&made.as_ref().ok()?.model)).collect();
    let times = measure::times([&model, &twin], &models, input.validation, settings.seed)?;
    let timing_noise = times.noise;
    let reference = Reference {
        digest: bundle.digest().to_string(),
        bytes: bytes.len(),
        cells: baseline.cells(),
        accuracy: baseline.figures.accuracy,
        balanced_accuracy: baseline.figures.balanced_accuracy,
        sensitivity: baseline.sensitivity,
        specificity: baseline.figures.specificity,
        milliseconds: times.float,
        timing_noise,
        load_milliseconds,
    };
    let mut times = times.forms.into_iter();
    let (mut rows, mut bundles) = (Vec::new(), Vec::new());
    for (form, made) in tried {
        let (row, bytes) = match made {
            Ok(made) => {
                let measured = made.measured(times.next().unwrap_or((f64::NAN, f64::NAN)));
                let verdict = settings.gate.judge(&measured, timing_noise);
                (row(form, made.bytes.len(), Some(measured), verdict), made.bytes)
            }
            Err(error) => {
                let verdict = Verdict::Refused(format!("it does not work: {error}"));
                (row(form, 0, None, verdict), Vec::new())
            }
        };
        rows.push(row);
        bundles.push(bytes);
    }
    let winner = winner(&rows);
    let calibration_cells = calibration.len();
    Ok(Outcome { reference, gate: settings.gate, calibration_cells, rows, winner, bundles })
}

/// Whether `bundle` can be quantized, by its manifest alone: before any cells are read for it.
///
/// # Errors
///
/// [`QuantizeError::NotF32`] and [`QuantizeError::Weighed`].
pub fn accept(bundle: &Bundle) -> Result<(), QuantizeError> {
    if bundle.manifest().discriminant.is_some() {
        return Err(QuantizeError::Weighed { origin: bundle.origin().to_owned() });
    }
    match bundle.manifest().precision {
        Precision::F32 => Ok(()),
        other => Err(QuantizeError::NotF32 {
            origin: bundle.origin().to_owned(),
            precision: other.as_str(),
        }),
    }
}

fn check(input: &QuantizeInput<'_>) -> Result<(), QuantizeError> {
    let settings = &input.settings;
    let setting = |setting, value, allowed| Err(QuantizeError::Setting { setting, value, allowed });
    let percentile = settings.percentile > 50.0 && settings.percentile <= 100.0;
    if !percentile {
        return setting(
            "the percentile",
            settings.percentile,
            "it must be above 50 and at most 100",
        );
    }
    if settings.calibration_cells == 0 {
        return setting("the number of calibration cells", 0.0, "it must be at least 1");
    }
    let Gate { max_accuracy_loss, max_sensitivity_loss, max_slowdown } = settings.gate;
    for (name, value) in [
        ("the largest loss of accuracy", max_accuracy_loss),
        ("the largest loss of sensitivity", max_sensitivity_loss),
        ("the largest slowdown", max_slowdown),
    ] {
        if value.is_nan() {
            return setting(name, value, "it must be a number");
        }
    }
    if input.calibration.is_empty() {
        return Err(QuantizeError::NoCalibration);
    }
    for (index, label) in LABELS.into_iter().enumerate() {
        if !input.validation.iter().any(|cell| cell.label == index) {
            return Err(QuantizeError::OneClass { label });
        }
    }
    Ok(())
}

/// The calibration cells that are used: drawn by the seed, the classes in turn as long as both
/// last.
fn chosen<'a>(input: &QuantizeInput<'a>) -> Vec<&'a Cell> {
    let mut rng = ChaCha8Rng::seed_from_u64(input.settings.seed);
    let mut classes: Vec<Vec<&Cell>> = (0..LABELS.len())
        .map(|label| input.calibration.iter().filter(|cell| cell.label == label).collect())
        .collect();
    classes.iter_mut().for_each(|cells| cells.shuffle(&mut rng));
    let mut chosen = Vec::new();
    while chosen.len() < input.settings.calibration_cells {
        let before = chosen.len();
        chosen.extend(classes.iter_mut().filter_map(Vec::pop));
        if chosen.len() == before {
            break;
        }
    }
    chosen.truncate(input.settings.calibration_cells);
    chosen
}

/// The kept row with the smallest file. Of those that are as small to a hundredth, which differ in
/// little but their names, the one that stays closest to f32.
fn winner(rows: &[Row]) -> Option<usize> {
    let kept = || (0..rows.len()).filter(|index| rows[*index].verdict == Verdict::Kept);
    let least = kept().map(|index| rows[index].bytes).min()?;
    let distance = |index: &usize| {
        rows[*index].measured.map_or(f64::INFINITY, |measured| measured.mean_difference)
    };
    kept()
        .filter(|index| rows[*index].bytes <= least + least / 100)
        .min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

/// A form whose bundle serves.
struct Made {
    bytes: Vec<u8>,
    model: Model,
    load_milliseconds: f64,
    changes: measure::Changes,
}

impl Made {
    fn measured(&self, (milliseconds, slowdown): (f64, f64)) -> Measured {
        Measured {
            accuracy_change: self.changes.accuracy,
            balanced_accuracy_change: self.changes.balanced_accuracy,
            sensitivity_change: self.changes.sensitivity,
            flips_to_all: self.changes.flips_to_all,
            flips_to_hem: self.changes.flips_to_hem,
            mean_difference: self.changes.mean_difference,
            largest_difference: self.changes.largest_difference,
            milliseconds,
            slowdown,
            load_milliseconds: self.load_milliseconds,
        }
    }
}

/// Writes the form's bundle, runs it on the validation cells, and writes it once more with what it
/// cost.
fn attempt(
    form: &Form,
    float: &Model,
    baseline: &Baseline,
    input: &QuantizeInput<'_>,
) -> Result<Made, QuantizeError> {
    let mut plain = form.network.clone();
    let wrong = |source| BundleError::Weights { origin: form.name.to_owned(), source };
    weights::expand(&mut plain).map_err(wrong)?;
    let told = float.manifest().clone();
    let mut manifest = Manifest {
        version: MANIFEST_VERSION,
        precision: form.precision,
        golden: golden_outputs(&plain, float.manifest())?,
        // Where f32's features lie says nothing of another network's.
        reference: None,
        card: with_paragraph(&told.card, REFERENCE, ""),
        ..told
    };
    let bytes = bundle::write(form.network.clone(), &manifest)?;
    let model = Model::load(Bundle::from_bytes(&bytes, form.name)?)?;
    let predictions = measure::predict(&model, input.validation)?;
    let changes = baseline.changes(&predictions);
    let quantization = Quantization {
        from_digest: float.digest().to_string(),
        variant: form.name.to_owned(),
        accuracy_change: changes.accuracy,
        sensitivity_change: changes.sensitivity,
        flips: (changes.flips_to_all + changes.flips_to_hem) as u64,
        cells: baseline.cells() as u64,
    };
    manifest.card += &card(&quantization);
    manifest.quantization = Some(quantization);
    let bytes = bundle::write(form.network.clone(), &manifest)?;
    let (model, load_milliseconds) = measure::load(&bytes, form.name)?;
    Ok(Made { bytes, model, load_milliseconds, changes })
}

/// What the card says of it, after what f32's says.
fn card(quantization: &Quantization) -> String {
    let Quantization { from_digest, variant, accuracy_change, sensitivity_change, flips, cells } =
        quantization;
    format!(
        "\n\nQuantized: {variant}, from the f32 bundle {from_digest}. On {cells} validation cells accuracy changed by \
         {:+.2} points, sensitivity at f32's specificity by {:+.2} points, and {flips} cells are decided \
         otherwise.{OF_FLOAT} The golden outputs are the quantized network's own in leukd's engine: they prove that it serves what was measured here.",
        accuracy_change * 100.0,
        sensitivity_change * 100.0,
    )
}

fn row(form: Form, bytes: usize, measured: Option<Measured>, verdict: Verdict) -> Row {
    Row { name: form.name, bytes, kept_float: form.kept_float, measured, verdict }
}
