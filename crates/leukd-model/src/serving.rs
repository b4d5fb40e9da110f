//! A model in service: compiled, tested on its own golden inputs, calibrated.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use image::RgbImage;

use crate::band::{Band, BandError};
use crate::bundle::Bundle;
use crate::discriminant::SCORE_TOLERANCE;
use crate::engine::{Activation, Engine, EngineError, EngineKind, Fusion};
use crate::head::{Head, NoHead, Pooled};
use crate::manifest::{GOLDEN_TOLERANCE, Golden, Manifest, ManifestError, Output};
use crate::onnx::ModelProto;
use crate::reference::{self, Space};
use crate::trust::Provenance;
use crate::verdict::{Judgement, Verdict};
use leukd_cell::figures::{Distance, Figures};
use leukd_cell::preprocess::InputTensor;
use leukd_cell::words::{Label, ModelRef};
use leukd_cell::{Digest, Reason};
use leukd_cell::{Fault, Limits, Measures, Morphometry, decode};

/// A model that may serve. `Send` and `Sync`: one for all workers.
#[derive(Debug)]
pub struct Model {
    engine: Engine,
    head: Result<Head, NoHead>,
    space: Option<Space>,
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
    /// The discriminant gave a golden input another score than at the making of the bundle.
    #[error(
        "golden input {name:?} has the discriminant's score {got} where the bundle's maker saw {expected} (tolerance \
         {SCORE_TOLERANCE}): this leukd measures cells otherwise; make the bundle anew (leukd train ship)"
    )]
    GoldenScore {
        /// Its name.
        name: String,
        /// The maker's.
        expected: f64,
        /// This leukd's.
        got: f64,
    },
    /// What the bundle says of its training cells does not fit its network.
    #[error("{0}")]
    Reference(ManifestError),
    /// The configured review band does not fit this model.
    #[error(transparent)]
    Band(#[from] BandError),
}

/// What one run of the network gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Logits in the order of the manifest's labels, before calibration: of a network that gives
    /// probabilities, their natural logarithms.
    pub logits: Vec<f64>,
    /// The last activation before global pooling; none where the network has no head that leukd
    /// knows.
    pub activation: Option<Activation>,
    /// What global pooling left of it.
    pub pooled: Option<Pooled>,
    /// What went into each ReLU behind it ([`Head::bends`]).
    pub bends: Vec<Vec<f32>>,
}

/// Measurements of the whole picture, without the network.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// None where the picture has no foreground.
    pub measures: Option<Measures>,
    /// For the bundle's discriminant: none where it has none, or the picture no foreground.
    pub morphometry: Option<Morphometry>,
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
        let (engine, head) = compiled(&network, shape, manifest.labels.len(), kind)?;
        let band = Band::own(manifest.calibration);
        let space = None;
        let mut model = Self { engine, head, space, manifest, band, digest, origin, provenance };
        model.manifest.golden.iter().try_for_each(|golden| model.check(golden))?;
        model
            .manifest
            .golden
            .iter()
            .enumerate()
            .try_for_each(|(at, own)| model.rescore(at, own))?;
        model.check_head()?;
        model.space = model.fitting_space()?;
        Ok(model)
    }

    /// The same model with what the configuration says of its review band (`decision.review`): from
    /// now on [`Model::judge`] goes by the hull of both.
    ///
    /// # Errors
    ///
    /// [`ModelError::Band`].
    pub fn deciding(self, review: Option<(f64, f64)>) -> Result<Self, ModelError> {
        let band = Band::with(self.manifest.calibration, review)?;
        Ok(Self { band, ..self })
    }

    /// One cell through the network: its own calibrated probabilities in the order of the
    /// manifest's labels, without what a discriminant adds ([`Model::verdict`]). They add up to 1.
    ///
    /// # Errors
    ///
    /// [`ModelError::Engine`].
    pub fn run(&self, input: &InputTensor) -> Result<Vec<f64>, ModelError> {
        Ok(self.probabilities(&self.logits(input)?))
    }

    /// All that is said of the capture that gave `seen`: probabilities, and the decision by P(all),
    /// the review band and what the bundle knows of its training cells. The daemon, the commands
    /// and the trainer all decide by this.
    ///
    /// `measured` is the whole picture's ([`Model::measure`]).
    #[must_use]
    pub fn verdict(&self, seen: &Seen, measured: &Measured) -> Verdict {
        let logits = self.weighed(&seen.logits, measured.morphometry.as_ref());
        let probabilities = self.probabilities(&logits);
        let figures = self.figures(measured.measures, seen);
        let judgement = self.judge(&probabilities).doubted(self.doubts(&figures));
        Verdict { probabilities, judgement, figures }
    }

    /// Measures the picture for [`Model::verdict`].
    ///
    /// # Errors
    ///
    /// For a picture without pixels.
    pub fn measure(&self, picture: &RgbImage) -> Result<Measured, Fault> {
        let weighs = self.manifest.discriminant.is_some();
        Ok(Measured {
            measures: Measures::of(picture),
            morphometry: if weighs { Morphometry::of(picture)? } else { None },
        })
    }

    /// The network's logits with the discriminant's score added to that of `all`; as they are
    /// without a discriminant, or for a picture without foreground, which is left to a person.
    #[must_use]
    pub fn weighed(&self, logits: &[f64], morphometry: Option<&Morphometry>) -> Vec<f64> {
        let mut logits = logits.to_vec();
        if let (Some(discriminant), Some(seen)) = (&self.manifest.discriminant, morphometry) {
            let labels = self.manifest.labels.iter().zip(&mut logits);
            labels
                .filter(|(label, _)| *label == Label::All.as_str())
                .for_each(|(_, logit)| *logit += discriminant.score(seen));
        }
        logits
    }

    /// What was measured of a picture, with how far what the network saw lies from the training
    /// cells.
    #[must_use]
    pub fn figures(&self, measures: Option<Measures>, seen: &Seen) -> Figures {
        // Where there is no cell, how far it is from others says nothing.
        let distance = measures.and(self.space.as_ref()).and_then(|space| {
            let distance = space.distance(&seen.pooled.as_ref()?.features)?;
            Some(Distance { distance, limit: space.limit })
        });
        Figures { measures, distance }
    }

    /// Why a capture may be none of the kind that the model was trained on, most important first;
    /// empty where nothing speaks for that, or where the bundle says nothing of its training cells.
    fn doubts(&self, figures: &Figures) -> Vec<Reason> {
        let Some(reference) = &self.manifest.reference else { return Vec::new() };
        let Some(measures) = &figures.measures else { return vec![reference::no_cell()] };
        let mut doubts = reference.doubts_of_measures(measures);
        if let Some(far) = figures.distance.filter(|far| far.distance > far.limit) {
            doubts.insert(0, reference::far(far.distance, far.limit));
        }
        doubts
    }

    /// Label and decision for the probabilities that [`Model::run`] gave, without any look at the
    /// picture.
    ///
    /// The label is the likeliest class, `all` where both are equally likely. The decision goes by
    /// P(all): `review` inside the [band in force](Model::band), else `all` at or above the model's
    /// threshold, else `hem`.
    #[must_use]
    pub fn judge(&self, probabilities: &[f64]) -> Judgement {
        Judgement::of(&self.band, self.p_all(probabilities))
    }

    /// P(all) of these probabilities, which are in the manifest's order.
    #[must_use]
    pub fn p_all(&self, probabilities: &[f64]) -> f64 {
        self.manifest
            .labels
            .iter()
            .zip(probabilities)
            .find_map(|(label, probability)| (label == Label::All.as_str()).then_some(*probability))
            .unwrap_or_default()
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

    /// One cell's logits: [`Seen::logits`].
    ///
    /// # Errors
    ///
    /// [`ModelError::Engine`].
    pub fn logits(&self, input: &InputTensor) -> Result<Vec<f64>, ModelError> {
        self.look(input).map(|seen| seen.logits)
    }

    /// One cell through the network, with what it is led by.
    ///
    /// # Errors
    ///
    /// [`ModelError::Engine`].
    pub fn look(&self, input: &InputTensor) -> Result<Seen, ModelError> {
        let seen = look(&self.engine, self.manifest.output, input)?;
        let pooled = self.head().ok().zip(seen.activation.as_ref());
        let pooled = pooled.map(|(head, activation)| head.pool(activation));
        Ok(Seen { pooled, ..seen })
    }

    /// Calibrated probabilities of these logits, in their order.
    #[must_use]
    pub fn probabilities(&self, logits: &[f64]) -> Vec<f64> {
        softmax(logits, self.manifest.calibration.temperature)
    }

    /// What lies behind the last activation, or why it is not known.
    ///
    /// # Errors
    ///
    /// [`NoHead`], which is no defect of the network: it serves all the same.
    pub const fn head(&self) -> Result<&Head, &NoHead> {
        self.head.as_ref()
    }

    /// The training cells' features, where the network's can be held against them.
    fn fitting_space(&self) -> Result<Option<Space>, ModelError> {
        let Some(features) = self.manifest.reference.as_ref().and_then(|own| own.features.as_ref())
        else {
            return Ok(None);
        };
        let wrong = |problem: String| {
            ModelError::Reference(ManifestError::new("reference.features", problem))
        };
        let space = features.unpack().map_err(ModelError::Reference)?;
        match self.head() {
            Ok(head) if head.channels() == space.features() => Ok(Some(space)),
            Ok(head) => Err(wrong(format!(
                "they are of {} features, and the network has {}",
                space.features(),
                head.channels()
            ))),
            Err(unknown) => Err(wrong(format!("the network's features are not known: {unknown}"))),
        }
    }

    /// Holds the head against the network's own outputs on the golden inputs: one that was misread
    /// explains nothing.
    fn check_head(&mut self) -> Result<(), ModelError> {
        let Ok(head) = &self.head else { return Ok(()) };
        let labels = self.manifest.labels.len();
        for golden in &self.manifest.golden {
            let Seen { logits, pooled, .. } = self.look(&golden_input(&self.manifest, golden)?)?;
            let pooled = pooled.filter(|pooled| pooled.features.len() == head.channels());
            let own = pooled.map(|pooled| head.logits(&pooled.features));
            let same = own.is_some_and(|own| {
                let (own, seen) = (softmax(&own, 1.0), softmax(&logits, 1.0));
                own.len() == labels
                    && own
                        .iter()
                        .zip(&seen)
                        .all(|(own, seen)| (own - seen).abs() <= GOLDEN_TOLERANCE)
            });
            if !same {
                let what = format!(
                    "what follows its last activation gives other outputs than the network for golden input {:?}",
                    golden.name
                );
                self.head = Err(NoHead(what));
                return Ok(());
            }
        }
        Ok(())
    }

    /// Holds the discriminant's score of a golden input against the maker's.
    fn rescore(&self, at: usize, golden: &Golden) -> Result<(), ModelError> {
        let Some(discriminant) = &self.manifest.discriminant else { return Ok(()) };
        let name = golden.name.clone();
        let unreadable = |fault: Fault| ModelError::GoldenInput {
            name: name.clone(),
            problem: fault.to_string(),
        };
        let seen = Morphometry::of(&golden_picture(golden)?).map_err(unreadable)?;
        let got = seen.map_or(0.0, |seen| discriminant.score(&seen));
        let expected = discriminant.golden.get(at).copied().unwrap_or_default();
        if (got - expected).abs() <= SCORE_TOLERANCE {
            return Ok(());
        }
        Err(ModelError::GoldenScore { name, expected, got })
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
/// For a network that was derived from a trained one, as by quantization: its bundle then proves
/// that it serves what was measured when it was made. The trainer of a network writes what the
/// trainer computed instead.
///
/// # Errors
///
/// See [`ModelError`]; a golden input that cannot be read is named. Stored weights must have been
/// expanded.
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

/// The engine, with the last activation as a second output where the head is known.
fn compiled(
    network: &ModelProto,
    shape: [usize; 4],
    labels: usize,
    kind: EngineKind,
) -> Result<(Engine, Result<Head, NoHead>), ModelError> {
    let plain = || Engine::compile(network, shape, labels, kind);
    let head = match Head::of(network) {
        Ok(head) => head,
        Err(unknown) => return Ok((plain()?, Err(unknown))),
    };
    let (activation, bends) = (head.activation(), head.bends());
    match Engine::compile_with(network, activation, bends, shape, labels, kind) {
        Ok(engine) => Ok((engine, Ok(head))),
        // It may serve without.
        Err(error) => Ok((plain()?, Err(NoHead(error.to_string())))),
    }
}

/// A golden input's probabilities at temperature 1.
fn answer(engine: &Engine, manifest: &Manifest, golden: &Golden) -> Result<Vec<f64>, ModelError> {
    let input = golden_input(manifest, golden)?;
    Ok(softmax(&look(engine, manifest.output, &input)?.logits, 1.0))
}

fn golden_input(manifest: &Manifest, golden: &Golden) -> Result<InputTensor, ModelError> {
    let problem = |fault: Fault| ModelError::GoldenInput {
        name: golden.name.clone(),
        problem: fault.to_string(),
    };
    manifest.preprocessing.tensor(&golden_picture(golden)?).map_err(problem)
}

/// A golden input's picture.
///
/// # Errors
///
/// [`ModelError::GoldenInput`].
pub fn golden_picture(golden: &Golden) -> Result<RgbImage, ModelError> {
    let unreadable = |problem| ModelError::GoldenInput { name: golden.name.clone(), problem };
    let png = BASE64.decode(&golden.png).map_err(|error| unreadable(error.to_string()))?;
    decode(&png, &Limits::default()).map_err(|fault| unreadable(fault.to_string()))
}

/// Without what a head pools.
fn look(engine: &Engine, output: Output, input: &InputTensor) -> Result<Seen, ModelError> {
    // Below this a probability's logarithm would only say how far rounding went.
    const LEAST: f64 = 1e-12;
    let answer = engine.run(input)?;
    let outputs = answer.outputs.into_iter().map(f64::from);
    let logits = match output {
        Output::Logits => outputs.collect(),
        Output::Probabilities => outputs.map(|share| share.clamp(LEAST, 1.0).ln()).collect(),
    };
    Ok(Seen { logits, activation: answer.activation, pooled: None, bends: answer.bends })
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
