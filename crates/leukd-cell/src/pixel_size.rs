//! The scale of a picture by its file's own word.

use crate::complete::tiff;
use crate::format::Format;

/// Micrometres that one pixel spans, above 0; none where the file does not say.
///
/// Sources: OME-XML (OME-TIFF 6.2, `PhysicalSizeX`), ImageJ's TIFF description, TIFF 6.0's
/// `XResolution`. The resolutions of PNG, JPEG and BMP are meant for printers and screens, and are
/// not read.
#[must_use]
pub fn pixel_size(bytes: &[u8]) -> Option<f64> {
    match Format::of_start(bytes)? {
        Format::Tiff => tiff::pixel_size(bytes),
        Format::Bmp | Format::Png | Format::Jpeg => None,
    }
}
