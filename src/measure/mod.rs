//! What the daemon counts of its own work beside the journal's counts: calls, signs of life, this
//! process.

mod calls;
pub mod process;
mod pulse;

pub use calls::{Call, Calls};
pub use leukd_journal::measure::*;
pub use pulse::{Pulse, PulseNow};
