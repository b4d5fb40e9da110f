//! The guard: every call passes it before a service sees it. It checks the caller's identity,
//! rights and open calls, and ends a stream when its caller's right ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response, header};
use tower::{Layer, Service};

use super::meter::{Counted, Framed, SharedMeter};
use super::methods::{self, Method};
use super::status;
use super::transport::{Line, MAX_LONG_STREAMS};
use crate::access::clients::{Kind, Place};
use crate::access::gate::{Credential, Denied, Gate, Granted};
use crate::access::lease;

/// The caller, for the services.
#[derive(Debug, Clone, Default)]
pub(super) struct Caller {
    /// `token:NAME`, `cert:NAME`, `uid:NUMBER`, or empty for an unknown caller.
    pub(super) identity: String,
    /// The address with its port, or `unix`.
    pub(super) peer: String,
}

impl Caller {
    /// The caller of this request.
    pub(super) fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }

    /// The caller, if known; else the place of the call.
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
        let Pass { method, place: Taken { place, peer }, credential, long } = pass;
        let meter = SharedMeter::new(place, method.streams);
        let counted = meter.clone();
        let answer = self.inner.call(request.map(|body| Body::new(Counted::new(body, counted))));
        let lease = method.streams.then(|| ends(Arc::clone(&self.gate), method, credential, peer));
        Box::pin(async move {
            let response = answer.await?;
            Ok(response.map(|body| match lease {
                Some(lease) => {
                    let lease = Box::pin(lease);
                    Body::new(Leased { body, meter, lease, ended: false, _long: long })
                }
                None => Body::new(Held { body, _meter: meter }),
            }))
        })
    }
}

/// Leave to go on.
struct Pass {
    method: &'static Method,
    credential: Credential,
    place: Taken,
    /// A long stream's place on its connection.
    long: Option<OwnedSemaphorePermit>,
}

struct Taken {
    place: Place,
    peer: String,
}

fn admit(gate: &Gate, request: &mut Request<Body>) -> Result<Pass, Status> {
    let method = methods::find(request.uri().path()).ok_or_else(status::no_method)?;
    let line = request.extensions().get::<Line>().cloned();
    let Line { peer, long_streams } =
        line.ok_or_else(|| status::internal(&"a call came over no connection"))?;
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
    let long = method.streams.then(|| long_streams.try_acquire_owned()).transpose();
    let long = long.map_err(|_| status::too_many_on_connection(MAX_LONG_STREAMS))?;
    request.extensions_mut().insert(Caller { identity, peer: peer.address() });
    // No service needs the secret, and none can log it.
    request.headers_mut().remove(header::AUTHORIZATION);
    Ok(Pass { method, credential, place: Taken { place, peer: peer.place() }, long })
}

fn turn_away(gate: &Gate, place: &str, method: &Method, denied: &Denied) -> Status {
    let message = format!("{}: {denied}", method.path);
    gate.refusals.note(place, &denied.client(), denied.reason(), &message);
    status::denied(denied)
}

/// Resolves when the caller loses its right.
async fn ends(
    gate: Arc<Gate>,
    method: &'static Method,
    credential: Credential,
    place: String,
) -> Status {
    let denied = lease::lost(&gate, &credential, method.scope).await;
    turn_away(&gate, &place, method, &denied)
}

/// An answer whose caller's place is taken until it is sent.
struct Held {
    body: Body,
    _meter: SharedMeter,
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
    meter: SharedMeter,
    lease: Pin<Box<F>>,
    ended: bool,
    _long: Option<OwnedSemaphorePermit>,
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
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.meter.answers(data);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
