//! What leukd would say of an image, without storing anything.

use super::{Pipeline, RequestError};
use crate::cell::{Limits, decode, synthetic};
use crate::model::examine::ExamineError;
use crate::model::field::{CaptureRules, ExaminedCapture, examine_capture_and};
use crate::model::pool::Lane;
use crate::model::serving::Model;
use crate::pipeline::Explained;
use crate::result::ModelRef;

/// The most cells of a field whose heat maps are drawn.
const MAX_MAPS: usize = 24;

/// What would be said of an image. Nothing of it is stored.
#[derive(Debug)]
pub struct Attempt {
    /// The cells with what the model says of each.
    pub examined: ExaminedCapture,
    /// The heat map drawn over each of the first cells, as PNG; none where there is none.
    pub maps: Vec<Option<Vec<u8>>>,
    /// The image as PNG: a browser cannot show every format that leukd reads.
    pub png: Vec<u8>,
    /// Its width and height in pixels.
    pub size: (u32, u32),
    /// The model.
    pub model: ModelRef,
}

impl Pipeline {
    /// Judges the cells of `bytes` and stores nothing.
    ///
    /// # Errors
    /// See [`RequestError`]; never `Journal`.
    pub async fn attempt(&self, bytes: Vec<u8>) -> Result<Attempt, RequestError> {
        let parts = &self.0;
        let size = bytes.len() as u64;
        if size > parts.max_request_bytes {
            return Err(RequestError::TooLarge { size, limit: parts.max_request_bytes });
        }
        let model = parts.registry.current().ok_or(RequestError::NoModel)?;
        let (limits, journal) = (parts.limits, parts.journal.clone());
        let rules = parts.rules.for_requests();
        let job = move |_: &_| {
            let _turn = journal.marks().share();
            attempt(&bytes, &model, &limits, &rules).map_err(|error| match error {
                ExamineError::Image(fault) => RequestError::Image(fault),
                ExamineError::Model(error) => RequestError::Model(error),
            })
        };
        parts.pool.run(Lane::Interactive, job).await?
    }
}

fn attempt(
    bytes: &[u8],
    model: &Model,
    limits: &Limits,
    rules: &CaptureRules,
) -> Result<Attempt, ExamineError> {
    let mut maps = Vec::new();
    let (examined, _) = examine_capture_and(bytes, model, limits, rules, |picture, seen| {
        if maps.len() < MAX_MAPS {
            let explained = Explained::of(model, picture, seen, true).ok();
            maps.push(explained.and_then(|explained| explained.overlay));
        }
    })?;
    let picture = decode(bytes, limits)?;
    let (size, png) = (picture.dimensions(), synthetic::png(&picture));
    Ok(Attempt { examined, maps, png, size, model: model.reference() })
}
