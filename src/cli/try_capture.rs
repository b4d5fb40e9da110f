//! `leukd try-capture`: the child process in which the daemon decodes a suspect file. Not for
//! people.

use std::io::Read as _;

use super::error::CliError;
use super::output::Output;
use crate::cell::{Fault, Limits, Measures, decode};

/// Decode standard input and end; the daemon calls this
#[derive(Debug, Clone, clap::Args)]
#[command(hide = true)]
pub(super) struct TryCaptureArgs {
    /// The largest file, in bytes
    #[arg(long)]
    max_bytes: u64,
    /// The most pixels along either side
    #[arg(long)]
    max_side: u32,
    /// The most memory of a decoded picture, in bytes
    #[arg(long)]
    max_memory: u64,
}

/// Does what a worker does before the network. That the picture is broken is no failure here: the
/// daemon will see it too. Neither is a panic, which the daemon's workers outlive.
///
/// # Errors
/// Standard input cannot be read, or standard output not be written to.
pub(super) fn run(args: &TryCaptureArgs) -> Result<(), CliError> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .take(args.max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| CliError::Io(format!("cannot read standard input: {error}")))?;
    // From here on, a death is the file's fault.
    Output::new().line("read")?;
    let limits =
        Limits { max_bytes: args.max_bytes, max_side: args.max_side, max_memory: args.max_memory };
    let _ = std::panic::catch_unwind(|| -> Result<(), Fault> {
        let picture = decode(&bytes, &limits)?;
        let _ = std::hint::black_box(Measures::of(&picture));
        Ok(())
    });
    Ok(())
}
