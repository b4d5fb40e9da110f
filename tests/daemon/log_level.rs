//! What a running daemon logs can be changed, for a while too.

use std::time::Duration;

use crate::support::process::{Process, leukd, stderr, stdout};
use crate::support::refusal::{assert_field, info, reason};
use crate::support::{ALL, Folders, Harness, cell_of, until};
use leukd::grpc::proto::{GetLogLevelRequest, GetStatusRequest, LogLevel, SetLogLevelRequest};
use tonic::Code;

async fn level(process: &Process) -> LogLevel {
    let answer = process.control().await.get_log_level(GetLogLevelRequest {}).await.unwrap();
    answer.into_inner().level.unwrap()
}

async fn set(
    process: &Process,
    filter: &str,
    seconds: Option<i64>,
) -> Result<LogLevel, tonic::Status> {
    let lasts = seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
    let request = SetLogLevelRequest { filter: filter.to_owned(), lasts };
    let answer = process.control().await.set_log_level(request).await?;
    Ok(answer.into_inner().level.unwrap())
}

/// Whether a capture that is stored now leaves a line of level DEBUG.
async fn tells_details(process: &Process, folders: &Folders, seed: u64) -> bool {
    let newest = async || {
        let status = process.control().await.get_status(GetStatusRequest {}).await.unwrap();
        status.into_inner().journal.unwrap().newest
    };
    let before = newest().await;
    folders.drop_capture(&format!("{seed}.bmp"), &cell_of(ALL, seed));
    until("a result", async || (newest().await > before).then_some(())).await;
    // A line that always comes, after all others of that capture.
    until("the end of the burst", async || {
        let lines: Vec<_> = process.log.try_iter().collect();
        let over = lines.iter().any(|line| line.contains("captures done in"));
        let told = lines.iter().any(|line| line.contains("DEBUG") && line.contains("stored"));
        (over || told).then_some(told)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_for_a_while_is_seen_and_goes_back_by_itself() {
    let folders = Folders::new();
    let process = Process::serve(&folders);
    let configured =
        LogLevel { filter: "info".to_owned(), configured: "info".to_owned(), until: None };
    assert_eq!(level(&process).await, configured);
    assert!(!tells_details(&process, &folders, 1).await);
    let changed = set(&process, "leukd=debug,info", Some(3)).await.unwrap();
    assert_eq!(changed.filter, "leukd=debug,info");
    assert!(changed.until.is_some());
    assert!(tells_details(&process, &folders, 2).await);
    let (process, line) = tokio::task::spawn_blocking(move || {
        let line = process.line_with(&["the log's filter is \"info\" again", "leukd=debug"]);
        (process, line)
    })
    .await
    .unwrap();
    assert!(line.contains("WARN"), "{line}");
    assert_eq!(level(&process).await, configured);
    assert!(!tells_details(&process, &folders, 3).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_change_replaces_the_earlier_one_and_its_end() {
    let folders = Folders::new();
    let process = Process::serve(&folders);
    set(&process, "debug", Some(1)).await.unwrap();
    set(&process, "warn", None).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let now = level(&process).await;
    assert_eq!((now.filter.as_str(), now.until), ("warn", None));
    // Both lines come out whatever the two filters let through.
    let (process, _) = tokio::task::spawn_blocking(move || {
        let line = process.line_with(&["127.0.0.1:", "changes the log's filter to \"warn\""]);
        (process, line)
    })
    .await
    .unwrap();
    let back = set(&process, "", None).await.unwrap();
    assert_eq!(back.filter, "info");
    tokio::task::spawn_blocking(move || process.line_with(&["the log's filter is \"info\""]))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_filter_or_time_names_its_field_and_changes_nothing() {
    let folders = Folders::new();
    let process = Process::serve(&folders);
    for (filter, seconds, field) in [
        ("leukd=loud", None, "filter"),
        ("inof", None, "filter"),
        (&"a".repeat(2000), None, "filter"),
        ("debug", Some(0), "lasts"),
        ("debug", Some(-5), "lasts"),
        ("debug", Some(86_401), "lasts"),
    ] {
        let status = set(&process, filter, seconds).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert_field(&status, field);
    }
    assert_eq!(level(&process).await.filter, "info");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_not_leukds_own_is_left_alone() {
    let harness = Harness::start().await;
    let status = harness.control().get_log_level(GetLogLevelRequest {}).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(reason(&status), "FOREIGN_LOG", "{:?}", info(&status));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_shows_changes_and_resets_it() {
    let folders = Folders::new();
    let process = Process::serve(&folders);
    let server = format!("http://{}", process.address);
    let run = async |arguments: &[&str]| {
        let output = leukd(&[&["log-level", "--server", &server], arguments].concat()).await;
        (output.status.code(), stdout(&output), stderr(&output))
    };
    let (code, out, _) = run(&[]).await;
    assert_eq!((code, out.as_str()), (Some(0), "info (as configured)\n"));
    let (code, out, error) = run(&["leukd=debug,info", "--for", "10m"]).await;
    assert_eq!(code, Some(0), "{error}");
    assert!(
        out.starts_with("leukd=debug,info until 20") && out.ends_with(", then info\n"),
        "{out}"
    );
    let (_, out, _) = run(&["--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["filter"], "leukd=debug,info");
    assert!(json["until"].as_str().is_some_and(|at| at.ends_with('Z')), "{json}");
    let (_, out, _) = run(&["--reset"]).await;
    assert_eq!(out, "info (as configured)\n");
    let (code, _, error) = run(&["inof"]).await;
    assert_eq!(code, Some(64));
    assert!(error.contains("\"inof\" is no level"), "{error}");
    let (code, _, _) = run(&["--for", "10m"]).await;
    assert_eq!(code, Some(64));
}
