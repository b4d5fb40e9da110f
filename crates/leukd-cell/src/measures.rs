//! What a cell's picture measures, without any model: cheap figures that tell a capture which is
//! none of the kind that a model was trained on.

mod texture;

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::foreground::{extent, is_foreground};
use texture::Texture;

/// The figures of one picture. Foreground is what is not black ([`is_foreground`]).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// The foreground's area in pixels.
    pub area: f64,
    /// The share, 0 to 1, of the picture's outermost pixels that are foreground: 0 where the cell
    /// stands free.
    pub frame: f64,
    /// The foreground's area by that of its convex hull, above 0 to 1: one cell is nearly convex,
    /// two are not.
    pub solidity: f64,
    /// The natural logarithm of the variance of the brightness' Laplacian (four neighbours, levels
    /// of 0 to 255) inside the foreground: how sharp the picture is (Pech-Pacheco et al. 2000,
    /// "Diatom autofocusing in brightfield microscopy").
    pub sharpness: f64,
    /// The foreground's mean brightness, 0 to 255 (luma of ITU-R BT.601).
    pub brightness: f64,
    /// The standard deviation of its brightness.
    pub contrast: f64,
    /// The saturation of its mean colour, 0 to 1 (HSV).
    pub saturation: f64,
    /// The hue of its mean colour in degrees, 0 to 360 (HSV): 0 red, 240 blue, 300 magenta.
    pub hue: f64,
}

/// Below this variance of the Laplacian a picture is as flat as can be.
const FLAT: f64 = 1e-3;

impl Measures {
    /// The figures' names, in the order of [`Measures::values`].
    pub const NAMES: [&str; 8] =
        ["area", "frame", "solidity", "sharpness", "brightness", "contrast", "saturation", "hue"];

    /// Their values.
    #[must_use]
    pub const fn values(&self) -> [f64; 8] {
        let Self { area, frame, solidity, sharpness, brightness, contrast, saturation, hue } =
            *self;
        [area, frame, solidity, sharpness, brightness, contrast, saturation, hue]
    }

    /// The figures that [`Measures::values`] gave.
    #[must_use]
    pub const fn from_values(values: [f64; 8]) -> Self {
        let [area, frame, solidity, sharpness, brightness, contrast, saturation, hue] = values;
        Self { area, frame, solidity, sharpness, brightness, contrast, saturation, hue }
    }

    /// Measures `picture`; none where it has no foreground at all.
    #[must_use]
    pub fn of(picture: &RgbImage) -> Option<Self> {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let rows = || picture.as_raw().chunks_exact((width * 3).max(1));
        let extents: Vec<Option<(usize, usize)>> = rows().map(extent).collect();
        let top = extents.iter().position(Option::is_some)?;
        let bottom = extents.iter().rposition(Option::is_some)?;
        let left = extents.iter().flatten().map(|(left, _)| *left).min()?;
        let right = extents.iter().flatten().map(|(_, right)| *right).max()?;
        let frame = frame(&extents, rows(), width, height);

        let lines = rows().take(bottom + 1).skip(top).map(|row| &row[left * 3..=right * 3 + 2]);
        let Texture { colour, light, edges } = texture::of(lines, right - left + 1);
        let (saturation, hue) = saturation_and_hue(colour);
        Some(Self {
            area: light.count,
            frame,
            solidity: light.count / hull(&extents).max(light.count),
            sharpness: edges.variance.max(FLAT).ln(),
            brightness: light.mean,
            contrast: light.variance.sqrt(),
            saturation,
            hue,
        })
    }
}

fn frame<'a>(
    extents: &[Option<(usize, usize)>],
    mut rows: impl Iterator<Item = &'a [u8]>,
    width: usize,
    height: usize,
) -> f64 {
    let whole = |row: Option<&[u8]>| {
        row.map_or(0, |row| {
            row.as_chunks::<3>().0.iter().filter(|pixel| is_foreground(&pixel[..])).count()
        })
    };
    let first = whole(rows.next());
    let last = if height > 1 { whole(rows.nth(height - 2)) } else { 0 };
    let between = extents.get(1..height.saturating_sub(1)).unwrap_or_default();
    let sides: usize = between
        .iter()
        .flatten()
        .map(|(left, right)| {
            usize::from(*left == 0) + usize::from(*right + 1 == width && width > 1)
        })
        .sum();
    let outermost = if width < 3 || height < 3 { width * height } else { 2 * (width + height) - 4 };
    (first + last + sides) as f64 / outermost as f64
}

/// The area of the foreground's convex hull in pixels: each pixel is a square. Andrew's monotone
/// chain over the rows' ends, which come in the order of their rows.
fn hull(extents: &[Option<(usize, usize)>]) -> f64 {
    let mut area = 0.0;
    // The left border, from above to below, and the right one: together they go around.
    for left_side in [true, false] {
        let mut chain: Vec<(f64, f64)> = Vec::new();
        for (row, extent) in extents.iter().enumerate() {
            let Some((left, right)) = extent else { continue };
            let x = if left_side { *left as f64 } else { *right as f64 + 1.0 };
            for y in [row as f64, row as f64 + 1.0] {
                while let [.., a, b] = chain[..] {
                    let turn = (b.0 - a.0) * (y - a.1) - (b.1 - a.1) * (x - a.0);
                    // What does not bulge outwards is none of the hull's.
                    let bulges = if left_side { turn < 0.0 } else { turn > 0.0 };
                    if bulges {
                        break;
                    }
                    chain.pop();
                }
                chain.push((x, y));
            }
        }
        let under: f64 = chain
            .windows(2)
            .map(|pair| (pair[0].0 + pair[1].0) / 2.0 * (pair[1].1 - pair[0].1))
            .sum();
        area += if left_side { -under } else { under };
    }
    area
}

/// Of a colour of three means (Smith 1978, "Color gamut transform pairs": HSV).
fn saturation_and_hue([r, g, b]: [f64; 3]) -> (f64, f64) {
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    let chroma = most - least;
    if most <= 0.0 || chroma <= 0.0 {
        return (0.0, 0.0);
    }
    let sixth = if most == r {
        (g - b) / chroma
    } else if most == g {
        2.0 + (b - r) / chroma
    } else {
        4.0 + (r - g) / chroma
    };
    (chroma / most, (sixth * 60.0).rem_euclid(360.0))
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use crate::foreground::BLACK;

    use super::*;

    fn disc(centres: &[(f64, f64)], radius: f64, colour: [u8; 3]) -> RgbImage {
        RgbImage::from_fn(200, 160, |x, y| {
            let within = |(cx, cy): &(f64, f64)| {
                (f64::from(x) + 0.5 - cx).hypot(f64::from(y) + 0.5 - cy) < radius
            };
            Rgb(if centres.iter().any(within) { colour } else { [0; 3] })
        })
    }

    #[test]
    fn a_disc_measures_what_a_disc_is() {
        let seen = Measures::of(&disc(&[(100.0, 80.0)], 50.0, [150, 60, 180])).unwrap();
        assert!((seen.area / (std::f64::consts::PI * 2500.0) - 1.0).abs() < 0.01, "{seen:?}");
        assert!(seen.solidity > 0.98 && seen.solidity <= 1.0, "{seen:?}");
        assert_eq!(seen.frame, 0.0);
        assert!((seen.brightness - (0.299 * 150.0 + 0.587 * 60.0 + 0.114 * 180.0)).abs() < 0.01);
        assert!(seen.contrast < 0.1 && seen.sharpness < -6.0, "{seen:?}");
        assert!((seen.saturation - 120.0 / 180.0).abs() < 1e-9 && (seen.hue - 285.0).abs() < 1e-9);
    }

    #[test]
    fn two_discs_are_not_solid_and_one_at_the_edge_touches_the_frame() {
        let two = Measures::of(&disc(&[(50.0, 80.0), (150.0, 80.0)], 45.0, [200, 90, 90])).unwrap();
        assert!(two.solidity < 0.9, "{two:?}");
        let hull = std::f64::consts::PI * 45.0 * 45.0 + 100.0 * 90.0;
        assert!((two.area / two.solidity / hull - 1.0).abs() < 0.02, "{two:?}");
        let edge = Measures::of(&disc(&[(0.0, 80.0)], 40.0, [200, 90, 90])).unwrap();
        assert!((edge.frame - 80.0 / 716.0).abs() < 0.005, "{edge:?}");
    }

    #[test]
    fn a_black_picture_measures_nothing_and_one_pixel_something() {
        assert_eq!(Measures::of(&RgbImage::new(20, 20)), None);
        assert_eq!(Measures::of(&RgbImage::new(0, 0)), None);
        let one = Measures::of(&RgbImage::from_pixel(1, 1, Rgb([9, 99, 9]))).unwrap();
        assert_eq!((one.area, one.frame, one.solidity, one.hue), (1.0, 1.0, 1.0, 120.0));
    }

    #[test]
    fn a_row_is_foreground_from_its_first_lit_sample_to_its_last() {
        for (width, lit) in
            [(1, vec![0]), (64, vec![0, 63]), (130, vec![65, 66]), (131, vec![22, 129, 130])]
        {
            for channel in 0..3 {
                let mut row = vec![BLACK; width * 3];
                lit.iter().for_each(|x| row[x * 3 + channel] = BLACK + 1);
                assert_eq!(extent(&row), Some((lit[0], lit[lit.len() - 1])), "{width} {channel}");
            }
            assert_eq!(extent(&vec![BLACK; width * 3]), None);
        }
    }

    #[test]
    fn blur_takes_sharpness_away() {
        let noisy = RgbImage::from_fn(90, 90, |x, y| {
            let shade = 90 + ((x * 7 + y * 13) % 60) as u8;
            Rgb([shade, shade / 2, shade])
        });
        let blurred = image::imageops::blur(&noisy, 3.0);
        let [sharp, soft] =
            [&noisy, &blurred].map(|picture| Measures::of(picture).unwrap().sharpness);
        assert!(sharp > soft + 2.0, "{sharp} {soft}");
    }
}
