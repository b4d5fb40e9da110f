//! One id tells one capture's story, from its discovery to the client that gets its result.

use crate::support;
use std::time::Instant;

use crate::support::process::Process;
use crate::support::{ALL, Folders, HEM, PATIENCE, cell_of};
use leukd::config::settings::LogFormat;
use leukd::grpc::proto::{self, subscribe_request::Start};
use serde_json::Value;

fn serve(folders: &Folders) -> Process {
    Process::serve_with(folders, |settings| {
        settings.log.format = LogFormat::Json;
        settings.log.level = "leukd=debug,info".to_owned();
    })
}

async fn subscribe(process: &Process) -> tonic::Streaming<proto::Event> {
    let start = Some(Start::Earliest(()));
    let request = proto::SubscribeRequest { start, filter: None };
    let mut stream = process.results().await.subscribe(request).await.unwrap().into_inner();
    support::next(&mut stream).await;
    stream
}

/// The log's lines that hold the id, until each of `ends` was said: who is told of a result and who
/// stored it log side by side.
fn story(process: &Process, id: &str, ends: &[&str]) -> Vec<Value> {
    let deadline = Instant::now() + PATIENCE;
    let mut lines: Vec<Value> = Vec::new();
    while !ends.iter().all(|end| lines.iter().any(|line| line["message"] == *end)) {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(line) = process.log.recv_timeout(left) else { panic!("no {ends:?}: {lines:#?}") };
        let json: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        if line.contains(id) {
            lines.push(json);
        }
    }
    lines
}

fn words(story: &[Value]) -> Vec<&str> {
    story.iter().map(|line| line["message"].as_str().unwrap()).collect()
}

/// `steps` come in this order, whatever comes between them.
fn assert_in_order(story: &[Value], steps: &[&str]) {
    let mut words = words(story).into_iter();
    for step in steps {
        assert!(words.any(|word| word == *step), "{step:?} is missing in {story:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_captures_log_lines_share_its_results_id_from_discovery_to_the_subscriber() {
    let folders = Folders::new();
    let process = serve(&folders);
    let mut stream = subscribe(&process).await;
    folders.drop_capture("UID_1_2_3_all.bmp", &cell_of(ALL, 1));
    folders.drop_capture("UID_1_2_4_all.bmp", &cell_of(HEM, 2));
    let results = support::next_results(&mut stream, 2).await;
    let result = results.into_iter().find(|result| result.label == "all").unwrap();
    let id = result.result_id.clone();
    let ends = ["stored", "given to a subscriber"];
    let story = tokio::task::spawn_blocking(move || story(&process, &id, &ends));
    let story = story.await.unwrap();
    assert_in_order(
        &story,
        &["found", "settled", "handed over", "read", "classified", "given to a subscriber"],
    );
    assert_in_order(&story, &["classified", "stored"]);
    // The other capture's lines are not among them.
    assert_eq!(words(&story).iter().filter(|word| **word == "found").count(), 1, "{story:#?}");
    assert!(!story.iter().any(|line| line.to_string().contains("UID_1_2_4")), "{story:#?}");
    let stored = story.iter().find(|line| line["message"] == "stored").unwrap();
    assert_eq!(stored["sequence"], result.sequence);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_is_logged_with_its_results_id_where_only_warnings_are() {
    let folders = Folders::new();
    let process = Process::serve_with(&folders, |settings| {
        settings.log.format = LogFormat::Json;
        settings.log.level = "warn,leukd::daemon=info".to_owned();
    });
    let mut stream = subscribe(&process).await;
    folders.drop_capture("broken.bmp", b"BM");
    let result = support::next_results(&mut stream, 1).await.remove(0);
    let id = result.result_id;
    let line = tokio::task::spawn_blocking(move || process.line_with(&[&id]));
    let line: Value = serde_json::from_str(&line.await.unwrap()).unwrap();
    assert_eq!(line["level"], "WARN");
    assert!(line["message"].as_str().unwrap().starts_with("rejected: "), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requests_log_lines_hold_its_results_id_and_the_callers_own_ids() {
    let folders = Folders::new();
    let process = serve(&folders);
    let mut client =
        proto::classifier_client::ClassifierClient::connect(format!("http://{}", process.address))
            .await
            .unwrap();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let result = support::until("a model", async || {
        let mut request = tonic::Request::new(proto::ClassifyRequest {
            image: cell_of(ALL, 5),
            request_id: "order 7".to_owned(),
            ..Default::default()
        });
        let metadata = request.metadata_mut();
        metadata.insert("x-request-id", "lims-42".parse().unwrap());
        let traceparent = format!("00-{trace}-b7ad6b7169203331-01");
        metadata.insert("traceparent", traceparent.parse().unwrap());
        client.classify(request).await.ok()?.into_inner().result
    })
    .await;
    let id = result.result_id;
    let story =
        tokio::task::spawn_blocking(move || story(&process, &id, &["stored"])).await.unwrap();
    assert_in_order(&story, &["classified", "stored"]);
    for line in &story {
        let text = line.to_string();
        for own in ["order 7", "lims-42", trace] {
            assert!(text.contains(own), "{own}: {text}");
        }
    }
}
