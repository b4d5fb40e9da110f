//! Rounds on request, for a program that lets leukd and other engines take turns: the process is
//! started once, and one line in is one line out.

use std::io::BufRead as _;

use super::network::{Loaded, round};
use crate::cell::preprocess::InputTensor;
use crate::cli::error::CliError;
use crate::cli::output::Output;

/// The most cells of one round.
const MOST: usize = 100_000;

/// Answers until standard input ends.
///
/// # Errors
/// A line that is no command; a run that fails.
pub(super) fn serve(
    loaded: &Loaded,
    inputs: &[InputTensor],
    threads: usize,
    out: &Output,
) -> Result<(), CliError> {
    // Allocates what later runs take again.
    round(&loaded.model, inputs, threads, 1)?;
    out.line(&format!("ready {}: {}", loaded.kind, loaded.model.fusion()))?;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| CliError::Io(error.to_string()))?;
        let answer = match line.split_once(' ').unwrap_or((line.trim(), "")) {
            ("outputs", "") => {
                let outputs: Result<Vec<_>, _> =
                    inputs.iter().map(|input| loaded.model.run(input)).collect();
                let outputs = outputs.map_err(|error| CliError::Software(error.to_string()))?;
                serde_json::to_string(&outputs)
                    .map_err(|error| CliError::Software(error.to_string()))?
            }
            ("round", count) => match count.trim().parse() {
                Ok(cells @ 1..=MOST) => round(&loaded.model, inputs, threads, cells)?.to_string(),
                _ => return Err(CliError::Usage(format!("{count:?}: write 1 to {MOST} cells"))),
            },
            _ => {
                let what = format!("{line:?} is no command: write \"round N\" or \"outputs\"");
                return Err(CliError::Usage(what));
            }
        };
        out.line(&answer)?;
    }
    Ok(())
}
