//! A specimen event of the stream as a round: what the event lacks is asked of the daemon.

use std::time::Duration;

use leukd_bridge::{Count, ModelName, Round};
use tonic::{Code, Status};

use crate::cli::remote::{self, Connection};
use crate::fraction::Share;
use crate::grpc::proto::results_client::ResultsClient;
use crate::grpc::proto::{
    CorrectedFraction, Filter, GetSpecimenRequest, ListResultsRequest, SpecimenEvent,
};
use crate::result::{Tally, Timestamp};

/// Limit on the wait for an answer.
const LIMIT: Duration = Duration::from_secs(60);

/// Results on a page, where the newest one with a model is looked for.
const PAGE: u32 = 20;

/// Pages that are looked through: after so many rejections in a row the model stays unnamed.
const PAGES: usize = 20;

/// The round of an event.
///
/// # Errors
/// The daemon does not answer.
pub(super) async fn of(
    event: SpecimenEvent,
    client: &mut ResultsClient<Connection>,
) -> Result<Round, Status> {
    let cells =
        Tally { all: event.all, hem: event.hem, review: event.review, rejected: event.rejected };
    let corrected = corrected(&event, client).await?;
    let model = model(&event, client).await?;
    Ok(Round {
        cells,
        corrected,
        model,
        first: time(event.first_classified_at),
        last: time(event.last_classified_at),
        stored: time(event.stored_at),
        epoch: event.epoch,
        sequence: event.sequence,
        specimen: event.specimen,
        round: event.round,
    })
}

fn time(at: Option<prost_types::Timestamp>) -> Timestamp {
    let at = at.unwrap_or_default();
    let millis = i64::from(at.nanos / 1_000_000);
    Timestamp(at.seconds.saturating_mul(1_000).saturating_add(millis))
}

/// The corrected fraction, if the daemon's counts are still those of the event.
async fn corrected(
    event: &SpecimenEvent,
    client: &mut ResultsClient<Connection>,
) -> Result<Count, Status> {
    let later = || Count::Missing("counted-later".to_owned());
    let request = GetSpecimenRequest { specimen: event.specimen.clone(), slide: None };
    let counts = match client.get_specimen(remote::request(request, LIMIT)).await {
        Ok(counts) => counts.into_inner(),
        // Retention has removed its results since.
        Err(status) if status.code() == Code::NotFound => return Ok(later()),
        Err(status) => return Err(status),
    };
    let now = [counts.all, counts.hem, counts.review, counts.rejected];
    if now != [event.all, event.hem, event.review, event.rejected] {
        return Ok(later());
    }
    Ok(counts.corrected_fraction.as_ref().map_or_else(later, count))
}

fn count(fraction: &CorrectedFraction) -> Count {
    match (fraction.value, fraction.lower, fraction.upper) {
        (Some(value), Some(lower), Some(upper)) => Count::Share(Share { value, lower, upper }),
        _ => {
            let code = fraction.reason.as_ref().map(|reason| reason.code.clone());
            Count::Missing(code.unwrap_or_else(|| "no-interval".to_owned()))
        }
    }
}

/// The model of the newest result before the event that has one.
async fn model(
    event: &SpecimenEvent,
    client: &mut ResultsClient<Connection>,
) -> Result<Option<ModelName>, Status> {
    let filter = Filter { specimen: event.specimen.clone(), ..Filter::default() };
    let mut request = ListResultsRequest {
        filter: Some(filter),
        page_size: PAGE,
        newest_first: true,
        ..ListResultsRequest::default()
    };
    for _ in 0..PAGES {
        let asked = remote::request(request.clone(), LIMIT);
        let page = client.list_results(asked).await?.into_inner();
        let mut before = page.results.iter().filter(|result| result.sequence < event.sequence);
        if let Some(model) = before.find_map(|result| result.model.as_ref()) {
            return Ok(Some(ModelName { id: model.id.clone(), digest: model.digest.clone() }));
        }
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    Ok(None)
}
