//! A real daemon that forwards its journal into a real PostgreSQL.

use std::path::PathBuf;
use std::process::Command;

use crate::support::bounded::InTime as _;
use crate::support::scrape::samples;
use crate::support::{ALL, Harness, PATIENCE, cell_of};

use leukd_fleet::local::{OWNER, Server, programs};

/// A store, made by the command; none where PostgreSQL is not installed.
struct Store {
    server: Server,
    folder: tempfile::TempDir,
}

impl Store {
    #[expect(clippy::print_stderr, reason = "a test that skips says so")]
    fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(std::env::var_os("LEUKD_REQUIRE_POSTGRES").is_none(), "PostgreSQL is required");
            eprintln!("skipped: PostgreSQL 15 or newer is not installed (apt install postgresql)");
            return None;
        };
        let store =
            Self { server: Server::start(programs).unwrap(), folder: tempfile::tempdir().unwrap() };
        let out = store.folder.path().to_str().unwrap().to_owned();
        let made = store.lab(&["init", "--site", "ward", "--out", &out]);
        assert!(made.contains("made the store") && made.contains("leukd_ward"), "{made}");
        Some(store)
    }

    /// Runs `leukd lab` as the store's owner.
    fn lab(&self, args: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leukd"));
        command.arg("lab").args(args).args(["--store", &self.server.url(OWNER)]);
        let output = command.in_time().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn status(&self) -> serde_json::Value {
        let text = self.lab(&["status", "--verify", "--json"]);
        serde_json::from_str(&text).unwrap()
    }

    fn password(&self) -> PathBuf {
        self.folder.path().join("ward.password")
    }

    async fn held(&self, events: u64) -> serde_json::Value {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            if status["sites"][0]["held"] == events {
                return status;
            }
            assert!(tokio::time::Instant::now() < until, "{events} are not held: {status}");
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }
}

async fn start(store: &Store) -> (Harness, std::net::SocketAddr) {
    let (url, password) = (store.server.url("leukd_ward"), store.password());
    let harness = Harness::start_with(|settings| {
        settings.metrics.enabled = true;
        settings.metrics.listen = "127.0.0.1:0".parse().unwrap();
        settings.forward.site = Some("ward".to_owned());
        settings.forward.url = Some(url);
        settings.forward.password_file = Some(password.into());
    })
    .await;
    let address = harness.daemon().metrics_address().unwrap();
    (harness, address)
}

/// What the daemon says of its store, once it says so.
async fn condition(harness: &Harness) -> String {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let status = harness.status().await;
        if let Some(found) = status.degraded.iter().find(|one| one.component == "store") {
            return found.message.clone();
        }
        assert!(tokio::time::Instant::now() < until, "the store is not missed: {status:?}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn captures_reach_the_laboratorys_store_and_wait_while_it_is_away() {
    let Some(mut store) = Store::start() else { return };
    let (harness, metrics) = start(&store).await;
    for index in 0..3 {
        harness.drop_capture(&format!("a{index}.bmp"), &cell_of(ALL, index));
    }
    let status = store.held(3).await;
    let site = &status["sites"][0];
    assert_eq!((&site["site"], &site["waiting"]), (&"ward".into(), &0.into()));
    assert_eq!(site["verified"]["fault"], serde_json::Value::Null, "{site}");
    assert_eq!(samples(metrics).await.one("leukd_forward_up", &[]), 1.0);

    store.server.kill().unwrap();
    for index in 3..5 {
        harness.drop_capture(&format!("a{index}.bmp"), &cell_of(ALL, index));
    }
    harness.wait_results(5).await;
    let told = condition(&harness).await;
    assert!(told.contains("2 events wait"), "{told}");
    let now = samples(metrics).await;
    assert_eq!(now.one("leukd_forward_up", &[]), 0.0);
    assert_eq!(now.one("leukd_forward_waiting_events", &[]), 2.0);
    assert_eq!(now.one("leukd_degraded", &["store"]), 1.0);

    store.server.resume().unwrap();
    let status = store.held(5).await;
    assert_eq!(status["sites"][0]["verified"]["events"], 5, "{status}");
    let now = samples(metrics).await;
    assert_eq!(now.one("leukd_forward_events_total", &[]), 5.0);
    harness.stop().await;
}

#[test]
fn a_trial_of_a_whole_laboratory_ends_with_each_capture_in_the_store_once() {
    if programs().is_none() {
        eprintln!("skipped: PostgreSQL 15 or newer is not installed (apt install postgresql)");
        return;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_leukd"));
    command.args(["lab", "trial", "--captures", "4", "--json"]);
    let output = command.within(std::time::Duration::from_secs(300)).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&figures["captures"], &figures["events"]), (&8.into(), &8.into()), "{said}");
    assert!(said.contains("killed the store") && said.contains("killed the site east"), "{said}");
}

#[test]
fn a_store_that_cannot_be_used_is_named_by_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let check = |forward: &str| {
        let file = folder.path().join("leukd.toml");
        std::fs::write(&file, format!("[forward]\n{forward}")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_leukd"));
        command.args(["check", "--state"]).arg(folder.path()).arg("--config").arg(&file);
        let output = command.in_time().unwrap();
        assert_eq!(output.status.code(), Some(78));
        String::from_utf8(output.stderr).unwrap()
    };
    let url = "url = \"postgres://leukd_ward@127.0.0.1/leukd\"\n";
    for (forward, parts) in [
        (url.to_owned(), ["forward.site", "leukd lab init"]),
        (format!("site = \"Ward 3\"\n{url}"), ["leukd.toml:2", "lower-case"]),
        (
            "site = \"ward\"\nurl = \"postgres://a:b@h/d\"\n".to_owned(),
            ["leukd.toml:3", "password"],
        ),
        (format!("site = \"ward\"\n{url}password_file = \"/nowhere\"\n"), ["forward.", "/nowhere"]),
    ] {
        let told = check(&forward);
        assert!(parts.iter().all(|part| told.contains(part)), "{forward}: {told}");
    }
}
