//! Outlines of masks as polygons, and polygons as masks.

use serde::{Deserialize, Serialize};

use super::plane::Plane;

/// A point of a picture: 0, 0 is the upper left corner of its first pixel, whose middle is at ½, ½.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Pixels to the right.
    pub x: f32,
    /// Pixels down.
    pub y: f32,
}

/// The border of the component of `mask` that holds the longest outline, through the middles of the
/// pixels' sides, in the mask's pixels. Empty for an empty mask; holes are passed over.
pub(super) fn trace(mask: &Plane<bool>) -> Vec<Point> {
    let is_set = |x: i32, y: i32| match (usize::try_from(x), usize::try_from(y)) {
        (Ok(x), Ok(y)) => x < mask.width && y < mask.height && mask.at(x, y),
        _ => false,
    };
    let Some(first) = mask.values.iter().position(|set| *set) else { return Vec::new() };
    // Walk the cracks between pixels with the component on the right hand.
    let start = ((first % mask.width) as i32, (first / mask.width) as i32);
    let (mut corner, mut heading) = (start, (1, 0));
    let mut points = Vec::new();
    loop {
        let (dx, dy) = heading;
        points.push(Point {
            x: corner.0 as f32 + dx as f32 / 2.0,
            y: corner.1 as f32 + dy as f32 / 2.0,
        });
        corner = (corner.0 + dx, corner.1 + dy);
        // The two pixels ahead of the corner, to the right and to the left.
        let ahead = |side: i32| {
            let x = corner.0 + (dx - 1 - side * dy).div_euclid(2);
            let y = corner.1 + (dy - 1 + side * dx).div_euclid(2);
            is_set(x, y)
        };
        heading = if !ahead(1) {
            (-dy, dx)
        } else if !ahead(-1) {
            (dx, dy)
        } else {
            (dy, -dx)
        };
        if corner == start && heading == (1, 0) {
            return points;
        }
    }
}

/// Means of each point with its neighbours, 1-2-1, repeated `times` times: it removes the steps of
/// whole pixels.
pub(super) fn smoothed(mut points: Vec<Point>, times: usize) -> Vec<Point> {
    let count = points.len();
    if count < 4 {
        return points;
    }
    for _ in 0..times {
        let before = points.clone();
        for (at, point) in points.iter_mut().enumerate() {
            let (last, own, next) =
                (before[(at + count - 1) % count], before[at], before[(at + 1) % count]);
            *point = Point {
                x: (last.x + 2.0 * own.x + next.x) / 4.0,
                y: (last.y + 2.0 * own.y + next.y) / 4.0,
            };
        }
    }
    points
}

/// Leaves out points that lie within `tolerance` pixels of the line between those kept; with more
/// than `most` left, the tolerance grows until they are fewer.
///
/// Douglas & Peucker 1973, on a closed line: from the first point and the one farthest from it.
pub(super) fn simplified(points: &[Point], tolerance: f32, most: usize) -> Vec<Point> {
    let mut tolerance = tolerance;
    loop {
        let kept = reduced(points, tolerance);
        if kept.len() <= most.max(3) || points.len() <= 3 {
            return kept;
        }
        tolerance *= 1.5;
    }
}

fn reduced(points: &[Point], tolerance: f32) -> Vec<Point> {
    let Some(first) = points.first() else { return Vec::new() };
    let away = |point: &Point| (point.x - first.x).hypot(point.y - first.y);
    let far = (0..points.len()).max_by(|a, b| away(&points[*a]).total_cmp(&away(&points[*b])));
    let far = far.unwrap_or(0);
    let mut keep = vec![false; points.len() + 1];
    (keep[0], keep[far]) = (true, true);
    let closed = |at: usize| points[at % points.len()];
    let mut waiting = vec![(0, far), (far, points.len())];
    while let Some((from, to)) = waiting.pop() {
        let (a, b) = (closed(from), closed(to));
        let length = (b.x - a.x).hypot(b.y - a.y);
        let off = |at: usize| {
            let point = closed(at);
            if length <= f32::EPSILON {
                return (point.x - a.x).hypot(point.y - a.y);
            }
            ((b.x - a.x) * (point.y - a.y) - (b.y - a.y) * (point.x - a.x)).abs() / length
        };
        let worst = (from + 1..to).max_by(|one, two| off(*one).total_cmp(&off(*two)));
        if let Some(at) = worst.filter(|at| off(*at) > tolerance) {
            keep[at] = true;
            waiting.extend([(from, at), (at, to)]);
        }
    }
    points.iter().zip(keep).filter(|(_, keep)| *keep).map(|(point, _)| *point).collect()
}

/// Area inside a closed polygon in square pixels (the shoelace formula).
#[must_use]
pub fn area(outline: &[Point]) -> f64 {
    let next = outline.iter().cycle().skip(1);
    let twice: f64 = outline
        .iter()
        .zip(next)
        .map(|(a, b)| f64::from(a.x) * f64::from(b.y) - f64::from(b.x) * f64::from(a.y))
        .sum();
    (twice / 2.0).abs()
}

/// Runs of pixels `(row, from column, to column)` inside a closed polygon, in a picture of `width`
/// × `height` pixels: those whose middle is inside by the even-odd rule. `to` is not part of the
/// run.
pub fn runs(
    outline: &[Point],
    width: u32,
    height: u32,
) -> impl Iterator<Item = (u32, u32, u32)> + '_ {
    let lowest = outline.iter().map(|point| point.y).fold(f32::INFINITY, f32::min);
    let highest = outline.iter().map(|point| point.y).fold(0.0, f32::max);
    let from = super::plane::index(lowest, height as usize) as u32;
    let end = super::plane::index(highest.ceil(), height as usize + 1) as u32;
    let to = if outline.is_empty() { from } else { end };
    (from..to).flat_map(move |row| {
        let middle = row as f32 + 0.5;
        let next = outline.iter().cycle().skip(1);
        let mut crossings: Vec<f32> = outline
            .iter()
            .zip(next)
            .filter(|(a, b)| (a.y <= middle) != (b.y <= middle))
            .map(|(a, b)| a.x + (middle - a.y) / (b.y - a.y) * (b.x - a.x))
            .collect();
        crossings.sort_by(f32::total_cmp);
        let column = |x: f32| super::plane::index((x - 0.5).ceil(), width as usize + 1) as u32;
        let pairs: Vec<_> = crossings
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[from, to]| (row, column(*from), column(*to)))
            .filter(|(_, from, to)| from < to)
            .collect();
        pairs
    })
}

/// The convex hull (Andrew 1979, monotone chain).
pub(super) fn hull(mut points: Vec<Point>) -> Vec<Point> {
    points.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    let mut chain: Vec<Point> = Vec::new();
    for is_upper in [false, true] {
        let start = chain.len();
        let mut add = |point: Point| {
            while let [.., a, b] = chain[start.min(chain.len())..] {
                let turn = (b.x - a.x) * (point.y - a.y) - (b.y - a.y) * (point.x - a.x);
                if turn > 0.0 {
                    break;
                }
                chain.pop();
            }
            chain.push(point);
        };
        if is_upper {
            points.iter().rev().copied().for_each(&mut add);
        } else {
            points.iter().copied().for_each(&mut add);
        }
        chain.pop();
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disc(radius: f32) -> Plane<bool> {
        let mut mask = Plane::filled(80, 60, false);
        for (at, set) in mask.values.iter_mut().enumerate() {
            let (x, y) = ((at % 80) as f32 + 0.5, (at / 80) as f32 + 0.5);
            *set = (x - 40.0).hypot(y - 30.0) < radius;
        }
        mask
    }

    #[test]
    fn an_outline_filled_again_is_the_mask() {
        let mask = disc(20.0);
        let outline = simplified(&smoothed(trace(&mask), 2), 0.3, 64);
        assert!(outline.len() > 8 && outline.len() <= 64, "{}", outline.len());
        let filled: u32 = runs(&outline, 80, 60).map(|(_, from, to)| to - from).sum();
        assert!((f64::from(filled) / mask.count() as f64 - 1.0).abs() < 0.02, "{filled}");
        assert!((area(&outline) / mask.count() as f64 - 1.0).abs() < 0.02);
        assert!(simplified(&trace(&mask), 0.1, 12).len() <= 12);
    }

    #[test]
    fn a_pixel_has_four_sides_and_an_empty_mask_none() {
        let mut mask = Plane::filled(5, 4, false);
        assert!(trace(&mask).is_empty());
        mask.values[7] = true;
        assert_eq!(trace(&mask).len(), 4);
        assert_eq!(runs(&[], 5, 4).count(), 0);
    }
}
