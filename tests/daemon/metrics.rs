//! The endpoint for Prometheus: what it says is true, its names are documented, and nothing that is
//! done to it hurts.

use crate::support;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::support::scrape::{self, Samples, get, raw, samples};
use crate::support::{ALL, Folders, HEM, Harness, REVIEW, cell_of, until};
use leukd::config::settings::Settings;
use leukd::config::units::{Bytes, Span};
use leukd::grpc::proto::{self, subscribe_request::Start};
use leukd::metrics::{Definition, METRICS, OPEN_METRICS, PROMETHEUS};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn with_metrics(settings: &mut Settings) {
    settings.metrics.enabled = true;
    settings.metrics.listen = "127.0.0.1:0".parse().unwrap();
}

async fn start() -> (Harness, SocketAddr) {
    let harness = Harness::start_with(with_metrics).await;
    let address = harness.daemon().metrics_address().unwrap();
    (harness, address)
}

/// Two cells of a kind, one of the others, a duplicate, a broken picture and a request.
async fn work(harness: &Harness) {
    harness.drop_capture("UID_1_1_1_all.bmp", &cell_of(ALL, 1));
    harness.drop_capture("UID_1_1_2_all.bmp", &cell_of(ALL, 2));
    harness.drop_capture("UID_2_1_1_hem.bmp", &cell_of(HEM, 3));
    harness.drop_capture("UID_2_1_2_x.bmp", &cell_of(REVIEW, 4));
    harness.drop_capture("broken.bmp", b"BM");
    harness.drop_capture("notes.txt", b"no capture");
    harness.wait_results(5).await;
    harness.drop_capture("again.bmp", &cell_of(ALL, 1));
    harness.wait_idle().await;
    harness.classify(cell_of(ALL, 9)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_counts_captures_results_and_stages_exactly() {
    let (harness, address) = start().await;
    let before = samples(address).await;
    assert_eq!(before.sum("leukd_results_total"), 0.0);
    assert_eq!(before.sum("leukd_captures"), 0.0);
    work(&harness).await;
    let now = samples(address).await;
    let captures = |state: &str| now.one("leukd_captures", &[&format!("state=\"{state}\"")]);
    for (state, expected) in [
        ("settling", 0.0),
        ("queued", 0.0),
        ("on_disk", 0.0),
        ("done", 4.0),
        ("duplicate", 1.0),
        ("rejected", 1.0),
    ] {
        assert_eq!(captures(state), expected, "{state}");
    }
    for (decision, source, expected) in [
        ("all", "folder", 2.0),
        ("hem", "folder", 1.0),
        ("review", "folder", 1.0),
        ("rejected", "folder", 1.0),
        ("all", "rpc", 1.0),
        ("hem", "rpc", 0.0),
    ] {
        let labels = [format!("decision=\"{decision}\""), format!("source=\"{source}\"")];
        let labels = labels.each_ref().map(String::as_str);
        assert_eq!(now.one("leukd_results_total", &labels), expected, "{labels:?}");
    }
    let rejected = harness.all_results().await;
    let rejected = rejected.iter().find(|r| r.decision() == proto::Decision::Rejected).unwrap();
    let reason = format!("reason=\"{}\"", support::reason_of(rejected));
    assert_eq!(now.one("leukd_rejects_total", &[&reason]), 1.0);
    let stage = |stage: &str| {
        let count = now.one("leukd_stage_seconds_count", &[&format!("stage=\"{stage}\"")]);
        (count, now.one("leukd_stage_seconds_sum", &[&format!("stage=\"{stage}\"")]))
    };
    // Six results; the request was not read from a file, the broken one never reached the network,
    // and the duplicate went to the disk without a result.
    assert_eq!(stage("queue").0, 6.0);
    assert_eq!(stage("infer").0, 5.0);
    assert!(stage("infer").1 > 0.0 && stage("infer").1 < 5.0, "{:?}", stage("infer"));
    assert_eq!(stage("commit").0, 7.0);
    let commits = now.one("leukd_journal_commit_seconds_count", &[]);
    assert!((1.0..=7.0).contains(&commits), "{commits}");
    assert_eq!(now.one("leukd_journal_newest_sequence", &[]), 6.0);
    assert_eq!(now.one("leukd_ignored_files", &["kind=\"pattern\""]), 1.0);
    let classify = ["method=\"leukd.v1.Classifier/Classify\"", "code=\"OK\""];
    assert_eq!(now.one("leukd_rpc_calls_total", &classify), 1.0);
    assert_eq!(now.one("leukd_rpc_seconds_count", &classify[..1]), 1.0);
    assert_eq!(now.one("leukd_model_loads_total", &["outcome=\"served\""]), 1.0);
    assert_eq!(now.sum("leukd_degraded"), 0.0);
    assert_eq!(now.one("leukd_scrape_complete", &[]), 1.0);
    assert!(now.one("process_resident_memory_bytes", &[]) > 1e6);
    assert!(now.one("process_open_fds", &[]) > 3.0);
    assert!(now.one("leukd_progress_age_seconds", &["of=\"folders\""]) < 30.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_by_their_code_and_unknown_paths_share_one_name() {
    let (harness, address) = start().await;
    let request = proto::ClassifyRequest { image: b"no picture".to_vec(), ..Default::default() };
    harness.classifier().classify(request).await.unwrap_err();
    let by = Some(proto::get_result_request::By::Sequence(7));
    harness.results().get_result(proto::GetResultRequest { by }).await.unwrap_err();
    for path in ["/made.up/One", "/made.up/Two", "/leukd.v1.Control/NoSuchMethod"] {
        let mut grpc = tonic::client::Grpc::new(harness.channel());
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let path = tonic::codegen::http::uri::PathAndQuery::from_static(path);
        grpc.unary(tonic::Request::new(()), path, codec).await.unwrap_err();
    }
    let now = samples(address).await;
    for (method, code, expected) in [
        ("leukd.v1.Classifier/Classify", "INVALID_ARGUMENT", 1.0),
        ("leukd.v1.Classifier/Classify", "OK", 0.0),
        ("leukd.v1.Results/GetResult", "NOT_FOUND", 1.0),
        ("other", "UNIMPLEMENTED", 3.0),
    ] {
        let labels = [format!("method=\"{method}\""), format!("code=\"{code}\"")];
        let labels = labels.each_ref().map(String::as_str);
        assert_eq!(now.one("leukd_rpc_calls_total", &labels), expected, "{labels:?}");
    }
    assert!(!now.values.keys().any(|key| key.contains("made.up")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_takes_nothing_shows_as_lag_and_then_as_dropped() {
    let harness = Harness::start_with(|settings| {
        with_metrics(settings);
        settings.rpc.subscriber_buffer = 1;
        settings.rpc.slow_after = Span::from_secs(2);
    })
    .await;
    let address = harness.daemon().metrics_address().unwrap();
    let (_, reader) = harness.subscribe(Start::Latest(())).await;
    // So little may be sent ahead that what follows stays with the server.
    let channel = harness.narrow_channel(1024).await;
    let request = proto::SubscribeRequest { start: Some(Start::Latest(())), filter: None };
    let mut client = proto::results_client::ResultsClient::new(channel);
    let asleep = client.subscribe(request).await.unwrap().into_inner();
    assert_eq!(samples(address).await.one("leukd_subscribers", &[]), 2.0);
    let watching = tokio::spawn(async move {
        let mut reader = reader;
        support::next_results(&mut reader, 40).await
    });
    harness.classify_all((0..40).map(|seed| cell_of(ALL, seed)).collect()).await;
    watching.await.unwrap();
    let lag = until("lag", async || {
        let now = samples(address).await;
        let lag = now.one("leukd_subscriber_lag_results", &[]);
        (now.one("leukd_subscribers_behind", &[]) == 1.0 && lag >= 10.0).then_some(lag)
    });
    assert!(lag.await <= 40.0);
    until("the drop", async || {
        let now = samples(address).await;
        (now.one("leukd_subscribers_dropped_total", &[]) == 1.0).then_some(())
    })
    .await;
    drop(asleep);
    until("its end", async || {
        let now = samples(address).await;
        let ended = ["method=\"leukd.v1.Results/Subscribe\""];
        (now.one("leukd_rpc_open_calls", &ended) == 0.0
            && now.one("leukd_subscriber_lag_results", &[]) == 0.0)
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_and_a_bad_bundle_show_as_degraded_and_refused() {
    let harness = Harness::start_with(|settings| {
        with_metrics(settings);
        settings.journal.disk_floor = Bytes(u64::MAX / 2);
    })
    .await;
    let address = harness.daemon().metrics_address().unwrap();
    harness.drop_capture("waits.bmp", &cell_of(ALL, 1));
    let now = until("degraded", async || {
        let now = samples(address).await;
        let waits = now.one("leukd_captures", &["state=\"queued\""]) == 1.0;
        (waits && now.one("leukd_degraded", &["component=\"disk\""]) == 1.0).then_some(now)
    })
    .await;
    assert!(
        now.one("leukd_journal_disk_free_bytes", &[])
            < now.one("leukd_journal_disk_floor_bytes", &[])
    );
    until("an age", async || {
        (samples(address).await.one("leukd_oldest_waiting_seconds", &[]) > 0.2).then_some(())
    })
    .await;
    harness
        .classifier()
        .classify(proto::ClassifyRequest { image: cell_of(ALL, 2), ..Default::default() })
        .await
        .unwrap_err();
    std::fs::write(harness.folders.models.join("bad.onnx"), b"no bundle").unwrap();
    let request = proto::ReloadModelRequest { file: "bad.onnx".to_owned() };
    harness.control().reload_model(request).await.unwrap_err();
    let now = samples(address).await;
    assert!(now.one("leukd_journal_commit_failures_total", &[]) >= 1.0);
    assert_eq!(now.one("leukd_model_loads_total", &["outcome=\"refused\""]), 1.0);
    assert_eq!(now.sum("leukd_results_total"), 0.0);
    assert_eq!(now.one("leukd_model_info", &["id=\"tiny\"", "engine=\"fused\""]), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_folder_shows_as_out_of_reach() {
    let (harness, address) = start().await;
    std::fs::remove_dir_all(harness.export()).unwrap();
    until("out of reach", async || {
        let now = samples(address).await;
        (now.one("leukd_folder_reachable", &[]) == 0.0
            && now.one("leukd_degraded", &["component=\"folder\""]) == 1.0)
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_get_metrics_is_answered_and_in_the_format_that_is_asked_for() {
    let (_harness, address) = start().await;
    let plain = get(address, "/metrics").await;
    assert_eq!((plain.status, plain.content_type.as_str()), (200, PROMETHEUS));
    assert!(plain.body.contains("# TYPE leukd_results_total counter\n"));
    let asked = "GET /metrics HTTP/1.1\r\nHost: leukd\r\nAccept: \
                 application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.5\r\n\r\n";
    let open = raw(address, asked).await;
    assert_eq!((open.status, open.content_type.as_str()), (200, OPEN_METRICS));
    assert!(open.body.contains("# TYPE leukd_results counter\n"));
    assert!(open.body.ends_with("# EOF\n"));
    for path in ["/", "/metrics/", "/metrics2", "/../metrics", "/debug/pprof"] {
        assert_eq!(get(address, path).await.status, 404, "{path}");
    }
    let post = "POST /metrics HTTP/1.1\r\nHost: leukd\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(raw(address, post).await.status, 405);
    let head = raw(address, "HEAD /metrics HTTP/1.1\r\nHost: leukd\r\n\r\n").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_label_tells_of_files_specimens_or_clients() {
    let (harness, address) = start().await;
    work(&harness).await;
    let request = proto::ClassifyRequest {
        image: cell_of(HEM, 77),
        specimen: "PATIENT-4711".to_owned(),
        slide: "SLIDE-4712".to_owned(),
        cell: "CAPTURE-4713".to_owned(),
        request_id: "ORDER-4714".to_owned(),
        heat_map: true,
    };
    harness.classifier().classify(request).await.unwrap();
    let page = get(address, "/metrics").await.body;
    for secret in ["UID_", "broken.bmp", "notes.txt", "47", "127.0.0.1"] {
        let hit = page.lines().find(|line| {
            line.split_once('{').and_then(|(_, rest)| rest.split_once('}')).is_some_and(
                // The model's digest and a temporary folder's name may hold any digits.
                |(labels, _)| {
                    labels.split("\",").any(|label| {
                        let free = ["digest=", "folder=", "le="];
                        !free.iter().any(|name| label.starts_with(name)) && label.contains(secret)
                    })
                },
            )
        });
        assert_eq!(hit, None, "{secret}");
    }
}

/// Every metric of the documents: name → (kind, labels). `leukd man --markdown` writes them from
/// the same table.
fn documented() -> BTreeMap<String, (String, Vec<String>)> {
    let row = |metric: &&Definition| {
        let labels = metric.labels.iter().map(|label| (*label).to_owned()).collect();
        (metric.full_name(), (metric.kind.as_str().to_owned(), labels))
    };
    let rows: BTreeMap<_, _> = METRICS.iter().map(row).collect();
    assert_eq!(rows.len(), METRICS.len());
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_names_kinds_and_labels_are_those_of_a_real_scrape() {
    let (harness, address) = start().await;
    work(&harness).await;
    let now = samples(address).await;
    let documented = documented();
    // What cannot be seen here: there is no watchdog.
    let unseen = ["leukd_watchdog_age_seconds"];
    for (name, kind) in &now.types {
        let Some((written, labels)) = documented.get(name) else {
            panic!("no definition of {name}");
        };
        // Prometheus' own format has no word for it.
        let kind = if name.ends_with("_info") { "info" } else { kind };
        assert_eq!(written, kind, "{name}");
        let seen = now.labels(name);
        assert_eq!(
            labels.iter().cloned().collect::<std::collections::BTreeSet<_>>(),
            seen,
            "{name}"
        );
    }
    for name in documented.keys() {
        // What the weeks hold has its own test, in drift.rs: here there is nothing to compare.
        // Nothing is forwarded here: forward.rs shows those.
        let apart = name.starts_with("leukd_drift_")
            || name.starts_with("leukd_forward_")
            || unseen.contains(&name.as_str());
        let seen = now.types.contains_key(name) || apart;
        assert!(seen, "{name} is documented, and a scrape does not show it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_many_connections_hurt_neither_the_daemon_nor_the_next_scrape() {
    let (harness, address) = start().await;
    let open_before = samples(address).await.one("process_open_fds", &[]);
    // 200 that never say a word, and one that says its headers letter by letter.
    let mut mute = Vec::new();
    for _ in 0..200 {
        mute.push(TcpStream::connect(address).await.unwrap());
    }
    let loris = tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        for byte in "GET /metrics HTTP/1.1\r\nX: ".bytes().chain(std::iter::repeat_n(b'a', 10_000))
        {
            if stream.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    // The daemon works on meanwhile.
    harness.drop_capture("a.bmp", &cell_of(ALL, 1));
    harness.classify(cell_of(HEM, 2)).await;
    harness.wait_results(2).await;
    drop(mute);
    let began = Instant::now();
    assert_eq!(samples(address).await.sum("leukd_results_total"), 2.0);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    tokio::time::timeout(support::PATIENCE, loris).await.expect("it is cut off").unwrap();
    until("their end", async || {
        let now = samples(address).await;
        (now.one("process_open_fds", &[]) <= open_before + 8.0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_on_one_connection_gets_one_answer_and_a_large_head_none() {
    let (_harness, address) = start().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: leukd\r\n\r\n".repeat(50);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(support::PATIENCE, stream.read_to_end(&mut answer));
    // A reset after the first answer is an end too.
    let _ = read.await.expect("it is closed");
    let text = String::from_utf8_lossy(&answer);
    assert!(text.matches("HTTP/1.1 200").count() <= 1, "{}", text.len());
    let large = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(64 * 1024));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(large.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(support::PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
    assert_eq!(get(address, "/metrics").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_or_an_address_for_others_is_refused_at_start() {
    use crate::support::process::{config_file, leukd, stderr};
    let folders = Folders::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let serve = async |listen: SocketAddr| {
        let config = config_file(&folders, "metrics.toml", |settings| {
            settings.metrics.enabled = true;
            settings.metrics.listen = listen;
        });
        leukd(&["serve", "--config", config.to_str().unwrap()]).await
    };
    let output = serve(address).await;
    assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
    for said in ["metrics.listen", "--metrics", "another leukd"] {
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
    let output = serve("0.0.0.0:9464".parse().unwrap()).await;
    assert_eq!(output.status.code(), Some(78), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("metrics.listen: 0.0.0.0:9464 can be reached"),
        "{}",
        stderr(&output)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_there_is_no_endpoint() {
    let harness = Harness::start().await;
    assert_eq!(harness.daemon().metrics_address(), None);
}

#[test]
fn a_page_is_parsed_as_it_is_written() {
    let samples = Samples::parse("# TYPE a counter\na{b=\"c,d\",e=\"f\"} 2\n");
    assert_eq!(samples.one("a", &["b=\"c,d\""]), 2.0);
    assert_eq!(scrape::Samples::parse("x 1\n").sum("x"), 1.0);
}
