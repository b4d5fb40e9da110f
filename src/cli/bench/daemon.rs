//! A daemon in this process, a client beside it: from folder to event, and a request's way.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use tonic::transport::Channel;

use super::cells::drawn;
use super::statistics::quantile;
use crate::cli::error::CliError;
use crate::clock::Clock;
use crate::config::settings::{Engine, Settings};
use crate::config::units::Bytes;
use crate::daemon::Running;
use crate::grpc::proto::classifier_client::ClassifierClient;
use crate::grpc::proto::results_client::ResultsClient;
use crate::grpc::proto::{ClassifyRequest, Result as CellResult, SubscribeRequest, Timings};
use crate::grpc::proto::{event, subscribe_request};
use crate::model::engine::EngineKind;

/// Captures that are dropped, one after the other.
const CAPTURES: u64 = 20;

/// Requests, one after the other.
const REQUESTS: u64 = 40;

/// Nothing here takes so long unless it never comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Measured times, each without the network's part.
#[derive(Debug, Serialize)]
pub(super) struct DaemonFigures {
    captures: u64,
    /// The settling time of a file, part of the two that follow.
    pub(super) settle_ms: f64,
    /// From a file's last byte to its event at the client.
    pub(super) folder_to_event_p50_ms: f64,
    /// The slowest 1 % of so few are the slowest one.
    pub(super) folder_to_event_p99_ms: f64,
    requests: u64,
    /// A request's round trip without the stages in its result: transport, hashing and the durable
    /// commit.
    pub(super) rpc_overhead_p50_ms: f64,
    pub(super) rpc_overhead_p99_ms: f64,
}

/// Measures it with the defaults of a daemon, in temporary folders.
///
/// # Errors
/// A failure of the daemon or its client.
pub(super) fn measure(model: Option<&Path>, kind: EngineKind) -> Result<DaemonFigures, CliError> {
    let runtime = crate::cli::serve::runtime()?;
    let measured = runtime.block_on(run(model, kind));
    runtime.shutdown_timeout(Duration::from_secs(1));
    measured
}

async fn run(model: Option<&Path>, kind: EngineKind) -> Result<DaemonFigures, CliError> {
    let io = |error: std::io::Error| CliError::Io(error.to_string());
    let folders = tempfile::tempdir().map_err(io)?;
    let export = folders.path().join("export");
    fs_err::create_dir(&export).map_err(io)?;
    let mut settings = Settings::default();
    settings.watch.folders = vec![export.clone()];
    settings.journal.directory = folders.path().join("state");
    settings.journal.disk_floor = Bytes(0);
    settings.rpc.listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    settings.metrics.enabled = false;
    settings.page.enabled = false;
    settings.model.bundle = model.map(std::path::absolute).transpose().map_err(io)?;
    // A measured bundle was named by a person.
    let name = model.and_then(Path::file_name).and_then(|name| name.to_str());
    settings.model.allow_unsigned = name.iter().map(|name| (*name).to_owned()).collect();
    settings.model.engine = match kind {
        EngineKind::Fused => Engine::Fused,
        EngineKind::Stock => Engine::Stock,
    };
    let settle = settings.watch.settle_interval.0 * (settings.watch.settle_looks - 1);
    let daemon = crate::cli::serve::start(settings, Clock::system()).await?;
    let measured = measure_on(&daemon, &export, settle).await;
    daemon.drain(Duration::from_secs(2)).await;
    measured
}

async fn measure_on(
    daemon: &Running,
    export: &Path,
    settle: Duration,
) -> Result<DaemonFigures, CliError> {
    in_time(daemon.wait_serving()).await?;
    let url = format!("http://{}", daemon.address());
    let channel = Channel::from_shared(url).map_err(|error| lost(&error))?;
    let channel = channel.tcp_nodelay(true).connect().await.map_err(|error| lost(&error))?;
    let folder = folder(channel.clone(), export).await?;
    let requests = requests(channel).await?;
    Ok(DaemonFigures {
        captures: CAPTURES,
        settle_ms: ms(settle),
        folder_to_event_p50_ms: quantile(&folder, 0.5),
        folder_to_event_p99_ms: quantile(&folder, 0.99),
        requests: REQUESTS,
        rpc_overhead_p50_ms: quantile(&requests, 0.5),
        rpc_overhead_p99_ms: quantile(&requests, 0.99),
    })
}

/// Drops captures one by one; milliseconds until the event came, without the network's.
async fn folder(channel: Channel, export: &Path) -> Result<Vec<f64>, CliError> {
    let start = Some(subscribe_request::Start::Earliest(()));
    let request = SubscribeRequest { start, filter: None };
    let mut client = ResultsClient::new(channel);
    let mut events = client.subscribe(request).await.map_err(|e| lost(&e.message()))?.into_inner();
    let mut all = Vec::new();
    for seed in 0..CAPTURES {
        let bytes = drawn(seed);
        let file = export.join(format!("UID_{}_1_1_drawn.bmp", 900 + seed));
        fs_err::write(&file, bytes).map_err(|error| CliError::Io(error.to_string()))?;
        let dropped = Instant::now();
        let result = loop {
            let event = in_time(events.message()).await?.map_err(|e| lost(&e.message()))?;
            let Some(event) = event else { return Err(lost(&"the stream ended")) };
            if let Some(event::Kind::Result(result)) = event.kind {
                break result;
            }
        };
        let took = dropped.elapsed();
        all.push(ms(took.saturating_sub(stages(&result, |timings| vec![timings.infer]))));
    }
    Ok(all)
}

/// Sends requests one by one; milliseconds of the round trip without the stages in the result.
async fn requests(channel: Channel) -> Result<Vec<f64>, CliError> {
    let mut client = ClassifierClient::new(channel);
    let mut all = Vec::new();
    for seed in 0..REQUESTS {
        // No picture of the folder's: that would be answered from the journal.
        let request = ClassifyRequest { image: drawn(10_000 + seed), ..ClassifyRequest::default() };
        let sent = Instant::now();
        let answer = in_time(client.classify(request)).await?.map_err(|e| lost(&e.message()))?;
        let took = sent.elapsed();
        let result = answer.into_inner().result.unwrap_or_default();
        let known = stages(&result, |timings| {
            vec![timings.queue, timings.decode, timings.preprocess, timings.infer]
        });
        all.push(ms(took.saturating_sub(known)));
    }
    Ok(all)
}

fn stages(
    result: &CellResult,
    of: impl Fn(&Timings) -> Vec<Option<prost_types::Duration>>,
) -> Duration {
    let stages = result.timings.as_ref().map(of).unwrap_or_default();
    stages.into_iter().flatten().filter_map(|stage| Duration::try_from(stage).ok()).sum()
}

fn ms(length: Duration) -> f64 {
    length.as_secs_f64() * 1e3
}

async fn in_time<T>(answer: impl Future<Output = T>) -> Result<T, CliError> {
    tokio::time::timeout(PATIENCE, answer).await.map_err(|_| lost(&"it does not answer"))
}

fn lost(error: &dyn std::fmt::Display) -> CliError {
    CliError::Unavailable(format!("the daemon that is measured: {error}"))
}
