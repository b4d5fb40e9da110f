//! The sides of a split, and what is said of them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use leukd_journal::result::Digest;
use serde::{Deserialize, Serialize};

use super::{Cell, Dataset, DatasetError, LABELS, listed};

/// What a split keeps apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Images: cells of one subject may stand on every side, as in the seed.
    Image,
    /// Subjects: nobody's cells are fitted on and measured on.
    Subject,
    /// Nothing: there is no test side, and the validation cells are the training subjects'. Nothing
    /// that such a run measures says anything about new cells.
    Everything,
}

impl Protocol {
    /// The word that files and flags use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Subject => "subject",
            Self::Everything => "everything",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How the validation side is kept apart from the training side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValidationBy {
    /// Other subjects than the training side's.
    Subject,
    /// Other cells of the training side's subjects: figures on them are optimistic. They steer the
    /// training and calibrate, no more.
    Image,
}

/// A side of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// To fit on.
    Training,
    /// To steer the training by and to calibrate on.
    Validation,
    /// To measure on, once.
    Test,
}

impl Side {
    /// Every side, in the order of a split's CSV.
    pub const EVERY: [Self; 3] = [Self::Training, Self::Validation, Self::Test];

    /// The word that files and flags use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Side {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::EVERY
            .into_iter()
            .find(|side| side.as_str() == text)
            .ok_or_else(|| format!("the side {text:?} is none of training, validation and test"))
    }
}

/// Sets of cells that share no image and, by subject, no subject.
#[derive(Debug, Clone)]
pub struct Split {
    /// What is kept apart between the test side and the others; where there is no test side,
    /// between training and validation.
    pub protocol: Protocol,
    /// What is kept apart between training and validation.
    pub validation_by: ValidationBy,
    /// Who decided the sides, in words: `fold 1 of 3, split seed 123`.
    pub origin: String,
    /// The folder or the CSV that the cells were read from.
    pub source: PathBuf,
    /// To fit on.
    pub training: Vec<Cell>,
    /// To steer the training by and to calibrate on.
    pub validation: Vec<Cell>,
    /// To measure on, once; empty where there is no such side.
    pub test: Vec<Cell>,
    /// SHA-256 of the file with a teacher's targets for the training side: [`Split::teach`].
    pub teacher: Option<Digest>,
    /// How many byte-identical copies were left out.
    pub twins: usize,
    /// How many other cells stand on no side: those that a given split does not name.
    pub left_out: usize,
}

impl Split {
    /// SHA-256 over the sorted `label digest` lines of every cell, whichever side it stands on: the
    /// same for every split of the same pictures with the same labels.
    #[must_use]
    pub fn cells_digest(&self) -> Digest {
        let sides = Side::EVERY.into_iter().flat_map(|side| self.side(side));
        of_lines(sides.map(|cell| format!("{} {}\n", LABELS[cell.label], cell.digest)).collect())
    }

    /// SHA-256 over the sorted `side label subject digest` lines of every cell: two splits with the
    /// same one part the same pictures with the same labels in the same way.
    #[must_use]
    pub fn sides_digest(&self) -> Digest {
        let lines = Side::EVERY
            .into_iter()
            .flat_map(|side| {
                self.side(side).iter().map(move |cell| {
                    let (label, subject) = (LABELS[cell.label], &cell.subject);
                    format!("{side} {label} {subject} {}\n", cell.digest)
                })
            })
            .collect();
        of_lines(lines)
    }

    /// Every cell on the test side, byte-identical copies once: for a model that was made
    /// elsewhere.
    #[must_use]
    pub fn all_tested(dataset: Dataset) -> Self {
        let total = dataset.cells.len();
        let mut seen = HashSet::new();
        let cells: Vec<Cell> =
            dataset.cells.into_iter().filter(|cell| seen.insert(cell.digest)).collect();
        let twins = total - cells.len();
        let mut split = Self::of(Vec::new(), Vec::new(), cells);
        split.origin = "every cell".to_owned();
        split.source = dataset.source;
        split.twins = twins;
        split
    }

    /// What keeps the cells of `side` apart from those that are fitted on.
    #[must_use]
    pub fn protocol_of(&self, side: Side) -> Protocol {
        match (side, self.validation_by) {
            (Side::Validation | Side::Training, ValidationBy::Image) => Protocol::Image,
            _ => self.protocol,
        }
    }

    /// A split of these sides, its protocol and `validation_by` being what they are: by subject
    /// where every subject is known and none is on two of the sides that this is about.
    ///
    /// The caller sees to it that no picture comes twice; [`super::Dataset::split`] does.
    #[must_use]
    pub fn of(training: Vec<Cell>, validation: Vec<Cell>, test: Vec<Cell>) -> Self {
        let of = |cells: &[Cell]| -> HashSet<String> {
            cells.iter().map(|cell| cell.subject.clone()).collect()
        };
        let (fitted, validated, tested) = (of(&training), of(&validation), of(&test));
        let apart = |a: &HashSet<String>, b: &HashSet<String>| {
            a.is_disjoint(b) && !a.contains("") && !b.contains("")
        };
        let steered = apart(&fitted, &validated);
        let protocol = match test.is_empty() {
            true if steered => Protocol::Subject,
            true => Protocol::Everything,
            false if apart(&tested, &fitted) && apart(&tested, &validated) => Protocol::Subject,
            false => Protocol::Image,
        };
        Self {
            protocol,
            validation_by: if steered { ValidationBy::Subject } else { ValidationBy::Image },
            origin: "given sides".to_owned(),
            source: PathBuf::new(),
            training,
            validation,
            test,
            teacher: None,
            twins: 0,
            left_out: 0,
        }
    }

    /// The cells of one side.
    #[must_use]
    pub fn side(&self, side: Side) -> &[Cell] {
        match side {
            Side::Training => &self.training,
            Side::Validation => &self.validation,
            Side::Test => &self.test,
        }
    }

    /// SHA-256 over the sorted `digest  name` lines of every training image.
    #[must_use]
    pub fn training_digest(&self) -> Digest {
        let cells = self.training.iter();
        of_lines(cells.map(|cell| format!("{}  {}\n", cell.digest, cell.name)).collect())
    }

    /// The split in words: what it keeps apart, who decided it, and for every side which subjects
    /// stand on it with how many cells of which class; by image only the classes, for every subject
    /// stands everywhere.
    #[must_use]
    pub fn in_words(&self) -> String {
        let Self { origin, twins, left_out, .. } = self;
        let protocol = match self.protocol {
            Protocol::Subject => "By subject",
            Protocol::Image => {
                "By image: cells of one subject may stand on several sides, so the figures say \
                 nothing about new subjects"
            }
            Protocol::Everything => {
                "On everything: there is no test side, so nothing that this run measures says anything \
                 about new cells"
            }
        };
        let validation = match (self.validation_by, self.protocol) {
            (_, Protocol::Everything) => {
                ": other cells of the training side's subjects, which draw the learning curve; where \
                 the last epoch is kept (choice.keep = \"last\") they choose no weights"
            }
            (ValidationBy::Image, Protocol::Subject) => {
                ": other cells of the training side's subjects, so these figures are optimistic; \
                 they only steer and calibrate"
            }
            _ => "",
        };
        let mut words = format!(
            "{protocol} ({origin}). Trained on {}. Validated on {}{validation}.",
            self.counted(Side::Training),
            self.counted(Side::Validation)
        );
        if self.test.is_empty() {
            words += " No test side.";
        } else {
            words += &format!(" Tested on {}.", self.counted(Side::Test));
        }
        words += &format!(" {twins} byte-identical copies left out.");
        if *left_out > 0 {
            words += &format!(" {left_out} cells stand on no side.");
        }
        words
    }

    /// A side's cells, counted by class and, by subject, by subject.
    fn counted(&self, side: Side) -> String {
        let cells = self.side(side);
        let mut counts: BTreeMap<(usize, &str), usize> = BTreeMap::new();
        for cell in cells {
            let subject = match self.protocol {
                Protocol::Subject | Protocol::Everything => cell.subject.as_str(),
                Protocol::Image => "",
            };
            *counts.entry((cell.label, subject)).or_default() += 1;
        }
        let counts: Vec<_> = counts
            .into_iter()
            .map(|((label, subject), count)| match subject {
                "" => format!("{}: {count}", LABELS[label]),
                subject => format!("{} {subject}: {count}", LABELS[label]),
            })
            .collect();
        format!("{} cells ({})", cells.len(), counts.join(", "))
    }

    /// Training cells of each class, as indices into `training`.
    #[must_use]
    pub fn by_class(&self) -> [Vec<usize>; LABELS.len()] {
        let mut classes: HashMap<usize, Vec<usize>> = HashMap::new();
        for (index, cell) in self.training.iter().enumerate() {
            classes.entry(cell.label).or_default().push(index);
        }
        std::array::from_fn(|label| classes.remove(&label).unwrap_or_default())
    }

    /// # Errors
    ///
    /// Where the training or validation side lacks a class, or the test side has cells of one only.
    pub(super) fn with_every_class(self) -> Result<Self, DatasetError> {
        for side in Side::EVERY {
            let cells = self.side(side);
            if side == Side::Test && cells.is_empty() {
                continue;
            }
            for (index, label) in LABELS.into_iter().enumerate() {
                if !cells.iter().any(|cell| cell.label == index) {
                    return Err(DatasetError::OneClass { side, label, hint: self.hint(index) });
                }
            }
        }
        Ok(self)
    }

    /// What to do where a side lacks the class `label`.
    fn hint(&self, label: usize) -> String {
        let cells = || [&self.training, &self.validation, &self.test].into_iter().flatten();
        let of = |label: usize| -> BTreeSet<&str> {
            let own = cells().filter(|cell| cell.label == label);
            own.map(|cell| cell.subject.as_str()).collect()
        };
        let count = cells().filter(|cell| cell.label == label).count();
        format!(
            "{} has {count} different cells in all, and each side needs one at least; add cells, or \
             choose other subjects, folds or sides (subjects of all: {}; of hem: {})",
            LABELS[label],
            listed(of(0)),
            listed(of(1))
        )
    }
}

/// SHA-256 over `lines`, sorted.
fn of_lines(mut lines: Vec<String>) -> Digest {
    lines.sort();
    Digest::of(lines.concat().as_bytes())
}
