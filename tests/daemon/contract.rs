//! The contract's other promises: Classify and its stream, listings, look-ups, health, reflection.

use crate::support;
use std::time::{Duration, Instant};

use crate::support::refusal::{assert_field, assert_retry, info, item, reason};
use crate::support::{
    ALL, Folders, HEM, Harness, REVIEW, assert_gapless, cell_of, in_time, path_of, until,
};
use leukd::config::units::Span;
use leukd::grpc::proto::classify_stream_response::Outcome;
use leukd::grpc::proto::get_result_request::By;
use leukd::grpc::proto::{self, Decision, Filter};
use leukd::model::testing;
use leukd::result::{Digest, RESEARCH_USE_ONLY};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

fn request(image: Vec<u8>) -> proto::ClassifyRequest {
    proto::ClassifyRequest { image, ..Default::default() }
}

async fn refused(harness: &Harness, request: proto::ClassifyRequest) -> Status {
    let call = harness.classifier();
    let answer = tokio::time::timeout(support::PATIENCE, async move {
        let mut call = call;
        call.classify(request).await
    });
    answer.await.expect("an answer in time").expect_err("a refusal")
}

async fn by_sequence(harness: &Harness, sequence: u64) -> Result<proto::Result, Status> {
    get(harness, By::Sequence(sequence)).await
}

async fn get(harness: &Harness, by: By) -> Result<proto::Result, Status> {
    let request = proto::GetResultRequest { by: Some(by) };
    let answer = harness.results().get_result(request).await?;
    let result = answer.into_inner().result.unwrap();
    assert!(result.standing.is_some(), "how it stands is told");
    // Classify and streams do not tell it.
    Ok(proto::Result { standing: None, ..result })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_classified_image_is_durable_before_it_is_answered() {
    let harness = Harness::start().await;
    for seed in 0..20 {
        let sent = proto::ClassifyRequest {
            image: cell_of(ALL, seed),
            specimen: "S-1".to_owned(),
            slide: "7".to_owned(),
            cell: seed.to_string(),
            request_id: format!("order {seed}"),
            heat_map: false,
        };
        let answer = harness.classifier().classify(sent.clone()).await.unwrap().into_inner();
        let result = answer.result.unwrap();
        assert!(!answer.reused);
        assert_eq!(by_sequence(&harness, seed + 1).await.unwrap(), result);
        assert_eq!(
            (&result.specimen, &result.slide, &result.cell),
            (&sent.specimen, &sent.slide, &sent.cell)
        );
        let capture = result.capture.unwrap();
        assert_eq!(capture.sha256, Digest::of(&sent.image).to_string());
        assert_eq!(capture.size_bytes, sent.image.len() as u64);
        assert_eq!(capture.kind(), proto::capture::Kind::Cell);
        let Some(proto::source::Kind::Rpc(source)) = capture.source.unwrap().kind else {
            panic!("the source is no request")
        };
        assert_eq!(source.request_id, sent.request_id);
        assert!(source.peer.starts_with("127.0.0.1:"), "{}", source.peer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_answered_with_the_stored_result() {
    let harness = Harness::start().await;
    let sent = proto::ClassifyRequest {
        image: cell_of(HEM, 1),
        specimen: "S".to_owned(),
        slide: "1".to_owned(),
        cell: "c".to_owned(),
        request_id: "first".to_owned(),
        heat_map: false,
    };
    let first = harness.classifier().classify(sent.clone()).await.unwrap().into_inner();
    assert!(!first.reused);
    for request_id in ["first", "again"] {
        let again = proto::ClassifyRequest { request_id: request_id.to_owned(), ..sent.clone() };
        let again = harness.classifier().classify(again).await.unwrap().into_inner();
        assert!(again.reused);
        assert_eq!(again.result, first.result);
    }
    // Each other id makes another cell of it.
    type Change = fn(&mut proto::ClassifyRequest);
    let changes: [Change; 3] = [
        |request| request.specimen = "T".to_owned(),
        |request| request.slide = "2".to_owned(),
        |request| request.cell = String::new(),
    ];
    for (sequence, change) in (2..).zip(changes) {
        let mut other = sent.clone();
        change(&mut other);
        let other = harness.classifier().classify(other).await.unwrap().into_inner();
        assert!(!other.reused);
        assert_eq!(other.result.unwrap().sequence, sequence);
    }
    // And it is remembered across a restart.
    let folders = harness.stop().await;
    let harness = Harness::start_on(folders, |_| {}).await;
    let again = harness.classifier().classify(sent).await.unwrap().into_inner();
    assert!(again.reused);
    assert_eq!(again.result, first.result);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_many_times_at_once_counts_one_cell() {
    let harness = Harness::start().await;
    let calls = (0..16).map(|_| {
        let mut client = harness.classifier();
        async move { client.classify(request(cell_of(ALL, 5))).await.unwrap().into_inner() }
    });
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| !answer.reused).count(), 1);
    assert!(answers.iter().all(|answer| answer.result == answers[0].result));
    // A stream is no other way in.
    let streamed = harness.classify_all(vec![cell_of(ALL, 5), cell_of(ALL, 6), cell_of(ALL, 6)]);
    let reused: Vec<_> = streamed
        .await
        .into_iter()
        .map(|answer| match answer.outcome.unwrap() {
            Outcome::Classified(answer) => (answer.result.unwrap().sequence, answer.reused),
            Outcome::Error(error) => panic!("{error:?}"),
        })
        .collect();
    assert_eq!(reused[0], (1, true));
    assert_eq!((reused[1].0, reused[2].0), (2, 2));
    assert!(reused[1].1 != reused[2].1, "just one of them is new: {reused:?}");
    assert_eq!(harness.all_results().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_beyond_the_limit_is_refused_however_large_it_is() {
    let harness = Harness::start().await;
    let limit = harness.status().await.max_image_bytes;
    assert_eq!(limit, 16 << 20);
    let limit = usize::try_from(limit).unwrap();
    // One byte; as much as the ids may take; beyond what the transport takes; far beyond.
    for beyond in [1, 60 << 10, 70 << 10, 1 << 20, 40 << 20] {
        let status = refused(&harness, request(vec![0; limit + beyond])).await;
        assert_eq!(status.code(), Code::ResourceExhausted, "{beyond} beyond: {status:?}");
        let (reason, metadata) = info(&status);
        assert_eq!(reason, "IMAGE_TOO_LARGE");
        assert_eq!(metadata["max_image_bytes"], limit.to_string());
        assert!(status.message().contains("max_image_bytes"), "{}", status.message());
    }
    // At the limit it is looked at.
    let status = refused(&harness, request(vec![0; limit])).await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    // The daemon has taken no harm.
    assert_eq!(harness.classify(cell_of(ALL, 1)).await.sequence, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_beyond_the_limit_in_a_stream_is_told_as_such() {
    let harness = Harness::start_with(|settings| {
        settings.rpc.max_image_bytes = leukd::config::units::Bytes::mib(1);
    })
    .await;
    // A little beyond: an item among others.
    let just = vec![request(cell_of(ALL, 1)), request(vec![0; (1 << 20) + 1])];
    let just = [just, vec![request(cell_of(ALL, 2))]].concat();
    let answers = harness.classify_requests(just).await.unwrap();
    assert_eq!(answers.len(), 3);
    let error = item(&answers[1]).unwrap();
    assert_eq!((error.code, error.reason.as_str()), (8, "IMAGE_TOO_LARGE"));
    // Far beyond: its bytes are not even read, so the stream cannot go on; its end says why.
    let far = vec![request(cell_of(ALL, 3)), request(vec![0; 8 << 20])];
    let status = harness.classify_requests(far).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert_eq!(reason(&status), "IMAGE_TOO_LARGE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_image_is_refused_with_its_reason_and_nothing_is_stored() {
    let harness = Harness::start().await;
    let whole = cell_of(ALL, 1);
    let mut huge = whole.clone();
    huge[18..22].copy_from_slice(&20_000_i32.to_le_bytes());
    huge[22..26].copy_from_slice(&20_000_i32.to_le_bytes());
    for (image, expected) in [
        (b"no picture at all".to_vec(), "not-an-image"),
        (whole[..whole.len() - 10].to_vec(), "truncated"),
        (huge, "too-large"),
    ] {
        let status = refused(&harness, request(image)).await;
        assert_field(&status, "image");
        assert_eq!(reason(&status), expected);
    }
    assert_field(&refused(&harness, request(Vec::new())).await, "image");
    assert!(harness.all_results().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_too_long_is_refused_by_its_field() {
    let harness = Harness::start().await;
    let long = || "é".repeat(129);
    let good = request(cell_of(ALL, 1));
    for (bad, field) in [
        (proto::ClassifyRequest { specimen: long(), ..good.clone() }, "specimen"),
        (proto::ClassifyRequest { slide: long(), ..good.clone() }, "slide"),
        (proto::ClassifyRequest { cell: long(), ..good.clone() }, "cell"),
        (proto::ClassifyRequest { request_id: long(), ..good.clone() }, "request_id"),
    ] {
        assert_field(&refused(&harness, bad).await, field);
    }
    let longest = proto::ClassifyRequest { specimen: "é".repeat(128), ..good };
    harness.classifier().classify(longest).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_answers_in_order_and_goes_on_after_a_bad_image() {
    let harness = Harness::start().await;
    let requests = (0..200_u64)
        .map(|index| proto::ClassifyRequest {
            image: match index {
                77 => b"no picture".to_vec(),
                78 => Vec::new(),
                _ => cell_of(if index % 3 == 0 { HEM } else { ALL }, index),
            },
            specimen: if index == 79 { "x".repeat(257) } else { String::new() },
            request_id: format!("r{index}"),
            ..Default::default()
        })
        .collect();
    let answers = harness.classify_requests(requests).await.unwrap();
    assert_eq!(answers.len(), 200);
    for (index, answer) in (0_u64..).zip(&answers) {
        assert_eq!((answer.index, &answer.request_id), (index, &format!("r{index}")));
        match answer.outcome.as_ref().unwrap() {
            Outcome::Error(error) => {
                assert!((77..=79).contains(&index), "{index}: {error:?}");
                assert_eq!(error.code, i32::from(Code::InvalidArgument));
                assert!(!error.message.is_empty());
            }
            Outcome::Classified(classified) => {
                let result = classified.result.as_ref().unwrap();
                let expected = if index % 3 == 0 { "hem" } else { "all" };
                assert_eq!(result.label, expected, "{index}");
            }
        }
    }
    assert_eq!(item(&answers[77]).unwrap().reason, "not-an-image");
    let results = harness.all_results().await;
    assert_eq!(results.len(), 197);
    assert_gapless(&results);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_gives_every_matching_result_once_page_by_page() {
    let harness = Harness::start().await;
    let images = (0..25).map(|seed| cell_of(if seed % 2 == 0 { ALL } else { HEM }, seed));
    harness.classify_all(images.collect()).await;
    let all: Vec<_> = harness.all_results().await;
    let hem = Filter { label: "hem".to_owned(), ..Default::default() };
    for (filter, newest_first) in
        [(None, false), (None, true), (Some(hem.clone()), false), (Some(hem.clone()), true)]
    {
        let mut expected: Vec<_> = all
            .iter()
            .filter(|result| filter.is_none() || result.label == "hem")
            .map(|result| result.sequence)
            .collect();
        if newest_first {
            expected.reverse();
        }
        for page_size in [1, 5, 7, 1000] {
            let mut listed = Vec::new();
            let mut page_token = String::new();
            loop {
                let page = proto::ListResultsRequest {
                    filter: filter.clone(),
                    page_size,
                    page_token,
                    newest_first,
                    ..Default::default()
                };
                let page = harness.results().list_results(page).await.unwrap().into_inner();
                assert!(page.results.len() <= page_size as usize);
                listed.extend(page.results.iter().map(|result| result.sequence));
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            assert_eq!(listed, expected, "{page_size} a page, newest first: {newest_first}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_of_another_listing_and_a_page_too_large_are_refused() {
    let harness = Harness::start().await;
    harness.classify_all((0..5).map(|seed| cell_of(ALL, seed)).collect()).await;
    let list = async |page: proto::ListResultsRequest| {
        harness.results().list_results(page).await.map(tonic::Response::into_inner)
    };
    let first = proto::ListResultsRequest { page_size: 2, ..Default::default() };
    let page_token = list(first.clone()).await.unwrap().next_page_token;
    assert!(!page_token.is_empty());
    let with = |change: fn(&mut proto::ListResultsRequest)| {
        let mut page =
            proto::ListResultsRequest { page_token: page_token.clone(), ..first.clone() };
        change(&mut page);
        page
    };
    for foreign in [
        with(|page| page.newest_first = true),
        with(|page| page.filter = Some(Filter { slide: "1".to_owned(), ..Default::default() })),
        with(|page| page.page_token = "garbage".to_owned()),
        with(|page| page.page_token.push('A')),
    ] {
        assert_field(&list(foreign).await.unwrap_err(), "page_token");
    }
    // Another size of page is the same listing.
    assert_eq!(list(with(|page| page.page_size = 1000)).await.unwrap().results.len(), 3);
    assert_field(&list(with(|page| page.page_size = 1001)).await.unwrap_err(), "page_size");
    // Another journal's token is refused too.
    let other = Harness::start().await;
    let foreign = with(|_| {});
    let foreign = other.results().list_results(foreign).await.unwrap_err();
    assert_field(&foreign, "page_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_result_is_found_by_sequence_by_id_and_by_path() {
    let harness = Harness::start().await;
    harness.classify(cell_of(ALL, 1)).await;
    harness.drop_capture("slide/a.bmp", &cell_of(HEM, 2));
    let results = harness.wait_results(2).await;
    let folder = harness.export().to_str().unwrap().to_owned();
    let path = |path: &str| {
        By::Path(proto::FolderSource { folder: folder.clone(), path: path.to_owned() })
    };
    assert_eq!(by_sequence(&harness, 2).await.unwrap(), results[1]);
    let id = By::ResultId(results[1].result_id.clone());
    assert_eq!(get(&harness, id).await.unwrap(), results[1]);
    assert_eq!(get(&harness, path("slide/a.bmp")).await.unwrap(), results[1]);
    for nothing in [
        By::Sequence(0),
        By::Sequence(3),
        By::Sequence(u64::MAX),
        By::ResultId("00000000-0000-7000-8000-000000000000".to_owned()),
        By::ResultId(String::new()),
        path("slide/b.bmp"),
        path("../a.bmp"),
    ] {
        let status = get(&harness, nothing.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound, "{nothing:?}");
        assert_eq!(reason(&status), "NO_RESULT");
    }
    let nothing = proto::GetResultRequest { by: None };
    assert_field(&harness.results().get_result(nothing).await.unwrap_err(), "by");
    let long = By::ResultId("x".repeat(5000));
    assert_field(&get(&harness, long).await.unwrap_err(), "result_id");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_specimen_is_counted_with_its_interval_and_without_what_was_superseded() {
    let harness = Harness::start().await;
    for (cell, patches) in [(1, ALL), (2, ALL), (3, ALL), (4, HEM), (5, HEM), (6, REVIEW)] {
        let slide = 1 + cell % 2;
        harness.drop_capture(&format!("UID_H9_{slide}_{cell}_x.bmp"), &cell_of(patches, cell));
    }
    harness.drop_capture("UID_H9_1_7_x.bmp", b"no picture");
    harness.drop_capture("UID_8_1_1_x.bmp", &cell_of(ALL, 100));
    harness.wait_results(8).await;
    let count = async |specimen: &str| {
        let request = proto::GetSpecimenRequest { specimen: specimen.to_owned(), slide: None };
        harness.results().get_specimen(request).await.map(tonic::Response::into_inner)
    };
    let counts = count("H9").await.unwrap();
    assert_eq!((counts.all, counts.hem, counts.review, counts.rejected), (3, 2, 1, 1));
    assert_eq!(counts.as_of_sequence, 8);
    let mut slides = counts.slides;
    slides.sort_unstable();
    assert_eq!(slides, ["1", "2"]);
    // 3 of 5, by Wilson's formula, worked out by hand.
    let fraction = counts.blast_fraction.unwrap();
    let near = |one: f64, other: f64| (one - other).abs() < 1e-4;
    assert!(near(fraction.value, 0.6) && near(fraction.lower, 0.2307), "{fraction:?}");
    assert!(near(fraction.upper, 0.8824), "{fraction:?}");
    // A blast's file comes back as a normal cell, and the rejected one comes back whole.
    harness.drop_capture("UID_H9_2_1_x.bmp", &cell_of(HEM, 50));
    harness.drop_capture("UID_H9_1_7_x.bmp", &cell_of(HEM, 51));
    harness.wait_results(10).await;
    let counts = count("H9").await.unwrap();
    assert_eq!((counts.all, counts.hem, counts.review, counts.rejected), (2, 4, 1, 0));
    assert_eq!(counts.as_of_sequence, 10);
    let unknown = count("H10").await.unwrap_err();
    assert_eq!((unknown.code(), reason(&unknown).as_str()), (Code::NotFound, "NO_SPECIMEN"));
    assert_field(&count("").await.unwrap_err(), "specimen");
    // No cell decided: no fraction, instead of one of nothing.
    let review = proto::ClassifyRequest { specimen: "R".to_owned(), ..request(cell_of(REVIEW, 1)) };
    harness.classifier().classify(review).await.unwrap();
    assert!(count("R").await.unwrap().blast_fraction.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_and_the_status_tell_what_serves_and_what_is_stored() {
    let harness = Harness::start().await;
    harness.drop_capture("a.bmp", &cell_of(ALL, 1));
    harness.drop_capture("b.bmp", &cell_of(ALL, 1));
    harness.drop_capture("c.bmp", b"no picture");
    harness.drop_capture("notes.txt", b"words");
    harness.wait_results(2).await;
    let model = harness.control().get_model(proto::GetModelRequest {}).await.unwrap();
    let model = model.into_inner().model.unwrap();
    let file = harness.folders.models.join("tiny.onnx");
    assert_eq!(model.id, "tiny");
    assert_eq!(model.digest, Digest::of(&std::fs::read(&file).unwrap()).to_string());
    assert_eq!(model.origin, file.to_str().unwrap());
    assert_eq!(model.labels, ["all", "hem"]);
    assert_eq!((model.input_size, model.precision.as_str()), (testing::TINY_SIZE, "f32"));
    assert_eq!(model.standardise, "", "this one standardises nothing");
    assert!((model.review_lower, model.threshold, model.review_upper) == (0.4, 0.5, 0.6));
    assert_eq!(model.notice, RESEARCH_USE_ONLY);
    let status = harness.status().await;
    assert!(model.serving_since.unwrap().seconds >= status.started_at.unwrap().seconds);
    assert_eq!(status.model, Some(model));
    assert_eq!(status.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(status.notice, RESEARCH_USE_ONLY);
    assert!(status.degraded.is_empty() && status.time_to_serving.is_some());
    let folder = &status.folders[0];
    assert_eq!(folder.folder, harness.export().to_str().unwrap());
    assert!(folder.reachable && folder.oldest_waiting.is_none());
    assert_eq!((folder.done, folder.duplicates), (1, 1));
    assert_eq!((folder.rejected, folder.ignored), (1, 1));
    let journal = status.journal.unwrap();
    assert_eq!((journal.oldest, journal.newest), (1, 2));
    assert!(journal.size_bytes > 0 && journal.disk_free_bytes > 0);
    assert_eq!(status.queues.unwrap().workers, 2);
}

async fn health(channel: &Channel, service: &str) -> Result<ServingStatus, Status> {
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::new(channel.clone()).check(request).await?;
    Ok(answer.into_inner().status())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_model_results_are_read_and_a_reload_brings_the_rest() {
    let folders = Folders::new();
    let bundle = folders.models.join("later.onnx");
    folders.drop_capture("waiting.bmp", &cell_of(HEM, 7));
    let harness = Harness::start_unready(folders, |settings| {
        settings.model.bundle = Some(bundle.clone());
        settings.model.allow_unsigned.push("later.onnx".to_owned());
    })
    .await;
    let channel = harness.channel();
    // First it says that the model is being loaded, then why it was not.
    until("the model's degradation", async || {
        let mut degraded = harness.status().await.degraded.into_iter();
        degraded.find(|what| what.component == "model" && what.message.contains("later.onnx"))
    })
    .await;
    for (service, expected) in [
        ("", ServingStatus::NotServing),
        ("leukd.v1.Classifier", ServingStatus::NotServing),
        ("leukd.v1.Results", ServingStatus::Serving),
        ("leukd.v1.Reviews", ServingStatus::Serving),
        ("leukd.v1.Control", ServingStatus::Serving),
    ] {
        assert_eq!(health(&channel, service).await.unwrap(), expected, "{service:?}");
    }
    let unknown = health(&channel, "leukd.v1.Nothing").await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    // What needs a model says so; what needs none answers.
    let status = refused(&harness, request(cell_of(ALL, 1))).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "NO_MODEL"));
    assert_retry(&status);
    let status = harness.control().get_model(proto::GetModelRequest {}).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "NO_MODEL"));
    let items = harness.classify_all(vec![cell_of(ALL, 1)]).await;
    assert_eq!(item(&items[0]).unwrap().reason, "NO_MODEL");
    let (hello, _stream) = harness.subscribe(proto::subscribe_request::Start::Earliest(())).await;
    assert!(hello.model.is_none());
    assert!(harness.all_results().await.is_empty(), "a capture waits for a model on disk");
    let reload = || proto::ReloadModelRequest { file: String::new() };
    let status = harness.control().reload_model(reload()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "NO_BUNDLE"));

    let request = HealthCheckRequest { service: "leukd.v1.Classifier".to_owned() };
    let mut watch = HealthClient::new(channel.clone()).watch(request).await.unwrap().into_inner();
    assert_eq!(
        in_time("health", watch.message()).await.unwrap().unwrap().status(),
        ServingStatus::NotServing
    );
    std::fs::write(&bundle, testing::tiny_bundle("later", 3)).unwrap();
    let reloaded = harness.control().reload_model(reload()).await.unwrap().into_inner();
    assert_eq!(reloaded.model.unwrap().id, "later");
    assert_eq!(reloaded.previous_digest, "");
    let change = tokio::time::timeout(support::PATIENCE, watch.message()).await;
    assert_eq!(change.unwrap().unwrap().unwrap().status(), ServingStatus::Serving);
    until("health", async || {
        (health(&channel, "").await.unwrap() == ServingStatus::Serving).then_some(())
    })
    .await;
    assert!(harness.status().await.degraded.is_empty());
    let results = harness.wait_results(1).await;
    assert_eq!(path_of(&results[0]), "waiting.bmp");
    assert_eq!(results[0].decision(), Decision::Hem);
    harness.classify(cell_of(ALL, 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_seen_by_who_watches_health_and_is_not_held_up_by_it() {
    let harness = Harness::start().await;
    let request = HealthCheckRequest { service: "leukd.v1.Results".to_owned() };
    let watch = HealthClient::new(harness.channel()).watch(request).await;
    let mut watch = watch.unwrap().into_inner();
    assert_eq!(
        in_time("health", watch.message()).await.unwrap().unwrap().status(),
        ServingStatus::Serving
    );
    let began = Instant::now();
    let drained = harness.drain(Duration::from_secs(8)).await;
    assert!(drained.clean && began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    let change = in_time("a change", watch.message()).await;
    assert!(
        matches!(&change, Ok(Some(change)) if change.status() == ServingStatus::NotServing),
        "{change:?}"
    );
}

const SERVICES: [&str; 6] = [
    "grpc.health.v1.Health",
    "leukd.v1.Classifier",
    "leukd.v1.Control",
    "leukd.v1.Explainer",
    "leukd.v1.Results",
    "leukd.v1.Reviews",
];

/// The two versions of the protocol have the same messages under two names.
macro_rules! reflects {
    ($test:ident, $version:ident) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
            use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
            use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;
            use tonic_reflection::pb::$version::ServerReflectionRequest;

            let harness = Harness::start().await;
            let ask = async |what: MessageRequest| {
                let request = ServerReflectionRequest {
                    host: String::new(),
                    message_request: Some(what),
                };
                let mut answers = ServerReflectionClient::new(harness.channel())
                    .server_reflection_info(tokio_stream::once(request))
                    .await
                    .unwrap()
                    .into_inner();
                in_time("an answer", answers.message()).await.unwrap().unwrap().message_response.unwrap()
            };
            let listed = ask(MessageRequest::ListServices(String::new())).await;
            let MessageResponse::ListServicesResponse(listed) = listed else {
                panic!("{listed:?}")
            };
            let mut names: Vec<_> = listed.service.iter().map(|one| one.name.as_str()).collect();
            names.sort_unstable();
            let others = names.iter().filter(|name| !SERVICES.contains(name));
            assert!(others.clone().all(|name| name.starts_with("grpc.reflection.")), "{names:?}");
            assert!(SERVICES.iter().all(|name| names.contains(name)), "{names:?}");
            for service in SERVICES {
                let file = ask(MessageRequest::FileContainingSymbol(service.to_owned())).await;
                assert!(
                    matches!(&file, MessageResponse::FileDescriptorResponse(file)
                        if !file.file_descriptor_proto.is_empty()),
                    "{service}: {file:?}"
                );
            }
        }
    };
}

reflects!(reflection_v1_lists_the_services_and_their_files, v1);
reflects!(reflection_v1alpha_lists_the_services_and_their_files, v1alpha);

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_soon_while_a_thousand_captures_wait() {
    const CAPTURES: u64 = 1000;
    let folders = Folders::new();
    for index in 0..CAPTURES {
        folders.drop_capture(&format!("UID_1_{index}_1_x.bmp"), &cell_of(HEM, index));
    }
    let harness = Harness::start_on(folders, |settings| settings.workers.threads = 1).await;
    until("work", async || (harness.status().await.journal.unwrap().newest > 10).then_some(()))
        .await;
    let mut answered = 0_u64;
    let mut slowest = Duration::ZERO;
    loop {
        let began = Instant::now();
        harness.classify(cell_of(ALL, 1_000_000 + answered)).await;
        slowest = slowest.max(began.elapsed());
        answered += 1;
        let left = CAPTURES + answered - harness.status().await.journal.unwrap().newest;
        if left < 50 || answered == 50 {
            break;
        }
    }
    assert!(answered >= 3, "the captures were done before a request could pass them");
    assert!(slowest < Duration::from_secs(2), "a request took {slowest:?}");
    let count = usize::try_from(CAPTURES + answered).unwrap();
    let results = harness.wait_results(count).await;
    assert_gapless(&results);
    assert!(results.iter().all(|result| result.decision() != Decision::Rejected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_client_takes_no_answers_ends_as_a_subscription_does() {
    let harness = Harness::start_with(|settings| {
        settings.rpc.slow_after = Span::from_millis(300);
    })
    .await;
    let narrow = harness.narrow_channel(1024).await;
    let mut client = proto::classifier_client::ClassifierClient::new(narrow);
    let images = (0..200)
        .map(|seed| proto::ClassifyRequest { image: cell_of(ALL, seed), ..Default::default() });
    let mut answers =
        client.classify_stream(tokio_stream::iter(images)).await.unwrap().into_inner();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let mut answered = 0;
    let end = loop {
        match in_time("the end", answers.message()).await {
            Ok(Some(_)) => answered += 1,
            Ok(None) => panic!("all {answered} were answered"),
            Err(status) => break status,
        }
    };
    assert_eq!((end.code(), reason(&end).as_str()), (Code::ResourceExhausted, "SLOW_READER"));
    assert!(answered < 200, "this client was never slow");
    // What was answered is stored, and a retry of the rest counts none of them twice.
    let all: Vec<_> = (0..200).map(|seed| cell_of(ALL, seed)).collect();
    assert_eq!(harness.classify_all(all).await.len(), 200);
    assert_eq!(harness.all_results().await.len(), 200);
}
