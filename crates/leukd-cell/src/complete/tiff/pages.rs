//! Refusal of a file that holds several pictures: leukd judges one.

use super::directory::Directory;
use super::{DESCRIPTION, PHOTOMETRIC};
use crate::fault::{Fault, FaultKind};

const SAMPLES_PER_PIXEL: u16 = 277;

/// The fault of more than one full page, or of one page that ImageJ says more pictures follow.
pub(super) fn several(full: &[Directory<'_>]) -> Option<Fault> {
    let count = match full {
        [only] => images(only.bytes(DESCRIPTION)).unwrap_or(1),
        _ => full.len(),
    };
    if count < 2 {
        return None;
    }
    let message = if full.iter().all(is_grey) && full.windows(2).all(are_alike) && count <= 4 {
        format!(
            "this TIFF holds {count} grey pictures of one size, as a microscope's channels are: \
             merge the channels to RGB on export, or export each plane to a file of its own"
        )
    } else {
        format!(
            "this TIFF holds {count} full pictures and leukd judges one a file: export each cell, \
             channel or plane to a file of its own"
        )
    };
    Some(Fault::new(FaultKind::Unsupported, message))
}

fn is_grey(page: &Directory<'_>) -> bool {
    page.value(SAMPLES_PER_PIXEL).unwrap_or(1) == 1 && page.value(PHOTOMETRIC).unwrap_or(1) < 2
}

fn are_alike(pair: &[Directory<'_>]) -> bool {
    pair[0].sides() == pair[1].sides()
}

/// The number of pictures in an ImageJ file, whose single page may stand for all of them.
fn images(description: &[u8]) -> Option<usize> {
    let mut lines = description.split(|byte| matches!(byte, b'\n' | 0));
    lines.next()?.strip_prefix(b"ImageJ=")?;
    let count = lines.find_map(|line| line.strip_prefix(b"images="))?;
    std::str::from_utf8(count).ok()?.trim().parse().ok()
}
