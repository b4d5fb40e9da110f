//! The listener: connections with bounds and time limits, which end when the daemon stops.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::routes;
use super::sessions::Sessions;
use super::shared::{Line, Shared};
use super::timed::Timed;
use crate::access::gate::{Gate, Peer};
use crate::service::Service;

/// The most connections at once; further ones wait to be accepted. A browser opens up to six.
const CONNECTIONS: usize = 256;

/// The time for a request's head to arrive, and for an idle connection.
const HEADERS_IN: Duration = Duration::from_secs(10);

/// The most bytes of a request's head that are held.
const HEAD: usize = 16 * 1024;

/// The most headers of a request.
const HEADERS: usize = 64;

/// After a connection could not be accepted: for example without a free file descriptor.
const PAUSE: Duration = Duration::from_millis(200);

/// The time that open requests get when the daemon stops. Streams end at once.
const GRACE: Duration = Duration::from_secs(1);

/// The page of a daemon.
#[derive(Debug)]
pub struct Page {
    /// Where browsers connect.
    pub listener: TcpListener,
    /// The gate that judges calls.
    pub gate: Arc<Gate>,
    /// A session that is idle for this long ends.
    pub lock_after: Duration,
    /// The review queue hides the suggestion until the reader has answered.
    pub blind_first: bool,
}

/// Serves until `service.stop` is cancelled.
pub async fn serve(page: Page, service: Arc<Service>) {
    let Page { listener, gate, lock_after, blind_first } = page;
    let stop = service.stop.clone();
    let sessions = Sessions::new(service.journal.epoch(), lock_after, service.clock.clone());
    let streams = Arc::new(Semaphore::new(super::live::STREAMS));
    let router = routes::router(Arc::new(Shared { service, gate, sessions, streams, blind_first }));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    let accepting = async {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            // Those that have ended.
            while connections.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, address)) => {
                    let peer = Peer::Tcp { address, certificate: None };
                    let (router, stop) = (router.clone(), stop.clone());
                    connections.spawn(async move {
                        answer(stream, peer, router, stop).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::debug!("no connection for the page: {error}");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = stop.cancelled() => {}
    }
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, ended).await.is_err() {
        tracing::debug!("requests of the page were cut off");
    }
}

/// One connection with all its requests.
async fn answer(stream: TcpStream, peer: Peer, router: Router, stop: CancellationToken) {
    // Small answers, one after another: waiting for more to send would cost 40 ms each.
    let _ = stream.set_nodelay(true);
    let end = CancellationToken::new();
    let line = Line { peer, end: end.clone() };
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(line.clone());
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_IN)
        .max_buf_size(HEAD)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(Timed::new(stream)), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = end.cancelled() => return,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = tokio::time::sleep(GRACE) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a browser's connection broke off: {error}");
    }
}
