//! The guard: every call passes it before a handler sees it. The same tokens, scopes and limits as
//! gRPC's.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::headers;
use super::problem::Problem;
use super::shared::{Line, Shared};
use crate::access::Scope;
use crate::access::clients::{Kind, Place};
use crate::access::gate::{Credential, Denied, Gate, Peer};

/// The longest that an answer may take to begin.
const LONGEST: Duration = Duration::from_secs(60);

/// The right that a group of paths takes; none is open to everybody.
#[derive(Debug, Clone)]
pub(super) struct Need {
    pub(super) shared: Arc<Shared>,
    pub(super) scope: Option<Scope>,
    pub(super) kind: Kind,
}

/// The caller of a request.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// `token:NAME`, or empty where nobody knows.
    pub(super) identity: String,
    pub(super) credential: Credential,
    /// The call's place among those that the client may have under way.
    pub(super) place: Arc<Mutex<Place>>,
}

/// Puts the headers on every answer, and refuses what no browser of this page sends.
pub(super) async fn protect(request: Request, next: Next) -> Response {
    let mut response = match refusal(request.method(), request.headers()) {
        Some(problem) => problem.into_response(),
        None => match tokio::time::timeout(LONGEST, next.run(request)).await {
            Ok(response) => response,
            Err(_) => {
                let message = format!("this took longer than {} s", LONGEST.as_secs());
                Problem::new(StatusCode::GATEWAY_TIMEOUT, "TOO_SLOW", message).into_response()
            }
        },
    };
    headers::protect(response.headers_mut());
    response
}

fn refusal(method: &Method, given: &HeaderMap) -> Option<Problem> {
    if !headers::is_host_own(given) {
        let message = "this page answers to localhost and loopback addresses alone: open it as \
                       http://127.0.0.1 with its port";
        return Some(Problem::new(StatusCode::MISDIRECTED_REQUEST, "FOREIGN_HOST", message));
    }
    let reads = method == Method::GET || method == Method::HEAD;
    if !reads && !headers::is_write_own(given) {
        let message = "only the page itself may write";
        return Some(Problem::new(StatusCode::FORBIDDEN, "FOREIGN_ORIGIN", message));
    }
    None
}

/// Lets a call with the right on to its handler.
pub(super) async fn admit(State(need): State<Need>, mut request: Request, next: Next) -> Response {
    match caller(&need, &request) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn caller(need: &Need, request: &Request) -> Result<Caller, Problem> {
    let Need { shared, scope, kind } = need;
    let gate = &shared.gate;
    let given = request.headers();
    if !headers::is_site_own(given) {
        let message = "a page of another site asked";
        return Err(Problem::new(StatusCode::FORBIDDEN, "FOREIGN_SITE", message));
    }
    let line = request.extensions().get::<Line>();
    let line = line.ok_or_else(|| Problem::defect(&"a call came over no connection"))?;
    // A browser comes back to a stream by itself: that is no use of the page.
    let is_used = !headers::is_background(given) && *kind != Kind::Stream;
    let session = shared.sessions.find(given, is_used);
    let mut credential = session.unwrap_or(Credential::Nobody);
    let mut judged = gate.judge(&credential, *scope);
    if judged.is_err() && scope.is_none() {
        // Who has lost a right may still sign in again.
        credential = Credential::Nobody;
        judged = gate.judge(&credential, None);
    }
    let path = request.uri().path();
    let granted = judged.map_err(|denied| turn_away(gate, &line.peer, path, &denied))?;
    let client = match granted.identity.as_str() {
        "" => line.peer.place(),
        identity => identity.to_owned(),
    };
    let place = gate.clients.begin(&client, *kind)?;
    let place = Arc::new(Mutex::new(place));
    Ok(Caller { identity: granted.identity, credential, place })
}

/// Records a refusal. A browser without a session is no refusal: it shows the way to sign in.
pub(super) fn turn_away(gate: &Gate, peer: &Peer, path: &str, denied: &Denied) -> Problem {
    if *denied != Denied::NoCredential {
        let message = format!("{path}: {denied}");
        gate.refusals.note(&peer.place(), &denied.client(), denied.reason(), &message);
    }
    Problem::from(denied)
}
