//! Sessions: a token that was pasted once, kept on the server under a random cookie.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, header};

use crate::access::gate::Credential;
use crate::access::token::TokenHash;
use crate::clock::Clock;
use crate::result::Digest;

/// The most sessions at once. Beyond, the one that was idle longest ends.
const MAX_SESSIONS: usize = 256;

/// A session ends after this, used or not.
const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// Random bytes of a cookie.
const RANDOM: usize = 32;

#[derive(Debug)]
struct Session {
    credential: Credential,
    began: Duration,
    used: Duration,
}

/// All sessions. A cookie's hash is the key: the cookie itself is not kept.
#[derive(Debug)]
pub(super) struct Sessions {
    cookie: String,
    lock_after: Duration,
    clock: Clock,
    open: Mutex<HashMap<String, Session>>,
}

impl Sessions {
    /// None yet. The cookie's name is that of the journal: cookies do not separate ports, and
    /// nobody else can guess it.
    pub(super) fn new(epoch: &str, lock_after: Duration, clock: Clock) -> Self {
        let name = Digest::of(format!("leukd page {epoch}").as_bytes()).to_string();
        let cookie = format!("leukd-{}", name.get(..16).unwrap_or_default());
        Self { cookie, lock_after, clock, open: Mutex::default() }
    }

    /// Begins a session: the value of `Set-Cookie`.
    ///
    /// # Errors
    /// The operating system gives no random numbers.
    pub(super) fn begin(&self, credential: Credential) -> std::io::Result<String> {
        let mut random = [0; RANDOM];
        getrandom::fill(&mut random).map_err(std::io::Error::other)?;
        let secret = Digest(random).to_string();
        let now = self.clock.monotonic();
        let mut open = self.lock();
        open.retain(|_, session| !self.is_over(session, now));
        if open.len() >= MAX_SESSIONS {
            let idle = open.iter().min_by_key(|(_, session)| session.used);
            if let Some(key) = idle.map(|(key, _)| key.clone()) {
                open.remove(&key);
            }
        }
        open.insert(key(&secret), Session { credential, began: now, used: now });
        Ok(format!("{}={secret}; Path=/; HttpOnly; SameSite=Strict", self.cookie))
    }

    /// The credential of the session that the request's cookie names. `is_used`: a person did
    /// something, so that the session is not idle.
    pub(super) fn find(&self, headers: &HeaderMap, is_used: bool) -> Option<Credential> {
        let now = self.clock.monotonic();
        let mut open = self.lock();
        for secret in self.secrets(headers) {
            let key = key(secret);
            let Some(session) = open.get_mut(&key) else { continue };
            if self.is_over(session, now) {
                open.remove(&key);
                continue;
            }
            if is_used {
                session.used = now;
            }
            return Some(session.credential.clone());
        }
        None
    }

    /// Ends the session: the value of `Set-Cookie` that forgets it.
    pub(super) fn end(&self, headers: &HeaderMap) -> String {
        let mut open = self.lock();
        for secret in self.secrets(headers) {
            open.remove(&key(secret));
        }
        format!("{}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0", self.cookie)
    }

    /// Values of the cookie: another service of this host may have set one of the same name.
    fn secrets<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a str> {
        let values = headers.get_all(header::COOKIE).iter();
        values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| {
                let (name, value) = pair.trim().split_once('=')?;
                (name == self.cookie).then_some(value)
            })
    }

    fn is_over(&self, session: &Session, now: Duration) -> bool {
        now.saturating_sub(session.used) >= self.lock_after
            || now.saturating_sub(session.began) >= LONGEST
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(secret: &str) -> String {
    TokenHash::of(secret).to_hex()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Timestamp;

    fn headers(cookie: &str) -> HeaderMap {
        let value = cookie.split(';').next().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, format!("other=1; {value}").parse().unwrap());
        headers
    }

    #[test]
    fn an_idle_session_is_locked_and_a_used_one_is_not() {
        let clock = Clock::manual(Timestamp(0));
        let sessions = Sessions::new("epoch", Duration::from_secs(60), clock.clone());
        let cookie = headers(&sessions.begin(Credential::Nobody).unwrap());
        for _ in 0..3 {
            clock.advance(Duration::from_secs(59));
            assert!(sessions.find(&cookie, true).is_some());
        }
        clock.advance(Duration::from_secs(59));
        assert!(sessions.find(&cookie, false).is_some(), "a background call is no use");
        clock.advance(Duration::from_secs(2));
        assert!(sessions.find(&cookie, true).is_none());
    }

    #[test]
    fn sessions_are_bounded_and_end_on_the_server() {
        let clock = Clock::manual(Timestamp(0));
        let sessions = Sessions::new("epoch", Duration::from_secs(60), clock.clone());
        let first = headers(&sessions.begin(Credential::Nobody).unwrap());
        clock.advance(Duration::from_millis(1));
        let second = headers(&sessions.begin(Credential::Nobody).unwrap());
        clock.advance(Duration::from_millis(1));
        for _ in 1..MAX_SESSIONS {
            sessions.begin(Credential::Nobody).unwrap();
        }
        assert!(sessions.find(&first, true).is_none(), "the one that was idle longest");
        assert!(sessions.find(&second, true).is_some());
        sessions.end(&second);
        assert!(sessions.find(&second, true).is_none());
        assert_eq!(sessions.lock().len(), MAX_SESSIONS - 1);
    }
}
