//! What leukd says of one capture: the words that every room above shares.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::cell::Measures;

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

/// SHA-256 of a capture's or a bundle's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every result that is sent carries one: written at once rather than by 32 formatted numbers.
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// A text that is no SHA-256 digest.
#[derive(Debug, thiserror::Error)]
#[error("a SHA-256 digest is 64 hexadecimal digits")]
pub struct NotADigest;

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotADigest);
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte =
                u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| NotADigest)?;
        }
        Ok(Self(bytes))
    }
}

/// What leukd suggests for one capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Looks like a leukemic blast.
    All,
    /// Looks like a normal B-lymphoid precursor.
    Hem,
    /// The model is not sure enough: a person should look.
    Review,
    /// Could not be classified.
    Rejected,
}

impl Decision {
    /// Every decision, in the order of the contract.
    pub const EVERY: [Self; 4] = [Self::All, Self::Hem, Self::Review, Self::Rejected];

    /// The word that the journal, the CLI and the logs use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Hem => "hem",
            Self::Review => "review",
            Self::Rejected => "rejected",
        }
    }
}

impl FromStr for Decision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::EVERY
            .into_iter()
            .find(|decision| decision.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no decision: all, hem, review or rejected"))
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a result is what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// A stable word to match on, in kebab case: `truncated`, `too-large`, …
    pub code: String,
    /// One sentence for a person.
    pub message: String,
}

impl Reason {
    /// A reason from its code and sentence.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
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

/// What the capture belongs to; each part may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CellIds {
    /// The patient's specimen.
    pub specimen: String,
    /// The slide, or the image that the cell was cut from.
    pub slide: String,
    /// The cell within the slide.
    pub cell: String,
}

/// One class and its calibrated probability, 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassProbability {
    /// `all` or `hem`.
    pub label: String,
    /// 0 to 1; those of one result add up to 1.
    pub probability: f64,
}

/// Which model said it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelRef {
    /// The manifest's name for it.
    pub id: String,
    /// SHA-256 of the bundle, in hexadecimal.
    pub digest: String,
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

/// What was measured of a picture. It says how the picture is, not what it shows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// The picture's own figures; none where nothing in it is foreground.
    pub measures: Option<Measures>,
    /// How far the network's features lie from the training cells'; none where the model's bundle says nothing of those, or
    /// nothing in the picture is foreground.
    pub distance: Option<Distance>,
}

/// How far a capture lies from the cells that its model was trained on, to the network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distance {
    /// Near 1 for a cell of theirs; 0 and above.
    pub distance: f64,
    /// The model's limit, above 0: a capture further away is doubted.
    pub limit: f64,
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
    /// What was measured of the picture; none where it was rejected, and of results from before it was kept.
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
