//! What the chain tells of a start: the daemon, and what of its settings is new.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _};
use serde_json::{Map, Value};

use super::RARE;
use super::chain::Chain;
use super::event::{AuditEvent, Change};
use crate::result::Timestamp;

/// A daemon that opens the journal to work with it.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its version.
    pub version: String,
    /// The configured bundle: a path, or `embedded`.
    pub model: String,
    /// Every setting in force, as `section.key`; secrets as a word.
    pub settings: Map<String, Value>,
}

/// Writes the records of a start into the caller's transaction.
pub(super) fn announce(
    transaction: &Connection,
    chain: &mut Chain,
    run: &Run,
    at: Timestamp,
) -> rusqlite::Result<()> {
    let before = last(transaction, "configuration", "settings")?;
    let digest = digest(&run.settings);
    let changed = changes(&before, &run.settings);
    if !changed.is_empty() {
        let (digest, settings) = (digest.clone(), run.settings.clone());
        let event = AuditEvent::Configuration { digest, changed, settings };
        chain.event(transaction, at, &event)?;
    }
    let (version, model) = (run.version.clone(), run.model.clone());
    chain.event(transaction, at, &AuditEvent::Start { version, configuration: digest, model })
}

/// Writes an event into the caller's transaction. Of what stands until it changes (who may do what,
/// the keys) it tells what is other than in the last record of it, and nothing where all is the
/// same.
pub(super) fn tell(
    transaction: &Connection,
    chain: &mut Chain,
    event: &AuditEvent,
    at: Timestamp,
) -> rusqlite::Result<()> {
    let event = match event {
        AuditEvent::Access { entries, .. } => {
            let changed = changes(&last(transaction, event.kind(), "entries")?, entries);
            let (digest, entries) = (digest(entries), entries.clone());
            (!changed.is_empty()).then_some(AuditEvent::Access { digest, changed, entries })
        }
        AuditEvent::Keys { keys, .. } => {
            let changed = changes(&last(transaction, event.kind(), "keys")?, keys);
            (!changed.is_empty()).then(|| AuditEvent::Keys { changed, keys: keys.clone() })
        }
        other => Some(other.clone()),
    };
    event.map_or(Ok(()), |event| chain.event(transaction, at, &event))
}

fn digest(all: &Map<String, Value>) -> String {
    blake3::hash(Value::Object(all.clone()).to_string().as_bytes()).to_string()
}

/// What the last record of this kind holds under `key`.
fn last(connection: &Connection, kind: &str, key: &str) -> rusqlite::Result<Map<String, Value>> {
    let sql =
        format!("SELECT record FROM audit WHERE kind = ?1 AND {RARE} ORDER BY number DESC LIMIT 1");
    let last: Option<String> = connection.query_row(&sql, [kind], |row| row.get(0)).optional()?;
    Ok(last.and_then(|text| object_of(&text, key)).unwrap_or_default())
}

fn object_of(record: &str, key: &str) -> Option<Map<String, Value>> {
    match serde_json::from_str::<Value>(record).ok()?.get_mut(key)?.take() {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

fn changes(old: &Map<String, Value>, new: &Map<String, Value>) -> BTreeMap<String, Change> {
    let value = |of: &Map<String, Value>, key: &str| of.get(key).cloned().unwrap_or(Value::Null);
    old.keys()
        .chain(new.keys())
        .filter(|key| value(old, key) != value(new, key))
        .map(|key| (key.clone(), Change { old: value(old, key), new: value(new, key) }))
        .collect()
}
