//! Plain rows → pixels. Most microscopes export such files, and a decoder that reads pixel by pixel
//! would take longer over one than everything else before the network.

use image::RgbImage;

use crate::complete::bmp::{Header, Rows as Stored};

/// Red, green, blue and no opacity of a 32-bit pixel whose bytes are blue, green, red and one that
/// means nothing.
const MASKS: [u32; 4] = [0x00ff_0000, 0x0000_ff00, 0x0000_00ff, 0];

/// The pixels as they lie in a file: rows of blue, green, red (and a byte that means nothing),
/// padded to four bytes.
#[derive(Debug)]
pub(in super::super) struct Rows<'a> {
    width: u32,
    height: u32,
    is_top_down: bool,
    bytes_a_pixel: usize,
    /// Bytes from one row to the next, and those of them that are pixels.
    stride: usize,
    used: usize,
    bytes: &'a [u8],
}

impl<'a> Rows<'a> {
    /// None where the file is not whole, or is anything but plain rows of 24 or 32 bits.
    pub(in super::super) fn new(header: &Header, bytes: &'a [u8]) -> Option<Self> {
        let bytes_a_pixel = match (header.depth, header.rows) {
            (24, Stored::Plain) => 3,
            (32, Stored::Plain) => 4,
            (32, Stored::Masks) if header.masks == MASKS => 4,
            _ => return None,
        };
        let (stride, used) = header.row_bytes();
        let before_last = stride.checked_mul((header.height as usize).checked_sub(1)?)?;
        let end = header.pixels_at.checked_add(before_last)?.checked_add(used)?;
        Some(Self {
            width: header.width,
            height: header.height,
            is_top_down: header.is_top_down,
            bytes_a_pixel,
            stride,
            used,
            bytes: bytes.get(header.pixels_at..end)?,
        })
    }

    /// The picture, in the memory of `samples`, whatever that held.
    pub(in super::super) fn picture(&self, mut samples: Vec<u8>) -> RgbImage {
        let across = self.width as usize * 3;
        // Not cleared: every place is written.
        samples.resize(across * self.height as usize, 0);
        // The last row may lack its padding.
        let rows = self.bytes.chunks(self.stride).map(|row| &row[..self.used]);
        let lines = samples.chunks_exact_mut(across);
        let convert = if self.bytes_a_pixel == 3 { from_three } else { from_four };
        if self.is_top_down {
            rows.zip(lines).for_each(|(row, line)| convert(row, line));
        } else {
            rows.zip(lines.rev()).for_each(|(row, line)| convert(row, line));
        }
        RgbImage::from_raw(self.width, self.height, samples).unwrap_or_default()
    }
}

/// Blue, green, red → red, green, blue.
///
/// In blocks of 16 pixels whose samples are all computed alike, from their neighbours two places
/// before and behind, so that any processor's vectors serve.
fn from_three(row: &[u8], line: &mut [u8]) {
    const BLOCK: usize = 48;
    const fn every_third(from: usize) -> [u8; BLOCK] {
        let mut mask = [0; BLOCK];
        let mut at = from;
        while at < BLOCK {
            mask[at] = 0xff;
            at += 3;
        }
        mask
    }
    const RED: [u8; BLOCK] = every_third(0);
    const GREEN: [u8; BLOCK] = every_third(1);
    const BLUE: [u8; BLOCK] = every_third(2);
    let pixelwise = |row: &[u8], line: &mut [u8]| {
        for (from, to) in row.as_chunks::<3>().0.iter().zip(line.as_chunks_mut::<3>().0) {
            *to = [from[2], from[1], from[0]];
        }
    };
    // The first block would reach before the row, so it begins with the second pixel.
    let mut at = row.len().min(3);
    pixelwise(&row[..at], &mut line[..at]);
    while let Some(from) = row[at.saturating_sub(2)..].first_chunk::<{ BLOCK + 4 }>()
        && let Some(to) = line[at..].first_chunk_mut::<BLOCK>()
    {
        for (place, to) in to.iter_mut().enumerate() {
            *to = (from[place + 4] & RED[place])
                | (from[place + 2] & GREEN[place])
                | (from[place] & BLUE[place]);
        }
        at += BLOCK;
    }
    pixelwise(&row[at..], &mut line[at..]);
}

/// Blue, green, red, nothing → red, green, blue.
fn from_four(row: &[u8], line: &mut [u8]) {
    for (from, to) in row.as_chunks::<4>().0.iter().zip(line.as_chunks_mut::<3>().0) {
        *to = [from[2], from[1], from[0]];
    }
}
