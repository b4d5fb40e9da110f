//! A daemon at work, and how it stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::drift;
use super::entrance::{Keys, LoginFailures};
use super::feed::Feeder;
use super::model::{Loading, ModelKeeper};
use super::quiet;
use super::upkeep::{self, Vitals};
use crate::access::kept::Look;
use crate::grpc::{self, Entrance, Health, ServeError};
use crate::ingest::Captures;
use crate::journal::AuditEvent;
use crate::metrics;
use crate::model::registry::ReloadError;
use crate::page::{self, Page};
use crate::result::Digest;
use crate::service::{Reloader as _, Service};

/// Where clients come in.
pub(super) struct Doors {
    pub(super) entrance: Entrance,
    /// Of the gRPC port.
    pub(super) address: SocketAddr,
    /// The same for people, with the socket.
    pub(super) place: String,
    pub(super) metrics: Option<TcpListener>,
    pub(super) page: Option<Page>,
}

/// A daemon at work.
#[derive(Debug)]
pub struct Running {
    service: Arc<Service>,
    address: SocketAddr,
    place: String,
    keys: Keys,
    metrics_address: Option<SocketAddr>,
    page_address: Option<SocketAddr>,
    keeper: Arc<ModelKeeper>,
    serving: watch::Receiver<bool>,
    health: watch::Receiver<Option<Health>>,
    server: JoinHandle<Result<(), ServeError>>,
    /// Browsers' connections; ends with the stop, within a second.
    pages: JoinSet<()>,
    feeder: JoinHandle<()>,
    upkeep: JoinSet<()>,
    /// Stores login failures, until `last` says that no more come.
    failures: JoinSet<()>,
    last: CancellationToken,
}

/// The digest of the model before, or why there is no new one.
type Loaded = Result<Option<Digest>, ReloadError>;

/// Loads the configured bundle off the async threads. It ends by itself in bounded time and is
/// never aborted.
async fn reload(keeper: Arc<ModelKeeper>, by: &'static str) -> Loaded {
    ended(tokio::task::spawn_blocking(move || Ok(keeper.reload(None, by))).await)
}

/// Outcome of a load on its own thread.
fn ended(loaded: Result<std::thread::Result<Loaded>, tokio::task::JoinError>) -> Loaded {
    if let Ok(Ok(loaded)) = loaded {
        return loaded;
    }
    tracing::error!("loading the model panicked");
    Ok(None)
}

/// Ends only when the task panicked: a feeder without folders ends at once, and rightly.
async fn ended_by_defect(feeder: &mut JoinHandle<()>) -> String {
    if !feeder.is_finished()
        && let Err(error) = feeder.await
    {
        return format!("the folders' feeder failed: {error}");
    }
    std::future::pending().await
}

/// Outcome of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Everything ended by itself within the deadline; nothing had to be cut off.
    pub clean: bool,
}

impl Running {
    pub(super) fn start(
        service: Arc<Service>,
        doors: Doors,
        quiet_after: Duration,
        (keys, failures): (Keys, LoginFailures),
        keeper: Arc<ModelKeeper>,
        captures: Captures,
        loading: Loading,
    ) -> std::io::Result<Self> {
        let Doors { entrance, address, place, metrics, page } = doors;
        let metrics_address = metrics.as_ref().map(TcpListener::local_addr).transpose()?;
        let page_address = page.as_ref().map(|page| page.listener.local_addr()).transpose()?;
        let serving = keeper.serves.subscribe();
        let (tell_health, health) = watch::channel(None);
        let server = tokio::spawn(grpc::serve(entrance, Arc::clone(&service), move |health| {
            tell_health.send_replace(Some(health));
        }));
        let workers = service.pipeline.pool().status().workers;
        let feeder = Feeder {
            captures,
            ingest: service.ingest.clone(),
            pipeline: service.pipeline.clone(),
            serves: serving.clone(),
            // One with each worker, one ready for it, and as many as share a commit on their way to
            // the disk.
            at_once: workers * 8,
            stop: service.stop.clone(),
        };
        let mut upkeep = JoinSet::new();
        upkeep.spawn(upkeep::prune(Arc::clone(&service)));
        upkeep.spawn(upkeep::tell_head(service.journal.clone(), service.stop.clone()));
        upkeep.spawn(quiet::tell(
            service.journal.clone(),
            service.clock.clone(),
            quiet_after,
            service.stop.clone(),
        ));
        upkeep.spawn(drift::count(
            service.journal.clone(),
            service.clock.clone(),
            Arc::clone(&service.drift),
            service.stop.clone(),
        ));
        upkeep.spawn(upkeep::watch_folders(Arc::clone(&service)));
        upkeep.spawn(upkeep::tell_health(serving.clone(), health.clone(), service.stop.clone()));
        upkeep.spawn(upkeep::settle(service.journal.clone(), service.stop.clone()));
        upkeep.spawn(keys.clone().keep(service.journal.downgrade(), service.stop.clone()));
        let last = CancellationToken::new();
        let kept = failures.keep(service.journal.clone(), last.clone());
        let mut failures = JoinSet::new();
        failures.spawn(kept);
        if let (Some(listener), Some(address)) = (metrics, metrics_address) {
            tracing::info!("serving metrics at http://{address}/metrics");
            upkeep.spawn(metrics::serve(listener, Arc::clone(&service)));
        }
        let mut pages = JoinSet::new();
        if let (Some(page), Some(address)) = (page, page_address) {
            tracing::info!("serving the page at http://{address}/");
            pages.spawn(page::serve(page, Arc::clone(&service)));
        }
        let again = Arc::clone(&keeper);
        upkeep.spawn(async move {
            let mut loaded = ended(tokio::task::spawn_blocking(move || loading.join()).await);
            // A reload that came first has its turn first.
            while let Err(ReloadError::Busy) = loaded {
                tokio::time::sleep(Duration::from_millis(100)).await;
                loaded = reload(Arc::clone(&again), "start").await;
            }
        });
        let feeder = tokio::spawn(feeder.run());
        Ok(Self {
            service,
            address,
            place,
            keys,
            metrics_address,
            page_address,
            keeper,
            serving,
            health,
            server,
            pages,
            feeder,
            upkeep,
            failures,
            last,
        })
    }

    /// Runs this beside everything else, until the stop.
    pub(super) fn keep(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.upkeep.spawn(task);
    }

    /// Where it listens; port 0 when it serves the socket alone.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same for people, with the socket.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Where it serves figures for Prometheus, if it does.
    #[must_use]
    pub const fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Where it serves the web page, if it does.
    #[must_use]
    pub const fn page_address(&self) -> Option<SocketAddr> {
        self.page_address
    }

    /// Signs of life, for a watchdog.
    #[must_use]
    pub fn vitals(&self) -> Vitals {
        Vitals::new(Arc::clone(&self.service))
    }

    /// Ends when a model is in service.
    pub fn wait_serving(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut serving = self.serving.clone();
        async move {
            // The sender lives as long as the keeper.
            let _ = serving.wait_for(|serves| *serves).await;
        }
    }

    /// Reads certificates and the access file again, and then loads the configured bundle again.
    ///
    /// # Errors
    /// The previous model stays in service. `GetStatus` and the log report keys and rules that do
    /// not work.
    pub fn reload(
        &self,
    ) -> impl Future<Output = Result<Option<Digest>, ReloadError>> + Send + use<> {
        let (keeper, keys) = (Arc::clone(&self.keeper), self.keys.clone());
        async move {
            let _ = tokio::task::spawn_blocking(move || keys.look(Look::Asked)).await;
            reload(keeper, "SIGHUP").await
        }
    }

    /// Waits for an unexpected end of the server or the feeder, and returns its reason.
    pub async fn failed(&mut self) -> String {
        tokio::select! {
            server = &mut self.server => match server {
                Ok(Ok(())) => "the gRPC server ended".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            },
            error = ended_by_defect(&mut self.feeder) => error,
        }
    }

    /// Stops: no new captures or calls, streams end with UNAVAILABLE, what is under way is finished
    /// and stored. After `deadline` whatever still runs is cut off; nothing that was stored is lost
    /// by it.
    pub async fn drain(mut self, deadline: Duration) -> Drained {
        let until = tokio::time::Instant::now() + deadline;
        tracing::info!("stopping, within {} s", deadline.as_secs_f32());
        let health = self.health.borrow().clone();
        if let Some(health) = health {
            health.stopping().await;
        }
        self.service.ingest.stop();
        self.service.stop.cancel();
        let ended = async {
            if !self.feeder.is_finished() {
                let _ = (&mut self.feeder).await;
            }
            if !self.server.is_finished() {
                let _ = (&mut self.server).await;
            }
            while self.pages.join_next().await.is_some() {}
        };
        let in_time = tokio::time::timeout_at(until, ended).await.is_ok();
        self.server.abort();
        self.feeder.abort();
        let _ = tokio::time::timeout(Duration::from_millis(500), self.upkeep.shutdown()).await;
        let service = Arc::clone(&self.service);
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        // A thread of its own: the runtime's blocking ones may all hang in what is being cut off.
        let (tell, told) = tokio::sync::oneshot::channel();
        let left = left.max(Duration::from_millis(100));
        let joined = std::thread::Builder::new().name("leukd-drain".to_owned()).spawn(move || {
            let workers = service.pipeline.pool().shutdown(left);
            let folders = service.ingest.join(Duration::from_millis(500));
            if !workers {
                service.journal.marks().clear_all();
            }
            // After the notice another process may open the journal.
            drop(service);
            let _ = tell.send(workers && folders);
        });
        let told = tokio::time::timeout(left + Duration::from_secs(1), told).await;
        let clean = in_time && joined.is_ok() && matches!(told, Ok(Ok(true)));
        // Record the last refusals before the stop.
        self.keys.gate.refusals.flush(true);
        self.last.cancel();
        let told = self.failures.join_next();
        if tokio::time::timeout(Duration::from_secs(1), told).await.is_err() {
            tracing::error!("the last login failures are in the log alone: the disk hangs");
        }
        let stop = self.service.journal.audit(AuditEvent::Stop { clean });
        match tokio::time::timeout(Duration::from_secs(1), stop).await {
            Ok(Ok(head)) => tracing::info!(%head, "audit chain ended"),
            Ok(Err(error)) => tracing::error!(%error, "the audit chain has no record of this stop"),
            Err(_) => tracing::error!("the audit chain has no record of this stop: the disk hangs"),
        }
        if clean {
            tracing::info!("stopped");
        } else {
            tracing::warn!("stopped at the deadline with open requests or streams");
        }
        Drained { clean }
    }
}
