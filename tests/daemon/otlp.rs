//! Spans reach an OpenTelemetry collector, and a daemon without one works as ever. Only in builds
//! with the feature `otlp`: `cargo test --release -p leukd --features otlp --test daemon otlp::`.

use crate::support;
use std::net::SocketAddr;
use std::time::Duration;

use crate::support::process::Process;
use crate::support::{ALL, Folders, cell_of, until};
use leukd::grpc::proto;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use rustix::process::Signal;
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;

/// A collector that keeps what it is sent.
struct Collector(mpsc::Sender<(String, Span)>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.map(|resource| resource.attributes);
            let service = attributes.unwrap_or_default().into_iter().find_map(|attribute| {
                let Some(Value::StringValue(name)) = attribute.value?.value else { return None };
                (attribute.key == "service.name").then_some(name)
            });
            for scope in resource.scope_spans {
                for span in scope.spans {
                    let _ = self.0.send((service.clone().unwrap_or_default(), span)).await;
                }
            }
        }
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

async fn collector() -> (SocketAddr, mpsc::Receiver<(String, Span)>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, spans) = mpsc::channel(1024);
    let service = TraceServiceServer::new(Collector(sender));
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    (address, spans)
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key == name)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        _ => None,
    }
}

async fn results(process: &Process, count: usize) -> Vec<proto::Result> {
    until("results", async || {
        let results = support::all_results(process.results().await).await;
        (results.len() >= count).then_some(results)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_captures_span_reaches_the_collector_with_its_results_id() {
    let (address, mut spans) = collector().await;
    let folders = Folders::new();
    let mut process = Process::serve_with(&folders, |settings| {
        settings.log.otlp = Some(format!("http://{address}"));
    });
    folders.drop_capture("UID_1_2_3_all.bmp", &cell_of(ALL, 1));
    let result = results(&process, 1).await.remove(0);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let mut request = tonic::Request::new(proto::ClassifyRequest {
        image: cell_of(ALL, 2),
        ..Default::default()
    });
    let traceparent = format!("00-{trace}-b7ad6b7169203331-01");
    request.metadata_mut().insert("traceparent", traceparent.parse().unwrap());
    let url = format!("http://{}", process.address);
    let mut client = proto::classifier_client::ClassifierClient::connect(url).await.unwrap();
    client.classify(request).await.unwrap();
    // The end of the process sends what waits.
    process.signal(Signal::TERM);
    let status = process.wait(Duration::from_secs(20)).await.expect("it ends");
    assert_eq!(status.code(), Some(0));
    let (mut capture, mut joined) = (None, false);
    while let Ok(Some((service, span))) =
        tokio::time::timeout(Duration::from_secs(5), spans.recv()).await
    {
        assert_eq!(service, "leukd");
        let hex: String = span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
        joined |= span.name == "request" && hex == trace;
        if span.name == "capture" {
            capture = attribute(&span, "result_id");
        }
        if capture.is_some() && joined {
            break;
        }
    }
    assert_eq!(capture, Some(result.result_id));
    assert!(joined, "the request's span is not part of the caller's trace");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_collector_captures_go_on_and_the_stop_is_not_held_up() {
    let folders = Folders::new();
    // Nothing listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut process = Process::serve_with(&folders, |settings| {
        settings.log.otlp = Some(format!("http://{free}"));
    });
    for number in 0..30 {
        folders.drop_capture(&format!("{number}.bmp"), &cell_of(ALL, number));
    }
    assert_eq!(results(&process, 30).await.len(), 30);
    process.signal(Signal::TERM);
    let status = process.wait(Duration::from_secs(15)).await.expect("it ends");
    assert_eq!(status.code(), Some(0));
}
