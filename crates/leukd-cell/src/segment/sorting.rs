//! White cells apart from what else takes a nuclear stain.

use serde::{Deserialize, Serialize};

use super::cells::Shape;
use super::nuclei::Nucleus;
use super::outline::Point;
use super::survey::Survey;
use super::{Region, WhiteCell};

/// Numbers of stained things in a field that are no whole white cells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// White cells that the capture's edge cuts. Those with most of their nucleus inside are among
    /// the field's cells too.
    pub edge: u32,
    /// Smudges: nuclear material without a border.
    pub smudges: u32,
    /// Deposits of stain: opaque in all colours.
    pub deposits: u32,
    /// Clumps of platelets.
    pub platelet_clumps: u32,
    /// Burst cells: a torn nucleus without a cell around it.
    pub burst: u32,
}

impl SetAside {
    pub(super) fn count(&mut self, sort: Sort) {
        match sort {
            Sort::White | Sort::Small => {}
            Sort::Edge => self.edge += 1,
            Sort::Smudge => self.smudges += 1,
            Sort::Deposit => self.deposits += 1,
            Sort::PlateletClump => self.platelet_clumps += 1,
        }
    }
}

/// What a stained thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    White,
    /// Too small for any nucleus: a platelet or dust. Not counted.
    Small,
    Edge,
    Smudge,
    Deposit,
    PlateletClump,
}

/// A nucleus has at least this area, in squares of a red cell's diameter. The smallest lymphocyte's
/// has about 0.45.
const MIN_NUCLEUS: f32 = 0.2;
/// A nucleus that the edge cuts must show at least so much.
const MIN_CUT_NUCLEUS: f32 = 0.12;
/// Platelets in a clump are at least so many, and each is at most so large.
const CLUMP_PARTS: usize = 4;
const PLATELET_RADIUS: f32 = 0.17;
/// A nucleus lets at least this share of blue light through.
const MIN_BLUE: f32 = 0.3;

/// Sorts what [`super::nuclei`] found, in its order.
pub(super) fn sort(survey: &Survey) -> Vec<Sort> {
    let diameter = survey.diameter / survey.factor as f32;
    survey.nuclei.found.iter().map(|nucleus| sort_one(nucleus, diameter)).collect()
}

fn sort_one(nucleus: &Nucleus, diameter: f32) -> Sort {
    let area = nucleus.area / (diameter * diameter);
    let inner = nucleus.inner_radius / diameter;
    let [red, _, blue] = nucleus.mean_colour();
    if blue < MIN_BLUE && blue < red + 0.1 {
        return Sort::Deposit;
    }
    if nucleus.is_at_border && area < MIN_NUCLEUS {
        return if area >= MIN_CUT_NUCLEUS { Sort::Edge } else { Sort::Small };
    }
    if area < MIN_NUCLEUS {
        return Sort::Small;
    }
    if nucleus.parts >= CLUMP_PARTS && inner < PLATELET_RADIUS {
        return Sort::PlateletClump;
    }
    Sort::White
}

/// The white cell of a shape; none for what is none, which is counted instead.
pub(super) fn confirm(
    shape: Shape,
    survey: &Survey,
    _set_aside: &mut SetAside,
    size: (u32, u32),
) -> Option<WhiteCell> {
    let region = region(&shape.outline, size)?;
    let square = f64::from(survey.diameter).powi(2);
    let size_score = ((shape.area / square - 0.3) / 0.4).clamp(0.0, 1.0);
    let contrast = f64::from(shape.contrast / 0.4).clamp(0.0, 1.0);
    let edge = f64::from(shape.edge / 0.2).clamp(0.0, 1.0);
    Some(WhiteCell {
        ordinal: 0,
        region,
        score: (size_score * contrast.max(0.05) * edge.max(0.05)).cbrt(),
        outline: shape.outline,
        nucleus: shape.nucleus,
        area: shape.area,
        nucleus_area: shape.nucleus_area,
        touches_edge: shape.touches_edge,
    })
}

/// The box of whole pixels around an outline.
fn region(outline: &[Point], (width, height): (u32, u32)) -> Option<Region> {
    let span = |values: &dyn Fn(&Point) -> f32, size: u32| {
        let low = outline.iter().map(values).fold(f32::INFINITY, f32::min);
        let high = outline.iter().map(values).fold(0.0, f32::max);
        let from = super::plane::index(low, size as usize) as u32;
        let to = super::plane::index(high.ceil(), size as usize + 1) as u32;
        (from, to)
    };
    let ((left, right), (top, bottom)) =
        (span(&|point| point.x, width), span(&|point| point.y, height));
    let is_box = right > left && bottom > top;
    is_box.then(|| Region { x: left, y: top, width: right - left, height: bottom - top })
}
