//! A file's tensors against a network's parameters, and into them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use leukd_journal::result::Digest;

use super::error::InitError;
use super::plan::{Planned, plan};
use super::tensors::{Format, LeftOut, Stored, Tensors, read};
use crate::network::Network;

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

/// So many digits of a file's SHA-256 are told of it: `run.initial_weights` of a manifest begins with them after `SHA-256 `.
pub const NAMED_DIGITS: usize = 12;

impl Comparison {
    /// Whether [`apply`] takes the file.
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

/// Holds what [`plan`](super::plan()) asks for against what the file has. Changes nothing.
#[must_use]
pub fn compare(network: &Network, tensors: &Tensors) -> Comparison {
    gather(network, tensors).0
}

/// `network` with the file's weights, and what was done.
///
/// The whole backbone is applied, or nothing. The head may be missing whole, where the file holds
/// a backbone alone; then it keeps the weights that it has.
///
/// # Errors
///
/// [`InitError::Misfit`] where a parameter finds no tensor, a tensor has another shape or numbers
/// that cannot be, or a tensor finds no parameter.
pub fn apply(network: Network, tensors: &Tensors) -> Result<(Network, Comparison), InitError> {
    let (mut comparison, mut values) = gather(&network, tensors);
    if !comparison.fits() {
        return Err(InitError::Misfit(Box::new(comparison)));
    }
    comparison.folded = tensors.origin.fold(&mut values);
    let network = network.with_parameters(|parameter| values.remove(&parameter.name()));
    Ok((network, comparison))
}

/// [`read`] and [`apply`]: `network` with the weights of `path`, and what was done.
///
/// # Errors
///
/// See [`InitError`].
pub fn start(network: Network, path: &Path) -> Result<(Network, Comparison), InitError> {
    apply(network, &read(path)?)
}

fn gather(network: &Network, tensors: &Tensors) -> (Comparison, BTreeMap<String, Vec<f32>>) {
    let mut comparison = Comparison {
        path: tensors.path.clone(),
        sha256: tensors.digest,
        format: tensors.format,
        applied: Vec::new(),
        at_random: Vec::new(),
        missing: Vec::new(),
        mismatched: Vec::new(),
        unexpected: Vec::new(),
        left_out: tensors.left_out.clone(),
        folded: Vec::new(),
        notes: tensors.notes.clone(),
    };
    let plan = plan(network, tensors.format);
    let find = |planned: &Planned| {
        let key = planned.theirs.as_deref()?;
        tensors.tensors.get_key_value(key)
    };
    // A head that is there in part is damaged; one that is not there at all is a backbone's file.
    // Our own files are always whole.
    let headless = matches!(tensors.format, Format::Keras | Format::Timm | Format::Torchvision)
        && plan.iter().all(|planned| !planned.in_head || find(planned).is_none());
    let mut values = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for planned in plan {
        let Some((key, stored)) = find(&planned) else {
            let list = if planned.in_head && headless {
                &mut comparison.at_random
            } else {
                &mut comparison.missing
            };
            let theirs = planned.theirs.filter(|_| !(planned.in_head && headless));
            list.push(Missing { ours: planned.ours, shape: planned.shape, theirs });
            continue;
        };
        taken.insert(key);
        let (theirs, their_shape) = (stored.name.clone(), stored.shape.clone());
        match take(&planned, stored) {
            Ok(restored) => {
                values.insert(planned.ours.clone(), restored);
                let Planned { ours, shape, .. } = planned;
                comparison.applied.push(Match { ours, shape, theirs, their_shape });
            }
            Err(problem) => {
                let Planned { ours, shape, .. } = planned;
                let mismatch = Mismatch { ours, shape, theirs, their_shape, problem };
                comparison.mismatched.push(mismatch);
            }
        }
    }
    for (key, stored) in &tensors.tensors {
        if !taken.contains(key) {
            let unexpected = Unexpected { name: stored.name.clone(), shape: stored.shape.clone() };
            comparison.unexpected.push(unexpected);
        }
    }
    (comparison, values)
}

/// The tensor's numbers as ours, or why not.
fn take(planned: &Planned, stored: &Stored) -> Result<Vec<f32>, String> {
    if stored.shape != planned.their_shape {
        return Err(format!("{:?} is needed there", planned.their_shape));
    }
    let values = match &stored.values {
        Ok(values) => values,
        Err(kind) => return Err(format!("numbers of type {kind}; floating point is needed")),
    };
    let count = values.len();
    if count != planned.shape.iter().product::<usize>() {
        return Err(format!("{count} numbers, which is not what its shape says"));
    }
    if let Some(place) = values.iter().position(|value| !value.is_finite()) {
        return Err(format!("number {place} is {}", values[place]));
    }
    if planned.ours.ends_with(".variance")
        && let Some(place) = values.iter().position(|value| *value < 0.0)
    {
        return Err(format!("number {place} is {}; no variance is negative", values[place]));
    }
    Ok(planned.layout.restored(values, &planned.shape))
}
