//! A model in service: compiled, tested on its own golden inputs, calibrated.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::band::{Band, BandError};
use super::bundle::Bundle;
use super::engine::{Engine, EngineError, EngineKind, Fusion};
use super::manifest::{GOLDEN_TOLERANCE, Golden, Manifest, Output};
use super::onnx::ModelProto;
use super::trust::Provenance;
use crate::cell::preprocess::InputTensor;
use crate::cell::{Fault, Limits, decode};
use crate::result::{Decision, Digest, ModelRef, Reason};

/// A model that may serve. `Send` and `Sync`: one for all workers.
#[derive(Debug)]
pub struct Model {
    engine: Engine,
    manifest: Manifest,
    band: Band,
    digest: Digest,
    origin: String,
    provenance: Provenance,
}

/// Why a bundle cannot serve, or a run failed.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The engine's own word.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A golden input cannot be read.
    #[error("golden input {name:?} cannot be read: {problem}")]
    GoldenInput {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A golden input gave other probabilities than the trainer saw.
    #[error(
        "golden input {name:?} gave {got:?} where the trainer saw {expected:?} (tolerance {GOLDEN_TOLERANCE}): \
         the bundle does not serve what was trained"
    )]
    Golden {
        /// Its name.
        name: String,
        /// The trainer's probabilities, in the order of the labels.
        expected: Vec<f64>,
        /// The engine's.
        got: Vec<f64>,
    },
    /// The configured review band does not fit this model.
    #[error(transparent)]
    Band(#[from] BandError),
}

/// What the model's calibration makes of one cell's probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The likeliest class: `all` or `hem`.
    pub label: String,
    /// What leukd suggests: never `Rejected`.
    pub decision: Decision,
    /// Why; one `low-confidence` reason when the decision is `Review`.
    pub reasons: Vec<Reason>,
}

impl Model {
    /// [`Model::load_on`] the fused engine.
    ///
    /// # Errors
    ///
    /// See [`ModelError`].
    pub fn load(bundle: Bundle) -> Result<Self, ModelError> {
        Self::load_on(bundle, EngineKind::Fused)
    }

    /// Compiles the bundle's network for the engine of this kind and runs its golden inputs.
    ///
    /// # Errors
    ///
    /// See [`ModelError`].
    pub fn load_on(bundle: Bundle, kind: EngineKind) -> Result<Self, ModelError> {
        let (network, manifest, digest, origin, provenance) = bundle.into_parts();
        let shape = manifest.preprocessing.shape();
        let engine = Engine::compile(&network, shape, manifest.labels.len(), kind)?;
        let band = Band::own(manifest.calibration);
        let model = Self { engine, manifest, band, digest, origin, provenance };
        model.manifest.golden.iter().try_for_each(|golden| model.check(golden))?;
        Ok(model)
    }

    /// The same model with what the configuration says of its review band (`decision.review`): from now on
    /// [`Model::judge`] goes by the hull of both.
    ///
    /// # Errors
    ///
    /// [`ModelError::Band`].
    pub fn deciding(self, review: Option<(f64, f64)>) -> Result<Self, ModelError> {
        let band = Band::with(self.manifest.calibration, review)?;
        Ok(Self { band, ..self })
    }

    /// One cell through the network: calibrated probabilities in the order of the manifest's labels. They add
    /// up to 1.
    ///
    /// # Errors
    ///
    /// [`ModelError::Engine`].
    pub fn run(&self, input: &InputTensor) -> Result<Vec<f64>, ModelError> {
        Ok(softmax(&self.logits(input)?, self.manifest.calibration.temperature))
    }

    /// Label and decision for the probabilities that [`Model::run`] gave.
    ///
    /// The label is the likeliest class, `all` where both are equally likely. The decision goes by P(all): `review`
    /// inside the [band in force](Model::band), else `all` at or above the model's threshold, else `hem`.
    #[must_use]
    pub fn judge(&self, probabilities: &[f64]) -> Judgement {
        let all = self
            .manifest
            .labels
            .iter()
            .zip(probabilities)
            .find_map(|(label, probability)| (label == "all").then_some(*probability))
            .unwrap_or_default();
        judge(&self.band, all)
    }

    /// Which model this is, as results name it.
    #[must_use]
    pub fn reference(&self) -> ModelRef {
        ModelRef { id: self.manifest.id.clone(), digest: self.digest.to_string() }
    }

    /// What the bundle says about itself.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The review band in force.
    #[must_use]
    pub const fn band(&self) -> &Band {
        &self.band
    }

    /// SHA-256 of the bundle's bytes.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Where the bundle came from: a path, or `embedded`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How it came to be served.
    #[must_use]
    pub const fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// What of the network runs on leukd's own operators.
    #[must_use]
    pub const fn fusion(&self) -> &Fusion {
        self.engine.fusion()
    }

    /// One cell's logits in the order of the manifest's labels, before calibration: of a network that gives
    /// probabilities, their natural logarithms.
    ///
    /// # Errors
    ///
    /// [`ModelError::Engine`].
    pub fn logits(&self, input: &InputTensor) -> Result<Vec<f64>, ModelError> {
        logits(&self.engine, self.manifest.output, input)
    }

    fn check(&self, golden: &Golden) -> Result<(), ModelError> {
        let got = answer(&self.engine, &self.manifest, golden)?;
        let expected = &golden.probabilities;
        let near = |(one, other): (&f64, &f64)| (one - other).abs() <= GOLDEN_TOLERANCE;
        if got.len() == expected.len() && got.iter().zip(expected).all(near) {
            return Ok(());
        }
        Err(ModelError::Golden { name: golden.name.clone(), expected: expected.clone(), got })
    }
}

/// The manifest's golden inputs with the outputs that `network` gives for them, in this engine.
///
/// For a network that was derived from a trained one, as by quantization: its bundle then proves that it serves what
/// was measured when it was made. The trainer of a network writes what the trainer computed instead.
///
/// # Errors
///
/// See [`ModelError`]; a golden input that cannot be read is named. Stored weights must have been expanded.
pub fn golden_outputs(
    network: &ModelProto,
    manifest: &Manifest,
) -> Result<Vec<Golden>, ModelError> {
    let shape = manifest.preprocessing.shape();
    let engine = Engine::compile(network, shape, manifest.labels.len(), EngineKind::Fused)?;
    let answered = |golden: &Golden| {
        let probabilities = answer(&engine, manifest, golden)?;
        Ok(Golden { probabilities, ..golden.clone() })
    };
    manifest.golden.iter().map(answered).collect()
}

/// A golden input's probabilities at temperature 1.
fn answer(engine: &Engine, manifest: &Manifest, golden: &Golden) -> Result<Vec<f64>, ModelError> {
    let unreadable = |problem| ModelError::GoldenInput { name: golden.name.clone(), problem };
    let png = BASE64.decode(&golden.png).map_err(|error| unreadable(error.to_string()))?;
    let fault = |fault: Fault| unreadable(fault.to_string());
    let picture = decode(&png, &Limits::default()).map_err(fault)?;
    let input = manifest.preprocessing.tensor(&picture).map_err(fault)?;
    Ok(softmax(&logits(engine, manifest.output, &input)?, 1.0))
}

fn logits(engine: &Engine, output: Output, input: &InputTensor) -> Result<Vec<f64>, ModelError> {
    // Below this a probability's logarithm would only say how far rounding went.
    const LEAST: f64 = 1e-12;
    let outputs = engine.run(input)?.into_iter().map(f64::from);
    Ok(match output {
        Output::Logits => outputs.collect(),
        Output::Probabilities => outputs.map(|share| share.clamp(LEAST, 1.0).ln()).collect(),
    })
}

/// The softmax of `logits / temperature`.
fn softmax(logits: &[f64], temperature: f64) -> Vec<f64> {
    // The largest is taken off first, so that no exponential overflows.
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> =
        logits.iter().map(|logit| ((logit - largest) / temperature).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

fn judge(band: &Band, all: f64) -> Judgement {
    let label = if all >= 0.5 { "all" } else { "hem" }.to_owned();
    let decision = band.decide(all);
    if decision != Decision::Review {
        return Judgement { label, decision, reasons: Vec::new() };
    }
    let (lower, upper) = band.in_force();
    let whose = if band.is_by_configuration(all) {
        "which the configuration leaves to a person (decision.review)"
    } else {
        "where the model is not sure"
    };
    let message = format!(
        "P(all) is {all:.3}, between {lower:.3} and {upper:.3}, {whose}: a person should look at this cell"
    );
    let reasons = vec![Reason::new("low-confidence", message)];
    Judgement { label, decision, reasons }
}
