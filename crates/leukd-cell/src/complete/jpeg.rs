//! JPEG: marker after marker up to `EOI` (ITU-T T.81, annex B). Whether the scans between them are
//! whole is known once they are decoded.

use crate::fault::{Fault, FaultKind};
use crate::format::Format;
use crate::structure::{Walked, corrupt, take, truncated};

const TEM: u8 = 0x01;
const RST0: u8 = 0xd0;
const RST7: u8 = 0xd7;
const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
/// The frame of JPEG-LS (ITU-T T.87).
const SOF55: u8 = 0xf7;

pub(crate) fn find_end(bytes: &[u8], dimensions: &mut Option<(u32, u32)>) -> Walked {
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
                    let header: [u8; 5] = take(bytes, after + 2).ok_or_else(short)?;
                    check_frame(marker, header)?;
                    let [_, h1, h0, w1, w0] = header;
                    let (width, height) = ([w1, w0], [h1, h0]);
                    *dimensions = Some((
                        u32::from(u16::from_be_bytes(width)),
                        u32::from(u16::from_be_bytes(height)),
                    ));
                }
                at = after + usize::from(length);
            }
        }
    }
}

/// SOF0 to SOF15, without the tables (DHT, DAC) and the extension (JPG) that stand between them;
/// SOF55.
pub(crate) const fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf | SOF55) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

/// Refuses a frame of a kind that leukd does not read, by its SOF marker and the first bytes of its
/// header. Its tables and scans would seem damaged.
pub(crate) fn check_frame(marker: u8, [bits, h1, h0, ..]: [u8; 5]) -> Result<(), Fault> {
    let kind = match marker {
        0xc3 => "is losslessly coded",
        0xc9..=0xcb | 0xcd..=0xcf => "is arithmetically coded",
        SOF55 => "is coded as JPEG-LS",
        0xc5..=0xc7 => "is hierarchically coded",
        _ if bits != 8 => {
            return Err(unsupported(format!(
                "has {bits} bits a sample: save it with 8 bits, or as a 16-bit PNG or TIFF"
            )));
        }
        // libjpeg refuses it too: its height would follow in a DNL marker.
        _ if (h1, h0) == (0, 0) => {
            return Err(unsupported("gives no height in its header: save it again as JPEG or PNG"));
        }
        _ => return Ok(()),
    };
    Err(unsupported(format!("{kind}: save it as a baseline or progressive JPEG, or as PNG")))
}

fn unsupported(what: impl std::fmt::Display) -> Fault {
    Fault::new(FaultKind::Unsupported, format!("this JPEG {what}"))
}

/// Refuses a stream whose frame is of a kind that leukd does not read.
pub(crate) fn check_kind(bytes: &[u8]) -> Result<(), Fault> {
    let mut at = 2;
    while let Some((marker, after)) = next_marker(bytes, at) {
        if is_frame(marker) {
            return take(bytes, after + 2).map_or(Ok(()), |header| check_frame(marker, header));
        }
        match (marker, take(bytes, after).map(u16::from_be_bytes)) {
            (TEM | SOI | RST0..=RST7, _) => at = after,
            (EOI, _) | (_, None) => break,
            (_, Some(length)) => at = after + usize::from(length),
        }
    }
    Ok(())
}

/// The next marker's code and the byte behind it. Entropy-coded data is passed over, and so are
/// bytes that belong to no segment, as in libjpeg: 0xff 0x00 is a byte of data, and any number of
/// 0xff may stand before a marker.
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
