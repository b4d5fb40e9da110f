//! `leukd sign`, `leukd specimens`: the sign-off of a specimen, and where that of each stands.

use std::time::Duration;

use super::error::CliError;
use super::output::{Output, Table, clean, remark};
use super::remote::{self, ServerArgs};
use super::{json, review, show};
use crate::grpc::proto::results_client::ResultsClient;
use crate::grpc::proto::reviews_client::ReviewsClient;
use crate::grpc::proto::sign_off::{Held, State};
use crate::grpc::proto::signature::Act;
use crate::grpc::proto::{
    ListSpecimensRequest, ListedSpecimen, SignOff, SignSpecimenRequest, Signature,
    WithdrawSignatureRequest,
};
use crate::result::RESEARCH_USE_ONLY;

/// Limit on the wait for one call.
const LIMIT: Duration = Duration::from_secs(60);
/// Specimens a page.
const PAGE: u32 = 100;

/// Sign a specimen whose cells under review have all been reviewed, or withdraw a signature
///
/// A signature counts until a result or a review changes the specimen. It is an event, which every
/// subscriber gets. With [access], this needs the scope review.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct SignArgs {
    /// The specimen
    #[arg(value_name = "SPECIMEN")]
    specimen: String,
    /// The person who signs or withdraws [default: the login name]
    #[arg(long, value_name = "NAME")]
    signer: Option<String>,
    /// Refuse to sign if the specimen has changed after this sequence
    #[arg(long, value_name = "SEQUENCE", conflicts_with = "withdraw")]
    as_of: Option<u64>,
    /// Withdraw a signature instead
    #[arg(long)]
    withdraw: bool,
    /// With --withdraw: the person whose signature it is [default: the same person]
    #[arg(long, value_name = "NAME", requires = "withdraw")]
    of: Option<String>,
    /// With --withdraw: why; required for another person's signature
    #[arg(long, value_name = "TEXT", default_value = "", requires = "withdraw")]
    reason: String,
    /// One JSON object (SignSpecimenResponse; with --withdraw, WithdrawSignatureResponse)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// List specimens with their cells and sign-off, the one with the newest result first
#[derive(Debug, Clone, clap::Args)]
pub(super) struct SpecimensArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Limit on the number of specimens; 0 means all
    #[arg(long, value_name = "N", default_value_t = 25)]
    limit: u64,
    /// One JSON object a line (ListedSpecimen)
    #[arg(long)]
    json: bool,
}

/// Runs `leukd sign`.
///
/// # Errors
/// The daemon cannot be reached, or refuses; the specimen cannot be signed as it is.
pub(super) fn run(args: &SignArgs) -> Result<(), CliError> {
    remote::runtime()?.block_on(send(args))
}

async fn send(args: &SignArgs) -> Result<(), CliError> {
    let person = review::name(args.signer.as_ref(), "--signer")?;
    let mut client = ReviewsClient::new(args.server.connect().await?);
    let signature_id = uuid::Uuid::now_v7().to_string();
    let specimen = args.specimen.clone();
    let (line, signature, sign_off) = if args.withdraw {
        let request = WithdrawSignatureRequest {
            specimen,
            signer: args.of.clone().unwrap_or_else(|| person.clone()),
            withdrawn_by: person,
            reason: args.reason.clone(),
            signature_id,
        };
        let answer = client.withdraw_signature(remote::request(request, LIMIT)).await;
        let answer = answer.map_err(|s| args.server.refused(s.code(), s.message()))?.into_inner();
        (json::line(&answer)?, answer.signature, answer.sign_off)
    } else {
        let request = SignSpecimenRequest {
            specimen,
            signer: person,
            as_of_sequence: args.as_of.unwrap_or_default(),
            signature_id,
        };
        let answer = client.sign_specimen(remote::request(request, LIMIT)).await;
        let answer = answer.map_err(|s| args.server.refused(s.code(), s.message()))?.into_inner();
        (json::line(&answer)?, answer.signature, answer.sign_off)
    };
    let out = Output::new();
    if args.json {
        return out.line(&line);
    }
    let signature = signature.unwrap_or_default();
    out.line(&format!("signature {}: {}", signature.sequence, deed(&signature)))?;
    sign_off.iter().try_for_each(|own| out.line(&format!("sign-off: {}", in_words(own))))
}

/// Runs `leukd specimens`.
///
/// # Errors
/// The daemon cannot be reached, or refuses.
pub(super) fn list(args: &SpecimensArgs) -> Result<(), CliError> {
    remote::runtime()?.block_on(pages(args))
}

async fn pages(args: &SpecimensArgs) -> Result<(), CliError> {
    let out = Output::new();
    // Not among the lines: those are data.
    remark(RESEARCH_USE_ONLY);
    let mut client = ResultsClient::new(args.server.connect().await?);
    let mut left = if args.limit == 0 { u64::MAX } else { args.limit };
    let mut page_token = String::new();
    let mut found = false;
    loop {
        let page_size = u32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = ListSpecimensRequest { page_size, page_token };
        let answer = client.list_specimens(remote::request(page, LIMIT)).await;
        let answer = answer.map_err(|s| args.server.refused(s.code(), s.message()))?.into_inner();
        found |= !answer.specimens.is_empty();
        print(&answer.specimens, args.json, &out)?;
        left = left.saturating_sub(u64::from(page_size));
        if left == 0 || answer.next_page_token.is_empty() {
            break;
        }
        page_token = answer.next_page_token;
    }
    if !found && !args.json {
        remark("no specimens");
    }
    Ok(())
}

fn print(specimens: &[ListedSpecimen], as_json: bool, out: &Output) -> Result<(), CliError> {
    if as_json {
        return specimens.iter().try_for_each(|specimen| out.line(&json::line(specimen)?));
    }
    if specimens.is_empty() {
        return Ok(());
    }
    let mut table =
        Table::new(&["SPECIMEN", "ALL", "HEM", "REVIEW", "REJECTED", "LAST CELL", "SIGN-OFF"]);
    for own in specimens {
        let mut cells = vec![own.specimen.clone()];
        cells.extend([own.all, own.hem, own.review, own.rejected].map(|n| n.to_string()));
        cells.push(show::time(own.last_classified_at.as_ref()));
        cells.push(own.sign_off.as_ref().map_or_else(|| "-".to_owned(), in_words));
        table.row(cells, None);
    }
    table.print(out)
}

/// Where a sign-off stands, as one line.
#[must_use]
pub(super) fn in_words(own: &SignOff) -> String {
    let people = |counts: bool| {
        let held = own.signatures.iter().filter(|held| held.counts == counts).map(person);
        held.collect::<Vec<_>>().join(" and ")
    };
    let to_review = format!("{} to review", own.to_review);
    match own.state() {
        State::Unspecified => "unknown".to_owned(),
        State::Open => format!("open, {to_review}"),
        State::Waiting => {
            let signed = own.signatures.iter().filter(|held| held.counts).count();
            let by = if signed == 0 { String::new() } else { format!(": {}", people(true)) };
            format!("waiting, {signed} of {} signatures{by}", own.readers)
        }
        State::Signed => format!("signed by {}", people(true)),
        State::Changed => {
            let since = own.since.unwrap_or_default();
            format!(
                "changed since it was signed by {}: {}, {}, the last at sequence {}; \
                 {to_review}",
                people(false),
                counted(since.results, "result"),
                counted(since.reviews, "review"),
                since.newest
            )
        }
    }
}

fn person(held: &Held) -> String {
    let own = held.signature.clone().unwrap_or_default();
    format!(
        "{} ({}, sequence {})",
        clean(&own.signer),
        show::time(own.signed_at.as_ref()),
        own.sequence
    )
}

/// A signature or a withdrawal as a line of a stream.
#[must_use]
pub(super) fn stream_line(own: &Signature) -> String {
    let at = show::time(own.signed_at.as_ref());
    format!("{:>8}  {at:<20}  {}", own.sequence, deed(own))
}

fn deed(own: &Signature) -> String {
    let (specimen, signer, by) = (clean(&own.specimen), clean(&own.signer), clean(&own.acted_by));
    if own.act() != Act::Withdrawn {
        return format!("{signer} signs specimen {specimen}");
    }
    let why =
        if own.reason.is_empty() { String::new() } else { format!(": {}", clean(&own.reason)) };
    format!("{by} withdraws the signature of {signer} from specimen {specimen}{why}")
}

/// A number of things.
fn counted(count: u64, of: &str) -> String {
    format!("{count} {of}{}", if count == 1 { "" } else { "s" })
}
