//! Records of the audit chain that could not be stored when they were due, because the disk was
//! full or failed. They are written first in the next transaction that succeeds, each with the time
//! of what it tells of.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::Connection;

use super::announce::{Run, announce, tell};
use super::chain::Chain;
use super::event::AuditEvent;
use crate::result::Timestamp;

/// The most events that wait: 64 are some hours of what a full disk keeps out. Of more only the
/// number is recorded.
const MAX_WAITING: usize = 64;

/// What is to be told.
#[derive(Debug)]
enum Due {
    Start(Box<Run>),
    Event(Box<AuditEvent>),
}

impl Due {
    fn is_login_failure(&self) -> bool {
        matches!(self, Self::Event(event) if event.is_login_failure())
    }
}

/// The events that wait, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    due: VecDeque<(Timestamp, Due)>,
    /// How many more there were.
    lost: u64,
    /// A transaction under way holds them: those that there is room for.
    writing: Option<Room>,
    /// How many wait, for everybody.
    count: Arc<AtomicUsize>,
}

/// What may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// Everything.
    Enough,
    /// The disk is below its floor: nothing that strangers cause.
    Little,
}

impl Room {
    fn is_for(self, due: &Due) -> bool {
        self == Self::Enough || !due.is_login_failure()
    }
}

impl Backlog {
    /// How many events wait, as that changes.
    pub(crate) fn count(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.count)
    }

    /// Something waits that there is room for.
    pub(crate) fn is_writable(&self, room: Room) -> bool {
        (room == Room::Enough && self.lost > 0) || self.due.iter().any(|(_, due)| room.is_for(due))
    }

    /// The daemon starts.
    pub(crate) fn start(&mut self, at: Timestamp, run: Run) {
        self.due.push_back((at, Due::Start(Box::new(run))));
    }

    /// Something happened. That it waits is told by [`Backlog::publish`]: mostly it is written at
    /// once.
    pub(crate) fn push(&mut self, at: Timestamp, event: AuditEvent) {
        if self.due.len() >= MAX_WAITING {
            self.lost += 1;
            let stranger = self.due.iter().position(|(_, due)| due.is_login_failure());
            match stranger {
                Some(place) if !event.is_login_failure() => drop(self.due.remove(place)),
                _ => return,
            }
        }
        self.due.push_back((at, Due::Event(Box::new(event))));
    }

    /// Writes what waits, and there is room for, into the caller's transaction. Call
    /// [`Backlog::written`] once that is on the disk; until then all of it waits on.
    pub(crate) fn write(
        &mut self,
        transaction: &Connection,
        chain: &mut Chain,
        room: Room,
        now: Timestamp,
    ) -> rusqlite::Result<()> {
        self.writing = Some(room);
        for (at, due) in self.due.iter().filter(|(_, due)| room.is_for(due)) {
            match due {
                Due::Start(run) => announce(transaction, chain, run, *at)?,
                Due::Event(event) => tell(transaction, chain, event, *at)?,
            }
        }
        if self.lost > 0 && room == Room::Enough {
            chain.event(transaction, now, &AuditEvent::Unrecorded { count: self.lost })?;
        }
        Ok(())
    }

    /// The transaction that [`Backlog::write`] wrote into is on the disk, or is not.
    pub(crate) fn written(&mut self, stored: bool) {
        let Some(room) = self.writing.take().filter(|_| stored) else { return };
        self.due.retain(|(_, due)| !room.is_for(due));
        if room == Room::Enough {
            self.lost = 0;
        }
        self.publish();
    }

    /// Tells everybody how many wait.
    pub(crate) fn publish(&self) {
        self.count.store(self.due.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> AuditEvent {
        let text = String::new;
        AuditEvent::LoginFailure { peer: text(), client: text(), reason: text(), count: 1 }
    }

    #[test]
    fn strangers_push_nothing_out_and_what_is_too_much_is_counted() {
        let mut backlog = Backlog::default();
        for _ in 0..2 * MAX_WAITING {
            backlog.push(Timestamp(0), failure());
        }
        assert_eq!((backlog.due.len(), backlog.lost), (MAX_WAITING, MAX_WAITING as u64));
        for _ in 0..2 * MAX_WAITING {
            backlog.push(Timestamp(0), AuditEvent::Stop { clean: true });
        }
        assert_eq!((backlog.due.len(), backlog.lost), (MAX_WAITING, 3 * MAX_WAITING as u64));
        backlog.publish();
        assert!(!backlog.due.iter().any(|(_, due)| due.is_login_failure()));
        assert_eq!(backlog.count().load(Ordering::Relaxed), MAX_WAITING);
    }
}
