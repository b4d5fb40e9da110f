//! Halves of one cell whose lobes were taken for two nuclei.

use super::cells::Shape;
use super::outline::{Point, area, hull};

/// Two outlines share a border where their points lie so near, in red cells' diameters.
const NEAR: f32 = 0.1;
/// At least this share of the smaller outline is border with the other.
const MIN_SHARED: f32 = 0.18;
/// Area of both by that of the hull around them. Two discs that touch have 0.88.
const MIN_SOLIDITY: f64 = 0.93;
/// Longest by shortest width of the hull. Two discs that touch have 2.
const MAX_ELONGATION: f32 = 1.5;
/// Longest width of a white cell in red cells' diameters.
const MAX_WIDTH: f32 = 3.2;

/// Groups of shapes that are one round cell together, by their places in `shapes`.
pub(super) fn find(shapes: &[Option<Shape>], diameter: f32) -> Vec<Vec<usize>> {
    let outline = |at: usize| shapes[at].as_ref().map(|shape| &shape.outline[..]);
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut is_grouped = vec![false; shapes.len()];
    let mut pairs = Vec::new();
    let near = NEAR * diameter;
    let spans: Vec<_> = (0..shapes.len()).map(|at| outline(at).map(Span::new)).collect();
    for one in 0..shapes.len() {
        for two in one + 1..shapes.len() {
            let is_near =
                matches!((&spans[one], &spans[two]), (Some(a), Some(b)) if a.meets(b, near));
            if let (true, Some(first), Some(second)) = (is_near, outline(one), outline(two))
                && share_border(first, second, near)
            {
                pairs.push([one, two]);
            }
        }
    }
    // Three lobes first: two of three are no disc.
    for [one, two] in &pairs {
        let third = |[a, b]: &[usize; 2]| match () {
            () if [one, two].contains(&a) && ![one, two].contains(&b) => Some(*b),
            () if [one, two].contains(&b) && ![one, two].contains(&a) => Some(*a),
            () => None,
        };
        let mut tried: Vec<Vec<usize>> =
            pairs.iter().filter_map(third).map(|third| vec![*one, *two, third]).collect();
        tried.push(vec![*one, *two]);
        for group in tried {
            let outlines: Vec<&[Point]> = group.iter().filter_map(|at| outline(*at)).collect();
            if !group.iter().any(|at| is_grouped[*at]) && is_one(&outlines, diameter) {
                group.iter().for_each(|at| is_grouped[*at] = true);
                groups.push(group);
            }
        }
    }
    groups
}

/// True for outlines that fill a round hull.
fn is_one(outlines: &[&[Point]], diameter: f32) -> bool {
    let hull = hull(outlines.iter().flat_map(|outline| outline.iter().copied()).collect());
    let (widest, narrowest) = widths(&hull);
    let filled: f64 = outlines.iter().map(|outline| area(outline)).sum();
    widest <= MAX_WIDTH * diameter
        && widest <= MAX_ELONGATION * narrowest
        && filled >= MIN_SOLIDITY * area(&hull)
}

fn share_border(first: &[Point], second: &[Point], near: f32) -> bool {
    let share = |own: &[Point], other: &[Point]| {
        let (mut all, mut shared) = (0.0, 0.0);
        for (from, to) in sides(own) {
            let length = (to.x - from.x).hypot(to.y - from.y);
            let middle = Point { x: (from.x + to.x) / 2.0, y: (from.y + to.y) / 2.0 };
            all += length;
            if sides(other).any(|side| distance(middle, side) <= near) {
                shared += length;
            }
        }
        shared / all.max(1.0)
    };
    share(first, second).max(share(second, first)) >= MIN_SHARED
}

/// The box around an outline.
struct Span {
    low: Point,
    high: Point,
}

impl Span {
    fn new(outline: &[Point]) -> Self {
        let ends = |value: fn(&Point) -> f32| {
            let ends = (f32::INFINITY, f32::NEG_INFINITY);
            outline.iter().map(value).fold(ends, |(low, high), own| (low.min(own), high.max(own)))
        };
        let (x, y) = (ends(|point| point.x), ends(|point| point.y));
        Self { low: Point { x: x.0, y: y.0 }, high: Point { x: x.1, y: y.1 } }
    }

    fn meets(&self, other: &Self, near: f32) -> bool {
        let is_apart =
            |one: &Self, two: &Self| one.low.x > two.high.x + near || one.low.y > two.high.y + near;
        !is_apart(self, other) && !is_apart(other, self)
    }
}

fn sides(outline: &[Point]) -> impl Iterator<Item = (Point, Point)> + '_ {
    outline.iter().copied().zip(outline.iter().copied().cycle().skip(1))
}

/// Distance of a point from a line between two.
fn distance(point: Point, (from, to): (Point, Point)) -> f32 {
    let (x, y) = (to.x - from.x, to.y - from.y);
    let squared = (x * x + y * y).max(f32::EPSILON);
    let share = (((point.x - from.x) * x + (point.y - from.y) * y) / squared).clamp(0.0, 1.0);
    (from.x + share * x - point.x).hypot(from.y + share * y - point.y)
}

/// Widest and narrowest width over all directions, to 6 degrees.
fn widths(hull: &[Point]) -> (f32, f32) {
    let (mut widest, mut narrowest) = (0.0_f32, f32::INFINITY);
    for step in 0..30_u8 {
        let angle = f32::from(step) * std::f32::consts::PI / 30.0;
        let along = |point: &Point| point.x * angle.cos() + point.y * angle.sin();
        let high = hull.iter().map(along).fold(f32::NEG_INFINITY, f32::max);
        let low = hull.iter().map(along).fold(f32::INFINITY, f32::min);
        widest = widest.max(high - low);
        narrowest = narrowest.min(high - low);
    }
    (widest, narrowest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arc(centre: (f32, f32), radius: f32, from: f32, to: f32) -> Vec<Point> {
        (0..=24)
            .map(|step| {
                let angle = (from + (to - from) * step as f32 / 24.0).to_radians();
                Point { x: centre.0 + radius * angle.cos(), y: centre.1 + radius * angle.sin() }
            })
            .collect()
    }

    #[test]
    fn halves_of_a_disc_are_one_cell_and_two_discs_are_two() {
        let (left, right) =
            (arc((50.0, 50.0), 30.0, 90.0, 270.0), arc((51.0, 50.0), 30.0, -90.0, 90.0));
        assert!(share_border(&left, &right, 4.0) && is_one(&[&left, &right], 40.0));
        let (one, two) = (arc((50.0, 50.0), 25.0, 0.0, 345.0), arc((98.0, 50.0), 25.0, 0.0, 345.0));
        assert!(!is_one(&[&one, &two], 40.0));
    }

    #[test]
    fn a_hull_leaves_inner_points_out() {
        let corners = [(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0), (2.0, 2.0), (2.0, 0.0)];
        let points = corners.map(|(x, y)| Point { x, y });
        let hull = hull(points.to_vec());
        assert_eq!((hull.len(), area(&hull)), (4, 16.0));
    }
}
