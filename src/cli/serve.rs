//! `leukd serve`: the daemon.

use std::path::Path;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{self, SignalKind};

use super::error::CliError;
use super::settings::SettingsArgs;
use super::start_error::{cannot_start, placed};
use super::status::rounded;
use crate::clock::Clock;
use crate::config::settings::Settings;
use crate::daemon::{self, Running};
use crate::grpc::transport::{ListenError, Listeners};
use crate::journal::{FILE, Sizes};
use crate::systemd::Notifier;
use crate::telemetry;

/// Run the daemon
///
/// Settings come from /etc/leukd/leukd.toml, --config, variables named LEUKD__SECTION__KEY, and
/// flags; a later one overrides an earlier one. SIGTERM stops the daemon after open requests.
/// SIGHUP reloads certificates, the access file and the model.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

/// Runs the daemon until a signal ends it.
///
/// # Errors
/// The configuration, or the daemon's failure.
pub(super) fn run(args: &ServeArgs) -> Result<(), CliError> {
    // The time until a model serves is counted from here.
    let clock = Clock::system();
    let loaded = args.settings.load()?;
    let log = &loaded.settings.log;
    let runtime = runtime()?;
    // The way to a collector, where there is one, is the runtime's.
    let entered = runtime.enter();
    telemetry::init(&log.level, log.format, log.otlp.as_deref())
        .map_err(|error| CliError::Software(error.to_string()))?;
    drop(entered);
    let drain = loaded.settings.rpc.drain.0;
    let ended = runtime.block_on(serve(loaded.settings, clock));
    let ended = ended.map_err(|error| placed(error, &loaded.origins));
    telemetry::flush();
    // Do not wait again for what the drain's deadline cut off.
    runtime.shutdown_timeout(drain.min(Duration::from_secs(1)));
    ended
}

/// A runtime for the daemon: its async work is small beside the workers', and the blocking threads
/// read the journal for clients.
pub(super) fn runtime() -> Result<Runtime, CliError> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(32)
        .thread_name("leukd-rpc")
        .enable_all()
        .build()
        .map_err(|error| CliError::Software(format!("cannot start the runtime: {error}")))
}

/// Listens, builds and starts a daemon.
pub(super) async fn start(settings: Settings, clock: Clock) -> Result<Running, CliError> {
    let rpc = &settings.rpc;
    let socket = rpc.socket.as_deref().map(|path| (path, rpc.socket_mode.0));
    let listeners = Listeners::open(rpc.tcp.then_some(rpc.listen), socket).await;
    let listeners = listeners.map_err(|error| match error {
        ListenError::NoSocket(_) => CliError::Data(error.to_string()),
        error => CliError::Unavailable(error.to_string()),
    })?;
    let metrics = match &settings.metrics {
        metrics if metrics.enabled => Some(listen_for_metrics(metrics.listen).await?),
        _ => None,
    };
    let page = match &settings.page {
        page if page.enabled => Some(listen_for_page(page.listen).await?),
        _ => None,
    };
    // A journal that opens slowly must not keep this task from signals.
    let built = tokio::task::spawn_blocking(move || daemon::build(settings, listeners, clock));
    let built = built.await.map_err(|error| CliError::Software(format!("no start: {error}")))?;
    let mut daemon = built.map_err(cannot_start)?;
    // The program that runs, even when a new version lies in its place by now.
    daemon = daemon.trying_with("/proc/self/exe".into());
    if let Some(metrics) = metrics {
        daemon = daemon.with_metrics(metrics);
    }
    if let Some(page) = page {
        daemon = daemon.with_page(page);
    }
    daemon.spawn().map_err(cannot_start)
}

async fn listen_for_metrics(listen: std::net::SocketAddr) -> Result<TcpListener, CliError> {
    TcpListener::bind(listen).await.map_err(|error| {
        CliError::Unavailable(format!(
            "cannot listen on {listen} for Prometheus: {error}; does another leukd run? Choose another \
             address with --metrics (metrics.listen), or serve none with --metrics off"
        ))
    })
}

async fn listen_for_page(listen: std::net::SocketAddr) -> Result<TcpListener, CliError> {
    TcpListener::bind(listen).await.map_err(|error| {
        CliError::Unavailable(format!(
            "cannot listen on {listen} for the web page: {error}; does another program serve there? Choose \
             another address with --page (page.listen), or serve none with --page off"
        ))
    })
}

/// The future's answer, or a wait for ever without one.
async fn of<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// The next beat, or a wait for ever without one.
async fn tick(beat: &mut Option<tokio::time::Interval>) {
    match beat {
        Some(beat) => {
            beat.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// With less free space a journal may not open: SQLite needs 32 KiB beside the file before it
/// reads, and a new journal some more.
const ROOM: u64 = 1 << 20;

fn is_full(directory: &Path) -> bool {
    rustix::fs::statvfs(directory)
        .is_ok_and(|stat| stat.f_bavail.saturating_mul(stat.f_frsize) < ROOM)
}

/// Waits until there is space, without a deadline: systemd would restart a process that ended a few
/// times, and then never again.
async fn space(directory: &Path, notifier: &Notifier) {
    let pause = Duration::from_secs(1);
    while is_full(directory) {
        notifier.extend_timeout(pause * 30);
        notifier.status(&format!("waiting for space: the disk of {} is full", directory.display()));
        tokio::time::sleep(pause).await;
    }
}

/// A start that takes longer is reported, and systemd is asked for more time.
const SLOW_START: Duration = Duration::from_secs(1);

/// Interval of these reports.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// Time that systemd gives from each report on.
const MORE_TIME: Duration = Duration::from_secs(60);

/// Waits for a start as long as it takes. SQLite reads the whole write-ahead log of a killed
/// process, and checks a journal that was not closed: a large one takes minutes on a slow disk.
async fn patient<T>(starting: impl Future<Output = T>, directory: &Path, notifier: &Notifier) -> T {
    tokio::pin!(starting);
    let began = tokio::time::Instant::now();
    let mut reports = tokio::time::interval_at(began + SLOW_START, REPORT_EVERY);
    loop {
        tokio::select! {
            started = &mut starting => return started,
            _ = reports.tick() => {
                let sizes = Sizes::of(&directory.join(FILE));
                let status = format!(
                    "opening the journal in {} for {} s: {}, and {} of write-ahead log",
                    directory.display(),
                    began.elapsed().as_secs(),
                    rounded(sizes.database),
                    rounded(sizes.write_ahead_log)
                );
                notifier.extend_timeout(MORE_TIME);
                notifier.status(&status);
                tracing::info!("{status}; clients are answered UNAVAILABLE meanwhile");
            }
        }
    }
}

/// A signal came before the journal was open: nothing was begun that must be finished.
#[expect(clippy::unnecessary_wraps, reason = "the end of a daemon, as any other")]
fn ended_early(notifier: &Notifier) -> Result<(), CliError> {
    notifier.stopping();
    tracing::info!("stopped before the journal was open");
    Ok(())
}

async fn serve(settings: Settings, clock: Clock) -> Result<(), CliError> {
    let signal = |kind| {
        unix::signal(kind)
            .map_err(|error| CliError::Software(format!("no signal handler: {error}")))
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let notifier = Notifier::new();
    let drain = settings.rpc.drain.0;
    let mut daemon = loop {
        let starting = start(settings.clone(), clock.clone());
        let started = tokio::select! {
            started = patient(starting, &settings.journal.directory, &notifier) => started,
            _ = terminate.recv() => return ended_early(&notifier),
            _ = interrupt.recv() => return ended_early(&notifier),
        };
        let error = match started {
            Ok(daemon) => break daemon,
            Err(error @ CliError::Io(_)) if is_full(&settings.journal.directory) => error,
            Err(error) => return Err(error),
        };
        tracing::error!("{error}; leukd waits for free space and then starts");
        tokio::select! {
            () = space(&settings.journal.directory, &notifier) => {}
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
    };
    let address = daemon.place().to_owned();
    notifier.ready(&format!("listening on {address}; loading the model"));
    let vitals = daemon.vitals();
    // An interval of its own: nothing else that happens puts the next beat off.
    let mut beat = notifier.watchdog().map(tokio::time::interval);
    let mut reloading = None;
    let serving = daemon.wait_serving();
    tokio::pin!(serving);
    let mut told_serving = false;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                notifier.reloading();
                reloading = Some(Box::pin(daemon.reload()));
            }
            reloaded = of(&mut reloading), if reloading.is_some() => {
                reloading = None;
                let status = match reloaded {
                    Ok(_) => format!("listening on {address}; model reloaded"),
                    Err(error) => format!("listening on {address}; reload failed: {error}"),
                };
                notifier.ready(&status);
            }
            () = &mut serving, if !told_serving => {
                told_serving = true;
                notifier.status(&format!("serving on {address}"));
            }
            () = tick(&mut beat), if beat.is_some() => {
                if vitals.are_good() {
                    notifier.alive();
                    vitals.fed();
                } else {
                    tracing::error!("no progress: watchdog not fed");
                }
            }
            why = daemon.failed() => {
                notifier.stopping();
                daemon.drain(drain).await;
                return Err(CliError::Software(why));
            }
        }
    }
    notifier.stopping();
    daemon.drain(drain).await;
    Ok(())
}
