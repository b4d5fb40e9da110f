//! Foreground and background of a segmented cell's picture.

use image::RgbImage;

/// Highest level, in every channel, of a background pixel.
///
/// Compression leaves some noise in black, and a stained cell has hardly a pixel as dark (C-NMC:
/// fewer than 1 in 100).
pub const BLACK: u8 = 10;

/// A picture with fewer than one foreground pixel in this many has hardly a cell. C-NMC's cells
/// cover 5 to 30 % of their pictures.
pub const HARDLY: usize = 1000;

/// True for a foreground pixel: one of its samples is above [`BLACK`].
#[inline]
#[must_use]
pub fn is_foreground(pixel: &[u8]) -> bool {
    pixel.iter().any(|sample| *sample > BLACK)
}

/// Columns of a row from its first foreground pixel to its last; none without one. `row` holds
/// three samples a pixel.
pub(crate) fn extent(row: &[u8]) -> Option<(usize, usize)> {
    // Background is passed over in blocks, of which many samples are looked at together.
    const BLOCK: usize = 64;
    let dark = |block: &&[u8; BLOCK]| block.iter().fold(0, |most, own| most.max(*own)) <= BLACK;
    let lit = |sample: &u8| *sample > BLACK;
    let before = row.as_chunks().0.iter().take_while(dark).count() * BLOCK;
    let behind = row.as_rchunks().1.iter().rev().take_while(dark).count() * BLOCK;
    let first = before + row[before..].iter().position(lit)?;
    let last = row[..row.len() - behind].iter().rposition(lit)?;
    Some((first / 3, last / 3))
}

/// Of each row with foreground: column and row of its first foreground pixel, and the pixels up to
/// its last.
pub(crate) fn spans(picture: &RgbImage) -> impl Iterator<Item = (usize, usize, &[[u8; 3]])> {
    let rows = picture.as_raw().chunks_exact((picture.width() as usize * 3).max(1));
    rows.enumerate().filter_map(|(y, row)| {
        let (left, right) = extent(row)?;
        Some((left, y, row[left * 3..=right * 3 + 2].as_chunks().0))
    })
}
