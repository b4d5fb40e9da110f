//! One subscription: history, then live, by one and the same read.
//!
//! There is no hand-over to get wrong. A subscriber owns a cursor; it reads the journal after that
//! cursor until nothing is left, then waits until the journal says that it has grown. The newest results
//! come out of memory, older ones from disk.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::Instant;
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::proto::{Event, Gap, Heartbeat, event};
use super::{convert, status};
use crate::clock::Clock;
use crate::journal::Batch;
use crate::journal::Journal;
use crate::journal::filter::Filter;

/// How many results are read from the journal at once.
const BATCH: usize = 256;

/// What one subscription needs.
pub(super) struct Subscription {
    pub(super) journal: Journal,
    pub(super) filter: Filter,
    /// Everything up to here has been dealt with.
    pub(super) cursor: u64,
    pub(super) heartbeat: Duration,
    pub(super) slow_after: Duration,
    pub(super) clock: Clock,
    pub(super) stop: CancellationToken,
    /// Held as long as the subscription lasts.
    pub(super) place: Arc<OwnedSemaphorePermit>,
}

/// The stream that tonic polls: what was queued for the subscriber, then the status that ended it.
#[derive(Debug)]
pub(super) struct Events {
    queue: mpsc::Receiver<Event>,
    end: watch::Receiver<Option<Status>>,
    ended: bool,
    /// What waits here takes memory until the client reads it or goes.
    _place: Arc<OwnedSemaphorePermit>,
}

impl Stream for Events {
    type Item = Result<Event, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match self.queue.poll_recv(context) {
            Poll::Ready(Some(event)) => Poll::Ready(Some(Ok(event))),
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                self.ended = true;
                let end = self.end.borrow().clone();
                Poll::Ready(end.map(Err))
            }
        }
    }
}

/// Starts the task that feeds a subscriber; `hello` goes first.
pub(super) fn start(subscription: Subscription, hello: Event, buffer: usize) -> Events {
    let (events, queue) = mpsc::channel(buffer.max(1));
    let (end, ended) = watch::channel(None);
    let place = subscription.place.clone();
    tokio::spawn(async move {
        let mut feed = Feed { subscription, events };
        let status = feed.run(hello).await;
        // Before the sender goes, so that whoever sees the queue end sees the status too.
        end.send_replace(status);
        drop(feed);
    });
    Events { queue, end: ended, ended: false, _place: place }
}

struct Feed {
    subscription: Subscription,
    events: mpsc::Sender<Event>,
}

/// The subscriber is gone, or must go.
enum Stop {
    Gone,
    With(Status),
}

impl Feed {
    async fn run(&mut self, hello: Event) -> Option<Status> {
        let stop = self.subscription.stop.clone();
        let end = tokio::select! {
            end = self.feed(hello) => end,
            () = stop.cancelled() => Stop::With(status::stopping()),
        };
        match end {
            Stop::Gone => None,
            Stop::With(status) => Some(status),
        }
    }

    async fn feed(&mut self, hello: Event) -> Stop {
        match self.send_everything(hello).await {
            Ok(never) => match never {},
            Err(stop) => stop,
        }
    }

    async fn send_everything(&mut self, hello: Event) -> Result<std::convert::Infallible, Stop> {
        let mut grown = self.subscription.journal.watch();
        self.send(hello).await?;
        let mut last_sent = Instant::now();
        let mut caught_up = false;
        loop {
            grown.borrow_and_update();
            while self.send_batch(&mut last_sent).await? {}
            if !caught_up {
                caught_up = true;
                self.send_heartbeat().await?;
                last_sent = Instant::now();
            }
            let heartbeat = last_sent + self.subscription.heartbeat;
            tokio::select! {
                changed = grown.changed() => {
                    if changed.is_err() {
                        return Err(Stop::With(status::stopping()));
                    }
                }
                () = tokio::time::sleep_until(heartbeat) => {
                    self.send_heartbeat().await?;
                    last_sent = Instant::now();
                }
                () = self.events.closed() => return Err(Stop::Gone),
            }
        }
    }

    async fn send_heartbeat(&self) -> Result<(), Stop> {
        let kind = event::Kind::Heartbeat(Heartbeat {
            sequence: self.subscription.cursor,
            at: Some(convert::time(self.subscription.clock.wall())),
        });
        self.send(Event { kind: Some(kind) }).await
    }

    /// Sends what follows the cursor; false when nothing did.
    async fn send_batch(&mut self, last_sent: &mut Instant) -> Result<bool, Stop> {
        let batch = self.read().await?;
        if let Some((from, to)) = batch.gap {
            self.send(Event { kind: Some(event::Kind::Gap(Gap { from, to })) }).await?;
            *last_sent = Instant::now();
            self.subscription.cursor = to;
        }
        // A long history without a match is progress too: the client learns a newer cursor.
        if last_sent.elapsed() >= self.subscription.heartbeat {
            self.send_heartbeat().await?;
            *last_sent = Instant::now();
        }
        let more = batch.gap.is_some() || !batch.records.is_empty();
        let epoch = self.subscription.journal.epoch().to_owned();
        for record in batch.records {
            if self.subscription.filter.matches(&record) {
                let kind = event::Kind::Result(convert::result(&record, &epoch));
                self.send(Event { kind: Some(kind) }).await?;
                *last_sent = Instant::now();
            }
            self.subscription.cursor = record.sequence;
        }
        Ok(more)
    }

    async fn read(&self) -> Result<Batch, Stop> {
        let (journal, cursor) = (&self.subscription.journal, self.subscription.cursor);
        if let Some(batch) = journal.recent(cursor, BATCH) {
            return Ok(batch);
        }
        let journal = journal.clone();
        let read = tokio::task::spawn_blocking(move || journal.read_after(cursor, BATCH)).await;
        match read {
            Ok(Ok(batch)) => Ok(batch),
            Ok(Err(error)) => Err(Stop::With(status::journal(&error))),
            Err(error) => Err(Stop::With(status::internal(&error))),
        }
    }

    /// Puts an event into the subscriber's queue, and gives up on one that takes nothing.
    async fn send(&self, event: Event) -> Result<(), Stop> {
        let slow_after = self.subscription.slow_after;
        match tokio::time::timeout(slow_after, self.events.send(event)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Stop::Gone),
            Err(_) => Err(Stop::With(status::slow_reader(slow_after))),
        }
    }
}
