//! Spans to an OpenTelemetry collector over gRPC. Only in builds with the feature `otlp`.
//!
//! A thread of the SDK's sends what a bounded queue holds. While the collector is away, or slower
//! than leukd, spans are dropped; captures never wait for it.

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Layer;

use super::Filtered;

/// The most spans that wait to be sent.
const QUEUE: usize = 4096;

/// The longest that one batch may take.
const SEND: Duration = Duration::from_secs(5);

/// The longest that the end of the process waits for the last batch.
const LAST: Duration = Duration::from_secs(2);

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// The layer that hands spans over. Call it inside a tokio runtime.
pub(super) fn layer(endpoint: &str) -> Result<Box<dyn Layer<Filtered> + Send + Sync>, String> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(SEND)
        .build()
        .map_err(|error| error.to_string())?;
    let config = BatchConfigBuilder::default().with_max_queue_size(QUEUE).build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(
            BatchSpanProcessor::builder(exporter).with_batch_config(config).build(),
        )
        .with_resource(
            Resource::builder()
                .with_service_name("leukd")
                .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
                .build(),
        )
        .build();
    let tracer = provider.tracer("leukd");
    let _ = PROVIDER.set(provider);
    // Nothing of the exporter's own, which would be sent because something was sent.
    let own = filter_fn(|metadata| metadata.target().starts_with("leukd"));
    Ok(tracing_opentelemetry::layer().with_tracer(tracer).with_filter(own).boxed())
}

/// Sends what waits, for a moment.
pub(super) fn flush() {
    if let Some(provider) = PROVIDER.get()
        && let Err(error) = provider.shutdown_with_timeout(LAST)
    {
        tracing::debug!("the last spans were not sent: {error}");
    }
}

/// Makes the span part of the caller's trace.
pub(super) fn join(span: &Span, traceparent: &str) {
    let carrier =
        std::collections::HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    let _ = span.set_parent(TraceContextPropagator::new().extract(&carrier));
}
