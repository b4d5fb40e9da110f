//! BMP: the headers, and the pixel rows that they promise.
//!
//! Layout: Microsoft's BITMAPFILEHEADER (14 bytes) and BITMAPINFOHEADER or its longer kin (40 to
//! 124 bytes), or OS/2's. C-NMC has two kinds: 54 bytes up to the pixels in its training phase, 138
//! in its preliminary one. The file's size and the number of planes are not needed, and some
//! writers get them wrong: they are not looked at.

use crate::fault::{Fault, FaultKind};
use crate::format::Format;
use crate::structure::{Walked, corrupt, take, truncated};

const FILE_HEADER: usize = 14;
/// The old OS/2 header, whose width and height have 16 bits.
const CORE_HEADER: usize = 12;
/// The info header and its longer kin; 16 and 64 are OS/2's second.
const HEADERS: [usize; 7] = [16, 40, 52, 56, 64, 108, 124];
/// The first size whose header has masks, and a mask for opacity.
const WITH_MASKS: usize = 52;
const WITH_OPACITY: usize = 56;
const OS2_HEADERS: [usize; 2] = [16, 64];
/// The masks follow the 40 bytes of the info header, inside a longer one or behind it.
const MASKS_AT: usize = 54;
/// Red, green and blue of 16 bits, with 5 bits each or 6 of green, and of 32 bits with opacity.
const FIVE_BITS: [u32; 3] = [0x7c00, 0x03e0, 0x001f];
const SIX_BITS: [u32; 3] = [0xf800, 0x07e0, 0x001f];
const EIGHT_BITS: [u32; 4] = [0x00ff_0000, 0x0000_ff00, 0x0000_00ff, 0xff00_0000];

/// Form of the stored pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Rows of a fixed length, of blue, green and red or of indices.
    Plain,
    /// Rows of a fixed length whose pixels are taken apart by masks.
    Masks,
    /// Runs of indices.
    Runs,
}

/// Facts from the headers.
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
    /// Offset of the palette, bytes of an entry, entries.
    pub(crate) palette: (usize, usize, usize),
    pub(crate) pixels_at: usize,
}

pub(crate) fn find_end(bytes: &[u8], dimensions: &mut Option<(u32, u32)>) -> Walked {
    let header = Header::new(bytes, dimensions)?;
    if header.rows == Rows::Runs {
        // How long the runs are is known once they are decoded.
        return match bytes.get(header.pixels_at) {
            Some(_) => Ok(()),
            None => Err(truncated(Format::Bmp, "it ends before its pixels")),
        };
    }
    // The product fits: 2^32 columns · 2^16 bits · 2^32 rows < 2^128. Behind the last row some
    // writers leave out the bytes that fill it up.
    let (row, used) = header.row_bytes();
    let before_last = row as u128 * u128::from(header.height.saturating_sub(1));
    let end = header.pixels_at as u128 + before_last + used as u128;
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
    /// Bytes from one row to the next, and those of them that are pixels.
    pub(crate) fn row_bytes(&self) -> (usize, usize) {
        // On 64 bits 2^31 columns of 64 bits fit.
        let bits = (self.width as usize).saturating_mul(usize::from(self.depth));
        (bits.div_ceil(32).saturating_mul(4), bits.div_ceil(8))
    }

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
            (3, 16 | 24 | 32) if !is_os2 => (Rows::Masks, if size < WITH_MASKS { 3 } else { 0 }),
            (6, 16 | 32) if !is_os2 => (Rows::Masks, alpha_masks_behind(size, stated)),
            (1, 8) | (2, 4) => (Rows::Runs, 0),
            _ => return Err(unsupported(compression, depth, is_os2)),
        };
        end += 4 * masks_behind;
        let mut masks = [0; 4];
        if rows == Rows::Masks && compression == 0 {
            masks[..3].copy_from_slice(&FIVE_BITS);
        } else if rows == Rows::Masks {
            let count = if size < WITH_OPACITY && compression == 3 { 3 } else { 4 };
            let places = (MASKS_AT..end).step_by(4).take(count);
            for (mask, at) in masks.iter_mut().zip(places) {
                *mask = u32_at(at)?;
            }
            masks = usable(masks, depth)?;
        }
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

/// Masks behind a header with compression 6: all four, or opacity alone where the header holds the
/// others and the pixels leave room for it.
const fn alpha_masks_behind(size: usize, pixels_at: usize) -> usize {
    let has_room = pixels_at == 0 || pixels_at >= FILE_HEADER + size + 4;
    match size {
        WITH_OPACITY.. => 0,
        WITH_MASKS.. if has_room => 1,
        WITH_MASKS.. => 0,
        _ => 4,
    }
}

/// The masks as Pillow takes them.
fn usable(masks: [u32; 4], depth: u16) -> Result<[u32; 4], Fault> {
    let [red, green, blue, _] = masks;
    match ([red, green, blue], depth) {
        // Nobody keeps to the one opacity bit of these: it is 0 in opaque pictures too.
        (FIVE_BITS | SIX_BITS, 16) => Ok([red, green, blue, 0]),
        ([0, 0, 0], 32) => Ok(EIGHT_BITS),
        _ if red == 0 || green == 0 || blue == 0 => {
            Err(corrupt(Format::Bmp, "one of its colours has no mask"))
        }
        _ => Ok(masks),
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
