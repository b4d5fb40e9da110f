//! The manifest: what a bundle says about itself, as JSON in the ONNX file's `metadata_props`.

use serde::{Deserialize, Serialize};

pub use crate::manifest_error::ManifestError;

use crate::curves::{self, Curves, Epoch};
use crate::discriminant::Discriminant;
use crate::reference::Reference;
use leukd_cell::Decision;
use leukd_cell::preprocess::Preprocessing;
use leukd_cell::words::Label;

/// The `metadata_props` key that holds the manifest.
pub const MANIFEST_KEY: &str = "leukd.manifest";

/// The manifest version that this leukd writes, and the only one that it reads.
pub const MANIFEST_VERSION: u32 = 4;

/// Everything that a bundle says about its network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`]; any other is refused.
    pub version: u32,
    /// The model's name, for people: 1 to 64 letters, digits, `.`, `-`, `_`.
    pub id: String,
    /// Class names in the order of the network's output: `all` and `hem`, each once.
    pub labels: Vec<String>,
    /// The preprocessing that it was trained with, and is served with.
    pub preprocessing: Preprocessing,
    /// The scale of the pictures that it was trained on; absent: nobody knows, and the cells of a
    /// field of view are left to a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// What the network's output tensor, shape `[1, labels]`, means.
    pub output: Output,
    /// How sure the network may sound, and where decisions change.
    pub calibration: Calibration,
    /// How the weights are stored.
    pub precision: Precision,
    /// Where the network was quantized after its training: from what, and what that cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<Quantization>,
    /// What it was trained on.
    pub training: Training,
    /// What it was measured at, on data it did not train on.
    pub metrics: Vec<Metric>,
    /// Curves of what it was measured at, one entry a protocol. Empty: not measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curves: Vec<Curves>,
    /// How its training went, epoch by epoch. Empty: not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub learning: Vec<Epoch>,
    /// The score of each person whose cells its siblings tested without having seen that person:
    /// what a specimen's own score stands beside. Empty: not measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub persons: Vec<Person>,
    /// What its training cells are like, so that others are not judged as if they were of their
    /// kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// A weighed sum of the cell's morphometry, added to the network's logit of `all`; absent: the
    /// network alone decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discriminant: Option<Discriminant>,
    /// Inputs with the outputs that the trainer saw (of a quantized network: see [`Quantization`]):
    /// at least one.
    pub golden: Vec<Golden>,
    /// Intended use, limits, caveats: plain text for people.
    pub card: String,
}

/// The meaning of the network's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// Before the softmax.
    Logits,
    /// After it.
    Probabilities,
}

/// From logits to a decision.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Logits are divided by it before the softmax (Guo et al. 2017, "On Calibration of Modern
    /// Neural Networks"). Greater than 0; 1 changes nothing.
    pub temperature: f64,
    /// At or above this P(all), 0 to 1, a cell is decided as `all`.
    pub threshold: f64,
    /// A P(all) inside `[lower, upper)` is decided as `review`. Equal ends: no such band.
    pub review: (f64, f64),
}

/// How the weights are stored in the file. The engine always computes in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// As they are.
    F32,
    /// IEEE half precision behind a `Cast` node.
    F16,
    /// One byte each with one scale an output channel, behind a `DequantizeLinear` node.
    Int8,
}

impl Precision {
    /// The word that the manifest and the contract use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Int8 => "int8",
        }
    }
}

/// A network that was made smaller after its training, and what it lost by that.
///
/// The golden outputs of such a bundle are the quantized network's own, in leukd's engine on the
/// machine that made it: they prove that it serves what was measured here, and no longer what the
/// trainer computed. The changes were measured against the f32 bundle on validation cells, through
/// the same engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantization {
    /// SHA-256 of the f32 bundle's file, 64 lower-case hexadecimal digits.
    pub from_digest: String,
    /// The form: `f16`, `int8`, `int8-mse`, `int8-corrected` or `int8-full`. [`Precision`] says how
    /// its weights are stored; `int8-full` also rounds what flows into its layers, by nodes in the
    /// graph.
    pub variant: String,
    /// Its accuracy less that of f32, −1 to 1, at the manifest's temperature and threshold.
    pub accuracy_change: f64,
    /// Its sensitivity less that of f32, −1 to 1, both at the specificity that f32 has at its
    /// threshold.
    pub sensitivity_change: f64,
    /// How many cells are decided otherwise than by f32, in either direction.
    pub flips: u64,
    /// How many cells all this was measured on.
    pub cells: u64,
}

/// Possible scales of a light microscope's pictures, in micrometres a pixel.
pub const SCALES: std::ops::RangeInclusive<f64> = 0.005..=5.0;

/// The scale of the pictures that a model was trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Micrometres that one pixel of a training picture spans, 0.005 to 5.
    pub micrometres_per_pixel: f64,
    /// How that is known, in words: a stage micrometer, the objective and the camera.
    pub source: String,
}

/// What a model was trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// The program that wrote the bundle, with its version.
    pub trainer: String,
    /// When, RFC 3339.
    pub trained_at: String,
    /// The data in words, with its source.
    pub data: String,
    /// SHA-256 over the sorted `digest  name` lines of every training image, hexadecimal.
    pub data_digest: String,
    /// `image`, `subject`, or `everything` where no test side was left.
    pub protocol: String,
    /// The split in words: which subjects stand on which side.
    pub split: String,
    /// How many cells it was fitted on.
    pub cells: u64,
    /// Epochs that were run, and which one's weights these are.
    pub epochs: u32,
    /// See `epochs`.
    pub best_epoch: u32,
    /// The recipe: each setting by its name.
    pub recipe: std::collections::BTreeMap<String, String>,
}

/// One measured figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// `accuracy`, `balanced_accuracy`, `auroc`, `sensitivity`, `specificity`, …
    pub name: String,
    /// The figure.
    pub value: f64,
    /// Its 95 % interval from a bootstrap over subjects (or over cells where `split` is `image`).
    pub interval: Option<(f64, f64)>,
    /// `image` or `subject`.
    pub split: String,
    /// How many cells.
    pub cells: u64,
    /// Of how many subjects.
    pub subjects: u64,
    /// By cross-validation: measured not on this model but on so many siblings of it, at least 1,
    /// trained by the same recipe, each on cells that it had not seen. None: measured on this very
    /// model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub siblings: Option<u32>,
}

/// A person of whom every cell was tested by a model that had seen none of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// What the person's cells are.
    pub label: Label,
    /// Their trimmed mean, in logits of the calibrated P(all).
    pub score: f64,
    /// How many cells.
    pub cells: u64,
}

/// One input with the output that the trainer saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// What the picture is, for people: `synthetic cell, seed 7`.
    pub name: String,
    /// A PNG file, base64: it goes through decoding and preprocessing as a capture would.
    pub png: String,
    /// The softmax of the network's own logits at temperature 1, in the order of `labels`, without
    /// what [`Manifest::discriminant`] adds.
    pub probabilities: Vec<f64>,
}

/// The most that a served probability may differ from the trainer's.
pub const GOLDEN_TOLERANCE: f64 = 1e-4;

/// The most golden inputs of one bundle: each costs a run of the network at every start.
pub const MOST_GOLDEN: usize = 64;

/// The most figures of one bundle, and the most bytes of its card: both go to every client that
/// asks for the model.
pub const MOST_METRICS: usize = 1024;
/// See [`MOST_METRICS`].
pub const MOST_PERSONS: usize = 10_000;
/// See [`MOST_METRICS`].
pub const MOST_CARD: usize = 64 << 10;

impl Manifest {
    /// Whether every field says something possible.
    ///
    /// # Errors
    ///
    /// The first field that does not.
    pub fn check(&self) -> Result<(), ManifestError> {
        let wrong = |field: &str, problem: String| Err(ManifestError::new(field, problem));
        if self.version != MANIFEST_VERSION {
            let problem = format!("{} is not {MANIFEST_VERSION}", self.version);
            return wrong("version", problem);
        }
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if !(1..=64).contains(&self.id.len()) || !self.id.bytes().all(letter) {
            let problem = format!("{:?} is not 1 to 64 letters, digits, `.`, `-`, `_`", self.id);
            return wrong("id", problem);
        }
        let named = |label: &str| self.labels.iter().filter(|own| *own == label).count() == 1;
        if self.labels.len() != 2 || !named("all") || !named("hem") {
            let problem = format!("{:?} are not `all` and `hem`, each once", self.labels);
            return wrong("labels", problem);
        }
        self.check_preprocessing()?;
        if let Some(scale) = &self.scale
            && !SCALES.contains(&scale.micrometres_per_pixel)
        {
            let (low, high) = (SCALES.start(), SCALES.end());
            let problem = format!("{} is not {low} to {high}", scale.micrometres_per_pixel);
            return wrong("scale.micrometres_per_pixel", problem);
        }
        self.calibration.check()?;
        if let Some(quantization) = &self.quantization {
            quantization.check()?;
        }
        if let Some(reference) = &self.reference {
            reference.check()?;
        }
        if let Some(discriminant) = &self.discriminant {
            discriminant.check(self.golden.len())?;
        }
        if self.metrics.len() > MOST_METRICS {
            let problem = format!("{} figures; at most {MOST_METRICS}", self.metrics.len());
            return wrong("metrics", problem);
        }
        if self.card.len() > MOST_CARD {
            return wrong("card", format!("{} bytes; at most {MOST_CARD}", self.card.len()));
        }
        for (index, metric) in self.metrics.iter().enumerate() {
            let (lower, upper) = metric.interval.unwrap_or((metric.value, metric.value));
            if !(metric.value.is_finite()
                && lower.is_finite()
                && upper.is_finite()
                && lower <= upper)
            {
                let problem =
                    format!("{} with interval {lower} to {upper} is no figure", metric.value);
                return wrong(&format!("metrics[{index}]"), problem);
            }
            if metric.siblings == Some(0) {
                let problem = "measured on 0 sibling models".to_owned();
                return wrong(&format!("metrics[{index}].siblings"), problem);
            }
        }
        curves::check(&self.curves, &self.learning)?;
        if self.persons.len() > MOST_PERSONS {
            let problem = format!("{} persons; at most {MOST_PERSONS}", self.persons.len());
            return wrong("persons", problem);
        }
        if let Some(at) = self.persons.iter().position(|person| !person.score.is_finite()) {
            return wrong(&format!("persons[{at}].score"), "is not finite".to_owned());
        }
        if !(1..=MOST_GOLDEN).contains(&self.golden.len()) {
            let problem = format!("{} golden inputs are not 1 to {MOST_GOLDEN}", self.golden.len());
            return wrong("golden", problem);
        }
        for (index, golden) in self.golden.iter().enumerate() {
            golden.check(self.labels.len(), index)?;
        }
        Ok(())
    }

    fn check_preprocessing(&self) -> Result<(), ManifestError> {
        self.preprocessing.check().map_err(|(field, problem)| {
            ManifestError::new(format!("preprocessing.{field}"), problem)
        })?;
        self.preprocessing.standardise.map_or(Ok(()), |how| how.check()).map_err(
            |(field, problem)| {
                ManifestError::new(format!("preprocessing.standardise.{field}"), problem)
            },
        )
    }
}

impl Calibration {
    /// What leukd suggests at this calibrated P(all), 0 to 1: `Review` inside the band, else `All`
    /// at or above the threshold, else `Hem`.
    #[must_use]
    pub fn decide(&self, all: f64) -> Decision {
        if (self.review.0..self.review.1).contains(&all) {
            Decision::Review
        } else if all >= self.threshold {
            Decision::All
        } else {
            Decision::Hem
        }
    }

    fn check(&self) -> Result<(), ManifestError> {
        let Self { temperature, threshold, review: (lower, upper) } = *self;
        if !(temperature.is_finite() && temperature > 0.0) {
            let problem = format!("{temperature} is not greater than 0");
            return Err(ManifestError::new("calibration.temperature", problem));
        }
        let share = 0.0..=1.0;
        if !share.contains(&threshold) {
            let problem = format!("{threshold} is not 0 to 1");
            return Err(ManifestError::new("calibration.threshold", problem));
        }
        if !share.contains(&lower) || !share.contains(&upper) || lower > upper {
            let problem = format!("{lower} to {upper} is no band inside 0 to 1");
            return Err(ManifestError::new("calibration.review", problem));
        }
        Ok(())
    }
}

impl Quantization {
    fn check(&self) -> Result<(), ManifestError> {
        let wrong = |field: &str, problem: String| {
            Err(ManifestError::new(format!("quantization.{field}"), problem))
        };
        let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if self.from_digest.len() != 64 || !self.from_digest.bytes().all(hexadecimal) {
            let problem = format!("{:?} is not 64 lower-case hexadecimal digits", self.from_digest);
            return wrong("from_digest", problem);
        }
        for (field, change) in [
            ("accuracy_change", self.accuracy_change),
            ("sensitivity_change", self.sensitivity_change),
        ] {
            if !(-1.0..=1.0).contains(&change) {
                return wrong(field, format!("{change} is not −1 to 1"));
            }
        }
        if self.flips > self.cells {
            return wrong("flips", format!("{} flips among {} cells", self.flips, self.cells));
        }
        Ok(())
    }
}

impl Golden {
    fn check(&self, labels: usize, index: usize) -> Result<(), ManifestError> {
        let field = format!("golden[{index}].probabilities");
        if self.probabilities.len() != labels {
            let problem = format!("{} probabilities for {labels} labels", self.probabilities.len());
            return Err(ManifestError::new(field, problem));
        }
        let sum: f64 = self.probabilities.iter().sum();
        let each = self.probabilities.iter().all(|share| (0.0..=1.0).contains(share));
        if !each || (sum - 1.0).abs() > GOLDEN_TOLERANCE {
            let problem = format!("{:?} are no probabilities that add up to 1", self.probabilities);
            return Err(ManifestError::new(field, problem));
        }
        if self.png.is_empty() {
            return Err(ManifestError::new(format!("golden[{index}].png"), "there is no picture"));
        }
        Ok(())
    }
}
