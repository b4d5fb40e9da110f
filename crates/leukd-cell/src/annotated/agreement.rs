//! How well the cells that were found agree with those that people drew.

use super::{Annotated, Box4, Mask};
use crate::segment::{FieldOfView, Region};

/// A box that somebody drew.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MatchedBox {
    /// Its area in pixels.
    pub area: f32,
    /// True where a cell's box overlaps it by half, and no other box is nearer to that cell.
    pub is_found: bool,
}

/// A cell that somebody drew.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaskAgreement {
    /// Its area in pixels.
    pub area: usize,
    /// Intersection over union with the cell that was found there; 0 where none was.
    pub cell: f64,
    /// The same of the nuclei; none where nobody drew them.
    pub nucleus: Option<f64>,
}

/// What a segmentation made of one field, beside what people drew.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    /// Each box.
    pub boxes: Vec<MatchedBox>,
    /// Each mask.
    pub masks: Vec<MaskAgreement>,
    /// Cells without a box of their own.
    pub more: usize,
    /// Those of them that somebody drew a mask of.
    pub more_with_mask: usize,
}

/// Boxes and masks that overlap by this are of the same cell.
const SAME: f64 = 0.5;

/// Compares `field`, the segmentation of `truth`'s picture.
#[must_use]
pub fn agreement(truth: &Annotated, field: &FieldOfView) -> Agreement {
    let size = truth.picture.dimensions();
    let outlines: Vec<Mask> =
        field.cells.iter().map(|cell| Mask::inside([&cell.outline[..]], size)).collect();
    let nucleus =
        |at: usize| Mask::inside(field.cells[at].nucleus.iter().map(|part| &part[..]), size);
    let best = |mask: &Mask| {
        let overlaps = outlines.iter().map(|own| mask.overlap(own)).enumerate();
        overlaps.filter(|(_, own)| *own > 0.0).max_by(|a, b| a.1.total_cmp(&b.1))
    };
    let masks = truth.cells.iter().map(|mask| {
        let best = best(mask);
        let nuclei = truth.nuclei.as_ref().map(|nuclei| nuclei.and(mask));
        MaskAgreement {
            area: mask.area(),
            cell: best.map_or(0.0, |(_, own)| own),
            nucleus: nuclei.map(|own| best.map_or(0.0, |(at, _)| own.overlap(&nucleus(at)))),
        }
    });
    let mut is_taken = vec![false; field.cells.len()];
    let boxes = truth.boxes.iter().map(|own| {
        let share = |at: &usize| box_overlap(own, field.cells[*at].region);
        let free = (0..is_taken.len()).filter(|at| !is_taken[*at]);
        let best = free.max_by(|a, b| share(a).total_cmp(&share(b)));
        let best = best.filter(|at| f64::from(share(at)) >= SAME);
        if let Some(at) = best {
            is_taken[at] = true;
        }
        MatchedBox { area: area(own), is_found: best.is_some() }
    });
    let boxes = boxes.collect();
    let more: Vec<usize> = (0..is_taken.len()).filter(|at| !is_taken[*at]).collect();
    let has_mask = |at: &&usize| truth.cells.iter().any(|own| own.overlap(&outlines[**at]) >= SAME);
    Agreement {
        boxes,
        masks: masks.collect(),
        more_with_mask: more.iter().filter(has_mask).count(),
        more: more.len(),
    }
}

impl Agreement {
    /// How bad it is: missed cells and cells that nobody drew first, then the worst outline.
    #[must_use]
    pub fn badness(&self) -> f64 {
        let missed = self.boxes.iter().filter(|own| !own.is_found).count();
        let wrong = (missed + self.more - self.more_with_mask) as f64;
        let loss = |own: &MaskAgreement| 2.0 - own.cell - own.nucleus.unwrap_or(1.0);
        wrong * 10.0 + self.masks.iter().map(loss).fold(0.0, f64::max)
    }
}

fn area(own: &Box4) -> f32 {
    (own[2] - own[0]) * (own[3] - own[1])
}

fn box_overlap(own: &Box4, region: Region) -> f32 {
    let [x, y] = [region.x as f32, region.y as f32];
    let other = [x, y, x + region.width as f32, y + region.height as f32];
    let width = (own[2].min(other[2]) - own[0].max(other[0])).max(0.0);
    let height = (own[3].min(other[3]) - own[1].max(other[1])).max(0.0);
    width * height / (area(own) + area(&other) - width * height).max(f32::EPSILON)
}
