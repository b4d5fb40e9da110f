//! Results and specimens for callers that only count.

use crate::result::{
    CapturePath, CellIds, Decision, Digest, Figures, ModelRef, Record, Region, Tally, Timestamp,
};
use crate::review::ReviewLabel;
use crate::score::Score;

/// What a look at the open specimens found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenSpecimens {
    /// Those whose newest live result is not newer than asked for; some of them, where they are
    /// many.
    pub quiet: Vec<String>,
    /// When the oldest newest result of the others was classified; none where there are no others.
    pub next: Option<Timestamp>,
    /// Every specimen has a summary up to here, but for the open ones, whose results are all newer.
    pub summarized_to: u64,
}

/// Which cells, and what is counted of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpecimenQuery {
    /// Exact. Results that name no specimen belong to the one with the empty name.
    pub specimen: String,
    /// Only this slide, exact; the empty name for cells of no slide. None: all of them.
    pub slide: Option<String>,
    /// Count the cells whose P(all) is at or above it, 0 to 1. None: count none.
    pub threshold: Option<f64>,
}

/// The live results of one slide.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlideCounts {
    /// Its name; empty for cells of no slide.
    pub slide: String,
    /// Its cells.
    pub tally: Tally,
}

/// The live results of one specimen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpecimenCounts {
    /// All of them.
    pub tally: Tally,
    /// In order of their first live result; at most [`MAX_SLIDES`](super::MAX_SLIDES).
    pub slides: Vec<SlideCounts>,
    /// Classified cells whose P(all) is at or above the threshold, whatever was decided.
    pub at_or_above: u64,
    /// Those of the classified cells that come from fields of view.
    pub from_fields: u64,
    /// What the cells say together; none where too few are like the model's training cells. Cells
    /// from fields of view are not in it.
    pub score: Option<Score>,
    /// Digests of the models that classified them; at most 2.
    pub models: Vec<String>,
    /// The earliest of `classified_at`; none when all results are superseded.
    pub first_classified_at: Option<Timestamp>,
    /// The latest of `classified_at`.
    pub last_classified_at: Option<Timestamp>,
    /// Everything up to this sequence is counted, and nothing after it.
    pub as_of_sequence: u64,
}

/// What counts of one result.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// Its place in the journal.
    pub sequence: u64,
    /// When it was classified.
    pub classified_at: Timestamp,
    /// What was suggested.
    pub decision: Decision,
    /// The codes of its reasons.
    pub codes: Vec<String>,
    /// P(all), 0 to 1; none when rejected.
    pub all: Option<f64>,
    /// What was measured of the picture.
    pub quality: Option<Figures>,
    /// Which model; none when no model saw it.
    pub model: Option<ModelRef>,
}

/// What counts of one review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    /// Its place in the journal.
    pub sequence: u64,
    /// Whether it agrees with what leukd suggested.
    pub confirms: bool,
    /// Whether the review before it, of the same result, did; none where there is none.
    pub before: Option<bool>,
    /// When its result was classified.
    pub classified_at: Timestamp,
    /// Its result's model.
    pub model: Option<ModelRef>,
}

/// Place of a cell in a field of view.
#[derive(Debug, Clone, PartialEq)]
pub struct CellPlace {
    /// The cell's number in its field.
    pub ordinal: u32,
    /// The smallest box around it, in the capture's pixels.
    pub region: Region,
    /// Corners of its outline, in the capture's pixels.
    pub outline: Vec<[u32; 2]>,
    /// Micrometres that one of the capture's pixels spans.
    pub micrometres_per_pixel: f64,
}

/// A result with what its latest review says.
#[derive(Debug, Clone, PartialEq)]
pub struct ReviewedCell {
    /// The result's place in the journal.
    pub sequence: u64,
    /// SHA-256 of the capture's bytes. None: they could not be read when it was rejected.
    pub digest: Option<Digest>,
    /// The file that the result was made from; none for a request.
    pub path: Option<CapturePath>,
    /// True for a cell of a field of view.
    pub is_of_field: bool,
    /// The cell's place in its field of view; none for a capture of one cell, and where retention
    /// removed the field's event.
    pub place: Option<CellPlace>,
    /// What the capture belongs to.
    pub ids: CellIds,
    /// What the latest review says.
    pub label: ReviewLabel,
    /// Who says it.
    pub reviewer: String,
}

impl From<Record> for Outline {
    fn from(record: Record) -> Self {
        let finding = record.finding;
        Self {
            sequence: record.sequence,
            classified_at: finding.classified_at,
            decision: finding.decision,
            codes: finding
                .reasons
                .into_iter()
                .map(|reason| reason.code.as_str().to_owned())
                .collect(),
            all: finding.p_all,
            quality: finding.quality,
            model: finding.model,
        }
    }
}
