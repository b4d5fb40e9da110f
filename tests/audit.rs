//! The audit chain as an auditor meets it: a real daemon, the command line, and a verification of the auditor's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use leukd::journal::FILE;
use leukd::rpc::proto::{GetStatusRequest, ReloadModelRequest};
use serde_json::Value;
use support::process::{Process, leukd, stderr, stdout};
use support::{Folders, PATIENCE, capture, until};

/// Waits until a daemon has stored so many results.
async fn stored(daemon: &Process, count: u64) -> String {
    let mut control = daemon.control().await;
    until("results", async || {
        let status = control.get_status(GetStatusRequest {}).await.unwrap().into_inner();
        let journal = status.journal?;
        let head = journal.audit_head?;
        (journal.newest >= count && status.model.is_some())
            .then(|| format!("{}:{}", head.number, head.hash))
    })
    .await
}

async fn stop(mut daemon: Process) -> Vec<String> {
    daemon.signal(rustix::process::Signal::TERM);
    assert!(daemon.wait(PATIENCE).await.expect("it stops").success());
    daemon.log.iter().collect()
}

/// An auditor's own program: all it knows is docs/audit.md.
fn verify_alone(export: &str) -> (String, Vec<Value>) {
    let mut lines = export.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let first = lines.next().unwrap();
    assert_eq!(first["notice"], "For Research Use Only. Not for use in diagnostic procedures.");
    let (mut previous, mut head) = ("0".repeat(64), String::new());
    let mut records = Vec::new();
    for (number, line) in (1..).zip(lines) {
        assert_eq!(line["previous"], previous.as_str());
        let mut hasher = blake3::Hasher::new();
        let bytes = (0..32).map(|i| u8::from_str_radix(&previous[2 * i..2 * i + 2], 16).unwrap());
        hasher.update(&bytes.collect::<Vec<u8>>());
        hasher.update(line["record"].as_str().unwrap().as_bytes());
        previous = hasher.finalize().to_hex().to_string();
        assert_eq!(line["hash"], previous.as_str());
        let record: Value = serde_json::from_str(line["record"].as_str().unwrap()).unwrap();
        assert_eq!(record["number"], number);
        head = format!("{number}:{previous}");
        records.push(record);
    }
    assert_eq!(first["head"], head.as_str());
    (head, records)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auditor_verifies_the_export_of_a_running_daemon_alone() {
    let folders = Folders::new();
    folders.drop_capture("a.bmp", &capture(1));
    folders.drop_capture("broken.bmp", b"no picture");
    let daemon = Process::serve(&folders);
    stored(&daemon, 2).await;
    std::fs::write(folders.models.join("bad.onnx"), b"no bundle").unwrap();
    let mut control = daemon.control().await;
    let request = ReloadModelRequest { file: "bad.onnx".to_owned() };
    control.reload_model(request).await.unwrap_err();
    let head = stored(&daemon, 2).await;

    let state = folders.state.to_str().unwrap();
    let file = folders.root.path().join("audit.ndjson");
    let exported =
        leukd(&["audit", "export", "--state", state, "--output", file.to_str().unwrap()]).await;
    assert!(exported.status.success(), "{}", stderr(&exported));
    let (own, records) = verify_alone(&std::fs::read_to_string(&file).unwrap());
    assert_eq!(own, head, "as GetStatus told it");
    let of = |kind: &str| records.iter().filter(|r| r["kind"] == kind).collect::<Vec<_>>();
    assert_eq!(records[0]["kind"], "genesis");
    assert_eq!(of("configuration").len(), 1);
    let start = of("start")[0];
    assert_eq!(start["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(start["configuration"], of("configuration")[0]["digest"]);
    assert!(of("result")[0]["file"].as_str().unwrap().ends_with("/export/a.bmp"));
    assert!(of("rejection")[0]["file"].as_str().unwrap().ends_with("/export/broken.bmp"));
    let models = of("model");
    assert_eq!((models.len(), &models[0]["by"]), (2, &Value::from("start")));
    assert_eq!(models[0]["to"]["id"], "tiny");
    assert!(models[1]["by"].as_str().unwrap().starts_with("127.0.0.1:"), "{}", models[1]);
    assert_eq!(models[1]["from"], models[0]["to"]);
    assert!(models[1]["to"].is_null());
    assert!(models[1]["failure"].as_str().unwrap().contains("bad.onnx"), "{}", models[1]);

    // The same by leukd itself, and a part of the chain.
    let verified = leukd(&["audit", "verify", "--state", state, "--head", &head]).await;
    assert!(verified.status.success(), "{}", stderr(&verified));
    assert!(stdout(&verified).contains("is whole"), "{}", stdout(&verified));
    let part = leukd(&["audit", "export", "--state", state, "--from", "2", "--to", "3"]).await;
    let part = stdout(&part);
    let lines: Vec<Value> = part.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[2]["previous"], lines[1]["hash"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_setting_a_stop_and_their_head_are_told() {
    let folders = Folders::new();
    let daemon = Process::serve(&folders);
    stored(&daemon, 0).await;
    let log = stop(daemon).await;
    let state = folders.state.to_str().unwrap();
    let head = stdout(&leukd(&["audit", "head", "--state", state]).await).trim().to_owned();
    let told = log.iter().find(|line| line.contains("the audit chain ends here"));
    assert!(told.expect("the head in the log").contains(&head), "{told:?} {head}");

    let daemon = Process::serve_with(&folders, |settings| settings.rpc.max_subscribers = 7);
    stored(&daemon, 0).await;
    stop(daemon).await;
    let export = stdout(&leukd(&["audit", "export", "--state", state]).await);
    let (_, records) = verify_alone(&export);
    let kinds: Vec<&str> = records.iter().map(|r| r["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "genesis",
            "configuration",
            "start",
            "model",
            "stop",
            "configuration",
            "start",
            "model",
            "stop"
        ]
    );
    let changed = records[5]["changed"].as_object().unwrap();
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!(changed["rpc.max_subscribers"], serde_json::json!({"old": 1024, "new": 7}));
    assert_eq!(records[4]["clean"], true);
    let verified = leukd(&["audit", "verify", "--state", state, "--head", &head]).await;
    assert!(verified.status.success(), "an older head is in the chain: {}", stderr(&verified));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_by_hand_ends_with_65_and_the_record_by_number() {
    let folders = Folders::new();
    folders.drop_capture("a.bmp", &capture(1));
    let daemon = Process::serve(&folders);
    stored(&daemon, 1).await;
    stop(daemon).await;
    let tool = rusqlite::Connection::open(folders.state.join(FILE)).unwrap();
    tool.execute_batch("UPDATE results SET decision = 'hem', label = 'hem'").unwrap();
    drop(tool);
    let state = folders.state.to_str().unwrap();
    let output = leukd(&["audit", "verify", "--state", state, "--json"]).await;
    assert_eq!(output.status.code(), Some(65));
    let json: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&json["whole"], &json["fault"]["kind"]), (&false.into(), &"result".into()));
    let number = json["fault"]["number"].to_string();
    assert!(
        stderr(&output).contains(&format!("audit record {number} (result, ")),
        "{}",
        stderr(&output)
    );
    assert!(stderr(&output).contains("result 1, of which it tells, was edited"));

    let nothing = leukd(&["audit", "verify", "--state", "/nowhere"]).await;
    assert_eq!(nothing.status.code(), Some(66), "{}", stderr(&nothing));
}
