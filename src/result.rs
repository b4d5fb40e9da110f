//! What leukd says of one capture: the words that every room above shares.

use std::fmt;
use std::path::PathBuf;

pub use leukd_cell::digest::{Digest, NotADigest};
pub use leukd_cell::figures::{Distance, Figures};
pub use leukd_cell::name::CellIds;
pub use leukd_cell::words::{Decision, Reason};
pub use leukd_model::ModelRef;
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassProbability {
    /// `all` or `hem`.
    pub label: String,
    /// 0 to 1; those of one result add up to 1.
    pub probability: f64,
}

/// How long each stage took, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// From ready until a worker took it.
    pub queue_us: u64,
    /// Reading the file.
    pub read_us: u64,
    /// Bytes to pixels, with the completeness check and the quality measures.
    pub decode_us: u64,
    /// Pixels to the network's input.
    pub preprocess_us: u64,
    /// The network.
    pub infer_us: u64,
}

/// A decision that the journal has not numbered yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// A UUID (version 7).
    pub result_id: String,
    /// Where the bytes came from.
    pub source: Source,
    /// SHA-256 of the bytes; none when they could not be read.
    pub sha256: Option<Digest>,
    /// How many bytes.
    pub size_bytes: u64,
    /// What it belongs to.
    pub ids: CellIds,
    /// The likeliest class; none when rejected.
    pub label: Option<String>,
    /// One entry a class, in the manifest's order; empty when rejected.
    pub probabilities: Vec<ClassProbability>,
    /// What leukd suggests.
    pub decision: Decision,
    /// Why; never empty for `Review` and `Rejected`.
    pub reasons: Vec<Reason>,
    /// Doubts about the image that did not change the decision.
    pub quality_flags: Vec<String>,
    /// What was measured of the picture; none where it was rejected.
    pub quality: Option<Figures>,
    /// Which model; none when no model saw it.
    pub model: Option<ModelRef>,
    /// The file's modification time, or the request's arrival.
    pub captured_at: Timestamp,
    /// When the decision was reached.
    pub classified_at: Timestamp,
    /// How long each stage took.
    pub timings: Timings,
}

impl Finding {
    /// The probability of the finding's own label; none when rejected.
    #[must_use]
    pub fn label_probability(&self) -> Option<f64> {
        let label = self.label.as_deref()?;
        self.probabilities.iter().find(|class| class.label == label).map(|class| class.probability)
    }
}

/// A finding with its place in the journal: what clients see. It never changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// 1, 2, 3, … without holes.
    pub sequence: u64,
    /// The sequence of the result that this one replaces.
    pub supersedes: Option<u64>,
    /// What was found.
    pub finding: Finding,
}
