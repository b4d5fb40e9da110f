//! `leukd specimen`: the cells of one specimen, counted, and what that says of its share of blasts.

use std::time::Duration;

use super::error::CliError;
use super::output::{Output, Table, clean, remark};
use super::remote::{self, Connection, ServerArgs};
use super::{json, sign};
use crate::grpc::proto::results_client::ResultsClient;
use crate::grpc::proto::{
    CorrectedFraction, Fraction, FractionFlag, GetSpecimenRequest, GetSpecimenResponse,
    SpecimenScore,
};
use crate::result::RESEARCH_USE_ONLY;

/// Limit on the wait for the answer.
const LIMIT: Duration = Duration::from_secs(60);

/// Count a specimen's cells: decisions, blast fraction, its correction for the model's errors,
/// flags
#[derive(Debug, Clone, clap::Args)]
pub(super) struct SpecimenArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The specimen
    #[arg(value_name = "NAME")]
    name: String,
    /// Count only this slide
    #[arg(long, value_name = "SLIDE")]
    slide: Option<String>,
    /// One JSON object (GetSpecimenResponse)
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// The daemon cannot be reached, or refuses; no result names the specimen.
pub(super) fn run(args: &SpecimenArgs) -> Result<(), CliError> {
    remote::runtime()?.block_on(async {
        remark(RESEARCH_USE_ONLY);
        let mut client = ResultsClient::new(args.server.connect().await?);
        let request = GetSpecimenRequest { specimen: args.name.clone(), slide: args.slide.clone() };
        print(&mut client, &args.server, request, args.json, &Output::new()).await
    })
}

/// Asks for the counts and shows them.
///
/// # Errors
/// As [`run`].
pub(super) async fn print(
    client: &mut ResultsClient<Connection>,
    server: &ServerArgs,
    request: GetSpecimenRequest,
    as_json: bool,
    out: &Output,
) -> Result<(), CliError> {
    let response = client.get_specimen(remote::request(request, LIMIT)).await;
    let counts = response.map_err(|s| server.refused(s.code(), s.message()))?.into_inner();
    if as_json {
        return out.line(&json::line(&counts)?);
    }
    lines(&counts).iter().try_for_each(|line| out.line(line))?;
    if counts.per_slide.len() < 2 {
        return Ok(());
    }
    let mut table = Table::new(&["SLIDE", "ALL", "HEM", "REVIEW", "REJECTED", "BLAST FRACTION"]);
    for slide in &counts.per_slide {
        let numbers = [slide.all, slide.hem, slide.review, slide.rejected].map(|n| n.to_string());
        let mut cells = vec![slide.slide.clone()];
        cells.extend(numbers);
        cells.push(slide.blast_fraction.as_ref().map_or_else(|| "-".to_owned(), in_words));
        table.row(cells, None);
    }
    table.print(out)
}

fn in_words(share: &Fraction) -> String {
    let Fraction { value, lower, upper } = share;
    format!("{value:.4} (95 % interval {lower:.4} to {upper:.4})")
}

/// The counts and fractions as lines, without those of each slide.
#[must_use]
pub(super) fn lines(counts: &GetSpecimenResponse) -> Vec<String> {
    let fraction = counts.blast_fraction.as_ref().map_or_else(
        || "no cell was decided".to_owned(),
        |share| {
            let decided = counts.all + counts.hem;
            format!("blast fraction {} of {decided} decided cells", in_words(share))
        },
    );
    let slides = match &counts.slide {
        Some(slide) => format!("slide {}", clean(slide)),
        None => format!("{} slides", counts.slides.len()),
    };
    let mut lines = vec![format!(
        "specimen {}: {} all, {} hem, {} review, {} rejected on {slides}; {fraction}; as of sequence {}",
        clean(&counts.specimen),
        counts.all,
        counts.hem,
        counts.review,
        counts.rejected,
        counts.as_of_sequence
    )];
    lines.extend(counts.corrected_fraction.iter().flat_map(corrected));
    lines.extend(counts.score.iter().map(score));
    lines.extend(counts.flags.iter().map(flag));
    lines.extend(counts.sign_off.as_ref().map(|own| format!("sign-off: {}", sign::in_words(own))));
    lines
}

fn corrected(fraction: &CorrectedFraction) -> Vec<String> {
    let mut lines = vec![fraction.value.map_or_else(
        || "corrected: none".to_owned(),
        |value| {
            let interval = match (fraction.lower, fraction.upper) {
                (Some(lower), Some(upper)) => format!("95 % interval {lower:.4} to {upper:.4}"),
                _ => "no interval".to_owned(),
            };
            format!(
                "corrected for the model's sensitivity {:.3} and specificity {:.3}: {value:.4} ({interval}); {} of {} cells at \
                 or above its threshold",
                fraction.sensitivity.unwrap_or_default(),
                fraction.specificity.unwrap_or_default(),
                fraction.at_or_above,
                fraction.classified
            )
        },
    )];
    lines.extend(
        fraction.reason.as_ref().map(|reason| {
            format!("           {}: {}", clean(&reason.code), clean(&reason.message))
        }),
    );
    lines
}

fn score(of: &SpecimenScore) -> String {
    let (Some(value), Some(lower), Some(upper)) = (of.value, of.lower, of.upper) else {
        let reason = of.reason.as_ref().map(|reason| reason.message.as_str()).unwrap_or_default();
        return format!("score: none, {}", clean(reason));
    };
    let among = if of.persons_with_all + of.healthy_persons == 0 {
        "the model's bundle names nobody to compare it with".to_owned()
    } else {
        format!(
            "above {} of {} healthy persons, and above {} of {} with leukemia, whom models like this one had never seen",
            of.healthy_persons_below,
            of.healthy_persons,
            of.persons_with_all_below,
            of.persons_with_all,
        )
    };
    format!(
        "score {value:.2} (95 % interval {lower:.2} to {upper:.2}) of {} cells: {among}",
        of.cells
    )
}

fn flag(flag: &FractionFlag) -> String {
    let word = |word: &str| if word.is_empty() { "no interval".to_owned() } else { clean(word) };
    format!(
        "flag {:.2}: blast fraction {}, corrected {}",
        flag.fraction,
        word(&flag.blast_fraction),
        word(&flag.corrected_fraction)
    )
}
