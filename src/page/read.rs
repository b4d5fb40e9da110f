//! What the screens ask for.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use serde_json::{Value, json};

use super::problem::{Answer, Problem, good};
use super::query::{PAGE, Query};
use super::shared::Shared;
use super::{encode, plots};
use crate::journal::agreement::MAX_COUNTED;
use crate::journal::filter::{Criteria, Filter};
use crate::journal::{ListQuery, Lookup, ReviewQuery};
use crate::result::{Decision, Record};
use crate::review::{Standing, Verdict};
use crate::service::Page;

/// Captures of the first screen.
const NEWEST: usize = 24;

/// Specimens of a page.
const SPECIMENS: usize = 25;

/// Cells that the review queue holds at once.
const QUEUE: usize = 500;

/// The latest reviews of a cell that its history shows.
const HISTORY: usize = 50;

fn cells(cells: &[(Arc<Record>, Standing)]) -> Value {
    cells.iter().map(|(record, standing)| encode::cell(record, standing)).collect()
}

/// The state, the queue and the newest results. `cursor` is where a live stream goes on.
pub(super) async fn now(State(shared): State<Arc<Shared>>) -> Answer {
    let service = &shared.service;
    // Before the results: what comes in between is sent twice rather than never.
    let cursor = format!("{}:{}", service.journal.epoch(), service.journal.bounds().newest);
    let status = service.status().await?;
    let newest = service.newest(NEWEST).await?;
    let pool = service.pipeline.pool().status();
    Ok(good(&json!({
        "cursor": cursor,
        "status": encode::status(&status),
        "model": service.served().map(|served| served.model.reference()),
        "queue": {"workers": pool.workers, "busy": pool.busy, "waiting": pool.backlog},
        "cells": cells(&newest.results),
    })))
}

/// Specimens, that with the newest result first.
pub(super) async fn specimens(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let offset = Query::new(&uri).parsed("offset")?.unwrap_or(0);
    let listed = shared.service.specimens(offset, SPECIMENS + 1).await?;
    let has_more = listed.len() > SPECIMENS;
    let shown: Vec<Value> = listed.iter().take(SPECIMENS).map(encode::listed).collect();
    let next = has_more.then(|| offset.saturating_add(SPECIMENS as u64));
    Ok(good(&json!({"specimens": shown, "next": next})))
}

/// A specimen's figures.
pub(super) async fn specimen(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let query = Query::new(&uri);
    let specimen = query.text("specimen").unwrap_or_default();
    let figures = shared.service.specimen(specimen, query.text("slide")).await?;
    Ok(good(&encode::specimen(&figures)))
}

/// A page of a specimen's cells.
pub(super) async fn gallery(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let gallery = shared.service.gallery(Query::new(&uri).gallery()?).await?;
    Ok(good(&json!({"cells": cells(&gallery.cells), "total": gallery.total, "page": PAGE})))
}

/// What a printed report of a specimen says.
pub(super) async fn report(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let query = Query::new(&uri);
    let report = shared.service.report(query.text("specimen").unwrap_or_default()).await?;
    Ok(good(&encode::report(&report)))
}

/// Readers by day with their first answers.
pub(super) async fn readers(State(shared): State<Arc<Shared>>) -> Answer {
    let readers = shared.service.readers_by_day().await?;
    Ok(good(&json!({"readers": encode::readers(&readers), "reviews": MAX_COUNTED})))
}

/// Cells under `review` that nobody has reviewed, the oldest first: an order that says nothing of
/// P(all). With `blind=1`, or the setting, without leukd's suggestion.
pub(super) async fn queue(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let asked = Query::new(&uri);
    let specimen = asked.text("specimen").unwrap_or_default().to_owned();
    let is_blind = match asked.text("blind") {
        None | Some("" | "0") => shared.blind_first,
        Some("1") => true,
        Some(_) => return Err(Problem::field("blind: write 1 or 0".to_owned())),
    };
    let decisions = vec![Decision::Review];
    let criteria = Criteria { specimen, decisions, ..Criteria::default() };
    let query = ListQuery {
        filter: Filter::new(criteria).map_err(|error| Problem::field(error.to_string()))?,
        verdict: Some(Verdict::Suggested),
        limit: QUEUE,
        ..ListQuery::default()
    };
    let Page { results, next } = shared.service.results(query).await?;
    let cells = if is_blind {
        results.iter().map(|(record, _)| encode::blind(record)).collect()
    } else {
        cells(&results)
    };
    Ok(good(&json!({"cells": cells, "more": next.is_some(), "blind": is_blind})))
}

/// A cell with its figures and its history.
pub(super) async fn cell(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let service = &shared.service;
    let (record, standing) = service.result(which(&uri)?).await?;
    let query = ReviewQuery {
        result_sequence: Some(record.sequence),
        newest_first: true,
        limit: HISTORY,
        ..ReviewQuery::default()
    };
    let reviews = service.reviews(query).await?.reviews;
    let field = service.field_figures(Arc::clone(&record)).await?;
    let served = service.served();
    // Bounds of another model would say nothing of this result.
    let own = served.filter(|served| record.finding.model == Some(served.model.reference()));
    let reference = own.as_ref().and_then(|own| own.model.manifest().reference.as_ref());
    Ok(good(&json!({
        "cell": encode::cell(&record, &standing),
        "scale": field.as_ref().map(encode::scale),
        "figures": encode::figures(record.finding.quality.as_ref(), reference),
        "reviews": reviews.iter().map(encode::review).collect::<Vec<_>>(),
    })))
}

/// The capture that a result or a field's end names, with its cells.
pub(super) async fn field(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    Ok(good(&encode::capture(&shared.service.capture(which(&uri)?).await?)))
}

/// The card of the model in service.
pub(super) async fn model(State(shared): State<Arc<Shared>>) -> Answer {
    let served = shared.service.served().ok_or_else(Problem::no_model)?;
    let mut value = encode::model(&served);
    let (drawn, missing) = plots::names(served.model.manifest());
    value["plots"] = json!(drawn);
    value["not_drawn"] = json!(missing);
    Ok(good(&value))
}

/// The result that an address names.
pub(super) fn which(uri: &Uri) -> Result<Lookup, Problem> {
    Ok(Lookup::Sequence(Query::new(uri).number("sequence")?))
}
