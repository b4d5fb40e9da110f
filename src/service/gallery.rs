//! What a person looks through: specimens, galleries, whole fields, pictures.

use std::sync::Arc;

use super::{Page, Service, ServiceError, SpecimenFigures, Standing};
use crate::journal::gallery::{GalleryQuery, SpecimenLine};
use crate::journal::types::Stored;
use crate::journal::{ListQuery, Lookup};
use crate::pipeline::{Attempt, Cut, Picture};
use crate::result::{FieldFigures, Record};

/// A specimen of a listing with its figures.
#[derive(Debug)]
pub struct ListedSpecimen {
    /// Its name, and how many of its cells wait for a person.
    pub line: SpecimenLine,
    /// Its figures; none for cells that name no specimen.
    pub figures: Option<SpecimenFigures>,
}

/// A page of a gallery.
#[derive(Debug)]
pub struct Gallery {
    /// Cells, each with its standing.
    pub cells: Vec<(Arc<Record>, Standing)>,
    /// How many there are on all pages.
    pub total: u64,
}

/// A capture with its cells.
#[derive(Debug)]
pub struct StoredCapture {
    /// The capture.
    pub stored: Stored,
    /// How each of its cells stands, in their order.
    pub standings: Vec<Standing>,
}

impl Service {
    /// Specimens, that with the newest result first.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn specimens(
        &self,
        offset: u64,
        most: usize,
    ) -> Result<Vec<ListedSpecimen>, ServiceError> {
        let lines = self.read(move |journal| journal.specimens(offset, most)).await?;
        let mut listed = Vec::with_capacity(lines.len());
        for line in lines {
            let figures = if line.specimen.is_empty() {
                None
            } else {
                // Retention may have removed it since.
                self.specimen(&line.specimen, None).await.ok()
            };
            listed.push(ListedSpecimen { line, figures });
        }
        Ok(listed)
    }

    /// Live cells in the order that was asked for.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn gallery(&self, query: GalleryQuery) -> Result<Gallery, ServiceError> {
        self.read(move |journal| {
            let page = journal.gallery(&query)?;
            let standings = journal.standings(&page.records)?;
            let cells = page.records.into_iter().zip(standings).collect();
            Ok(Gallery { cells, total: page.total })
        })
        .await
    }

    /// The newest results, each with its standing.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn newest(&self, limit: usize) -> Result<Page, ServiceError> {
        let query = ListQuery { limit, newest_first: true, ..ListQuery::default() };
        self.results(query).await
    }

    /// The capture that a result belongs to, with all its cells.
    ///
    /// # Errors
    /// There is no such result, or the journal cannot be read.
    pub async fn capture(&self, of: Lookup) -> Result<StoredCapture, ServiceError> {
        let found = self
            .read(move |journal| {
                let head = match (&of, journal.get(&of)?) {
                    (_, Some(record)) => record.head(),
                    // The end of a field is no result, and names the field as well.
                    (Lookup::Sequence(sequence), None) => *sequence,
                    _ => return Ok(None),
                };
                let Some(stored) = journal.capture(head)? else { return Ok(None) };
                let standings = journal.standings(&stored.records)?;
                Ok(Some(StoredCapture { stored, standings }))
            })
            .await?;
        found.ok_or(ServiceError::NoResult)
    }

    /// The scale of the field of view that a result is of; none for a capture of one cell.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn field_figures(
        &self,
        record: Arc<Record>,
    ) -> Result<Option<FieldFigures>, ServiceError> {
        let field = self.read(move |journal| journal.field_of(&record)).await?;
        Ok(field.and_then(|field| field.figures))
    }

    /// The picture of a result.
    ///
    /// # Errors
    /// There is no such result, or its picture cannot be read.
    pub async fn picture(&self, record: Arc<Record>, cut: Cut) -> Result<Picture, ServiceError> {
        Ok(self.pipeline.picture(record, cut).await?)
    }

    /// What leukd would say of an image. Nothing of it is stored.
    ///
    /// # Errors
    /// See [`RequestError`](crate::pipeline::RequestError).
    pub async fn attempt(&self, image: Vec<u8>) -> Result<Attempt, ServiceError> {
        if image.is_empty() {
            return Err(ServiceError::field("image", "it has no bytes"));
        }
        Ok(self.pipeline.attempt(image).await?)
    }
}
