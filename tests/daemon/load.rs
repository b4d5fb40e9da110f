//! What must hold when much happens at once. How fast it is: `cargo bench --bench load`.

use crate::support;
use std::time::{Duration, Instant};

use crate::support::{ALL, Folders, Harness, cell_of, next, next_results};
use futures_util::StreamExt as _;
use leukd::clock::Clock;
use leukd::grpc::proto::subscribe_request::Start;
use leukd::grpc::proto::{self, Filter, event};
use leukd::journal::types::{Entry, FileStamp, Found};
use leukd::journal::{Journal, Options, TAIL};
use leukd::result::{
    Capture, CaptureKind, CapturePath, CellIds, Digest, Finding, Reason, ReasonCode, Source,
};
use tonic::Streaming;

async fn waiting_for(harness: &Harness, specimen: &str) -> Streaming<proto::Event> {
    let filter = Some(Filter { specimen: specimen.to_owned(), ..Default::default() });
    let request = proto::SubscribeRequest { start: Some(Start::Latest(())), filter };
    harness.results().subscribe(request).await.unwrap().into_inner()
}

fn requests(specimen: &str, seeds: std::ops::Range<u64>) -> Vec<proto::ClassifyRequest> {
    seeds
        .map(|seed| proto::ClassifyRequest {
            image: cell_of(ALL, seed),
            specimen: specimen.to_owned(),
            ..Default::default()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_waits_for_something_else_misses_nothing_of_its_own() {
    let harness = Harness::start().await;
    let mut crowd = Vec::new();
    for _ in 0..60 {
        crowd.push(waiting_for(&harness, "theirs").await);
    }
    let (_, mut everything) = harness.subscribe(Start::Latest(())).await;
    for round in 0..3 {
        let seed = round * 200;
        harness.classify_requests(requests("others", seed..seed + 100)).await.unwrap();
        harness.classify_requests(requests("theirs", seed + 100..seed + 102)).await.unwrap();
    }
    let all = next_results(&mut everything, 3 * 102).await;
    support::assert_gapless(&all);
    let expected: Vec<u64> = all
        .iter()
        .filter(|result| result.specimen == "theirs")
        .map(|result| result.sequence)
        .collect();
    for mut stream in crowd {
        let got = next_results_after_hello(&mut stream, expected.len()).await;
        assert_eq!(got, expected);
    }
}

async fn next_results_after_hello(stream: &mut Streaming<proto::Event>, count: usize) -> Vec<u64> {
    assert!(matches!(next(stream).await.kind, Some(event::Kind::Hello(_))));
    next_results(stream, count).await.iter().map(|result| result.sequence).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_longer_than_memory_is_replayed_in_order_while_it_grows() {
    let folders = Folders::new();
    let stored = 2 * TAIL + 300;
    fill(&folders, stored).await;
    let harness = Harness::start_on(folders, |_| {}).await;
    let (hello, mut stream) = harness.subscribe(Start::Earliest(())).await;
    assert_eq!((hello.oldest, hello.newest), (1, stored as u64));
    let (live, results) = tokio::join!(
        harness.classify_requests(requests("live", 0..200)),
        next_results(&mut stream, stored + 200),
    );
    assert_eq!(live.unwrap().len(), 200);
    support::assert_gapless(&results);
    assert!(results[stored..].iter().all(|result| result.specimen == "live"));
}

/// A journal with so many rejections, as a watched folder leaves it.
async fn fill(folders: &Folders, count: usize) {
    let clock = Clock::system();
    let journal = Journal::open(&folders.state, Options::new(clock.clone())).unwrap();
    let entry = |number: usize| {
        let path = CapturePath { folder: "/elsewhere".to_owned(), path: format!("{number}.bmp") };
        let capture = Capture {
            digest: Some(Digest::of(&number.to_le_bytes())),
            size_bytes: 8,
            source: Source::Folder(path),
            captured_at: clock.wall(),
            kind: CaptureKind::Cell,
        };
        let finding = Finding {
            reasons: vec![Reason::new(ReasonCode::Truncated, "it ends inside its header")],
            ..Finding::blank(format!("id-{number}"), CellIds::default(), clock.wall())
        };
        let stamp = FileStamp { size: 8, mtime_ns: 1, ctime_ns: 1, inode: 1 };
        Entry::Capture { stamp, found: Found::one(capture, finding) }
    };
    let commits = futures_util::stream::iter(0..count)
        .map(|number| journal.commit(entry(number)))
        .buffered(256);
    assert!(commits.all(|committed| std::future::ready(committed.is_ok())).await);
}

/// With Nagle's algorithm on the daemon's side each of these calls takes the 40 ms of a delayed
/// acknowledgement.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_waits_for_a_delayed_acknowledgement() {
    let harness = Harness::start().await;
    let mut fastest = Duration::MAX;
    for seed in 0..12 {
        // More than HTTP/2's first window of 64 KiB. A BMP may be followed by anything.
        let mut image = cell_of(ALL, seed);
        image.resize(200_000, 0);
        let sent = Instant::now();
        harness.classify(image).await;
        fastest = fastest.min(sent.elapsed());
    }
    assert!(fastest < Duration::from_millis(30), "the fastest of 12 took {fastest:?}");
}
