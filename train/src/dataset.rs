//! Cells in C-NMC's layout, read through the daemon's own decoding and preprocessing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use leukd::cell::decode::{Limits, decode};
use leukd::cell::name::{CNMC_PATTERN, NamePattern};
use leukd::cell::preprocess::Preprocessing;
use leukd::cell::quality::assess;
use leukd::result::Digest;
use rayon::prelude::*;

/// The classes in the order of the network's output; also the names of their folders.
pub const LABELS: [&str; 2] = ["all", "hem"];

/// File name endings that are read, in lower case.
const ENDINGS: [&str; 6] = ["bmp", "png", "tif", "tiff", "jpg", "jpeg"];

/// One cell, decoded and brought to the network's size.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Where it was read.
    pub path: PathBuf,
    /// The file's name without its folder.
    pub name: String,
    /// Index into [`LABELS`].
    pub label: usize,
    /// Whose cell it is, as the file's name says.
    pub subject: String,
    /// SHA-256 of the file.
    pub digest: Digest,
    /// Pixels of the whole picture that are not black: the cell's area, before any resizing.
    pub area: u64,
    /// `size · size` pixels, row by row, red green blue.
    pub pixels: Vec<u8>,
}

impl Cell {
    /// The pixels as a picture of `side` × `side`; none where they are not as many.
    #[must_use]
    pub fn square(&self, side: u32) -> Option<image::RgbImage> {
        image::RgbImage::from_raw(side, side, self.pixels.clone())
    }
}

/// A file that is no readable cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Where it is.
    pub path: PathBuf,
    /// Why it was left out.
    pub reason: String,
}

/// Everything that was found under one folder.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Readable cells, sorted by name.
    pub cells: Vec<Cell>,
    /// Files that were left out, sorted by path.
    pub broken: Vec<Broken>,
}

/// Why there is nothing to train on.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A folder cannot be listed.
    #[error("cannot read the folder {path}: {source}")]
    Folder {
        /// Which one.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// No `all` and `hem` folders, or nothing in them.
    #[error(
        "no cells under {0}: it needs folders all/ and hem/ with images, directly or in folders \
         named fold_*"
    )]
    Empty(PathBuf),
    /// A subject that is to be held out has no cells.
    #[error("no cell of the held-out subject {subject:?}; the subjects are {known}")]
    UnknownSubject {
        /// The name that was asked for.
        subject: String,
        /// Those that exist.
        known: String,
    },
    /// One side of the split lacks a class.
    #[error(
        "the {side} side has no {label} cells: choose other subjects for --hold-out (the \
         subjects are {known})"
    )]
    OneClass {
        /// `training` or `validation`.
        side: &'static str,
        /// The class that is missing.
        label: &'static str,
        /// All subjects.
        known: String,
    },
    /// The pattern for file names does not compile: a defect of the library.
    #[error("the pattern of C-NMC's file names is wrong: {0}")]
    Pattern(String),
}

impl Dataset {
    /// Reads every image of `dir/{all,hem}` and `dir/fold_*/{all,hem}`.
    ///
    /// A file that cannot be read, decoded or assigned to a subject is listed in `broken`, and
    /// the others are read on.
    ///
    /// # Errors
    ///
    /// Where a folder cannot be listed, or holds no readable cell at all.
    pub fn read(dir: &Path, preprocessing: &Preprocessing) -> Result<Self, DatasetError> {
        let names = NamePattern::new(CNMC_PATTERN).map_err(DatasetError::Pattern)?;
        let limits = Limits::default();
        let read: Vec<_> = files(dir)?
            .into_par_iter()
            .map(|(path, label)| {
                cell(&path, label, &names, &limits, preprocessing)
                    .map_err(|reason| Broken { path, reason })
            })
            .collect();
        let mut cells = Vec::with_capacity(read.len());
        let mut broken = Vec::new();
        for found in read {
            match found {
                Ok(cell) => cells.push(cell),
                Err(file) => broken.push(file),
            }
        }
        if cells.is_empty() {
            return Err(DatasetError::Empty(dir.to_owned()));
        }
        cells.sort_by(|a, b| a.name.cmp(&b.name));
        broken.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { cells, broken })
    }

    /// The subjects, sorted.
    #[must_use]
    pub fn subjects(&self) -> BTreeSet<&str> {
        self.cells.iter().map(|cell| cell.subject.as_str()).collect()
    }

    /// Parts the cells so that the subjects of `hold_out` are validated on and all others trained
    /// on.
    ///
    /// Byte-identical images are kept once a side; where both sides have one, the training side
    /// loses it.
    ///
    /// # Errors
    ///
    /// Where a held-out subject has no cells, or a side lacks a class.
    pub fn split(self, hold_out: &[String]) -> Result<Split, DatasetError> {
        let known = self.subjects().into_iter().collect::<Vec<_>>().join(", ");
        for subject in hold_out {
            if !self.cells.iter().any(|cell| cell.subject == *subject) {
                let subject = subject.clone();
                return Err(DatasetError::UnknownSubject { subject, known });
            }
        }
        let total = self.cells.len();
        let (validation, training): (Vec<Cell>, Vec<Cell>) =
            self.cells.into_iter().partition(|cell| hold_out.contains(&cell.subject));
        let mut seen = HashSet::new();
        let mut once = |cells: Vec<Cell>| -> Vec<Cell> {
            cells.into_iter().filter(|cell| seen.insert(cell.digest)).collect()
        };
        let (validation, training) = (once(validation), once(training));
        for (side, cells) in [("validation", &validation), ("training", &training)] {
            for (index, label) in LABELS.into_iter().enumerate() {
                if !cells.iter().any(|cell| cell.label == index) {
                    return Err(DatasetError::OneClass { side, label, known });
                }
            }
        }
        let twins = total - validation.len() - training.len();
        let protocol = Protocol::Subject;
        Ok(Split { protocol, training, validation, test: Vec::new(), twins })
    }
}

/// What a split keeps apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Images: cells of one subject may stand on every side, as in the seed.
    Image,
    /// Subjects: nobody's cells are fitted on and measured on.
    Subject,
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Image => "image",
            Self::Subject => "subject",
        })
    }
}

/// Sets of cells that share no image and, by subject, no subject.
#[derive(Debug, Clone)]
pub struct Split {
    /// What is kept apart.
    pub protocol: Protocol,
    /// To fit on.
    pub training: Vec<Cell>,
    /// To steer the training by and to calibrate on.
    pub validation: Vec<Cell>,
    /// To measure on, once; empty where there is no such side.
    pub test: Vec<Cell>,
    /// How many byte-identical copies were left out.
    pub twins: usize,
}

impl Split {
    /// SHA-256 over the sorted `digest  name` lines of every training image.
    #[must_use]
    pub fn training_digest(&self) -> Digest {
        let mut lines: Vec<String> =
            self.training.iter().map(|cell| format!("{}  {}\n", cell.digest, cell.name)).collect();
        lines.sort();
        Digest::of(lines.concat().as_bytes())
    }

    /// The split in words: which subjects, with how many cells of which class, on which side.
    #[must_use]
    pub fn in_words(&self) -> String {
        let side = |cells: &[Cell]| {
            let mut counts: BTreeMap<(usize, &str), usize> = BTreeMap::new();
            for cell in cells {
                *counts.entry((cell.label, &cell.subject)).or_default() += 1;
            }
            counts
                .into_iter()
                .map(|((label, subject), count)| format!("{} {subject}: {count}", LABELS[label]))
                .collect::<Vec<_>>()
                .join(", ")
        };
        format!(
            "by subject. Trained on {} cells ({}). Validated on {} cells ({}). {} byte-identical \
             copies left out.",
            self.training.len(),
            side(&self.training),
            self.validation.len(),
            side(&self.validation),
            self.twins
        )
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
}

/// Every image file with its label, below `dir` and its `fold_*` folders.
fn files(dir: &Path) -> Result<Vec<(PathBuf, usize)>, DatasetError> {
    let mut roots = vec![dir.to_owned()];
    for entry in list(dir)? {
        let fold =
            entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with("fold_"));
        if fold && entry.is_dir() {
            roots.push(entry);
        }
    }
    let mut files = Vec::new();
    for root in roots {
        for (label, name) in LABELS.into_iter().enumerate() {
            let folder = root.join(name);
            if !folder.is_dir() {
                continue;
            }
            let images = list(&folder)?.into_iter().filter(|path| {
                path.extension().is_some_and(|ending| {
                    ENDINGS.contains(&ending.to_string_lossy().to_lowercase().as_str())
                })
            });
            files.extend(images.map(|path| (path, label)));
        }
    }
    files.sort();
    Ok(files)
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let error = |source| DatasetError::Folder { path: folder.to_owned(), source };
    std::fs::read_dir(folder)
        .map_err(error)?
        .map(|entry| entry.map(|entry| entry.path()).map_err(error))
        .collect()
}

fn cell(
    path: &Path,
    label: usize,
    names: &NamePattern,
    limits: &Limits,
    preprocessing: &Preprocessing,
) -> Result<Cell, String> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or("its name is not UTF-8: rename it")?
        .to_owned();
    let subject = names.ids(&name).specimen;
    if subject.is_empty() {
        return Err(
            "its name tells no subject: C-NMC's are UID_<subject>_<image>_<cell>_<label>, \
                    and a split by subject needs one"
                .to_owned(),
        );
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let picture = decode(&bytes, limits).map_err(|fault| fault.message().to_owned())?;
    let square = preprocessing.square(&picture).map_err(|fault| fault.message().to_owned())?;
    Ok(Cell {
        path: path.to_owned(),
        name,
        label,
        subject,
        digest: Digest::of(&bytes),
        area: assess(&picture).foreground_px,
        pixels: square.into_raw(),
    })
}
