//! Bridges to laboratory systems: the real daemon, the real `leukd bridge`, and receivers written
//! with what others made (tests/bridges).

#![allow(clippy::print_stdout)]

mod fhir;
mod files;
mod hl7;
mod kill;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use leukd::config::settings::Settings;
use leukd::config::units::Span;
use leukd::grpc::proto::event::Kind;
use leukd::grpc::proto::subscribe_request::Start;

use crate::clients::{Language, free_address, interpreter, root};
use crate::support::{ALL, Folders, HEM, Harness, cell_of, next, until};

/// A process of a test, which does not outlive it.
struct Running(Child);

impl Running {
    /// kill -9.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether Python and the libraries that read HL7 and FHIR are here.
async fn readers_are_here() -> bool {
    if !Language::Python.is_here().await {
        return false;
    }
    let mut python = interpreter();
    let found = python.args(["-c", "import hl7, hl7apy, fhir.resources"]).output().await;
    if found.is_ok_and(|output| output.status.success()) {
        return true;
    }
    let missing = "tests/bridges/requirements.txt is not installed";
    let required = std::env::var("LEUKD_REQUIRE_CLIENTS").unwrap_or_default();
    assert!(!required.contains("python"), "{missing}");
    println!("skipped: {missing}");
    false
}

/// The other side: tests/bridges/lims.py.
struct Lims {
    kind: &'static str,
    port: u16,
    log: PathBuf,
    more: Vec<String>,
    running: Option<Running>,
}

impl Lims {
    fn new(kind: &'static str, folder: &Path, more: &[&str]) -> Self {
        let more = more.iter().map(ToString::to_string).collect();
        let (port, log) = (free_address().port(), folder.join("taken.ndjson"));
        Self { kind, port, log, more, running: None }
    }

    /// Starts it, and waits until it listens.
    fn start(&mut self) {
        self.running = None;
        let program = std::env::var("LEUKD_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let mut command = Command::new(program);
        command.arg(root().join("tests/bridges/lims.py")).arg(self.kind);
        command.args(["--port", &self.port.to_string(), "--log"]).arg(&self.log).args(&self.more);
        command.env("PYTHONDONTWRITEBYTECODE", "1").stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.running = Some(Running(child));
        assert_eq!(line, "listening\n");
    }

    fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill();
        }
    }

    /// What it took, in order, by identifier. The last line may be under way.
    fn taken(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits for so many.
    async fn takes(&self, count: usize) -> Vec<serde_json::Value> {
        until("messages to be taken", async || {
            let taken = self.taken();
            (taken.len() >= count).then_some(taken)
        })
        .await
    }
}

/// A bridge that does not wait for long.
fn bridge(kind: &str, server: &str, to: &str, state: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leukd"));
    command.args(["bridge", kind, "--server", server, "--to", to, "--state"]).arg(state);
    command.args(["--pause", "20ms", "--longest-pause", "300ms"]).args(more);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn start(mut command: Command) -> Running {
    Running(command.spawn().unwrap())
}

/// A daemon whose specimens end after a second, named by the part before `_` of a file's name.
async fn daemon_on(folders: Folders) -> Harness {
    Harness::start_on(folders, quick).await
}

fn quick(settings: &mut Settings) {
    settings.specimen.quiet_after = Span::from_secs(1);
    settings.watch.name_pattern = r"^(?P<specimen>[^_]+)_(?P<cell>.+)\.bmp$".to_owned();
}

fn url(harness: &Harness) -> String {
    format!("http://{}", harness.daemon().address())
}

/// A cell of each of these specimens.
fn feed(folders: &Folders, specimens: std::ops::Range<u64>) {
    for number in specimens {
        let patches = if number.is_multiple_of(2) { ALL } else { HEM };
        folders.drop_capture(&format!("S{number}_1.bmp"), &cell_of(patches, number));
    }
}

/// Every specimen event of the journal: `epoch:sequence` and the specimen, in order.
async fn rounds(harness: &Harness) -> Vec<(String, String)> {
    let (_, mut stream) = harness.subscribe(Start::Earliest(())).await;
    let mut rounds = Vec::new();
    loop {
        match next(&mut stream).await.kind {
            Some(Kind::Specimen(event)) => {
                rounds.push((format!("{}:{}", event.epoch, event.sequence), event.specimen));
            }
            Some(Kind::Heartbeat(_)) => return rounds,
            _ => {}
        }
    }
}

/// Waits until so many specimens have an event.
async fn summarised(harness: &Harness, specimens: usize) -> Vec<(String, String)> {
    until("specimen events", async || {
        let rounds = rounds(harness).await;
        let names: BTreeSet<_> = rounds.iter().map(|(_, name)| name).collect();
        (names.len() >= specimens).then_some(rounds)
    })
    .await
}

/// Each identifier, and how often.
fn ids<'a>(taken: impl Iterator<Item = &'a str>) -> BTreeMap<String, u64> {
    let mut ids = BTreeMap::new();
    for id in taken {
        *ids.entry(id.to_owned()).or_default() += 1;
    }
    ids
}
