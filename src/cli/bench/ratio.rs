//! The fused engine's time over the stock one's, held against a stored one. A time alone could not
//! be held to: it says as much of the machine, and of what else it does, as of the engine.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::machine::{self, Machine};
use super::network::{Loaded, Run, measure};
use super::statistics::median;
use crate::cell::preprocess::InputTensor;
use crate::cli::error::CliError;
use crate::cli::output::{Output, remark};
use crate::model::engine::EngineKind;

/// So far above the stored ratio a measured one may lie.
const MARGIN: f64 = 0.05;

/// Measurements before the answer is no: what else a machine does can spoil one and another, a
/// slower engine spoils all.
const TRIES: usize = 6;

/// The stored ratios.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    #[serde(default)]
    ratio: Vec<Entry>,
}

/// One machine's ratio.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The processor's name, as the system reports it; absent: any.
    cpu: Option<String>,
    /// The instructions that the kernels use.
    isa: String,
    fused_to_stock: f64,
}

/// Reads the stored ratios.
///
/// # Errors
/// No such file, or no ratios in it.
pub(super) fn read(file: &Path) -> Result<Stored, CliError> {
    let text = fs_err::read_to_string(file).map_err(|e| CliError::NoInput(e.to_string()))?;
    let wrong = |error: String| CliError::Data(format!("{}: {error}", file.display()));
    let stored: Stored = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    for entry in &stored.ratio {
        if !(entry.fused_to_stock.is_finite() && entry.fused_to_stock > 0.0) {
            return Err(wrong(format!("{}: fused_to_stock is no ratio", entry.isa)));
        }
    }
    Ok(stored)
}

impl Stored {
    /// The first entry that speaks of this machine.
    fn of(&self, cpu: &str, isa: &str) -> Option<&Entry> {
        let speaks = |entry: &&Entry| {
            entry.isa == isa && entry.cpu.as_ref().is_none_or(|named| named == cpu)
        };
        self.ratio.iter().find(speaks)
    }
}

/// The median over rounds of the fused engine's time by the stock one's; none where one of them did
/// not run.
pub(super) fn of(runs: &[Run]) -> Option<f64> {
    let each = |kind| runs.iter().find(|run| run.engine == kind).map(|run| run.each.as_slice());
    Some(median(&ratios(each(EngineKind::Fused)?, each(EngineKind::Stock)?)))
}

fn ratios(fused: &[f64], stock: &[f64]) -> Vec<f64> {
    fused.iter().zip(stock).map(|(fused, stock)| fused / stock).collect()
}

/// Compares the measured ratio with the stored one, a few times before it fails.
///
/// # Errors
/// [`CliError::Software`] where the ratio has risen.
pub(super) fn check(
    stored: &Stored,
    loaded: &[Loaded; 2],
    inputs: &[InputTensor],
    threads: usize,
    for_so_long: Duration,
    out: &Output,
) -> Result<(), CliError> {
    let isa = machine::key(loaded[0].model.fusion());
    let Machine { cpu, .. } = Machine::here();
    let entry = stored.of(&cpu, &isa);
    for left in (0..TRIES).rev() {
        let runs = measure(loaded, inputs, threads, for_so_long)?;
        // The quickest rounds: a disturbance can only slow, and it slows what waits for memory more
        // than what computes.
        let quickest = |kind| runs.iter().find(|run| run.engine == kind);
        let (Some(fused), Some(stock)) = (quickest(EngineKind::Fused), quickest(EngineKind::Stock))
        else {
            return Err(CliError::Usage("both engines are needed for their ratio".to_owned()));
        };
        let rounds = fused.rounds.min(stock.rounds);
        let (fused, stock) = (fused.ms_per_cell_min, stock.ms_per_cell_min);
        let ratio = fused / stock;
        let text = format!(
            "fused : stock = {fused:.2} ms : {stock:.2} ms = {ratio:.3}, the quickest of {rounds} rounds each, on {cpu}, {isa}"
        );
        let Some(Entry { fused_to_stock: known, .. }) = entry else {
            return out.line(&format!("{text}; no ratio is stored for it: nothing is checked"));
        };
        let most = known * (1.0 + MARGIN);
        let text = format!("{text}; stored {known:.3}, at most {most:.3}");
        if ratio <= most {
            return out.line(&text);
        }
        if left == 0 {
            return Err(CliError::Software(text));
        }
        remark(&format!("{text}; once more"));
    }
    Ok(())
}
