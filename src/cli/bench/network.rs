//! The network alone: engines that take turns, round by round.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::statistics::{least, median};
use crate::cell::preprocess::InputTensor;
use crate::cli::error::CliError;
use crate::model::engine::EngineKind;
use crate::model::serving::Model;

/// A round lasts about so long: short enough that a disturbance meets all engines, long enough for
/// the clock.
const ROUND: Duration = Duration::from_millis(100);

/// A model on one engine.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) kind: EngineKind,
    pub(super) model: Model,
}

/// One engine's figures.
#[derive(Debug, Serialize)]
pub(super) struct Run {
    /// Which engine.
    pub(super) engine: EngineKind,
    /// Arithmetic of the network. Stored weights are expanded when a bundle is read.
    pub(super) arithmetic: &'static str,
    /// The fused operators.
    pub(super) fusion: String,
    /// Cells at once.
    pub(super) threads: usize,
    /// Number of rounds.
    pub(super) rounds: usize,
    /// Cells of each thread in a round.
    pub(super) cells_per_round: usize,
    /// The median over rounds of wall time by cells.
    #[serde(rename = "ms_per_cell_median")]
    pub(super) ms_per_cell: f64,
    /// The quickest round's.
    pub(super) ms_per_cell_min: f64,
    /// Cells a second, from the median.
    pub(super) cells_per_second: f64,
    /// Each round's milliseconds a cell, in order.
    #[serde(skip)]
    pub(super) each: Vec<f64>,
}

/// Lets the engines take turns until the time is up.
///
/// # Errors
/// A run that fails, which is a defect: the model has run its golden inputs.
pub(super) fn measure(
    loaded: &[Loaded],
    inputs: &[InputTensor],
    threads: usize,
    for_so_long: Duration,
) -> Result<Vec<Run>, CliError> {
    let mut sizes = Vec::with_capacity(loaded.len());
    for engine in loaded {
        // The first run allocates; the second gives the number of cells in a round.
        round(&engine.model, inputs, threads, 1)?;
        let one = round(&engine.model, inputs, threads, 1)?;
        let wall = one * threads as f64 / 1e3;
        #[expect(clippy::cast_sign_loss, reason = "a positive number, cut at 10,000")]
        sizes.push((ROUND.as_secs_f64() / wall).ceil().clamp(1.0, 10_000.0) as usize);
    }
    let mut each = vec![Vec::new(); loaded.len()];
    let started = Instant::now();
    for turn in 0_usize.. {
        // The first engine changes from round to round, so that neither always follows the other.
        for place in 0..loaded.len() {
            let at = (turn + place) % loaded.len();
            each[at].push(round(&loaded[at].model, inputs, threads, sizes[at])?);
        }
        if started.elapsed() >= for_so_long {
            break;
        }
    }
    let runs = loaded.iter().zip(each).zip(sizes).map(|((engine, each), cells_per_round)| {
        let ms_per_cell = median(&each);
        Run {
            engine: engine.kind,
            arithmetic: "f32",
            fusion: engine.model.fusion().to_string(),
            threads,
            rounds: each.len(),
            cells_per_round,
            ms_per_cell,
            ms_per_cell_min: least(&each),
            cells_per_second: 1e3 / ms_per_cell,
            each,
        }
    });
    Ok(runs.collect())
}

/// Runs the cells on each thread; milliseconds a cell: wall time divided by all cells.
///
/// # Errors
/// A run that fails.
pub(super) fn round(
    model: &Model,
    inputs: &[InputTensor],
    threads: usize,
    cells: usize,
) -> Result<f64, CliError> {
    let run = |thread: usize| {
        let mut inputs = inputs.iter().cycle().skip(thread % inputs.len().max(1)).take(cells);
        inputs.try_for_each(|input| model.logits(input).map(drop))
    };
    let failed = |error: &dyn std::fmt::Display| CliError::Software(error.to_string());
    let wall = if threads == 1 {
        let started = Instant::now();
        run(0).map_err(|error| failed(&error))?;
        started.elapsed()
    } else {
        let together = Barrier::new(threads);
        let times = std::thread::scope(|scope| {
            let all: Vec<_> = (0..threads)
                .map(|thread| {
                    let (run, together) = (&run, &together);
                    scope.spawn(move || {
                        together.wait();
                        let started = Instant::now();
                        run(thread).map(|()| (started, Instant::now()))
                    })
                })
                .collect();
            all.into_iter()
                .map(|one| one.join().map_err(|_| failed(&"a thread panicked")))
                .map(|one| one.and_then(|times| times.map_err(|error| failed(&error))))
                .collect::<Result<Vec<_>, CliError>>()
        })?;
        let first = times.iter().map(|(started, _)| *started).min();
        let last = times.iter().map(|(_, ended)| *ended).max();
        first.zip(last).map_or(Duration::ZERO, |(first, last)| last.duration_since(first))
    };
    Ok(wall.as_secs_f64() * 1e3 / (threads * cells) as f64)
}
