//! What one client, or one address, may have at once.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::Body as _;
use leukd::access::Scope;
use leukd::config::units::Bytes;
use leukd::grpc::proto;
use leukd::grpc::proto::control_client::ControlClient;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::{Service as _, http};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::support::keys::{showing, token};
use crate::support::refusal::{assert_retry, reason};
use crate::support::{ALL, Harness, PATIENCE, cell_of, until};
use crate::{guarded, known, subscribe};

/// A call whose request has begun and does not end: it counts until the sender is dropped.
async fn unfinished(
    channel: Channel,
    image: Option<Vec<u8>>,
) -> tokio::task::JoinHandle<Result<(), Status>> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let first = image.map(|image| proto::ClassifyRequest { image, ..Default::default() });
    let endless = tokio_stream::StreamExt::chain(
        tokio_stream::iter(first),
        tokio_stream::pending::<proto::ClassifyRequest>(),
    );
    tokio::spawn(async move {
        let path = "/leukd.v1.Classifier/Classify".parse().unwrap();
        let codec = ProstCodec::<proto::ClassifyRequest, proto::ClassifyResponse>::default();
        client.client_streaming(Request::new(endless), path, codec).await.map(|_| ())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_no_more_requests_under_way_than_it_may() {
    let harness = Harness::start_with(|settings| settings.access.max_requests = 2).await;
    let mut open =
        [unfinished(harness.channel(), None).await, unfinished(harness.channel(), None).await];
    let status = until("the limit", async || {
        for call in &mut open {
            // The question below took its place.
            if call.is_finished() {
                *call = unfinished(harness.channel(), None).await;
            }
        }
        harness.control().get_status(proto::GetStatusRequest {}).await.err()
    })
    .await;
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::ResourceExhausted, "TOO_MANY_REQUESTS")
    );
    assert_retry(&status);
    assert!(status.message().contains("access.max_requests"), "{}", status.message());
    for call in open {
        call.abort();
    }
    until("a place", async || harness.control().get_status(proto::GetStatusRequest {}).await.ok())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_no_more_streams_open_than_it_may() {
    let harness = Harness::start_with(|settings| settings.access.max_streams = 2).await;
    let first = subscribe(harness.channel(), "").await.unwrap();
    let _second = subscribe(harness.channel(), "").await.unwrap();
    let status = subscribe(harness.channel(), "").await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::ResourceExhausted, "TOO_MANY_STREAMS")
    );
    assert_retry(&status);
    drop(first);
    until("a place", async || subscribe(harness.channel(), "").await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_no_more_bytes_under_way_than_it_may_and_hinders_no_other() {
    let (harness, file) = guarded(|settings, _| settings.access.max_bytes = Bytes(30_000)).await;
    let (greedy, modest) =
        (token(&file, "greedy", &[Scope::Classify]), token(&file, "modest", &[Scope::Classify]));
    known(&harness, &modest).await;
    let classify = async |token: &str, bytes: usize| {
        // What follows the picture's end is no part of it.
        let mut image = cell_of(ALL, bytes as u64);
        image.resize(image.len().max(bytes), 0);
        let request = proto::ClassifyRequest { image, ..Default::default() };
        harness.classifier().classify(showing(token, request)).await
    };
    let status = classify(&greedy, 40_000).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::ResourceExhausted, "TOO_MANY_BYTES")
    );
    assert_retry(&status);
    for _ in 0..5 {
        classify(&greedy, 20_000).await.unwrap();
        classify(&modest, 20_000).await.unwrap();
    }
}

/// A ClassifyStream that begins a picture of a megabyte and never ends it: the status that ends it.
async fn half_a_message(mut channel: Channel, bytes: usize, gone: CancellationToken) -> Status {
    let mut begun = vec![0];
    begun.extend((1_u32 << 20).to_be_bytes());
    begun.resize(bytes, 0);
    let request = http::Request::post("http://localhost/leukd.v1.Classifier/ClassifyStream")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Begun(Some(begun), Box::pin(gone.cancelled_owned()))))
        .unwrap();
    let answer = std::future::poll_fn(|context| channel.poll_ready(context)).await;
    answer.unwrap();
    let (head, mut body) = channel.call(request).await.unwrap().into_parts();
    if let Some(status) = Status::from_header_map(&head.headers) {
        return status;
    }
    loop {
        let frame = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        let frame = frame.expect("a status").unwrap();
        if let Some(trailers) = frame.trailers_ref() {
            return Status::from_header_map(trailers).unwrap();
        }
    }
}

/// A request of which this comes and then nothing more, until its sender goes away.
struct Begun(Option<Vec<u8>>, Pin<Box<dyn Future<Output = ()> + Send>>);

impl http_body::Body for Begun {
    type Data = <Body as http_body::Body>::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Self::Data>, Status>>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(http_body::Frame::data(bytes.into())))),
            None => {
                self.1.as_mut().poll(context).map(|()| Some(Err(Status::cancelled("it went away"))))
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_streams_that_are_never_finished_count_as_far_as_they_have_come() {
    let harness = Harness::start_with(|settings| settings.access.max_bytes = Bytes(50_000)).await;
    // Each beginning is one frame of HTTP/2 (16 KiB at most): which streams fit does not hang on
    // how their parts mingle.
    let mut streams = tokio::task::JoinSet::new();
    let gone = CancellationToken::new();
    for _ in 0..4 {
        streams.spawn(half_a_message(harness.channel(), 15_000, gone.clone()));
    }
    let ended = tokio::time::timeout(PATIENCE, streams.join_next()).await;
    let status = ended.expect("the fourth ends").unwrap().unwrap();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::ResourceExhausted, "TOO_MANY_BYTES")
    );
    assert_retry(&status);
    let none = tokio::time::timeout(Duration::from_millis(500), streams.join_next()).await;
    assert!(none.is_err(), "the other three fit: {none:?}");
    // Nor is there room for anything else of this client, until they have gone.
    let mut image = cell_of(ALL, 1);
    image.resize(25_000, 0);
    let request = proto::ClassifyRequest { image, ..Default::default() };
    let refused = harness.classifier().classify(request.clone()).await.unwrap_err();
    assert_eq!(reason(&refused), "TOO_MANY_BYTES");
    gone.cancel();
    streams.abort_all();
    until("room", async || harness.classifier().classify(request.clone()).await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_may_carry_any_number_of_bytes_as_its_messages_are_answered() {
    let harness = Harness::start_with(|settings| settings.access.max_bytes = Bytes(300_000)).await;
    let images = (0..60).map(|seed| {
        let mut image = cell_of(ALL, seed);
        image.resize(25_000, 0);
        image
    });
    let answers = harness.classify_all(images.collect()).await;
    assert_eq!(answers.len(), 60);
    for answer in answers {
        use proto::classify_stream_response::Outcome;
        assert!(matches!(answer.outcome, Some(Outcome::Classified(_))), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_beyond_measure_is_refused() {
    let harness = Harness::start().await;
    let mut request = Request::new(proto::GetStatusRequest {});
    request.metadata_mut().insert("x-long", "x".repeat(64 * 1024).parse().unwrap());
    // On a connection of its own: leukd may close it.
    let address = format!("http://{}", harness.daemon().address());
    let mut other = ControlClient::connect(address).await.unwrap();
    let refused = tokio::time::timeout(PATIENCE, other.get_status(request)).await;
    assert!(refused.expect("an answer in time").is_err());
    harness.status().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_cannot_take_every_connection_and_silent_ones_are_closed() {
    let harness = Harness::start_with(|settings| settings.rpc.max_connections = 8).await;
    let address = harness.daemon().address();
    let elsewhere = async |from: &str| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        socket.connect(address).await.unwrap()
    };
    // Six are the most of one address; the seventh is closed at once, and is told nothing.
    let mut silent = Vec::new();
    for _ in 0..6 {
        silent.push(elsewhere("127.0.0.2").await);
    }
    let began = std::time::Instant::now();
    let mut seventh = elsewhere("127.0.0.2").await;
    closes(&mut seventh).await;
    assert!(began.elapsed() < Duration::from_secs(5), "at once, {:?}", began.elapsed());
    harness.status().await;
    let other =
        Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    ControlClient::new(other).get_status(proto::GetStatusRequest {}).await.unwrap();
    // Who never begins to speak HTTP/2 gives his place back.
    for connection in &mut silent {
        closes(connection).await;
    }
}

/// Waits until the server has closed the connection.
async fn closes(connection: &mut tokio::net::TcpStream) {
    use tokio::io::AsyncReadExt as _;
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, connection.read_to_end(&mut bytes)).await;
    let _ = read.expect("the connection is closed in time");
}
