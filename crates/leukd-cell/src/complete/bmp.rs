//! BMP: the size field and the pixel rows that the header promises.
//!
//! Layout: Microsoft's BITMAPFILEHEADER (14 bytes) and BITMAPINFOHEADER or its longer kin (40 to 124
//! bytes). C-NMC has both kinds: 54 bytes up to the pixels in its training phase, 138 in its
//! preliminary one.

use super::{Format, Walked, corrupt, take, truncated};

const FILE_HEADER: usize = 14;
/// The old OS/2 header, whose width and height have 16 bits.
const CORE_HEADER: u32 = 12;
/// `biCompression` values whose rows have a fixed length: BI_RGB, BI_BITFIELDS, BI_ALPHABITFIELDS.
const UNCOMPRESSED: [u32; 3] = [0, 3, 6];

pub(super) fn walk(bytes: &[u8], dimensions: &mut Option<(u32, u32)>) -> Walked {
    let short = || truncated(Format::Bmp, "it ends inside its header");
    let u16_at = |at| take(bytes, at).map(u16::from_le_bytes).ok_or_else(short);
    let u32_at = |at| take(bytes, at).map(u32::from_le_bytes).ok_or_else(short);
    let i32_at = |at| take(bytes, at).map(i32::from_le_bytes).ok_or_else(short);

    let size_field = u64::from(u32_at(2)?);
    let pixels_at = u64::from(u32_at(10)?);
    let header = u32_at(FILE_HEADER)?;
    let (width, height, depth, compression, pixel_bytes) = if header == CORE_HEADER {
        (u32::from(u16_at(18)?), u32::from(u16_at(20)?), u16_at(24)?, 0, 0)
    } else {
        let width = u32::try_from(i32_at(18)?)
            .map_err(|_| corrupt(Format::Bmp, "its width is negative"))?;
        // A negative height says that the rows run from the top.
        let height = i32_at(22)?.unsigned_abs();
        (width, height, u16_at(28)?, u32_at(30)?, u32_at(34)?)
    };
    *dimensions = Some((width, height));

    // Rows are padded to four bytes. The product fits: 2^32 columns · 2^16 bits · 2^32 rows < 2^128.
    let rows = if UNCOMPRESSED.contains(&compression) {
        let row = (u128::from(width) * u128::from(depth)).div_ceil(32) * 4;
        row * u128::from(height)
    } else {
        u128::from(pixel_bytes)
    };
    let end_of_pixels = u128::from(pixels_at) + rows;
    let have = bytes.len() as u128;
    if have < end_of_pixels {
        let what = format!(
            "{width}×{height} pixels at {depth} bits need {end_of_pixels} bytes, it has {have}"
        );
        return Err(truncated(Format::Bmp, what));
    }
    // Some writers leave the size field at 0; then the pixels alone say where the file ends.
    if have < u128::from(size_field) {
        let what = format!("its size field says {size_field} bytes, it has {have}");
        return Err(truncated(Format::Bmp, what));
    }
    Ok(())
}
