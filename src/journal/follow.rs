//! Whoever waits for an event of a certain kind is woken by one of that kind alone.
//!
//! The writer itself looks through those who wait, once for each commit: waking a thousand of them, each to find
//! nothing of its own, would take the workers' time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Journal;
use super::event::Event;
use super::filter::Filter;
use super::tail::Tail;
use super::writer;

/// Those who wait, by number. Bounded by whoever lets them in.
#[derive(Debug, Default)]
pub(super) struct Followers(Mutex<Table>);

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
    armed: bool,
    /// Everything up to here has been dealt with: it was read, or came during a wait and does not match.
    passed: Arc<AtomicU64>,
}

impl Followers {
    /// A panic elsewhere leaves the rows whole: each changes at once.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whom one of these concerns; they follow each other, and the tail has them already.
    pub(super) fn tell(&self, events: &[Event]) {
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return };
        for row in self.lock().rows.values_mut().filter(|row| row.armed) {
            let passed = row.passed.load(Ordering::Relaxed);
            let behind = passed + 1 < first.sequence();
            let concerns = |event: &Event| event.sequence() > passed && row.filter.matches(event);
            if behind || events.iter().any(concerns) {
                row.armed = false;
                row.wake.notify_one();
            } else {
                row.passed.store(passed.max(last.sequence()), Ordering::Relaxed);
            }
        }
    }
}

/// One who follows the journal from a cursor of its own.
#[derive(Debug)]
pub struct Follower {
    shared: Arc<writer::Shared>,
    number: u64,
    wake: Arc<Notify>,
    /// The row's.
    passed: Arc<AtomicU64>,
}

/// How far behind those are who follow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lag {
    /// Events that the one furthest behind has not dealt with.
    pub most: u64,
    /// How many are behind at all.
    pub behind: u64,
}

impl Journal {
    /// How far behind those are who follow now.
    #[must_use]
    pub fn lag(&self) -> Lag {
        let shared = &self.inner.shared;
        let newest = shared.tail(Tail::bounds).newest;
        let mut lag = Lag::default();
        for row in shared.followers.lock().rows.values() {
            let own = newest.saturating_sub(row.passed.load(Ordering::Relaxed));
            lag.most = lag.most.max(own);
            lag.behind += u64::from(own > 0);
        }
        lag
    }

    /// Follows what `filter` matches, from `cursor` on.
    #[must_use]
    pub fn follow(&self, filter: Filter, cursor: u64) -> Follower {
        let (shared, wake) = (Arc::clone(&self.inner.shared), Arc::new(Notify::new()));
        let passed = Arc::new(AtomicU64::new(cursor));
        let mut table = shared.followers.lock();
        let number = table.next;
        table.next += 1;
        let row =
            Row { filter, wake: Arc::clone(&wake), armed: false, passed: Arc::clone(&passed) };
        table.rows.insert(number, row);
        drop(table);
        Follower { shared, number, wake, passed }
    }
}

impl Follower {
    /// Begins to wait for what follows `cursor`: [`Follower::woken`] ends when something may.
    pub fn wait_after(&self, cursor: u64) {
        self.change(|row| {
            row.armed = true;
            row.passed.store(cursor, Ordering::Relaxed);
        });
        // Only now: what was published before the row changed is found here, and what is published from now on
        // finds the row.
        if self.shared.tail(Tail::bounds).newest > cursor {
            self.wake.notify_one();
        }
    }

    /// Everything up to `cursor` has been dealt with: for [`Journal::lag`]. Not while it waits.
    pub fn reached(&self, cursor: u64) {
        self.passed.store(cursor, Ordering::Relaxed);
    }

    /// Ends when there may be a matching event after the cursor of [`Follower::wait_after`]: read to know.
    /// Cancel-safe.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// The cursor, moved past what was published during the wait and does not match.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    fn change(&self, change: impl FnOnce(&mut Row)) {
        if let Some(row) = self.shared.followers.lock().rows.get_mut(&self.number) {
            change(row);
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.followers.lock().rows.remove(&self.number);
    }
}
