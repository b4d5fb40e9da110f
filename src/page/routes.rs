//! The one table of paths. A path stands in the group of its scope, so that none can be forgotten.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use hyper::StatusCode;

use super::guard::{self, Need};
use super::problem::Problem;
use super::shared::Shared;
use super::{assets, csv, live, pictures, plots, read, write};
use crate::access::Scope;
use crate::access::clients::Kind;

/// Paths of the screens. Each is one part long, so that relative addresses work behind a prefix.
const SCREENS: [&str; 10] = [
    "/",
    "/specimens",
    "/specimen",
    "/review",
    "/cell",
    "/field",
    "/model",
    "/try",
    "/report",
    "/readers",
];

/// Everything that is served.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let group = |scope, kind, routes: Router<Arc<Shared>>| {
        let need = Need { shared: Arc::clone(&shared), scope, kind };
        routes.route_layer(from_fn_with_state(need, guard::admit))
    };
    // The shell and the modules say nothing of any patient.
    let mut open = Router::new().route("/assets/{build}/{name}", get(assets::asset));
    for screen in SCREENS {
        open = open.route(screen, get(assets::shell));
    }
    let anybody = Router::new()
        .route("/api/session", get(write::session))
        .route("/api/login", post(write::login))
        .route("/api/logout", post(write::logout));
    let reading = Router::new()
        .route("/api/now", get(read::now))
        .route("/api/specimens", get(read::specimens))
        .route("/api/specimen", get(read::specimen))
        .route("/api/report", get(read::report))
        .route("/api/cells.csv", get(csv::cells))
        .route("/api/gallery", get(read::gallery))
        .route("/api/readers", get(read::readers))
        .route("/api/queue", get(read::queue))
        .route("/api/cell", get(read::cell))
        .route("/api/field", get(read::field))
        .route("/api/model", get(read::model))
        .route("/api/plot", get(plots::plot))
        .route("/api/picture", get(pictures::picture));
    let streaming = Router::new().route("/api/live", get(live::live));
    let reviewing = Router::new()
        .route("/api/reviews", post(write::review))
        .route("/api/signatures", post(write::sign));
    let trying = Router::new().route("/api/try", post(write::attempt));
    open.merge(group(None, Kind::Request, anybody))
        .merge(group(Some(Scope::Read), Kind::Request, reading))
        .merge(group(Some(Scope::Read), Kind::Stream, streaming))
        .merge(group(Some(Scope::Review), Kind::Request, reviewing))
        .merge(group(Some(Scope::Classify), Kind::Request, trying))
        .fallback(nothing)
        .layer(from_fn(guard::protect))
        .with_state(shared)
}

async fn nothing() -> Response {
    let message = "there is nothing here: begin at the first screen";
    Problem::new(StatusCode::NOT_FOUND, "NO_PAGE", message).into_response()
}
