//! `leukd demo`: the whole way from a synthetic capture to a streamed result, in a temporary
//! folder.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use super::error::CliError;
use super::output::{Output, remark};
use super::{json, show, specimen};
use crate::cell::synthetic::{self, Kind, smear};
use crate::clock::Clock;
use crate::config::settings::{Engine, Settings};
use crate::config::units::Bytes;
use crate::grpc::proto::results_client::ResultsClient;
use crate::grpc::proto::{GetSpecimenRequest, SubscribeRequest, event, subscribe_request};
use crate::result::RESEARCH_USE_ONLY;
use crate::telemetry;

/// Silence of the daemon, and number of idle heartbeats, after which the demo gives up.
const PATIENCE: Duration = Duration::from_secs(60);
const MOST_HEARTBEATS: u32 = 4;

/// First of the three drawn specimens; its counts end the demo.
const SPECIMEN: u32 = 900;

/// Specimen of the drawn field of view, and its white cells.
const FIELD: u32 = 903;
const FIELD_CELLS: u32 = 5;

/// Show leukd at work on synthetic cells: a temporary export folder, a daemon, a client
#[derive(Debug, Clone, clap::Args)]
pub(super) struct DemoArgs {
    /// Number of cells
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) cells: u32,
    /// The seed of the synthetic cells
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Operators that run the network
    #[arg(long, value_enum, default_value_t)]
    pub(super) engine: Engine,
    /// End after the last result: no field of view, no page
    #[arg(long)]
    pub(super) once: bool,
    /// One JSON object a line (Result)
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs it.
///
/// # Errors
/// What ends the daemon.
pub(super) fn run(args: &DemoArgs) -> Result<(), CliError> {
    let clock = Clock::system();
    let settings = Settings::default();
    telemetry::init("leukd=info,warn", settings.log.format, None)
        .map_err(|error| CliError::Software(error.to_string()))?;
    let runtime = super::serve::runtime()?;
    let ended = runtime.block_on(demo(args, settings, clock));
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

async fn demo(args: &DemoArgs, mut settings: Settings, clock: Clock) -> Result<(), CliError> {
    let io = |error: std::io::Error| CliError::Io(error.to_string());
    let folders = tempfile::tempdir().map_err(io)?;
    let export = folders.path().join("export");
    fs_err::create_dir(&export).map_err(io)?;
    settings.watch.folders = vec![export.clone()];
    settings.journal.directory = folders.path().join("state");
    settings.journal.disk_floor = Bytes(0);
    settings.model.engine = args.engine;
    settings.rpc.listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    settings.metrics.enabled = false;
    settings.page.enabled = !args.once;
    if TcpListener::bind(settings.page.listen).is_err() {
        // A daemon serves there already.
        settings.page.listen.set_port(0);
    }
    let daemon = super::serve::start(settings, clock).await?;
    let address = daemon.address();
    remark(RESEARCH_USE_ONLY);
    remark(&format!(
        "a daemon watches {}; these cells are drawn, not real: the model leaves them to a person",
        export.display()
    ));
    let (cells, seed) = (args.cells, args.seed);
    let field = export.join(format!("UID_{FIELD}_1_1_drawn.png"));
    let dropping = tokio::task::spawn_blocking(move || {
        (0..cells).try_for_each(|index| drop_capture(&export, seed, index))
    });
    let shown = tokio::select! {
        shown = show_results(args, address) => shown.map(|()| true),
        _ = tokio::signal::ctrl_c() => Ok(false),
    };
    let dropped = dropping.await.map_err(|error| CliError::Software(error.to_string()))?;
    if let (Ok(true), Ok(()), Some(page)) = (&shown, &dropped, daemon.page_address()) {
        let recipe = smear::Recipe { seed, white_cells: FIELD_CELLS, ..smear::Recipe::default() };
        fs_err::write(field, synthetic::png(&smear::draw(&recipe).picture)).map_err(io)?;
        remark(&format!("a drawn field of view follows as specimen {FIELD}"));
        remark(&format!("the page: http://{page}/ until Ctrl-C (--once ends here)"));
        tokio::signal::ctrl_c().await.map_err(io)?;
    }
    daemon.drain(Duration::from_secs(2)).await;
    dropped.map_err(io).and(shown.map(drop))
}

/// As the microscope's software would name it, without a label: a drawing has no diagnosis.
fn drop_capture(export: &Path, seed: u64, index: u32) -> std::io::Result<()> {
    let kind = if index.is_multiple_of(2) { Kind::Blast } else { Kind::Normal };
    let cell = synthetic::cell(seed.wrapping_add(u64::from(index)), kind);
    let name =
        format!("UID_{}_{}_{}_drawn.bmp", SPECIMEN + index % 3, index / 4 + 1, index % 4 + 1);
    fs_err::write(export.join(name), synthetic::bmp(&cell))
}

/// An ordinary client: subscribes, and prints the events.
async fn show_results(args: &DemoArgs, address: SocketAddr) -> Result<(), CliError> {
    let lost = |error: &dyn std::fmt::Display| {
        CliError::Unavailable(format!("the demo's daemon: {error}"))
    };
    let mut client =
        ResultsClient::connect(format!("http://{address}")).await.map_err(|e| lost(&e))?;
    let start = Some(subscribe_request::Start::Earliest(()));
    let request = SubscribeRequest { start, filter: None };
    let mut events = client.subscribe(request).await.map_err(|e| lost(&e.message()))?.into_inner();
    let out = Output::new();
    let (mut shown, mut heartbeats) = (0, 0);
    while shown < args.cells {
        let event = tokio::time::timeout(PATIENCE, events.message()).await;
        let event = event.map_err(|_| lost(&"no result came; its log stands above"))?;
        let event = event.map_err(|e| lost(&e.message()))?;
        if matches!(&event, Some(event) if matches!(event.kind, Some(event::Kind::Heartbeat(_)))) {
            heartbeats += 1;
            if heartbeats > MOST_HEARTBEATS {
                return Err(lost(&"no result came; its log stands above"));
            }
        }
        let Some(event) = event else { return Err(lost(&"the stream ended")) };
        if let Some(event::Kind::Result(result)) = event.kind {
            shown += 1;
            out.line(&if args.json {
                json::line(&result)?
            } else {
                show::result_line(&result, &out)
            })?;
        }
    }
    remark(&format!("{shown} captures, {shown} durable results, in order and without holes"));
    if args.json {
        return Ok(());
    }
    let request = GetSpecimenRequest { specimen: SPECIMEN.to_string(), slide: None };
    let counts = client.get_specimen(request).await.map_err(|e| lost(&e.message()))?.into_inner();
    specimen::lines(&counts).iter().try_for_each(|line| out.line(line))
}
