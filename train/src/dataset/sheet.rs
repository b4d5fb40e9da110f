//! A contact sheet: some cells of every subject in one picture.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image::{ImageFormat, Rgb, RgbImage};
use leukd_cell::Fault;
use leukd_cell::decode::{Limits, decode};
use leukd_cell::preprocess::Preprocessing;
use rayon::prelude::*;

use super::read::of_field;
use super::{Cell, Dataset, LABELS};

/// Width and height of one cell on the sheet, pixels.
const CELL: u32 = 96;
/// The coloured frame around it, pixels.
const FRAME: u32 = 4;
/// The white between two frames, pixels.
const GAP: u32 = 4;
/// Rows that one sheet holds: some 30,000 pixels of height.
const MOST_ROWS: usize = 288;
/// The frames' colours, in the order of [`LABELS`]: vermilion and blue of Okabe & Ito (2008),
/// "Color Universal Design", which the colour-blind tell apart too.
const COLOURS: [Rgb<u8>; LABELS.len()] = [Rgb([213, 94, 0]), Rgb([0, 114, 178])];

/// A picture with a row for each subject and class.
#[derive(Debug, Clone, PartialEq)]
pub struct ContactSheet {
    /// The picture. A cell's frame is vermilion for `all` and blue for `hem`.
    pub picture: RgbImage,
    /// What its rows show, from top to bottom.
    pub rows: Vec<SheetRow>,
    /// Rows that it has no place for.
    pub left_out: usize,
}

/// A row of a contact sheet.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SheetRow {
    /// The cells' class.
    pub label: &'static str,
    /// Whose cells they are; empty where that is not known.
    pub subject: String,
    /// The cells' file names, from left to right.
    pub names: Vec<String>,
}

/// Why there is no contact sheet.
#[derive(Debug, thiserror::Error)]
pub enum SheetError {
    /// A picture that was read before cannot be read again.
    #[error("cannot show {path}: {reason}")]
    Picture {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it now.
        reason: String,
    },
    /// The sheet cannot be written.
    #[error("cannot write the contact sheet {path}: {source}")]
    File {
        /// Where to.
        path: PathBuf,
        /// What went wrong.
        source: image::ImageError,
    },
}

impl ContactSheet {
    /// Draws up to `per_row` cells of each subject and class, evenly taken from those in the order
    /// of their names, each whole picture brought to 96 × 96 pixels.
    ///
    /// # Errors
    ///
    /// Where a chosen cell cannot be read any more.
    pub fn draw(dataset: &Dataset, per_row: usize) -> Result<Self, SheetError> {
        let mut groups: BTreeMap<(usize, &str), Vec<&Cell>> = BTreeMap::new();
        for cell in &dataset.cells {
            groups.entry((cell.label, &cell.subject)).or_default().push(cell);
        }
        let left_out = groups.len().saturating_sub(MOST_ROWS);
        let chosen: Vec<((usize, &str), Vec<&Cell>)> = groups
            .into_iter()
            .take(MOST_ROWS)
            .map(|(key, cells)| (key, evenly(&cells, per_row.max(1))))
            .collect();
        let columns = chosen.iter().map(|(_, cells)| cells.len()).max().unwrap_or_default();
        let place = CELL + 2 * FRAME + GAP;
        let side =
            |count: usize| u32::try_from(count).unwrap_or(u32::MAX).saturating_mul(place) + GAP;
        let mut picture = RgbImage::from_pixel(side(columns), side(chosen.len()), Rgb([255; 3]));
        let mut rows = Vec::new();
        for (row, ((label, subject), cells)) in chosen.into_iter().enumerate() {
            let small = cells.par_iter().map(|cell| small(cell)).collect::<Result<Vec<_>, _>>()?;
            for (column, cell) in small.iter().enumerate() {
                let (left, top) = (side(column), side(row));
                let outer = CELL + 2 * FRAME;
                let frame = RgbImage::from_pixel(outer, outer, COLOURS[label]);
                image::imageops::replace(&mut picture, &frame, left.into(), top.into());
                let (left, top) = (left + FRAME, top + FRAME);
                image::imageops::replace(&mut picture, cell, left.into(), top.into());
            }
            let names = cells.iter().map(|cell| cell.name.clone()).collect();
            rows.push(SheetRow { label: LABELS[label], subject: subject.to_owned(), names });
        }
        Ok(Self { picture, rows, left_out })
    }

    /// Writes the sheet as a PNG, whatever `path` ends in.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), SheetError> {
        self.picture
            .save_with_format(path, ImageFormat::Png)
            .map_err(|source| SheetError::File { path: path.to_owned(), source })
    }
}

/// Up to `most` of `cells`, evenly spaced, the first among them.
fn evenly<'a>(cells: &[&'a Cell], most: usize) -> Vec<&'a Cell> {
    let count = cells.len().min(most);
    (0..count).map(|at| cells[at * cells.len() / count]).collect()
}

fn small(cell: &Cell) -> Result<RgbImage, SheetError> {
    let failed = |reason| SheetError::Picture { path: cell.path.clone(), reason };
    let bytes = std::fs::read(&cell.path).map_err(|error| failed(error.to_string()))?;
    let fault = |fault: Fault| failed(fault.message().to_owned());
    let mut picture = decode(&bytes, &Limits::default()).map_err(fault)?;
    if let Some(place) = &cell.place {
        picture = of_field(&picture, place).map_err(fault)?;
    }
    let preprocessing = Preprocessing { size: CELL, ..Preprocessing::b3() };
    preprocessing.square(&picture).map_err(fault)
}
