//! JPEG: marker after marker up to `EOI` (ITU-T T.81, annex B). Whether the scans between them are
//! whole is known once they are decoded.

use super::{Format, Walked, corrupt, take, truncated};

const TEM: u8 = 0x01;
const RST0: u8 = 0xd0;
const RST7: u8 = 0xd7;
const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;

pub(super) fn walk(bytes: &[u8], dimensions: &mut Option<(u32, u32)>) -> Walked {
    let short = || truncated(Format::Jpeg, "it ends before its EOI marker");
    let mut at = 2;
    loop {
        let (marker, after) = next_marker(bytes, at).ok_or_else(short)?;
        match marker {
            EOI => return Ok(()),
            TEM | SOI | RST0..=RST7 => at = after,
            _ => {
                let length = take(bytes, after).map(u16::from_be_bytes).ok_or_else(short)?;
                if length < 2 {
                    let what = format!("the segment at byte {after} has no length");
                    return Err(corrupt(Format::Jpeg, what));
                }
                if is_frame(marker) {
                    let height =
                        take(bytes, after + 3).map(u16::from_be_bytes).ok_or_else(short)?;
                    let width = take(bytes, after + 5).map(u16::from_be_bytes).ok_or_else(short)?;
                    *dimensions = Some((u32::from(width), u32::from(height)));
                }
                at = after + usize::from(length);
            }
        }
    }
}

/// SOF0 to SOF15, without the tables (DHT, DAC) and the extension (JPG) that stand between them.
pub(crate) const fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

/// The next marker's code and the byte behind it. Entropy-coded data is passed over, and so are bytes
/// that belong to no segment, as in libjpeg: 0xff 0x00 is a byte of data, and any number of 0xff may
/// stand before a marker.
pub(crate) fn next_marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == 0xff)?;
        at += bytes.get(at..)?.iter().position(|byte| *byte != 0xff)?;
        match bytes[at] {
            0 => at += 1,
            marker => return Some((marker, at + 1)),
        }
    }
}
