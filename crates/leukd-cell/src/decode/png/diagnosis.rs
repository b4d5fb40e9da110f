//! The reason why a PNG cannot be decoded, in words: the library's are its own.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::complete::png::{SIGNATURE, chunk, chunks};
use crate::fault::{Fault, FaultKind};
use crate::format::Format;
use crate::structure::{corrupt, take, truncated};

/// Bytes behind the last row that are unpacked for the check sum.
const MAX_REST: u64 = 1 << 20;

/// The chunks without which a reader cannot go on.
const CRITICAL: [&[u8; 4]; 4] = [b"IHDR", b"PLTE", b"IDAT", b"IEND"];

/// Width and height, or the fault of a header that PNG does not have.
pub(super) fn check_header(bytes: &[u8]) -> Result<(u32, u32), Fault> {
    let header = chunk(bytes, b"IHDR").and_then(|data| data.first_chunk::<13>());
    let header = header.ok_or_else(|| damaged("its header is too short"))?;
    let [w3, w2, w1, w0, h3, h2, h1, h0, depth, colour_type, compression, filter, interlace] =
        *header;
    if channels(colour_type, depth).is_none() {
        let what = format!(
            "its header names colour type {colour_type} with {depth} bits, which PNG has not"
        );
        return Err(damaged(what));
    }
    if (compression, filter) != (0, 0) || interlace > 1 {
        return Err(damaged("its header names a way of storing pixels that PNG has not"));
    }
    let colours = chunk(bytes, b"PLTE").map_or(3, <[u8]>::len);
    if !colours.is_multiple_of(3) || !(3..=768).contains(&colours) {
        return Err(damaged(format!(
            "its palette has {colours} bytes, which are no whole colours"
        )));
    }
    for kind in [b"IHDR", b"PLTE"] {
        if chunks(bytes).filter(|(other, _)| other == kind).count() > 1 {
            let name = String::from_utf8_lossy(kind);
            return Err(damaged(format!("its {name} chunk stands twice")));
        }
    }
    Ok((u32::from_be_bytes([w3, w2, w1, w0]), u32::from_be_bytes([h3, h2, h1, h0])))
}

fn channels(colour_type: u8, depth: u8) -> Option<u64> {
    match (colour_type, depth) {
        (0 | 3, 1 | 2 | 4 | 8) | (0, 16) => Some(1),
        (2, 8 | 16) => Some(3),
        (4, 8 | 16) => Some(2),
        (6, 8 | 16) => Some(4),
        _ => None,
    }
}

/// The fault of a complete file that cannot be decoded.
pub(super) fn of(bytes: &[u8]) -> Fault {
    let mut at = SIGNATURE.len();
    for (kind, data) in chunks(bytes) {
        let sum_at = at + 8 + data.len();
        at = sum_at + 4;
        let name = String::from_utf8_lossy(&kind);
        // A lower-case letter at the beginning: a reader may pass over the chunk.
        if kind[0].is_ascii_lowercase() {
            continue;
        }
        if !CRITICAL.contains(&&kind) {
            let message = format!(
                "this PNG holds a chunk {name} that leukd does not know and a reader must: export \
                 it as plain PNG"
            );
            return Fault::new(FaultKind::Unsupported, message);
        }
        if !is_intact(kind, data, take(bytes, sum_at)) {
            return damaged(format!("the check sum of its {name} chunk is wrong"));
        }
    }
    pixels(bytes).unwrap_or_else(|| damaged("its rows are coded in no way that PNG has"))
}

/// True where `stored` is the check sum of a chunk.
fn is_intact(kind: [u8; 4], data: &[u8], stored: Option<[u8; 4]>) -> bool {
    let mut sum = Crc::new();
    sum.update(&kind);
    sum.update(data);
    stored == Some(sum.sum().to_be_bytes())
}

/// The fault of the compressed rows.
fn pixels(bytes: &[u8]) -> Option<Fault> {
    let header = chunk(bytes, b"IHDR")?.first_chunk::<13>()?;
    let (depth, colour_type, interlace) = (header[8], header[9], header[12]);
    let sides = [0, 4].map(|at| take(header, at).map(u32::from_be_bytes).unwrap_or(0));
    let bits = channels(colour_type, depth)? * u64::from(depth);
    let needed = needed(sides, bits, interlace == 1);
    if colour_type == 3 && chunk(bytes, b"PLTE").is_none() {
        return Some(damaged("its palette is missing"));
    }
    let mut packed = Vec::new();
    for (_, data) in chunks(bytes).filter(|(kind, _)| kind == b"IDAT") {
        packed.extend_from_slice(data);
    }
    let mut stream = Decompress::new(true);
    let mut room = vec![0; 1 << 16];
    loop {
        let unread = packed.get(stream.total_in() as usize..).unwrap_or_default();
        let before = stream.total_out();
        let done = stream.decompress(unread, &mut room, FlushDecompress::None);
        let has_all = stream.total_out() >= needed;
        let is_end = matches!(done, Ok(Status::StreamEnd)) || stream.total_out() == before;
        match done {
            Err(_) if has_all => return Some(damaged("the check sum of its pixels is wrong")),
            Err(_) => return Some(damaged("its compressed pixels are not readable")),
            // libpng takes no notice of what follows the last row, and a bomb would not end.
            Ok(_) if has_all && (is_end || stream.total_out() > needed + MAX_REST) => return None,
            Ok(_) if is_end => {
                return Some(truncated(Format::Png, "its pixels end before its last row"));
            }
            Ok(_) => {}
        }
    }
}

/// Bytes of all rows, each with the byte of its filter.
fn needed([width, height]: [u32; 2], bits: u64, is_interlaced: bool) -> u64 {
    /// First column and row of each pass, and steps between them.
    const PASSES: [[u32; 4]; 7] = [
        [0, 0, 8, 8],
        [4, 0, 8, 8],
        [0, 4, 4, 8],
        [2, 0, 4, 4],
        [0, 2, 2, 4],
        [1, 0, 2, 2],
        [0, 1, 1, 2],
    ];
    let rows = |width: u32, height: u32| {
        if width == 0 { 0 } else { ((u64::from(width) * bits).div_ceil(8) + 1) * u64::from(height) }
    };
    if !is_interlaced {
        return rows(width, height);
    }
    let side = |pixels: u32, from: u32, step: u32| pixels.saturating_sub(from).div_ceil(step);
    PASSES.iter().map(|[x, y, dx, dy]| rows(side(width, *x, *dx), side(height, *y, *dy))).sum()
}

fn damaged(what: impl std::fmt::Display) -> Fault {
    corrupt(Format::Png, what)
}
