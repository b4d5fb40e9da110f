//! One subscription: history, then live, by one and the same read.
//!
//! There is no hand-over to get wrong. A subscription owns a cursor; it reads the journal after
//! that cursor until nothing is left, then waits until the journal has grown. The newest events
//! come out of memory, older ones from the disk. It knows nothing of who reads it: every face
//! (gRPC, the page, the fleet) encodes its steps, and keeps the cursor its own way.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::error::JournalError;
use super::filter::Filter;
use super::handle::Journal;
use super::kinds::Event;
use super::tail::Batch;
use super::waiters::Waiter;

/// Events read from the journal at once.
const BATCH: usize = 256;

/// All subscriptions together look for new events at most 20,000 times a second: in a burst that
/// concerns them all, each of a thousand waits 50 ms between two looks, and a few do not wait at
/// all. Woken by every commit, they would take the workers' time.
const LOOK: Duration = Duration::from_micros(50);

/// Shorter waits are skipped: it is the grain of tokio's timers.
const MIN_WAIT: Duration = Duration::from_millis(1);

/// What a subscription gives next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// An event that matches the filter.
    Event(Event),
    /// Retention has removed these events, first and last, before they could be read.
    Gap {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// Everything stored when the subscription began has been given; once. Holds the cursor.
    CaughtUp(u64),
    /// Nothing was given for as long as was asked for. Holds the cursor, which moves on over events
    /// that do not match.
    Idle(u64),
}

/// A place in the journal that moves on, with a filter. Made by [`Journal::subscribe`].
#[derive(Debug)]
pub struct Subscription {
    journal: Journal,
    filter: Filter,
    waiter: Waiter,
    /// Everything up to here has been given, or does not match.
    cursor: u64,
    idle_after: Duration,
    /// Read and not given yet.
    pending: VecDeque<Event>,
    /// The read of what follows [`Self::pending`]. Only while history is read from the disk.
    ahead: Option<JoinHandle<Result<Batch, JournalError>>>,
    is_caught_up: bool,
    /// When the last step was given.
    given_at: Instant,
    looked_at: Instant,
    is_armed: bool,
    /// Woken, and waiting for its turn to look.
    turn: Option<Instant>,
}

impl Journal {
    /// Subscribes to the events after `cursor` that match `filter`. After `idle_after` without a
    /// step it gives [`Step::Idle`].
    #[must_use]
    pub fn subscribe(&self, filter: Filter, cursor: u64, idle_after: Duration) -> Subscription {
        let now = Instant::now();
        Subscription {
            journal: self.clone(),
            waiter: self.wait_for(filter.clone(), cursor),
            filter,
            cursor,
            idle_after,
            pending: VecDeque::new(),
            ahead: None,
            is_caught_up: false,
            given_at: now,
            looked_at: now,
            is_armed: false,
            turn: None,
        }
    }
}

impl Subscription {
    /// The next step; waits until there is one. Cancel-safe: a call that is dropped loses nothing.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read. The cursor stays, and a later call tries
    /// again.
    pub async fn next(&mut self) -> Result<Step, JournalError> {
        let mut has_read = false;
        loop {
            if !self.is_armed {
                // What was given before is dealt with now: the caller came back.
                self.waiter.reached(self.cursor);
                if let Some(step) = self.take_pending() {
                    return Ok(self.give(step));
                }
                // A long history without a match is progress too: the reader gets a newer cursor.
                if has_read && self.given_at.elapsed() >= self.idle_after {
                    return Ok(self.give(Step::Idle(self.cursor)));
                }
                self.looked_at = Instant::now();
                let batch = self.read().await?;
                has_read = true;
                let is_end = batch.gap.is_none() && batch.events.is_empty();
                self.pending.extend(batch.events);
                if let Some((from, to)) = batch.gap {
                    self.cursor = to;
                    return Ok(self.give(Step::Gap { from, to }));
                }
                if !is_end {
                    continue;
                }
                if !self.is_caught_up {
                    self.is_caught_up = true;
                    return Ok(self.give(Step::CaughtUp(self.cursor)));
                }
                self.waiter.wait_after(self.cursor);
                self.is_armed = true;
            }
            if self.wait().await {
                return Ok(self.give(Step::Idle(self.cursor)));
            }
        }
    }

    fn give(&mut self, step: Step) -> Step {
        self.given_at = Instant::now();
        step
    }

    /// The next pending event that matches; moves the cursor.
    fn take_pending(&mut self) -> Option<Step> {
        while let Some(event) = self.pending.pop_front() {
            self.cursor = event.sequence();
            if self.filter.matches(&event) {
                return Some(Step::Event(event));
            }
        }
        None
    }

    /// Waits until there may be something to read, or until it was idle for long: true then.
    async fn wait(&mut self) -> bool {
        if self.turn.is_none() {
            tokio::select! {
                () = self.waiter.woken() => {
                    self.turn = Some(self.looked_at + LOOK * self.journal.subscribers());
                }
                () = tokio::time::sleep_until(self.given_at + self.idle_after) => {
                    self.cursor = self.waiter.passed();
                    self.is_armed = false;
                    return true;
                }
            }
        }
        if let Some(turn) = self.turn
            && turn.saturating_duration_since(Instant::now()) >= MIN_WAIT
        {
            tokio::time::sleep_until(turn).await;
        }
        self.turn = None;
        self.cursor = self.waiter.passed();
        self.is_armed = false;
        false
    }

    /// What follows the cursor: out of memory, or else from the disk, where the batch after it is
    /// read while this one is being given.
    async fn read(&mut self) -> Result<Batch, JournalError> {
        if self.ahead.is_none() {
            match self.journal.recent(self.cursor, BATCH) {
                Some(batch) => return Ok(batch),
                None => self.ahead = Some(self.begin_read(self.cursor)),
            }
        }
        let Some(ahead) = &mut self.ahead else { return Ok(Batch::default()) };
        let read = ahead.await;
        self.ahead = None;
        let batch = read.map_err(|error| JournalError::Reader(error.to_string()))??;
        self.ahead = batch.events.last().map(|last| self.begin_read(last.sequence()));
        Ok(batch)
    }

    /// Reads the journal after `cursor`, off the async threads.
    fn begin_read(&self, cursor: u64) -> JoinHandle<Result<Batch, JournalError>> {
        let journal = self.journal.clone();
        tokio::task::spawn_blocking(move || journal.read_after(cursor, BATCH))
    }
}
