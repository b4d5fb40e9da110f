//! This very program as a process of its own: how long until it serves, and how much memory it
//! takes.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::cells::drawn;
use super::machine::peak_memory;
use super::statistics::{least, median};
use crate::cli::error::CliError;
use crate::grpc::proto::ClassifyRequest;
use crate::grpc::proto::classifier_client::ClassifierClient;
use crate::model::engine::EngineKind;

/// Processes, one after the other.
const RUNS: usize = 5;

/// Cells that each process classifies on all its workers before its memory is read.
const CELLS: u64 = 16;

/// Limit on every wait here.
const PATIENCE: Duration = Duration::from_secs(30);

/// Interval between two health checks.
const ASK_EVERY: Duration = Duration::from_millis(2);

/// Measured figures.
#[derive(Debug, Serialize)]
pub(super) struct StartFigures {
    runs: usize,
    /// From the process's start until its health says SERVING.
    pub(super) to_serving_ms_median: f64,
    /// The quickest one's.
    pub(super) to_serving_ms_min: f64,
    /// The most memory that one of them held (VmHWM), after it has classified some cells on all its
    /// workers.
    pub(super) peak_memory_bytes: u64,
}

/// Measures it with a daemon's defaults, in temporary folders.
///
/// # Errors
/// A failure of the process or its client.
pub(super) fn measure(model: Option<&Path>, kind: EngineKind) -> Result<StartFigures, CliError> {
    let runtime = crate::cli::remote::runtime()?;
    let (mut times, mut peak) = (Vec::new(), 0);
    for _ in 0..RUNS {
        let (took, bytes) = once(model, kind, &runtime)?;
        times.push(took.as_secs_f64() * 1e3);
        peak = peak.max(bytes);
    }
    Ok(StartFigures {
        runs: RUNS,
        to_serving_ms_median: median(&times),
        to_serving_ms_min: least(&times),
        peak_memory_bytes: peak,
    })
}

fn once(
    model: Option<&Path>,
    kind: EngineKind,
    runtime: &tokio::runtime::Runtime,
) -> Result<(Duration, u64), CliError> {
    let io = |error: std::io::Error| CliError::Io(error.to_string());
    let folder = tempfile::tempdir().map_err(io)?;
    let mut command = Command::new(std::env::current_exe().map_err(io)?);
    command
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--metrics",
            "off",
            "--page",
            "off",
            "--engine",
            kind.word(),
            "--state",
        ])
        .arg(folder.path().join("state"))
        // No settings but these, wherever this machine keeps some.
        .env_clear()
        .env("CONFIGURATION_DIRECTORY", folder.path())
        .env("LEUKD__JOURNAL__DISK_FLOOR", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    if let Some(model) = model {
        command.arg("--model").arg(model);
        // A measured bundle was named by a person.
        if let Some(name) = model.file_name() {
            command.arg("--allow-unsigned").arg(name);
        }
    }
    let started = Instant::now();
    let mut process = Process(command.spawn().map_err(io)?);
    let address = process.address(started)?;
    let asked = runtime.block_on(async {
        let asking = tokio::time::timeout(PATIENCE, ask(&address, started));
        asking.await.map_err(|_| lost(&"it does not serve"))?
    });
    let took = asked?;
    let peak = peak_memory(process.0.id()).ok_or_else(|| lost(&"its memory cannot be read"))?;
    Ok((took, peak))
}

/// Waits until it serves, then has it classify on all its workers; how long the first took.
async fn ask(address: &str, started: Instant) -> Result<Duration, CliError> {
    let channel = Channel::from_shared(format!("http://{address}")).map_err(|e| lost(&e))?;
    let channel = channel.connect().await.map_err(|error| lost(&error))?;
    let mut health = HealthClient::new(channel.clone());
    let took = loop {
        let request = HealthCheckRequest { service: "leukd.v1.Classifier".to_owned() };
        let answer = health.check(request).await.map_err(|error| lost(&error.message()))?;
        if answer.into_inner().status() == ServingStatus::Serving {
            break started.elapsed();
        }
        tokio::time::sleep(ASK_EVERY).await;
    };
    let classifier = ClassifierClient::new(channel);
    let requests = (0..CELLS).map(|seed| {
        let mut classifier = classifier.clone();
        let request = ClassifyRequest { image: drawn(seed), ..ClassifyRequest::default() };
        async move { classifier.classify(request).await.map_err(|error| lost(&error.message())) }
    });
    futures_util::future::try_join_all(requests).await?;
    Ok(took)
}

/// A daemon's process, which does not outlive this.
struct Process(Child);

impl Process {
    /// The address from its log. The rest of the log is discarded, so that the process never waits.
    fn address(&mut self, started: Instant) -> Result<String, CliError> {
        let Some(stderr) = self.0.stderr.take() else { return Err(lost(&"it has no log")) };
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        let mut last = String::new();
        loop {
            let left = PATIENCE.saturating_sub(started.elapsed());
            let Ok(line) = told.recv_timeout(left) else {
                return Err(lost(&format!("it does not listen; its last word: {last}")));
            };
            if let Some((_, rest)) = line.split_once("listening on ") {
                return Ok(rest.split_whitespace().next().unwrap_or_default().to_owned());
            }
            last = line;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It keeps nothing: its state is a temporary folder.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn lost(error: &dyn std::fmt::Display) -> CliError {
    CliError::Unavailable(format!("the process that is measured: {error}"))
}
