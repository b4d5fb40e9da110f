//! `leukd review`, `leukd reviews`: what a person says of a result, and what was said.

use std::time::Duration;

use super::error::CliError;
use super::output::{Output, Table, clean, remark};
use super::remote::{self, ServerArgs};
use super::{json, show};
use crate::grpc::proto::reviews_client::ReviewsClient;
use crate::grpc::proto::submit_review_request::Of;
use crate::grpc::proto::{self, ListReviewsRequest, SubmitReviewRequest};
use crate::result::RESEARCH_USE_ONLY;
use crate::review::ReviewLabel;

/// Limit on the wait for one call.
const LIMIT: Duration = Duration::from_secs(60);
/// Reviews a page.
const PAGE: u32 = 200;

/// State what the cell of a result is
///
/// The result does not change. The review is an event of its own, which every subscriber gets. The
/// latest review of a result counts. With [access], this needs the scope review.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ReviewArgs {
    /// The result: its sequence or its id
    #[arg(value_name = "RESULT")]
    result: Which,
    /// all (leukemic blast), hem (normal B-lymphoid precursor) or other (neither: another kind of
    /// cell, debris, several cells)
    #[arg(long)]
    label: ReviewLabel,
    /// The reviewer [default: the login name]
    #[arg(long, value_name = "NAME")]
    reviewer: Option<String>,
    /// A remark
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// The reviewer had not seen what leukd suggests before answering
    #[arg(long)]
    blind: bool,
    /// One JSON object (SubmitReviewResponse)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// A result's name on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Which {
    Sequence(u64),
    Id(String),
}

impl std::str::FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text.parse(), uuid::Uuid::try_parse(text)) {
            (Ok(sequence), _) if sequence > 0 => Ok(Self::Sequence(sequence)),
            (_, Ok(id)) => Ok(Self::Id(id.hyphenated().to_string())),
            _ => Err("give the result's sequence (1, 2, …) or its id (a UUID)".to_owned()),
        }
    }
}

/// List reviews
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ReviewsArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Limit on the number of reviews; 0 means all
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u64,
    /// Newest first
    #[arg(long)]
    newest: bool,
    /// Only reviews of this result: its sequence or its id
    #[arg(long, value_name = "RESULT")]
    result: Option<Which>,
    /// Only reviews of this specimen's results
    #[arg(long)]
    specimen: Option<String>,
    /// Only reviews by this reviewer
    #[arg(long, value_name = "NAME")]
    reviewer: Option<String>,
    /// Only reviews that correct leukd's suggestion
    #[arg(long)]
    corrections: bool,
    /// One JSON object a line (Review)
    #[arg(long)]
    json: bool,
}

/// Runs `leukd review`.
///
/// # Errors
/// The daemon cannot be reached, or refuses; there is no such result.
pub(super) fn submit(args: &ReviewArgs) -> Result<(), CliError> {
    remote::runtime()?.block_on(send(args))
}

async fn send(args: &ReviewArgs) -> Result<(), CliError> {
    let reviewer = name(args.reviewer.as_ref(), "--reviewer")?;
    let request = SubmitReviewRequest {
        of: Some(match &args.result {
            Which::Sequence(sequence) => Of::Sequence(*sequence),
            Which::Id(id) => Of::ResultId(id.clone()),
        }),
        label: args.label.as_str().to_owned(),
        reviewer,
        note: args.note.clone(),
        review_id: uuid::Uuid::now_v7().to_string(),
        blind: args.blind,
    };
    let mut client = ReviewsClient::new(args.server.connect().await?);
    let answer = client.submit_review(remote::request(request, LIMIT)).await;
    let answer = answer.map_err(|s| args.server.refused(s.code(), s.message()))?.into_inner();
    let out = Output::new();
    if args.json {
        return out.line(&json::line(&answer)?);
    }
    let review = answer.review.unwrap_or_default();
    let verdict = if review.confirms { "confirms" } else { "corrects" };
    out.line(&format!(
        "review {}: {} says {} of result {}, which {verdict} {}",
        review.sequence,
        clean(&review.reviewer),
        review.label,
        review.result_sequence,
        show::decision(review.suggested_decision()).0
    ))
}

/// The name that was given, or else the login name.
///
/// # Errors
/// There is neither.
pub(super) fn name(given: Option<&String>, option: &str) -> Result<String, CliError> {
    let unknown =
        || CliError::Usage(format!("nobody knows who you are: name yourself with {option}"));
    given.cloned().or_else(login).ok_or_else(unknown)
}

/// The login name, from the environment.
fn login() -> Option<String> {
    ["LOGNAME", "USER"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.trim().is_empty())
}

/// Runs `leukd reviews`.
///
/// # Errors
/// The daemon cannot be reached, or refuses.
pub(super) fn list(args: &ReviewsArgs) -> Result<(), CliError> {
    remote::runtime()?.block_on(pages(args))
}

async fn pages(args: &ReviewsArgs) -> Result<(), CliError> {
    let out = Output::new();
    // Not among the lines: those are data.
    remark(RESEARCH_USE_ONLY);
    let mut client = ReviewsClient::new(args.server.connect().await?);
    let mut left = if args.limit == 0 { u64::MAX } else { args.limit };
    let mut page_token = String::new();
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let mut found = false;
    loop {
        let page = ListReviewsRequest {
            result_sequence: match &args.result {
                Some(Which::Sequence(sequence)) => *sequence,
                _ => 0,
            },
            result_id: match &args.result {
                Some(Which::Id(id)) => id.clone(),
                _ => String::new(),
            },
            specimen: text(&args.specimen),
            reviewer: text(&args.reviewer),
            corrections: args.corrections,
            page_size: u32::try_from(left).unwrap_or(PAGE).min(PAGE),
            page_token,
            newest_first: args.newest,
        };
        let answer = client.list_reviews(remote::request(page, LIMIT)).await;
        let answer = answer.map_err(|s| args.server.refused(s.code(), s.message()))?.into_inner();
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(answer.reviews.len());
        found |= count > 0;
        print(&answer.reviews[..count], args.json, &out)?;
        left -= count as u64;
        if left == 0 || answer.next_page_token.is_empty() {
            break;
        }
        page_token = answer.next_page_token;
    }
    if !found && !args.json {
        remark("no reviews");
    }
    Ok(())
}

fn print(reviews: &[proto::Review], as_json: bool, out: &Output) -> Result<(), CliError> {
    if as_json {
        return reviews.iter().try_for_each(|review| out.line(&json::line(review)?));
    }
    if reviews.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&show::REVIEW_HEADER);
    for review in reviews {
        table.row(show::review_cells(review), show::review_colour(review));
    }
    table.print(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_named_by_its_sequence_or_its_id() {
        assert_eq!("17".parse(), Ok(Which::Sequence(17)));
        let id = "0194F3C2-7A10-7cc0-8000-000000000001";
        assert_eq!(id.parse(), Ok(Which::Id(id.to_lowercase())));
        for bad in ["0", "", "-1", "last", "0194f3c2"] {
            assert!(bad.parse::<Which>().is_err(), "{bad}");
        }
    }
}
