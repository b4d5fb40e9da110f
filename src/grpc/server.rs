//! The server: services, health, reflection and limits on one listener.

use std::sync::Arc;
use std::time::Duration;

use tonic::transport::Server;
use tonic_health::server::HealthReporter;

use super::calls::CountLayer;
use super::classifier::ClassifierService;
use super::control::ControlService;
use super::deadline::DeadlineLayer;
use super::explainer::ExplainerService;
use super::guard::GuardLayer;
use super::oversize::ClearOversize;
use super::proto;
use super::proto::classifier_server::ClassifierServer;
use super::proto::control_server::ControlServer;
use super::proto::explainer_server::ExplainerServer;
use super::proto::results_server::ResultsServer;
use super::proto::reviews_server::ReviewsServer;
use super::results::ResultsService;
use super::reviews::ReviewsService;
use super::transport::{Incoming, Listeners, MAX_CALLS, ServerKeys};
use crate::access::gate::Gate;
use crate::access::kept::Kept;
use crate::service::Service;

/// Bytes of a request beside its image: ids and framing.
const BESIDE_IMAGE: u64 = 64 * 1024;

/// The largest message of the services that take no images.
const SMALL: usize = 1024 * 1024;

/// A connection whose client does not answer pings in this time is closed, and its streams with it.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Interval of keepalive pings on an idle connection.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// The most calls of one connection that are being taken in or answered at once; open streams do
/// not count. It bounds the memory of images that are still arriving.
const CALLS_PER_CONNECTION: usize = 32;

/// Why serving ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The transport failed.
    #[error("the gRPC server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The contract's descriptors do not load: a defect of the build.
    #[error("reflection cannot be built: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Flow-control window of one call in bytes: a capture of C-NMC's size (600 KB) fits. A connection
/// has twice as much.
const WINDOW: u32 = 1 << 20;

/// Services with their own health.
const MODEL_SERVICES: [&str; 2] = ["leukd.v1.Classifier", "leukd.v1.Explainer"];
const OTHER_SERVICES: [&str; 3] = ["leukd.v1.Results", "leukd.v1.Reviews", "leukd.v1.Control"];

/// Health as clients see it: `Results`, `Reviews` and `Control` serve from the start, `Classifier`,
/// `Explainer` and the whole (the empty name) once a model does.
#[derive(Clone)]
pub struct Health(HealthReporter);

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Health")
    }
}

impl Health {
    pub(super) const fn new(reporter: HealthReporter) -> Self {
        Self(reporter)
    }

    /// Says that nothing is served yet.
    pub(super) async fn nothing_serves(&self) {
        self.set(&OTHER_SERVICES, false).await;
        self.model_serves(false).await;
    }

    /// Says whether a model is in service.
    pub async fn model_serves(&self, serves: bool) {
        self.set(&MODEL_SERVICES, serves).await;
        self.set(&[""], serves).await;
    }

    /// Says that nothing is served any more, and then ends the streams of those who watch: nobody
    /// else would, and the server waits for them.
    pub async fn stopping(&self) {
        let mut reporter = self.0.clone();
        for service in MODEL_SERVICES.iter().chain(&OTHER_SERVICES).chain(&[""]) {
            self.set(&[service], false).await;
            // Watchers get the change before the end; later requests get the same answer.
            reporter.clear_service_status(service).await;
            self.set(&[service], false).await;
        }
    }

    async fn set(&self, services: &[&str], serves: bool) {
        let status = if serves {
            tonic_health::ServingStatus::Serving
        } else {
            tonic_health::ServingStatus::NotServing
        };
        for service in services {
            self.0.set_service_status(*service, status).await;
        }
    }
}

/// The most bytes of metadata that a call may carry; a token takes fifty.
const METADATA: u32 = 16 * 1024;

/// The way in: where clients connect, how they are greeted, and who judges what they may do.
#[derive(Debug)]
pub struct Entrance {
    /// Where they connect.
    pub listeners: Listeners,
    /// TLS settings; none without TLS.
    pub keys: Option<Arc<Kept<ServerKeys>>>,
    /// Limit on connections.
    pub max_connections: u32,
    /// The gate that judges calls.
    pub gate: Arc<Gate>,
}

/// Serves at `entrance` until `service.stop` is cancelled and the last call has ended. The caller
/// bounds that wait: an idle HTTP/2 connection may never end by itself.
///
/// # Errors
/// See [`ServeError`].
pub async fn serve(
    entrance: Entrance,
    service: Arc<Service>,
    health: impl FnOnce(Health) + Send,
) -> Result<(), ServeError> {
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let reporter = Health::new(reporter);
    reporter.set(&OTHER_SERVICES, true).await;
    reporter.model_serves(false).await;
    health(reporter);

    let reflection = || {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        let services =
            OTHER_SERVICES.iter().chain(&MODEL_SERVICES).chain(&["grpc.health.v1.Health"]);
        services.fold(builder, |builder, name| builder.with_service_name(*name))
    };
    let (reflection_v1, reflection_v1alpha) =
        (reflection().build_v1()?, reflection().build_v1alpha()?);

    let image_limit = service.limits.max_image_bytes.saturating_add(BESIDE_IMAGE);
    let image_limit = usize::try_from(image_limit).unwrap_or(usize::MAX);
    let stop = service.stop.clone();
    let Entrance { listeners, keys, max_connections, gate } = entrance;
    let incoming = Incoming::start(listeners, keys, max_connections, &gate.refusals);
    Server::builder()
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .max_concurrent_streams(Some(MAX_CALLS))
        .concurrency_limit_per_connection(CALLS_PER_CONNECTION)
        .initial_stream_window_size(Some(WINDOW))
        .initial_connection_window_size(Some(2 * WINDOW))
        .http2_max_header_list_size(Some(METADATA))
        .layer(CountLayer(Arc::clone(&service.calls)))
        .layer(DeadlineLayer)
        // No service sees a call that was not judged; those that are turned away are counted too.
        .layer(GuardLayer::new(gate))
        .layer(ClearOversize::layer(service.limits.max_image_bytes))
        .add_service(health_service)
        .add_service(reflection_v1)
        .add_service(reflection_v1alpha)
        .add_service(
            ClassifierServer::new(ClassifierService(Arc::clone(&service)))
                .max_decoding_message_size(image_limit),
        )
        .add_service(
            ResultsServer::new(ResultsService(Arc::clone(&service)))
                .max_decoding_message_size(SMALL),
        )
        .add_service(
            ExplainerServer::new(ExplainerService(Arc::clone(&service)))
                .max_decoding_message_size(image_limit),
        )
        .add_service(
            ReviewsServer::new(ReviewsService(Arc::clone(&service)))
                .max_decoding_message_size(SMALL),
        )
        .add_service(ControlServer::new(ControlService(service)).max_decoding_message_size(SMALL))
        .serve_with_incoming_shutdown(incoming, async move {
            stop.cancelled().await;
        })
        .await?;
    Ok(())
}
