//! The rows of an uncompressed BMP → pixels, without a decoder between. Most microscopes export such files, and a
//! decoder that reads pixel by pixel would take longer over one than everything else before the network.
//!
//! Only headers whose meaning is sure are taken. Any other file goes on to the library, which reads the same pixels
//! from those that are taken here (`tests`).

use image::RgbImage;

use crate::complete::take;

/// The sizes of the info header and its longer kin: `BITMAPINFOHEADER`, then versions 2 to 5.
const HEADERS: [u32; 5] = [40, 52, 56, 108, 124];
/// The first size whose header has a mask for opacity.
const WITH_OPACITY: u32 = 56;
const BI_RGB: u32 = 0;
const BI_BITFIELDS: u32 = 3;
/// Red, green and blue of a 32-bit pixel whose bytes are blue, green, red and one that means nothing.
const MASKS: [u32; 3] = [0x00ff_0000, 0x0000_ff00, 0x0000_00ff];

/// The pixels as they lie in a file: rows of blue, green, red (and a byte that means nothing), padded to four bytes.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    top_down: bool,
    bytes_a_pixel: usize,
    /// Bytes from one row to the next.
    stride: usize,
    bytes: &'a [u8],
}

impl<'a> Rows<'a> {
    /// None where the file is not whole, or is anything but plain rows of 24 or 32 bits.
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        let u16_at = |at| take(bytes, at).map(u16::from_le_bytes);
        let u32_at = |at| take(bytes, at).map(u32::from_le_bytes);
        let i32_at = |at| take(bytes, at).map(i32::from_le_bytes);
        let header = u32_at(14)?;
        // The last field that every one of these headers has, and the planes, of which there is one.
        u32_at(50)?;
        if !bytes.starts_with(b"BM") || !HEADERS.contains(&header) || u16_at(26)? != 1 {
            return None;
        }
        let (width, height) = (i32_at(18)?, i32_at(22)?);
        // The library refuses more.
        let columns = u16::try_from(width).ok().filter(|columns| *columns > 0)?;
        let rows = u16::try_from(height.unsigned_abs()).ok().filter(|rows| *rows > 0)?;
        let plain_masks = || {
            let masks = [u32_at(54)?, u32_at(58)?, u32_at(62)?];
            let opacity = if header < WITH_OPACITY { 0 } else { u32_at(66)? };
            Some(masks == MASKS && opacity == 0)
        };
        let bytes_a_pixel = match (u16_at(28)?, u32_at(30)?) {
            (24, BI_RGB) => 3,
            (32, BI_RGB) => 4,
            (32, BI_BITFIELDS) if plain_masks()? => 4,
            _ => return None,
        };
        let stride = (usize::from(columns) * bytes_a_pixel).next_multiple_of(4);
        let start = usize::try_from(u32_at(10)?).ok()?;
        let end = start.checked_add(stride.checked_mul(usize::from(rows))?)?;
        Some(Self {
            width: columns.into(),
            height: rows.into(),
            top_down: height < 0,
            bytes_a_pixel,
            stride,
            bytes: bytes.get(start..end)?,
        })
    }

    /// How many samples the picture has, three a pixel.
    pub(super) const fn samples(&self) -> u64 {
        self.width as u64 * self.height as u64 * 3
    }

    /// The picture, in the memory of `samples`, whatever that held.
    pub(super) fn picture(&self, mut samples: Vec<u8>) -> RgbImage {
        let across = self.width as usize * 3;
        // Not cleared: every place is written.
        samples.resize(across * self.height as usize, 0);
        let used = self.width as usize * self.bytes_a_pixel;
        let rows = self.bytes.chunks_exact(self.stride).map(|row| &row[..used]);
        let lines = samples.chunks_exact_mut(across);
        let convert = if self.bytes_a_pixel == 3 { from_three } else { from_four };
        if self.top_down {
            rows.zip(lines).for_each(|(row, line)| convert(row, line));
        } else {
            rows.zip(lines.rev()).for_each(|(row, line)| convert(row, line));
        }
        RgbImage::from_raw(self.width, self.height, samples).unwrap_or_default()
    }
}

/// Blue, green, red → red, green, blue.
///
/// In blocks of 16 pixels whose samples are all computed alike, from their neighbours two places before and behind, so
/// that any processor's vectors serve.
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
