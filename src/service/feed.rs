//! A subscription on its way to one reader: a bounded queue, a limit on slowness, one end.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio_stream::Stream;

use super::{Service, ServiceError};
use crate::journal::filter::Filter;
use crate::journal::types::Bounds;
use crate::journal::{JournalError, Step, Subscription};

/// Where a subscription starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// What is stored from now on.
    Latest,
    /// Everything that is kept.
    Earliest,
    /// Everything after this place.
    After {
        /// The epoch of the journal that the sequence belongs to.
        epoch: String,
        /// The last sequence that was dealt with.
        sequence: u64,
    },
}

/// A subscription with its place among those that may be open.
#[derive(Debug)]
pub struct Subscriber {
    /// The journal's bounds when it began: what is newer is given.
    pub bounds: Bounds,
    subscription: Subscription,
    service: Arc<Service>,
    place: Arc<OwnedSemaphorePermit>,
}

/// Why a feed ended before its reader left.
#[derive(Debug, Clone)]
pub enum End {
    /// The daemon stops.
    Stopping,
    /// The reader took nothing for this long.
    Slow(Duration),
    /// The journal cannot be read.
    Journal(JournalError),
}

/// Encoded events for one reader; then, once, why there are no more.
#[derive(Debug)]
pub struct Feed<T> {
    queue: mpsc::Receiver<T>,
    end: watch::Receiver<Option<End>>,
    has_ended: bool,
    /// Waiting events take memory until the reader reads or leaves.
    _place: Arc<OwnedSemaphorePermit>,
}

impl<T> Stream for Feed<T> {
    type Item = Result<T, End>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        match self.queue.poll_recv(context) {
            Poll::Ready(Some(event)) => Poll::Ready(Some(Ok(event))),
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                self.has_ended = true;
                let end = self.end.borrow().clone();
                Poll::Ready(end.map(Err))
            }
        }
    }
}

impl Service {
    /// Begins a subscription.
    ///
    /// # Errors
    /// The daemon stops, the cursor is of another epoch or from the future, or as many are open as
    /// may be.
    pub fn subscribe(
        self: &Arc<Self>,
        filter: Filter,
        start: Start,
    ) -> Result<Subscriber, ServiceError> {
        if self.stop.is_cancelled() {
            return Err(ServiceError::Stopping);
        }
        // Read once: what is newer than these bounds is given.
        let bounds = self.journal.bounds();
        let cursor = self.cursor(start, bounds)?;
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| ServiceError::TooManySubscribers(self.limits.max_subscribers))?;
        let subscription = self.journal.subscribe(filter, cursor, self.limits.heartbeat);
        Ok(Subscriber { bounds, subscription, service: Arc::clone(self), place: Arc::new(place) })
    }

    /// Everything up to the answer counts as dealt with.
    fn cursor(&self, start: Start, bounds: Bounds) -> Result<u64, ServiceError> {
        match start {
            Start::Earliest if bounds.oldest > 0 => Ok(bounds.oldest - 1),
            Start::Latest | Start::Earliest => Ok(bounds.newest),
            Start::After { epoch, sequence } => {
                let own = self.journal.epoch();
                if epoch.is_empty() {
                    let message = "give the epoch that Hello told together with the sequence";
                    Err(ServiceError::field("after.epoch", message))
                } else if epoch != own {
                    Err(ServiceError::OtherEpoch { given: epoch, epoch: own.to_owned() })
                } else if sequence > bounds.newest {
                    Err(ServiceError::FutureCursor { given: sequence, newest: bounds.newest })
                } else {
                    Ok(sequence)
                }
            }
        }
    }
}

impl Subscriber {
    /// Starts the task that encodes every step for the reader; `first` goes before all of them, and
    /// a step without an encoding is skipped.
    pub fn feed<T: Send + 'static>(
        self,
        first: T,
        encode: impl FnMut(Step) -> Option<T> + Send + 'static,
    ) -> Feed<T> {
        let Self { subscription, service, place, .. } = self;
        let (events, queue) = mpsc::channel(service.limits.subscriber_buffer.max(1));
        let (end, ended) = watch::channel(None);
        let own = Arc::clone(&place);
        tokio::spawn(async move {
            let mut task = Task { subscription, service, events, encode };
            // Before the sender is dropped, so that the end of the queue shows the reason too.
            end.send_replace(task.run(first).await);
            drop((task, own));
        });
        Feed { queue, end: ended, has_ended: false, _place: place }
    }
}

struct Task<T, E> {
    subscription: Subscription,
    service: Arc<Service>,
    events: mpsc::Sender<T>,
    encode: E,
}

/// The reader is gone, or must go.
enum Stop {
    Gone,
    With(End),
}

impl<T: Send, E: FnMut(Step) -> Option<T> + Send> Task<T, E> {
    async fn run(&mut self, first: T) -> Option<End> {
        let stop = self.service.stop.clone();
        let stopped = tokio::select! {
            stopped = self.send_all(first) => match stopped {
                Ok(never) => match never {},
                Err(stopped) => stopped,
            },
            () = stop.cancelled() => Stop::With(End::Stopping),
        };
        match stopped {
            Stop::Gone => None,
            Stop::With(end) => Some(end),
        }
    }

    async fn send_all(&mut self, first: T) -> Result<Infallible, Stop> {
        self.send(first).await?;
        loop {
            let step = tokio::select! {
                // In this order: a reader that left is noticed while there is nothing to give.
                biased;
                step = self.subscription.next() => step,
                () = self.events.closed() => return Err(Stop::Gone),
            };
            let step = step.map_err(|error| Stop::With(End::Journal(error)))?;
            if let Some(event) = (self.encode)(step) {
                self.send(event).await?;
            }
        }
    }

    /// Puts an event into the reader's queue, and gives up on one that takes nothing.
    async fn send(&mut self, event: T) -> Result<(), Stop> {
        // Most find a place at once, and need no timer.
        let event = match self.events.try_send(event) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(_)) => return Err(Stop::Gone),
            Err(TrySendError::Full(event)) => event,
        };
        let slow_after = self.service.limits.slow_after;
        match tokio::time::timeout(slow_after, self.events.send(event)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Stop::Gone),
            Err(_) => {
                self.service.slow_dropped.one();
                Err(Stop::With(End::Slow(slow_after)))
            }
        }
    }
}
