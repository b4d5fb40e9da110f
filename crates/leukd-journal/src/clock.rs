//! The one clock. Settling, retention and heartbeats ask it, so that tests move time by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::result::Timestamp;

/// Tells wall time (for people) and monotonic time (for waiting). Cheap to clone.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    System { start: Instant },
    Manual { wall_ms: AtomicI64, mono_us: AtomicU64 },
}

impl Clock {
    /// The workstation's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(Kind::System { start: Instant::now() }))
    }

    /// A clock that stands still at `wall` until [`Clock::advance`] moves it.
    #[must_use]
    pub fn manual(wall: Timestamp) -> Self {
        Self(Arc::new(Kind::Manual { wall_ms: AtomicI64::new(wall.0), mono_us: AtomicU64::new(0) }))
    }

    /// Wall time. It may jump when an administrator or NTP sets the clock: never measure with it.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        match &*self.0 {
            Kind::System { .. } => timestamp(SystemTime::now()),
            Kind::Manual { wall_ms, .. } => Timestamp(wall_ms.load(Ordering::SeqCst)),
        }
    }

    /// Time since this clock was made. Never goes back.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        match &*self.0 {
            Kind::System { start } => start.elapsed(),
            Kind::Manual { mono_us, .. } => Duration::from_micros(mono_us.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock on. Does nothing to the system's.
    pub fn advance(&self, by: Duration) {
        if let Kind::Manual { wall_ms, mono_us } = &*self.0 {
            let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            let us = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
            wall_ms.fetch_add(ms, Ordering::SeqCst);
            mono_us.fetch_add(us, Ordering::SeqCst);
        }
    }
}

impl Clock {
    /// Sets a manual clock's wall time alone, as an administrator or NTP does. Does nothing to the
    /// system's.
    pub fn set_wall(&self, to: Timestamp) {
        if let Kind::Manual { wall_ms, .. } = &*self.0 {
            wall_ms.store(to.0, Ordering::SeqCst);
        }
    }
}

/// A file's or the system's time as a [`Timestamp`]; times before 1970 are negative.
#[must_use]
pub fn timestamp(at: SystemTime) -> Timestamp {
    let ms = match at.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    };
    Timestamp(ms)
}
