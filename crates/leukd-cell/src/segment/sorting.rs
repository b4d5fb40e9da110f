//! White cells apart from what else takes a nuclear stain.

use serde::{Deserialize, Serialize};

use super::cells::Shape;
use super::morphology::root;
use super::nuclei::{Nucleus, boxes_apart};
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
            Sort::Burst => self.burst += 1,
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
    Burst,
}

/// A nucleus has at least this area, in squares of a red cell's diameter. The smallest lymphocyte's
/// has about 0.45.
const MIN_NUCLEUS: f32 = 0.2;
/// A nucleus that the edge cuts must show at least so much.
const MIN_CUT_NUCLEUS: f32 = 0.12;
/// A whole white cell has at least this area. The smallest lymphocyte has about 0.8; the scale may
/// be a third off.
const MIN_CELL: f64 = 0.4;
/// A deposit lets less than this share of blue light through, and hardly more than of red.
const MIN_BLUE: f32 = 0.3;
/// Platelets in a clump, at least. No round cell is around them.
const CLUMP_PARTS: usize = 4;
/// Largest inner radius of a platelet, in red cells' diameters.
const PLATELET_RADIUS: f32 = 0.17;
/// Largest distance between neighbours in a clump.
const CLUMP_GAP: f32 = 0.3;
const CLUMP_SOLIDITY: f64 = 0.85;
/// Nuclear material to its outline: at least this share of the whole.
const BARE: f64 = 0.7;
/// A smudge fades: the step across its border is less than this share of its density. Nuclei have
/// 0.3 and more.
const SOFT_EDGE: f32 = 0.2;
/// A burst cell's outline is torn.
const TORN_SOLIDITY: f64 = 0.75;

/// Sorts what [`super::nuclei`] found, in its order, by what is seen without an outline.
pub(super) fn sort(survey: &Survey) -> Vec<Sort> {
    let diameter = survey.diameter / survey.factor as f32;
    let found = &survey.nuclei.found;
    let mut sorts: Vec<Sort> = found.iter().map(|nucleus| by_nucleus(nucleus, diameter)).collect();
    clumps(found, &mut sorts, diameter);
    sorts
}

/// Makes one of each group of small things that lie close together a clump of platelets.
fn clumps(found: &[Nucleus], sorts: &mut [Sort], diameter: f32) {
    let is_platelet = |at: &usize| {
        found[*at].inner_radius < PLATELET_RADIUS * diameter && sorts[*at] == Sort::Small
    };
    let mut small: Vec<usize> = (0..found.len()).filter(is_platelet).collect();
    small.sort_by_key(|at| found[*at].left);
    // Each thing's group is named by one of its members.
    let mut groups: Vec<usize> = (0..small.len()).collect();
    let gap = CLUMP_GAP * diameter;
    for one in 0..small.len() {
        let own = &found[small[one]];
        let is_in_reach = |two: &usize| found[small[*two]].left as f32 <= own.right as f32 + gap;
        for two in (one + 1..small.len()).take_while(is_in_reach) {
            if boxes_apart(own, &found[small[two]]) <= gap {
                let (one, two) = (root(&mut groups, one), root(&mut groups, two));
                groups[one.max(two)] = one.min(two);
            }
        }
    }
    let (mut parts, mut area) = (vec![0; small.len()], vec![0.0; small.len()]);
    for (at, own) in small.iter().enumerate() {
        let group = root(&mut groups, at);
        parts[group] += found[*own].parts;
        area[group] += found[*own].area;
    }
    for (group, first) in small.iter().enumerate() {
        if parts[group] >= CLUMP_PARTS || area[group] >= MIN_NUCLEUS * diameter * diameter {
            sorts[*first] = Sort::PlateletClump;
        }
    }
}

fn by_nucleus(nucleus: &Nucleus, diameter: f32) -> Sort {
    let area = nucleus.area / (diameter * diameter);
    let [red, _, blue] = nucleus.mean_colour();
    if blue < MIN_BLUE && blue < red + 0.1 {
        return Sort::Deposit;
    }
    match nucleus.is_at_border {
        true if area >= MIN_NUCLEUS => Sort::White,
        true if area >= MIN_CUT_NUCLEUS => Sort::Edge,
        false if area >= MIN_NUCLEUS => Sort::White,
        _ => Sort::Small,
    }
}

/// True for a shape that is large enough for a white cell.
pub(super) fn is_large(shape: &Shape, survey: &Survey) -> bool {
    shape.area >= MIN_CELL * f64::from(survey.diameter).powi(2)
}

/// Sorts a shape whose nucleus looked like a white cell's.
pub(super) fn by_shape(shape: &Shape, nucleus: &Nucleus, survey: &Survey) -> Sort {
    let square = f64::from(survey.diameter).powi(2);
    let inner = nucleus.inner_radius * survey.factor as f32 / survey.diameter;
    let is_bare = shape.nucleus_area >= BARE * shape.area && shape.area > 0.8 * square;
    let is_soft = shape.nucleus_edge < SOFT_EDGE * shape.nucleus_density;
    if !is_large(shape, survey) && !shape.touches_edge {
        // Larger than a platelet and smaller than any cell.
        Sort::PlateletClump
    } else if nucleus.parts >= CLUMP_PARTS
        && inner < PLATELET_RADIUS
        && shape.solidity < CLUMP_SOLIDITY
    {
        Sort::PlateletClump
    } else if is_soft && shape.area > 0.8 * square {
        Sort::Smudge
    } else if is_bare && shape.solidity < TORN_SOLIDITY {
        Sort::Burst
    } else {
        Sort::White
    }
}

/// The white cell of a shape, without its number; none for an outline without area.
pub(super) fn white_cell(shape: Shape, survey: &Survey, size: (u32, u32)) -> Option<WhiteCell> {
    let region = region(&shape.outline, size)?;
    let square = f64::from(survey.diameter).powi(2);
    let size_score = ((shape.area / square - 0.3) / 0.4).clamp(0.0, 1.0);
    let contrast = f64::from(shape.contrast / 0.4).clamp(0.05, 1.0);
    let edge = f64::from(shape.edge / 0.1).clamp(0.05, 1.0);
    let solid = ((shape.solidity - 0.6) / 0.3).clamp(0.05, 1.0);
    Some(WhiteCell {
        ordinal: 0,
        region,
        score: (size_score * contrast * edge * solid).sqrt().sqrt(),
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
