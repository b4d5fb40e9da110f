//! A map over a picture, for people: red where it is positive, blue where it is negative.

use image::{Rgb, RgbImage};

use super::preprocess::Placement;

/// At the place that weighs most so much of the picture is covered, 0 to 1: the cell can still be
/// seen.
const MOST: f64 = 0.65;

/// Draws `map` (row-major, `rows` × `columns`) over `picture`, at its `placement`, interpolated
/// bilinearly between the middles of its places. The strongest place has the strongest colour,
/// whatever its value: two pictures are not compared by their colours.
#[must_use]
pub fn overlay(
    picture: &RgbImage,
    map: &[f64],
    rows: usize,
    columns: usize,
    placement: Placement,
) -> RgbImage {
    let strongest = map.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    let mut drawn = picture.clone();
    if strongest == 0.0 || !strongest.is_finite() || map.len() != rows * columns {
        return drawn;
    }
    let side = f64::from(placement.side);
    for (x, y, pixel) in drawn.enumerate_pixels_mut() {
        let u = (f64::from(x) + 0.5 - placement.left as f64) / side;
        let v = (f64::from(y) + 0.5 - placement.top as f64) / side;
        if !(0.0..1.0).contains(&u) || !(0.0..1.0).contains(&v) {
            continue;
        }
        let value = between(map, rows, columns, u, v) / strongest;
        let share = value.abs() * MOST;
        let colour = if value > 0.0 { [255.0, 40.0, 40.0] } else { [40.0, 90.0, 255.0] };
        let mixed = |channel: usize| {
            f64::from(pixel.0[channel]).mul_add(1.0 - share, colour[channel] * share)
        };
        *pixel = Rgb([mixed(0), mixed(1), mixed(2)].map(byte));
    }
    drawn
}

/// The map at the shares `(u, v)`, 0 to 1; beyond the middles of its outermost places it stays as
/// it is there.
fn between(map: &[f64], rows: usize, columns: usize, u: f64, v: f64) -> f64 {
    let (left, right, x) = neighbours(u, columns);
    let (above, below, y) = neighbours(v, rows);
    let line = |row: usize| map[row * columns + left] * (1.0 - x) + map[row * columns + right] * x;
    line(above) * (1.0 - y) + line(below) * y
}

/// The two places of a row of `count` around the share `at`, and how far it lies from the first to
/// the second, 0 to 1.
#[expect(clippy::cast_sign_loss, reason = "clamped at 0")]
fn neighbours(at: f64, count: usize) -> (usize, usize, f64) {
    let last = count.saturating_sub(1);
    let place = at.mul_add(count as f64, -0.5).clamp(0.0, last as f64);
    let before = place.floor();
    (before as usize, (before as usize + 1).min(last), place - before)
}

#[expect(clippy::cast_sign_loss, reason = "a mean of bytes is none below 0")]
fn byte(value: f64) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_colours_its_part_of_the_picture_and_nothing_outside_the_square() {
        let picture = RgbImage::from_pixel(90, 50, Rgb([100, 100, 100]));
        let placement = Placement { left: 20, top: 0, side: 50 };
        let drawn = overlay(&picture, &[1.0, 0.0, 0.0, -1.0], 2, 2, placement);
        let [red, blue, outside] =
            [(22, 2), (67, 47), (80, 25)].map(|(x, y)| drawn.get_pixel(x, y).0);
        assert!(red[0] > 150 && red[2] < 100, "{red:?}");
        assert!(blue[2] > 150 && blue[0] < 100, "{blue:?}");
        assert_eq!(outside, [100; 3]);
        let nothing = overlay(&picture, &[0.0; 4], 2, 2, placement);
        assert_eq!(nothing, picture);
    }
}
