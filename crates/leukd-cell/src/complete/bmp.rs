//! BMP: the headers, and the pixel rows that they promise.
//!
//! Layout: Microsoft's BITMAPFILEHEADER (14 bytes) and BITMAPINFOHEADER or its longer kin (40 to 124
//! bytes), or OS/2's. C-NMC has two kinds: 54 bytes up to the pixels in its training phase, 138 in its
//! preliminary one. The file's size and the number of planes are not needed, and some writers get them
//! wrong: they are not looked at.

use super::{Format, Walked, corrupt, take, truncated};
use crate::fault::{Fault, FaultKind};

const FILE_HEADER: usize = 14;
/// The old OS/2 header, whose width and height have 16 bits.
const CORE_HEADER: usize = 12;
/// The info header and its longer kin; 16 and 64 are OS/2's second.
const HEADERS: [usize; 7] = [16, 40, 52, 56, 64, 108, 124];
/// The first size whose header has masks, and a mask for opacity.
const WITH_MASKS: usize = 52;
const WITH_OPACITY: usize = 56;
const OS2_HEADERS: [usize; 2] = [16, 64];

/// How pixels are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Rows of a fixed length, of blue, green and red or of indices.
    Plain,
    /// Rows of a fixed length whose pixels are taken apart by masks.
    Masks,
    /// Runs of indices.
    Runs,
}

/// What the headers say.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) is_top_down: bool,
    /// Bits a pixel.
    pub(crate) depth: u16,
    pub(crate) rows: Rows,
    /// Red, green, blue and opacity.
    pub(crate) masks: [u32; 4],
    /// Where the palette is, bytes of an entry, entries.
    pub(crate) palette: (usize, usize, usize),
    pub(crate) pixels_at: usize,
}

pub(super) fn walk(bytes: &[u8], dimensions: &mut Option<(u32, u32)>) -> Walked {
    let header = Header::new(bytes, dimensions)?;
    if header.rows == Rows::Runs {
        // How long the runs are is known once they are decoded.
        return match bytes.get(header.pixels_at) {
            Some(_) => Ok(()),
            None => Err(truncated(Format::Bmp, "it ends before its pixels")),
        };
    }
    // The product fits: 2^32 columns · 2^16 bits · 2^32 rows < 2^128.
    let row = (u128::from(header.width) * u128::from(header.depth)).div_ceil(32) * 4;
    let end = header.pixels_at as u128 + row * u128::from(header.height);
    let have = bytes.len() as u128;
    if have < end {
        let Header { width, height, depth, .. } = header;
        let what =
            format!("{width}×{height} pixels at {depth} bits need {end} bytes, it has {have}");
        return Err(truncated(Format::Bmp, what));
    }
    Ok(())
}

impl Header {
    /// Reads the headers, and leaves the sides in `dimensions` as soon as they are known.
    pub(crate) fn new(bytes: &[u8], dimensions: &mut Option<(u32, u32)>) -> Result<Self, Fault> {
        let short = || truncated(Format::Bmp, "it ends inside its header");
        let u16_at = |at| take(bytes, at).map(u16::from_le_bytes).ok_or_else(short);
        let u32_at = |at| take(bytes, at).map(u32::from_le_bytes).ok_or_else(short);
        let i32_at = |at| take(bytes, at).map(i32::from_le_bytes).ok_or_else(short);

        let stated = u32_at(10)? as usize;
        let size = u32_at(FILE_HEADER)? as usize;
        let is_core = size == CORE_HEADER;
        if !is_core && !HEADERS.contains(&size) {
            return Err(corrupt(Format::Bmp, format!("no header has {size} bytes")));
        }
        let (width, height, depth) = if is_core {
            (u32::from(u16_at(18)?), i32::from(u16_at(20)?), u16_at(24)?)
        } else {
            let width = u32::try_from(i32_at(18)?)
                .map_err(|_| corrupt(Format::Bmp, "its width is negative"))?;
            (width, i32_at(22)?, u16_at(28)?)
        };
        *dimensions = Some((width, height.unsigned_abs()));
        let (compression, colours) =
            if size < 40 { (0, 0) } else { (u32_at(30)?, u32_at(46)? as usize) };
        let mut end = FILE_HEADER + size;
        if bytes.len() < end {
            return Err(short());
        }
        let is_os2 = OS2_HEADERS.contains(&size);
        let (rows, masks_behind) = match (compression, depth) {
            (0, 1 | 2 | 4 | 8 | 24 | 32) => (Rows::Plain, 0),
            (0, 16) => (Rows::Masks, 0),
            (3, 16 | 32) if !is_os2 => (Rows::Masks, if size < WITH_MASKS { 3 } else { 0 }),
            (6, 16 | 32) => (Rows::Masks, if size < WITH_MASKS { 4 } else { 0 }),
            (1, 8) | (2, 4) => (Rows::Runs, 0),
            _ => return Err(unsupported(compression, depth, is_os2)),
        };
        let mut masks = [0; 4];
        if compression == 0 {
            masks = [0x7c00, 0x03e0, 0x001f, 0];
        } else if rows == Rows::Masks {
            let count = if size < WITH_OPACITY && compression == 3 { 3 } else { 4 };
            for (index, mask) in masks.iter_mut().take(count).enumerate() {
                *mask = u32_at(54 + 4 * index)?;
            }
        }
        end += 4 * masks_behind;
        let entry = if is_core { 3 } else { 4 };
        let most = if depth <= 8 { 1 << depth } else { 0 };
        let count = if colours == 0 || is_core { most } else { colours.min(256) };
        let pixels_at = if stated == 0 { end + entry * count } else { stated };
        if pixels_at < end {
            let what =
                format!("its pixels begin at byte {stated}, inside its header of {end} bytes");
            return Err(corrupt(Format::Bmp, what));
        }
        // A palette may be shorter than its depth allows: the pixels follow at once.
        let count = count.min(most).min((pixels_at - end) / entry);
        Ok(Self {
            width,
            height: height.unsigned_abs(),
            is_top_down: height < 0,
            depth,
            rows,
            masks,
            palette: (end, entry, count),
            pixels_at,
        })
    }
}

fn unsupported(compression: u32, depth: u16, is_os2: bool) -> Fault {
    let what = match compression {
        3 | 4 if is_os2 => "is compressed in OS/2's own way".to_owned(),
        4 => "holds a JPEG".to_owned(),
        5 => "holds a PNG".to_owned(),
        0..=3 | 6 => format!("has {depth} bits a pixel in a way that no program writes"),
        _ => format!("is compressed in a way that leukd does not know ({compression})"),
    };
    Fault::new(
        FaultKind::Unsupported,
        format!("this BMP {what}: save it uncompressed with 24 bits"),
    )
}
