//! BMP → pixels, as Pillow reads them.
//!
//! Why not the `image` crate: it makes black rows of runs that end early, asks for an end code that
//! writers leave out, and reads colours out of a header whose offset is wrong.

mod indices;
mod masks;
pub(super) mod plain;

use image::RgbImage;

use super::limits::{Limits, check_memory, check_sides};
use crate::complete::bmp::{Header, Rows};
use crate::fault::Fault;
use crate::format::Format;

/// The picture of a BMP file, in the memory of `spare` where its rows are plain.
pub(crate) fn read(bytes: &[u8], limits: &Limits, spare: &mut Vec<u8>) -> Result<RgbImage, Fault> {
    let header = Header::new(bytes, &mut None)?;
    let sides = (header.width, header.height);
    check_sides(sides, limits)?;
    let pixels = u64::from(header.width) * u64::from(header.height);
    let needed = pixels * if header.rows == Rows::Runs { 4 } else { 3 };
    check_memory(sides, needed, limits)?;
    if let Some(rows) = plain::Rows::new(&header, bytes) {
        return Ok(rows.picture(std::mem::take(spare)));
    }
    match header.rows {
        Rows::Masks => masks::read(&header, bytes),
        Rows::Plain | Rows::Runs => indices::read(&header, bytes),
    }
}

/// The stored rows from the top of the picture down.
fn rows<'a>(
    header: &Header,
    bytes: &'a [u8],
) -> Result<impl Iterator<Item = &'a [u8]> + use<'a>, Fault> {
    let (stride, used) = header.row_bytes();
    let height = header.height as usize;
    let stored = bytes.get(header.pixels_at..).unwrap_or_default();
    if stored.len() < stride * (height - 1) + used {
        return Err(crate::structure::truncated(Format::Bmp, "it ends before its last row"));
    }
    let is_top_down = header.is_top_down;
    Ok((0..height).map(move |y| {
        let row = if is_top_down { y } else { height - 1 - y };
        &stored[row * stride..row * stride + used]
    }))
}
