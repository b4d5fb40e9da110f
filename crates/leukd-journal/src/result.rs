//! Captures and the results of their cells: the words that every room above shares.

use std::fmt;
use std::path::PathBuf;

pub use leukd_cell::digest::{Digest, NotADigest};
pub use leukd_cell::figures::{Distance, FieldFigures, Figures, ScaleSource};
pub use leukd_cell::name::CellIds;
pub use leukd_cell::segment::{CaptureKind, Region};
pub use leukd_cell::timings::Timings;
pub use leukd_cell::words::{Decision, Label, ModelRef, Reason, ReasonCode};
use serde::{Deserialize, Serialize};

/// Stands in the CLI's help, in `GetModel`, in reports and in every export.
pub const RESEARCH_USE_ONLY: &str = "For Research Use Only. Not for use in diagnostic procedures.";

/// Milliseconds since 1970-01-01T00:00:00Z, by the workstation's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The time as RFC 3339 in UTC, for people and logs.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        jiff::Timestamp::from_millisecond(self.0)
            .map_or_else(|_| self.0.to_string(), |at| at.to_string())
    }
}

/// A file in a watched folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CapturePath {
    /// The watched folder: an absolute path.
    pub folder: String,
    /// The path below it, `/` between its parts.
    pub path: String,
}

impl CapturePath {
    /// The file's absolute path.
    #[must_use]
    pub fn absolute(&self) -> PathBuf {
        PathBuf::from(&self.folder).join(&self.path)
    }
}

impl fmt::Display for CapturePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.folder, self.path)
    }
}

/// Where the bytes came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The microscope's software wrote them.
    Folder(CapturePath),
    /// A client sent them.
    Rpc {
        /// The client's address.
        peer: String,
        /// What the client called its request; may be empty.
        request_id: String,
        /// Who called: `token:NAME`, `cert:NAME`, `uid:NUMBER`; empty where nobody knows.
        client: String,
    },
}

/// One class and its calibrated probability, 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassProbability {
    /// The class.
    pub label: Label,
    /// 0 to 1; those of one result add up to 1.
    pub probability: f64,
}

/// An image as it came: what is true of all its cells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// SHA-256 of the bytes. None: they could not be read.
    pub digest: Option<Digest>,
    /// The number of bytes.
    pub size_bytes: u64,
    /// Where the bytes came from.
    pub source: Source,
    /// The file's modification time, or the request's arrival.
    pub captured_at: Timestamp,
    /// One cell or a field of view.
    pub kind: CaptureKind,
}

impl Capture {
    /// The file in a watched folder; none for a request.
    #[must_use]
    pub const fn path(&self) -> Option<&CapturePath> {
        match &self.source {
            Source::Folder(path) => Some(path),
            Source::Rpc { .. } => None,
        }
    }
}

/// The decision on one cell, which the journal has not numbered yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// A UUID (version 7).
    pub result_id: String,
    /// The cell's number in its capture: 0, 1, 2, …
    pub ordinal: u32,
    /// The cell's place in a field of view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// The cell's outline in a field of view: the corners of a polygon, in the capture's pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outline: Option<Vec<[u32; 2]>>,
    /// What the cell belongs to.
    pub ids: CellIds,
    /// P(all), 0 to 1; none when rejected.
    pub p_all: Option<f64>,
    /// The suggestion.
    pub decision: Decision,
    /// Why; never empty for `Review` and `Rejected`.
    pub reasons: Vec<Reason>,
    /// Doubts about the image that did not change the decision.
    pub quality_flags: Vec<String>,
    /// Figures of the picture; none where it was rejected.
    pub quality: Option<Figures>,
    /// The model; none when no model saw the cell.
    pub model: Option<ModelRef>,
    /// When the decision was reached.
    pub classified_at: Timestamp,
    /// Duration of each stage.
    pub timings: Timings,
}

impl Finding {
    /// A rejection without a reason yet, of a capture's only cell: what every finding begins as.
    #[must_use]
    pub fn blank(result_id: impl Into<String>, ids: CellIds, classified_at: Timestamp) -> Self {
        Self {
            result_id: result_id.into(),
            ordinal: 0,
            region: None,
            outline: None,
            ids,
            p_all: None,
            decision: Decision::Rejected,
            reasons: Vec::new(),
            quality_flags: Vec::new(),
            quality: None,
            model: None,
            classified_at,
            timings: Timings::default(),
        }
    }

    /// Whether the capture may be none of the kind that the model was trained on: it has another
    /// reason than [`ReasonCode::LowConfidence`].
    #[must_use]
    pub fn is_doubted(&self) -> bool {
        self.reasons.iter().any(|reason| reason.code != ReasonCode::LowConfidence)
    }

    /// The likelier class, `all` where both are equally likely; none when rejected.
    #[must_use]
    pub fn label(&self) -> Option<Label> {
        self.p_all.map(Label::likelier)
    }

    /// The probability of the finding's own label; none when rejected.
    #[must_use]
    pub fn label_probability(&self) -> Option<f64> {
        self.p_all.map(|p_all| Label::likelier(p_all).probability(p_all))
    }

    /// One entry a class; empty when rejected.
    #[must_use]
    pub fn probabilities(&self) -> Vec<ClassProbability> {
        let Some(p_all) = self.p_all else { return Vec::new() };
        let class =
            |label: Label| ClassProbability { label, probability: label.probability(p_all) };
        Label::EVERY.map(class).to_vec()
    }
}

/// Counts of cells by decision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Decided as blast.
    pub all: u64,
    /// Decided as normal.
    pub hem: u64,
    /// For a person to look at.
    pub review: u64,
    /// Not classified.
    pub rejected: u64,
}

impl Tally {
    /// Cells that a model saw.
    #[must_use]
    pub const fn classified(&self) -> u64 {
        self.all + self.hem + self.review
    }

    /// Counts `cells` more of this decision.
    pub fn add(&mut self, decision: Decision, cells: u64) {
        match decision {
            Decision::All => self.all += cells,
            Decision::Hem => self.hem += cells,
            Decision::Review => self.review += cells,
            Decision::Rejected => self.rejected += cells,
        }
    }
}

/// The result of one cell with its place in the journal: what clients see. It never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// 1, 2, 3, … without holes over all events.
    #[serde(skip)]
    pub sequence: u64,
    /// The capture that this one replaces: the sequence of its result, or of the event that closes
    /// its field of view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<u64>,
    /// The sequence of the event that closes the field of view; none for a capture of one cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<u64>,
    /// The image.
    pub capture: Capture,
    /// The decision.
    pub finding: Finding,
}

impl Record {
    /// The sequence that stands for the whole capture: that of the event that closes it, or the
    /// result's own.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.field.unwrap_or(self.sequence)
    }
}

/// The end of a field of view: how many cells it gave. It follows their results, and never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Its place among all events.
    #[serde(skip)]
    pub sequence: u64,
    /// As [`Record::supersedes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<u64>,
    /// The image.
    pub capture: Capture,
    /// Its cells by decision.
    pub cells: Tally,
    /// Its scale, and what else lies in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<FieldFigures>,
    /// From ready until the last decision, in microseconds.
    pub took_us: u64,
    /// When it was stored.
    pub stored_at: Timestamp,
}
