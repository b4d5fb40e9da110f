//! Plots of a model's card as SVG: what its manifest holds, and nothing that was not measured.
//!
//! Colours and widths are the style sheet's. Each plot says in words what it shows.

mod curves;
mod drawing;
mod figures;
mod persons;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::Response;

use super::problem::{Answer, Problem};
use super::query::Query;
use super::shared::Shared;
use crate::model::manifest::Manifest;

/// No score lies outside: a P(all) is taken as no nearer to 0 or 1 than a millionth.
const SCORES: std::ops::RangeInclusive<f64> = -20.0..=20.0;

/// A plot of one manifest; none where it lacks the numbers.
type Plot = fn(&Manifest) -> Option<String>;

const PLOTS: [(&str, Plot); 7] = [
    ("figures", figures::figures),
    ("persons", |manifest| persons::persons(manifest, None)),
    ("roc", figures::roc),
    ("confusion", figures::confusion),
    ("reliability", curves::reliability),
    ("risk_coverage", curves::risk_coverage),
    ("learning_curve", curves::learning_curve),
];

/// Names of the plots that can be drawn, and of those that cannot.
pub(super) fn names(manifest: &Manifest) -> (Vec<&'static str>, Vec<&'static str>) {
    let (drawn, missing): (Vec<_>, Vec<_>) =
        PLOTS.iter().partition(|(_, plot)| plot(manifest).is_some());
    let name = |(name, _): &(&'static str, Plot)| *name;
    (drawn.into_iter().map(name).collect(), missing.into_iter().map(name).collect())
}

/// A plot of the model in service; of `persons` with a specimen's `score` where one is given.
pub(super) async fn plot(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let served = shared.service.served().ok_or_else(Problem::no_model)?;
    let query = Query::new(&uri);
    let wanted = query.text("of").unwrap_or_default().to_owned();
    let score: Option<f64> = query.parsed("score")?;
    if score.is_some_and(|score| !SCORES.contains(&score)) {
        return Err(Problem::field("score: it lies between -20 and 20"));
    }
    let plot = PLOTS.iter().find(|(name, _)| *name == wanted);
    let (_, plot) = plot.ok_or_else(|| {
        let names: Vec<_> = PLOTS.iter().map(|(name, _)| *name).collect();
        Problem::field(format!("of: write {}", names.join(", ")))
    })?;
    let manifest = served.model.manifest();
    let drawn = match score {
        Some(own) if wanted == "persons" => persons::persons(manifest, Some(own)),
        _ => plot(manifest),
    };
    let drawn = drawn.ok_or_else(|| {
        let message = "the model's manifest lacks the numbers for this plot";
        Problem::new(StatusCode::NOT_FOUND, "NO_PLOT", message)
    })?;
    let mut response = Response::new(Body::from(drawn));
    let kind = HeaderValue::from_static("image/svg+xml");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}
