//! Retention's own time: a wall clock that leapt ahead must not remove what is young.
//!
//! A workstation whose clock battery is empty starts years off, and is set right minutes later.
//! What was removed meanwhile would be gone. So retention goes by a time of its own. It moves with
//! the monotonic clock, and follows the wall clock wherever that stands, but for one case: when the
//! wall clock is more than [`LEAP`] ahead, it is doubted until leukd has run for [`DOUBT`] beside
//! it, over as many starts as that takes. A laboratory that comes back from its holidays removes
//! its old results a week later.

use std::time::Duration;

use rusqlite::Connection;

use crate::result::Timestamp;

/// The longest time without leukd that is believed at once: a long weekend.
const LEAP: Duration = Duration::from_secs(4 * 24 * 3600);

/// How long leukd runs beside a clock that leapt before it believes it.
const DOUBT: Duration = Duration::from_secs(7 * 24 * 3600);

/// What is not stored of this is lost with the process, and only makes retention later.
const STORE_EVERY: Duration = Duration::from_secs(3600);

/// The time that retention goes by.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetentionClock {
    time: Timestamp,
    /// How long a clock that leapt has been run beside; none while the wall clock is believed.
    doubted: Option<Duration>,
    /// When this was looked at, by the monotonic clock.
    seen: Duration,
    stored: Timestamp,
}

/// The wall clock leapt ahead, and is not believed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockDoubt {
    /// How far it is ahead of the time that retention goes by.
    pub ahead: Duration,
    /// For how long leukd still has to run until it is believed.
    pub left: Duration,
}

impl RetentionClock {
    /// The last process's time; the newest event's where there was none yet, or else the wall
    /// clock's.
    pub(super) fn load(
        connection: &Connection,
        wall: Timestamp,
        monotonic: Duration,
    ) -> rusqlite::Result<Self> {
        let (time, doubted): (i64, Option<i64>) =
            connection.query_row("SELECT retention_ms, doubted_ms FROM meta", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let time = if time == 0 {
            let newest =
                "SELECT at_ms FROM events WHERE kind = 'result' ORDER BY sequence DESC LIMIT 1";
            connection.prepare(newest)?.query_map([], |row| row.get(0))?.next().transpose()?
        } else {
            Some(time)
        };
        let time = time.map_or(wall, Timestamp);
        let doubted = doubted.map(|ms| Duration::from_millis(ms.cast_unsigned()));
        Ok(Self { time, doubted, seen: monotonic, stored: Timestamp(0) })
    }

    /// The time to go by now.
    pub(super) fn look(&mut self, wall: Timestamp, monotonic: Duration) -> Timestamp {
        let passed = monotonic.saturating_sub(self.seen);
        self.seen = monotonic;
        let moved = Timestamp(self.time.0.saturating_add(millis(passed)));
        let doubted = self.doubted.map_or(Duration::ZERO, |before| before + passed);
        if wall.0 <= moved.0.saturating_add(millis(LEAP)) || doubted >= DOUBT {
            (self.time, self.doubted) = (wall, None);
        } else {
            (self.time, self.doubted) = (moved, Some(doubted));
        }
        self.time
    }

    /// The doubt about the wall clock, where there is one.
    pub(super) fn doubt(&self, wall: Timestamp) -> Option<ClockDoubt> {
        let ahead = u64::try_from(wall.0.saturating_sub(self.time.0)).unwrap_or(0);
        let left = |doubted| DOUBT.saturating_sub(doubted);
        self.doubted
            .map(|doubted| ClockDoubt { ahead: Duration::from_millis(ahead), left: left(doubted) })
    }

    /// Stores it now and then, in a transaction of its own.
    pub(super) fn store(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.time.0.abs_diff(self.stored.0) < STORE_EVERY.as_secs() * 1000 {
            return Ok(());
        }
        connection
            .prepare_cached("UPDATE meta SET retention_ms = ?1, doubted_ms = ?2")?
            .execute((self.time.0, self.doubted.map(millis)))?;
        self.stored = self.time;
        Ok(())
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
