//! Settled captures → pipeline → verdicts, as many at once as keep the workers busy.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ingest::{Captures, Ingest, Verdict};
use crate::pipeline::Pipeline;

/// Interval of reports in a long burst, and the silence that ends it.
const REPORT: Duration = Duration::from_secs(10);
const QUIET: Duration = Duration::from_secs(1);

/// The feeder's parts.
pub(super) struct Feeder {
    pub(super) captures: Captures,
    pub(super) ingest: Ingest,
    pub(super) pipeline: Pipeline,
    /// True once a model is in service: captures wait on disk until then.
    pub(super) serves: watch::Receiver<bool>,
    /// Limit on captures in progress.
    pub(super) at_once: usize,
    pub(super) stop: CancellationToken,
}

impl Feeder {
    /// Runs until the folders' threads end or the daemon stops; then what is under way is finished.
    pub(super) async fn run(mut self) {
        let stop = self.stop.clone();
        tokio::select! {
            served = self.serves.wait_for(|serves| *serves) => if served.is_err() { return },
            () = stop.cancelled() => return,
        }
        let places = Arc::new(Semaphore::new(self.at_once));
        let (finished, mut burst) = (watch::Sender::new(0_u64), Burst::default());
        loop {
            let next = tokio::select! {
                next = self.captures.recv() => next,
                () = tokio::time::sleep(QUIET) => {
                    burst.report(*finished.borrow(), places.available_permits() == self.at_once);
                    continue;
                }
                () = stop.cancelled() => None,
            };
            let Some(settled) = next else { break };
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
            burst.begin(*finished.borrow());
            let (pipeline, ingest) = (self.pipeline.clone(), self.ingest.clone());
            let finishing = finished.clone();
            tokio::spawn(async move {
                let path = settled.path.clone();
                // In a task of its own: every capture that was received gets a verdict, whatever
                // happens.
                let work = tokio::spawn(async move { pipeline.capture(settled).await });
                let verdict = work.await.unwrap_or(Verdict::Retry);
                if matches!(verdict, Verdict::Finished) {
                    finishing.send_modify(|count| *count += 1);
                }
                ingest.report(&path, verdict);
                drop(place);
            });
            burst.report(*finished.borrow(), false);
        }
        self.captures.close();
        // Every permit back: nothing is under way any more. The daemon's deadline bounds this wait.
        let all = u32::try_from(self.at_once).unwrap_or(u32::MAX);
        let _ = places.acquire_many(all).await;
    }
}

/// Captures per second, for the log.
#[derive(Debug, Default)]
struct Burst {
    /// When it began, and how many captures were finished then.
    began: Option<(Instant, u64)>,
    last_report: Option<Instant>,
}

impl Burst {
    fn begin(&mut self, finished: u64) {
        if self.began.is_none() {
            self.began = Some((Instant::now(), finished));
            self.last_report = None;
        }
    }

    fn report(&mut self, finished: u64, is_over: bool) {
        let Some((began, before)) = self.began else { return };
        let since = self.last_report.unwrap_or(began);
        if !is_over && since.elapsed() < REPORT {
            return;
        }
        // The quiet second that ended the burst is not part of it.
        let lasted = if is_over { began.elapsed().saturating_sub(QUIET) } else { began.elapsed() };
        let captures = finished - before;
        let seconds = lasted.as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "a count of captures, for people")]
        let per_second = captures as f64 / seconds;
        if is_over {
            tracing::info!(
                "{captures} captures done in {seconds:.1} s: {per_second:.1} captures/s"
            );
            *self = Self::default();
        } else {
            tracing::info!("{captures} captures so far, {per_second:.1} captures/s");
            self.last_report = Some(Instant::now());
        }
    }
}
