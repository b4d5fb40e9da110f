//! Bytes → judgement: the stages that need neither journal nor network. The folder, the RPCs and
//! `leukd classify` all call this one function.

use std::time::Instant;

use image::RgbImage;

use crate::serving::{Model, ModelError, Seen};
use crate::verdict::{Judgement, Verdict};
use leukd_cell::figures::Figures;
use leukd_cell::timings::Timings;
use leukd_cell::words::{Reason, ReasonCode};
use leukd_cell::{Fault, Limits, Scratch, decode_with, quality};

/// What the model and the quality measures say of one picture.
#[derive(Debug, Clone)]
pub struct Examined {
    /// P(all), 0 to 1.
    pub p_all: f64,
    /// Label, decision and reasons.
    pub judgement: Judgement,
    /// Doubts about the image that did not change the decision.
    pub quality_flags: Vec<String>,
    /// What was measured of the picture.
    pub quality: Figures,
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
            Self::Model(error) => Reason::new(ReasonCode::ModelError, error.to_string()),
        }
    }
}

/// Decodes, assesses, preprocesses and classifies `bytes`.
///
/// # Errors
/// [`ExamineError::Image`] when the bytes are no complete picture within `limits`,
/// [`ExamineError::Model`] when the network gives no finite output.
pub fn examine(bytes: &[u8], model: &Model, limits: &Limits) -> Result<Examined, ExamineError> {
    examine_and(bytes, model, limits, |_, _| ()).map(|(examined, ())| examined)
}

/// The same, and what `also` makes of the picture and of what the network saw in it, without
/// another run.
///
/// # Errors
/// As [`examine`].
pub fn examine_and<T>(
    bytes: &[u8],
    model: &Model,
    limits: &Limits,
    also: impl FnOnce(&RgbImage, &Seen) -> T,
) -> Result<(Examined, T), ExamineError> {
    Scratch::with(|scratch| {
        let started = Instant::now();
        let picture = decode_with(scratch, bytes, limits)?;
        let decode_us = micros(started, Instant::now());
        let (mut examined, also) = judge(scratch, picture, model, also)?;
        examined.timings.decode_us += decode_us;
        Ok((examined, also))
    })
}

/// The judgement of the one cell in `picture`, and what `also` makes of it.
pub(crate) fn judge<T>(
    scratch: &mut Scratch,
    picture: RgbImage,
    model: &Model,
    also: impl FnOnce(&RgbImage, &Seen) -> T,
) -> Result<(Examined, T), ExamineError> {
    let started = Instant::now();
    let measured = model.measure(&picture)?;
    let (width, height) = picture.dimensions();
    let flags = quality::flags(measured.measures.as_ref(), u64::from(width) * u64::from(height));
    let decoded = Instant::now();
    let tensor = model.manifest().preprocessing.tensor_with(scratch, &picture)?;
    let prepared = Instant::now();
    let seen = model.look(&tensor)?;
    let inferred = Instant::now();
    let Verdict { probabilities, judgement, figures } = model.verdict(&seen, &measured);
    let also = also(&picture, &seen);
    scratch.take_back(picture, tensor.data);
    let examined = Examined {
        p_all: model.p_all(&probabilities),
        judgement,
        quality_flags: flags.into_iter().map(str::to_owned).collect(),
        quality: figures,
        timings: Timings {
            decode_us: micros(started, decoded),
            preprocess_us: micros(decoded, prepared),
            infer_us: micros(prepared, inferred),
            ..Timings::default()
        },
    };
    Ok((examined, also))
}

/// Whole microseconds from `from` to `to`.
pub fn micros(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u64::MAX)
}
