//! Who was turned away. Each is told once: the first of a kind at once, those that follow within a
//! minute together, and no more than so many a minute whatever their kinds. Whoever may not come in
//! must not be able to fill the disk: what is too much for a minute, or comes while the disk is
//! full, is counted and told later. The map of kinds is bounded.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::result::Timestamp;

/// Time for which refusals of one kind are gathered.
pub const GATHER: Duration = Duration::from_secs(60);

/// Limit on separate places and reasons; the rest count as [`OTHERS`].
const MOST: usize = 64;

/// Limit on records a minute: some 16 kB of the audit chain.
const A_MINUTE: u32 = 16;

/// The peer of what exceeds `MOST`.
pub const OTHERS: &str = "others";

/// Refusals of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// When the last of them was.
    pub at: Timestamp,
    /// From where: a [`Place`](super::place::Place), or [`OTHERS`].
    pub peer: String,
    /// The last caller, if known; else empty.
    pub client: String,
    /// A stable word: the `ErrorInfo.reason` of the status, or `TLS_CLIENT_CERTIFICATE`.
    pub reason: &'static str,
    /// The last of them in words, for people.
    pub message: String,
    /// Number of refusals.
    pub count: u64,
}

/// What a refusal is of that is none of a caller, but of one too many.
const TOO_MANY: &str = "TOO_MANY_";

impl Refusal {
    /// Somebody was not known, or was not let do what he asked; not just one too many, or no TLS at
    /// all.
    #[must_use]
    pub fn is_login_failure(&self) -> bool {
        !self.reason.starts_with(TOO_MANY) && self.reason != "TLS_HANDSHAKE"
    }
}

/// Where refusals are recorded. It is called from async code and must not wait.
pub trait Record: Send + Sync + fmt::Debug {
    /// Takes down refusals of one kind.
    fn refused(&self, refusal: &Refusal);

    /// True when there is space for records.
    fn has_room(&self) -> bool {
        true
    }
}

/// Refusals on their way to be recorded. Cheap to clone; every clone is the same.
#[derive(Debug, Clone)]
pub struct Refusals {
    clock: Clock,
    record: Arc<dyn Record>,
    gathered: Arc<Mutex<Kinds>>,
}

#[derive(Debug, Default)]
struct Kinds {
    of: HashMap<(String, &'static str), Gathered>,
    /// When the minute began in which `told` were told.
    minute: Duration,
    told: u32,
}

impl Kinds {
    /// Takes one record of the minute's allowance, if any is left.
    fn may_tell(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.minute) >= GATHER {
            (self.minute, self.told) = (now, 0);
        }
        let may = self.told < A_MINUTE;
        self.told += u32::from(may);
        may
    }
}

#[derive(Debug)]
struct Gathered {
    /// Time of its last record; none without one.
    told: Option<Duration>,
    at: Timestamp,
    client: String,
    message: String,
    count: u64,
}

impl Refusals {
    /// Nobody was turned away yet.
    #[must_use]
    pub fn new(clock: Clock, record: Arc<dyn Record>) -> Self {
        Self { clock, record, gathered: Arc::default() }
    }

    /// Notes a refusal.
    pub fn note(&self, peer: &str, client: &str, reason: &'static str, message: &str) {
        let (at, now) = (self.clock.wall(), self.clock.monotonic());
        let mut kinds = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (peer.to_owned(), reason);
        if kinds.of.len() >= MOST && !kinds.of.contains_key(&key) {
            OTHERS.clone_into(&mut key.0);
        }
        if let Some(gathered) = kinds.of.get_mut(&key) {
            gathered.count += 1;
            gathered.at = at;
            client.clone_into(&mut gathered.client);
            message.clone_into(&mut gathered.message);
            return;
        }
        let (peer, client, message) = (key.0.clone(), client.to_owned(), message.to_owned());
        let at_once = self.record.has_room() && kinds.may_tell(now);
        let (told, count) = if at_once { (Some(now), 0) } else { (None, 1) };
        let gathered =
            Gathered { told, at, client: client.clone(), message: message.clone(), count };
        kinds.of.insert(key, gathered);
        drop(kinds);
        if at_once {
            self.tell(&Refusal { at, peer, client, reason, message, count: 1 });
        }
    }

    /// Records what was gathered long enough, as far as there is room; all of it when the daemon
    /// stops. Call it every few seconds.
    pub fn flush(&self, all: bool) {
        let now = self.clock.monotonic();
        let may_tell = all || self.record.has_room();
        let mut kinds = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over =
            |kind: &Gathered| kind.told.is_none_or(|told| now.saturating_sub(told) >= GATHER);
        kinds.of.retain(|_, kind| kind.count > 0 || !is_over(kind));
        let due = kinds.of.iter().filter(|(_, kind)| kind.count > 0 && (all || is_over(kind)));
        let mut due: Vec<_> = due.map(|(key, kind)| (kind.told, kind.at, key.clone())).collect();
        // The longest wait goes first.
        due.sort();
        let mut refusals = Vec::new();
        for (_, _, key) in due {
            if !(all || may_tell && kinds.may_tell(now)) {
                break;
            }
            let Some(kind) = kinds.of.get_mut(&key) else { continue };
            kind.told = Some(now);
            refusals.push(Refusal {
                at: kind.at,
                peer: key.0,
                client: std::mem::take(&mut kind.client),
                reason: key.1,
                message: std::mem::take(&mut kind.message),
                count: std::mem::take(&mut kind.count),
            });
        }
        drop(kinds);
        for refusal in &refusals {
            self.tell(refusal);
        }
    }

    fn tell(&self, refusal: &Refusal) {
        let Refusal { peer, client, reason, message, count, .. } = refusal;
        tracing::warn!(peer, client, reason, count, "caller refused: {message}");
        self.record.refused(refusal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Book(Mutex<Vec<(String, &'static str, u64)>>);

    impl Record for Book {
        fn refused(&self, refusal: &Refusal) {
            let line = (refusal.peer.clone(), refusal.reason, refusal.count);
            self.0.lock().unwrap().push(line);
        }
    }

    #[test]
    fn a_flood_is_one_record_a_minute_with_its_count() {
        let clock = Clock::manual(Timestamp(0));
        let book = Arc::new(Book::default());
        let refusals = Refusals::new(clock.clone(), Arc::clone(&book) as Arc<dyn Record>);
        let taken = || std::mem::take(&mut *book.0.lock().unwrap());
        for _ in 0..10_000 {
            refusals.note("10.0.0.1", "", "BAD_TOKEN", "no such token");
            refusals.flush(false);
        }
        assert_eq!(taken(), [("10.0.0.1".to_owned(), "BAD_TOKEN", 1)]);
        clock.advance(GATHER);
        refusals.flush(false);
        assert_eq!(taken(), [("10.0.0.1".to_owned(), "BAD_TOKEN", 9_999)]);
        clock.advance(GATHER);
        refusals.flush(false);
        assert!(taken().is_empty());
        refusals.note("10.0.0.1", "", "BAD_TOKEN", "no such token");
        refusals.note("10.0.0.1", "", "BAD_TOKEN", "no such token");
        refusals.flush(true);
        assert_eq!(taken().iter().map(|line| line.2).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn a_million_addresses_fill_no_map_and_no_disk() {
        let clock = Clock::manual(Timestamp(0));
        let book = Arc::new(Book::default());
        let refusals = Refusals::new(clock.clone(), Arc::clone(&book) as Arc<dyn Record>);
        let told = || book.0.lock().unwrap().len();
        for number in 0..20_000 {
            refusals.note(&format!("10.0.0.{number}"), "", "BAD_TOKEN", "");
        }
        assert_eq!(refusals.gathered.lock().unwrap().of.len(), MOST + 1);
        refusals.flush(false);
        assert_eq!(told(), A_MINUTE as usize);
        for minute in 2..=10 {
            let before = told();
            clock.advance(GATHER);
            refusals.flush(false);
            assert!(told() - before <= A_MINUTE as usize, "minute {minute}");
        }
        let counted: u64 = book.0.lock().unwrap().iter().map(|line| line.2).sum();
        assert_eq!(counted, 20_000, "late, and not one is missing");
        assert!(refusals.gathered.lock().unwrap().of.is_empty());
    }

    #[derive(Debug, Default)]
    struct Full(Book, std::sync::atomic::AtomicBool);

    impl Record for Full {
        fn refused(&self, refusal: &Refusal) {
            self.0.refused(refusal);
        }

        fn has_room(&self) -> bool {
            !self.1.load(std::sync::atomic::Ordering::Relaxed)
        }
    }

    #[test]
    fn nothing_is_told_while_there_is_no_room_and_all_of_it_later() {
        let clock = Clock::manual(Timestamp(0));
        let book = Arc::new(Full::default());
        book.1.store(true, std::sync::atomic::Ordering::Relaxed);
        let refusals = Refusals::new(clock.clone(), Arc::clone(&book) as Arc<dyn Record>);
        for _ in 0..100 {
            refusals.note("10.0.0.1", "", "BAD_TOKEN", "");
            clock.advance(GATHER);
            refusals.flush(false);
        }
        assert!(book.0.0.lock().unwrap().is_empty());
        book.1.store(false, std::sync::atomic::Ordering::Relaxed);
        refusals.flush(false);
        assert_eq!(*book.0.0.lock().unwrap(), [("10.0.0.1".to_owned(), "BAD_TOKEN", 100)]);
    }
}
