//! `leukd fields`: the fields of view that are stored.

use std::collections::VecDeque;
use std::time::Duration;

use super::error::CliError;
use super::output::{Output, Table, remark};
use super::remote::{self, ServerArgs};
use super::{json, show};
use crate::grpc::proto::event::Kind;
use crate::grpc::proto::results_client::ResultsClient;
use crate::grpc::proto::subscribe_request::Start;
use crate::grpc::proto::{FieldEvent, SubscribeRequest};
use crate::result::RESEARCH_USE_ONLY;

/// Limit on the wait for one message.
const LIMIT: Duration = Duration::from_secs(60);

/// List the fields of view that are stored: cells by decision, scale, and what was set aside
///
/// Reads the daemon's events from the oldest to the newest. `leukd results` has the cells, and
/// `leukd tail` shows new fields as they are stored.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct FieldsArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Limit on the number of fields
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    limit: u64,
    /// The newest fields, newest first
    #[arg(long)]
    newest: bool,
    /// One JSON object a line (FieldEvent)
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// The daemon cannot be reached, refuses, or falls silent.
pub(super) fn run(args: &FieldsArgs) -> Result<(), CliError> {
    remote::runtime()?.block_on(list(args))
}

async fn list(args: &FieldsArgs) -> Result<(), CliError> {
    let out = Output::new();
    // Not among the lines: those are data.
    remark(RESEARCH_USE_ONLY);
    let (fields, is_cut) = read(args).await?;
    if args.json {
        fields.iter().try_for_each(|field| out.line(&json::line(field)?))?;
    } else if fields.is_empty() {
        remark("no fields of view");
    } else {
        let mut table = Table::new(&show::FIELD_HEADER);
        fields.iter().for_each(|field| table.row(show::field_cells(field), None));
        table.print(&out)?;
    }
    if is_cut {
        let which = if args.newest { "newest" } else { "first" };
        let limit = args.limit;
        remark(&format!("leukd: these are the {which} {limit}; --limit shows more of them"));
    }
    Ok(())
}

/// The fields in the order that was asked for, and whether there are more.
async fn read(args: &FieldsArgs) -> Result<(Vec<FieldEvent>, bool), CliError> {
    let refused = |status: tonic::Status| args.server.refused(status.code(), status.message());
    let silent = |_| CliError::Unavailable(format!("{} was silent", args.server.server));
    let mut client = ResultsClient::new(args.server.connect().await?);
    let request = SubscribeRequest { start: Some(Start::Earliest(())), filter: None };
    let events = tokio::time::timeout(LIMIT, client.subscribe(request)).await.map_err(silent)?;
    let mut events = events.map_err(refused)?.into_inner();
    let (mut fields, mut is_cut, mut until) = (VecDeque::new(), false, None);
    loop {
        let event = tokio::time::timeout(LIMIT, events.message()).await.map_err(silent)?;
        let Some(event) = event.map_err(refused)? else {
            let text = format!("{} ended the stream before its end", args.server.server);
            return Err(CliError::Unavailable(text));
        };
        let at = match event.kind {
            Some(Kind::Hello(hello)) => {
                until = Some(hello.newest);
                0
            }
            Some(Kind::Field(field)) => {
                let sequence = field.sequence;
                is_cut |= fields.len() as u64 == args.limit;
                if is_cut && !args.newest {
                    break;
                }
                fields.push_back(field);
                if fields.len() as u64 > args.limit {
                    fields.pop_front();
                }
                sequence
            }
            Some(Kind::Result(own)) => own.sequence,
            Some(Kind::Review(own)) => own.sequence,
            Some(Kind::Specimen(own)) => own.sequence,
            Some(Kind::Signature(own)) => own.sequence,
            Some(Kind::Gap(gap)) => gap.to,
            Some(Kind::Heartbeat(own)) => own.sequence,
            // A kind of a newer daemon: a heartbeat takes the place past it.
            None => 0,
        };
        if until.is_some_and(|until| at >= until) {
            break;
        }
    }
    let mut fields = Vec::from(fields);
    if args.newest {
        fields.reverse();
    }
    Ok((fields, is_cut))
}
