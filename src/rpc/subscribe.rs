//! One subscription: history, then live, by one and the same read.
//!
//! There is no hand-over to get wrong. A subscriber owns a cursor; it reads the journal after that
//! cursor until nothing is left, then waits until the journal says that it has grown. The newest results
//! come out of memory, older ones from disk.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_stream::Stream;
use tonic::Status;

use super::proto::{Event, Gap, Heartbeat, event};
use super::{Context, convert, status};
use crate::journal::filter::Filter;
use crate::journal::{self, Batch, JournalError, Waiter};

/// Events read from the journal at once.
const BATCH: usize = 256;

/// All subscribers together look for new events 20,000 times a second at the most: in a burst that concerns them
/// all, each of a thousand waits 50 ms between two looks, and a few do not wait at all. Woken by every commit, they
/// would take the workers' time.
const LOOK: Duration = Duration::from_micros(50);

/// Shorter waits are none: it is the grain of tokio's timers.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// Parts of one subscription.
pub(super) struct Subscription {
    pub(super) context: Arc<Context>,
    pub(super) filter: Filter,
    /// Its client's address.
    pub(super) peer: String,
    /// Everything up to here has been dealt with.
    pub(super) cursor: u64,
    /// Held as long as the subscription lasts.
    pub(super) place: Arc<OwnedSemaphorePermit>,
}

/// The stream that tonic polls: what was queued for the subscriber, then the status that ended it.
#[derive(Debug)]
pub(super) struct Events {
    queue: mpsc::Receiver<Event>,
    end: watch::Receiver<Option<Status>>,
    ended: bool,
    /// Waiting events take memory until the client reads or leaves.
    _place: Arc<OwnedSemaphorePermit>,
}

impl Stream for Events {
    type Item = Result<Event, Status>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Self::Item>> {
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
pub(super) fn start(subscription: Subscription, hello: Event) -> Events {
    let (events, queue) = mpsc::channel(subscription.context.limits.subscriber_buffer.max(1));
    let (end, ended) = watch::channel(None);
    let place = subscription.place.clone();
    tokio::spawn(async move {
        let journal = &subscription.context.journal;
        let waiter = journal.wait_for(subscription.filter.clone(), subscription.cursor);
        let mut feed = Feed { subscription, waiter, events, ahead: None };
        let status = feed.run(hello).await;
        // Before the sender is dropped, so that the end of the queue shows the status too.
        end.send_replace(status);
        drop(feed);
    });
    Events { queue, end: ended, ended: false, _place: place }
}

struct Feed {
    subscription: Subscription,
    waiter: Waiter,
    events: mpsc::Sender<Event>,
    /// The read that follows the batch which is being sent. Only while history is read from the disk.
    ahead: Option<Read>,
}

type Read = JoinHandle<Result<Batch, JournalError>>;

/// The subscriber is gone, or must go.
enum Stop {
    Gone,
    With(Status),
}

impl Feed {
    async fn run(&mut self, hello: Event) -> Option<Status> {
        let stop = self.subscription.context.stop.clone();
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
        let every = self.subscription.context.limits.heartbeat;
        self.send(hello).await?;
        let mut last_sent = Instant::now();
        let mut caught_up = false;
        loop {
            let looked = Instant::now();
            while self.send_batch(&mut last_sent).await? {}
            if !caught_up {
                caught_up = true;
                self.send_heartbeat().await?;
                last_sent = Instant::now();
            }
            let heartbeat = last_sent + every;
            self.waiter.wait_after(self.subscription.cursor);
            tokio::select! {
                () = self.waiter.woken() => {
                    self.subscription.cursor = self.waiter.passed();
                    self.wait_for_turn(looked).await?;
                }
                () = tokio::time::sleep_until(heartbeat) => {
                    self.subscription.cursor = self.waiter.passed();
                    self.send_heartbeat().await?;
                    last_sent = Instant::now();
                }
                () = self.events.closed() => return Err(Stop::Gone),
            }
        }
    }

    /// After a look at `looked`, and once there is something to see: waits until this subscriber may look again.
    async fn wait_for_turn(&self, looked: Instant) -> Result<(), Stop> {
        let turn = looked + LOOK * self.subscription.context.subscribers();
        if turn.saturating_duration_since(Instant::now()) < SHORTEST_WAIT {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep_until(turn) => Ok(()),
            () = self.events.closed() => Err(Stop::Gone),
        }
    }

    async fn send_heartbeat(&self) -> Result<(), Stop> {
        let kind = event::Kind::Heartbeat(Heartbeat {
            sequence: self.subscription.cursor,
            at: Some(convert::time(self.subscription.context.clock.wall())),
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
            self.waiter.reached(to);
        }
        // A long history without a match is progress too: the client learns a newer cursor.
        if last_sent.elapsed() >= self.subscription.context.limits.heartbeat {
            self.send_heartbeat().await?;
            *last_sent = Instant::now();
        }
        let more = batch.gap.is_some() || !batch.events.is_empty();
        let context = Arc::clone(&self.subscription.context);
        for event in batch.events {
            let sequence = event.sequence();
            if self.subscription.filter.matches(&event) {
                // Ids are formatted only if the log needs them.
                let told = tracing::enabled!(tracing::Level::DEBUG)
                    .then(|| event.result().map(|record| record.finding.result_id.clone()))
                    .flatten();
                let epoch = context.journal.epoch();
                let kind = match event {
                    journal::Event::Result(record) => event::Kind::Result(convert::own_result(
                        Arc::unwrap_or_clone(record),
                        epoch,
                    )),
                    journal::Event::Review(review) => {
                        event::Kind::Review(convert::review(&review, epoch))
                    }
                    journal::Event::Specimen(summary) => {
                        event::Kind::Specimen(convert::specimen(&summary, epoch))
                    }
                    // The contract has no message for it: its cells' results say what it counts.
                    journal::Event::Field(_) => {
                        self.subscription.cursor = sequence;
                        self.waiter.reached(sequence);
                        continue;
                    }
                };
                self.send(Event { kind: Some(kind) }).await?;
                if let Some(result_id) = told {
                    let subscriber = &self.subscription.peer;
                    tracing::debug!(result_id, sequence, subscriber, "given to a subscriber");
                }
                *last_sent = Instant::now();
            }
            self.subscription.cursor = sequence;
            self.waiter.reached(sequence);
        }
        Ok(more)
    }

    /// What follows the cursor: out of memory, or else from the disk, where the batch after it is read while this
    /// one is being sent.
    async fn read(&mut self) -> Result<Batch, Stop> {
        let Subscription { context, cursor, .. } = &self.subscription;
        let read = match self.ahead.take() {
            Some(read) => read,
            None => match context.journal.recent(*cursor, BATCH) {
                Some(batch) => return Ok(batch),
                None => begin_read(context, *cursor),
            },
        };
        let batch = match read.await {
            Ok(Ok(batch)) => batch,
            Ok(Err(error)) => return Err(Stop::With(status::journal(&error))),
            Err(error) => return Err(Stop::With(status::internal(&error))),
        };
        self.ahead = batch.events.last().map(|last| begin_read(context, last.sequence()));
        Ok(batch)
    }

    /// Puts an event into the subscriber's queue, and gives up on one that takes nothing.
    async fn send(&self, event: Event) -> Result<(), Stop> {
        // Most find a place at once, and need no timer.
        let event = match self.events.try_send(event) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(_)) => return Err(Stop::Gone),
            Err(TrySendError::Full(event)) => event,
        };
        let slow_after = self.subscription.context.limits.slow_after;
        match tokio::time::timeout(slow_after, self.events.send(event)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Stop::Gone),
            Err(_) => {
                self.subscription.context.slow_dropped.one();
                Err(Stop::With(status::slow_reader(slow_after)))
            }
        }
    }
}

/// Reads the journal after `cursor`, off the async threads.
fn begin_read(context: &Arc<Context>, cursor: u64) -> Read {
    let journal = context.journal.clone();
    tokio::task::spawn_blocking(move || journal.read_after(cursor, BATCH))
}
