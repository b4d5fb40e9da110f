//! Segmentation of a field of view: the white cells in a picture of a stained smear.
//!
//! Light and scale come from the picture itself (`survey.rs`); nuclei are what took the nuclear
//! stain (`nuclei.rs`); each cell is then outlined on a plane of its own surroundings (`cells.rs`).
//! All lengths are shares of a red cell's diameter, so a field's magnification does not matter.

mod cells;
mod crop;
mod frame;
mod halves;
mod kind;
mod light;
mod lobes;
pub(crate) mod morphology;
mod nuclei;
mod outline;
pub(crate) mod plane;
mod ruler;
mod scale;
mod sorting;
mod stain;
mod survey;
pub(crate) mod threshold;
mod watershed;

use image::RgbImage;
use serde::{Deserialize, Serialize};

pub use crop::Crop;
pub use kind::{CaptureKind, KindGuess, MAX_DOUBT, guess_kind};
pub use outline::{Point, area, runs};
pub use ruler::RedCells;
pub use sorting::SetAside;

use cells::Shape;
use sorting::Sort;
use survey::Survey;

/// How a field is segmented.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentOptions {
    /// A red cell's diameter in the capture's pixels, where it is known from elsewhere; absent:
    /// measured in the picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub red_cell_diameter: Option<f32>,
    /// Points of an outline at most, 8 to 1000.
    pub max_outline_points: usize,
    /// White cells reported at most; the largest nuclei are kept.
    pub max_cells: usize,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self { red_cell_diameter: None, max_outline_points: 96, max_cells: 2000 }
    }
}

/// A rectangle in the capture's pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// Columns left of it.
    pub x: u32,
    /// Rows above it.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// One white cell of a field. Lengths and areas are in the capture's pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WhiteCell {
    /// Its number in the field, from 0: by the upper edge of its box, then by the left one.
    pub ordinal: u32,
    /// The smallest box around it.
    pub region: Region,
    /// Its outline, closed, without the first point repeated.
    pub outline: Vec<Point>,
    /// Outlines of its nucleus, one for each lobe that stands alone.
    pub nucleus: Vec<Vec<Point>>,
    /// Area inside the outline.
    pub area: f64,
    /// Area of the nucleus with all its lobes.
    pub nucleus_area: f64,
    /// How sure it is that this is one whole white cell, 0 to 1: contrast of the nucleus, size and
    /// sharpness of the outline.
    pub score: f64,
    /// True for a cell that the capture's edge may cut.
    pub touches_edge: bool,
}

/// What a field of view shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldOfView {
    /// White cells in the order of their numbers.
    pub cells: Vec<WhiteCell>,
    /// Stained things that are no whole white cells, counted.
    pub set_aside: SetAside,
    /// The red cells' diameter; absent where fewer than four stand alone.
    pub red_cells: Option<RedCells>,
    /// The diameter in pixels that segmentation went by: the red cells', the option's, or a guess
    /// from the white cells.
    pub scale: f32,
    /// Share of the field, 0 to 1, that is empty background.
    pub empty: f32,
}

/// Finds and outlines the white cells of `picture`. The same pixels give the same answer.
#[must_use]
pub fn segment(picture: &RgbImage, options: &SegmentOptions) -> FieldOfView {
    let (width, height) = picture.dimensions();
    if width == 0 || height == 0 {
        return FieldOfView {
            cells: Vec::new(),
            set_aside: SetAside::default(),
            red_cells: None,
            scale: 0.0,
            empty: 0.0,
        };
    }
    let framed = frame::without_frame(picture);
    let picture = framed.as_ref();
    let mut survey = survey::survey(picture, options.red_cell_diameter);
    let sorts = sorting::sort(&survey);
    let mut set_aside = SetAside::default();
    sorts.iter().for_each(|sort| set_aside.count(*sort));
    let mut is_white: Vec<bool> = sorts.iter().map(|sort| *sort == Sort::White).collect();
    keep_largest(&mut is_white, &survey, options.max_cells);
    let points = options.max_outline_points.clamp(8, 1000);
    let shapes = outlines(picture, &mut survey, &mut is_white, points);
    let mut cells = Vec::new();
    for (shape, nucleus) in shapes.into_iter().zip(&survey.nuclei.found) {
        let Some(shape) = shape else { continue };
        match sorting::by_shape(&shape, nucleus, &survey) {
            Sort::White => cells.extend(sorting::white_cell(shape, &survey, (width, height))),
            other => set_aside.count(other),
        }
    }
    cells.sort_by_key(|cell: &WhiteCell| (cell.region.y, cell.region.x, cell.region.height));
    for (ordinal, cell) in (0..).zip(&mut cells) {
        cell.ordinal = ordinal;
    }
    set_aside.edge += cells.iter().filter(|cell| cell.touches_edge).count() as u32;
    FieldOfView {
        cells,
        set_aside,
        red_cells: survey.red_cells,
        scale: survey.diameter,
        empty: survey.light.empty,
    }
}

/// Outlines the cell around each white nucleus, at the nucleus' place. Halves of one cell are
/// outlined as one, and a cell that turns out to be two as two: both where the outlines say so.
fn outlines(
    picture: &RgbImage,
    survey: &mut Survey,
    is_white: &mut Vec<bool>,
    most_points: usize,
) -> Vec<Option<Shape>> {
    let outline = |survey: &Survey, is_white: &[bool], group: &[usize]| {
        cells::outline(picture, survey, group, is_white, most_points)
    };
    let mut shapes: Vec<Option<Shape>> = (0..is_white.len())
        .map(|at| is_white[at].then(|| outline(survey, is_white, &[at])).flatten())
        .collect();
    for at in 0..shapes.len() {
        // The capture's edge makes any cell long.
        let is_double = |shape: &Shape| halves::is_long(shape) && !shape.touches_edge;
        if !shapes[at].as_ref().is_some_and(is_double) {
            continue;
        }
        let whole = survey.nuclei.found[at].clone();
        let Some(new) = survey.nuclei.part(at) else { continue };
        is_white.push(true);
        let both = [at, new].map(|own| outline(survey, is_white, &[own]));
        let is_cell = |shape: &Shape| halves::is_round(shape) && sorting::is_large(shape, survey);
        if both.iter().all(|shape| shape.as_ref().is_some_and(is_cell)) {
            let [one, two] = both;
            shapes[at] = one;
            shapes.push(two);
        } else {
            is_white.pop();
            survey.nuclei.merge(at, new);
            survey.nuclei.found.pop();
            survey.nuclei.found[at] = whole;
        }
    }
    for group in halves::find(&shapes, survey.diameter) {
        if !group.iter().all(|at| is_white[*at]) {
            continue;
        }
        let Some(whole) = outline(survey, is_white, &group).filter(halves::is_round) else {
            continue;
        };
        let Some((one, others)) = group.split_first() else { continue };
        for two in others {
            survey.nuclei.merge(*one, *two);
            is_white[*two] = false;
            shapes[*two] = None;
        }
        shapes[*one] = Some(whole);
    }
    shapes
}

/// Leaves at most `most` nuclei: a field with more is none that a person could check.
fn keep_largest(is_white: &mut [bool], survey: &Survey, most: usize) {
    let mut kept: Vec<usize> = (0..is_white.len()).filter(|at| is_white[*at]).collect();
    let area = |at: &usize| survey.nuclei.found[*at].area;
    kept.sort_by(|one, two| area(two).total_cmp(&area(one)));
    kept.iter().skip(most).for_each(|at| is_white[*at] = false);
}

#[cfg(test)]
mod tests;
