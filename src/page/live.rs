//! Events as they are stored, as server-sent events. An event's id is `epoch:sequence`, so that a
//! browser that comes back misses none and gets none twice.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::encode;
use super::guard::Caller;
use super::problem::{Answer, Problem};
use super::query::Query;
use super::shared::{Line, Shared};
use crate::access::Scope;
use crate::access::gate::Denied;
use crate::access::lease;
use crate::journal::Step;
use crate::journal::filter::Filter;
use crate::service::{End, Feed, ServiceError, Start};

/// The most live streams at once: they leave connections for everything else.
pub(super) const STREAMS: usize = 64;

/// Interval of the events that show that the stream lives. A browser cannot see comments.
const PING: Duration = Duration::from_secs(10);

/// Begins a stream.
pub(super) async fn live(
    State(shared): State<Arc<Shared>>,
    Extension(line): Extension<Line>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    let service = &shared.service;
    let place = Arc::clone(&shared.streams).try_acquire_owned().map_err(|_| {
        let message = format!("{STREAMS} pages are open, as many as may be: close one");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "TOO_MANY_STREAMS", message)
    })?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let query = Query::new(&uri);
    let start = last.or_else(|| query.text("after")).and_then(cursor).unwrap_or(Start::Latest);
    let (subscriber, is_resync) = match service.subscribe(Filter::default(), start) {
        Ok(subscriber) => (subscriber, false),
        // The journal is another one: the page must read everything anew.
        Err(ServiceError::OtherEpoch { .. } | ServiceError::FutureCursor { .. }) => {
            (service.subscribe(Filter::default(), Start::Latest)?, true)
        }
        Err(error) => return Err(error.into()),
    };
    let epoch = service.journal.epoch().to_owned();
    let build = super::assets::BUILD.as_str();
    let kind = if is_resync { "resync" } else { "hello" };
    let hello = event(kind, None, &json!({"build": build, "newest": subscriber.bounds.newest}));
    let feed = subscriber.feed(hello, move |step| Some(encode(&epoch, &step)));
    let gate = Arc::clone(&shared.gate);
    let credential = caller.credential.clone();
    let lost = async move { lease::lost(&gate, &credential, Some(Scope::Read)).await };
    let mut ping = interval_at(tokio::time::Instant::now() + PING, PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let session = Arc::clone(&shared);
    let is_over =
        move || !session.gate.is_open() && session.sessions.find(&headers, false).is_none();
    let open = Open {
        feed,
        ping,
        lost: Box::pin(lost),
        is_over: Box::new(is_over),
        connection: line.end,
        has_ended: false,
        _place: place,
        _caller: caller,
    };
    let events = stream::unfold(open, async move |mut open: Open| {
        let text = open.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), open))
    });
    let mut response = Response::new(Body::from_stream(events));
    let own = response.headers_mut();
    own.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // nginx would hold events back until it has a buffer full.
    own.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// A stream that is open.
struct Open {
    feed: Feed<String>,
    ping: Interval,
    lost: Pin<Box<dyn Future<Output = Denied> + Send>>,
    /// The session was locked, or somebody signed out.
    is_over: Box<dyn Fn() -> bool + Send>,
    connection: CancellationToken,
    has_ended: bool,
    _place: OwnedSemaphorePermit,
    _caller: Caller,
}

impl Open {
    async fn next(&mut self) -> Option<String> {
        if self.has_ended {
            return None;
        }
        tokio::select! {
            biased;
            denied = &mut self.lost => {
                self.has_ended = true;
                Some(event("denied", None, &json!({"message": denied.to_string()})))
            }
            next = self.feed.next() => match next? {
                Ok(text) => Some(text),
                Err(End::Slow(_)) => {
                    // It takes nothing, so that no last word would reach it.
                    self.connection.cancel();
                    None
                }
                Err(End::Stopping | End::Journal(_)) => {
                    self.has_ended = true;
                    Some(event("stopping", None, &json!({})))
                }
            },
            _ = self.ping.tick() => {
                self.has_ended = (self.is_over)();
                let kind = if self.has_ended { "denied" } else { "ping" };
                Some(event(kind, None, &json!({})))
            }
        }
    }
}

/// A place in the journal; none for a text that is no such place.
fn cursor(text: &str) -> Option<Start> {
    let (epoch, sequence) = text.rsplit_once(':')?;
    Some(Start::After { epoch: epoch.to_owned(), sequence: sequence.parse().ok()? })
}

fn encode(epoch: &str, step: &Step) -> String {
    match step {
        Step::Event(stored) => {
            let (kind, value) = encode::event(stored);
            event(kind, Some((epoch, stored.sequence())), &value)
        }
        Step::Gap { from, to } => {
            event("gap", Some((epoch, *to)), &json!({"from": from, "to": to}))
        }
        Step::CaughtUp(sequence) | Step::Idle(sequence) => {
            event("cursor", Some((epoch, *sequence)), &json!({}))
        }
    }
}

/// One event. JSON has no line breaks, and neither has an id.
fn event(kind: &str, id: Option<(&str, u64)>, value: &Value) -> String {
    let id = id.map(|(epoch, sequence)| format!("id: {epoch}:{sequence}\n")).unwrap_or_default();
    format!("{id}event: {kind}\ndata: {value}\n\n")
}
