//! JPEG: marker after marker up to `EOI` (ITU-T T.81, annex B).

use super::{Format, Walked, corrupt, take, truncated};

const TEM: u8 = 0x01;
const RST0: u8 = 0xd0;
const RST7: u8 = 0xd7;
const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;

pub(super) fn walk(bytes: &[u8], dimensions: &mut Option<(u32, u32)>) -> Walked {
    let short = || truncated(Format::Jpeg, "it ends before its EOI marker");
    let mut at = 2;
    loop {
        let [lead] = take(bytes, at).ok_or_else(short)?;
        if lead != 0xff {
            let what = format!("there is no marker at byte {at}");
            // A writer that fills an allocated file has left zeros here.
            let unwritten = lead == 0 && bytes[at..].iter().all(|byte| *byte == 0);
            return Err(if unwritten {
                truncated(Format::Jpeg, what)
            } else {
                corrupt(Format::Jpeg, what)
            });
        }
        let [marker] = take(bytes, at + 1).ok_or_else(short)?;
        match marker {
            EOI => return Ok(()),
            // Any number of 0xff may stand before a marker.
            0xff => at += 1,
            TEM | SOI | RST0..=RST7 => at += 2,
            _ => {
                let length = take(bytes, at + 2).map(u16::from_be_bytes).ok_or_else(short)?;
                if length < 2 {
                    let what = format!("the segment at byte {at} has no length");
                    return Err(corrupt(Format::Jpeg, what));
                }
                if is_frame(marker) {
                    let height = take(bytes, at + 5).map(u16::from_be_bytes).ok_or_else(short)?;
                    let width = take(bytes, at + 7).map(u16::from_be_bytes).ok_or_else(short)?;
                    *dimensions = Some((u32::from(width), u32::from(height)));
                }
                at += 2 + usize::from(length);
                if marker == SOS {
                    at = end_of_scan(bytes, at).ok_or_else(short)?;
                }
            }
        }
    }
}

/// SOF0 to SOF15, without the tables (DHT, DAC) and the extension (JPG) that stand between them.
const fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

/// Where the marker after the entropy-coded data stands: 0xff 0x00 is a stuffed byte of data, and
/// restart markers belong to the data.
fn end_of_scan(bytes: &[u8], from: usize) -> Option<usize> {
    let data = bytes.get(from..)?;
    data.windows(2)
        .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0x00 | RST0..=RST7 | 0xff))
        .map(|found| from + found)
}
