//! PNG: chunk after chunk up to `IEND` (W3C PNG specification, section 5).

use super::{Format, Walked, corrupt, take, truncated};

pub(super) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Length, type and checksum around each chunk's data.
const LENGTH: usize = 4;
const TYPE: usize = 4;
const CHECKSUM: usize = 4;

pub(super) fn walk(bytes: &[u8], dimensions: &mut Option<(u32, u32)>) -> Walked {
    let short = || truncated(Format::Png, "it ends before its IEND chunk");
    let mut at = SIGNATURE.len();
    let mut first = true;
    loop {
        let length = take(bytes, at).map(u32::from_be_bytes).ok_or_else(short)?;
        let kind: [u8; TYPE] = take(bytes, at + LENGTH).ok_or_else(short)?;
        if kind == [0; TYPE] {
            let what = format!("there are zeros where a chunk should begin, at byte {at}");
            return Err(truncated(Format::Png, what));
        }
        if !kind.iter().all(u8::is_ascii_alphabetic) {
            return Err(corrupt(Format::Png, format!("there is no chunk at byte {at}")));
        }
        if first {
            if &kind != b"IHDR" {
                return Err(corrupt(Format::Png, "its first chunk is not IHDR"));
            }
            let data = at + LENGTH + TYPE;
            let width = take(bytes, data).map(u32::from_be_bytes).ok_or_else(short)?;
            let height = take(bytes, data + 4).map(u32::from_be_bytes).ok_or_else(short)?;
            *dimensions = Some((width, height));
            first = false;
        }
        let length = usize::try_from(length).map_err(|_| short())?;
        let next = (at + LENGTH + TYPE + CHECKSUM).checked_add(length).ok_or_else(short)?;
        if next > bytes.len() {
            return Err(short());
        }
        if &kind == b"IEND" {
            return Ok(());
        }
        at = next;
    }
}

/// The data of the first `eXIf` chunk, which may stand behind the pixels too.
pub(crate) fn exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = SIGNATURE.len();
    loop {
        let length = usize::try_from(u32::from_be_bytes(take(bytes, at)?)).ok()?;
        let kind: [u8; TYPE] = take(bytes, at + LENGTH)?;
        let data = at + LENGTH + TYPE;
        let end = data.checked_add(length)?;
        match &kind {
            b"eXIf" => return bytes.get(data..end),
            b"IEND" => return None,
            _ => at = end.checked_add(CHECKSUM)?,
        }
    }
}

/// The largest number of bits that `sBIT` gives a colour.
pub(crate) fn significant_bits(bytes: &[u8]) -> Option<u8> {
    let mut at = SIGNATURE.len();
    let mut colour_type = 0;
    loop {
        let length = usize::try_from(u32::from_be_bytes(take(bytes, at)?)).ok()?;
        let kind: [u8; TYPE] = take(bytes, at + LENGTH)?;
        let data = at + LENGTH + TYPE;
        match &kind {
            b"IHDR" => [colour_type] = take(bytes, data + 9)?,
            b"sBIT" => {
                // Opacity comes last, and has bits of its own.
                let colours = length - usize::from(colour_type & 4 != 0 && length > 0);
                return bytes.get(data..data + colours)?.iter().copied().max();
            }
            b"IDAT" | b"IEND" => return None,
            _ => {}
        }
        at = data.checked_add(length)?.checked_add(CHECKSUM)?;
    }
}
