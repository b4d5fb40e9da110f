//! `leukd bridge`: a client of the daemon that takes specimens to laboratory systems.

mod deliver;
mod figures;
mod follow;
mod kinds;
mod round;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use leukd_bridge::{ClientKeys, Destination, Message, Patience, Place, Round, State, StateError};
use tokio_util::sync::CancellationToken;

use super::error::CliError;
use super::output::remark;
use super::remote::{self, ServerArgs};
use crate::config::settings::LogFormat;
use crate::config::units::Span;
use crate::metrics;
use crate::result::RESEARCH_USE_ONLY;
use crate::systemd::Notifier;
use crate::telemetry;
use deliver::Delivery;
use figures::Figures;

/// Takes each specimen's counts to a laboratory system: by HL7 v2, by FHIR or as CSV files
///
/// A bridge follows the daemon as a client, sends one message for each round of a specimen, and
/// moves its cursor only when the other side has taken it. After any break it continues where it
/// was: the same message with the same identifier comes again, so that a repeat can be told.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct BridgeArgs {
    #[command(subcommand)]
    kind: kinds::KindArgs,
}

/// What every bridge takes.
#[derive(Debug, Clone, clap::Args)]
struct CommonArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The bridge's own folder: its cursor, the message under way and dead letters
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Begin with what is stored from now on, where the folder has no cursor yet [default: with the
    /// oldest that is kept]
    #[arg(long)]
    from_now: bool,
    /// End when everything that is stored now was sent
    #[arg(long)]
    once: bool,
    /// Check the settings and their files, send nothing
    #[arg(long)]
    check: bool,
    /// Refusals of one message after which it becomes a dead letter
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    refusals: u32,
    /// Dead letters at which no more are made: the message that is refused then waits
    #[arg(long, value_name = "N", default_value_t = 1000)]
    max_dead_letters: u64,
    /// Send dead letters again first, the oldest first; one that is taken is removed
    #[arg(long)]
    retry_dead_letters: bool,
    /// The wait after a failure; it doubles with each further one
    #[arg(long, value_name = "TIME", default_value = "1s")]
    pause: Span,
    /// The longest wait between two attempts
    #[arg(long, value_name = "TIME", default_value = "1m")]
    longest_pause: Span,
    /// Serve metrics for Prometheus at this address, at /metrics
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// What is logged, as log.level of the daemon's configuration
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log_level: String,
}

/// The other side, where it is reached over the network.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Destination")]
struct NetworkArgs {
    /// The CA of the other side's certificate (PEM) [default: those that this machine trusts]
    #[arg(long, value_name = "FILE")]
    to_ca: Option<PathBuf>,
    /// The certificate to show to the other side (PEM)
    #[arg(long, value_name = "FILE", requires = "to_key")]
    to_cert: Option<PathBuf>,
    /// The key of --to-cert (PEM)
    #[arg(long, value_name = "FILE", requires = "to_cert")]
    to_key: Option<PathBuf>,
    /// Limit on the wait for a connection
    #[arg(long, value_name = "TIME", default_value = "10s")]
    connect_within: Span,
    /// Limit on the wait for an answer
    #[arg(long, value_name = "TIME", default_value = "30s")]
    answer_within: Span,
}

impl NetworkArgs {
    fn keys(&self) -> ClientKeys {
        let own = self.to_cert.clone().zip(self.to_key.clone());
        ClientKeys { ca: self.to_ca.clone(), own }
    }

    /// Files of TLS beside an address without it would be taken for protection.
    fn clear(&self, to: &str) -> Result<(), CliError> {
        if self.keys().any() {
            let wanted = "--to-ca and --to-cert are for mllps:// and https://";
            return Err(CliError::Usage(format!("{to}: {wanted}")));
        }
        Ok(())
    }
}

/// Makes the message of a round.
type Encode = Box<dyn Fn(&Round) -> Message>;

/// A bridge whose settings were read.
struct Bridge {
    /// Its kind, which its folder remembers.
    name: &'static str,
    /// The destination, for people.
    to: String,
    common: CommonArgs,
    encode: Encode,
    destination: Box<dyn Destination>,
}

impl Bridge {
    const fn patience(&self) -> Patience {
        Patience {
            first_pause: self.common.pause.0,
            longest_pause: self.common.longest_pause.0,
            refusals: self.common.refusals,
        }
    }
}

/// Runs it.
///
/// # Errors
/// The settings, the folder, or a refusal of the daemon that stays.
pub(super) fn run(args: BridgeArgs) -> Result<(), CliError> {
    let bridge = args.kind.build()?;
    bridge.common.server.check()?;
    if bridge.common.check {
        remark(&format!("the settings work: {} to {}", bridge.name, bridge.to));
        return Ok(());
    }
    let state = State::open(&bridge.common.state, bridge.name).map_err(|error| kept(&error))?;
    telemetry::init(&bridge.common.log_level, LogFormat::Auto, None)
        .map_err(|error| CliError::Usage(format!("--log-level: {error}")))?;
    remote::runtime()?.block_on(serve(bridge, state))
}

/// The error of a bridge's folder.
fn kept(error: &StateError) -> CliError {
    match error {
        StateError::Io(_) => CliError::Io(format!("--state: {error}")),
        StateError::InUse(_) => CliError::Unavailable(format!("--state: {error}")),
        StateError::Damaged(..) | StateError::Kind(..) => {
            CliError::Data(format!("--state: {error}"))
        }
    }
}

async fn serve(bridge: Bridge, state: State) -> Result<(), CliError> {
    let figures = Arc::new(Figures::new(bridge.name, &state));
    let stop = CancellationToken::new();
    if let Some(address) = bridge.common.metrics {
        let listener = tokio::net::TcpListener::bind(address).await.map_err(|error| {
            CliError::Usage(format!("--metrics: cannot listen on {address}: {error}"))
        })?;
        tracing::info!("metrics at http://{}/metrics", listener.local_addr().unwrap_or(address));
        let figures = Arc::clone(&figures);
        let page = move |open_metrics| std::future::ready(figures.page(open_metrics));
        tokio::spawn(metrics::serve_page(listener, stop.clone(), page));
    }
    let cursor = state.cursor().map(|cursor| cursor.sequence);
    tracing::info!(bridge = bridge.name, to = bridge.to, cursor, "bridge started");
    tracing::info!("{RESEARCH_USE_ONLY}");
    Notifier::new().ready("started");
    let patience = bridge.patience();
    let Bridge { common, encode, destination, .. } = bridge;
    let limit = common.max_dead_letters;
    let mut delivery = Delivery::new(state, destination, patience, limit, Arc::clone(&figures));
    if common.retry_dead_letters {
        delivery.retry_dead_letters().await?;
    }
    // What was under way at the last end comes first.
    delivery.finish().await?;
    let ended = follow::follow(&common, &encode, &mut delivery, &figures).await;
    stop.cancel();
    ended
}

/// The destination as it is written on the command line.
fn place(to: &str) -> Result<Place, CliError> {
    Place::parse(to).map_err(|error| CliError::Usage(format!("--to: {error}")))
}
