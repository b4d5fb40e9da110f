//! `leukd journal`: the journal's file, sound or not.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::error::CliError;
use super::output::{Output, clean, remark};
use super::progress;
use super::state::{StateArgs, failed};
use super::status::rounded;
use crate::clock::Clock;
use crate::journal::backup::{backup, restore};
use crate::journal::check::{Report, check};
use crate::journal::recover::{Recovered, recover};
use crate::result::RESEARCH_USE_ONLY;

/// Check, back up or restore the journal, or recover a damaged one
#[derive(Debug, Clone, clap::Args)]
pub(super) struct JournalArgs {
    #[command(subcommand)]
    command: JournalCommand,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum JournalCommand {
    /// Read the whole journal and report what is wrong, and what to do
    ///
    /// Changes nothing, and may run beside a daemon. Ends with 65 when something is wrong.
    Check {
        #[command(flatten)]
        state: StateArgs,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Copy the journal into one file, also beside a running daemon
    ///
    /// The copy is the journal as it was at one moment. It is read to its end, pages, events,
    /// ledger and audit chain, before it gets its name. An existing file is never overwritten. Kept
    /// images, keys and configuration are no part of it.
    Backup {
        /// The new file; its folder must exist, best on another disk
        #[arg(value_name = "FILE")]
        backup: PathBuf,
        #[command(flatten)]
        state: StateArgs,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Put a backup in the journal's place
    ///
    /// Refuses while a daemon has the state folder, and when the backup is not sound. The journal
    /// before is kept beside the new one. The restored journal begins its own epoch: its events
    /// keep their numbers and ids, and clients read it from the beginning. Captures whose results
    /// came after the backup are classified again when the daemon starts.
    Restore {
        /// The backup
        #[arg(value_name = "FILE")]
        backup: PathBuf,
        #[command(flatten)]
        state: StateArgs,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Make a new journal of everything readable in a damaged one
    ///
    /// The damaged file is kept. The new journal has its own epoch: its events are numbered anew
    /// and keep their ids, and clients read it from the beginning. Captures whose results were lost
    /// are classified again when the daemon starts.
    Recover {
        #[command(flatten)]
        state: StateArgs,
        /// Put the new journal into this folder, which must have none, and leave the damaged one in
        /// place [default: replace the damaged one]
        #[arg(long, value_name = "DIR")]
        output: Option<PathBuf>,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Runs it.
///
/// # Errors
/// The journal cannot be read or is in use; [`CliError::Data`] where it is not sound.
pub(super) fn run(args: &JournalArgs) -> Result<(), CliError> {
    match &args.command {
        JournalCommand::Check { state, json } => examine(&state.file()?, *json),
        JournalCommand::Backup { backup, state, json } => back_up(&state.file()?, backup, *json),
        JournalCommand::Restore { backup, state, json } => {
            put_back(backup, &state.folder()?, *json)
        }
        JournalCommand::Recover { state, output, json } => mend(state, output.as_deref(), *json),
    }
}

fn examine(file: &Path, as_json: bool) -> Result<(), CliError> {
    let report = check(file).map_err(|error| failed(&error))?;
    let out = Output::new();
    let sound = report.findings.is_empty();
    if as_json {
        out.line(&to_json(file, &report).to_string())?;
    } else {
        for line in in_words(file, &report) {
            out.line(&clean(&line))?;
        }
    }
    if sound {
        return Ok(());
    }
    let chain_alone = report.findings.iter().all(|finding| finding.area == "audit");
    let advice = if chain_alone {
        "somebody may have changed it by hand. Keep the files as they are, look at them with `leukd audit verify` \
         and tell whoever answers for it"
    } else {
        "stop leukd (systemctl stop leukd), then run `leukd journal recover`: it saves what can be read and keeps the \
         damaged file. Or put a backup in its place with `leukd journal restore`"
    };
    Err(CliError::Data(format!("{} is not sound: {advice}", file.display())))
}

fn in_words(file: &Path, report: &Report) -> Vec<String> {
    let mut lines: Vec<String> =
        report.findings.iter().map(|found| format!("{}: {}", found.area, found.what)).collect();
    if let Some(holder) = report.held {
        let by = holder.map_or_else(String::new, |pid| format!(", process {pid}"));
        lines.push(format!("a leukd has it{by}: what it stored meanwhile was not looked at"));
    }
    if lines.is_empty() || report.findings.is_empty() {
        let head = report.audit.as_ref().map_or_else(String::new, |a| format!(", head {}", a.head));
        lines.push(format!(
            "{} is sound: {} results, {} ends of fields, {} reviews, {} signatures, \
             {} specimens' events, {} files in the ledger, \
             audit chain whole{head}",
            file.display(),
            report.count("result"),
            report.count("field"),
            report.count("review"),
            report.count("signature"),
            report.count("specimen"),
            report.files
        ));
    }
    lines
}

fn to_json(file: &Path, report: &Report) -> serde_json::Value {
    let findings: Vec<_> = report
        .findings
        .iter()
        .map(|found| json!({ "area": found.area, "what": found.what }))
        .collect();
    json!({
        "file": file,
        "sound": findings.is_empty(),
        "epoch": report.epoch,
        "events": report.events,
        "files": report.files,
        "audit_head": report.audit.as_ref().map(|audit| audit.head.to_string()),
        "held": report.held.is_some(),
        "held_by": report.held.flatten(),
        "findings": findings,
        "notice": RESEARCH_USE_ONLY,
    })
}

fn back_up(file: &Path, target: &Path, as_json: bool) -> Result<(), CliError> {
    let bar = progress::bytes();
    let made = backup(file, target, &mut |done, all| progress::at(&bar, done, all));
    bar.finish_and_clear();
    let made = made.map_err(|error| failed(&error))?;
    report(&made, as_json, || {
        vec![
            format!(
                "{}, {}, SHA-256 {}",
                made.backup.display(),
                rounded(made.size_bytes),
                made.sha256
            ),
            format!(
                "epoch {}, newest sequence {}, {} files in the ledger, audit head {}",
                made.epoch, made.newest, made.files, made.audit_head
            ),
            "it was read to its end and is sound".to_owned(),
        ]
    })
}

fn put_back(backup: &Path, state: &Path, as_json: bool) -> Result<(), CliError> {
    if !backup.is_file() {
        return Err(CliError::NoInput(format!("{}: there is no such file", backup.display())));
    }
    let bar = progress::bytes();
    let done =
        restore(backup, state, &Clock::system(), &mut |done, all| progress::at(&bar, done, all));
    bar.finish_and_clear();
    let done = done.map_err(|error| failed(&error))?;
    report(&done, as_json, || {
        let mut lines = vec![
            format!(
                "journal {}, newest sequence {}, {} files in the ledger",
                done.journal.display(),
                done.newest,
                done.files
            ),
            format!(
                "epoch {}, after {}: clients are refused once (WRONG_EPOCH) and read from the beginning",
                done.epoch, done.epoch_before
            ),
        ];
        lines.extend(
            done.replaced.iter().map(|old| format!("the journal before is {}", old.display())),
        );
        lines.push("start the daemon: captures without a result are classified again".to_owned());
        lines
    })
}

/// Prints what was done, as JSON or in words.
fn report(
    done: &impl serde::Serialize,
    as_json: bool,
    words: impl FnOnce() -> Vec<String>,
) -> Result<(), CliError> {
    let out = Output::new();
    if as_json {
        let text =
            serde_json::to_string(done).map_err(|error| CliError::Software(error.to_string()))?;
        return out.line(&text);
    }
    words().iter().try_for_each(|line| out.line(&clean(line)))
}

fn mend(state: &StateArgs, output: Option<&Path>, as_json: bool) -> Result<(), CliError> {
    // The file may be unreadable, but it must be there.
    state.file()?;
    let directory = state.folder()?;
    let recovered =
        recover(&directory, output, &Clock::system()).map_err(|error| failed(&error))?;
    report(&recovered, as_json, || told(&recovered))?;
    if as_json {
        return Ok(());
    }
    remark("leukd: run the daemon as before; captures without a result are classified again");
    Ok(())
}

fn told(recovered: &Recovered) -> Vec<String> {
    let lost = match recovered.lost {
        Some(0) => "none was lost".to_owned(),
        Some(lost) => format!("{lost} could not be read"),
        None => "how many there were is not known".to_owned(),
    };
    let altered = match recovered.altered {
        0 => String::new(),
        altered => format!("; {altered} were not what the audit chain says, and left out"),
    };
    let mut lines = vec![
        format!(
            "{} results, {} ends of fields, {} reviews, {} signatures and {} specimens' events saved; \
             {lost}{altered}",
            recovered.count("result"),
            recovered.count("field"),
            recovered.count("review"),
            recovered.count("signature"),
            recovered.count("specimen")
        ),
        format!("{} files in the ledger", recovered.files),
        format!("new journal {}, epoch {}", recovered.journal.display(), recovered.epoch),
        format!(
            "damaged journal {}, SHA-256 {}",
            recovered.damaged.display(),
            recovered.damaged_sha256
        ),
    ];
    if let Some(head) = &recovered.audit_head_before {
        lines.push(format!("its audit chain can be read up to {head}"));
    }
    lines
}
