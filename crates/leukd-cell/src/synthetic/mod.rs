//! Made-up stained cells on black, for golden inputs, self-tests and demonstrations. They only look
//! like cells: nothing is learnt from them.
//!
//! The same seed gives the same pixels on every machine: all arithmetic is on integers.

pub mod smear;

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Width and height of a synthetic cell's picture: C-NMC's.
pub const SIDE: u32 = 450;

/// What the cell looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A large cell, nearly all nucleus, with fine chromatin.
    Blast,
    /// A smaller cell with more cytoplasm and clumped chromatin.
    Normal,
}

/// Numbers that make one kind. Lengths in pixels.
struct Recipe {
    /// The cell's radius: from, to.
    radius: (i64, i64),
    /// The nucleus' radius in percent of the cell's.
    nucleus_percent: i64,
    /// The distance between two points of the chromatin's texture.
    grain: i64,
    nucleus: [i64; 3],
    cytoplasm: [i64; 3],
}

impl Kind {
    /// Radii as C-NMC has them: some 24,000 pixels of a normal cell, some 40,000 of a blast.
    const fn recipe(self) -> Recipe {
        match self {
            Self::Blast => Recipe {
                radius: (108, 122),
                nucleus_percent: 93,
                grain: 9,
                nucleus: [112, 62, 140],
                cytoplasm: [158, 140, 196],
            },
            Self::Normal => Recipe {
                radius: (80, 92),
                nucleus_percent: 76,
                grain: 17,
                nucleus: [92, 46, 122],
                cytoplasm: [176, 158, 206],
            },
        }
    }
}

/// One cell of `kind`, [`SIDE`] pixels square, on black.
#[must_use]
pub fn cell(seed: u64, kind: Kind) -> RgbImage {
    let recipe = kind.recipe();
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let middle = i64::from(SIDE / 2);
    let centre = [0, 1].map(|_| middle + dice.random_range(-8..=8));
    let radius = dice.random_range(recipe.radius.0..=recipe.radius.1);
    let body = Blob::new(&mut dice, centre, radius);
    let nucleus_centre = centre.map(|at| at + dice.random_range(-radius / 40..=radius / 40));
    let nucleus = Blob::new(&mut dice, nucleus_centre, radius * recipe.nucleus_percent / 100);
    let chromatin = Noise::new(&mut dice, recipe.grain);
    let stain = Noise::new(&mut dice, 40);
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let at = [i64::from(x), i64::from(y)];
        if !body.holds(at) {
            return Rgb([0; 3]);
        }
        let (base, depth) = if nucleus.holds(at) {
            (recipe.nucleus, chromatin.at(at) * 44 / Noise::FULL - 22)
        } else {
            (recipe.cytoplasm, chromatin.at(at) * 16 / Noise::FULL - 8)
        };
        let light = depth + stain.at(at) * 20 / Noise::FULL - 10;
        Rgb(base.map(|level| u8::try_from((level + light).clamp(16, 240)).unwrap_or(u8::MAX)))
    })
}

/// A roundish outline: where the fields of some overlapping balls add up to enough.
struct Blob {
    /// Centre and squared radius.
    balls: Vec<([i64; 2], i64)>,
}

impl Blob {
    const BALLS: i64 = 5;
    const UNIT: i64 = 1 << 16;

    /// Balls of about the blob's own radius, their centres slightly apart.
    fn new(dice: &mut ChaCha8Rng, centre: [i64; 2], radius: i64) -> Self {
        let apart = radius / 8;
        let balls = (0..Self::BALLS)
            .map(|_| {
                let at = centre.map(|middle| middle + dice.random_range(-apart..=apart));
                let own = radius + dice.random_range(-radius / 12..=radius / 12);
                (at, own * own)
            })
            .collect();
        Self { balls }
    }

    /// Each ball's field is its squared radius over the squared distance, 1 on its own edge.
    fn holds(&self, [x, y]: [i64; 2]) -> bool {
        let field: i64 = self
            .balls
            .iter()
            .map(|([ball_x, ball_y], squared)| {
                let distance = (x - ball_x).pow(2) + (y - ball_y).pow(2);
                squared * Self::UNIT / distance.max(1)
            })
            .sum();
        field >= Self::BALLS * Self::UNIT
    }
}

/// Value noise: random levels on a grid, bilinear in between.
struct Noise {
    levels: Vec<i64>,
    grain: i64,
    columns: i64,
}

impl Noise {
    /// Levels run from 0 to this.
    const FULL: i64 = 255;

    fn new(dice: &mut ChaCha8Rng, grain: i64) -> Self {
        let columns = i64::from(SIDE) / grain + 2;
        let levels = (0..columns * columns).map(|_| dice.random_range(0..=Self::FULL)).collect();
        Self { levels, grain, columns }
    }

    fn at(&self, [x, y]: [i64; 2]) -> i64 {
        let (column, row) = (x / self.grain, y / self.grain);
        let (right, down) = (x % self.grain, y % self.grain);
        let level = |column: i64, row: i64| {
            let index = usize::try_from(row * self.columns + column).unwrap_or_default();
            self.levels.get(index).copied().unwrap_or_default()
        };
        let across =
            |row| level(column, row) * (self.grain - right) + level(column + 1, row) * right;
        (across(row) * (self.grain - down) + across(row + 1) * down) / (self.grain * self.grain)
    }
}

/// A 24-bit BMP with the 54-byte header that most programs write.
#[must_use]
pub fn bmp(picture: &RgbImage) -> Vec<u8> {
    let padding = (4 - picture.width() as usize * 3 % 4) % 4;
    let mut rows = Vec::new();
    for row in picture.rows().rev() {
        for Rgb([red, green, blue]) in row {
            rows.extend([blue, green, red]);
        }
        rows.extend(std::iter::repeat_n(0, padding));
    }
    let mut bytes = bmp_header(picture, 40, 24, 0, rows.len());
    bytes.extend(rows);
    bytes
}

/// A 32-bit BMP with the 138-byte V5 header: colour masks, sRGB, and no use of the fourth byte.
#[must_use]
pub fn bmp_v5(picture: &RgbImage) -> Vec<u8> {
    const BITFIELDS: u32 = 3;
    const HEADER: u32 = 124;
    let mut rows = Vec::new();
    for row in picture.rows().rev() {
        for Rgb([red, green, blue]) in row {
            rows.extend([*blue, *green, *red, 0]);
        }
    }
    let mut bytes = bmp_header(picture, HEADER, 32, BITFIELDS, rows.len());
    for mask in [0x00ff_0000_u32, 0x0000_ff00, 0x0000_00ff, 0] {
        bytes.extend(mask.to_le_bytes());
    }
    bytes.extend(b"BGRs");
    bytes.resize(14 + HEADER as usize, 0);
    bytes.extend(rows);
    bytes
}

/// The file header and the 40 bytes that every newer info header begins with.
fn bmp_header(
    picture: &RgbImage,
    header: u32,
    depth: u16,
    compression: u32,
    rows: usize,
) -> Vec<u8> {
    let rows = u32::try_from(rows).unwrap_or_default();
    let pixels_at = 14 + header;
    let mut bytes = b"BM".to_vec();
    for field in [pixels_at + rows, 0, pixels_at, header, picture.width(), picture.height()] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(1_u16.to_le_bytes());
    bytes.extend(depth.to_le_bytes());
    // 3,779 pixels a metre is 96 dots an inch.
    for field in [compression, rows, 3779, 3779, 0, 0] {
        bytes.extend(field.to_le_bytes());
    }
    bytes
}

/// A PNG. No bytes when the picture has no pixels, which PNG cannot hold.
#[must_use]
pub fn png(picture: &RgbImage) -> Vec<u8> {
    encoded(picture, ImageFormat::Png)
}

/// A TIFF, uncompressed. No bytes when the picture has no pixels.
#[must_use]
pub fn tiff(picture: &RgbImage) -> Vec<u8> {
    encoded(picture, ImageFormat::Tiff)
}

/// A JPEG. No bytes when the picture has no pixels or a side above 65,535.
#[must_use]
pub fn jpeg(picture: &RgbImage) -> Vec<u8> {
    encoded(picture, ImageFormat::Jpeg)
}

fn encoded(picture: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    match picture.write_to(&mut bytes, format) {
        Ok(()) => bytes.into_inner(),
        Err(_) => Vec::new(),
    }
}
