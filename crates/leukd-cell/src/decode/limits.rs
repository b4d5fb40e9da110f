//! Limits of one picture, checked before anything is allocated by a header's word.

use crate::fault::{Fault, FaultKind};

/// Limits of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest file, in bytes.
    pub max_bytes: u64,
    /// The most pixels along either side.
    pub max_side: u32,
    /// The most memory for the decoded picture and its 8-bit copy together, in bytes.
    pub max_memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_side: 8192, max_memory: 256 << 20 }
    }
}

pub(super) fn check_sides((width, height): (u32, u32), limits: &Limits) -> Result<(), Fault> {
    if width == 0 || height == 0 {
        let message = format!("the picture has {width}×{height} pixels");
        return Err(Fault::new(FaultKind::Empty, message));
    }
    if width > limits.max_side || height > limits.max_side {
        let message = format!(
            "the picture has {width}×{height} pixels; at most {0}×{0} are allowed",
            limits.max_side
        );
        return Err(Fault::new(FaultKind::TooLarge, message));
    }
    Ok(())
}

pub(super) fn check_memory(
    (width, height): (u32, u32),
    needed: u64,
    limits: &Limits,
) -> Result<(), Fault> {
    if needed <= limits.max_memory {
        return Ok(());
    }
    let message = format!(
        "the picture of {width}×{height} pixels needs {needed} bytes of memory; at most {} are \
         allowed",
        limits.max_memory
    );
    Err(Fault::new(FaultKind::TooLarge, message))
}
