//! A subscription on its way to one reader: a bounded queue, a limit on slowness, one end.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio_stream::{Stream, StreamExt as _};

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
    _place: Option<Arc<OwnedSemaphorePermit>>,
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

impl Service {
    /// Hands the items of a stream on to one reader, `ahead` of them before it takes the first. It
    /// ends as a subscription does where the reader takes nothing for `rpc.slow_after`.
    pub fn hand_on<T: Send + 'static>(
        self: &Arc<Self>,
        items: impl Stream<Item = T> + Send + 'static,
        ahead: usize,
    ) -> Feed<T> {
        let (outlet, feed) = outlet(Arc::clone(self), ahead, None);
        tokio::spawn(outlet.run(async move |outlet: &mut Outlet<T>| {
            let mut items = std::pin::pin!(items);
            loop {
                let item = tokio::select! {
                    biased;
                    item = items.next() => item,
                    () = outlet.events.closed() => return Stop::Gone,
                };
                let Some(item) = item else { return Stop::Gone };
                if let Err(stop) = outlet.send(item).await {
                    return stop;
                }
            }
        }));
        feed
    }
}

impl Subscriber {
    /// Starts the task that encodes every step for the reader; `first` goes before all of them, and
    /// a step without an encoding is skipped.
    pub fn feed<T: Send + 'static>(
        self,
        first: T,
        mut encode: impl FnMut(Step) -> Option<T> + Send + 'static,
    ) -> Feed<T> {
        let Self { mut subscription, service, place, .. } = self;
        let stop = service.stop.clone();
        let buffer = service.limits.subscriber_buffer;
        let (outlet, feed) = outlet(service, buffer, Some(place));
        tokio::spawn(outlet.run(async move |outlet: &mut Outlet<T>| {
            let send_all = async {
                outlet.send(first).await?;
                loop {
                    let step = tokio::select! {
                        // In this order: a reader that left is noticed while nothing is to be
                        // given.
                        biased;
                        step = subscription.next() => step,
                        () = outlet.events.closed() => return Err::<Infallible, _>(Stop::Gone),
                    };
                    let step = step.map_err(|error| Stop::With(End::Journal(error)))?;
                    if let Some(event) = encode(step) {
                        outlet.send(event).await?;
                    }
                }
            };
            tokio::select! {
                stopped = send_all => match stopped {
                    Ok(never) => match never {},
                    Err(stopped) => stopped,
                },
                () = stop.cancelled() => Stop::With(End::Stopping),
            }
        }));
        feed
    }
}

/// The sending end of a feed.
struct Outlet<T> {
    events: mpsc::Sender<T>,
    end: watch::Sender<Option<End>>,
    service: Arc<Service>,
    place: Option<Arc<OwnedSemaphorePermit>>,
}

/// The reader is gone, has everything, or must go.
enum Stop {
    Gone,
    With(End),
}

fn outlet<T>(
    service: Arc<Service>,
    buffer: usize,
    place: Option<Arc<OwnedSemaphorePermit>>,
) -> (Outlet<T>, Feed<T>) {
    let (events, queue) = mpsc::channel(buffer.max(1));
    let (end, ended) = watch::channel(None);
    let feed = Feed { queue, end: ended, has_ended: false, _place: place.clone() };
    (Outlet { events, end, service, place }, feed)
}

impl<T: Send> Outlet<T> {
    async fn run(mut self, feed: impl AsyncFnOnce(&mut Self) -> Stop) {
        let end = match feed(&mut self).await {
            Stop::Gone => None,
            Stop::With(end) => Some(end),
        };
        // Before the sender is dropped, so that the end of the queue shows the reason too.
        self.end.send_replace(end);
        drop(self.place);
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
