//! 16-bit samples → 8 bits, where a camera's 12 bits may stand in the 16.

use crate::fault::{Fault, FaultKind};

/// The depths of cameras whose samples are stored in 16 bits.
const CAMERAS: [u32; 3] = [10, 12, 14];

/// Samples from 0 up to a brightest one, spread over 256 levels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Levels {
    pub(super) most: u16,
}

impl Levels {
    pub(super) const fn new(most: u16) -> Self {
        Self { most }
    }

    /// The nearest level.
    pub(super) fn level(self, sample: u16) -> u8 {
        if self.most == 255 {
            return sample.min(255) as u8;
        }
        let most = u32::from(self.most.max(1));
        ((u32::from(sample.min(self.most)) * 255 + most / 2) / most) as u8
    }

    /// The nearest level of a colour over black; opacity has levels of its own.
    pub(super) fn multiplied(self, colour: u16, opacity: u16, opacities: Self) -> u8 {
        let whole = u64::from(self.most.max(1)) * u64::from(opacities.most.max(1));
        let colour = u64::from(colour.min(self.most));
        let product = colour * u64::from(opacity.min(opacities.most));
        ((product * 255 + whole / 2) / whole) as u8
    }

    /// The levels of opacity whose brightest sample is `brightest`: `self`, unless it goes beyond
    /// them.
    pub(super) const fn for_opacity(self, brightest: u16) -> Self {
        if brightest > self.most { Self::new(u16::MAX) } else { self }
    }
}

/// The brightest level of 16-bit samples: `stated`, the brightest sample by the file's own word,
/// where that is all of some bits. Any other number only says how bright this picture is.
pub(super) fn most(stated: Option<u16>) -> u16 {
    stated
        .filter(|stated| *stated >= 255 && stated & stated.wrapping_add(1) == 0)
        .unwrap_or(u16::MAX)
}

/// Refuses 16-bit samples whose depth is unsure: read as 16 bits they would be a black picture.
/// That the file names 16 bits does not help: most writers do so unasked.
pub(super) fn check(format: &str, brightest: u16, stated: Option<u16>) -> Result<(), Fault> {
    let most = most(stated);
    if brightest > most {
        let message = format!(
            "this {format} says that its samples reach {most}, and one is {brightest}: save it \
             with 8 bits, or with 16 that are all used"
        );
        return Err(Fault::new(FaultKind::Unsupported, message));
    }
    if most < u16::MAX {
        return Ok(());
    }
    let used = u16::BITS - brightest.leading_zeros();
    let Some(depth) = CAMERAS.into_iter().find(|depth| used <= *depth) else { return Ok(()) };
    if brightest == 0 {
        return Ok(());
    }
    let depth = depth.max(12);
    let word = if format == "PNG" { "sBIT" } else { "MaxSampleValue, or SignificantBits of OME" };
    let message = format!(
        "this {format} has 16 bits a sample and the brightest is {brightest}: it looks like a \
         camera's {depth} bits stored in 16, and nothing in it says so. Save it with 8 bits, \
         scaled to 16, or with its depth ({word})"
    );
    Err(Fault::new(FaultKind::Unsupported, message))
}
