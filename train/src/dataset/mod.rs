//! Cells with their labels and subjects, read through the daemon's own decoding and preprocessing,
//! and parted into sides that share no picture and, by subject, nobody's cells.
//!
//! ```text
//! folder.rs ┐
//! journal.rs┤                                    ┌ plan.rs   who decides the sides
//! table.rs  ┴▶ Found ▶ read.rs ▶ Dataset (here) ─┤ folds.rs, validation.rs
//!                       pack.rs ◀▶               └ split.rs ◀▶ record.rs (split.csv)
//! ```

mod error;
mod folder;

mod folds;
mod found;
mod journal;
mod near;
mod overview;
mod pack;
mod plan;
mod read;
mod record;
mod sheet;
mod split;
mod table;
mod teacher;
mod validation;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use leukd_cell::preprocess::Preprocessing;
use leukd_cell::{Format, Measures, Morphometry};
use leukd_journal::CellPlace;
use leukd_journal::result::Digest;
use leukd_model::serving::Measured;

pub use error::DatasetError;
pub(crate) use folder::is_image;
pub use folds::fold_table;
pub use near::{Joined, NEAR, near_identical};
pub use overview::{
    ByClass, ClassCounts, NearPair, Overview, Quantiles, SideCounts, SizeCount, SplitOverview,
    SubjectCounts, TwinGroup,
};
pub use pack::packed_with;
pub use plan::{SplitPlan, TestSubjects};
pub(crate) use read::picture;
pub use sheet::{ContactSheet, SheetError, SheetRow};
pub use split::{Protocol, Side, Split, ValidationBy};

/// The classes in the order of the network's output; also the names of their folders.
pub const LABELS: [&str; 2] = ["all", "hem"];

/// Seeds a split where nothing else is said: the seed project's own number.
pub const SPLIT_SEED: u64 = 123;

/// One cell, decoded and brought to the network's size.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Where it was read.
    pub path: PathBuf,
    /// The file's name without its folder; of a cell of a field of view, with its number (`a.png#3`).
    pub name: String,
    /// Index into [`LABELS`].
    pub label: usize,
    /// Whose cell it is; empty where nothing says so.
    pub subject: String,
    /// The fold that the data name for it: its folder `fold_*`, or the CSV's column `fold`.
    pub fold: Option<String>,
    /// The side that the data name for it: a folder such as `test`, or the CSV's column `side`.
    pub side: Option<Side>,
    /// SHA-256 of the file; of a cell of a field of view, of its pixels.
    pub digest: Digest,
    /// The cell's place, where the file is a field of view; none in a pack.
    pub place: Option<CellPlace>,
    /// The file's format, by its bytes.
    pub format: Format,
    /// Columns of the whole picture, pixels.
    pub width: u32,
    /// Rows of the whole picture, pixels.
    pub height: u32,
    /// Pixels of the whole picture that are not black: the cell's area, before any resizing.
    pub area: u64,
    /// What the whole picture measures, before any resizing; none where all of it is black, or
    /// without a picture ([`Split::told`]).
    pub measures: Option<Measures>,
    /// The whole picture's morphometry; none where `measures` has none.
    pub morphometry: Option<Morphometry>,
    /// P(all) by a teacher, 0 to 1: [`Split::teach`].
    pub teacher: Option<f64>,
    /// `size · size` pixels, row by row, red green blue.
    pub pixels: Vec<u8>,
}

impl Cell {
    /// What [`Model::verdict`](leukd_model::serving::Model::verdict) needs beside the network.
    #[must_use]
    pub fn measured(&self) -> Measured {
        Measured { measures: self.measures, morphometry: self.morphometry.clone() }
    }

    /// The pixels as a picture of `side` × `side`; none where they are not as many.
    #[must_use]
    pub fn square(&self, side: u32) -> Option<image::RgbImage> {
        image::RgbImage::from_raw(side, side, self.pixels.clone())
    }
}

/// A file, or a line of a CSV, that is no readable cell.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Broken {
    /// Where it is.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// Why it was left out; it names the CSV and its line where there is one.
    pub reason: String,
}

/// How far the reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Files that are read, in no order.
    pub done: usize,
    /// All that were found.
    pub of: usize,
}

/// Everything that was found in one place.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The folder, or the CSV.
    pub source: PathBuf,
    /// Readable cells, sorted by name, then by path.
    pub cells: Vec<Cell>,
    /// Files that were left out, sorted by path.
    pub broken: Vec<Broken>,
    /// Ids whose cells have one subject, for they share near-identical cells; empty for a pack,
    /// whose cells were joined when it was made.
    pub joined: Vec<Joined>,
}

impl Dataset {
    /// Reads every cell of `source`.
    ///
    /// A folder is walked to any depth: an image below a folder `all` or `hem` is a cell of that
    /// class. Its subject is the one that C-NMC's name pattern finds in its name, else the folder
    /// between class and image, else the folder above the class; folders `fold_*` name its fold,
    /// folders `train`, `training`, `val`, `valid`, `validation` and `test` its side, and neither
    /// is taken for a subject.
    ///
    /// A file is a CSV with a header: `path` (absolute, or relative to the CSV's folder), `label`
    /// (`all` or `hem`) and, where known, `subject`, `fold` and `side` (`training`, `validation` or
    /// `test`); further columns mean nothing. Without a subject the name pattern is asked. Commas,
    /// semicolons or tabs divide the columns, whichever the header has.
    ///
    /// A leukd state folder (it holds `journal.sqlite`) gives the cells that people reviewed: the
    /// latest review's label, the specimen as the subject, and the picture from the images that
    /// leukd kept, or else from the export folder, if those are still the bytes that were reviewed.
    /// A cell reviewed as `other` is of neither class and left out.
    ///
    /// A pack that [`Dataset::pack`] wrote gives its cells back as they were read then.
    ///
    /// Ids that share near-identical cells of one class ([`near_identical`]) are one subject, named
    /// by the id with the most cells: [`Dataset::joined`] tells them.
    ///
    /// A cell that no subject is known for has an empty one. A file that cannot be read, a line
    /// that names no cell, and pictures whose very bytes are labelled with both classes are listed
    /// in `broken`, and the others are read on.
    ///
    /// # Errors
    ///
    /// Where the folder or the CSV cannot be read, the CSV has no such columns, or there is no
    /// readable cell at all.
    pub fn read(source: &Path, preprocessing: &Preprocessing) -> Result<Self, DatasetError> {
        Self::read_with(source, preprocessing, &|_| {})
    }

    /// As [`Dataset::read`]; `progress` is called after each file, from several threads.
    ///
    /// # Errors
    ///
    /// As [`Dataset::read`].
    pub fn read_with(
        source: &Path,
        preprocessing: &Preprocessing,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Self, DatasetError> {
        read::read(source, preprocessing, progress)
    }

    /// The subjects, sorted; an empty one where a cell has none.
    #[must_use]
    pub fn subjects(&self) -> BTreeSet<&str> {
        self.cells.iter().map(|cell| cell.subject.as_str()).collect()
    }

    /// The folds that the data name, sorted.
    #[must_use]
    pub fn given_folds(&self) -> BTreeSet<&str> {
        self.cells.iter().filter_map(|cell| cell.fold.as_deref()).collect()
    }

    /// Byte-identical cells, where there are two or more: one list for each picture, in the order
    /// of [`Dataset::cells`].
    #[must_use]
    pub fn twins(&self) -> Vec<Vec<&Cell>> {
        let mut groups: BTreeMap<Digest, Vec<&Cell>> = BTreeMap::new();
        for cell in &self.cells {
            groups.entry(cell.digest).or_default().push(cell);
        }
        let mut twins: Vec<_> = groups.into_values().filter(|group| group.len() > 1).collect();
        twins.sort_by(|a, b| (&a[0].name, &a[0].path).cmp(&(&b[0].name, &b[0].path)));
        twins
    }

    /// The folds over subjects, as [`SplitPlan::Subject`] makes them: each subject stands in one
    /// of them, each has subjects of every class, and in every class they are as equal in cells as
    /// a greedy assignment gets them. `folds`: how many; none: 3, or as many as the class with the
    /// fewest subjects has. `seed` decides between equals.
    ///
    /// # Errors
    ///
    /// Where a cell has no subject, a class has fewer than two subjects, or fewer than `folds`.
    pub fn folds(
        &self,
        folds: Option<usize>,
        seed: u64,
    ) -> Result<Vec<BTreeSet<String>>, DatasetError> {
        folds::folds(&self.cells, folds, seed)
    }

    /// The plan where no protocol is asked for: the sides that the data name, where they name any,
    /// else the first of the usual folds by subject. `validation`: the subjects to validate on;
    /// empty: as the plan does it.
    #[must_use]
    pub fn usual_plan(&self, validation: Vec<String>, seed: u64) -> SplitPlan {
        if self.cells.iter().any(|cell| cell.side.is_some()) {
            SplitPlan::Given { test_fold: None, validation, seed }
        } else {
            SplitPlan::Subject { test: TestSubjects::FIRST, validation, seed }
        }
    }

    /// Parts the cells as `plan` says. The same cells and the same plan give the same split.
    ///
    /// Byte-identical copies are kept once in all: on the test side where it has one, else on the
    /// validation side.
    ///
    /// # Errors
    ///
    /// Where the plan does not fit the data, or a side would lack a class.
    pub fn split(self, plan: &SplitPlan) -> Result<Split, DatasetError> {
        plan.part(self)
    }
}

/// How many cells of each class every subject has.
fn census<'a>(cells: impl IntoIterator<Item = &'a Cell>) -> BTreeMap<String, [usize; 2]> {
    let mut census: BTreeMap<String, [usize; LABELS.len()]> = BTreeMap::new();
    for cell in cells {
        census.entry(cell.subject.clone()).or_default()[cell.label] += 1;
    }
    census
}

/// A list for an error message: at most 40 of `names`, and how many there are beyond.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 40;
    let mut names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
    let more = names.len().saturating_sub(MOST);
    names.truncate(MOST);
    match (names.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

/// A path as text whatever its bytes: serde refuses those that are not UTF-8, which is just what a
/// file may have been left out for.
fn lossy<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}
