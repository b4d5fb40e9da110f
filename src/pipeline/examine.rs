//! Bytes → judgement: the stages that need neither journal nor network. The folder, the RPCs and
//! `leukd classify` all call this one function.

use std::time::Instant;

use crate::cell::{Fault, Limits, Measures, Scratch, quality};
use crate::model::serving::{Model, ModelError};
use crate::model::verdict::{Judgement, Verdict};
use crate::result::{ClassProbability, Reason, Timings};

/// What the model and the quality measures say of one picture.
#[derive(Debug, Clone)]
pub struct Examined {
    /// One entry a class, in the manifest's order.
    pub probabilities: Vec<ClassProbability>,
    /// Label, decision and reasons.
    pub judgement: Judgement,
    /// Doubts about the image that did not change the decision.
    pub quality_flags: Vec<String>,
    /// Decode, preprocess and infer; the caller fills in the rest.
    pub timings: Timings,
}

/// Why there is no judgement.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// The bytes are no usable picture.
    #[error("{0}")]
    Image(#[from] Fault),
    /// The network failed on a picture that decoded well.
    #[error("{0}")]
    Model(#[from] ModelError),
}

impl ExamineError {
    /// The same, as a reason to store.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Image(fault) => fault.reason(),
            Self::Model(error) => Reason::new("model-error", error.to_string()),
        }
    }
}

/// Decodes, assesses, preprocesses and classifies `bytes`.
///
/// # Errors
/// [`ExamineError::Image`] when the bytes are no complete picture within `limits`,
/// [`ExamineError::Model`] when the network gives no finite output.
pub fn examine(bytes: &[u8], model: &Model, limits: &Limits) -> Result<Examined, ExamineError> {
    Scratch::with(|scratch| examine_in(scratch, bytes, model, limits))
}

fn examine_in(
    scratch: &mut Scratch,
    bytes: &[u8],
    model: &Model,
    limits: &Limits,
) -> Result<Examined, ExamineError> {
    let started = Instant::now();
    let picture = scratch.decode(bytes, limits)?;
    let quality = quality::assess(&picture);
    let decoded = Instant::now();
    let tensor = scratch.tensor(&model.manifest().preprocessing, &picture)?;
    let prepared = Instant::now();
    let seen = model.look(&tensor)?;
    let inferred = Instant::now();
    let Verdict { probabilities, judgement } = model.verdict(&seen, || Measures::of(&picture));
    scratch.take_back(picture, tensor);
    Ok(Examined {
        probabilities: model
            .manifest()
            .labels
            .iter()
            .zip(probabilities)
            .map(|(label, probability)| ClassProbability { label: label.clone(), probability })
            .collect(),
        judgement,
        quality_flags: quality.flags.into_iter().map(str::to_owned).collect(),
        timings: Timings {
            decode_us: micros(started, decoded),
            preprocess_us: micros(decoded, prepared),
            infer_us: micros(prepared, inferred),
            ..Timings::default()
        },
    })
}

/// Whole microseconds from `from` to `to`.
pub(super) fn micros(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u64::MAX)
}
