//! A first guess of a field's scale, before any cell is known.

use super::morphology::{close, components, distance};
use super::plane::{Colour, Plane, index, shrink};
use super::ruler::typical_diameter;
use super::stain::{cell_threshold, density, nuclear, nucleus_threshold};

/// A red cell's diameter where it is guessed, in pixels. Noise and pale centres make cells look
/// thin; on a plane with small cells both are averaged out.
const GUESSED: f32 = 10.0;
/// Pixels of the plane on which the scale is guessed first.
const FIRST_GUESS: f32 = 20_000.0;
/// Share of the field's threshold: pale centres are still cells.
const PALE: f32 = 0.6;
/// A white cell's diameter in red cells', where white cells are all that a picture shows.
const WHITE_CELL: f32 = 1.5;
/// Area of a nucleus in squares of a red cell's diameter: 0.5 to 1.3.
const NUCLEUS_AREA: f32 = 0.75;
/// A guess by the cells lies within these shares of one by the nuclei, or it is moved there.
const AGREEMENT: (f32, f32) = (0.75, 1.35);
/// Below the first share the nuclei are none but platelets; above the second either the cells are
/// specks or the nuclei smudges, and the scale lies between.
const PLAUSIBLE: (f32, f32) = (0.42, 2.4);

/// A red cell's diameter in pixels of `field` (transmission).
pub(super) fn guess(field: &Plane<Colour>) -> f32 {
    // The first guess chooses the plane of the second, and a coarse one is enough for that.
    let coarse = index((field.values.len() as f32 / FIRST_GUESS).sqrt().round(), 8).max(1);
    let mut diameter = guess_once(&shrink(field, coarse)) * coarse as f32;
    for _ in 0..2 {
        let factor = index((diameter / GUESSED).round(), usize::MAX);
        if factor < 2 {
            break;
        }
        diameter = guess_once(&shrink(field, factor)) * factor as f32;
    }
    diameter
}

fn guess_once(field: &Plane<Colour>) -> f32 {
    let cells = cell_threshold(field);
    let nucleus = nucleus_threshold(field);
    let is_dense = field.map(|pixel| density(pixel) > cells);
    // Where cells lie close together the pale gaps between them count for more than pale centres.
    let covered = is_dense.count() as f32 / is_dense.values.len().max(1) as f32;
    let pale = PALE + (1.0 - PALE) * ((covered - 0.4) / 0.2).clamp(0.0, 1.0);
    let is_cell = field.map(|pixel| density(pixel) > pale * cells);
    let stained = field.map(|pixel| nuclear(pixel) > nucleus);
    let Some(by_cells) = by_red_cells(&is_cell, &stained) else {
        return typical_diameter(&is_cell) / WHITE_CELL;
    };
    let by_nuclei = by_nuclei(&stained);
    let share = by_nuclei / by_cells.max(0.1);
    if share < PLAUSIBLE.0 {
        return by_cells;
    }
    if share > PLAUSIBLE.1 {
        return (by_cells * by_nuclei).sqrt();
    }
    by_cells.clamp(AGREEMENT.0 * by_nuclei, AGREEMENT.1 * by_nuclei)
}

/// From all cells that are no white ones; none where these are hardly any.
fn by_red_cells(is_cell: &Plane<bool>, stained: &Plane<bool>) -> Option<f32> {
    let all = typical_diameter(is_cell);
    let away = distance(stained);
    let others = is_cell.zip(&away, |set, away| set && away > 0.8 * all);
    (others.count() * 2 > is_cell.count()).then(|| typical_diameter(&others))
}

/// From the area of the larger nuclei: the one in the middle, weighted by area.
fn by_nuclei(stained: &Plane<bool>) -> f32 {
    let (_, parts) = components(stained);
    let largest = parts.iter().map(|part| part.area).max().unwrap_or(0);
    if largest == 0 {
        return 0.0;
    }
    // Lobes of a nucleus lie nearer to each other than they are wide.
    let joined = close(stained, 0.35 * (largest as f32).sqrt());
    let (labels, parts) = components(&joined);
    let mut areas = vec![0_usize; parts.len()];
    for (label, stained) in labels.values.iter().zip(&stained.values) {
        if *label > 0 && *stained {
            areas[*label as usize - 1] += 1;
        }
    }
    areas.sort_unstable();
    let largest = areas.last().copied().unwrap_or(0);
    areas.retain(|area| area * 3 >= largest);
    let half: usize = areas.iter().sum::<usize>() / 2;
    let mut below = 0;
    let middle = areas.iter().find(|area| {
        below += **area;
        below >= half
    });
    (middle.copied().unwrap_or(0) as f32 / NUCLEUS_AREA).sqrt()
}
