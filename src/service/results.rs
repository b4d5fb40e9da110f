//! Results, specimens, reviews and heat maps.

use std::sync::Arc;

use super::person;
use super::{MAX_ID, MAX_PATH, Service, ServiceError};
use crate::fraction::Share;
use crate::journal::{
    ListQuery, Lookup, NewReview, ReviewPage, ReviewQuery, SpecimenCounts, SpecimenQuery, Submitted,
};
use crate::model::manifest::SCALES;
use crate::pipeline::{Classified, ClassifiedField, Explained, RequestError, RequestImage};
use crate::result::Record;
use crate::review::{MAX_NOTE, Review};
use crate::signature::SignOff;
use crate::specimen::{self, Correction, Flag, SpecimenScore};

pub use crate::review::Standing;

/// One page of results, each with its standing.
#[derive(Debug)]
pub struct Page {
    /// In the order that was asked for.
    pub results: Vec<(Arc<Record>, Standing)>,
    /// The sequence after which the next page begins; none on the last one.
    pub next: Option<u64>,
}

/// A stored review.
#[derive(Debug)]
pub struct Reviewed {
    /// The review.
    pub review: Arc<Review>,
    /// It was stored already, under the same id.
    pub is_known: bool,
}

/// What is said of a specimen, or of one slide of it.
#[derive(Debug)]
pub struct SpecimenFigures {
    /// The cells by decision and slide.
    pub counts: SpecimenCounts,
    /// The share of blasts among the decided cells; none without such.
    pub share: Option<Share>,
    /// The share corrected for the model's measured errors.
    pub correction: Correction,
    /// Both shares beside the configured fractions.
    pub flags: Vec<Flag>,
    /// What its cells say together.
    pub score: SpecimenScore,
    /// The sign-off of the whole specimen; none when all of its results are superseded.
    pub sign_off: Option<SignOff>,
}

/// Refuses a text of more than `max` bytes.
pub(super) fn at_most(max: usize, field: &'static str, text: &str) -> Result<(), ServiceError> {
    if text.len() <= max {
        return Ok(());
    }
    Err(ServiceError::field(field, format!("{} bytes are too long: at most {max}", text.len())))
}

/// Refuses an image without bytes, or with an id that is too long.
fn checked_image(image: &RequestImage, max_cell: usize) -> Result<(), ServiceError> {
    if image.bytes.is_empty() {
        return Err(ServiceError::field("image", "it has no bytes"));
    }
    at_most(MAX_ID, "specimen", &image.ids.specimen)?;
    at_most(MAX_ID, "slide", &image.ids.slide)?;
    at_most(max_cell, "cell", &image.ids.cell)?;
    at_most(MAX_ID, "request_id", &image.request_id)
}

fn checked(lookup: &Lookup) -> Result<(), ServiceError> {
    match lookup {
        Lookup::Sequence(_) => Ok(()),
        Lookup::ResultId(id) => at_most(MAX_ID, "result_id", id),
        Lookup::Path(path) => {
            at_most(MAX_PATH, "path.folder", &path.folder)?;
            at_most(MAX_PATH, "path.path", &path.path)
        }
    }
}

impl Service {
    /// One result with its standing.
    ///
    /// # Errors
    /// There is none, or the journal cannot be read.
    pub async fn result(&self, of: Lookup) -> Result<(Arc<Record>, Standing), ServiceError> {
        checked(&of)?;
        let found = self
            .read(move |journal| {
                let found = journal.get(&of)?;
                let standing = journal.standings(found.as_slice())?.pop();
                Ok(found.map(|record| (record, standing.unwrap_or(Standing::SUGGESTED))))
            })
            .await?;
        found.ok_or(ServiceError::NoResult)
    }

    /// One page of results, each with its standing.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn results(&self, query: ListQuery) -> Result<Page, ServiceError> {
        self.read(move |journal| {
            let page = journal.list(&query)?;
            let standings = journal.standings(&page.records)?;
            Ok(Page { results: page.records.into_iter().zip(standings).collect(), next: page.next })
        })
        .await
    }

    /// What is said of a specimen, or of one slide of it.
    ///
    /// # Errors
    /// No result names it, or the journal cannot be read.
    pub async fn specimen(
        &self,
        specimen: &str,
        slide: Option<&str>,
    ) -> Result<SpecimenFigures, ServiceError> {
        if specimen.is_empty() {
            return Err(ServiceError::field("specimen", "give the specimen's id"));
        }
        at_most(MAX_ID, "specimen", specimen)?;
        at_most(MAX_ID, "slide", slide.unwrap_or_default())?;
        // Once: the cells are counted at the threshold of the model whose errors they are
        // corrected for.
        let model = self.pipeline.registry().current();
        let threshold = model.as_ref().map(|model| model.manifest().calibration.threshold);
        let (specimen, slide) = (specimen.to_owned(), slide.map(str::to_owned));
        let query = SpecimenQuery { specimen, slide, threshold };
        let wanted = query.clone();
        let readers = self.limits.sign_off_readers;
        let found = self.read(move |journal| {
            let Some(counts) = journal.specimen(&wanted)? else { return Ok(None) };
            Ok(Some((counts, journal.sign_off(&wanted.specimen, readers)?)))
        });
        let Some((counts, sign_off)) = found.await? else {
            let SpecimenQuery { specimen, slide, .. } = query;
            return Err(ServiceError::NoSpecimen { specimen, slide });
        };
        let digest = model.as_ref().map(|model| model.digest().to_string()).unwrap_or_default();
        let served = model.as_ref().map(|model| model.manifest()).map(|own| specimen::Served {
            digest: &digest,
            metrics: &own.metrics,
            persons: &own.persons,
        });
        let score = SpecimenScore::of(&counts, served.as_ref());
        let correction = Correction::of(&counts, served.as_ref());
        let share = specimen::blast_fraction(&counts.tally);
        let flags = specimen::flags(&self.limits.specimen_flags, share.as_ref(), &correction);
        Ok(SpecimenFigures { counts, share, correction, flags, score, sign_off })
    }

    /// Stores a review, and keeps the image of what was reviewed where images are kept.
    ///
    /// # Errors
    /// A field does not hold what it must, there is no such result, or the journal cannot be
    /// written.
    pub async fn submit_review(&self, mut new: NewReview) -> Result<Reviewed, ServiceError> {
        match &new.of {
            Lookup::Sequence(0) => {
                return Err(ServiceError::field("of", "sequences begin at 1"));
            }
            of => checked(of)?,
        }
        new.reviewer = person::name("reviewer", &new.reviewer)?;
        at_most(MAX_NOTE, "note", &new.note)?;
        if let Some(id) = &mut new.review_id {
            let uuid = uuid::Uuid::try_parse(id)
                .map_err(|_| ServiceError::field("review_id", "this is no UUID"))?;
            // One way to write it, or the same id would be two.
            *id = uuid.hyphenated().to_string();
        }
        let (review, is_known) = match self.journal.review(new).await? {
            Submitted::Stored(review) => (review, false),
            Submitted::Known(review) => (review, true),
        };
        // Also for a known review: the client may have left before its image was kept.
        self.keep_image(review.of.sequence).await;
        if !is_known {
            let (sequence, result_id) = (review.sequence, &review.of.result_id);
            tracing::info!(
                sequence,
                result_id,
                label = %review.label,
                confirms = review.confirms,
                "review stored"
            );
        }
        Ok(Reviewed { review, is_known })
    }

    /// The image of what was reviewed, where images are kept. The review is stored whatever comes
    /// of it.
    async fn keep_image(&self, sequence: Option<u64>) {
        let Some(sequence) = sequence else { return };
        let found = self.read(move |journal| journal.get(&Lookup::Sequence(sequence))).await;
        if let Ok(Some(record)) = found {
            self.pipeline.keep_reviewed(&record).await;
        }
    }

    /// One page of reviews.
    ///
    /// # Errors
    /// A field is too long, or the journal cannot be read.
    pub async fn reviews(&self, mut query: ReviewQuery) -> Result<ReviewPage, ServiceError> {
        for (field, text) in [
            ("result_id", &query.result_id),
            ("specimen", &query.specimen),
            ("reviewer", &query.reviewer),
        ] {
            at_most(MAX_ID, field, text.as_deref().unwrap_or_default())?;
        }
        query.reviewer = query.reviewer.as_deref().map(person::one_way);
        self.read(move |journal| journal.reviews(&query)).await
    }

    /// The heat map of a result: from `image`, or from the kept image or the file. With an overlay
    /// as PNG where that is asked for.
    ///
    /// # Errors
    /// There is no such result, or no heat map of it.
    pub async fn heat_map(
        &self,
        of: Lookup,
        image: Option<Vec<u8>>,
        with_overlay: bool,
    ) -> Result<Explained, ServiceError> {
        checked(&of)?;
        let limit = self.limits.max_image_bytes;
        let size = image.as_ref().map_or(0, Vec::len) as u64;
        if size > limit {
            return Err(RequestError::TooLarge { size, limit }.into());
        }
        let found = self.read(move |journal| journal.get(&of)).await?;
        let record = found.ok_or(ServiceError::NoResult)?;
        Ok(self.pipeline.explain(record, image, with_overlay).await?)
    }

    /// Classifies one image and stores the result. `in_turn`: waits for a place instead of being
    /// turned away, for a client that flow control holds back meanwhile.
    ///
    /// # Errors
    /// An id is too long, or see [`RequestError`].
    pub async fn classify(
        &self,
        image: RequestImage,
        in_turn: bool,
    ) -> Result<Classified, ServiceError> {
        checked_image(&image, MAX_ID)?;
        Ok(if in_turn {
            self.pipeline.classify_in_turn(image).await?
        } else {
            self.pipeline.classify(image).await?
        })
    }

    /// Classifies each white cell of a field of view and stores the results.
    ///
    /// # Errors
    /// An id is too long, the scale is out of its range, or see [`RequestError`].
    pub async fn classify_field(
        &self,
        image: RequestImage,
        micrometres_per_pixel: Option<f64>,
    ) -> Result<ClassifiedField, ServiceError> {
        // A cell's id is this one, a dot and its number.
        checked_image(&image, MAX_ID - 8)?;
        if let Some(scale) = micrometres_per_pixel
            && !SCALES.contains(&scale)
        {
            let (low, high) = (SCALES.start(), SCALES.end());
            let message = format!("{scale} is no scale: {low} to {high} micrometres");
            return Err(ServiceError::field("micrometres_per_pixel", message));
        }
        Ok(self.pipeline.classify_field(image, micrometres_per_pixel).await?)
    }
}
