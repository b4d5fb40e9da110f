//! Distances, openings, components and holes of masks.

use super::plane::Plane;

/// Weights of a step to a side, a corner and a knight's move, in fifths of a pixel.
///
/// Borgefors 1986, "Distance transformations in digital images": at most 2 % from the true distance.
const SIDE: u16 = 5;
const CORNER: u16 = 7;
const KNIGHT: u16 = 11;

/// Distance of each set pixel to the nearest one that is not set, in pixels; 0 where it is not set.
/// Pixels beyond the border count as set.
pub(super) fn depth(mask: &Plane<bool>) -> Plane<f32> {
    distances(mask, false).map(|fifths| f32::from(fifths) / f32::from(SIDE))
}

/// Distance of each pixel to the nearest set one, in pixels; 0 where it is set.
pub(super) fn distance(mask: &Plane<bool>) -> Plane<f32> {
    distances(mask, true).map(|fifths| f32::from(fifths) / f32::from(SIDE))
}

fn distances(mask: &Plane<bool>, target: bool) -> Plane<u16> {
    // Two columns and rows around the mask, so that no step leaves the plane.
    const RIM: usize = 2;
    const FAR: u16 = u16::MAX / 2;
    let (width, height) = (mask.width, mask.height);
    let stride = width + 2 * RIM;
    let mut far = vec![FAR; stride * (height + 2 * RIM)];
    for y in 0..height {
        let line = &mask.values[y * width..(y + 1) * width];
        let start = (y + RIM) * stride + RIM;
        for (place, set) in far[start..start + width].iter_mut().zip(line) {
            if *set == target {
                *place = 0;
            }
        }
    }
    for y in RIM..height + RIM {
        for x in RIM..width + RIM {
            let at = y * stride + x;
            let (up, upper) = (at - stride, at - 2 * stride);
            let least = (far[at - 1] + SIDE)
                .min(far[up] + SIDE)
                .min(far[up - 1].min(far[up + 1]) + CORNER)
                .min(far[up - 2].min(far[up + 2]) + KNIGHT)
                .min(far[upper - 1].min(far[upper + 1]) + KNIGHT);
            far[at] = far[at].min(least).min(FAR);
        }
    }
    for y in (RIM..height + RIM).rev() {
        for x in (RIM..width + RIM).rev() {
            let at = y * stride + x;
            let (down, lower) = (at + stride, at + 2 * stride);
            let least = (far[at + 1] + SIDE)
                .min(far[down] + SIDE)
                .min(far[down - 1].min(far[down + 1]) + CORNER)
                .min(far[down - 2].min(far[down + 2]) + KNIGHT)
                .min(far[lower - 1].min(far[lower + 1]) + KNIGHT);
            far[at] = far[at].min(least).min(FAR);
        }
    }
    let rows = (0..height).map(|y| (y + RIM) * stride + RIM);
    let values = rows.flat_map(|start| far[start..start + width].iter().copied()).collect();
    Plane { width, height, values }
}

/// Removes what a disc of `radius` pixels does not fit into.
pub(super) fn open(mask: &Plane<bool>, radius: f32) -> Plane<bool> {
    let inner = depth(mask).map(|depth| depth > radius);
    distance(&inner).zip(mask, |away, set| set && away <= radius + 0.5)
}

/// Adds what a disc of `radius` pixels does not fit into from outside.
pub(super) fn close(mask: &Plane<bool>, radius: f32) -> Plane<bool> {
    let grown = distance(mask).map(|away| away <= radius);
    depth(&grown).zip(mask, |depth, set| set || depth > radius)
}

/// A connected part of a mask (sides alone connect).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Component {
    pub(super) area: usize,
    pub(super) left: usize,
    pub(super) top: usize,
    /// The last column.
    pub(super) right: usize,
    /// The last row.
    pub(super) bottom: usize,
    pub(super) centre: (f32, f32),
}

impl Component {
    /// True for a component with a pixel on the outermost rows or columns of its plane.
    pub(super) fn is_at_border<T>(&self, plane: &Plane<T>) -> bool {
        self.left == 0
            || self.top == 0
            || self.right + 1 == plane.width
            || self.bottom + 1 == plane.height
    }
}

/// Number of each pixel's component, 1 for the first, 0 outside the mask; and the components.
pub(super) fn components(mask: &Plane<bool>) -> (Plane<u32>, Vec<Component>) {
    let mut labels = Plane::filled(mask.width, mask.height, 0_u32);
    let mut found = Vec::new();
    let mut stack = Vec::new();
    for start in 0..mask.values.len() {
        if !mask.values[start] || labels.values[start] != 0 {
            continue;
        }
        let label = found.len() as u32 + 1;
        labels.values[start] = label;
        stack.push(start);
        let (mut left, mut right, mut bottom) = (usize::MAX, 0, 0);
        let top = start / mask.width;
        let (mut area, mut columns, mut rows) = (0, 0, 0);
        while let Some(at) = stack.pop() {
            let (x, y) = (at % mask.width, at / mask.width);
            area += 1;
            columns += x;
            rows += y;
            left = left.min(x);
            right = right.max(x);
            bottom = bottom.max(y);
            for next in mask.neighbours(at) {
                if mask.values[next] && labels.values[next] == 0 {
                    labels.values[next] = label;
                    stack.push(next);
                }
            }
        }
        let mean = |sum: usize| sum as f32 / area as f32 + 0.5;
        let centre = (mean(columns), mean(rows));
        found.push(Component { area, left, top, right, bottom, centre });
    }
    (labels, found)
}

/// Sets the holes of at most `area` pixels: parts that are not set and do not reach the border.
pub(super) fn fill_holes(mask: &Plane<bool>, area: f32) -> Plane<bool> {
    let outside = mask.map(|set| !set);
    let (labels, parts) = components(&outside);
    let is_hole: Vec<bool> = parts
        .iter()
        .map(|part| part.area as f32 <= area && !part.is_at_border(mask))
        .collect();
    labels.map(|label| label == 0 || is_hole[label as usize - 1])
}

/// The components of at least `area` pixels.
pub(super) fn without_small(mask: &Plane<bool>, area: f32) -> Plane<bool> {
    let (labels, parts) = components(mask);
    labels.map(|label| label != 0 && parts[label as usize - 1].area as f32 >= area)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disc(side: usize, radius: f32) -> Plane<bool> {
        let middle = side as f32 / 2.0;
        let mut mask = Plane::filled(side, side, false);
        for (at, set) in mask.values.iter_mut().enumerate() {
            let (x, y) = ((at % side) as f32 + 0.5, (at / side) as f32 + 0.5);
            *set = (x - middle).hypot(y - middle) < radius;
        }
        mask
    }

    #[test]
    fn the_depth_of_a_disc_is_its_radius() {
        let depth = depth(&disc(60, 22.0));
        assert!((depth.at(30, 30) - 22.0).abs() < 1.0, "{}", depth.at(30, 30));
        assert_eq!(depth.at(2, 2), 0.0);
        let mean = depth.values.iter().sum::<f32>() / disc(60, 22.0).count() as f32;
        assert!((mean * 3.0 - 22.0).abs() < 1.5, "{mean}");
    }

    #[test]
    fn an_opening_takes_a_thread_and_keeps_the_disc() {
        let whole = disc(60, 15.0);
        let mut threaded = whole.clone();
        (0..60).for_each(|x| threaded.values[30 * 60 + x] = true);
        let opened = open(&threaded, 3.0);
        assert!(!opened.at(3, 30) && opened.at(30, 30));
        let differ = opened.zip(&whole, |one, two| one != two).count();
        assert!(differ < whole.count() / 20, "{differ}");
    }

    #[test]
    fn components_are_counted_and_only_small_holes_filled() {
        let mut mask = disc(60, 20.0);
        mask.values[30 * 60 + 30] = false;
        mask.values[0] = true;
        let (labels, parts) = components(&mask);
        assert_eq!((parts.len(), labels.at(0, 0), parts[0].area), (2, 1, 1));
        assert!(fill_holes(&mask, 1.0).at(30, 30) && !fill_holes(&mask, 0.5).at(30, 30));
        assert!(!without_small(&mask, 2.0).at(0, 0));
    }
}
