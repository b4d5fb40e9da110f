//! What each client has under way, and how much it may have. A client is who it says it is, by
//! token, certificate or user; else the address it calls from.
//!
//! The map holds those clients alone that have something under way: it is as long as the open calls
//! are many, and forgets a client with its last call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Limits of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Calls with one answer.
    pub requests: u32,
    /// Calls that stream.
    pub streams: u32,
    /// Bytes of requests, and of messages of streams, that have arrived and are not answered yet.
    /// One that is still arriving counts as far as it has come.
    pub bytes: u64,
}

/// Kinds of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One answer.
    Request,
    /// Many messages, one way or both.
    Stream,
}

/// Which allowance is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Exceeded {
    /// Too many calls with one answer.
    #[error(
        "{0} requests of yours are under way, as many as access.max_requests allows one client"
    )]
    Requests(u32),
    /// Too many calls that stream.
    #[error("{0} streams of yours are open, as many as access.max_streams allows one client")]
    Streams(u32),
    /// Too many bytes.
    #[error(
        "requests of yours that are not answered yet hold {0} bytes, as many as access.max_bytes allows one client"
    )]
    Bytes(u64),
}

#[derive(Debug, Default)]
struct Usage {
    requests: u32,
    streams: u32,
    bytes: u64,
}

/// Every client that has something under way. Cheap to clone; every clone is the same.
#[derive(Debug, Clone)]
pub struct Clients {
    allowance: Allowance,
    usage: Arc<Mutex<HashMap<String, Usage>>>,
}

impl Clients {
    /// Nobody yet.
    #[must_use]
    pub fn new(allowance: Allowance) -> Self {
        Self { allowance, usage: Arc::default() }
    }

    /// Takes a place for one call of `client`; it is given back when the place is dropped.
    ///
    /// # Errors
    /// The client has as many under way as it may.
    pub fn begin(&self, client: &str, kind: Kind) -> Result<Place, Exceeded> {
        let mut usage = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        let Allowance { requests, streams, .. } = self.allowance;
        if let Some(usage) = usage.get(client) {
            match kind {
                Kind::Request if usage.requests >= requests => {
                    return Err(Exceeded::Requests(requests));
                }
                Kind::Stream if usage.streams >= streams => return Err(Exceeded::Streams(streams)),
                Kind::Request | Kind::Stream => {}
            }
        }
        let usage = usage.entry(client.to_owned()).or_default();
        match kind {
            Kind::Request => usage.requests += 1,
            Kind::Stream => usage.streams += 1,
        }
        Ok(Place { clients: self.clone(), client: client.to_owned(), kind, bytes: 0 })
    }

    /// Number of clients with open calls.
    #[must_use]
    pub fn count(&self) -> usize {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// One call's place.
#[derive(Debug)]
pub struct Place {
    clients: Clients,
    client: String,
    kind: Kind,
    bytes: u64,
}

impl Place {
    /// Counts bytes that have arrived for this call.
    ///
    /// # Errors
    /// They are more than the client may have under way; they do not count then.
    pub fn add(&mut self, bytes: u64) -> Result<(), Exceeded> {
        let mut usage = self.clients.usage.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(usage) = usage.get_mut(&self.client) else { return Ok(()) };
        let limit = self.clients.allowance.bytes;
        let sum = usage.bytes.saturating_add(bytes);
        if sum > limit {
            return Err(Exceeded::Bytes(limit));
        }
        usage.bytes = sum;
        self.bytes += bytes;
        Ok(())
    }

    /// Releases counted bytes, after their answer.
    pub fn release(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        let mut usage = self.clients.usage.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(usage) = usage.get_mut(&self.client) {
            usage.bytes = usage.bytes.saturating_sub(bytes);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.clients.usage.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(usage) = all.get_mut(&self.client) else { return };
        match self.kind {
            Kind::Request => usage.requests = usage.requests.saturating_sub(1),
            Kind::Stream => usage.streams = usage.streams.saturating_sub(1),
        }
        usage.bytes = usage.bytes.saturating_sub(self.bytes);
        if usage.requests == 0 && usage.streams == 0 {
            all.remove(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_cannot_take_anothers_places_and_is_forgotten_with_its_last_call() {
        let clients = Clients::new(Allowance { requests: 2, streams: 1, bytes: 10 });
        let mut first = clients.begin("a", Kind::Request).unwrap();
        let second = clients.begin("a", Kind::Request).unwrap();
        assert_eq!(clients.begin("a", Kind::Request).unwrap_err(), Exceeded::Requests(2));
        let stream = clients.begin("a", Kind::Stream).unwrap();
        assert_eq!(clients.begin("a", Kind::Stream).unwrap_err(), Exceeded::Streams(1));
        let mut other = clients.begin("b", Kind::Request).unwrap();
        first.add(7).unwrap();
        assert_eq!(first.add(4), Err(Exceeded::Bytes(10)));
        first.add(3).unwrap();
        first.release(5);
        first.add(5).unwrap();
        other.add(10).unwrap();
        drop(first);
        let mut third = clients.begin("a", Kind::Request).unwrap();
        third.add(10).unwrap();
        assert_eq!(clients.count(), 2);
        drop((second, third, stream, other));
        assert_eq!(clients.count(), 0);
    }
}
