//! The real process: sudden death, signals, a second daemon, and the command line's clients of it.

use crate::support;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::support::process::{Process, config_file, leukd, stderr, stdout};
use crate::support::refusal::reason;
use crate::support::{
    ALL, Folders, all_results, assert_gapless, cell_of, path_of, sha256_of, until,
};
use leukd::cell::synthetic::{self, Kind};
use leukd::config::units::Span;
use leukd::grpc::proto::{self, Decision, event, subscribe_request};
use leukd::model::testing;
use leukd::result::Digest;
use rustix::process::Signal;
use serde_json::Value;
use tonic::Code;

async fn newest(process: &Process) -> u64 {
    let status = process.control().await.get_status(proto::GetStatusRequest {}).await.unwrap();
    status.into_inner().journal.unwrap().newest
}

async fn serving(process: &Process) -> Option<String> {
    let model = process.control().await.get_model(proto::GetModelRequest {}).await.ok()?;
    Some(model.into_inner().model?.digest)
}

/// Whole cells of 450×450, which take a worker some milliseconds each.
struct Cells([image::RgbImage; 2]);

impl Cells {
    fn new() -> Self {
        Self([synthetic::cell(1, Kind::Blast), synthetic::cell(2, Kind::Normal)])
    }

    fn bmp(&self, number: u8) -> Vec<u8> {
        let mut cell = self.0[usize::from(number % 2)].clone();
        cell.put_pixel(225, 225, image::Rgb([number, 100, 100]));
        synthetic::bmp(&cell)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_three_times_in_the_middle_every_capture_has_one_result() {
    const CAPTURES: u8 = 200;
    let folders = Folders::new();
    let cells = Cells::new();
    let serve = || Process::serve_with(&folders, |settings| settings.workers.threads = 1);
    let mut dropped = 0;
    let mut epochs = BTreeSet::new();
    let mut in_the_middle = 0;
    for round in 1..=3_u64 {
        let mut process = serve();
        // The captures come while it works, and while it is dead.
        while u64::from(dropped) < 60 * round {
            folders.drop_capture(&format!("UID_3_1_{dropped}_x.bmp"), &cells.bmp(dropped));
            dropped += 1;
        }
        let seen = until("results", async || {
            let newest = newest(&process).await;
            (newest > 60 * (round - 1) + 5).then_some(newest)
        })
        .await;
        process.kill();
        in_the_middle += u32::from(seen < u64::from(dropped));
        while u64::from(dropped) < 65 * round {
            folders.drop_capture(&format!("UID_3_1_{dropped}_x.bmp"), &cells.bmp(dropped));
            dropped += 1;
        }
    }
    assert!(in_the_middle > 0, "each kill came too late to hit anything");
    while dropped < CAPTURES {
        folders.drop_capture(&format!("UID_3_1_{dropped}_x.bmp"), &cells.bmp(dropped));
        dropped += 1;
    }
    let process = serve();
    let results = until("all results", async || {
        (newest(&process).await >= u64::from(CAPTURES)).then_some(())
    });
    results.await;
    // Long enough for several scans to find something to do again.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let results = all_results(process.results().await).await;
    assert_eq!(results.len(), usize::from(CAPTURES));
    assert_gapless(&results);
    let paths: BTreeSet<_> = results.iter().map(path_of).collect();
    assert_eq!(paths.len(), usize::from(CAPTURES));
    for result in &results {
        assert_ne!(result.decision(), Decision::Rejected, "{result:?}");
        assert_eq!(result.supersedes, 0);
        epochs.insert(result.epoch.clone());
    }
    assert_eq!(epochs.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_streams_and_the_process_whatever_clients_do() {
    let folders = Folders::new();
    let drain = Duration::from_secs(3);
    let mut process = Process::serve_with(&folders, |settings| settings.rpc.drain = Span(drain));
    folders.drop_capture("a.bmp", &cell_of(ALL, 1));
    until("a result", async || (newest(&process).await == 1).then_some(())).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let request = proto::SubscribeRequest {
            start: Some(subscribe_request::Start::Earliest(())),
            filter: None,
        };
        let mut stream = process.results().await.subscribe(request).await.unwrap().into_inner();
        assert!(matches!(support::next(&mut stream).await.kind, Some(event::Kind::Hello(_))));
        support::next_results(&mut stream, 1).await;
        streams.push(stream);
    }
    // A client that has asked and never closes, one that has never said a word, and one that
    // watches health.
    let mut idle = process.results().await;
    idle.list_results(proto::ListResultsRequest::default()).await.unwrap();
    let mute = tokio::net::TcpStream::connect(process.address).await.unwrap();
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", process.address));
    let channel = channel.unwrap().connect().await.unwrap();
    let request = tonic_health::pb::HealthCheckRequest { service: String::new() };
    let watch = tonic_health::pb::health_client::HealthClient::new(channel).watch(request).await;
    let began = Instant::now();
    process.signal(Signal::TERM);
    for stream in &mut streams {
        let end = support::end(stream).await;
        assert_eq!((end.code(), reason(&end).as_str()), (Code::Unavailable, "STOPPING"));
    }
    let status = process.wait(drain + Duration::from_secs(2)).await;
    let status = status.unwrap_or_else(|| panic!("it lives on after {:?}", began.elapsed()));
    assert_eq!(status.code(), Some(0), "{:?}", process.log.try_iter().collect::<Vec<_>>());
    drop((idle, mute, watch));
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_cuts_off_a_reader_that_takes_nothing_at_the_deadline() {
    let folders = Folders::new();
    let drain = Duration::from_secs(1);
    let mut process = Process::serve_with(&folders, |settings| settings.rpc.drain = Span(drain));
    for number in 0..60 {
        folders.drop_capture(&format!("{number}.bmp"), &cell_of(ALL, number));
    }
    until("results", async || (newest(&process).await == 60).then_some(())).await;
    // So little may be sent ahead that the status never gets through.
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", process.address));
    let channel = endpoint.unwrap().initial_stream_window_size(1024).connect().await.unwrap();
    let request = proto::SubscribeRequest {
        start: Some(subscribe_request::Start::Earliest(())),
        filter: None,
    };
    let mut client = proto::results_client::ResultsClient::new(channel);
    let stream = client.subscribe(request).await.unwrap();
    process.signal(Signal::TERM);
    let status = process.wait(drain + Duration::from_secs(2)).await.expect("it ends");
    assert_eq!(status.code(), Some(0));
    drop(stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_in_the_middle_of_captures_loses_none() {
    let folders = Folders::new();
    let cells = Cells::new();
    for number in 0..60 {
        folders.drop_capture(&format!("{number}.bmp"), &cells.bmp(number));
    }
    let mut process = Process::serve(&folders);
    until("some results", async || (newest(&process).await >= 5).then_some(())).await;
    process.signal(Signal::TERM);
    let status = process.wait(Duration::from_secs(7)).await.expect("it ends");
    assert_eq!(status.code(), Some(0));
    let process = Process::serve(&folders);
    until("all results", async || (newest(&process).await >= 60).then_some(())).await;
    let results = all_results(process.results().await).await;
    assert_gapless(&results);
    assert_eq!(results.iter().map(path_of).collect::<BTreeSet<_>>().len(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_loads_the_bundle_again_and_a_bad_one_changes_nothing() {
    let folders = Folders::new();
    let process = Process::serve(&folders);
    let before = until("a model", async || serving(&process).await).await;
    let replace = |bytes: &[u8]| {
        let fresh = folders.models.join("fresh");
        std::fs::write(&fresh, bytes).unwrap();
        std::fs::rename(fresh, folders.models.join("tiny.onnx")).unwrap();
    };
    let good = testing::tiny_bundle("another", 9);
    replace(&good);
    process.signal(Signal::HUP);
    let after = Digest::of(&good).to_string();
    assert_ne!(before, after);
    until("the new model", async || {
        (serving(&process).await.as_ref() == Some(&after)).then_some(())
    })
    .await;
    replace(&testing::golden_failing_bundle("bad", 9));
    process.signal(Signal::HUP);
    let log = tokio::task::spawn_blocking(move || {
        let line = process.line_with(&["golden input"]);
        (process, line)
    });
    let (process, line) = log.await.unwrap();
    assert!(line.contains("ERROR"), "{line}");
    assert_eq!(serving(&process).await, Some(after));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_on_the_same_state_is_refused_and_the_first_goes_on() {
    let folders = Folders::new();
    let first = Process::serve(&folders);
    until("a model", async || serving(&first).await).await;
    let config = config_file(&folders, "second.toml", |_| {});
    let second = leukd(&["serve", "--config", config.to_str().unwrap()]).await;
    assert_eq!(second.status.code(), Some(69), "{}", stderr(&second));
    let says = stderr(&second);
    let last = says.lines().last().unwrap();
    assert!(last.contains(folders.state.to_str().unwrap()), "{says}");
    folders.drop_capture("a.bmp", &cell_of(ALL, 1));
    until("a result", async || (newest(&first).await == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_told_with_its_number() {
    let folders = Folders::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = config_file(&folders, "taken.toml", |settings| settings.rpc.listen = address);
    let output = leukd(&["serve", "--config", config.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
    assert!(stderr(&output).contains(&address.to_string()), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_and_serve_agree_that_a_bad_configuration_is_78() {
    let folders = Folders::new();
    let good = config_file(&folders, "good.toml", |_| {});
    let checked = leukd(&["check", "--config", good.to_str().unwrap()]).await;
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
    let text = std::fs::read_to_string(&good).unwrap();
    let bad = folders.root.path().join("bad.toml");
    for (from, to, names) in [
        ("settle_looks = 2", "settle_looks = 0", "settle_looks"),
        ("settle_looks = 2", "settle_look = 2", "settle_look"),
        ("127.0.0.1:0", "nowhere", "listen"),
    ] {
        assert!(text.contains(from), "{text}");
        std::fs::write(&bad, text.replace(from, to)).unwrap();
        for command in ["check", "serve"] {
            let output = leukd(&[command, "--config", bad.to_str().unwrap()]).await;
            assert_eq!(output.status.code(), Some(78), "{command} {to}: {}", stderr(&output));
            assert!(stderr(&output).contains(names), "{command} {to}: {}", stderr(&output));
        }
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A result as `--json` should write it, as far as it tells results apart.
fn assert_same(json: &Value, result: &proto::Result) {
    assert_eq!(json["sequence"], result.sequence.to_string());
    assert_eq!(json["epoch"], result.epoch);
    assert_eq!(json["result_id"], result.result_id);
    assert_eq!(json["capture"]["sha256"], sha256_of(result));
    assert_eq!(json["specimen"], result.specimen);
    assert_eq!(json["label"], result.label);
    assert_eq!(json["decision"], result.decision().as_str_name());
    assert_eq!(json["capture"]["source"]["folder"]["path"], path_of(result));
    let probabilities = json["probabilities"].as_array().unwrap();
    assert_eq!(probabilities.len(), result.probabilities.len());
    for (json, class) in probabilities.iter().zip(&result.probabilities) {
        assert_eq!(json["label"], class.label);
        assert!((json["probability"].as_f64().unwrap() - class.probability).abs() < 1e-15);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_results_and_status_tell_what_list_results_tells() {
    let folders = Folders::new();
    let process = Process::serve(&folders);
    for number in 0..30 {
        folders
            .drop_capture(&format!("s/UID_{}_1_{number}_x.bmp", number % 3), &cell_of(ALL, number));
    }
    folders.drop_capture("s/broken.bmp", b"no picture");
    until("results", async || (newest(&process).await == 31).then_some(())).await;
    let expected = all_results(process.results().await).await;
    let server = format!("http://{}", process.address);
    let ask = async |arguments: &[&str]| {
        let output = leukd(&[arguments, &["--server", &server, "--json"]].concat()).await;
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        lines(&stdout(&output))
    };

    let tailed = ask(&["tail", "--once"]).await;
    assert!(tailed[0]["hello"]["epoch"].is_string(), "{}", tailed[0]);
    let tailed: Vec<_> = tailed.iter().filter_map(|event| event.get("result")).collect();
    assert_eq!(tailed.len(), 31);
    tailed.iter().zip(&expected).for_each(|(json, result)| assert_same(json, result));
    let rest = ask(&["tail", "--once", "--after", "20"]).await;
    let rest: Vec<_> = rest.iter().filter_map(|event| event.get("result")).collect();
    assert_eq!(rest.len(), 11);
    rest.iter().zip(&expected[20..]).for_each(|(json, result)| assert_same(json, result));

    let listed = ask(&["results", "--limit", "0"]).await;
    assert_eq!(listed.len(), 31);
    listed.iter().zip(&expected).for_each(|(json, result)| assert_same(json, result));
    let newest = ask(&["results", "--limit", "5", "--newest", "--specimen", "1"]).await;
    let of_one: Vec<_> = expected.iter().rev().filter(|result| result.specimen == "1").collect();
    assert_eq!(newest.len(), 5);
    newest.iter().zip(of_one).for_each(|(json, result)| assert_same(json, result));

    let status = ask(&["status"]).await.remove(0);
    assert_eq!(status["journal"]["newest"], "31");
    assert_eq!(status["journal"]["epoch"], expected[0].epoch);
    assert_eq!(status["folders"][0]["folder"], folders.export.to_str().unwrap());
    assert_eq!(status["folders"][0]["done"], "30");
    assert_eq!(status["model"]["serving_since"].as_str().map(|at| at.ends_with('Z')), Some(true));
    for key in ["started_at", "max_image_bytes", "time_to_serving", "degraded", "notice"] {
        assert!(status.get(key).is_some(), "{key}: {status}");
    }
    let file = folders.export.join(path_of(&expected[7]));
    let found = ask(&["results", "--path", file.to_str().unwrap()]).await;
    assert_same(&found[0], &expected[7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_goes_on_across_the_daemons_death() {
    let folders = Folders::new();
    // A fixed port: the second daemon is found where the first one was.
    let listen = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let serve = || Process::serve_with(&folders, |settings| settings.rpc.listen = listen);
    let mut process = serve();
    let server = format!("http://{listen}");
    let arguments = ["tail", "--earliest", "--count", "20", "--json", "--server", &server];
    let tail = leukd(&arguments);
    let work = async {
        for number in 0..10 {
            folders.drop_capture(&format!("{number}.bmp"), &cell_of(ALL, number));
        }
        until("results", async || (newest(&process).await >= 10).then_some(())).await;
        process.kill();
        for number in 10..20 {
            folders.drop_capture(&format!("{number}.bmp"), &cell_of(ALL, number));
        }
        serve()
    };
    let (tail, _process) = tokio::join!(tail, work);
    assert_eq!(tail.status.code(), Some(0), "{}", stderr(&tail));
    let sequences: Vec<_> = lines(&stdout(&tail))
        .iter()
        .filter_map(|event| event["result"]["sequence"].as_str()?.parse::<u64>().ok())
        .collect();
    assert_eq!(sequences, (1..=20).collect::<Vec<_>>());
}
