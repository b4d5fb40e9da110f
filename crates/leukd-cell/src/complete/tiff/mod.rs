//! TIFF: which of its pages is the picture, and whether all of it lies inside the file (Adobe TIFF
//! 6.0; BigTIFF, Aware Systems' description). Writers put the directory last, or rewrite the
//! header's offset at the very end: until then the chain leads nowhere.

mod depth;
mod directory;
mod page;
mod pages;
mod pixel_size;

use crate::fault::{Fault, FaultKind};
use crate::format::Format;
use crate::structure::{Walked, corrupt, truncated};
use crate::xmp::orientation as of_xmp;
use directory::{Directory, File};
pub(crate) use page::{Compression, Page, Photometric};
use pages::several;
pub(crate) use pixel_size::pixel_size;

/// A chain longer than this is nothing that a microscope exports.
const MAX_DIRECTORIES: usize = 4096;

const NEW_SUBFILE_TYPE: u16 = 254;
const SUBFILE_TYPE: u16 = 255;
const PHOTOMETRIC: u16 = 262;
const DESCRIPTION: u16 = 270;
const ORIENTATION: u16 = 274;
const XMP: u16 = 700;

/// Bits of `NewSubfileType`: a smaller copy of another page, or a mask over one.
const REDUCED_OR_MASK: u64 = 0b101;
/// `SubfileType` of a smaller copy.
const OLD_REDUCED: u64 = 2;
const TRANSPARENCY_MASK: u64 = 4;

pub(crate) fn find_end(bytes: &[u8], dimensions: &mut Option<(u32, u32)>) -> Walked {
    let directory = picture(bytes)?;
    if let Some((width, height)) = directory.sides() {
        let side = |pixels: u64| u32::try_from(pixels).unwrap_or(u32::MAX);
        *dimensions = Some((side(width), side(height)));
    }
    Page::new(&directory)?.check_inside()
}

/// The page that is the picture.
pub(crate) fn page(bytes: &[u8]) -> Result<Page<'_>, Fault> {
    Page::new(&picture(bytes)?)
}

/// The directory of the only full page. A later directory that leads nowhere ends the chain: no
/// pixel of the picture hangs on it.
fn picture(bytes: &[u8]) -> Result<Directory<'_>, Fault> {
    let file = File::new(bytes)?;
    let mut full = Vec::new();
    let mut seen = Vec::new();
    let mut at = file.first_directory()?;
    while at != 0 && !seen.contains(&at) && seen.len() < MAX_DIRECTORIES {
        seen.push(at);
        let directory = match file.directory(at) {
            Ok(directory) => directory,
            Err(_) if !full.is_empty() => break,
            Err(fault) => return Err(fault),
        };
        at = directory.next;
        if is_full(&directory) {
            full.push(directory);
        }
    }
    if let Some(fault) = several(&full) {
        return Err(fault);
    }
    full.pop().ok_or_else(|| {
        let message = "this TIFF holds only a reduced picture or a mask: export the full picture";
        Fault::new(FaultKind::Unsupported, message)
    })
}

fn is_full(directory: &Directory<'_>) -> bool {
    let value = |tag| directory.value(tag).unwrap_or(0);
    value(NEW_SUBFILE_TYPE) & REDUCED_OR_MASK == 0
        && value(SUBFILE_TYPE) != OLD_REDUCED
        && value(PHOTOMETRIC) != TRANSPARENCY_MASK
}

/// The orientation in Exif data; none where they do not name one.
pub(crate) fn orientation(bytes: &[u8]) -> Option<u8> {
    let directory = File::new(bytes).ok()?.readable_entries()?;
    let entry = directory.entry(ORIENTATION)?;
    // Pillow takes plain bytes for no number.
    if matches!(entry.kind, 1 | 2 | 7) { Some(0) } else { stated_orientation(&directory) }
}

fn stated_orientation(directory: &Directory<'_>) -> Option<u8> {
    directory.entry(ORIENTATION)?;
    let value = directory.value(ORIENTATION).and_then(|value| u8::try_from(value).ok());
    Some(value.unwrap_or(0))
}

/// The orientation of a page: of its tag, else of its XMP.
fn orientation_of(directory: &Directory<'_>) -> u8 {
    let stated = stated_orientation(directory);
    stated.or_else(|| of_xmp(directory.bytes(XMP))).unwrap_or(1)
}

fn short(what: impl std::fmt::Display) -> Fault {
    truncated(Format::Tiff, format!("it ends before {what}"))
}

fn damaged(what: impl std::fmt::Display) -> Fault {
    corrupt(Format::Tiff, what)
}
