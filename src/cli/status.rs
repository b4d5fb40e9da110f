//! `leukd status`: the daemon as it is now.

use std::time::Duration;

use super::error::CliError;
use super::output::{Colour, Output, Table, clean};
use super::remote::{self, ServerArgs};
use super::{json, show, weeks};
use crate::config::units::Bytes;
use crate::grpc::proto::control_client::ControlClient;
use crate::grpc::proto::{GetStatusRequest, GetStatusResponse};

/// Show folders, queues, the journal, everything degraded, and the running week beside the last one
#[derive(Debug, Clone, clap::Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// One JSON object (GetStatusResponse)
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// The daemon cannot be reached, or refuses.
pub(super) fn run(args: &StatusArgs) -> Result<(), CliError> {
    let status = remote::runtime()?.block_on(ask(&args.server))?;
    let out = Output::new();
    if args.json { out.line(&json::line(&status)?) } else { print(&status, &out) }
}

/// The answer of `GetStatus`.
///
/// # Errors
/// The daemon cannot be reached, or refuses.
pub(super) async fn ask(server: &ServerArgs) -> Result<GetStatusResponse, CliError> {
    let mut client = ControlClient::new(server.connect().await?);
    let request = remote::request(GetStatusRequest {}, Duration::from_secs(30));
    let answer = client.get_status(request).await;
    answer
        .map(tonic::Response::into_inner)
        .map_err(|status| server.refused(status.code(), status.message()))
}

fn print(status: &GetStatusResponse, out: &Output) -> Result<(), CliError> {
    out.line(&format!(
        "leukd {}, started {}, {} subscribers",
        clean(&status.version),
        show::time(status.started_at.as_ref()),
        status.subscribers
    ))?;
    match &status.model {
        Some(model) => out.line(&format!(
            "model {} ({:.12}) from {}, serving since {}",
            clean(&model.id),
            clean(&model.digest),
            clean(&model.origin),
            show::time(model.serving_since.as_ref())
        ))?,
        None => out.line(&out.paint(Colour::Yellow, "no model is serving"))?,
    }
    for degradation in &status.degraded {
        let text = format!(
            "degraded: {}: {} (since {})",
            clean(&degradation.component),
            clean(&degradation.message),
            show::time(degradation.since.as_ref())
        );
        out.line(&out.paint(Colour::Red, &text))?;
    }
    if let Some(queues) = &status.queues {
        out.line(&format!(
            "workers {} of {} busy; requests waiting {} of {}; captures waiting {} of {}",
            queues.busy,
            queues.workers,
            queues.interactive,
            queues.interactive_capacity,
            queues.backlog,
            queues.backlog_capacity
        ))?;
    }
    if let Some(journal) = &status.journal {
        out.line(&format!(
            "journal {}: results {} to {}, {}; disk has {} free (floor {})",
            clean(&journal.epoch),
            journal.oldest,
            journal.newest,
            rounded(journal.size_bytes),
            rounded(journal.disk_free_bytes),
            rounded(journal.disk_floor_bytes)
        ))?;
        if let Some(origin) = journal.epoch_origin.as_ref().filter(|one| one.reason != "created") {
            out.line(&format!(
                "its epoch began {} ({}), after {}; clients with an older cursor read from the beginning",
                show::time(origin.at.as_ref()),
                clean(&origin.reason),
                match origin.previous_epoch.as_str() {
                    "" => "an unknown one".to_owned(),
                    epoch => clean(epoch).to_string(),
                }
            ))?;
        }
        if let Some(head) = &journal.audit_head {
            out.line(&format!("audit chain: head {}:{}", head.number, clean(&head.hash)))?;
        }
    }
    let mut folders = Table::new(&[
        "FOLDER",
        "KIND",
        "MODE",
        "SETTLING",
        "QUEUED",
        "DONE",
        "DUPLICATE",
        "REJECTED",
        "IGNORED",
        "OLDEST WAITING",
    ]);
    for folder in &status.folders {
        let mode = if folder.reachable { folder.mode.clone() } else { "unreachable".to_owned() };
        let counts = [
            folder.settling,
            folder.queued,
            folder.done,
            folder.duplicates,
            folder.rejected,
            folder.ignored,
        ];
        let mut cells = vec![folder.folder.clone(), folder.file_system.clone(), mode];
        cells.extend(counts.map(|count| count.to_string()));
        cells.push(show::time(folder.oldest_waiting.as_ref()));
        folders.row(cells, (!folder.reachable).then_some(Colour::Red));
    }
    if folders.is_empty() {
        out.line("no folder is watched: requests only")?;
    } else {
        folders.print(out)?;
    }
    if let Some(drift) = &status.drift {
        weeks::print(drift, out)?;
    }
    out.line(&out.paint(Colour::Dim, &clean(&status.notice)))
}

/// The amount in its largest binary unit, to one digit: exact sizes are in the JSON.
pub(super) fn rounded(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let power = bytes.max(1).ilog2() / 10;
    match usize::try_from(power).ok().and_then(|power| units.get(power.min(4).checked_sub(1)?)) {
        // Tenths of the unit, without a detour over floating point.
        Some(unit) => {
            let tenths = u128::from(bytes) * 10 / (1u128 << (10 * power.min(4)));
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => Bytes(bytes).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_for_people() {
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.0 KiB"),
            (1536 << 10, "1.5 MiB"),
            (5 << 40, "5.0 TiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(rounded(bytes), text);
        }
    }
}
