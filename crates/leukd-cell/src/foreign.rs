//! Drawn pictures that are no single cell: what a model should leave to a person, for tests and
//! reports.
//!
//! The same seed gives the same pixels on every machine: all arithmetic is on integers.

use image::{Rgb, RgbImage};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::synthetic::{self, Kind, SIDE};
use crate::foreground::is_foreground;

/// What is drawn instead of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Foreign {
    /// Nothing: every pixel is black.
    Black,
    /// One colour over the whole picture.
    Blank,
    /// Each sample by chance.
    Noise,
    /// Stripes of light over the whole picture, as of a photograph of something else.
    Stripes,
    /// A disc of one colour on black, as large as a cell.
    Disc,
    /// Two cells in one picture.
    TwoCells,
}

impl Foreign {
    /// Every kind.
    pub const EVERY: [Self; 6] =
        [Self::Black, Self::Blank, Self::Noise, Self::Stripes, Self::Disc, Self::TwoCells];

    /// Its name, in kebab case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Black => "black",
            Self::Blank => "blank",
            Self::Noise => "noise",
            Self::Stripes => "stripes",
            Self::Disc => "disc",
            Self::TwoCells => "two-cells",
        }
    }

    /// `most` pictures of this kind, no two of them alike: of a black one there is only one.
    pub fn pictures(self, most: u64) -> impl Iterator<Item = RgbImage> {
        let count = if self == Self::Black { most.min(1) } else { most };
        (0..count).map(move |seed| self.draw(seed))
    }

    /// One picture, [`SIDE`] pixels square.
    #[must_use]
    pub fn draw(self, seed: u64) -> RgbImage {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let mut colour = || Rgb([(); 3].map(|()| dice.random_range(40..=240_u8)));
        match self {
            Self::Black => RgbImage::new(SIDE, SIDE),
            Self::Blank => RgbImage::from_pixel(SIDE, SIDE, colour()),
            Self::Noise => {
                RgbImage::from_fn(SIDE, SIDE, |_, _| Rgb([(); 3].map(|()| dice.random())))
            }
            Self::Stripes => stripes(&mut dice),
            Self::Disc => {
                let colour = colour();
                disc(dice.random_range(80..=122), colour)
            }
            Self::TwoCells => two_cells(seed),
        }
    }
}

/// Triangle waves, each colour's a third of a wave behind the one before.
fn stripes(dice: &mut ChaCha8Rng) -> RgbImage {
    let half = dice.random_range(20..=80_u32);
    let across = dice.random_range(1..=3_u32);
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        Rgb([0, 1, 2].map(|colour| {
            let at = (x * across + y + colour * 2 * half / 3) % (2 * half);
            u8::try_from(28 + at.abs_diff(half) * 200 / half).unwrap_or(u8::MAX)
        }))
    })
}

fn disc(radius: u32, colour: Rgb<u8>) -> RgbImage {
    let off = |at: u32| at.abs_diff(SIDE / 2);
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let inside = off(x) * off(x) + off(y) * off(y) < radius * radius;
        if inside { colour } else { Rgb([0; 3]) }
    })
}

/// Beside each other, and of the smaller kind: neither is cut off.
fn two_cells(seed: u64) -> RgbImage {
    const APART: u32 = 100;
    let [left, right] =
        [0, 1].map(|which| synthetic::cell(seed.wrapping_mul(2).wrapping_add(which), Kind::Normal));
    let black = Rgb([0; 3]);
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let of = |cell: &RgbImage, at: Option<u32>| {
            at.and_then(|x| cell.get_pixel_checked(x, y)).copied().unwrap_or(black)
        };
        let above = of(&right, x.checked_sub(APART));
        if is_foreground(&above.0) { above } else { of(&left, x.checked_add(APART)) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Measures;

    #[test]
    fn each_kind_is_what_its_name_says() {
        let measures = |kind: Foreign| Measures::of(&kind.draw(5));
        assert_eq!(measures(Foreign::Black), None);
        for whole in [Foreign::Blank, Foreign::Noise, Foreign::Stripes] {
            assert!(measures(whole).unwrap().frame > 0.9, "{whole:?}");
        }
        let disc = measures(Foreign::Disc).unwrap();
        assert!(disc.frame == 0.0 && disc.contrast < 0.1 && disc.solidity > 0.98, "{disc:?}");
        for seed in 0..20 {
            let two = Measures::of(&Foreign::TwoCells.draw(seed)).unwrap();
            assert!(two.frame == 0.0 && two.solidity < 0.95, "{seed}: {two:?}");
        }
    }

    #[test]
    fn no_picture_comes_twice() {
        for kind in Foreign::EVERY {
            let pictures: Vec<_> = kind.pictures(5).collect();
            assert_eq!(pictures.len(), if kind == Foreign::Black { 1 } else { 5 });
            let differ = |(at, one): (usize, &RgbImage)| !pictures[..at].contains(one);
            assert!(pictures.iter().enumerate().all(differ), "{kind:?}");
        }
    }
}
