//! A thousand subscribers, of which a hundred never read.

use std::net::SocketAddr;

use leukd::config::units::Span;
use leukd::grpc::proto::results_client::ResultsClient;
use leukd::grpc::proto::{self, event, subscribe_request};
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

use crate::ready::{all_once, resident};
use crate::support::process::{Process, serve_command};
use crate::support::scrape::samples;
use crate::support::{ALL, Folders, PATIENCE, cell_of, next, next_results, until};

const READERS: u32 = 900;
const DEAF: u32 = 100;
/// More than one window and buffer of a subscriber hold.
const RESULTS: u64 = 400;

async fn channel(process: &Process, window: Option<u32>) -> Channel {
    let mut endpoint = Endpoint::from_shared(format!("http://{}", process.address)).unwrap();
    if let Some(window) = window {
        endpoint = endpoint.initial_stream_window_size(window);
    }
    endpoint.connect().await.unwrap()
}

async fn subscribe(channel: &Channel) -> tonic::Streaming<proto::Event> {
    let start = Some(subscribe_request::Start::Earliest(()));
    let request = proto::SubscribeRequest { start, filter: None };
    ResultsClient::new(channel.clone()).subscribe(request).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_subscribers_that_never_read_cost_the_nine_hundred_others_nothing() {
    let folders = Folders::new();
    let mut command = serve_command(&folders, |settings| {
        settings.rpc.slow_after = Span::from_secs(2);
        settings.rpc.subscriber_buffer = 16;
        settings.rpc.max_subscribers = 1_000;
        settings.metrics.enabled = true;
        settings.metrics.listen = "127.0.0.1:0".parse().unwrap();
    });
    // As the unit sets it: what is measured is what is held, not how many arenas hold it.
    command.env("MALLOC_ARENA_MAX", "1");
    let process = Process::spawn(command);
    let line = process.line_with(&["http://", "/metrics"]);
    let (_, metrics) = line.split_once("http://").unwrap();
    let metrics: SocketAddr = metrics.split_once('/').unwrap().0.parse().unwrap();
    folders.drop_capture("first.bmp", &cell_of(ALL, RESULTS));
    all_once(&process, 1).await;
    let (mut deaf, mut readers) = (Vec::new(), JoinSet::new());
    for _ in 0..DEAF / 20 {
        let narrow = channel(&process, Some(1_024)).await;
        for _ in 0..20 {
            deaf.push(subscribe(&narrow).await);
        }
    }
    for _ in 0..READERS / 90 {
        let wide = channel(&process, None).await;
        for _ in 0..90 {
            let mut stream = subscribe(&wide).await;
            readers.spawn(async move {
                let hello = next(&mut stream).await.kind;
                assert!(matches!(hello, Some(event::Kind::Hello(_))));
                let count = usize::try_from(RESULTS).unwrap() + 1;
                let results = next_results(&mut stream, count).await;
                results.iter().map(|result| result.sequence).collect::<Vec<_>>()
            });
        }
    }
    let before = resident(&process);
    for number in 0..RESULTS {
        folders.drop_capture(&format!("{number}.bmp"), &cell_of(ALL, number));
    }
    let expected: Vec<u64> = (1..=RESULTS + 1).collect();
    while let Some(got) = readers.join_next().await {
        assert_eq!(got.unwrap(), expected);
    }
    let grown = resident(&process).saturating_sub(before);
    println!("{} MB more with {} subscribers and {RESULTS} results", grown >> 20, READERS + DEAF);
    // 55 to 62 MB where each holds what it may; a queue without a bound would hold some 44 MB of
    // results more for the deaf.
    assert!(grown < 84 << 20, "{grown} bytes more");
    until("all the deaf given up", async || {
        let dropped = samples(metrics).await.one("leukd_subscribers_dropped_total", &[]);
        (dropped == f64::from(DEAF)).then_some(())
    })
    .await;
    // They are told when they listen at last.
    for mut stream in deaf {
        let told = async {
            loop {
                match stream.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("an end without a status"),
                    Err(status) => return status,
                }
            }
        };
        let status = tokio::time::timeout(PATIENCE, told).await.expect("an end");
        assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status:?}");
    }
    // And their places are free again.
    let wide = channel(&process, None).await;
    for _ in 0..DEAF {
        let mut stream = subscribe(&wide).await;
        assert!(matches!(next(&mut stream).await.kind, Some(event::Kind::Hello(_))));
    }
}
