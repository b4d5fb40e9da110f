//! The way of a capture that lies in a watched folder.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{Instrument as _, Span};

use super::trial::Ended;
use super::{Known, Pipeline, told};
use crate::ingest::{Settled, Verdict, open_capture};
use crate::journal::JournalError;
use crate::journal::crash::InHand;
use crate::journal::types::Entry;
use crate::model::examine::{ExamineError, micros};
use crate::model::field::examine_capture_and;
use crate::model::pool::{Lane, PoolError, Worker};
use crate::result::{Capture, CaptureKind, Digest, Reason, ReasonCode, Source, Timings};
use crate::telemetry::Seldom;

/// A capture that was in a worker's hands at so many deaths of the process is tried in a process of
/// its own first.
const SUSPECT_CRASHES: u32 = 2;

/// At so many it is rejected although that went well: something that only the daemon does with it
/// may kill.
const MAX_CRASHES: u32 = 6;

/// What keeps one mark from being written keeps the others too.
static NO_MARK: Seldom = Seldom::new(Duration::from_secs(300));

/// What a worker made of a capture.
enum Outcome {
    /// Make this durable; then the capture is done.
    Store(Box<Entry>),
    /// Nothing to store.
    Verdict(Verdict),
    /// It must be seen first what the file does to a process that may die.
    Suspect(File, u32),
}

/// What is known of a capture that was in hand when the process died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Nothing but the number of deaths.
    Untried,
    /// A process of its own decoded it and lived.
    Lived,
}

impl Outcome {
    fn not_yet(reason: impl Into<String>) -> Self {
        Self::Verdict(Verdict::NotYet(reason.into()))
    }
}

impl Pipeline {
    /// Takes one settled capture to its result and says how it ended.
    ///
    /// Cancel-safe in this sense: a capture whose future is dropped has either its result and its
    /// ledger row, or neither, and then the next scan finds it again.
    pub async fn capture(&self, settled: Settled) -> Verdict {
        // One id for all that is logged of a capture, whatever the level: that of its result.
        let span = tracing::error_span!("capture", result_id = %settled.result_id);
        self.to_verdict(settled).instrument(span).await
    }

    async fn to_verdict(&self, settled: Settled) -> Verdict {
        // Classifying what cannot be stored would only keep the workers busy.
        if self.disk_is_full() || self.journal_is_moved() {
            return Verdict::Retry;
        }
        let path = settled.path.clone();
        let settled = Arc::new(settled);
        let mut outcome = self.on_a_worker(&settled, Trust::Untried).await;
        if let Ok(Outcome::Suspect(file, deaths)) = outcome {
            outcome = self.on_trial(&settled, file, deaths).await;
        }
        let entry = match outcome {
            Ok(Outcome::Store(entry)) => *entry,
            Ok(Outcome::Verdict(verdict)) => return verdict,
            Ok(Outcome::Suspect(..)) => return Verdict::Retry,
            Err(PoolError::Full | PoolError::Stopped) => return Verdict::Retry,
            Err(PoolError::Panicked(what)) => {
                tracing::error!(capture = %path, "a worker panicked: {what}");
                if !settled.last_chance {
                    return Verdict::NotYet(
                        "leukd failed on it; it will be tried once more".to_owned(),
                    );
                }
                let message = "leukd failed on this file; it is not tried again until it changes. \
                               Please report it, with the log.";
                let reason = Reason::new(ReasonCode::Crashed, message);
                self.rejection(&settled, self.known(&settled), reason, Timings::default())
            }
        };
        let mut committed = self.commit(entry).await;
        if let Err(error @ JournalError::Refused { .. }) = &committed {
            tracing::error!(capture = %path, "{error}");
            let reason = Reason::new(
                ReasonCode::Internal,
                "a defect of leukd kept its result from being stored",
            );
            let known = self.known(&settled);
            committed =
                self.commit(self.rejection(&settled, known, reason, Timings::default())).await;
        }
        match committed {
            Ok(committed) => {
                let stored = committed.stored();
                tracing::debug!(
                    capture = %path,
                    sequence = stored.sequence,
                    cells = stored.records.len(),
                    decision = stored.first().map_or("", |cell| cell.finding.decision.as_str()),
                    stored_as = stored.first().map_or("", |cell| &cell.finding.result_id),
                    "stored"
                );
                Verdict::Finished
            }
            Err(error) => {
                // The condition list tells once of what concerns all captures alike.
                if error.is_transient() {
                    tracing::debug!(capture = %path, "not stored, will be retried: {error}");
                } else {
                    tracing::warn!(capture = %path, "not stored, will be retried: {error}");
                }
                Verdict::Retry
            }
        }
    }

    async fn on_a_worker(
        &self,
        settled: &Arc<Settled>,
        trust: Trust,
    ) -> Result<Outcome, PoolError> {
        let (pipeline, job, ready) = (self.clone(), Arc::clone(settled), Instant::now());
        let span = Span::current();
        let examine = move |worker: &Worker| {
            span.in_scope(|| pipeline.examine_file(worker, &job, ready, trust))
        };
        self.0.pool.run(Lane::Backlog, examine).await
    }

    /// A suspect that lives through its trial is classified like any other.
    async fn on_trial(
        &self,
        settled: &Arc<Settled>,
        file: File,
        deaths: u32,
    ) -> Result<Outcome, PoolError> {
        let path = &settled.path;
        let Some(trial) = &self.0.trial else {
            return Ok(self.guilty(settled, deaths, "it was not tried by itself"));
        };
        match trial.of(file, &self.0.limits).await {
            Ended::Well => {
                tracing::info!(
                    capture = %path,
                    deaths,
                    "a child process decoded it and survived: it is classified as usual"
                );
                self.on_a_worker(settled, Trust::Lived).await
            }
            Ended::Died(how) => {
                let how =
                    format!("a process of its own that decoded it did not live either: {how}");
                Ok(self.guilty(settled, deaths, &how))
            }
            Ended::Unknown(why) => {
                tracing::warn!(capture = %path, "child process failed to start, will be retried: {why}");
                Ok(Outcome::Verdict(Verdict::Retry))
            }
        }
    }

    fn guilty(&self, settled: &Settled, deaths: u32, how: &str) -> Outcome {
        let message = format!(
            "leukd's process died {deaths} times while it had this file in hand ({how}); it is not tried \
             again until the file changes. Please report it."
        );
        let reason = Reason::new(ReasonCode::Crashed, message);
        self.reject(settled, self.known(settled), reason, Timings::default())
    }

    /// Runs on a worker thread.
    fn examine_file(
        &self,
        worker: &Worker,
        settled: &Settled,
        ready: Instant,
        trust: Trust,
    ) -> Outcome {
        let parts = &self.0;
        let Some(model) = parts.registry.current() else {
            return Outcome::Verdict(Verdict::Retry);
        };
        let mut timings = Timings { queue_us: micros(ready, Instant::now()), ..Timings::default() };
        let mut known = self.known(settled);

        match parts.journal.crash_count(&settled.path, &settled.stamp) {
            Ok(count) if count >= MAX_CRASHES => {
                let reason = Reason::new(
                    ReasonCode::Crashed,
                    format!(
                        "leukd's process died {count} times while it had this file in hand; it is \
                         not tried again until the file changes. Please report it."
                    ),
                );
                return self.reject(settled, known, reason, timings);
            }
            Ok(count) if count >= SUSPECT_CRASHES && trust == Trust::Untried => {
                return match open_capture(&settled.path) {
                    Ok(file) => Outcome::Suspect(file, count),
                    Err(error) => match unreadable(settled, &error) {
                        ReadEnd::Reject(reason) => self.reject(settled, known, reason, timings),
                        ReadEnd::Verdict(verdict) => Outcome::Verdict(verdict),
                    },
                };
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(capture = %settled.path, "crash count unknown: {error}");
                self.journal_failed(&error);
                return Outcome::Verdict(Verdict::Retry);
            }
        }
        let read = Instant::now();
        let bytes = match tracing::debug_span!("read").in_scope(|| self.read(settled)) {
            Ok(bytes) => bytes,
            Err(ReadEnd::Reject(reason)) => return self.reject(settled, known, reason, timings),
            Err(ReadEnd::Verdict(verdict)) => return Outcome::Verdict(verdict),
        };
        timings.read_us = micros(read, Instant::now());
        let sha256 = Digest::of(&bytes);
        known.capture.digest = Some(sha256);
        tracing::debug!(capture = %settled.path, %sha256, took_us = timings.read_us, "read");

        match parts.journal.known(&sha256) {
            // A rejection is worth another look: limits may have been raised since.
            Ok(Some(stored)) if !stored.is_rejected() => {
                tracing::debug!(
                    capture = %settled.path,
                    sequence = stored.sequence,
                    known_as = stored.first().map_or("", |cell| &cell.finding.result_id),
                    "its bytes have a result already"
                );
                parts.images.classified(&sha256, &bytes);
                return Outcome::Store(Box::new(Entry::Alias {
                    path: settled.path.clone(),
                    stamp: settled.stamp,
                    digest: sha256,
                    sequence: stored.sequence,
                }));
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(capture = %settled.path, "the journal cannot be read: {error}");
                self.journal_failed(&error);
                return Outcome::Verdict(Verdict::Retry);
            }
        }

        // Reading may hang on a dead mount, which is no crash; only what follows can kill the
        // process.
        let mut in_hand = self.mark(worker, settled);
        let rules = parts.rules.for_capture(&settled.path);
        let examined = tracing::debug_span!("examine")
            .in_scope(|| {
                examine_capture_and(&bytes, &model, &parts.limits, &rules, |_, _| {
                    // What a request does to the process is not blamed on this capture.
                    if worker.has_requests() {
                        in_hand = None;
                        worker.let_requests_pass();
                        in_hand = self.mark(worker, settled);
                    }
                })
            })
            .map(|(examined, _)| examined);
        match examined {
            Ok(examined) => {
                parts.images.classified(&sha256, &bytes);
                let found =
                    known.examined(examined, &model.reference(), timings, parts.clock.wall());
                told(&found);
                Outcome::Store(Box::new(Entry::Capture { stamp: settled.stamp, found }))
            }
            Err(ExamineError::Image(fault)) if fault.may_heal() && !settled.last_chance => {
                Outcome::not_yet(fault.to_string())
            }
            // A fault of ours rather than of the file gets a second try.
            Err(error @ ExamineError::Model(_)) if !settled.last_chance => {
                tracing::error!(capture = %settled.path, "{error}; it is tried once more");
                Outcome::not_yet(error.to_string())
            }
            Err(error @ ExamineError::Model(_)) => {
                let reason = error.reason();
                let now = parts.clock.wall();
                let found = known.rejected(vec![reason], Some(model.reference()), timings, now);
                Outcome::Store(Box::new(Entry::Capture { stamp: settled.stamp, found }))
            }
            Err(error) => self.reject(settled, known, error.reason(), timings),
        }
    }

    /// Marks the capture as in a worker's hands, as long as the mark lives.
    fn mark(&self, worker: &Worker, settled: &Settled) -> Option<InHand<'_>> {
        let marks = self.0.journal.marks();
        match marks.enter(worker.index(), &settled.path, &settled.stamp) {
            Ok(mark) => Some(mark),
            Err(error) => {
                if let Some(untold) = NO_MARK.due() {
                    tracing::warn!(capture = %settled.path, untold, "no crash mark written: {error}");
                }
                None
            }
        }
    }

    fn known(&self, settled: &Settled) -> Known {
        let name = settled.path.path.rsplit('/').next().unwrap_or_default();
        Known {
            result_id: settled.result_id,
            capture: Capture {
                digest: None,
                size_bytes: settled.stamp.size,
                source: Source::Folder(settled.path.clone()),
                captured_at: settled.captured_at,
                kind: CaptureKind::Cell,
            },
            ids: self.0.names.ids(name),
        }
    }

    fn reject(&self, settled: &Settled, known: Known, reason: Reason, timings: Timings) -> Outcome {
        Outcome::Store(Box::new(self.rejection(settled, known, reason, timings)))
    }

    fn rejection(
        &self,
        settled: &Settled,
        known: Known,
        reason: Reason,
        timings: Timings,
    ) -> Entry {
        tracing::warn!(capture = %settled.path, code = %reason.code, "rejected: {}", reason.message);
        let found = known.rejected(vec![reason], None, timings, self.0.clock.wall());
        Entry::Capture { stamp: settled.stamp, found }
    }

    /// Reads the whole file, and makes sure that it is still the file that settled.
    fn read(&self, settled: &Settled) -> Result<Vec<u8>, ReadEnd> {
        let limit = self.0.limits.max_bytes;
        if settled.stamp.size > limit {
            return Err(ReadEnd::Reject(Reason::new(
                ReasonCode::TooLarge,
                format!("the file has {} bytes; image.max_file allows {limit}", settled.stamp.size),
            )));
        }
        let unreadable = |error: std::io::Error| unreadable(settled, &error);
        let mut file = open_capture(&settled.path).map_err(unreadable)?;
        let before = file.metadata().map_err(unreadable)?;
        if !settled.is_still(&before) {
            return Err(ReadEnd::Verdict(Verdict::NotYet("it changed".to_owned())));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(settled.stamp.size).unwrap_or(0));
        // One byte more than expected is enough to see that it grew.
        (&mut file).take(settled.stamp.size + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        let after = file.metadata().map_err(unreadable)?;
        if bytes.len() as u64 != settled.stamp.size || !settled.is_still(&after) {
            return Err(ReadEnd::Verdict(Verdict::NotYet(
                "it changed while it was read".to_owned(),
            )));
        }
        Ok(bytes)
    }
}

fn unreadable(settled: &Settled, error: &std::io::Error) -> ReadEnd {
    let reject = |message: &str| ReadEnd::Reject(Reason::new(ReasonCode::Unreadable, message));
    match error.kind() {
        // Gone before it was read: there is nothing to classify. Should it come back, the scan sees
        // it.
        ErrorKind::NotFound => {
            tracing::info!(capture = %settled.path, "vanished before it was read");
            ReadEnd::Verdict(Verdict::Finished)
        }
        ErrorKind::PermissionDenied if settled.last_chance => reject(
            "leukd may not read this file: give its user read permission, and it is tried again",
        ),
        ErrorKind::InvalidInput if settled.last_chance => reject(
            "something else than a regular file took this file's place: leukd follows no links",
        ),
        ErrorKind::PermissionDenied | ErrorKind::InvalidInput => {
            ReadEnd::Verdict(Verdict::NotYet(error.to_string()))
        }
        _ => {
            tracing::warn!(capture = %settled.path, "cannot be read, will be retried: {error}");
            ReadEnd::Verdict(Verdict::Retry)
        }
    }
}

/// Why there are no bytes.
enum ReadEnd {
    Reject(Reason),
    Verdict(Verdict),
}
