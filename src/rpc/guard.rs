//! The guard: every call passes it before any service sees it. It finds out who calls, whether he may, and how
//! much of his is under way already; and it ends a stream when its caller's right ends.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response, header};
use tower::{Layer, Service};

use super::methods::{self, Method};
use super::status;
use crate::access::clients::{Kind, Place};
use crate::access::gate::{Credential, Denied, Gate, Granted, Peer};

/// A request of which nothing more comes for this long is given up.
const STALLED: Duration = Duration::from_secs(60);

/// How often a caller whose right ends some day is judged again: the wall clock may jump.
const JUDGE_AGAIN: Duration = Duration::from_secs(30);

/// Who calls, for the services.
#[derive(Debug, Clone, Default)]
pub(super) struct Caller {
    /// `token:NAME`, `cert:NAME`, `uid:NUMBER`, or empty for somebody unknown.
    pub(super) identity: String,
    /// The address with its port, or `unix`.
    pub(super) peer: String,
}

impl Caller {
    /// Who sent this request.
    pub(super) fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }

    /// Who it is, as far as that is known; else where the call comes from.
    pub(super) fn name(self) -> String {
        if self.identity.is_empty() { self.peer } else { self.identity }
    }
}

/// Puts the guard before the services.
#[derive(Debug, Clone)]
pub(super) struct GuardLayer(Arc<Gate>);

impl GuardLayer {
    pub(super) const fn new(gate: Arc<Gate>) -> Self {
        Self(gate)
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { inner, gate: Arc::clone(&self.0) }
    }
}

/// The guard, before the services.
#[derive(Debug, Clone)]
pub(super) struct Guard<S> {
    inner: S,
    gate: Arc<Gate>,
}

type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<S> Service<Request<Body>> for Guard<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let pass = match admit(&self.gate, &mut request) {
            Ok(pass) => pass,
            Err(status) => return Box::pin(std::future::ready(Ok(status.into_http()))),
        };
        let Pass { method, place, credential } = pass;
        if method.streams {
            let lease = Box::pin(ends(Arc::clone(&self.gate), method, credential, place.peer));
            let place = place.place;
            let answer = self.inner.call(request);
            return Box::pin(async move {
                let response = answer.await?;
                Ok(response
                    .map(|body| Body::new(Leased { body, _place: place, lease, ended: false })))
            });
        }
        let place = Arc::new(Mutex::new(place.place));
        let counted = Arc::clone(&place);
        let answer = self
            .inner
            .call(request.map(|body| Body::new(Counted { body, place: counted, stalled: None })));
        Box::pin(async move {
            let response = answer.await?;
            Ok(response.map(|body| Body::new(Held { body, _place: place })))
        })
    }
}

/// Leave to go on.
struct Pass {
    method: &'static Method,
    credential: Credential,
    place: Taken,
}

struct Taken {
    place: Place,
    peer: String,
}

fn admit(gate: &Gate, request: &mut Request<Body>) -> Result<Pass, Status> {
    let method = methods::find(request.uri().path()).ok_or_else(status::no_method)?;
    let peer = request.extensions().get::<Peer>().cloned();
    let peer = peer.ok_or_else(|| status::internal(&"a call came over no connection"))?;
    let shown = request.headers().get_all(header::AUTHORIZATION);
    let judged = gate
        .credential(&peer, shown.iter().map(|value| value.to_str().ok()))
        .and_then(|credential| Ok((gate.judge(&credential, method.scope)?, credential)));
    let (Granted { identity, .. }, credential) =
        judged.map_err(|denied| turn_away(gate, &peer.place(), method, &denied))?;
    let client = if identity.is_empty() { peer.place() } else { identity.clone() };
    let kind = if method.streams { Kind::Stream } else { Kind::Request };
    let place =
        gate.clients.begin(&client, kind).map_err(|exceeded| status::exceeded(&exceeded))?;
    request.extensions_mut().insert(Caller { identity, peer: peer.address() });
    // No service needs the secret, and none can log it.
    request.headers_mut().remove(header::AUTHORIZATION);
    Ok(Pass { method, credential, place: Taken { place, peer: peer.place() } })
}

fn turn_away(gate: &Gate, place: &str, method: &Method, denied: &Denied) -> Status {
    let message = format!("{}: {denied}", method.path);
    gate.refusals.note(place, &denied.client(), denied.reason(), &message);
    status::denied(denied)
}

/// Ends when the caller may no longer do what he is doing.
async fn ends(
    gate: Arc<Gate>,
    method: &'static Method,
    credential: Credential,
    place: String,
) -> Status {
    let mut changes = gate.changes();
    loop {
        let until = match gate.judge(&credential, method.scope) {
            Ok(granted) => granted.until,
            Err(denied) => return turn_away(&gate, &place, method, &denied),
        };
        let left = until.map(|until| {
            let left = until.0.saturating_sub(gate.clock().wall().0).saturating_add(1);
            Duration::from_millis(left.max(1).unsigned_abs()).min(JUDGE_AGAIN)
        });
        tokio::select! {
            () = changed(&mut changes) => {}
            () = passed(left) => {}
        }
    }
}

async fn changed(changes: &mut Option<tokio::sync::watch::Receiver<u64>>) {
    if let Some(changes) = changes
        && changes.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

async fn passed(left: Option<Duration>) {
    match left {
        Some(left) => tokio::time::sleep(left).await,
        None => std::future::pending().await,
    }
}

type Framed<B> = Poll<Option<Result<Frame<<B as HttpBody>::Data>, <B as HttpBody>::Error>>>;

/// A request that is still arriving: its bytes count, and it may not stand still.
struct Counted {
    body: Body,
    place: Arc<Mutex<Place>>,
    /// Since when nothing came; none while something does.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl HttpBody for Counted {
    type Data = <Body as HttpBody>::Data;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Framed<Self> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            let deadline =
                self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALLED)));
            ready!(deadline.as_mut().poll(context));
            return Poll::Ready(Some(Err(status::stalled(STALLED))));
        };
        self.stalled = None;
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(exceeded) = place.add(data.len() as u64) {
                return Poll::Ready(Some(Err(status::exceeded(&exceeded))));
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer whose caller's place is taken until it is sent.
struct Held {
    body: Body,
    _place: Arc<Mutex<Place>>,
}

impl HttpBody for Held {
    type Data = <Body as HttpBody>::Data;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Framed<Self> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that ends with its caller's right.
struct Leased<F> {
    body: Body,
    _place: Place,
    lease: Pin<Box<F>>,
    ended: bool,
}

impl<F: Future<Output = Status>> HttpBody for Leased<F> {
    type Data = <Body as HttpBody>::Data;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Framed<Self> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(status) = self.lease.as_mut().poll(context) {
            self.ended = true;
            let mut trailers = HeaderMap::new();
            return Poll::Ready(Some(match status.add_header(&mut trailers) {
                Ok(()) => Ok(Frame::trailers(trailers)),
                Err(_) => Err(status),
            }));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::clients::{Allowance, Clients};

    /// A body of which nothing comes.
    struct Silent;

    impl HttpBody for Silent {
        type Data = <Body as HttpBody>::Data;
        type Error = Status;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Framed<Self> {
            Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_stands_still_is_given_up() {
        let clients = Clients::new(Allowance { requests: 1, streams: 1, bytes: 1 });
        let place = Arc::new(Mutex::new(clients.begin("a", Kind::Request).unwrap()));
        let mut counted = Counted { body: Body::new(Silent), place, stalled: None };
        let began = tokio::time::Instant::now();
        let frame =
            std::future::poll_fn(|context| Pin::new(&mut counted).poll_frame(context)).await;
        let status = frame.unwrap().unwrap_err();
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
        assert!(began.elapsed() >= STALLED);
        drop(counted);
        assert_eq!(clients.count(), 0, "its place is free");
    }
}
