//! The report: one HTML file that needs nothing else, and each figure as an SVG file.

mod error;
mod figures;
mod machine;
mod page;
mod pictures;
mod served;
mod words;

use std::path::{Path, PathBuf};

pub use error::ReportError;
pub use machine::Machine;
pub use pictures::{MOST_RIGHT, MOST_WRONG, Picture, pictures};
pub use words::{NO_REFERENCE, counted, number, title_and_meaning, with_interval};

use crate::dataset::{Cell, LABELS, Side, Split};
use crate::evaluate::Evaluation;

/// Everything that a report tells: plain data, whatever made them.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The bundle.
    pub bundle: BundleFacts,
    /// When the report was made, RFC 3339.
    pub made_at: String,
    /// One of each side that was measured. The headline is the test side's, where there is one,
    /// else the validation side's.
    pub evaluations: Vec<Evaluation>,
    /// The run, epoch by epoch; empty where it is not known.
    pub curves: Vec<Curve>,
    /// Who stands where.
    pub split: SplitFacts,
    /// The recipe: each setting with its value, in the order of the table.
    pub recipe: Vec<(String, String)>,
    /// Variants of the bundle; empty where none was made.
    pub variants: Vec<Variant>,
    /// The machine that the report was made on.
    pub machine: Machine,
    /// Cells to look at, those decided wrongly first.
    pub pictures: Vec<Picture>,
}

/// Which bundle the report is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BundleFacts {
    /// The manifest's name for it.
    pub id: String,
    /// SHA-256 of its bytes, hexadecimal.
    pub digest: String,
    /// `f32`, `f16` or `int8`.
    pub precision: String,
    /// What wrote it, with its version.
    pub trainer: String,
    /// When its weights were made, RFC 3339.
    pub trained_at: String,
    /// The data that it was trained on, with their source.
    pub data: String,
    /// The model card: plain text.
    pub card: String,
}

/// One epoch. A value that is not finite is left out of the figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curve {
    /// 1, 2, 3, …
    pub epoch: u32,
    /// Mean over the epoch's steps, with whatever regularisation the recipe adds.
    pub training_loss: f64,
    /// Mean over the validation cells.
    pub validation_loss: Option<f64>,
    /// Share of the training cells that were decided rightly.
    pub training_accuracy: Option<f64>,
    /// Share of the validation cells that are decided rightly.
    pub accuracy: f64,
    /// Mean of sensitivity and specificity on the validation cells.
    pub balanced_accuracy: f64,
    /// On the validation cells.
    pub auroc: f64,
    /// The learning rate at the epoch's end.
    pub learning_rate: Option<f64>,
}

/// The split in rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SplitFacts {
    /// In words.
    pub words: String,
    /// Who stands where, sorted.
    pub rows: Vec<SplitRow>,
    /// Byte-identical copies that were left out.
    pub twins: usize,
    /// Files that were left out, each with its reason; none where that was not kept.
    pub broken: Option<Vec<(PathBuf, String)>>,
}

/// One subject's cells of one class on one side.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SplitRow {
    /// Which side.
    pub side: Side,
    /// `all` or `hem`.
    pub label: &'static str,
    /// Who; empty where the data name nobody.
    pub subject: String,
    /// How many cells.
    pub cells: u64,
}

impl SplitFacts {
    /// Of `split`, without what was left out as broken: a split does not know it.
    #[must_use]
    pub fn of(split: &Split) -> Self {
        let mut rows = Vec::new();
        for (side, cells) in [
            (Side::Training, &split.training),
            (Side::Validation, &split.validation),
            (Side::Test, &split.test),
        ] {
            rows.extend(rows_of(side, cells));
        }
        Self { words: split.in_words(), rows, twins: split.twins, broken: None }
    }
}

fn rows_of(side: Side, cells: &[Cell]) -> Vec<SplitRow> {
    let mut counts = std::collections::BTreeMap::<(usize, &str), u64>::new();
    for cell in cells {
        *counts.entry((cell.label, &cell.subject)).or_default() += 1;
    }
    counts
        .into_iter()
        .map(|((label, subject), cells)| SplitRow {
            side,
            label: LABELS[label],
            subject: subject.to_owned(),
            cells,
        })
        .collect()
}

/// One form of the bundle, measured against the f32 one.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// `f32`, `f16`, `int8`, …
    pub name: String,
    /// The file's size.
    pub bytes: u64,
    /// Accuracy less that of f32, as a share: −0.005 is half a point worse.
    pub accuracy_change: Option<f64>,
    /// The same of the sensitivity at a fixed specificity.
    pub sensitivity_change: Option<f64>,
    /// Cells that are decided otherwise than by f32.
    pub flips: Option<u64>,
    /// One cell through the daemon's engine, milliseconds.
    pub milliseconds: Option<f64>,
    /// Whether it passed its gate, and why not.
    pub verdict: String,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The page.
    pub page: PathBuf,
    /// The figures, in the order of the page.
    pub figures: Vec<PathBuf>,
}

/// Writes `dir/report.html` and `dir/figures/NAME.svg`. Each file is written whole or not at all;
/// those of an earlier report are replaced.
///
/// # Errors
///
/// [`ReportError::File`] names the file or folder that cannot be written.
pub fn write(facts: &Facts, dir: &Path) -> Result<Written, ReportError> {
    let figures = figures::all(facts)?;
    let html = page::render(facts, &figures)?;
    let folder = dir.join("figures");
    std::fs::create_dir_all(&folder)
        .map_err(|source| ReportError::File { path: folder.clone(), source })?;
    let mut written = Vec::new();
    for figure in &figures {
        let path = folder.join(format!("{}.svg", figure.name));
        put(&path, figure.standalone().as_bytes())?;
        written.push(path);
    }
    let page = dir.join("report.html");
    put(&page, html.as_bytes())?;
    Ok(Written { page, figures: written })
}

/// Writes `bytes` to `path`, whole or not at all.
///
/// # Errors
///
/// [`ReportError::File`] where that cannot be.
pub fn put(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    crate::files::replace(path, bytes)
        .map_err(|source| ReportError::File { path: path.to_owned(), source })
}
