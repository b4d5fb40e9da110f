//! Completeness of a file, found without decoding it.
//!
//! A microscope's file grows slowly, or is allocated with zeros and filled later: its size on disk
//! says nothing. Each format says where it ends: BMP by its rows, PNG by `IEND`, JPEG by `EOI`,
//! TIFF by its offsets.

pub(super) mod bmp;
pub(super) mod jpeg;
pub(super) mod png;
pub(super) mod tiff;

use std::fmt;

use super::fault::{Fault, FaultKind};
use super::format::{Format, format_names};
use super::other_formats;

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
            let fault = (format.facts().find_end)(bytes, &mut dimensions).err();
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

/// A walk reads the structure, leaves the dimensions on its way and ends with the first fault.
pub(super) type Walked = Result<(), Fault>;

pub(super) fn truncated(format: Format, what: impl fmt::Display) -> Fault {
    Fault::new(FaultKind::Truncated, format!("the {format} is not complete: {what}"))
}

pub(super) fn corrupt(format: Format, what: impl fmt::Display) -> Fault {
    Fault::new(FaultKind::Corrupt, format!("the {format} is damaged: {what}. Export it again"))
}

/// `N` bytes at `at`, where the file has them.
pub(super) fn take<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}
