//! The audit chain: what happened, one record each, every record sealed with the one before it.
//!
//! A record is a line of JSON. Its hash is BLAKE3 over the hash of the record before (32 bytes, zero for the
//! first) and the record's own text. It is written in the transaction of what it tells of, so that there is
//! no event without its record and no record without its event. An event's record holds a digest of the
//! stored row as well (`content.rs`), so that an edit of the row is found as long as the row is kept.
//!
//! What the chain cannot tell: that its newest records were removed, or that all of it was written anew, by
//! somebody who may write the file. Only a [`AuditHead`] that is kept elsewhere finds that. The daemon says it
//! in its log and in `GetStatus`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::{Journal, JournalError, writer};
use crate::result::ModelRef;

mod announce;
mod chain;
pub(super) mod content;
mod export;
mod verify;

pub use announce::Run;
pub use export::{Chain as ExportedChain, Sealed};
pub use verify::{Fault, Verified, verify};

pub(super) use announce::{announce, tell};
pub(super) use chain::{Chain, Retention, begin, seal};
pub(super) use verify::examine;

/// The events of the chain, without those that come in thousands: SQLite uses the index of these words only where
/// a query repeats them.
pub(super) const RARE: &str = "kind NOT IN ('result', 'rejection', 'adopted')";

/// The longest text that a caller from outside puts into a record, in bytes.
const LONGEST: usize = 256;

/// A place in the chain: the number of a record, and its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    /// 1, 2, 3, …; 0 before the first record.
    pub number: u64,
    /// The hash of that record, which stands for all before it.
    pub hash: blake3::Hash,
}

impl AuditHead {
    /// Before the first record.
    pub const NONE: Self = Self { number: 0, hash: blake3::Hash::from_bytes([0; 32]) };
}

impl fmt::Display for AuditHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, self.hash)
    }
}

impl FromStr for AuditHead {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split_once(':')
            .and_then(|(number, hash)| {
                let number = number.parse().ok()?;
                Some(Self { number, hash: blake3::Hash::from_hex(hash).ok()? })
            })
            .ok_or_else(|| {
                format!("{text:?} is no head: give NUMBER:HASH, with 64 hexadecimal digits")
            })
    }
}

/// What the chain tells of besides results. The journal adds number and time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum AuditEvent {
    /// Somebody was refused. Callers that are refused many times in a row are told of once, with a count:
    /// who may not come in must not be able to fill the disk.
    LoginFailure {
        /// The caller's address.
        peer: String,
        /// Who it said it was, as far as that is known; never the secret.
        client: String,
        /// Why it was refused.
        reason: String,
        /// How many times since the record before; at least 1.
        count: u64,
    },
    /// A model was to be put into service.
    Model {
        /// Who asked: `start`, `SIGHUP`, or the client.
        by: String,
        /// The bundle: a path, or `embedded`.
        origin: String,
        /// What served before.
        from: Option<ModelRef>,
        /// What serves since; none where it was refused and `from` stays in service.
        to: Option<ModelRef>,
        /// Who signed it, or which setting lets it in unsigned.
        trust: Option<String>,
        /// Why it was refused.
        failure: Option<String>,
    },
    /// The daemon's settings are others than at the start before.
    Configuration {
        /// BLAKE3 of the settings, as this record holds them.
        digest: String,
        /// Each setting that changed, as `section.key`.
        changed: BTreeMap<String, Change>,
        /// All settings; what is secret stands there as a word.
        settings: serde_json::Map<String, serde_json::Value>,
    },
    /// The daemon started.
    Start {
        /// Its version.
        version: String,
        /// The digest of its settings: that of the last `configuration` record.
        configuration: String,
        /// The configured bundle: a path, or `embedded`. The record of its loading follows.
        model: String,
    },
    /// Who may do what is other than before: the access file has changed.
    Access {
        /// BLAKE3 of the entries, as this record holds them. The journal sets it.
        digest: String,
        /// Each entry (`token:NAME`, `cert:NAME`, `uid:NUMBER`) that came, went or changed. The journal sets it, and makes
        /// no record where there is none.
        changed: BTreeMap<String, Change>,
        /// All entries with their scopes; a token also with the beginning of its digest and its end.
        entries: serde_json::Map<String, serde_json::Value>,
    },
    /// The server's certificate, or the CAs that sign clients' ones, are others than before.
    Keys {
        /// What changed. The journal sets it, and makes no record where nothing did.
        changed: BTreeMap<String, Change>,
        /// `certificate` and `client_ca`: SHA-256 of each certificate, as `openssl x509 -fingerprint -sha256` shows it.
        keys: serde_json::Map<String, serde_json::Value>,
    },
    /// Somebody changed what is logged.
    LogLevel {
        /// Who.
        by: String,
        /// The filter before.
        from: String,
        /// The filter since.
        to: String,
        /// When it falls back to the configured one by itself, RFC 3339; none where it stays.
        until: Option<String>,
    },
    /// Events could not be stored when they happened, and were too many to wait.
    Unrecorded {
        /// How many.
        count: u64,
    },
    /// The daemon stopped because it was told to.
    Stop {
        /// Nothing had to be cut off.
        clean: bool,
    },
}

/// A setting's values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Before; null where the setting was not there.
    pub old: serde_json::Value,
    /// Now; null where the setting is gone.
    pub new: serde_json::Value,
}

impl AuditEvent {
    /// The word in the record's `kind`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::LoginFailure { .. } => "login-failure",
            Self::Model { .. } => "model",
            Self::Configuration { .. } => "configuration",
            Self::Start { .. } => "start",
            Self::Access { .. } => "access",
            Self::Keys { .. } => "keys",
            Self::LogLevel { .. } => "log-level",
            Self::Unrecorded { .. } => "unrecorded",
            Self::Stop { .. } => "stop",
        }
    }

    /// Strangers cause it.
    pub(super) const fn is_login_failure(&self) -> bool {
        matches!(self, Self::LoginFailure { .. })
    }

    /// The same with texts of bounded length: some come from people who are not let in.
    fn bounded(self) -> Self {
        match self {
            Self::LoginFailure { peer, client, reason, count } => Self::LoginFailure {
                peer: clipped(peer),
                client: clipped(client),
                reason: clipped(reason),
                count,
            },
            Self::Model { by, origin, from, to, trust, failure } => {
                let (by, failure) = (clipped(by), failure.map(clipped));
                Self::Model { by, origin, from, to, trust, failure }
            }
            Self::LogLevel { by, from, to, until } => {
                Self::LogLevel { by: clipped(by), from, to, until }
            }
            other => other,
        }
    }
}

fn clipped(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    text
}

impl Journal {
    /// Adds one record to the audit chain and tells its place. It is on the disk when this returns; also below
    /// the disk floor, as far as there is space, but for a login failure.
    ///
    /// # Errors
    /// [`JournalError::Storage`] or [`JournalError::DiskFloor`]: there is no record yet. It is kept, and written as soon as
    /// that is possible, as long as the process lives. [`JournalError::Closed`]: there will be none.
    pub async fn audit(&self, event: AuditEvent) -> Result<AuditHead, JournalError> {
        self.ask(|reply| writer::Work::Audit(Box::new(event.bounded()), reply)).await
    }

    /// The same for a thread that may block; inside an asynchronous task it panics.
    ///
    /// # Errors
    /// As [`Journal::audit`].
    pub fn audit_blocking(&self, event: AuditEvent) -> Result<AuditHead, JournalError> {
        self.ask_blocking(|reply| writer::Work::Audit(Box::new(event.bounded()), reply))
    }

    /// How many records of the audit chain could not be written when they were due, and wait.
    #[must_use]
    pub fn owed(&self) -> usize {
        self.inner.shared.owed.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Tries to write them.
    ///
    /// # Errors
    /// As [`Journal::audit`]: they wait on.
    pub async fn settle(&self) -> Result<AuditHead, JournalError> {
        self.ask(writer::Work::Settle).await
    }

    /// The newest record of the audit chain.
    #[must_use]
    pub fn audit_head(&self) -> AuditHead {
        self.inner.shared.audit_head()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_back_as_it_is_shown() {
        let head = AuditHead { number: 7, hash: blake3::hash(b"x") };
        assert_eq!(head.to_string().parse(), Ok(head));
        for bad in ["", "7", "7:", "x:00", "7:00", ":"] {
            assert!(bad.parse::<AuditHead>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_long_text_from_outside_is_cut_at_a_character() {
        let text = clipped("ü".repeat(1000));
        assert!(text.len() <= LONGEST + "…".len() && text.ends_with("ü…"), "{text}");
    }
}
