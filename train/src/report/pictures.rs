//! Cells to look at: a table of figures hides what a glance at the cells may show.

use image::imageops::{FilterType, resize};
use leukd_cell::synthetic::png;
use leukd_model::manifest::Calibration;

use crate::dataset::{Cell, LABELS};
use crate::evaluate::Prediction;

/// The most wrong cells of a report.
pub const MOST_WRONG: usize = 24;

/// The most right cells of a report.
pub const MOST_RIGHT: usize = 12;

/// Wider pictures are made this wide: 36 of them still make a page that can be mailed.
const WIDEST: u32 = 128;

/// One cell of the grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// The file's name.
    pub name: String,
    /// Whose cell it is.
    pub subject: String,
    /// The true class.
    pub label: &'static str,
    /// Calibrated P(all).
    pub probability: f64,
    /// Whether it is decided rightly at the threshold.
    pub right: bool,
    /// What the network sees, as a PNG file.
    pub png: Vec<u8>,
}

/// Up to [`MOST_WRONG`] wrong cells, the surest first, then up to [`MOST_RIGHT`] right ones, taken
/// evenly over the predictions' order, so that they are not the best ones. `side` is the width of
/// the cells' pixels; `predictions` belong to `cells`, one by one.
#[must_use]
pub fn pictures(
    predictions: &[Prediction],
    cells: &[Cell],
    calibration: &Calibration,
    side: u32,
) -> Vec<Picture> {
    let probability = |one: &Prediction| one.probability(calibration.temperature);
    let is_right =
        |one: &Prediction| (probability(one) >= calibration.threshold) == (one.label == 0);
    let (right, mut wrong): (Vec<_>, Vec<_>) =
        predictions.iter().zip(cells).partition(|(one, _)| is_right(one));
    // How sure it was of the wrong class.
    wrong.sort_by(|(a, _), (b, _)| {
        let sure = |one: &Prediction| (probability(one) - 0.5).abs();
        sure(b).total_cmp(&sure(a)).then_with(|| a.name.cmp(&b.name))
    });
    let step = right.len().div_ceil(MOST_RIGHT).max(1);
    wrong
        .into_iter()
        .take(MOST_WRONG)
        .chain(right.into_iter().step_by(step))
        .filter_map(|(one, cell)| {
            let square = cell.square(side)?;
            let shown = if side > WIDEST {
                resize(&square, WIDEST, WIDEST, FilterType::Triangle)
            } else {
                square
            };
            Some(Picture {
                name: one.name.clone(),
                subject: one.subject.clone(),
                label: LABELS[one.label],
                probability: probability(one),
                right: is_right(one),
                png: png(&shown),
            })
        })
        .collect()
}
