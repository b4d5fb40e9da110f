//! Answers calls while the journal is being opened, which may take minutes after a power cut.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::transport::Server;
use tower::{Layer, Service};

use super::guard::GuardLayer;
use super::server::{Entrance, Health};
use super::status;
use super::transport::{Incoming, MAX_CALLS};

/// A journal usually opens sooner; clients wait for that in the listener's queue.
const AFTER: Duration = Duration::from_millis(200);

/// Limit on the wait for open connections when the server takes over. As long as this one is
/// there it accepts connections too, which are closed with it.
const HAND_OVER: Duration = Duration::from_millis(250);

/// Path of every call of the health service.
const HEALTH: &str = "/grpc.health.v1.Health/";

/// A server that says UNAVAILABLE, and NOT_SERVING of every service, until it is ended or dropped.
#[derive(Debug)]
pub struct Opening {
    stop: CancellationToken,
    has_begun: Arc<AtomicBool>,
    ended: mpsc::Receiver<()>,
}

impl Opening {
    /// Begins to answer at `entrance` after a moment. None outside a runtime.
    #[must_use]
    pub fn begin(entrance: Entrance) -> Option<Self> {
        let runtime = Handle::try_current().ok()?;
        let (tell, ended) = mpsc::channel();
        let opening = Self { stop: CancellationToken::new(), has_begun: Arc::default(), ended };
        let (stop, has_begun) = (opening.stop.clone(), Arc::clone(&opening.has_begun));
        runtime.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(AFTER) => {}
                () = stop.cancelled() => return,
            }
            has_begun.store(true, Ordering::SeqCst);
            if let Err(error) = serve(entrance, stop).await {
                tracing::debug!("no answers while the journal is being opened: {error}");
            }
            let _ = tell.send(());
        });
        Some(opening)
    }

    /// Ends it. Connections are asked to end, and clients connect again. Blocks for a moment.
    pub fn end(self) {
        self.stop.cancel();
        if self.has_begun.load(Ordering::SeqCst) {
            let _ = self.ended.recv_timeout(2 * HAND_OVER);
        }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn serve(entrance: Entrance, stop: CancellationToken) -> Result<(), tonic::transport::Error> {
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let reporter = Health::new(reporter);
    reporter.nothing_serves().await;
    let Entrance { listeners, keys, max_connections, gate } = entrance;
    let incoming = Incoming::start(listeners, keys, max_connections, &gate.refusals);
    let stopped = stop.clone();
    let served = Server::builder()
        .max_concurrent_streams(Some(MAX_CALLS))
        .layer(GuardLayer::new(gate))
        .layer(OpeningLayer)
        .add_service(health_service)
        .serve_with_incoming_shutdown(incoming, async move {
            stop.cancelled().await;
            // Watchers would keep their connections open.
            reporter.stopping().await;
        });
    tokio::select! {
        served = served => served,
        () = async {
            stopped.cancelled().await;
            tokio::time::sleep(HAND_OVER).await;
        } => Ok(()),
    }
}

#[derive(Debug, Clone)]
struct OpeningLayer;

impl<S> Layer<S> for OpeningLayer {
    type Service = Unavailable<S>;

    fn layer(&self, inner: S) -> Unavailable<S> {
        Unavailable(inner)
    }
}

/// Lets health through alone.
#[derive(Debug, Clone)]
struct Unavailable<S>(S);

type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<S> Service<Request<Body>> for Unavailable<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.uri().path().starts_with(HEALTH) {
            return Box::pin(self.0.call(request));
        }
        Box::pin(std::future::ready(Ok(status::starting().into_http())))
    }
}
