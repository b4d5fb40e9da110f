//! The audit chain as an auditor meets it: a real daemon, the command line, and a verification of
//! the auditor's own.

use crate::support::keys::{Ca, ask_for_certificates, connect, showing, speak_tls, token};
use crate::support::process::{Process, leukd, stderr, stdout};
use crate::support::{ALL, Folders, PATIENCE, capture, cell_of, until};
use leukd::access::Scope;
use leukd::config::settings::ClientAuth;
use leukd::grpc::proto::classifier_client::ClassifierClient;
use leukd::grpc::proto::control_client::ControlClient;
use leukd::grpc::proto::{
    ClassifyRequest, GetStatusRequest, ReloadModelRequest, SetLogLevelRequest,
};
use leukd::journal::FILE;
use serde_json::Value;
use tonic::Code;

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

/// An auditor's own program: all it knows is docs/guide/audit.md.
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
    let told = log.iter().find(|line| line.contains("audit chain ended"));
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

/// The chain as it is exported now.
async fn exported(folders: &Folders) -> Vec<Value> {
    let state = folders.state.to_str().unwrap();
    let export = leukd(&["audit", "export", "--state", state]).await;
    assert!(export.status.success(), "{}", stderr(&export));
    verify_alone(&stdout(&export)).1
}

/// Waits for a record.
async fn record(folders: &Folders, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    until(what, async || exported(folders).await.into_iter().rev().find(&is_it)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asked_and_who_changed_rights_keys_and_the_log_is_in_the_exported_chain() {
    let folders = Folders::new();
    let root = folders.root.path().to_owned();
    let (ca, clients) = (Ca::new("ca"), Ca::new("clients"));
    let access = root.join("access.toml");
    let own = "[[certificate]]\nname = \"scanner.example\"\nscopes = [\"classify\"]\n";
    std::fs::write(&access, own).unwrap();
    let root_token = token(&access, "root", &[Scope::Admin]);
    let daemon = Process::serve_with(&folders, |settings| {
        speak_tls(settings, &root, &ca);
        ask_for_certificates(settings, &root, &clients);
        settings.tls.client = ClientAuth::Optional;
        settings.access.file = Some(access.clone().into());
    });
    // What stands at the first start.
    let first = record(&folders, "the rights", |record| record["kind"] == "access").await;
    assert_eq!(first["changed"]["token:root"]["old"], Value::Null);
    assert_eq!(first["entries"]["token:root"]["scopes"], serde_json::json!(["admin"]));
    assert_eq!(first["entries"]["cert:scanner.example"]["scopes"][0], "classify");
    let keys = record(&folders, "the keys", |record| record["kind"] == "keys").await;
    assert_eq!(keys["keys"]["client_ca"].as_array().unwrap().len(), 1);

    // A right is given, and one taken.
    let lims = token(&access, "lims", &[Scope::Classify, Scope::Read]);
    let given = |record: &Value| record["changed"].get("token:lims").is_some();
    let given = record(&folders, "the new token", given).await;
    assert_eq!(given["changed"].as_object().unwrap().len(), 1, "{given}");
    let new = &given["changed"]["token:lims"]["new"];
    assert_eq!(new["scopes"], serde_json::json!(["classify", "read"]));
    assert_ne!(given["digest"], first["digest"]);
    assert!(!given.to_string().contains(&lims), "no secret is stored");

    // Who asks, by a token and by a certificate.
    let channel = connect(daemon.address, &ca, None).await.unwrap();
    let scanner = clients.client("scanner.example");
    let scans = connect(daemon.address, &ca, Some(&scanner)).await.unwrap();
    for (channel, token, seed) in [(channel.clone(), lims.as_str(), 1), (scans, "", 2)] {
        let image = cell_of(ALL, seed);
        let request = ClassifyRequest { image, ..Default::default() };
        let mut classifier = ClassifierClient::new(channel);
        until("a result", async || classifier.classify(showing(token, request.clone())).await.ok())
            .await;
    }
    let mut control = ControlClient::new(channel);
    control.reload_model(showing(&root_token, ReloadModelRequest::default())).await.unwrap();
    let filter = "leukd=debug,info".to_owned();
    let level = SetLogLevelRequest { filter: filter.clone(), lasts: None };
    control.set_log_level(showing(&root_token, level)).await.unwrap();

    // The keys are others, and the token is gone.
    ca.server().write(&root, "server");
    let replaced = record(&folders, "the new certificate", |record| {
        record["kind"] == "keys" && record["number"] != keys["number"]
    })
    .await;
    assert_eq!(
        replaced["changed"],
        serde_json::json!({"certificate": {
            "old": keys["keys"]["certificate"], "new": replaced["keys"]["certificate"]
        }})
    );
    leukd::access::edit::revoke(&access, "lims").unwrap();
    let gone = |record: &Value| record["changed"]["token:lims"].get("new") == Some(&Value::Null);
    record(&folders, "the revocation", gone).await;

    let records = exported(&folders).await;
    let of = |kind: &str| records.iter().filter(|r| r["kind"] == kind).collect::<Vec<_>>();
    let clients: Vec<&Value> = of("result").iter().map(|record| &record["client"]).collect();
    assert_eq!(clients, ["token:lims", "cert:scanner.example"]);
    assert_eq!(of("model").last().unwrap()["by"], "token:root");
    let level = of("log-level")[0];
    assert_eq!((&level["by"], &level["from"]), (&"token:root".into(), &"info".into()));
    assert_eq!(level["to"], filter.as_str());
    assert_eq!(of("access").len(), 3);
    stop(daemon).await;
    // What is as it was is told no second time; what changed meanwhile is.
    std::fs::write(&access, own).unwrap();
    let daemon = Process::spawn(serve_again(&root));
    let meanwhile = record(&folders, "the change", |record| {
        record["changed"]["token:root"].get("new") == Some(&Value::Null)
    })
    .await;
    assert_eq!(meanwhile["kind"], "access");
    assert_eq!(exported(&folders).await.iter().filter(|r| r["kind"] == "keys").count(), 2);
    stop(daemon).await;
}

/// `leukd serve` with the configuration that is there.
fn serve_again(root: &std::path::Path) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_leukd"));
    command.args(["serve", "--config"]).arg(root.join("leukd.toml"));
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn login_failures_of_the_last_minute_are_told_before_the_stop() {
    let folders = Folders::new();
    let access = folders.root.path().join("access.toml");
    std::fs::write(&access, "").unwrap();
    let daemon = Process::serve_with(&folders, |settings| {
        settings.access.file = Some(access.clone().into());
    });
    let mut control = daemon.control().await;
    for _ in 0..7 {
        let guess = showing("leukd_guess", GetStatusRequest {});
        assert_eq!(control.get_status(guess).await.unwrap_err().code(), Code::Unauthenticated);
    }
    stop(daemon).await;
    let records = exported(&folders).await;
    let failures = records.iter().filter(|record| record["kind"] == "login-failure");
    let count: u64 = failures.map(|record| record["count"].as_u64().unwrap()).sum();
    assert_eq!(count, 7);
    assert_eq!(records.last().unwrap()["kind"], "stop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_while_the_model_loads_is_the_last_record() {
    for wait in [0, 30, 90, 200] {
        let folders = Folders::new();
        // The embedded model takes a while.
        let daemon = Process::serve_with(&folders, |settings| settings.model.bundle = None);
        tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
        stop(daemon).await;
        let records = exported(&folders).await;
        let kinds: Vec<&str> = records.iter().map(|own| own["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds.last(), Some(&"stop"), "{kinds:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_by_hand_ends_with_65_and_the_record_by_number() {
    let folders = Folders::new();
    folders.drop_capture("a.bmp", &capture(1));
    let daemon = Process::serve(&folders);
    stored(&daemon, 1).await;
    stop(daemon).await;
    let tool = rusqlite::Connection::open(folders.state.join(FILE)).unwrap();
    tool.execute_batch(
        "UPDATE events SET payload = json_set(payload, '$.finding.decision', 'hem')",
    )
    .unwrap();
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
    assert!(stderr(&output).contains("event 1 was edited"));

    let nothing = leukd(&["audit", "verify", "--state", "/nowhere"]).await;
    assert_eq!(nothing.status.code(), Some(66), "{}", stderr(&nothing));
}
