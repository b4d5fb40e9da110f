//! What the chain tells of a start: the daemon, and what of its settings is new.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};
use serde_json::{Map, Value};

use super::chain::Chain;
use super::{AuditEvent, Change, RARE};
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

/// Writes the records of a start, both in one transaction.
pub(in crate::journal) fn announce(
    connection: &mut Connection,
    chain: &mut Chain,
    run: Run,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let mut next = *chain;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let last: Option<String> = transaction
        .query_row(
            &format!(
                "SELECT record FROM audit WHERE kind = 'configuration' AND {RARE}
                 ORDER BY number DESC LIMIT 1"
            ),
            [],
            |row| row.get(0),
        )
        .optional()?;
    let before = last.and_then(|text| settings_of(&text)).unwrap_or_default();
    let digest = blake3::hash(Value::Object(run.settings.clone()).to_string().as_bytes());
    let digest = digest.to_string();
    let changed = changes(&before, &run.settings);
    if !changed.is_empty() {
        let (digest, settings) = (digest.clone(), run.settings);
        let event = AuditEvent::Configuration { digest, changed, settings };
        next.event(&transaction, now, &event)?;
    }
    let event = AuditEvent::Start { version: run.version, configuration: digest, model: run.model };
    next.event(&transaction, now, &event)?;
    next.store(&transaction)?;
    transaction.commit()?;
    *chain = next;
    Ok(())
}

fn settings_of(record: &str) -> Option<Map<String, Value>> {
    match serde_json::from_str::<Value>(record).ok()?.get_mut("settings")?.take() {
        Value::Object(settings) => Some(settings),
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
