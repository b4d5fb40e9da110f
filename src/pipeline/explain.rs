//! Where in the picture a stored result came from: the picture once more through the model that
//! gave it.

use std::io;
use std::sync::Arc;

use image::RgbImage;

use super::Pipeline;
use crate::cell::{Fault, Limits, decode, overlay, synthetic};
use crate::journal::JournalError;
use crate::model::field::cell_picture;
use crate::model::head::NoHead;
use crate::model::heatmap::HeatMap;
use crate::model::pool::{Lane, PoolError};
use crate::model::serving::{Model, ModelError, Seen};
use crate::result::{CapturePath, Digest, ModelRef, Record, Source};

/// A heat map with the picture that it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// The map.
    pub map: HeatMap,
    /// The model that it explains.
    pub model: ModelRef,
    /// The picture's width in pixels.
    pub width: u32,
    /// The picture's height in pixels.
    pub height: u32,
    /// The map drawn over the picture, as PNG, where that was asked for.
    pub overlay: Option<Vec<u8>>,
}

/// Why there is no heat map.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// No model has judged the capture.
    #[error("result {0} was rejected: no model has judged it")]
    Rejected(u64),
    /// Another model than the one in service gave the result.
    #[error(
        "result {sequence} was given by the model {given}, and {serving} is in service: a map of another model would \
         not explain it"
    )]
    OtherModel {
        /// The result.
        sequence: u64,
        /// What it was given by, as `id (digest)`.
        given: String,
        /// What is in service, likewise.
        serving: String,
    },
    /// A request brought the image, and it was not kept.
    #[error("result {0} came with a request, and its image was not kept: send the image again")]
    NotKept(u64),
    /// The file cannot be read any more.
    #[error("the capture cannot be read again ({0}): send the image itself")]
    Gone(String),
    /// Other bytes than those that the result is of.
    #[error("{0} holds other bytes than those that the result is of")]
    OtherBytes(String),
    /// The network's head is none that leukd knows.
    #[error("of this model no map can be made: {0}")]
    NoHead(#[from] NoHead),
    /// The bytes are no usable picture.
    #[error("{0}")]
    Image(#[from] Fault),
    /// The segmentation of today finds no such cell in the field of view.
    #[error("result {0} is of a cell that this leukd outlines otherwise: leukd has changed since")]
    OtherCell(u64),
    /// No model is in service.
    #[error("no model is in service; GetStatus tells why")]
    NoModel,
    /// The network failed.
    #[error("{0}")]
    Model(#[from] ModelError),
    /// The journal cannot be read.
    #[error("{0}")]
    Journal(#[from] JournalError),
    /// The workers did not take it, or one failed on it.
    #[error("{0}")]
    Pool(#[from] PoolError),
}

impl Pipeline {
    /// The heat map of a stored result: from `image`, or else from the file that it was made from.
    /// The bytes must be those that the result is of, and the model the one that gave it.
    ///
    /// # Errors
    /// See [`ExplainError`].
    pub async fn explain(
        &self,
        record: Arc<Record>,
        image: Option<Vec<u8>>,
        with_overlay: bool,
    ) -> Result<Explained, ExplainError> {
        let parts = &self.0;
        let sequence = record.sequence;
        let Some(given) = &record.finding.model else {
            return Err(ExplainError::Rejected(sequence));
        };
        let model = parts.registry.current().ok_or(ExplainError::NoModel)?;
        let serving = model.reference();
        if *given != serving {
            let shown = |model: &ModelRef| format!("{} ({:.12})", model.id, model.digest);
            let (given, serving) = (shown(given), shown(&serving));
            return Err(ExplainError::OtherModel { sequence, given, serving });
        }
        // Before a worker takes it: reading may hang.
        let (bytes, name) = match image {
            Some(image) => (image, "the image".to_owned()),
            None => self.bytes_of(&record).await?,
        };
        let (journal, limits) = (parts.journal.clone(), parts.limits);
        let explain = move |_: &_| {
            if Some(Digest::of(&bytes)) != record.capture.digest {
                return Err(ExplainError::OtherBytes(name));
            }
            let _turn = journal.marks().share();
            let Some(region) = record.finding.region else {
                return explain(&bytes, &model, &limits, with_overlay);
            };
            let picture = decode(&bytes, &limits)?;
            let ordinal = record.finding.ordinal;
            let field = journal.field_of(&record)?.and_then(|field| field.figures);
            let scale = field.ok_or(ExplainError::OtherCell(sequence))?.micrometres_per_pixel;
            let cell = cell_picture(&picture, &model, scale, ordinal, region)
                .ok_or(ExplainError::OtherCell(sequence))?;
            explain_picture(&cell, &model, with_overlay)
        };
        parts.pool.run(Lane::Interactive, explain).await?
    }

    /// The kept image of a result, or else its file; and what it is called.
    pub(super) async fn bytes_of(
        &self,
        record: &Record,
    ) -> Result<(Vec<u8>, String), ExplainError> {
        let gone = |error: io::Error| ExplainError::Gone(error.to_string());
        if let Some(digest) = record.capture.digest {
            let pipeline = self.clone();
            let kept = tokio::task::spawn_blocking(move || pipeline.images().get(&digest)).await;
            if let Some(kept) = kept.map_err(io::Error::other).map_err(gone)? {
                return Ok((kept, "the kept image".to_owned()));
            }
        }
        match &record.capture.source {
            Source::Folder(path) => self.file_of(record, path).await.map_err(gone),
            _ => Err(ExplainError::NotKept(record.sequence)),
        }
    }

    /// The bytes of the file at `path` that `record` was made from, and its name; where the file
    /// was renamed since, those under the name that the ledger has. Other bytes where no name leads
    /// to its own.
    pub(super) async fn file_of(
        &self,
        record: &Record,
        path: &CapturePath,
    ) -> io::Result<(Vec<u8>, String)> {
        let first = self.0.again.read(path, &self.0.limits).await;
        let is_it = |bytes: &Vec<u8>| Some(Digest::of(bytes)) == record.capture.digest;
        let is_elsewhere = match &first {
            Ok(bytes) => !is_it(bytes),
            // A folder that does not answer would not answer for another name either.
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if is_elsewhere {
            let (journal, sequence) = (self.0.journal.clone(), record.head());
            let names = tokio::task::spawn_blocking(move || journal.files_of(sequence)).await;
            let names = names.map_err(io::Error::other)?.map_err(io::Error::other)?;
            for name in names.iter().filter(|name| *name != path) {
                let read = self.0.again.read(name, &self.0.limits).await;
                if let Some(bytes) = read.ok().filter(is_it) {
                    return Ok((bytes, name.to_string()));
                }
            }
        }
        Ok((first?, path.to_string()))
    }
}

/// The heat map of a picture, without a journal.
///
/// # Errors
/// [`ExplainError::Image`], [`ExplainError::Model`] and [`ExplainError::NoHead`].
pub fn explain(
    bytes: &[u8],
    model: &Model,
    limits: &Limits,
    with_overlay: bool,
) -> Result<Explained, ExplainError> {
    explain_picture(&decode(bytes, limits)?, model, with_overlay)
}

fn explain_picture(
    picture: &RgbImage,
    model: &Model,
    with_overlay: bool,
) -> Result<Explained, ExplainError> {
    let input = model.manifest().preprocessing.tensor(picture)?;
    let seen = model.look(&input)?;
    Ok(Explained::of(model, picture, &seen, with_overlay)?)
}

impl Explained {
    /// The heat map of what `model` has just seen in `picture`.
    ///
    /// # Errors
    /// [`NoHead`] where the network's head is none that leukd knows.
    pub fn of(
        model: &Model,
        picture: &RgbImage,
        seen: &Seen,
        with_overlay: bool,
    ) -> Result<Self, NoHead> {
        let (width, height) = picture.dimensions();
        let map = HeatMap::of(model, seen, picture)?;
        let overlay = with_overlay.then(|| {
            let drawn =
                overlay::overlay(picture, &map.contributions, map.rows, map.columns, map.placement);
            synthetic::png(&drawn)
        });
        Ok(Self { map, model: model.reference(), width, height, overlay })
    }
}
