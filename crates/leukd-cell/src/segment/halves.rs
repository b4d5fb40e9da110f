//! Halves of one cell whose lobes were taken for two nuclei.

use super::cells::Shape;
use super::outline::{Point, area, hull};

/// Outlines of one cell lie so near to each other, in red cells' diameters.
const NEAR: f32 = 0.2;
/// Area of the outlines by that of the hull around them, at least: the rest may be cytoplasm that
/// none of them holds.
const MIN_FILLED: f64 = 0.7;
/// Area of a cell by that of the hull around it. Two discs that touch have 0.88.
const MIN_SOLIDITY: f64 = 0.93;
/// [`circularity`] of a part of a cell, at most. Half a disc has 0.75, a third of one 0.79; a hexagon,
/// as cells that are packed closely become, has 0.91.
const MAX_HALF: f64 = 0.86;
/// Longest by shortest width of the hull. Two discs that touch have 2.
const MAX_ELONGATION: f32 = 1.5;
/// Longest width of a white cell in red cells' diameters.
const MAX_WIDTH: f32 = 3.2;

/// Groups of shapes that may be one round cell together, by their places in `shapes`, the larger
/// groups first. Whether they are one shows when they are outlined as one ([`is_round`]).
pub(super) fn find(shapes: &[Option<Shape>], diameter: f32) -> Vec<Vec<usize>> {
    let outline = |at: usize| shapes[at].as_ref().map(|shape| &shape.outline[..]);
    let spans: Vec<_> = (0..shapes.len()).map(|at| outline(at).map(Span::new)).collect();
    let near = NEAR * diameter;
    let mut pairs = Vec::new();
    for one in 0..shapes.len() {
        for two in one + 1..shapes.len() {
            let is_near =
                matches!((&spans[one], &spans[two]), (Some(a), Some(b)) if a.meets(b, near));
            if let (true, Some(first), Some(second)) = (is_near, outline(one), outline(two))
                && meet(first, second, near)
            {
                pairs.push([one, two]);
            }
        }
    }
    // Three lobes first: two of three are no disc.
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for [one, two] in &pairs {
        let third = |[a, b]: &[usize; 2]| match () {
            () if [one, two].contains(&a) && ![one, two].contains(&b) => Some(*b),
            () if [one, two].contains(&b) && ![one, two].contains(&a) => Some(*a),
            () => None,
        };
        groups.extend(pairs.iter().filter_map(third).map(|third| vec![*one, *two, third]));
    }
    groups.extend(pairs.iter().map(|pair| pair.to_vec()));
    groups.retain(|group| {
        let outlines: Vec<&[Point]> = group.iter().filter_map(|at| outline(*at)).collect();
        may_be_one(&outlines, diameter)
    });
    groups
}

/// True for outlines that fill most of a hull that is as round as a cell, unless each is as round
/// itself: then they are cells that lie close together.
fn may_be_one(outlines: &[&[Point]], diameter: f32) -> bool {
    if outlines.iter().all(|outline| circularity(outline) > MAX_HALF) {
        return false;
    }
    let hull = hull(outlines.iter().flat_map(|outline| outline.iter().copied()).collect());
    let (widest, narrowest) = widths(&hull);
    let filled: f64 = outlines.iter().map(|outline| area(outline)).sum();
    widest <= MAX_WIDTH * diameter
        && widest <= MAX_ELONGATION * narrowest
        && filled >= MIN_FILLED * area(&hull)
}

/// Area by that of a disc with the same perimeter: 1 for a disc.
fn circularity(outline: &[Point]) -> f64 {
    let hull = hull(outline.to_vec());
    let length = |(from, to): (Point, Point)| f64::from((to.x - from.x).hypot(to.y - from.y));
    let perimeter: f64 = sides(&hull).map(length).sum();
    4.0 * std::f64::consts::PI * area(outline) / (perimeter * perimeter).max(1.0)
}

/// True for the shape of a single cell: without a waist, and about as wide as long.
pub(super) fn is_round(shape: &Shape) -> bool {
    shape.solidity >= MIN_SOLIDITY && !is_long(shape)
}

/// True for a shape that is longer than a single cell.
pub(super) fn is_long(shape: &Shape) -> bool {
    let (widest, narrowest) = widths(&hull(shape.outline.clone()));
    widest > MAX_ELONGATION * narrowest
}

/// True for outlines with a point of one near to a side of the other.
fn meet(first: &[Point], second: &[Point], near: f32) -> bool {
    let is_near = |own: &[Point], other: &[Point]| {
        own.iter().any(|point| sides(other).any(|side| distance(*point, side) <= near))
    };
    is_near(first, second) || is_near(second, first)
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
        assert!(meet(&left, &right, 4.0) && may_be_one(&[&left, &right], 40.0));
        let (one, two) = (arc((50.0, 50.0), 25.0, 0.0, 345.0), arc((98.0, 50.0), 25.0, 0.0, 345.0));
        assert!(!may_be_one(&[&one, &two], 40.0));
    }

    #[test]
    fn three_round_cells_that_lie_close_together_stay_three_and_three_thirds_are_one() {
        let around = |away: f32, radius: f32, half: f32| {
            [90.0_f32, 210.0, 330.0].map(|angle| {
                let (sin, cos) = angle.to_radians().sin_cos();
                let centre = (60.0 + away * cos, 60.0 + away * sin);
                let mut own = arc(centre, radius, angle - half, angle + half);
                own.push(Point { x: centre.0, y: centre.1 });
                if half > 90.0 {
                    own.pop();
                }
                own
            })
        };
        let [a, b, c] = around(24.0, 20.0, 172.0);
        assert!(!may_be_one(&[&a, &b, &c], 40.0));
        let [a, b, c] = around(1.0, 30.0, 60.0);
        assert!(may_be_one(&[&a, &b, &c], 40.0));
    }

    #[test]
    fn a_hull_leaves_inner_points_out() {
        let corners = [(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0), (2.0, 2.0), (2.0, 0.0)];
        let points = corners.map(|(x, y)| Point { x, y });
        let hull = hull(points.to_vec());
        assert_eq!((hull.len(), area(&hull)), (4, 16.0));
    }
}
