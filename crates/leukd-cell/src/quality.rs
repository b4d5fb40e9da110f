//! Doubts about a picture that do not change its decision.

use crate::foreground::HARDLY;
use crate::measures::Measures;

/// At least half of the outermost pixels are foreground. The picture is probably no segmented cell
/// but a whole field of view, or was cut out on another background.
pub const BACKGROUND_NOT_BLACK: &str = "background-not-black";

/// Foreground pixels stand on the picture's outermost rows or columns: the cell may be cut off. Not
/// given beside `background-not-black`.
pub const TOUCHES_FRAME: &str = "touches-frame";

/// Fewer than one pixel in [`HARDLY`] is foreground.
pub const EMPTY: &str = "empty";

/// Flags of a picture of `total_px` pixels, in the order of this module's constants. `measures` are
/// absent where it has no foreground.
#[must_use]
pub fn flags(measures: Option<&Measures>, total_px: u64) -> Vec<&'static str> {
    let Some(measures) = measures else { return vec![EMPTY] };
    let mut flags = Vec::new();
    if measures.frame >= 0.5 {
        flags.push(BACKGROUND_NOT_BLACK);
    } else if measures.frame > 0.0 {
        flags.push(TOUCHES_FRAME);
    }
    if measures.area * (HARDLY as f64) < total_px as f64 {
        flags.push(EMPTY);
    }
    flags
}
