//! What every walk over a file's structure needs: its answer, its faults, and bytes within bounds.

use std::fmt;

use crate::fault::{Fault, FaultKind};
use crate::format::Format;

/// A walk reads the structure, leaves the dimensions on its way and ends with the first fault.
pub(crate) type Walked = Result<(), Fault>;

pub(crate) fn truncated(format: Format, what: impl fmt::Display) -> Fault {
    Fault::new(FaultKind::Truncated, format!("the {format} is not complete: {what}"))
}

pub(crate) fn corrupt(format: Format, what: impl fmt::Display) -> Fault {
    Fault::new(FaultKind::Corrupt, format!("the {format} is damaged: {what}. Export it again"))
}

/// `N` bytes at `at`, where the file has them.
pub(crate) fn take<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}
