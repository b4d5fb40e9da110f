//! What a data set holds, in numbers.

use std::collections::{BTreeMap, BTreeSet};

use leukd_journal::result::RESEARCH_USE_ONLY;
use serde::Serialize;

use super::near::{Joined, near_identical};
use super::split::{Protocol, Side, Split, ValidationBy};
use super::{Broken, Cell, Dataset, DatasetError, LABELS};

/// How many cells of each class, by its name; classes without cells are absent.
pub type ByClass = BTreeMap<&'static str, usize>;

/// A data set in numbers, and what a plan makes of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overview {
    /// [`RESEARCH_USE_ONLY`].
    pub notice: &'static str,
    /// The folder or the CSV.
    pub source: String,
    /// How many cells, copies included.
    pub cells: usize,
    /// Each class, in the order of [`LABELS`].
    pub classes: Vec<ClassCounts>,
    /// Each subject, by name; an empty one where a cell has none.
    pub subjects: Vec<SubjectCounts>,
    /// The folds that the data name; empty where they name none.
    pub folds: BTreeMap<String, ByClass>,
    /// Byte-identical pictures, one entry for each that there is more than once.
    pub twins: Vec<TwinGroup>,
    /// Pairs of cells that are nearly the same, though no byte need be.
    pub near_identical: Vec<NearPair>,
    /// Ids that count as one subject for sharing such cells.
    pub joined: Vec<Joined>,
    /// Width and height of the whole pictures in pixels, the most frequent first.
    pub sizes: Vec<SizeCount>,
    /// Cells of each file format, by the files' bytes.
    pub formats: BTreeMap<String, usize>,
    /// What was left out, and why.
    pub broken: Vec<Broken>,
    /// The split; none where it cannot be made.
    pub split: Option<SplitOverview>,
    /// Why there is no split; none where there is one.
    pub split_problem: Option<String>,
}

/// One class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassCounts {
    /// `all` or `hem`.
    pub label: &'static str,
    /// How many cells, copies included.
    pub cells: usize,
    /// How many subjects have such cells; those that are not known count as none.
    pub subjects: usize,
    /// Of the cells' areas in pixels; none where there are no cells.
    pub area: Option<Quantiles>,
}

/// Quantiles, linear between order statistics (Hyndman & Fan 1996, type 7: NumPy's default).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// 5 % are below.
    pub p5: f64,
    /// A quarter is below.
    pub p25: f64,
    /// The median.
    pub p50: f64,
    /// Three quarters are below.
    pub p75: f64,
    /// 95 % are below.
    pub p95: f64,
}

impl Quantiles {
    /// Of `values`, in any order; none where there are none.
    #[must_use]
    pub fn of(values: &[u64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        // The quantile stands at `percent / 100 · last`, between the two next whole places.
        let at = |percent: usize| {
            let (below, part) = (percent * last / 100, percent * last % 100);
            let (low, high) = (sorted[below] as f64, sorted[(below + 1).min(last)] as f64);
            low + (high - low) * part as f64 / 100.0
        };
        Some(Self { p5: at(5), p25: at(25), p50: at(50), p75: at(75), p95: at(95) })
    }
}

/// One subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubjectCounts {
    /// Its name; empty for the cells that nobody is named for.
    pub subject: String,
    /// Its cells, copies included.
    pub cells: ByClass,
    /// Its cells on each side of the split, copies not included; empty where there is no split.
    pub sides: BTreeMap<Side, usize>,
}

/// One picture that there is more than once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TwinGroup {
    /// SHA-256 of each of the files, in hexadecimal.
    pub sha256: String,
    /// Whose cell it is said to be: two or more where the names contradict each other.
    pub subjects: BTreeSet<String>,
    /// The files' paths.
    pub files: Vec<String>,
}

/// Two pictures of one cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NearPair {
    /// The files' paths.
    pub files: [String; 2],
    /// Whether both are labelled with one class.
    pub agree: bool,
}

/// How many pictures have one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SizeCount {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Cells, copies included.
    pub cells: usize,
}

/// A split in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SplitOverview {
    /// What it keeps apart.
    pub protocol: Protocol,
    /// What it keeps apart between training and validation.
    pub validation_by: ValidationBy,
    /// All of it in words.
    pub words: String,
    /// Training, validation, test.
    pub sides: Vec<SideCounts>,
    /// Byte-identical copies that were left out.
    pub twins: usize,
    /// Other cells on no side.
    pub left_out: usize,
}

/// One side of a split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SideCounts {
    /// Which one.
    pub side: Side,
    /// Its cells.
    pub cells: ByClass,
    /// Whose cells they are.
    pub subjects: BTreeSet<String>,
}

impl Overview {
    /// Counts `dataset`, and what became of it when it was split.
    #[must_use]
    pub fn of(dataset: &Dataset, split: &Result<Split, DatasetError>) -> Self {
        let mut sizes: BTreeMap<(u32, u32), usize> = BTreeMap::new();
        let mut formats: BTreeMap<String, usize> = BTreeMap::new();
        let mut folds: BTreeMap<String, ByClass> = BTreeMap::new();
        for cell in &dataset.cells {
            *sizes.entry((cell.width, cell.height)).or_default() += 1;
            *formats.entry(cell.format.to_string()).or_default() += 1;
            if let Some(fold) = &cell.fold {
                let counts = folds.entry(fold.clone()).or_default();
                *counts.entry(LABELS[cell.label]).or_default() += 1;
            }
        }
        let mut sizes: Vec<_> = sizes
            .into_iter()
            .map(|((width, height), cells)| SizeCount { width, height, cells })
            .collect();
        sizes.sort_by_key(|size| std::cmp::Reverse(size.cells));
        Self {
            notice: RESEARCH_USE_ONLY,
            source: dataset.source.display().to_string(),
            cells: dataset.cells.len(),
            classes: (0..LABELS.len()).map(|label| class(dataset, label)).collect(),
            subjects: subjects(dataset, split.as_ref().ok()),
            folds,
            twins: dataset.twins().iter().map(|group| twins(group)).collect(),
            near_identical: near(dataset),
            joined: dataset.joined.clone(),
            sizes,
            formats,
            broken: dataset.broken.clone(),
            split: split.as_ref().ok().map(SplitOverview::of),
            split_problem: split.as_ref().err().map(ToString::to_string),
        }
    }
}

impl SplitOverview {
    /// Counts `split`.
    #[must_use]
    pub fn of(split: &Split) -> Self {
        let side = |side: Side| {
            let cells = split.side(side);
            let subjects = cells.iter().map(|cell| cell.subject.clone()).collect();
            SideCounts { side, cells: by_class(cells), subjects }
        };
        Self {
            protocol: split.protocol,
            validation_by: split.validation_by,
            words: split.in_words(),
            sides: Side::EVERY.map(side).to_vec(),
            twins: split.twins,
            left_out: split.left_out,
        }
    }
}

fn by_class<'a>(cells: impl IntoIterator<Item = &'a Cell>) -> ByClass {
    let mut counts = ByClass::new();
    for cell in cells {
        *counts.entry(LABELS[cell.label]).or_default() += 1;
    }
    counts
}

fn class(dataset: &Dataset, label: usize) -> ClassCounts {
    let own: Vec<&Cell> = dataset.cells.iter().filter(|cell| cell.label == label).collect();
    let mut subjects: BTreeSet<&str> = own.iter().map(|cell| cell.subject.as_str()).collect();
    subjects.remove("");
    let areas: Vec<u64> = own.iter().map(|cell| cell.area).collect();
    ClassCounts {
        label: LABELS[label],
        cells: own.len(),
        subjects: subjects.len(),
        area: Quantiles::of(&areas),
    }
}

fn subjects(dataset: &Dataset, split: Option<&Split>) -> Vec<SubjectCounts> {
    let mut subjects: BTreeMap<&str, SubjectCounts> = BTreeMap::new();
    for cell in &dataset.cells {
        let counts = subjects.entry(&cell.subject).or_insert_with(|| SubjectCounts {
            subject: cell.subject.clone(),
            cells: ByClass::new(),
            sides: BTreeMap::new(),
        });
        *counts.cells.entry(LABELS[cell.label]).or_default() += 1;
    }
    let placed =
        split.into_iter().flat_map(|split| Side::EVERY.map(|side| (side, split.side(side))));
    for (side, cells) in placed {
        for cell in cells {
            if let Some(counts) = subjects.get_mut(cell.subject.as_str()) {
                *counts.sides.entry(side).or_default() += 1;
            }
        }
    }
    subjects.into_values().collect()
}

fn near(dataset: &Dataset) -> Vec<NearPair> {
    let pair = |(first, second)| {
        let both: [&Cell; 2] = [&dataset.cells[first], &dataset.cells[second]];
        NearPair {
            files: both.map(|cell| cell.path.display().to_string()),
            agree: both[0].label == both[1].label,
        }
    };
    near_identical(&dataset.cells).into_iter().map(pair).collect()
}

fn twins(group: &[&Cell]) -> TwinGroup {
    TwinGroup {
        sha256: group[0].digest.to_string(),
        subjects: group.iter().map(|cell| cell.subject.clone()).collect(),
        files: group.iter().map(|cell| cell.path.display().to_string()).collect(),
    }
}
