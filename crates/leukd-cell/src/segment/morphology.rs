//! Distances, openings, components and holes of masks.

use super::plane::Plane;

/// Weights of a step to a side, a corner and a knight's move, in fifths of a pixel.
///
/// Borgefors 1986, "Distance transformations in digital images": at most 2 % from the true
/// distance.
const SIDE: u16 = 5;
const CORNER: u16 = 7;
const KNIGHT: u16 = 11;

/// Distance of each set pixel to the nearest one that is not set, in pixels; 0 where it is not set.
/// Pixels beyond the border count as set.
pub(crate) fn depth(mask: &Plane<bool>) -> Plane<f32> {
    distances(mask, false)
}

/// Distance of each pixel to the nearest set one, in pixels; 0 where it is set.
pub(crate) fn distance(mask: &Plane<bool>) -> Plane<f32> {
    distances(mask, true)
}

fn distances(mask: &Plane<bool>, target: bool) -> Plane<f32> {
    const FAR: u16 = u16::MAX / 2;
    let (width, height) = (mask.width, mask.height);
    let stride = width + 2 * RIM;
    let mut far = vec![FAR; stride * (height + 2 * RIM)];
    for y in 0..height {
        let line = &mask.values[y * width..(y + 1) * width];
        let start = (y + RIM) * stride + RIM;
        for (place, set) in far[start..start + width].iter_mut().zip(line) {
            *place = if *set == target { 0 } else { FAR };
        }
    }
    for y in RIM..height + RIM {
        let (before, own) = far.split_at_mut(y * stride);
        let (upper, up) = before[(y - RIM) * stride..].split_at(stride);
        step_down(&mut own[..stride], up, upper);
        let mut least = FAR;
        for place in &mut own[RIM..RIM + width] {
            least = (least + SIDE).min(*place);
            *place = least;
        }
    }
    for y in (RIM..height + RIM).rev() {
        let (before, after) = far.split_at_mut((y + 1) * stride);
        let (down, lower) = after[..RIM * stride].split_at(stride);
        let own = &mut before[y * stride..];
        step_down(own, down, lower);
        let mut least = FAR;
        for place in own[RIM..RIM + width].iter_mut().rev() {
            least = (least + SIDE).min(*place);
            *place = least;
        }
    }
    let mut values = Vec::with_capacity(width * height);
    for row in far.chunks_exact(stride).skip(RIM).take(height) {
        let pixels = row[RIM..RIM + width].iter();
        values.extend(pixels.map(|fifths| f32::from(*fifths) / f32::from(SIDE)));
    }
    Plane { width, height, values }
}

/// Columns and rows around the mask, so that no step leaves the plane.
const RIM: usize = 2;

/// Brings a row's distances down to what its next row (`near`) and the one behind (`far`) allow.
/// Steps along the row come afterwards: these are independent of each other, which a compiler makes
/// wide.
fn step_down(own: &mut [u16], near: &[u16], far: &[u16]) {
    let width = own.len() - 2 * RIM;
    let own = &mut own[RIM..RIM + width];
    let near = [0, 1, 2, 3, 4].map(|from| &near[from..from + width]);
    let far = [1, 3].map(|from| &far[from..from + width]);
    for x in 0..width {
        let side = near[2][x].saturating_add(SIDE);
        let corner = near[1][x].min(near[3][x]).saturating_add(CORNER);
        let knight = near[0][x].min(near[4][x]).min(far[0][x]).min(far[1][x]);
        own[x] = own[x].min(side).min(corner).min(knight.saturating_add(KNIGHT));
    }
}

/// Removes what a disc of `radius` pixels does not fit into.
pub(crate) fn open(mask: &Plane<bool>, radius: f32) -> Plane<bool> {
    if radius < 1.0 {
        // Every set pixel is as deep.
        return mask.clone();
    }
    let inner = depth(mask).map(|depth| depth > radius);
    distance(&inner).zip(mask, |away, set| set && away <= radius + 0.5)
}

/// Adds what a disc of `radius` pixels does not fit into from outside.
pub(crate) fn close(mask: &Plane<bool>, radius: f32) -> Plane<bool> {
    let grown = distance(mask).map(|away| away <= radius);
    depth(&grown).zip(mask, |depth, set| set || depth > radius)
}

/// A connected part of a mask (sides alone connect).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Component {
    pub(crate) area: usize,
    pub(crate) left: usize,
    pub(crate) top: usize,
    /// The last column.
    pub(crate) right: usize,
    /// The last row.
    pub(crate) bottom: usize,
}

impl Component {
    /// True for a component with a pixel on the outermost rows or columns of its plane.
    pub(crate) fn is_at_border<T>(&self, plane: &Plane<T>) -> bool {
        self.left == 0
            || self.top == 0
            || self.right + 1 == plane.width
            || self.bottom + 1 == plane.height
    }
}

/// Number of each pixel's component, 1 for the first, 0 outside the mask; and the components.
///
/// Runs of rows are joined where they touch (union by smaller number, with halved paths).
pub(crate) fn components(mask: &Plane<bool>) -> (Plane<u32>, Vec<Component>) {
    let (runs, mut parents) = joined_runs(mask);
    let mut labels = Plane::filled(mask.width, mask.height, 0_u32);
    let mut numbers = vec![0_u32; runs.len()];
    let mut found: Vec<Component> = Vec::new();
    for (at, run) in runs.iter().enumerate() {
        let root = root(&mut parents, at);
        if numbers[root] == 0 {
            let (left, top) = (run.from, run.row);
            found.push(Component { area: 0, left, top, right: left, bottom: top });
            numbers[root] = found.len() as u32;
        }
        let number = numbers[root];
        let start = run.row * mask.width;
        labels.values[start + run.from..start + run.to].fill(number);
        let own = &mut found[number as usize - 1];
        own.area += run.to - run.from;
        own.left = own.left.min(run.from);
        own.right = own.right.max(run.to - 1);
        own.bottom = run.row;
    }
    (labels, found)
}

/// Set pixels `from..to` of a row.
struct Run {
    row: usize,
    from: usize,
    to: usize,
}

/// A mask's runs, and of each an earlier one of its component, or itself.
fn joined_runs(mask: &Plane<bool>) -> (Vec<Run>, Vec<usize>) {
    let (mut runs, mut parents): (Vec<Run>, Vec<usize>) = (Vec::new(), Vec::new());
    let mut row_start = 0;
    for (row, line) in mask.values.chunks_exact(mask.width.max(1)).enumerate() {
        let mut upper = row_start;
        row_start = runs.len();
        let mut from = 0;
        while let Some(step) = line[from..].iter().position(|set| *set) {
            from += step;
            let length = line[from..].iter().position(|set| !*set);
            let to = length.map_or(line.len(), |length| from + length);
            let own = runs.len();
            parents.push(own);
            while upper < row_start && runs[upper].to <= from {
                upper += 1;
            }
            let mut touching = upper;
            while touching < row_start && runs[touching].from < to {
                let (one, two) = (root(&mut parents, touching), root(&mut parents, own));
                parents[one.max(two)] = one.min(two);
                touching += 1;
            }
            runs.push(Run { row, from, to });
            from = to;
        }
    }
    (runs, parents)
}

/// The representative of `at` in a forest of `parents`; paths are shortened on the way.
pub(crate) fn root(parents: &mut [usize], mut at: usize) -> usize {
    while parents[at] != at {
        parents[at] = parents[parents[at]];
        at = parents[at];
    }
    at
}

/// Sets the holes of at most `area` pixels: parts that are not set and do not reach the border.
pub(crate) fn fill_holes(mask: &Plane<bool>, area: f32) -> Plane<bool> {
    if area < 1.0 {
        return mask.clone();
    }
    let outside = mask.map(|set| !set);
    let (labels, parts) = components(&outside);
    let is_hole: Vec<bool> =
        parts.iter().map(|part| part.area as f32 <= area && !part.is_at_border(mask)).collect();
    labels.map(|label| label == 0 || is_hole[label as usize - 1])
}

/// The components of at least `area` pixels.
pub(crate) fn without_small(mask: &Plane<bool>, area: f32) -> Plane<bool> {
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
