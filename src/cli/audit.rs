//! `leukd audit`: the audit chain, for auditors.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::error::CliError;
use super::output::{Output, clean, remark};
use super::state::{StateArgs, failed};
use crate::journal::JournalError;
use crate::journal::atomic_file;
use crate::journal::audit::{AuditHead, ExportedChain, Sealed, Verified, verify};
use crate::result::RESEARCH_USE_ONLY;

/// Verify, export or show the audit chain
///
/// Every result, rejection, review, specimen event, model, refused login, configuration, start,
/// stop and removal is one record of the journal, sealed with the record before it. These commands
/// read the journal's file, also while a daemon writes it. docs/guide/audit.md explains the
/// records, and what the chain cannot show.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum AuditCommand {
    /// Check for edits, removals, insertions and exchanges, and name the first bad record
    ///
    /// Ends with 65 when there is one. A removal of the newest records, or a rewrite of all, shows
    /// only against a head that was kept elsewhere: see --head.
    Verify {
        #[command(flatten)]
        state: StateArgs,
        /// An earlier head, from the log, `leukd status` or `leukd audit head`; may be repeated
        #[arg(long, value_name = "NUMBER:HASH")]
        head: Vec<AuditHead>,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Write the records, one JSON object a line, after a header line
    ///
    /// `record` is the text that was hashed: BLAKE3 of the 32 bytes of `previous`, then the text,
    /// is `hash`.
    Export {
        #[command(flatten)]
        state: StateArgs,
        /// From this number
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
        from: u64,
        /// Up to and including this number [default: the end]
        #[arg(long, value_name = "N")]
        to: Option<u64>,
        /// Write to this file instead of standard output; it appears when it is complete
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Show the number and hash of the newest record, to keep elsewhere
    Head {
        #[command(flatten)]
        state: StateArgs,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Runs it.
///
/// # Errors
/// The journal cannot be read; [`CliError::Data`] where the chain is broken.
pub(super) fn run(args: &AuditArgs) -> Result<(), CliError> {
    match &args.command {
        AuditCommand::Verify { state, head, json } => check(state, head, *json),
        AuditCommand::Export { state, from, to, output } => {
            export(state, *from, to.unwrap_or(u64::MAX), output.as_deref())
        }
        AuditCommand::Head { state, json } => show_head(state, *json),
    }
}

fn check(state: &StateArgs, heads: &[AuditHead], json: bool) -> Result<(), CliError> {
    let verified = verify(&state.file()?, heads).map_err(|error| failed(&error))?;
    let out = Output::new();
    if json {
        out.line(&as_json(&verified).to_string())?;
    }
    let Verified { epoch, head, compared, removed, fault } = &verified;
    if let Some(fault) = fault {
        let about = [fault.kind.as_str(), fault.at.as_str()].map(clean);
        let about: Vec<&str> =
            about.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        let about =
            if about.is_empty() { String::new() } else { format!(" ({})", about.join(", ")) };
        return Err(CliError::Data(format!(
            "audit record {}{about}: {}. Good up to record {}. Keep the journal's files as they are for \
             whoever looks into it",
            fault.number,
            clean(&fault.what),
            head.number
        )));
    }
    if !json {
        out.line(&format!(
            "the audit chain is whole: {} records, head {head}; {compared} events compared, {removed} removed \
             by retention; epoch {}",
            head.number,
            clean(epoch)
        ))?;
    }
    if heads.is_empty() {
        remark(
            "leukd: no --head was given: records removed from the end, or a chain written anew, would not show",
        );
    }
    Ok(())
}

fn as_json(verified: &Verified) -> serde_json::Value {
    let Verified { epoch, head, compared, removed, fault } = verified;
    json!({
        "whole": fault.is_none(),
        "epoch": epoch,
        "records": head.number,
        "head": head.to_string(),
        "results_compared": compared,
        "results_removed": removed,
        "fault": fault.as_ref().map(|fault| json!({
            "number": fault.number, "kind": fault.kind, "at": fault.at, "what": fault.what,
        })),
        "notice": RESEARCH_USE_ONLY,
    })
}

fn show_head(state: &StateArgs, json: bool) -> Result<(), CliError> {
    let chain = ExportedChain::open(&state.file()?).map_err(|error| failed(&error))?;
    let (epoch, head) = chain.head().map_err(|error| failed(&error))?;
    let text = if json {
        let (number, hash) = (head.number, head.hash.to_string());
        json!({ "epoch": epoch, "number": number, "hash": hash, "head": head.to_string() })
            .to_string()
    } else {
        head.to_string()
    };
    Output::new().line(&text)
}

/// Reasons for the end of an export.
enum Trouble {
    Journal(JournalError),
    Write(std::io::Error),
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Write(error)
    }
}

impl From<JournalError> for Trouble {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

fn export(state: &StateArgs, from: u64, to: u64, output: Option<&Path>) -> Result<(), CliError> {
    let chain = ExportedChain::open(&state.file()?).map_err(|error| failed(&error))?;
    let Some(path) = output else {
        return write(&chain, from, to, &mut BufWriter::new(std::io::stdout().lock())).map_err(
            |trouble| match trouble {
                Trouble::Journal(error) => failed(&error),
                Trouble::Write(error) => CliError::output(&error),
            },
        );
    };
    // The export has the permissions of the chain itself.
    let written =
        atomic_file::write(path, 0o600, |file| write(&chain, from, to, &mut BufWriter::new(file)));
    written.map_err(|trouble| match trouble {
        Trouble::Journal(error) => failed(&error),
        Trouble::Write(error) => CliError::Io(format!("{}: {error}", path.display())),
    })
}

fn write(chain: &ExportedChain, from: u64, to: u64, out: &mut impl Write) -> Result<(), Trouble> {
    let (epoch, head) = chain.head()?;
    let first = json!({
        "leukd_audit": 1,
        "notice": RESEARCH_USE_ONLY,
        "epoch": epoch,
        "from": from,
        "to": to.min(head.number),
        "head": head.to_string(),
        "hash": "BLAKE3 of the 32 bytes of previous, then the UTF-8 of record",
    });
    writeln!(out, "{first}").map_err(Trouble::Write)?;
    chain.read(from, to, |Sealed { previous, hash, record }| {
        let (previous, hash) = (previous.to_string(), hash.to_string());
        let line = json!({ "previous": previous, "hash": hash, "record": record });
        writeln!(out, "{line}").map_err(Trouble::Write)
    })?;
    out.flush().map_err(Trouble::Write)
}
