//! Who was turned away. Each is told once: the first of a kind at once, those that follow within a minute
//! together. A flood of them is one record a minute for each address and reason, and the map of addresses is
//! bounded.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::result::Timestamp;

/// How long refusals of one kind are gathered.
pub const GATHER: Duration = Duration::from_secs(60);

/// The most addresses and reasons that are told apart; the rest are told together, as [`OTHERS`].
const MOST: usize = 1024;

/// The peer of what exceeds `MOST`.
pub const OTHERS: &str = "others";

/// Refusals of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// When the last of them was.
    pub at: Timestamp,
    /// From where: an IP address, `unix` with the user, or [`OTHERS`].
    pub peer: String,
    /// Who it was, as far as that is known: the last of them; else empty.
    pub client: String,
    /// A stable word: the `ErrorInfo.reason` of the status, or `TLS_CLIENT_CERTIFICATE`.
    pub reason: &'static str,
    /// The last of them in words, for people.
    pub message: String,
    /// How many.
    pub count: u64,
}

/// What a refusal is of that is none of a caller, but of one too many.
const TOO_MANY: &str = "TOO_MANY_";

impl Refusal {
    /// Somebody was not known, or was not let do what he asked; not just one too many, or no TLS at all.
    #[must_use]
    pub fn is_login_failure(&self) -> bool {
        !self.reason.starts_with(TOO_MANY) && self.reason != "TLS_HANDSHAKE"
    }
}

/// Where refusals are recorded. It is called from async code and must not wait.
pub trait Record: Send + Sync + fmt::Debug {
    /// Takes down refusals of one kind.
    fn refused(&self, refusal: &Refusal);
}

/// Refusals on their way to be recorded. Cheap to clone; every clone is the same.
#[derive(Debug, Clone)]
pub struct Refusals {
    clock: Clock,
    record: Arc<dyn Record>,
    gathered: Arc<Mutex<HashMap<(String, &'static str), Gathered>>>,
}

#[derive(Debug)]
struct Gathered {
    since: Duration,
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

    /// Notes that somebody was turned away.
    pub fn note(&self, peer: &str, client: &str, reason: &'static str, message: &str) {
        let (at, now) = (self.clock.wall(), self.clock.monotonic());
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (peer.to_owned(), reason);
        if gathered.len() >= MOST && !gathered.contains_key(&key) {
            OTHERS.clone_into(&mut key.0);
        }
        if let Some(gathered) = gathered.get_mut(&key) {
            gathered.count += 1;
            gathered.at = at;
            client.clone_into(&mut gathered.client);
            message.clone_into(&mut gathered.message);
            return;
        }
        let peer = key.0.clone();
        let (none, count) = (String::new(), 0);
        gathered
            .insert(key, Gathered { since: now, at, client: none.clone(), message: none, count });
        drop(gathered);
        let (client, message) = (client.to_owned(), message.to_owned());
        self.tell(&Refusal { at, peer, client, reason, message, count: 1 });
    }

    /// Records what was gathered long enough; all of it when the daemon stops. Call it every few seconds.
    pub fn flush(&self, all: bool) {
        let now = self.clock.monotonic();
        let mut due = Vec::new();
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.retain(|(peer, reason), kind| {
            if !all && now.saturating_sub(kind.since) < GATHER {
                return true;
            }
            if kind.count == 0 {
                return false;
            }
            due.push(Refusal {
                at: kind.at,
                peer: peer.clone(),
                client: std::mem::take(&mut kind.client),
                reason,
                message: std::mem::take(&mut kind.message),
                count: std::mem::take(&mut kind.count),
            });
            kind.since = now;
            true
        });
        drop(gathered);
        for refusal in &due {
            self.tell(refusal);
        }
    }

    fn tell(&self, refusal: &Refusal) {
        let Refusal { peer, client, reason, message, count, .. } = refusal;
        tracing::warn!(peer, client, reason, count, "turned away: {message}");
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
    fn a_million_addresses_fill_no_map() {
        let clock = Clock::manual(Timestamp(0));
        let book = Arc::new(Book::default());
        let refusals = Refusals::new(clock.clone(), Arc::clone(&book) as Arc<dyn Record>);
        for number in 0..20_000 {
            refusals.note(&format!("10.0.0.{number}"), "", "BAD_TOKEN", "");
        }
        assert_eq!(refusals.gathered.lock().unwrap().len(), MOST + 1);
        clock.advance(GATHER);
        refusals.flush(false);
        let counted: u64 = book.0.lock().unwrap().iter().map(|line| line.2).sum();
        assert_eq!(counted, 20_000);
        assert!(book.0.lock().unwrap().len() <= MOST + 2);
    }
}
