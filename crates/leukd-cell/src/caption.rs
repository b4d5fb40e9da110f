//! Outlines and short texts drawn into a picture, for people.

use image::{Rgb, RgbImage};

/// Rows and columns of a letter.
const ROWS: usize = 5;
const COLUMNS: usize = 3;

/// Letters that decisions and numbers are written in: each row as three bits, the left one highest.
const LETTERS: [(char, [u8; ROWS]); 26] = [
    ('0', [0b111, 0b101, 0b101, 0b101, 0b111]),
    ('1', [0b010, 0b110, 0b010, 0b010, 0b111]),
    ('2', [0b111, 0b001, 0b111, 0b100, 0b111]),
    ('3', [0b111, 0b001, 0b111, 0b001, 0b111]),
    ('4', [0b101, 0b101, 0b111, 0b001, 0b001]),
    ('5', [0b111, 0b100, 0b111, 0b001, 0b111]),
    ('6', [0b111, 0b100, 0b111, 0b101, 0b111]),
    ('7', [0b111, 0b001, 0b001, 0b010, 0b010]),
    ('8', [0b111, 0b101, 0b111, 0b101, 0b111]),
    ('9', [0b111, 0b101, 0b111, 0b001, 0b111]),
    ('.', [0b000, 0b000, 0b000, 0b000, 0b010]),
    ('#', [0b101, 0b111, 0b101, 0b111, 0b101]),
    ('a', [0b010, 0b101, 0b111, 0b101, 0b101]),
    ('c', [0b011, 0b100, 0b100, 0b100, 0b011]),
    ('d', [0b110, 0b101, 0b101, 0b101, 0b110]),
    ('e', [0b111, 0b100, 0b110, 0b100, 0b111]),
    ('h', [0b101, 0b101, 0b111, 0b101, 0b101]),
    ('i', [0b111, 0b010, 0b010, 0b010, 0b111]),
    ('j', [0b001, 0b001, 0b001, 0b101, 0b010]),
    ('l', [0b100, 0b100, 0b100, 0b100, 0b111]),
    ('m', [0b101, 0b111, 0b111, 0b101, 0b101]),
    ('r', [0b110, 0b101, 0b110, 0b101, 0b101]),
    ('t', [0b111, 0b010, 0b010, 0b010, 0b010]),
    ('v', [0b101, 0b101, 0b101, 0b101, 0b010]),
    ('w', [0b101, 0b101, 0b111, 0b111, 0b101]),
    ('=', [0b000, 0b111, 0b000, 0b111, 0b000]),
];

/// Draws a closed polygon of corners in `picture`'s pixels, `thickness` pixels wide.
pub fn outline(picture: &mut RgbImage, corners: &[[u32; 2]], colour: [u8; 3], thickness: u32) {
    for (at, from) in corners.iter().enumerate() {
        let to = corners[(at + 1) % corners.len()];
        let [x, y] = from.map(i64::from);
        let (dx, dy) = (i64::from(to[0]) - x, i64::from(to[1]) - y);
        let steps = dx.abs().max(dy.abs()).max(1);
        for step in 0..=steps {
            dot(picture, x + dx * step / steps, y + dy * step / steps, thickness, colour);
        }
    }
}

/// Writes `text` with its upper left corner at `x`, `y`, each dot of a letter `dot_side` pixels
/// wide, on a dark ground. Letters that are not known are left blank.
pub fn text(
    picture: &mut RgbImage,
    (x, y): (u32, u32),
    text: &str,
    colour: [u8; 3],
    dot_side: u32,
) {
    let side = i64::from(dot_side);
    let (left, top) = (i64::from(x), i64::from(y));
    let width = (text.chars().count() * (COLUMNS + 1)) as i64 * side + side;
    for row in 0..(ROWS as i64 + 2) * side {
        for column in 0..width {
            dot(picture, left + column, top + row, 1, [20, 20, 20]);
        }
    }
    for (place, letter) in text.chars().enumerate() {
        let Some((_, rows)) = LETTERS.iter().find(|(known, _)| *known == letter) else { continue };
        for (row, bits) in rows.iter().enumerate() {
            for column in 0..COLUMNS {
                if bits >> (COLUMNS - 1 - column) & 1 == 1 {
                    let x = left + ((place * (COLUMNS + 1) + column) as i64 + 1) * side;
                    let y = top + (row as i64 + 1) * side;
                    dot(picture, x, y, dot_side, colour);
                }
            }
        }
    }
}

/// A square with its upper left corner at `x`, `y`, as far as it lies within the picture.
fn dot(picture: &mut RgbImage, x: i64, y: i64, side: u32, colour: [u8; 3]) {
    for (dx, dy) in (0..side).flat_map(|dy| (0..side).map(move |dx| (dx, dy))) {
        let place = (u32::try_from(x + i64::from(dx)), u32::try_from(y + i64::from(dy)));
        if let (Ok(x), Ok(y)) = place
            && let Some(pixel) = picture.get_pixel_mut_checked(x, y)
        {
            *pixel = Rgb(colour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_an_overlay_can_be_written() {
        for word in ["all", "hem", "review", "rejected", "#0123456789", "0.5"] {
            for letter in word.chars() {
                assert!(LETTERS.iter().any(|(known, _)| *known == letter), "{letter}");
            }
        }
    }

    #[test]
    fn an_outline_stays_in_the_picture_and_shows() {
        let mut picture = RgbImage::new(20, 10);
        outline(&mut picture, &[[2, 2], [30, 2], [30, 30], [2, 30]], [255, 0, 0], 2);
        assert_eq!(picture.get_pixel(10, 2).0, [255, 0, 0]);
        assert_eq!(picture.get_pixel(10, 6).0, [0, 0, 0]);
        text(&mut picture, (12, 5), "all", [0, 255, 0], 1);
        assert!(picture.pixels().any(|pixel| pixel.0 == [0, 255, 0]));
    }
}
