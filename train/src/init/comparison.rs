//! A file's tensors held against the parameters of a network.

use std::fmt::Write;
use std::path::PathBuf;

use leukd_journal::result::Digest;

use super::tensors::{Format, LeftOut};

/// A parameter that a tensor fits.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Match {
    /// Our parameter.
    pub ours: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The file's name of the tensor.
    pub theirs: String,
    /// Its shape in the file.
    pub their_shape: Vec<usize>,
}

/// A parameter that the file has nothing for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Missing {
    /// Our parameter.
    pub ours: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The name that was looked for; none where the format has no such layer.
    pub theirs: Option<String>,
}

/// A tensor that stands where it should and cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Mismatch {
    /// Our parameter.
    pub ours: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The file's name of the tensor.
    pub theirs: String,
    /// Its shape in the file.
    pub their_shape: Vec<usize>,
    /// What is wrong with it.
    pub problem: String,
}

/// A tensor of the file that no parameter takes and that is none of those left out on purpose.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Unexpected {
    /// The name that the file itself gives it.
    pub name: String,
    /// As the file has it.
    pub shape: Vec<usize>,
}

/// What a file brings to a network. It serializes to JSON.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Comparison {
    /// The file, or the run's folder.
    pub path: PathBuf,
    /// Of the file's bytes.
    #[serde(serialize_with = "in_hexadecimal")]
    pub sha256: Digest,
    /// Whose names and layout it has.
    pub format: Format,
    /// What is taken over.
    pub applied: Vec<Match>,
    /// The head's parameters that begin at random, because the file has no head of this kind.
    pub at_random: Vec<Missing>,
    /// What must be there and is not.
    pub missing: Vec<Missing>,
    /// What is there and cannot be taken.
    pub mismatched: Vec<Mismatch>,
    /// What nobody knows a place for.
    pub unexpected: Vec<Unexpected>,
    /// What is there and rightly needs no place.
    pub left_out: Vec<LeftOut>,
    /// What was changed so that our network computes the same as the other one.
    pub folded: Vec<String>,
    /// What had to be assumed, and what stays different.
    pub notes: Vec<String>,
}

fn in_hexadecimal<S: serde::Serializer>(digest: &Digest, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(digest)
}

/// How many of a kind a message names.
const NAMED: usize = 6;

/// So many digits of a file's SHA-256 are told of it: `run.initial_weights` of a manifest begins
/// with them after `SHA-256 `.
pub const NAMED_DIGITS: usize = 12;

impl Comparison {
    /// Whether [`apply`](super::apply()) takes the file.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.missing.is_empty() && self.mismatched.is_empty() && self.unexpected.is_empty()
    }

    /// One line for a log, a run's state or a model card.
    #[must_use]
    pub fn summary(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy();
        let hash = self.sha256.to_string();
        let short = hash.get(..NAMED_DIGITS).unwrap_or(&hash);
        let head = if self.at_random.is_empty() { "" } else { ", the head at random" };
        let of = self.applied.len() + self.at_random.len() + self.missing.len();
        let of = of + self.mismatched.len();
        format!(
            "{} weights of {name} (SHA-256 {short}…): {} of {of} tensors{head}",
            self.format,
            self.applied.len()
        )
    }

    /// Why [`apply`] refuses the file.
    pub(super) fn refusal(&self) -> String {
        let mut text = format!("{}: {} weights that do not fit:", self.path.display(), self.format);
        let mut part = |head: String, lines: Vec<String>| {
            if lines.is_empty() {
                return;
            }
            // Writing into a String does not fail.
            let _ = write!(text, "\n  {} {head}", lines.len());
            for line in lines.iter().take(NAMED) {
                let _ = write!(text, "\n    {line}");
            }
            if lines.len() > NAMED {
                let _ = write!(text, "\n    … and {} more", lines.len() - NAMED);
            }
        };
        let missing = |missing: &Missing| {
            let theirs = missing.theirs.as_deref().unwrap_or("-");
            format!("{theirs} for our {} {:?}", missing.ours, missing.shape)
        };
        part("missing in the file:".to_owned(), self.missing.iter().map(missing).collect());
        let mismatched = |wrong: &Mismatch| {
            let Mismatch { ours, shape, theirs, their_shape, problem } = wrong;
            format!("{theirs} {their_shape:?} for our {ours} {shape:?}: {problem}")
        };
        let lines = self.mismatched.iter().map(mismatched).collect();
        part("that cannot be taken:".to_owned(), lines);
        let unexpected = |found: &Unexpected| format!("{} {:?}", found.name, found.shape);
        let lines = self.unexpected.iter().map(unexpected).collect();
        part("that no layer of ours takes:".to_owned(), lines);
        let advice = "\n  Nothing was applied. Give the weights of an EfficientNet-B3 of the \
                      network's own width and depth, saved whole; `leukd-train weights FILE \
                      --list` shows every tensor.";
        text + advice
    }
}
