//! From the bytes of an image to the network's input, step by step.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::statistics::median;
use crate::cell::preprocess::Preprocessing;
use crate::cell::{Fault, Limits, decode};
use crate::cli::error::CliError;

/// Minimum time for repeating all cells.
const FOR: Duration = Duration::from_secs(1);

/// Medians over all cells and repeats.
#[derive(Debug, Serialize)]
pub(super) struct WayIn {
    /// Runs of each cell.
    runs: usize,
    /// Bytes to pixels, with the check of their completeness.
    pub(super) decode_us: f64,
    /// Pixels to the network's size.
    pub(super) resize_us: f64,
    /// Those to numbers, the stain's standardisation included.
    pub(super) tensor_us: f64,
}

/// Measures it.
///
/// # Errors
/// An image that cannot be decoded.
pub(super) fn measure(cells: &[Vec<u8>], preprocessing: &Preprocessing) -> Result<WayIn, CliError> {
    let limits = Limits::default();
    let mut steps: [Vec<f64>; 3] = Default::default();
    let mut once = |bytes: &[u8]| -> Result<(), Fault> {
        let mut times = [Instant::now(); 4];
        let picture = decode(bytes, &limits)?;
        times[1] = Instant::now();
        let square = preprocessing.square(&picture)?;
        times[2] = Instant::now();
        let input = preprocessing.numbers(&square);
        times[3] = Instant::now();
        drop(std::hint::black_box(input));
        for (step, pair) in steps.iter_mut().zip(times.windows(2)) {
            step.push(pair[1].duration_since(pair[0]).as_secs_f64() * 1e6);
        }
        Ok(())
    };
    let started = Instant::now();
    while started.elapsed() < FOR {
        for bytes in cells {
            once(bytes).map_err(|fault| CliError::Data(fault.to_string()))?;
        }
    }
    let [decode_us, resize_us, tensor_us] = [0, 1, 2].map(|step| median(&steps[step]));
    Ok(WayIn { runs: steps[0].len(), decode_us, resize_us, tensor_us })
}
