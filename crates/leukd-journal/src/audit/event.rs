//! What the chain tells of besides the journal's events.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::result::ModelRef;

/// The longest text that a caller from outside puts into a record, in bytes.
const MAX_TEXT_BYTES: usize = 256;

/// A record of the chain besides those of the journal's events. The journal adds number and time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum AuditEvent {
    /// Somebody was refused. Callers that are refused many times in a row are told of once, with a
    /// count: who may not come in must not be able to fill the disk.
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
        /// Each entry (`token:NAME`, `cert:NAME`, `uid:NUMBER`) that came, went or changed. The
        /// journal sets it, and makes no record where there is none.
        changed: BTreeMap<String, Change>,
        /// All entries with their scopes; a token also with the beginning of its digest and its
        /// end.
        entries: serde_json::Map<String, serde_json::Value>,
    },
    /// The server's certificate, or the CAs that sign clients' ones, are others than before.
    Keys {
        /// What changed. The journal sets it, and makes no record where nothing did.
        changed: BTreeMap<String, Change>,
        /// `certificate` and `client_ca`: SHA-256 of each certificate, as `openssl x509
        /// -fingerprint -sha256` shows it.
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
    pub(crate) const fn is_login_failure(&self) -> bool {
        matches!(self, Self::LoginFailure { .. })
    }

    /// The same with texts of bounded length: some come from people who are not let in.
    pub(crate) fn bounded(self) -> Self {
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
    if text.len() > MAX_TEXT_BYTES {
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_from_outside_is_cut_at_a_character() {
        let text = clipped("ü".repeat(1000));
        assert!(text.len() <= MAX_TEXT_BYTES + "…".len() && text.ends_with("ü…"), "{text}");
    }
}
