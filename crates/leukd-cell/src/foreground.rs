//! Foreground and background of a segmented cell's picture.

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
