//! Writing the chain.

use rusqlite::{Connection, Row, params};
use serde::Serialize;

use super::AuditHead;
use super::event::AuditEvent;
use crate::kinds::{AuditSummary, Event};
use crate::result::Timestamp;
use crate::sql::unsigned;
use crate::types::Counts;

/// The end of the chain, as the writer's transaction sees it. A copy of it goes into the
/// transaction and takes its place once that is on the disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chain {
    pub(crate) head: AuditHead,
}

/// The text that is hashed.
#[derive(Serialize)]
struct Line<'a, T> {
    number: u64,
    at: &'a str,
    kind: &'a str,
    #[serde(flatten)]
    told: T,
}

/// The oldest events are gone, up to and with `to`.
#[derive(Serialize)]
pub(crate) struct Retention {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) removed: Counts,
}

/// The chain begins.
#[derive(Serialize)]
struct Genesis<'a> {
    epoch: &'a str,
    next_sequence: u64,
}

/// Sequences count in another epoch from here on.
#[derive(Serialize, Default)]
pub(crate) struct NewEpoch<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) reason: &'a str,
    /// Sequences that the file was to hold and does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lost_from: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lost_to: Option<u64>,
    #[serde(flatten)]
    pub(crate) restored: Option<Restored<'a>>,
}

/// A backup that took a journal's place.
#[derive(Serialize)]
pub(crate) struct Restored<'a> {
    /// The backup's place and SHA-256.
    pub(crate) backup: &'a str,
    pub(crate) backup_sha256: &'a str,
    /// Where the journal before is kept.
    pub(crate) replaced: Option<&'a str>,
}

/// An event that a recovery saved.
#[derive(Serialize)]
struct Adopted<'a> {
    sequence: u64,
    event: &'a str,
    /// Its sequence in the journal that it was saved from.
    was: u64,
    content: String,
}

impl Chain {
    /// Adds one record inside the caller's transaction. The caller writes the head with
    /// [`Chain::store`].
    fn append(
        &mut self,
        connection: &Connection,
        now: Timestamp,
        kind: &str,
        told: impl Serialize,
    ) -> rusqlite::Result<()> {
        let number = self.head.number + 1;
        let line = Line { number, at: &now.to_rfc3339(), kind, told };
        let text = serde_json::to_string(&line)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        let hash = seal(&self.head.hash, text.as_bytes());
        connection
            .prepare_cached(
                "INSERT INTO audit (number, kind, record, hash) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![number.cast_signed(), kind, text, hash.as_bytes()])?;
        self.head = AuditHead { number, hash };
        Ok(())
    }

    /// Adds the record of an event that was just stored; `content` is the digest of its payload.
    pub(crate) fn stored(
        &mut self,
        connection: &Connection,
        now: Timestamp,
        event: &Event,
        content: blake3::Hash,
    ) -> rusqlite::Result<()> {
        self.append(connection, now, event.audit_kind(), AuditSummary { event, content })
    }

    pub(crate) fn event(
        &mut self,
        connection: &Connection,
        now: Timestamp,
        event: &AuditEvent,
    ) -> rusqlite::Result<()> {
        self.append(connection, now, event.kind(), event)
    }

    pub(crate) fn retention(
        &mut self,
        connection: &Connection,
        now: Timestamp,
        told: &Retention,
    ) -> rusqlite::Result<()> {
        self.append(connection, now, "retention", told)
    }

    pub(crate) fn epoch(
        &mut self,
        connection: &Connection,
        now: Timestamp,
        told: &NewEpoch<'_>,
    ) -> rusqlite::Result<()> {
        self.append(connection, now, "epoch", told)
    }

    pub(crate) fn recovery(
        &mut self,
        connection: &Connection,
        now: Timestamp,
        told: impl Serialize,
    ) -> rusqlite::Result<()> {
        self.append(connection, now, "recovery", told)
    }

    /// Adds the record of an event that a recovery saved. `was` is the sequence that it had before.
    pub(crate) fn adopt(
        &mut self,
        connection: &Connection,
        now: Timestamp,
        (event, content): (&Event, blake3::Hash),
        was: u64,
    ) -> rusqlite::Result<()> {
        let (sequence, event) = (event.sequence(), event.kind());
        let content = content.to_string();
        self.append(connection, now, "adopted", Adopted { sequence, event, was, content })
    }

    /// Writes the head into `meta`, inside the caller's transaction.
    pub(crate) fn store(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .prepare_cached("UPDATE meta SET audit_number = ?1, audit_hash = ?2")?
            .execute(params![self.head.number.cast_signed(), self.head.hash.as_bytes()])
            .map(drop)
    }
}

/// The place in the chain whose columns begin at `first`.
pub(crate) fn read_head(row: &Row<'_>, first: usize) -> rusqlite::Result<AuditHead> {
    let hash = row.get::<_, [u8; 32]>(first + 1)?.into();
    Ok(AuditHead { number: unsigned(row, first)?, hash })
}

/// The hash of a record that follows one of the hash `previous`.
pub(crate) fn seal(previous: &blake3::Hash, record: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(previous.as_bytes());
    hasher.update(record);
    hasher.finalize()
}

/// Begins the chain of a new journal.
pub(crate) fn begin(
    connection: &Connection,
    epoch: &str,
    next_sequence: u64,
    now: Timestamp,
) -> rusqlite::Result<Chain> {
    let mut chain = Chain { head: AuditHead::NONE };
    chain.append(connection, now, "genesis", Genesis { epoch, next_sequence })?;
    chain.store(connection)?;
    Ok(chain)
}
