//! Wakes a subscriber only for events that match its filter.
//!
//! The writer itself looks through those who wait, once for each commit: waking a thousand of them,
//! each to find nothing of its own, would take the workers' time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::filter::Filter;
use super::kinds::Event;

/// Those who wait, by number. Bounded by the caller who lets them in.
#[derive(Debug, Default)]
pub(super) struct Waiters(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    rows: HashMap<u64, Row>,
    next: u64,
}

#[derive(Debug)]
struct Row {
    filter: Filter,
    wake: Arc<Notify>,
    /// Waits, and has not been woken.
    is_armed: bool,
    /// Everything up to here has been dealt with: it was read, or came during a wait and does not
    /// match.
    passed: Arc<AtomicU64>,
}

/// How far behind the waiters are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lag {
    /// Events that the one furthest behind has not dealt with.
    pub most: u64,
    /// Those that are behind at all.
    pub behind: u64,
}

impl Waiters {
    /// A panic elsewhere leaves the rows whole: each changes at once.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those whom one of these events concerns; they follow each other, and the tail has them
    /// already.
    pub(super) fn wake(&self, events: &[Event]) {
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return };
        for row in self.lock().rows.values_mut().filter(|row| row.is_armed) {
            let passed = row.passed.load(Ordering::Relaxed);
            let behind = passed + 1 < first.sequence();
            let concerns = |event: &Event| event.sequence() > passed && row.filter.matches(event);
            if behind || events.iter().any(concerns) {
                row.is_armed = false;
                row.wake.notify_one();
            } else {
                row.passed.store(passed.max(last.sequence()), Ordering::Relaxed);
            }
        }
    }

    /// How far behind `newest` the waiters are.
    pub(super) fn lag(&self, newest: u64) -> Lag {
        let mut lag = Lag::default();
        for row in self.lock().rows.values() {
            let own = newest.saturating_sub(row.passed.load(Ordering::Relaxed));
            lag.most = lag.most.max(own);
            lag.behind += u64::from(own > 0);
        }
        lag
    }

    /// Number of waiters.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.lock().rows.len()).unwrap_or(u32::MAX)
    }

    /// A new waiter for what `filter` matches, from `cursor` on.
    pub(super) fn enter(
        self: &Arc<Self>,
        newest: watch::Receiver<u64>,
        filter: Filter,
        cursor: u64,
    ) -> Waiter {
        let (wake, passed) = (Arc::new(Notify::new()), Arc::new(AtomicU64::new(cursor)));
        let mut table = self.lock();
        let number = table.next;
        table.next += 1;
        let row =
            Row { filter, wake: Arc::clone(&wake), is_armed: false, passed: Arc::clone(&passed) };
        table.rows.insert(number, row);
        Waiter { waiters: Arc::clone(self), newest, number, wake, passed }
    }
}

/// A subscriber that follows the journal from a cursor of its own.
#[derive(Debug)]
pub struct Waiter {
    waiters: Arc<Waiters>,
    newest: watch::Receiver<u64>,
    number: u64,
    wake: Arc<Notify>,
    /// The row's.
    passed: Arc<AtomicU64>,
}

impl Waiter {
    /// Begins to wait for what follows `cursor`: [`Waiter::woken`] ends when something may.
    pub fn wait_after(&self, cursor: u64) {
        if let Some(row) = self.waiters.lock().rows.get_mut(&self.number) {
            row.is_armed = true;
            row.passed.store(cursor, Ordering::Relaxed);
        }
        // Only now: what was published before the row changed is found here, and what is published
        // from now on finds the row.
        if *self.newest.borrow() > cursor {
            self.wake.notify_one();
        }
    }

    /// Everything up to `cursor` has been dealt with: for the lag. Not while it waits.
    pub fn reached(&self, cursor: u64) {
        self.passed.store(cursor, Ordering::Relaxed);
    }

    /// Ends when there may be a matching event after the cursor of [`Waiter::wait_after`]: read to
    /// know. Cancel-safe.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// The cursor, moved past what was published during the wait and does not match.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waiters.lock().rows.remove(&self.number);
    }
}
