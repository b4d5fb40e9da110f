//! Tasks beside the captures: retention, health, the watchdog.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::condition::Component;
use crate::config::units::Span;
use crate::grpc::Health;
use crate::journal::{ClockDoubt, Journal};
use crate::measure::Pulse;
use crate::service::Service;

/// Interval of retention.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// Interval of the check of kept images.
const TIDY_EVERY: Duration = Duration::from_secs(3600);

/// Interval of the audit chain's head in the log.
const TELL_HEAD_EVERY: Duration = Duration::from_secs(3600);

/// Interval of the folders' health check.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A worker that needs longer than this for one capture makes no progress: the network takes some
/// tenths of a second, the largest picture that is allowed some seconds.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// Removes results that retention no longer keeps, and the images that were kept of them.
pub(super) async fn prune(service: Arc<Service>) {
    let Service { journal, conditions, stop, .. } = &*service;
    let mut tidied: Option<Instant> = None;
    let mut failures = 0_u64;
    loop {
        match journal.prune().await {
            Ok(removed) => {
                if std::mem::take(&mut failures) > 0 {
                    tracing::info!("retention works again");
                }
                if removed > 0 {
                    tracing::info!("retention removed {removed} results");
                }
            }
            Err(error) => {
                failures += 1;
                if failures == 1 {
                    tracing::warn!("retention failed, will be retried: {error}");
                }
            }
        }
        match journal.clock_doubt() {
            None => conditions.clear(&Component::Clock),
            Some(ClockDoubt { ahead, left }) => {
                let hours = |span: Duration| Span::from_secs(span.as_secs() / 3600 * 3600);
                let message = format!(
                    "the clock is {} ahead of the time that leukd has seen pass: set it right (timedatectl). \
                     Nothing is removed by its age meanwhile. If it is right, leukd goes by it after {} more",
                    hours(ahead),
                    hours(left)
                );
                conditions.raise(Component::Clock, message);
            }
        }
        if tidied.is_none_or(|at| at.elapsed() >= TIDY_EVERY) {
            tidied = Some(Instant::now());
            tidy_images(&service).await;
        }
        tokio::select! {
            () = tokio::time::sleep(PRUNE_EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Removes kept images whose results retention has removed.
async fn tidy_images(service: &Service) {
    let (pipeline, journal) = (service.pipeline.clone(), service.journal.clone());
    match tokio::task::spawn_blocking(move || pipeline.images().tidy(&journal)).await {
        Ok(Ok(0)) => {}
        Ok(Ok(removed)) => {
            tracing::info!("removed {removed} kept images whose results are gone");
        }
        Ok(Err(error)) => {
            tracing::warn!("kept images not removed, next attempt in an hour: {error}");
        }
        Err(error) => tracing::error!("kept images not removed, next attempt in an hour: {error}"),
    }
}

/// Writes records of the audit chain that could not be written when they were due.
pub(super) async fn settle(journal: Journal, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => return,
        }
        if journal.audit_backlog() > 0
            && journal.write_audit_backlog().await.is_ok()
            && journal.audit_backlog() == 0
        {
            tracing::info!("stored the audit records that waited for space");
        }
    }
}

/// Logs the audit chain's head: a log kept elsewhere then shows a chain that was cut short.
pub(super) async fn tell_head(journal: Journal, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(TELL_HEAD_EVERY) => {}
            () = stop.cancelled() => return,
        }
        tracing::info!(head = %journal.audit_head(), "audit chain");
    }
}

/// Keeps what `GetStatus` says of folders and workers in step with what they say themselves.
pub(super) async fn watch_folders(service: Arc<Service>) {
    let vitals = Vitals::new(Arc::clone(&service));
    loop {
        for folder in service.ingest.status() {
            let component = Component::Folder(folder.folder);
            match folder.problem {
                Some(problem) => service.conditions.raise(component, problem),
                None => service.conditions.clear(&component),
            }
        }
        let pipeline = service.pipeline.clone();
        // A state disk that hangs must not hang this loop: its next answer is waited for elsewhere.
        drop(tokio::task::spawn_blocking(move || {
            pipeline.disk_is_full();
            pipeline.journal_is_moved();
        }));
        if service.journal.is_closed() {
            let message =
                "the journal's writer has ended: nothing is stored until leukd is restarted";
            service.conditions.raise(Component::Journal, message);
        }
        // Only for the sign of life that it leaves: the watchdog and `status` judge by themselves.
        let _ = vitals.folders_move();
        if vitals.workers_move() {
            service.conditions.clear(&Component::Workers);
        } else {
            let seconds = STUCK_AFTER.as_secs();
            let message = format!(
                "no worker has finished anything for {seconds} s; restart leukd if no watchdog does"
            );
            service.conditions.raise(Component::Workers, message);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = service.stop.cancelled() => return,
        }
    }
}

/// Tells the health service when a model comes into service.
pub(super) async fn tell_health(
    mut serves: watch::Receiver<bool>,
    mut health: watch::Receiver<Option<Health>>,
    stop: CancellationToken,
) {
    let known = health.wait_for(Option::is_some).await.map(|health| health.clone());
    let Ok(Some(health)) = known else { return };
    tokio::select! {
        served = serves.wait_for(|serves| *serves) => if served.is_err() { return },
        () = stop.cancelled() => return,
    }
    health.model_serves(true).await;
}

/// True while the daemon makes progress, for the watchdog.
#[derive(Debug)]
pub struct Vitals {
    service: Arc<Service>,
    workers: Mutex<(u64, Duration)>,
    folders: Mutex<(u64, Duration)>,
}

impl Vitals {
    pub(super) fn new(service: Arc<Service>) -> Self {
        let now = service.clock.monotonic();
        let jobs = service.pipeline.pool().progress();
        let scans = service.ingest.progress();
        Self { service, workers: Mutex::new((jobs, now)), folders: Mutex::new((scans, now)) }
    }

    /// True as long as the workers finish what they have, and the folders' threads turn.
    #[must_use]
    pub fn are_good(&self) -> bool {
        !self.service.ingest.is_lost()
            && !self.service.journal.is_closed()
            && self.workers_move()
            && self.folders_move()
    }

    /// A worker that has something in hand finishes it in bounded time.
    fn workers_move(&self) -> bool {
        let pool = self.service.pipeline.pool();
        let idle = pool.status().busy == 0;
        self.moves(&self.workers, pool.progress(), idle, Pulse::workers)
    }

    /// A folder's thread that hangs in a system call of a dead network mount is no reason to
    /// restart: a new process would hang there too, and results could not even be read meanwhile.
    /// `GetStatus` tells of it.
    fn folders_move(&self) -> bool {
        let folders = self.service.ingest.status();
        let excused = folders.is_empty() || folders.iter().any(|folder| !folder.reachable);
        self.moves(&self.folders, self.service.ingest.progress(), excused, Pulse::folders)
    }

    /// The service manager's watchdog was fed.
    pub fn fed(&self) {
        self.service.pulse.fed();
    }

    fn moves(
        &self,
        last: &Mutex<(u64, Duration)>,
        count: u64,
        excused: bool,
        tell: fn(&Pulse, Duration),
    ) -> bool {
        let now = self.service.clock.monotonic();
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if excused || last.0 != count {
            *last = (count, now);
            tell(&self.service.pulse, now);
        }
        now.saturating_sub(last.1) < STUCK_AFTER
    }
}
