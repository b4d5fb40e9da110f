//! How far a forwarder came: for conditions, metrics and `leukd status`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leukd_journal::result::Timestamp;

use crate::sink::SinkError;

/// Where a forwarder stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum State {
    /// No connection has been made yet.
    #[default]
    Starting,
    /// The store takes what comes.
    Connected,
    /// The store does not.
    Failing {
        /// The latest reason.
        error: SinkError,
        /// The time of the first failure since the store last took something, by the wall clock.
        since: Timestamp,
        /// The same, by a clock that never leaps.
        since_monotonic: Duration,
    },
}

/// The figures of one forwarder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    /// Where it stands.
    pub state: State,
    /// The store holds everything up to here; none before the first connection.
    pub held: Option<u64>,
    /// Events that the store took from this process.
    pub events: u64,
    /// Transactions that it took.
    pub batches: u64,
    /// Connections that were made.
    pub connections: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Events that retention had removed before they could be forwarded.
    pub missed: u64,
    /// Time that the store needed for its transactions.
    pub spent: Duration,
}

/// Shared figures. Cheap to clone; every clone is the same.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Mutex<Figures>>);

impl Progress {
    /// The figures now.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.lock().clone()
    }

    /// A panic elsewhere leaves them whole.
    fn lock(&self) -> MutexGuard<'_, Figures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn connected(&self, held: u64) {
        let mut figures = self.lock();
        (figures.state, figures.held) = (State::Connected, Some(held));
        figures.connections += 1;
    }

    pub(crate) fn took(&self, held: u64, events: u64, missed: u64, spent: Duration) {
        let mut figures = self.lock();
        figures.held = Some(held);
        figures.events += events;
        figures.missed += missed;
        figures.batches += 1;
        figures.spent += spent;
    }

    /// True for the first failure since the store last took something, or one for another reason.
    pub(crate) fn failed(&self, error: &SinkError, at: (Timestamp, Duration)) -> bool {
        let mut figures = self.lock();
        figures.failures += 1;
        if let State::Failing { error: last, .. } = &mut figures.state {
            return std::mem::replace(last, error.clone()) != *error;
        }
        let (since, since_monotonic) = at;
        figures.state = State::Failing { error: error.clone(), since, since_monotonic };
        true
    }
}
