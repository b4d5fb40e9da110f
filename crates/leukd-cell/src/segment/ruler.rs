//! The red cells' diameter: the ruler that every smear brings along.

use serde::{Deserialize, Serialize};

use super::morphology::{components, depth, fill_holes};
use super::plane::Plane;

/// Red cells' diameter in a field, in the capture's pixels.
///
/// A normal red cell is 6.2 to 8.2 µm wide (mean 7.5 µm on a dried smear); the median over many
/// gives a field's scale where no metadata do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RedCells {
    /// Median diameter of a circle of a red cell's area.
    pub diameter: f64,
    /// Standard error of the median: how far `diameter` itself may be off, not how much cells
    /// differ.
    pub uncertainty: f64,
    /// Red cells that stood alone and were measured.
    pub count: u32,
}

/// Diameter of the discs that a mask is made of, in its pixels; 0 for an empty one.
///
/// The mean depth of a disc's pixels is a third of its radius. Overlapping discs change it little,
/// and specks weigh little, so no cell has to be told from another.
pub(super) fn typical_diameter(mask: &Plane<bool>) -> f32 {
    let mut filled = mask.clone();
    let mut diameter = 0.0;
    // A pale centre halves the depth around it. Rings are filled with what is known of the
    // diameter.
    for _ in 0..3 {
        let depths = depth(&filled);
        let count = filled.count();
        if count == 0 {
            return 0.0;
        }
        // The chamfer counts from the middle of the pixel outside: half a pixel too much.
        let sum: f64 = depths.values.iter().map(|depth| f64::from((depth - 0.5).max(0.0))).sum();
        diameter = (6.0 * sum / count as f64) as f32;
        filled = fill_holes(mask, 0.5 * diameter * diameter);
    }
    diameter
}

/// Measures the red cells that stand alone in `mask`, cells without white ones, in which a disc is
/// about `expected` pixels wide. None for fewer than [`MIN_RED_CELLS`].
pub(super) fn measure(mask: &Plane<bool>, expected: f32) -> Option<RedCells> {
    let filled = fill_holes(mask, 0.5 * expected * expected);
    let depths = depth(&filled);
    let (labels, parts) = components(&filled);
    let mut deepest = vec![0.0_f32; parts.len()];
    for (label, depth) in labels.values.iter().zip(&depths.values) {
        if let Some(at) = (*label as usize).checked_sub(1) {
            deepest[at] = deepest[at].max(*depth);
        }
    }
    let mut diameters: Vec<f64> = parts
        .iter()
        .zip(deepest)
        .filter(|(part, _)| !part.is_at_border(mask))
        .filter_map(|(part, deepest)| {
            let diameter = (4.0 * part.area as f32 / std::f32::consts::PI).sqrt();
            let inscribed = 2.0 * (deepest - 0.5).max(0.0);
            let is_round = inscribed >= MIN_ROUNDNESS * diameter;
            let is_near = (0.6..1.6).contains(&(diameter / expected));
            (is_round && is_near).then_some(f64::from(diameter))
        })
        .collect();
    if diameters.len() < MIN_RED_CELLS {
        return None;
    }
    let median = median(&mut diameters);
    let mut deviations: Vec<f64> = diameters.iter().map(|own| (own - median).abs()).collect();
    // 1.4826 makes the median deviation a standard deviation, 1.2533 a mean's error a median's.
    let spread = 1.4826 * self::median(&mut deviations);
    // Half a pixel of the mask is what its border is known to.
    let border = 0.5;
    let error = (1.2533 * spread / (diameters.len() as f64).sqrt()).hypot(border);
    Some(RedCells { diameter: median, uncertainty: error, count: diameters.len() as u32 })
}

/// Fewer red cells may all be something else.
const MIN_RED_CELLS: usize = 4;
/// Diameter of the largest disc inside by that of a disc of equal area: 1 for a disc, 0.7 for two
/// that overlap by half.
const MIN_ROUNDNESS: f32 = 0.82;

/// The middle value, or the mean of the two; 0 for none.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discs(side: usize, discs: &[(f32, f32, f32, f32)]) -> Plane<bool> {
        let mut mask = Plane::filled(side, side, false);
        for (at, set) in mask.values.iter_mut().enumerate() {
            let (x, y) = ((at % side) as f32 + 0.5, (at / side) as f32 + 0.5);
            *set = discs.iter().any(|(cx, cy, outer, inner)| {
                let away = (x - cx).hypot(y - cy);
                away < *outer && away >= *inner
            });
        }
        mask
    }

    #[test]
    fn rings_and_overlapping_discs_give_their_diameter() {
        let mask = discs(
            200,
            &[
                (40.0, 40.0, 15.0, 5.0),
                (62.0, 44.0, 15.0, 0.0),
                (120.0, 40.0, 14.0, 0.0),
                (120.0, 120.0, 16.0, 6.0),
                (40.0, 120.0, 15.0, 0.0),
                (80.0, 160.0, 15.0, 0.0),
                (160.0, 160.0, 15.0, 4.0),
            ],
        );
        let typical = typical_diameter(&mask);
        assert!((typical / 30.0 - 1.0).abs() < 0.15, "{typical}");
        let ruler = measure(&mask, typical).unwrap();
        assert_eq!(ruler.count, 5);
        assert!((ruler.diameter - 30.0).abs() < 1.0 && ruler.uncertainty < 1.0, "{ruler:?}");
        assert_eq!(measure(&discs(90, &[(40.0, 40.0, 15.0, 0.0)]), 30.0), None);
    }
}
