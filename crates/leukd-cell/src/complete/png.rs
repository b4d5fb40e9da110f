//! PNG: chunk after chunk up to `IEND` (W3C PNG specification, section 5).

use crate::format::Format;
pub(crate) use crate::format::PNG_SIGNATURE as SIGNATURE;
use crate::structure::{Walked, corrupt, take, truncated};

/// Length, type and checksum around each chunk's data.
const LENGTH: usize = 4;
const TYPE: usize = 4;
const CHECKSUM: usize = 4;

pub(crate) fn find_end(bytes: &[u8], dimensions: &mut Option<(u32, u32)>) -> Walked {
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

/// The type and the data of each chunk before `IEND`, as far as they are whole.
pub(crate) fn chunks(bytes: &[u8]) -> impl Iterator<Item = ([u8; TYPE], &[u8])> {
    let mut at = SIGNATURE.len();
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_be_bytes(take(bytes, at)?)).ok()?;
        let kind: [u8; TYPE] = take(bytes, at + LENGTH)?;
        let data = at + LENGTH + TYPE;
        let end = data.checked_add(length)?;
        at = end.checked_add(CHECKSUM)?;
        (&kind != b"IEND").then_some((kind, bytes.get(data..end)?))
    })
}

/// The data of the first chunk of this type.
pub(crate) fn chunk<'a>(bytes: &'a [u8], wanted: &[u8; TYPE]) -> Option<&'a [u8]> {
    chunks(bytes).find(|(kind, _)| kind == wanted).map(|(_, data)| data)
}

/// The largest number of bits that `sBIT` gives a colour.
pub(crate) fn significant_bits(bytes: &[u8]) -> Option<u8> {
    let &[.., colour_type, _, _, _] = chunk(bytes, b"IHDR")? else { return None };
    let mut before_pixels = chunks(bytes).take_while(|(kind, _)| kind != b"IDAT");
    let (_, bits) = before_pixels.find(|(kind, _)| kind == b"sBIT")?;
    // Opacity comes last, and has bits of its own.
    let colours = bits.len() - usize::from(colour_type & 4 != 0 && !bits.is_empty());
    bits[..colours].iter().copied().max()
}
