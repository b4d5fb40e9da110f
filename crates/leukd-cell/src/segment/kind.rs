//! A cell on black or a whole field, told by the picture.

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::foreground::is_foreground;

/// What a capture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaptureKind {
    /// One segmented cell on black.
    Cell,
    /// A field of view of a smear.
    Field,
}

/// A capture's kind, as its picture looks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KindGuess {
    /// The likelier kind.
    pub kind: CaptureKind,
    /// 0 for a picture that can only be of this kind, 1 for one that may as well be of the other.
    pub doubt: f64,
}

/// Above this doubt a person should look: the picture has something of both kinds.
pub const MAX_DOUBT: f64 = 0.5;

/// Share of black on a picture's border: below the first a field, above the second a cell. Cells
/// touch the border with a few pixels; fields may have black corners or a scale bar.
const BORDER: (f64, f64) = (0.2, 0.8);
/// The same of the whole picture. C-NMC's cells leave 70 to 95 % black.
const WHOLE: (f64, f64) = (0.05, 0.25);
/// The same of light pixels among those that are not black, from a cell to a field: all channels
/// above [`LIGHT`], as empty background is. A field seen through a round diaphragm has black around
/// it and is full of them.
const LIT: (f64, f64) = (0.05, 0.3);
/// Background's least level. No pixel of 311 cells of C-NMC, every 23rd, is as light.
const LIGHT: u8 = 170;

/// Rows that are looked at, at least, where a picture has more: shares need no more, and every
/// capture waits for this.
const ROWS: usize = 32;

/// Guesses a capture's kind from black on its border and in the whole of it, and from the light of
/// an empty background.
#[must_use]
pub fn guess_kind(picture: &RgbImage) -> KindGuess {
    let (width, height) = picture.dimensions();
    let row_bytes = width as usize * 3;
    let rows = picture.as_raw().chunks_exact(row_bytes.max(3));
    let (mut black, mut light, mut total) = (0_u64, 0_u64, 0_u64);
    for row in rows.clone().step_by((height as usize / ROWS).max(1)) {
        for pixel in row.as_chunks::<3>().0 {
            let is_black = !is_foreground(pixel);
            black += u64::from(is_black);
            light += u64::from(!is_black && pixel.iter().all(|level| *level > LIGHT));
        }
        total += u64::from(width);
    }
    let (mut border, mut outermost) = (0_u64, 0_u64);
    let mut edge = |pixel: &[u8; 3]| {
        outermost += 1;
        border += u64::from(!is_foreground(pixel));
    };
    for (y, row) in rows.enumerate() {
        let pixels = row.as_chunks::<3>().0;
        if y == 0 || y + 1 == height as usize {
            pixels.iter().for_each(&mut edge);
        } else {
            pixels
                .first()
                .into_iter()
                .chain(pixels.get(1..).and_then(<[_]>::last))
                .for_each(&mut edge);
        }
    }
    let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
    let between =
        |value: f64, (low, high): (f64, f64)| ((value - low) / (high - low)).clamp(0.0, 1.0);
    let cell = between(share(border, outermost), BORDER)
        .min(between(share(black, total), WHOLE))
        .min(1.0 - between(share(light, total - black), LIT));
    // Nothing but black is no evidence for a cell.
    let cell = if black == total { 0.5 } else { cell };
    let kind = if cell >= 0.5 { CaptureKind::Cell } else { CaptureKind::Field };
    KindGuess { kind, doubt: 1.0 - (2.0 * cell - 1.0).abs() }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::synthetic::{self, Kind};

    #[test]
    fn a_cell_on_black_is_a_cell_and_a_light_picture_a_field() {
        let cell = guess_kind(&synthetic::cell(3, Kind::Blast));
        assert_eq!((cell.kind, cell.doubt), (CaptureKind::Cell, 0.0));
        let field = guess_kind(&RgbImage::from_pixel(60, 40, Rgb([220, 210, 205])));
        assert_eq!((field.kind, field.doubt), (CaptureKind::Field, 0.0));
    }

    #[test]
    fn a_round_diaphragm_and_nothing_but_black_are_no_sure_cells() {
        let round = RgbImage::from_fn(90, 90, |x, y| {
            let away = (i64::from(x) - 45).pow(2) + (i64::from(y) - 45).pow(2);
            if away < 40 * 40 { Rgb([225, 215, 210]) } else { Rgb([0; 3]) }
        });
        assert_eq!(guess_kind(&round).kind, CaptureKind::Field);
        assert_eq!(guess_kind(&RgbImage::new(30, 30)).doubt, 1.0);
        assert_eq!(guess_kind(&RgbImage::new(0, 0)).doubt, 1.0);
    }
}
