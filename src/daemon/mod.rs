//! The one place that knows all rooms: build → spawn → drain.

mod drift;
mod entrance;
mod feed;
mod forward;
mod model;
mod quiet;
mod running;
mod upkeep;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::cell::Limits;
use crate::cell::name::NamePattern;
use crate::clock::Clock;
use crate::condition::Conditions;
use crate::config::audited;
use crate::config::settings::Settings;
use crate::grpc::transport::Listeners;
use crate::grpc::{self, Entrance, Opening};
use crate::ingest::{Ingest, IngestSettings, Ledger};
use crate::journal::images::Images;
use crate::journal::types::{FileStamp, LedgerRow};
use crate::journal::{Journal, JournalError, Marked, Options, audit};
use crate::measure::{Calls, Counter, Pulse};
use crate::model::bundle::BundleSource;
use crate::model::pool::{Pool, physical_cores};
use crate::page::Page;
use crate::pipeline::{self, Pipeline, RuleSet, Trial};
use crate::result::CapturePath;
use crate::service::{self, Service};
use crate::summary::Marker;

use entrance::{Keys, LoginFailures};
use forward::Forward;
use model::{Loading, ModelKeeper};
use running::Doors;

pub use entrance::examine;
pub use running::{Drained, Running};
pub use upkeep::Vitals;

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting does not hold what it must.
    #[error("{key}: {message}")]
    Setting {
        /// The setting, as `section.key`.
        key: &'static str,
        /// The problem, and what to do.
        message: String,
    },
    /// The journal does not open.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The system gives no thread, or no address.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}

/// A daemon whose settings are checked and whose journal is open. Nothing runs yet but the loading
/// of its model.
pub struct Daemon {
    settings: Settings,
    listeners: Listeners,
    address: SocketAddr,
    keys: Keys,
    failures: LoginFailures,
    metrics: Option<TcpListener>,
    page: Option<TcpListener>,
    clock: Clock,
    journal: Journal,
    ingest: IngestSettings,
    names: NamePattern,
    rules: RuleSet,
    conditions: Conditions,
    keeper: Arc<ModelKeeper>,
    loading: Loading,
    trial: Option<Trial>,
}

/// Checks what can be checked before anything runs, begins to load the model and, beside that,
/// opens the journal: the model takes longest, so it goes first. Blocks until the journal is open;
/// clients are answered UNAVAILABLE meanwhile, where that takes longer than a moment. `clock` began
/// with the process: the time until a model serves is counted from there.
///
/// # Errors
/// See [`StartError`].
pub fn build(
    settings: Settings,
    listeners: impl Into<Listeners>,
    clock: Clock,
) -> Result<Daemon, StartError> {
    let ingest = IngestSettings::new(&settings.watch, settings.workers.backlog_queue as usize)
        .map_err(|error| StartError::Setting { key: "watch", message: error.to_string() })?;
    let names = NamePattern::new(&settings.watch.name_pattern)
        .map_err(|message| StartError::Setting { key: "watch.name_pattern", message })?;
    let rules = RuleSet::new(&settings.watch)
        .map_err(|error| StartError::Setting { key: "watch.rules", message: error.to_string() })?;
    let ingest = match &settings.specimen.done_marker {
        None => ingest,
        Some(glob) => ingest.with_markers(glob, &names).map_err(|error| StartError::Setting {
            key: "specimen.done_marker",
            message: error.to_string(),
        })?,
    };
    let admission = model::admission(&settings.model).map_err(|error| StartError::Setting {
        key: "model.trusted_keys",
        message: error.to_string(),
    })?;
    let bundle = settings.model.bundle.clone().map_or(BundleSource::Embedded, BundleSource::File);
    let options = Options {
        clock: clock.clone(),
        keep_for: settings.journal.keep_for.map(|span| span.0),
        keep_count: settings.journal.keep_count,
        disk_floor: settings.journal.disk_floor.0,
        tail: None,
        run: Some(audit::Run {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            model: model::origin(&bundle),
            settings: audited(&settings),
        }),
    };
    let conditions = Conditions::new(clock.clone());
    let keeper = Arc::new(ModelKeeper::new(
        bundle,
        model::kind(settings.model.engine),
        admission,
        settings.decision.review,
        conditions.clone(),
        clock.clone(),
    ));
    let (keys, failures) = entrance::open(&settings, &conditions, &clock)?;
    let listeners = listeners.into();
    let address = match &listeners.tcp {
        Some(tcp) => tcp.local_addr()?,
        None => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
    };
    let loading = keeper.begin()?;
    let opening = opening(&settings, &listeners, &keys);
    let journal = Journal::open(&settings.journal.directory, options);
    // The load beside may be waiting for it.
    let known = journal.as_ref().map(Journal::downgrade).unwrap_or_default();
    let _ = keeper.journal.set(known);
    let journal = journal?;
    if let Some(opening) = opening {
        opening.end();
    }
    Ok(Daemon {
        settings,
        listeners,
        address,
        keys,
        failures,
        metrics: None,
        page: None,
        clock,
        journal,
        ingest,
        names,
        rules,
        conditions,
        keeper,
        loading,
        trial: None,
    })
}

/// Answers at the same listeners until the journal is open.
fn opening(settings: &Settings, listeners: &Listeners, keys: &Keys) -> Option<Opening> {
    tokio::runtime::Handle::try_current().ok()?;
    let shared = listeners.share().inspect_err(|error| {
        tracing::debug!("clients wait until the journal is open: {error}");
    });
    Opening::begin(Entrance {
        listeners: shared.ok()?,
        keys: keys.tls.clone(),
        max_connections: settings.rpc.max_connections,
        gate: Arc::clone(&keys.gate),
    })
}

/// The journal as the folders' threads ask it.
struct FolderLedger(Journal);

impl Ledger for FolderLedger {
    fn lookup(&self, path: &CapturePath) -> Result<Option<LedgerRow>, String> {
        self.0.ledger(path).map_err(|error| error.to_string())
    }

    fn marked(
        &self,
        specimen: &str,
        marker: &CapturePath,
        stamp: &FileStamp,
    ) -> Result<bool, String> {
        let marker = Marker { path: marker.clone(), mtime_ns: stamp.mtime_ns };
        let marked = self.0.summarize_marked(specimen.to_owned(), marker);
        marked.map(|marked| marked != Marked::Early).map_err(|error| error.to_string())
    }
}

impl Daemon {
    /// Captures that were in hand at several deaths of the process are tried by this program, leukd
    /// itself, before they are blamed.
    #[must_use]
    pub fn trying_with(mut self, program: PathBuf) -> Self {
        self.trial = Some(Trial::with(program));
        self
    }

    /// Serves figures for Prometheus on this listener too.
    #[must_use]
    pub fn with_metrics(mut self, listener: TcpListener) -> Self {
        self.metrics = Some(listener);
        self
    }

    /// Serves the web page on this listener too.
    #[must_use]
    pub fn with_page(mut self, listener: TcpListener) -> Self {
        self.page = Some(listener);
        self
    }

    /// Starts everything else. The port answers at once; a model serves some tenths of a second
    /// later. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn spawn(self) -> Result<Running, StartError> {
        let Self {
            settings,
            listeners,
            address,
            keys,
            failures,
            metrics,
            page,
            clock,
            journal,
            ingest,
            names,
            rules,
            conditions,
            keeper,
            loading,
            trial,
        } = self;
        let threads = match settings.workers.threads {
            0 => physical_cores(),
            threads => threads as usize,
        };
        let pool = Pool::new(
            threads,
            settings.workers.interactive_queue as usize,
            settings.workers.backlog_queue as usize,
        )?;
        let pipeline = Pipeline::new(pipeline::Parts {
            registry: Arc::clone(&keeper.registry),
            pool,
            journal: journal.clone(),
            limits: Limits {
                max_bytes: settings.image.max_file.0,
                max_side: settings.image.max_side,
                max_memory: settings.image.max_memory.0,
            },
            rules,
            max_request_bytes: settings.rpc.max_image_bytes.0,
            names,
            conditions: conditions.clone(),
            clock: clock.clone(),
            images: Images::open(
                &settings.journal.directory,
                settings.journal.keep_images,
                settings.journal.max_images.0,
            ),
            again: pipeline::Again::default(),
            turns: pipeline::Turns::default(),
            trial,
        });
        let (ingest, captures) =
            Ingest::spawn(&ingest, FolderLedger(journal.clone()), clock.clone())?;
        let forward = Forward::new(&settings.forward, &journal, &clock)?;
        let service = Arc::new(Service {
            forward: forward.as_ref().map(Forward::progress),
            pipeline,
            journal,
            ingest,
            reloader: Arc::clone(&keeper) as Arc<dyn service::Reloader>,
            conditions,
            limits: limits(&settings),
            started_at: clock.wall(),
            pulse: Arc::new(Pulse::new(clock.clone())),
            clock,
            serving_since: Arc::clone(&keeper.serving_since),
            time_to_serving: Arc::clone(&keeper.time_to_serving),
            stop: CancellationToken::new(),
            places: Service::places(settings.rpc.max_subscribers),
            calls: Arc::new(Calls::new(grpc::methods())),
            slow_dropped: Counter::default(),
            drift: Arc::default(),
        });
        let tls = keys.tls.is_some();
        let at = match &listeners.unix {
            Some(unix) if listeners.tcp.is_none() => unix.path().display().to_string(),
            Some(unix) => format!("{address} and {}", unix.path().display()),
            None => address.to_string(),
        };
        tracing::info!(
            workers = threads,
            folders = ?settings.watch.folders,
            state = %settings.journal.directory.display(),
            epoch = service.journal.epoch(),
            audit_head = %service.journal.audit_head(),
            tls,
            "listening on {at}"
        );
        let entrance = Entrance {
            listeners,
            keys: keys.tls.clone(),
            max_connections: entrance::connections(settings.rpc.max_connections),
            gate: Arc::clone(&keys.gate),
        };
        let page = page.map(|listener| Page {
            listener,
            gate: Arc::clone(&keys.gate),
            lock_after: settings.page.lock_after.0,
            blind_first: settings.page.blind_first,
        });
        let mut running = Running::start(
            Arc::clone(&service),
            Doors { entrance, address, place: at, metrics, page },
            settings.specimen.quiet_after.0,
            (keys, failures),
            keeper,
            captures,
            loading,
        )?;
        if let Some(forward) = forward {
            running.keep(forward.run(service.conditions.clone(), service.stop.clone()));
        }
        Ok(running)
    }
}

fn limits(settings: &Settings) -> service::Limits {
    let own_folder = || settings.model.bundle.as_ref()?.parent().map(PathBuf::from);
    service::Limits {
        max_image_bytes: settings.rpc.max_image_bytes.0,
        heartbeat: settings.rpc.heartbeat.0,
        subscriber_buffer: settings.rpc.subscriber_buffer as usize,
        slow_after: settings.rpc.slow_after.0,
        max_subscribers: settings.rpc.max_subscribers,
        model_folder: settings.model.folder.clone().or_else(own_folder),
        specimen_flags: settings.specimen.flags.clone(),
        sign_off_readers: settings.specimen.sign_off_readers,
    }
}
