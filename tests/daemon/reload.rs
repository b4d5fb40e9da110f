//! ReloadModel: the good bundle takes over, a bad one changes nothing, and no capture is lost by
//! either.

use crate::support;
use std::path::Path;
use std::time::Duration;

use crate::support::refusal::{assert_field, assert_retry, info, reason};
use crate::support::{ALL, HEM, Harness, assert_gapless, cell_of, path_of};
use leukd::grpc::proto::{self, Decision};
use leukd::model::testing;
use leukd::result::Digest;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

async fn reload(harness: &Harness, file: &str) -> Result<proto::ReloadModelResponse, Status> {
    let request = proto::ReloadModelRequest { file: file.to_owned() };
    let mut client = harness.control();
    let answer = tokio::time::timeout(support::PATIENCE, client.reload_model(request));
    answer.await.expect("an answer in time").map(tonic::Response::into_inner)
}

/// Writes a bundle of the model folder and gives its digest.
fn write(harness: &Harness, file: &str, bytes: &[u8]) -> String {
    std::fs::write(harness.folders.models.join(file), bytes).unwrap();
    Digest::of(bytes).to_string()
}

async fn serving(harness: &Harness) -> String {
    let model = harness.control().get_model(proto::GetModelRequest {}).await.unwrap();
    model.into_inner().model.unwrap().digest
}

fn digest(result: &proto::Result) -> &str {
    &result.model.as_ref().unwrap().digest
}

/// What the load left: captures dropped and requests answered.
struct Load {
    captures: usize,
    answers: Vec<proto::Result>,
}

/// Captures and requests, both at once, until `stop`.
async fn load(harness: &Harness, stop: &CancellationToken) -> Load {
    let mut load = Load { captures: 0, answers: Vec::new() };
    while !stop.is_cancelled() {
        for _ in 0..5 {
            let seed = load.captures as u64;
            let patches = if seed.is_multiple_of(2) { ALL } else { HEM };
            harness.drop_capture(&format!("{seed}.bmp"), &cell_of(patches, seed));
            load.captures += 1;
        }
        let seed = 1_000_000 + load.answers.len() as u64;
        load.answers.push(harness.classify(cell_of(ALL, seed)).await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    load
}

/// Runs `work` under load, which gives the requests that it had answered itself, and makes sure
/// that each capture and request then has just one result, none rejected.
async fn under_load(
    harness: &Harness,
    work: impl Future<Output = Vec<proto::Result>>,
) -> Vec<proto::Result> {
    let stop = CancellationToken::new();
    let work = async {
        let answers = work.await;
        stop.cancel();
        answers
    };
    let (mut load, answers) = tokio::join!(load(harness, &stop), work);
    load.answers.extend(answers);
    let results = harness.wait_results(load.captures + load.answers.len()).await;
    assert_gapless(&results);
    let mut paths: Vec<_> = results.iter().map(path_of).filter(|path| !path.is_empty()).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), load.captures);
    for answer in &load.answers {
        assert!(results.contains(answer), "{answer:?}");
    }
    for result in &results {
        let expected = match path_of(result).trim_end_matches(".bmp").parse::<u64>() {
            Ok(seed) if !seed.is_multiple_of(2) => Decision::Hem,
            _ => Decision::All,
        };
        assert_eq!(result.decision(), expected, "{result:?}");
    }
    results
}

/// Long enough for the load to be felt before and after.
async fn a_while() {
    tokio::time::sleep(Duration::from_millis(150)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_bundle_takes_over_under_load_and_nothing_is_lost() {
    let harness = Harness::start().await;
    let before = serving(&harness).await;
    let after = write(&harness, "next.onnx", &testing::tiny_bundle("next", 2));
    assert_ne!(before, after);
    let results = under_load(&harness, async {
        a_while().await;
        let reloaded = reload(&harness, "next.onnx").await.unwrap();
        let model = reloaded.model.unwrap();
        assert_eq!((model.id.as_str(), &model.digest), ("next", &after));
        assert_eq!(model.origin, harness.folders.models.join("next.onnx").to_str().unwrap());
        assert_eq!(reloaded.previous_digest, before);
        assert!(reloaded.took.is_some());
        assert_eq!(serving(&harness).await, after);
        let first = harness.classify(cell_of(ALL, 2_000_000)).await;
        assert_eq!(digest(&first), after, "a reload is answered before its model serves");
        a_while().await;
        vec![first]
    })
    .await;
    assert_eq!(digest(&results[0]), before);
    assert_eq!(digest(results.last().unwrap()), after);
    for result in &results {
        let id = if digest(result) == before { "tiny" } else { "next" };
        assert_eq!(result.model.as_ref().unwrap().id, id);
        assert!(digest(result) == before || digest(result) == after);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_bundles_are_refused_under_load_and_the_model_before_goes_on() {
    let harness = Harness::start().await;
    let before = serving(&harness).await;
    let good = testing::tiny_bundle("good", 4);
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle..middle + 64].fill(0xff);
    let bad = [
        ("golden.onnx", testing::golden_failing_bundle("golden", 4)),
        ("half.onnx", good[..good.len() / 2].to_vec()),
        ("flipped.onnx", flipped),
        ("empty.onnx", Vec::new()),
        ("words.onnx", b"this is no bundle at all".to_vec()),
    ];
    for (file, bytes) in &bad {
        write(&harness, file, bytes);
    }
    let results = under_load(&harness, async {
        a_while().await;
        for (file, _) in &bad {
            let status = reload(&harness, file).await.unwrap_err();
            assert_eq!(status.code(), Code::FailedPrecondition, "{file}: {status:?}");
            let (reason, metadata) = info(&status);
            assert_eq!(reason, "BAD_BUNDLE", "{file}");
            assert!(!metadata["reason"].is_empty());
            assert!(metadata["reason"].contains(file), "{metadata:?}");
            assert_eq!(serving(&harness).await, before, "{file}");
        }
        let status = reload(&harness, "golden.onnx").await.unwrap_err();
        assert!(info(&status).1["reason"].contains("golden input"), "{status:?}");
        a_while().await;
        Vec::new()
    })
    .await;
    assert!(results.iter().all(|result| digest(result) == before));
    assert!(
        harness.status().await.degraded.is_empty(),
        "the model before serves: nothing is degraded"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_outside_the_model_folder_or_of_no_name_is_refused() {
    let harness = Harness::start().await;
    let before = serving(&harness).await;
    let bundle = testing::tiny_bundle("outside", 5);
    let outside = harness.folders.root.path().join("outside.onnx");
    std::fs::write(&outside, &bundle).unwrap();
    std::fs::create_dir(harness.folders.models.join("deeper")).unwrap();
    write(&harness, "deeper/inside.onnx", &bundle);
    let missing = Path::new("/nowhere/tiny.onnx");
    for file in [
        "../outside.onnx",
        "deeper/../../outside.onnx",
        "deeper/inside.onnx",
        "..",
        ".",
        "tiny.onnx/",
        "tiny.onnx\0",
        outside.to_str().unwrap(),
        missing.to_str().unwrap(),
    ] {
        let status = reload(&harness, file).await;
        match status {
            Err(status) => assert_field(&status, "file"),
            // The same file by another spelling would be no way out.
            Ok(_) => assert_eq!(file, "tiny.onnx/"),
        }
        assert_eq!(serving(&harness).await, before, "{file:?}");
    }
    let status = reload(&harness, "missing.onnx").await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "NO_BUNDLE"));
    // A folder or a pipe with a bundle's name is no bundle, and nobody waits for it.
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        harness.folders.models.join("pipe.onnx"),
        rustix::fs::Mode::from_raw_mode(0o600),
    )
    .unwrap();
    for file in ["deeper", "pipe.onnx"] {
        let status = reload(&harness, file).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{file}: {status:?}");
    }
    assert_eq!(serving(&harness).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_name_loads_the_configured_bundle_again() {
    let harness = Harness::start().await;
    let first = serving(&harness).await;
    let other = write(&harness, "other.onnx", &testing::tiny_bundle("other", 6));
    reload(&harness, "other.onnx").await.unwrap();
    assert_eq!(serving(&harness).await, other);
    let back = reload(&harness, "").await.unwrap();
    assert_eq!((back.model.unwrap().digest, back.previous_digest), (first.clone(), other));
    // The configured file itself has been replaced.
    let replaced = write(&harness, "tiny.onnx", &testing::tiny_bundle("replaced", 7));
    reload(&harness, "").await.unwrap();
    assert_eq!(serving(&harness).await, replaced);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_reloads_under_load_lose_nothing() {
    let harness = Harness::start().await;
    let digests: Vec<_> = (0..2)
        .map(|seed| {
            let bundle = testing::tiny_bundle(&format!("model-{seed}"), 10 + seed);
            write(&harness, &format!("{seed}.onnx"), &bundle)
        })
        .collect();
    let started = serving(&harness).await;
    let results = under_load(&harness, async {
        let mut before = started.clone();
        let mut answers = Vec::new();
        for round in 0..20_usize {
            let reloaded = reload(&harness, &format!("{}.onnx", round % 2)).await.unwrap();
            let digest = reloaded.model.unwrap().digest;
            assert_eq!((&digest, &reloaded.previous_digest), (&digests[round % 2], &before));
            before = digest;
            // The same bytes under another model are another result; under the same one they are
            // not.
            let answer = harness.classify(cell_of(ALL, 3_000_000)).await;
            assert_eq!(self::digest(&answer), before);
            answers.push(answer);
        }
        assert!(answers[2..].iter().all(|answer| answers[..2].contains(answer)));
        answers.truncate(2);
        answers
    })
    .await;
    for digest in digests {
        assert!(results.iter().any(|result| self::digest(result) == digest));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_at_once_are_done_or_told_to_come_back() {
    let harness = Harness::start().await;
    let other = write(&harness, "other.onnx", &testing::tiny_bundle("other", 8));
    let all = futures_util::future::join_all((0..12).map(|_| reload(&harness, "other.onnx"))).await;
    assert!(all.iter().any(Result::is_ok));
    for status in all.into_iter().filter_map(Result::err) {
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "RELOAD_UNDER_WAY"));
        assert_retry(&status);
    }
    assert_eq!(serving(&harness).await, other);
}
