//! The fused engine's time over the stock one's: a figure that hardly depends on how quick a machine is, and so one
//! that can be held to.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::machine;
use super::network::{Loaded, Run, measure_until};
use super::statistics::{median, uncertainty};
use crate::cell::preprocess::InputTensor;
use crate::cli::error::CliError;
use crate::cli::output::{Output, remark};
use crate::model::engine::EngineKind;

/// So far above the stored ratio a measured one may lie.
const MARGIN: f64 = 0.05;

/// Rounds go on until the median is as sure as this share of it, well inside the margin ...
const SURE: f64 = 0.01;

/// ... and there are at least so many.
const LEAST_ROUNDS: usize = 15;

/// One entry of the file, for one kind of instructions.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    fused_to_stock: f64,
}

/// What the file holds.
///
/// # Errors
/// No such file, or no ratios in it.
pub(super) fn read(file: &Path) -> Result<BTreeMap<String, Stored>, CliError> {
    let text = fs_err::read_to_string(file).map_err(|e| CliError::NoInput(e.to_string()))?;
    let wrong = |error: String| CliError::Data(format!("{}: {error}", file.display()));
    let stored: BTreeMap<String, Stored> =
        toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    for (isa, entry) in &stored {
        if !(entry.fused_to_stock.is_finite() && entry.fused_to_stock > 0.0) {
            return Err(wrong(format!("{isa}.fused_to_stock is no ratio")));
        }
    }
    Ok(stored)
}

/// The median over rounds of the fused engine's time by the stock one's; none where one of them did not run.
pub(super) fn of(runs: &[Run]) -> Option<f64> {
    let each = |kind| runs.iter().find(|run| run.engine == kind).map(|run| run.each.as_slice());
    Some(median(&ratios(each(EngineKind::Fused)?, each(EngineKind::Stock)?)))
}

fn ratios(fused: &[f64], stock: &[f64]) -> Vec<f64> {
    fused.iter().zip(stock).map(|(fused, stock)| fused / stock).collect()
}

/// Measures the ratio and holds it against the stored one, a second time before it says no.
///
/// # Errors
/// [`CliError::Software`] where the ratio has risen.
pub(super) fn check(
    stored: &BTreeMap<String, Stored>,
    loaded: &[Loaded; 2],
    inputs: &[InputTensor],
    threads: usize,
    for_so_long: Duration,
    out: &Output,
) -> Result<(), CliError> {
    let measured = || {
        let enough = |each: &[Vec<f64>]| {
            let ratios = ratios(&each[0], &each[1]);
            ratios.len() >= LEAST_ROUNDS && uncertainty(&ratios) <= SURE
        };
        let runs = measure_until(loaded, inputs, threads, for_so_long, enough)?;
        let ratios = ratios(&runs[0].each, &runs[1].each);
        Ok::<_, CliError>((median(&ratios), uncertainty(&ratios) * 100.0, ratios.len()))
    };
    let isa = machine::key(loaded[0].model.fusion());
    let (mut ratio, mut unsure, mut rounds) = measured()?;
    let Some(entry) = stored.get(isa) else {
        return out.line(&format!(
            "fused : stock = {ratio:.3} ± {unsure:.1} % over {rounds} rounds on {isa}; no ratio is stored for {isa}: \
             nothing is checked"
        ));
    };
    let most = entry.fused_to_stock * (1.0 + MARGIN);
    if ratio > most {
        remark(&format!("fused : stock = {ratio:.3}, more than {most:.3}; once more"));
        (ratio, unsure, rounds) = measured()?;
    }
    let stored = entry.fused_to_stock;
    let text = format!(
        "fused : stock = {ratio:.3} ± {unsure:.1} % over {rounds} rounds on {isa}; stored {stored:.3}, at most {most:.3}"
    );
    if ratio <= most { out.line(&text) } else { Err(CliError::Software(text)) }
}
