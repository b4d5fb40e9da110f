//! Completeness of a file, found without decoding it.
//!
//! A microscope's file grows slowly, or is allocated with zeros and filled later: its size on disk
//! says nothing. Each format says where it ends: BMP by its rows, PNG by `IEND`, JPEG by `EOI`,
//! TIFF by its offsets.

pub(super) mod bmp;
pub(super) mod jpeg;
pub(super) mod png;
pub(super) mod tiff;

use super::fault::{Fault, FaultKind};
use super::format::{Format, format_names};
use super::other_formats;
use super::structure::{Walked, truncated};

/// Progress of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completeness {
    /// It is there to its end. Bytes after the end do not matter.
    Complete(Format),
    /// It begins like a picture and has no end yet, or its structure leads nowhere.
    Incomplete(Fault),
    /// It begins like no picture that leukd reads.
    Unrecognised(Fault),
}

/// Finds the end of the picture in `bytes`. Never panics and never allocates by what a header says.
#[must_use]
pub fn completeness(bytes: &[u8]) -> Completeness {
    match Outline::of(bytes) {
        Err(fault) => Completeness::Unrecognised(fault),
        Ok(Outline { fault: Some(fault), .. }) => Completeness::Incomplete(fault),
        Ok(Outline { format, fault: None, .. }) => Completeness::Complete(format),
    }
}

/// Result of a walk over the structure.
#[derive(Debug)]
pub(super) struct Outline {
    /// The format that the first bytes name.
    pub(super) format: Format,
    /// Width and height, where the walk came far enough to read them. They are the header's claim.
    pub(super) dimensions: Option<(u32, u32)>,
    /// The fault of a picture that is not whole.
    pub(super) fault: Option<Fault>,
}

impl Outline {
    /// Walks `bytes`; a fault when they begin like no picture.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.is_empty() {
            return Err(Fault::new(FaultKind::Empty, "the file has no bytes"));
        }
        if let Some(format) = Format::of_start(bytes) {
            let mut dimensions = None;
            let fault = find_end(format, bytes, &mut dimensions).err();
            return Ok(Self { format, dimensions, fault });
        }
        if let Some(format) = Format::of_cut_start(bytes) {
            let fault = truncated(format, "it ends inside its signature");
            return Ok(Self { format, dimensions: None, fault: Some(fault) });
        }
        if let Some(fault) = other_formats::refusal(bytes) {
            return Err(fault);
        }
        let message = if bytes.iter().all(|byte| *byte == 0) {
            "the file holds nothing but zeros: it may have been allocated and not written yet"
                .to_owned()
        } else {
            format!("the file begins like no {}", format_names())
        };
        Err(Fault::new(FaultKind::NotAnImage, message))
    }
}

/// Walks to the end of a file without decoding it, and leaves the picture's sides on the way.
fn find_end(format: Format, bytes: &[u8], sides: &mut Option<(u32, u32)>) -> Walked {
    match format {
        Format::Bmp => bmp::find_end(bytes, sides),
        Format::Png => png::find_end(bytes, sides),
        Format::Tiff => tiff::find_end(bytes, sides),
        Format::Jpeg => jpeg::find_end(bytes, sides),
    }
}
