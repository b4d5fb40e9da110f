//! What leaves leukd for people: a specimen's cells page by page, its report, its readers.

use std::sync::Arc;

use super::results::at_most;
use super::{Gallery, MAX_ID, Page, Service, ServiceError, SpecimenFigures, Standing};
use crate::journal::ListQuery;
use crate::journal::agreement::ReaderCount;
use crate::journal::filter::{Criteria, Filter};
use crate::journal::gallery::{GalleryQuery, Order};
use crate::result::{Decision, Record, Timestamp};

/// Cells under review that a report pictures; it says how many more there are.
pub const MAX_REPORTED: usize = 200;

/// Cells of the highest P(all) that a report pictures.
pub const LIKELIEST: usize = 24;

/// Readers that a report or a count by day names.
pub const MAX_READERS: usize = 500;

/// Cells of one page of an export.
const CELLS: usize = 500;

/// A specimen's cells on their way out: a cursor, so that memory holds one page.
#[derive(Debug, Clone)]
pub struct CellCursor {
    filter: Filter,
    after: Option<u64>,
    /// Later results are of no concern, so that the export ends.
    pub as_of: u64,
    has_ended: bool,
}

/// What a report of one specimen says.
#[derive(Debug)]
pub struct Report {
    /// Counts, fractions, flags.
    pub figures: SpecimenFigures,
    /// Cells under review.
    pub to_review: Gallery,
    /// Cells of the highest P(all).
    pub likeliest: Gallery,
    /// Readers with their first answers.
    pub readers: Vec<ReaderCount>,
    /// When it was made.
    pub made_at: Timestamp,
}

impl Service {
    /// Begins an export of a specimen's live cells.
    ///
    /// # Errors
    /// No result names the specimen, or the journal cannot be read.
    pub async fn export(&self, specimen: &str) -> Result<CellCursor, ServiceError> {
        let figures = self.specimen(specimen, None).await?;
        let as_of = figures.counts.as_of_sequence;
        Ok(CellCursor { filter: of(specimen, &[])?, after: None, as_of, has_ended: false })
    }

    /// The next cells of an export, in the order of their sequences; none at its end.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn export_next(
        &self,
        cursor: &mut CellCursor,
    ) -> Result<Option<Vec<(Arc<Record>, Standing)>>, ServiceError> {
        if cursor.has_ended {
            return Ok(None);
        }
        let query = ListQuery {
            filter: cursor.filter.clone(),
            live_as_of: Some(cursor.as_of),
            after: cursor.after,
            limit: CELLS,
            ..ListQuery::default()
        };
        let Page { mut results, next } = self.results(query).await?;
        cursor.after = next;
        cursor.has_ended = next.is_none_or(|next| next >= cursor.as_of);
        results.retain(|(record, _)| record.sequence <= cursor.as_of);
        Ok(Some(results))
    }

    /// The report of a specimen.
    ///
    /// # Errors
    /// No result names the specimen, or the journal cannot be read.
    pub async fn report(&self, specimen: &str) -> Result<Report, ServiceError> {
        let figures = self.specimen(specimen, None).await?;
        let under_review = GalleryQuery {
            filter: of(specimen, &[Decision::Review])?,
            order: Order::LikeliestFirst,
            limit: MAX_REPORTED,
            ..GalleryQuery::default()
        };
        let likeliest = GalleryQuery {
            // A rejected cell has no P(all).
            filter: of(specimen, &[Decision::All, Decision::Hem, Decision::Review])?,
            order: Order::LikeliestFirst,
            limit: LIKELIEST,
            ..GalleryQuery::default()
        };
        let name = specimen.to_owned();
        Ok(Report {
            figures,
            to_review: self.gallery(under_review).await?,
            likeliest: self.gallery(likeliest).await?,
            readers: self.read(move |journal| journal.readers_of(&name, MAX_READERS)).await?,
            made_at: self.clock.wall(),
        })
    }

    /// Readers by day (UTC) with their first answers, the newest day first.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn readers_by_day(&self) -> Result<Vec<ReaderCount>, ServiceError> {
        self.read(|journal| journal.readers_by_day(MAX_READERS)).await
    }
}

fn of(specimen: &str, decisions: &[Decision]) -> Result<Filter, ServiceError> {
    at_most(MAX_ID, "specimen", specimen)?;
    let (specimen, decisions) = (specimen.to_owned(), decisions.to_vec());
    Ok(Filter::new(Criteria { specimen, decisions, ..Criteria::default() })?)
}
