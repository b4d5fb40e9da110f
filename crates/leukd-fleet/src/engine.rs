//! Copies a journal into a store: reads what follows what the store holds, appends it, and waits for
//! more. There is no hand-over from history to live events, as in the journal's own subscriptions.

use std::time::{Duration, Instant};

use leukd_journal::clock::Clock;
use leukd_journal::{Hold, Journal};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::batch::{Batch, Held, Reader};
use crate::progress::Progress;
use crate::sink::{Claim, Sink, SinkError};

/// Silence after which the store gets a sign of life, with the audit records that no event brought.
const ALIVE_EVERY: Duration = Duration::from_secs(5);

/// Who forwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The journal's epoch.
    pub epoch: String,
    /// The machine's name, for people.
    pub host: String,
    /// leukd's version.
    pub version: String,
}

/// One journal on its way into one store.
#[derive(Debug)]
pub struct Forwarder<S> {
    journal: Journal,
    reader: Reader,
    sink: S,
    hold: Hold,
    clock: Clock,
    progress: Progress,
    /// The newest event that the store has acknowledged to this process.
    acknowledged: u64,
}

impl<S: Sink> Forwarder<S> {
    /// A forwarder that has not begun. From now on retention leaves what the store does not hold.
    pub fn new(journal: Journal, sink: S, clock: Clock) -> Self {
        let (reader, hold) = (Reader::new(journal.clone()), journal.hold());
        Self { journal, reader, sink, hold, clock, progress: Progress::default(), acknowledged: 0 }
    }

    /// Its figures, as they change.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Forwards until `stop`. What is under way then is not waited for: the store has it or not, and
    /// the next connection asks.
    pub async fn run(mut self, name: &str, stop: CancellationToken) {
        tokio::select! {
            () = self.forward(name) => {}
            () = stop.cancelled() => {}
        }
    }

    async fn forward(&mut self, name: &str) {
        let mut backoff = Backoff::default();
        loop {
            let Err(error) = self.session(&mut backoff, name).await;
            self.sink.disconnect();
            let at = (self.clock.wall(), self.clock.monotonic());
            if self.progress.failed(&error, at) {
                match &error {
                    SinkError::Away(_) | SinkError::Superseded(_) => {
                        tracing::warn!(forward = name, "the store is away: {error}");
                    }
                    SinkError::Refused(_) | SinkError::Fenced(_) => {
                        tracing::error!(forward = name, "the store refuses: {error}");
                    }
                }
            }
            let is_refused = matches!(error, SinkError::Refused(_) | SinkError::Fenced(_));
            let wait = backoff.next(is_refused);
            tokio::time::sleep(wait).await;
        }
    }

    /// One connection, until it fails.
    async fn session(
        &mut self,
        backoff: &mut Backoff,
        name: &str,
    ) -> Result<std::convert::Infallible, SinkError> {
        let held = self.sink.connect().await?;
        let read = self.reader.identify(held.records).await;
        let (hash, former) = read.map_err(|error| unreadable(&error))?;
        let newest = self.journal.bounds().newest;
        let acknowledged = self.acknowledged;
        self.sink.claim(&Claim { held, hash, newest, acknowledged, former }).await?;
        if held.events < self.acknowledged {
            tracing::warn!(
                forward = name,
                "the store holds events up to {} and had acknowledged {}: it came back from an \
                 older backup, and is filled again",
                held.events,
                self.acknowledged
            );
        }
        let behind = newest.saturating_sub(held.events);
        tracing::info!(forward = name, held = held.events, behind, "the store is connected");
        self.progress.connected(held.events);
        self.acknowledged = held.events;
        self.hold.release_to(held.events);
        let mut changes = self.journal.watch();
        let mut batch = self.read(held).await?;
        loop {
            if batch.is_empty() {
                let silence = tokio::time::timeout(ALIVE_EVERY, changes.changed()).await;
                batch = self.read(batch.after).await?;
                if silence.is_ok() && batch.is_empty() {
                    continue;
                }
            }
            // The next batch is read while this one is on its way.
            let began = Instant::now();
            let reaches = batch.reaches();
            let (took, next) = tokio::join!(self.sink.append(&batch), self.reader.read(reaches));
            took?;
            backoff.succeeded();
            self.took(&batch, began.elapsed(), name);
            batch = next.map_err(|error| unreadable(&error))?;
        }
    }

    async fn read(&self, after: Held) -> Result<Batch, SinkError> {
        self.reader.read(after).await.map_err(|error| unreadable(&error))
    }

    fn took(&mut self, batch: &Batch, spent: Duration, name: &str) {
        let held = batch.reaches().events;
        let missed = batch.gap_to.map_or(0, |to| to.saturating_sub(batch.after.events));
        if let Some(to) = batch.gap_to {
            tracing::warn!(
                forward = name,
                "retention had removed the events from {} to {to} before this store could take them",
                batch.after.events + 1
            );
        }
        self.acknowledged = held;
        self.hold.release_to(held);
        self.progress.took(held, batch.events.len() as u64, missed, spent);
    }
}

fn unreadable(error: &leukd_journal::JournalError) -> SinkError {
    SinkError::Away(format!("the journal cannot be read: {error}"))
}
