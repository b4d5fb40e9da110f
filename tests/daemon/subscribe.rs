//! Subscribe: nothing lost, doubled or out of order, from any start, across any break.

use crate::support;
use std::time::Duration;

use crate::support::refusal::{assert_field, assert_retry, info, reason};
use crate::support::{
    ALL, HEM, Harness, REVIEW, WEAK_ALL, cell_of, in_time, next, next_results, path_of,
    probability, until,
};
use leukd::config::units::Span;
use leukd::grpc::proto::subscribe_request::Start;
use leukd::grpc::proto::{self, Decision, Filter, event};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tonic::{Code, Status, Streaming};

const EARLIEST: Start = Start::Earliest(());
const LATEST: Start = Start::Latest(());

fn after(epoch: &str, sequence: u64) -> Start {
    Start::After(proto::Cursor { epoch: epoch.to_owned(), sequence })
}

async fn epoch(harness: &Harness) -> String {
    harness.status().await.journal.unwrap().epoch
}

/// Stores this many results.
async fn store(harness: &Harness, seeds: std::ops::Range<u64>) {
    let count = usize::try_from(seeds.end - seeds.start).unwrap();
    let answers = harness.classify_all(seeds.map(|seed| cell_of(ALL, seed)).collect()).await;
    assert_eq!(answers.len(), count);
    assert!(answers.iter().all(|answer| support::refusal::item(answer).is_none()));
}

async fn sequences(stream: &mut Streaming<proto::Event>, count: usize) -> Vec<u64> {
    next_results(stream, count).await.iter().map(|result| result.sequence).collect()
}

async fn refused(harness: &Harness, start: Option<Start>, filter: Option<Filter>) -> Status {
    let request = proto::SubscribeRequest { start, filter };
    match harness.results().subscribe(request).await {
        Err(status) => status,
        Ok(_) => panic!("not refused"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hello_comes_first_and_tells_epoch_bounds_model_and_heartbeat() {
    let harness = Harness::start_with(|settings| {
        settings.rpc.heartbeat = Span::from_millis(1500);
    })
    .await;
    let (empty, _stream) = harness.subscribe(EARLIEST).await;
    assert_eq!((empty.oldest, empty.newest), (0, 0));
    store(&harness, 0..3).await;
    let (hello, mut stream) = harness.subscribe(EARLIEST).await;
    assert_eq!((hello.oldest, hello.newest), (1, 3));
    assert_eq!(hello.epoch, empty.epoch);
    let interval = hello.heartbeat_interval.unwrap();
    assert_eq!((interval.seconds, interval.nanos), (1, 500_000_000));
    let model = hello.model.unwrap();
    assert_eq!(model.id, "tiny");
    for result in next_results(&mut stream, 3).await {
        assert_eq!(result.epoch, hello.epoch);
        assert_eq!(result.model.unwrap().digest, model.digest);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn earliest_latest_and_a_cursor_begin_where_they_say_and_go_on_live() {
    let harness = Harness::start().await;
    store(&harness, 0..5).await;
    let epoch = epoch(&harness).await;
    let nothing = proto::SubscribeRequest::default();
    let mut no_start = harness.results().subscribe(nothing).await.unwrap().into_inner();
    assert!(matches!(next(&mut no_start).await.kind, Some(event::Kind::Hello(_))));
    let mut streams = vec![(vec![6, 7], no_start)];
    for (start, expected) in [
        (EARLIEST, vec![1, 2, 3, 4, 5, 6, 7]),
        (LATEST, vec![6, 7]),
        (after(&epoch, 0), vec![1, 2, 3, 4, 5, 6, 7]),
        (after(&epoch, 3), vec![4, 5, 6, 7]),
        (after(&epoch, 5), vec![6, 7]),
    ] {
        streams.push((expected, harness.subscribe(start).await.1));
    }
    store(&harness, 5..7).await;
    for (expected, stream) in &mut streams {
        assert_eq!(sequences(stream, expected.len()).await, *expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_gets_what_get_result_gives() {
    let harness = Harness::start().await;
    let (_, mut stream) = harness.subscribe(LATEST).await;
    store(&harness, 0..2).await;
    harness.drop_capture("UID_7_1_1_hem.bmp", &cell_of(HEM, 9));
    let streamed = next_results(&mut stream, 3).await;
    assert_eq!(streamed, harness.all_results().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_older_than_what_is_kept_gets_a_gap_and_goes_on() {
    let harness = Harness::start().await;
    store(&harness, 0..20).await;
    let folders = harness.stop().await;
    let harness = Harness::start_on(folders, |settings| {
        settings.journal.keep_count = Some(5);
    })
    .await;
    let epoch = epoch(&harness).await;
    until("retention", async || {
        (harness.status().await.journal.unwrap().oldest == 16).then_some(())
    })
    .await;
    let (hello, mut early) = harness.subscribe(EARLIEST).await;
    assert_eq!((hello.oldest, hello.newest), (16, 20));
    assert_eq!(sequences(&mut early, 5).await, [16, 17, 18, 19, 20], "earliest has no gap");
    let (_, mut just) = harness.subscribe(after(&epoch, 15)).await;
    assert_eq!(sequences(&mut just, 1).await, [16], "a cursor at the edge has no gap");
    let mut late = Vec::new();
    for (cursor, from) in [(0, 1), (3, 4), (14, 15)] {
        let (_, mut stream) = harness.subscribe(after(&epoch, cursor)).await;
        let first = next(&mut stream).await.kind.unwrap();
        assert_eq!(first, event::Kind::Gap(proto::Gap { from, to: 15 }), "after {cursor}");
        assert_eq!(sequences(&mut stream, 5).await, [16, 17, 18, 19, 20]);
        late.push(stream);
    }
    store(&harness, 20..21).await;
    for stream in &mut late {
        assert_eq!(sequences(stream, 1).await, [21], "sequences go on after a restart");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_outlives_a_restart() {
    let harness = Harness::start().await;
    store(&harness, 0..6).await;
    let (hello, mut stream) = harness.subscribe(EARLIEST).await;
    assert_eq!(sequences(&mut stream, 4).await, [1, 2, 3, 4]);
    drop(stream);
    let folders = harness.stop().await;
    folders.drop_capture("meanwhile.bmp", &cell_of(ALL, 6));
    let harness = Harness::start_on(folders, |_| {}).await;
    let (again, mut stream) = harness.subscribe(after(&hello.epoch, 4)).await;
    assert_eq!(again.epoch, hello.epoch);
    assert_eq!(sequences(&mut stream, 3).await, [5, 6, 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_the_future_of_another_epoch_or_of_none_is_refused() {
    let harness = Harness::start().await;
    store(&harness, 0..2).await;
    let epoch = epoch(&harness).await;
    let future = refused(&harness, Some(after(&epoch, 3)), None).await;
    assert_eq!(future.code(), Code::OutOfRange);
    let (reason, metadata) = info(&future);
    assert_eq!((reason.as_str(), metadata["newest"].as_str()), ("FUTURE_CURSOR", "2"));
    // Another epoch is told before anything is said of the sequence.
    for sequence in [1, 3] {
        let other = refused(&harness, Some(after("another", sequence)), None).await;
        assert_eq!(other.code(), Code::OutOfRange);
        let (reason, metadata) = info(&other);
        assert_eq!((reason.as_str(), &metadata["epoch"]), ("WRONG_EPOCH", &epoch));
    }
    assert_field(&refused(&harness, Some(after("", 1)), None).await, "after.epoch");
}

/// A journal with every kind of result: 16 of them, four from requests.
async fn mixed(harness: &Harness) -> Vec<proto::Result> {
    let kinds = [(ALL, "all"), (HEM, "hem"), (REVIEW, "review"), (WEAK_ALL, "weak")];
    for (number, (patches, name)) in (0..).zip(kinds) {
        for slide in 1..=2 {
            let path = format!("slide-{slide}/UID_{number}_{slide}_1_{name}.bmp");
            harness.drop_capture(&path, &cell_of(patches, 10 * number + slide));
        }
        let request = proto::ClassifyRequest {
            image: cell_of(patches, 100 + number),
            specimen: "1".to_owned(),
            slide: "2".to_owned(),
            ..Default::default()
        };
        harness.classifier().classify(request).await.unwrap();
    }
    harness.drop_capture("slide-1/broken.bmp", b"no picture");
    harness.wait_results(13).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cells_of_these_tests_are_decided_as_they_say() {
    let harness = Harness::start().await;
    for (patches, decision, label) in [
        (ALL, Decision::All, "all"),
        (HEM, Decision::Hem, "hem"),
        (REVIEW, Decision::Review, "hem"),
        (WEAK_ALL, Decision::All, "all"),
    ] {
        let result = harness.classify(cell_of(patches, 1)).await;
        assert_eq!((result.decision(), result.label.as_str()), (decision, label), "{result:?}");
        if patches == WEAK_ALL {
            assert!((0.7..0.9).contains(&probability(&result, "all")), "{result:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_let_through_what_matches_and_heartbeats_move_the_cursor_past_the_rest() {
    let harness = Harness::start_with(|settings| {
        settings.rpc.heartbeat = Span::from_millis(50);
    })
    .await;
    type Matches = fn(&proto::Result) -> bool;
    let of_own_label = |result: &proto::Result| {
        result.decision() != Decision::Rejected && probability(result, &result.label) >= 0.9
    };
    let filters: Vec<(Filter, Matches, usize)> = vec![
        (Filter::default(), |_| true, 13),
        (Filter { specimen: "1".into(), ..Default::default() }, |r| r.specimen == "1", 6),
        (Filter { slide: "1".into(), ..Default::default() }, |r| r.slide == "1", 4),
        (Filter { label: "hem".into(), ..Default::default() }, |r| r.label == "hem", 6),
        (
            Filter {
                decisions: vec![Decision::Review.into(), Decision::Rejected.into()],
                ..Default::default()
            },
            |r| matches!(r.decision(), Decision::Review | Decision::Rejected),
            4,
        ),
        (
            Filter { path_glob: "slide-2/**".into(), ..Default::default() },
            |r| path_of(r).starts_with("slide-2/"),
            4,
        ),
        (
            Filter { path_glob: "*/UID_?_{1,9}_1_[ah]*.bmp".into(), ..Default::default() },
            |r| {
                path_of(r).starts_with("slide-1/")
                    && r.decision() != Decision::Rejected
                    && (path_of(r).contains("_all") || path_of(r).contains("_hem"))
            },
            2,
        ),
        (Filter { minimum_probability: 0.9, ..Default::default() }, of_own_label, 6),
        (
            Filter {
                specimen: "1".into(),
                label: "hem".into(),
                minimum_probability: 0.9,
                path_glob: "**/*.bmp".into(),
                ..Default::default()
            },
            |r| r.specimen == "1" && r.label == "hem" && !path_of(r).is_empty(),
            2,
        ),
        (Filter { specimen: "nobody".into(), ..Default::default() }, |_| false, 0),
    ];
    // Live from the beginning, and afterwards from the journal.
    let subscribe = async |filter: &Filter| {
        let request =
            proto::SubscribeRequest { start: Some(EARLIEST), filter: Some(filter.clone()) };
        harness.results().subscribe(request).await.unwrap().into_inner()
    };
    let mut live = Vec::new();
    for (filter, ..) in &filters {
        live.push(subscribe(filter).await);
    }
    let all = mixed(&harness).await;
    for ((filter, matches, count), mut live) in filters.into_iter().zip(live) {
        let expected: Vec<_> = all.iter().filter(|result| matches(result)).cloned().collect();
        assert_eq!(expected.len(), count, "{filter:?}");
        let mut stored = subscribe(&filter).await;
        for stream in [&mut live, &mut stored] {
            assert_eq!(up_to(stream, 13).await, expected, "{filter:?}");
        }
        // The same filter lists the same results.
        let request = proto::ListResultsRequest {
            filter: Some(filter.clone()),
            page_size: 1000,
            ..Default::default()
        };
        let listed = harness.results().list_results(request).await.unwrap().into_inner().results;
        // A stream does not tell how they stand.
        let plain = |result| proto::Result { standing: None, ..result };
        let listed: Vec<_> = listed.into_iter().map(plain).collect();
        assert_eq!(listed, expected, "{filter:?}");
    }
}

/// The results of a stream until a heartbeat says that everything up to `newest` was seen.
async fn up_to(stream: &mut Streaming<proto::Event>, newest: u64) -> Vec<proto::Result> {
    let seen_all = async {
        let mut results = Vec::new();
        let mut seen = 0;
        loop {
            match next(stream).await.kind.unwrap() {
                event::Kind::Hello(_) => {}
                event::Kind::Result(result) => {
                    seen = result.sequence;
                    results.push(result);
                }
                event::Kind::Heartbeat(heartbeat) => {
                    assert!(heartbeat.sequence >= seen && heartbeat.at.is_some());
                    seen = heartbeat.sequence;
                    if seen >= newest {
                        return results;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    };
    in_time("all results", seen_all).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_history_is_told_at_once() {
    let harness = Harness::start_with(|settings| {
        settings.rpc.heartbeat = Span::from_secs(3600);
    })
    .await;
    store(&harness, 0..5).await;
    let filter = Some(Filter { specimen: "nobody".into(), ..Default::default() });
    for filter in [None, filter] {
        let request = proto::SubscribeRequest { start: Some(EARLIEST), filter };
        let mut stream = harness.results().subscribe(request).await.unwrap().into_inner();
        up_to(&mut stream, 5).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_cannot_match_anything_is_refused_by_its_field() {
    let harness = Harness::start().await;
    for (filter, field) in [
        (Filter { label: "blast".into(), ..Default::default() }, "filter.label"),
        (Filter { decisions: vec![99], ..Default::default() }, "filter.decisions"),
        (Filter { path_glob: "a[".into(), ..Default::default() }, "filter.path_glob"),
        (Filter { path_glob: "x".repeat(513), ..Default::default() }, "filter.path_glob"),
        (Filter { minimum_probability: 1.5, ..Default::default() }, "filter.minimum_probability"),
        (
            Filter { minimum_probability: f64::NAN, ..Default::default() },
            "filter.minimum_probability",
        ),
    ] {
        assert_field(&refused(&harness, None, Some(filter)).await, field);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_takes_nothing_is_dropped_and_resumes_with_nothing_lost() {
    const COUNT: u64 = 150;
    let harness = Harness::start_with(|settings| {
        settings.rpc.subscriber_buffer = 4;
        settings.rpc.slow_after = Span::from_millis(300);
    })
    .await;
    let narrow = harness.narrow_channel(4096).await;
    let mut client = proto::results_client::ResultsClient::new(narrow);
    let request = proto::SubscribeRequest { start: Some(EARLIEST), filter: None };
    let mut slow = client.subscribe(request).await.unwrap().into_inner();
    let (hello, mut quick) = harness.subscribe(EARLIEST).await;
    store(&harness, 0..COUNT).await;
    // It holds up nobody else.
    let count = usize::try_from(COUNT).unwrap();
    assert_eq!(sequences(&mut quick, count).await, (1..=COUNT).collect::<Vec<_>>());
    // Some times as long as a reader may take nothing. It keeps its place until it reads or goes.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(harness.status().await.subscribers, 2);
    // What was on its way still comes; then the reason.
    let mut last = 0;
    let end = loop {
        let read = tokio::time::timeout(support::PATIENCE, slow.message()).await.unwrap();
        match read {
            Ok(Some(proto::Event { kind: Some(event::Kind::Result(result)) })) => {
                assert_eq!(result.sequence, last + 1);
                last = result.sequence;
            }
            Ok(Some(proto::Event {
                kind: Some(event::Kind::Hello(_) | event::Kind::Heartbeat(_)),
            })) => {}
            Ok(other) => panic!("{other:?}"),
            Err(status) => break status,
        }
    };
    assert_eq!(end.code(), Code::ResourceExhausted, "{end:?}");
    assert_eq!(reason(&end), "SLOW_READER");
    assert_retry(&end);
    assert!(last < COUNT, "this reader was never slow");
    drop(slow);
    until("the slow reader's place", async || {
        (harness.status().await.subscribers == 1).then_some(())
    })
    .await;
    let (_, mut resumed) = harness.subscribe(after(&hello.epoch, last)).await;
    let rest: Vec<u64> = (last + 1..=COUNT).collect();
    assert_eq!(sequences(&mut resumed, rest.len()).await, rest);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_more_subscribers_than_allowed_and_a_place_comes_back() {
    let harness = Harness::start_with(|settings| settings.rpc.max_subscribers = 2).await;
    let (_, first) = harness.subscribe(LATEST).await;
    let (_, mut second) = harness.subscribe(LATEST).await;
    assert_eq!(harness.status().await.subscribers, 2);
    let third = refused(&harness, None, None).await;
    assert_eq!(third.code(), Code::ResourceExhausted);
    assert_eq!(reason(&third), "TOO_MANY_SUBSCRIBERS");
    assert_retry(&third);
    drop(first);
    let request = proto::SubscribeRequest::default();
    let mut third = until("a place", async || {
        harness.results().subscribe(request.clone()).await.ok().map(tonic::Response::into_inner)
    })
    .await;
    assert!(matches!(next(&mut third).await.kind, Some(event::Kind::Hello(_))));
    store(&harness, 0..1).await;
    assert_eq!(sequences(&mut second, 1).await, [1]);
    assert_eq!(sequences(&mut third, 1).await, [1]);
}

/// Readers that begin anywhere and break off anywhere, while results are stored: each of them has
/// seen every result after its first start, once, in order.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_breaks_nothing_is_lost_doubled_or_out_of_order() {
    futures_util::future::join_all((0..4).map(one_journal_with_many_breaks)).await;
}

async fn one_journal_with_many_breaks(case: u64) {
    let total = 80 + 20 * case;
    let harness = Harness::start_with(|settings| {
        settings.rpc.heartbeat = Span::from_millis(60);
        settings.rpc.subscriber_buffer = if case.is_multiple_of(2) { 2 } else { 64 };
    })
    .await;
    let epoch = epoch(&harness).await;
    let writer = async {
        let mut dice = ChaCha8Rng::seed_from_u64(case);
        for seed in 0..total {
            let patches = if dice.random_range(0..3) == 0 { HEM } else { ALL };
            let image = cell_of(patches, seed);
            if dice.random_range(0..4) == 0 {
                harness.drop_capture(&format!("{seed}.bmp"), &image);
            } else {
                harness.classify(image).await;
            }
            if dice.random_range(0..8) == 0 {
                tokio::time::sleep(Duration::from_millis(dice.random_range(1..30))).await;
            }
        }
        harness.wait_results(usize::try_from(total).unwrap()).await
    };
    let readers = (0..6).map(|reader| {
        read_with_breaks(&harness, &epoch, total, reader % 2 == 1, (case << 8) | reader)
    });
    let readers = futures_util::future::join_all(readers);
    let both = async { tokio::join!(writer, readers) };
    let (all, readers) =
        tokio::time::timeout(support::PATIENCE, both).await.expect("everyone is done");
    for (began, only_hem, seen) in readers {
        let expected: Vec<_> = all
            .iter()
            .filter(|result| result.sequence > began && (!only_hem || result.label == "hem"))
            .map(|result| (result.sequence, result.result_id.clone()))
            .collect();
        assert_eq!(seen, expected, "case {case}, began after {began}");
    }
}

/// Where a reader first began, whether it has a filter, and what it saw.
async fn read_with_breaks(
    harness: &Harness,
    epoch: &str,
    total: u64,
    only_hem: bool,
    seed: u64,
) -> (u64, bool, Vec<(u64, String)>) {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let filter = only_hem.then(|| Filter { label: "hem".into(), ..Default::default() });
    let mut cursor = None;
    let mut began = 0;
    let mut seen = Vec::new();
    loop {
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..40))).await;
        let start = match cursor {
            None if dice.random() => LATEST,
            None => EARLIEST,
            Some(sequence) => after(epoch, sequence),
        };
        let is_latest = start == LATEST;
        let request = proto::SubscribeRequest { start: Some(start), filter: filter.clone() };
        let mut stream = harness.results().subscribe(request).await.unwrap().into_inner();
        for _ in 0..dice.random_range(1..25) {
            match next(&mut stream).await.kind.unwrap() {
                event::Kind::Hello(hello) => {
                    if cursor.is_none() && is_latest {
                        began = hello.newest;
                    }
                    cursor.get_or_insert(began);
                }
                event::Kind::Result(result) => {
                    cursor = Some(result.sequence);
                    seen.push((result.sequence, result.result_id));
                }
                event::Kind::Heartbeat(heartbeat) => {
                    assert!(Some(heartbeat.sequence) >= cursor);
                    cursor = Some(heartbeat.sequence);
                }
                other => panic!("{other:?}"),
            }
            if cursor == Some(total) {
                return (began, only_hem, seen);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_subscriptions_with_unavailable() {
    let harness = Harness::start().await;
    let (_, mut stream) = harness.subscribe(LATEST).await;
    let drained = harness.drain(Duration::from_secs(10)).await;
    assert!(drained.clean, "an open subscription kept the daemon from ending by itself");
    let end = support::end(&mut stream).await;
    assert_eq!(end.code(), Code::Unavailable, "{end:?}");
    assert_eq!(reason(&end), "STOPPING");
    assert_retry(&end);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_streams_on_one_connection_leave_room_for_short_calls() {
    let harness = Harness::start().await;
    let mut open = Vec::new();
    let refused = loop {
        let request = proto::SubscribeRequest { start: Some(EARLIEST), filter: None };
        let mut client = harness.results();
        match in_time("a stream or a refusal", client.subscribe(request)).await {
            Ok(stream) => open.push(stream),
            Err(status) => break status,
        }
        assert!(open.len() < 128, "the next call would wait without a word");
    };
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(reason(&refused), "TOO_MANY_ON_CONNECTION");
    assert_eq!(open.len(), 112);
    in_time("a short call", harness.status()).await;
    open.pop();
    let request = proto::SubscribeRequest { start: Some(EARLIEST), filter: None };
    until("the place that became free", async || {
        harness.results().subscribe(request.clone()).await.ok()
    })
    .await;
}
