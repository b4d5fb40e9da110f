//! Writing the chain.

use rusqlite::{Connection, params};
use serde::Serialize;

use super::{AuditEvent, AuditHead};
use crate::journal::row;
use crate::journal::tables::{RESULTS, TABLES, every};
use crate::result::{Decision, Record, Source, Timestamp};
use crate::review::Review;
use crate::told::{Cause, SpecimenTold};

/// The end of the chain, as the writer's transaction sees it. A copy of it goes into the transaction and takes
/// its place once that is on the disk.
#[derive(Debug, Clone, Copy)]
pub(in crate::journal) struct Chain {
    pub(in crate::journal) head: AuditHead,
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

/// What a record tells of a result.
#[derive(Serialize)]
pub(in crate::journal) struct ResultTold<'a> {
    sequence: u64,
    result_id: &'a str,
    decision: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    supersedes: Option<u64>,
    content: String,
}

impl<'a> ResultTold<'a> {
    pub(in crate::journal) fn new(record: &'a Record, content: blake3::Hash) -> Self {
        let finding = &record.finding;
        let (file, peer, client) = match &finding.source {
            Source::Folder(path) => (Some(path.to_string()), None, None),
            Source::Rpc { peer, client, .. } => (None, Some(peer.as_str()), Some(client.as_str())),
        };
        Self {
            sequence: record.sequence,
            result_id: &finding.result_id,
            decision: finding.decision.as_str(),
            file,
            peer,
            client,
            sha256: finding.sha256.map(|sha256| sha256.to_string()),
            model: finding.model.as_ref().map(|model| model.digest.as_str()),
            supersedes: record.supersedes,
            content: content.to_string(),
        }
    }

    const fn kind(decision: Decision) -> &'static str {
        match decision {
            Decision::Rejected => "rejection",
            _ => "result",
        }
    }
}

/// What a record tells of a review. Its note stands in its row alone, so that retention can remove it.
#[derive(Serialize)]
struct ReviewTold<'a> {
    sequence: u64,
    review_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<u64>,
    result_id: &'a str,
    label: &'a str,
    agrees: bool,
    reviewer: &'a str,
    client: &'a str,
    content: String,
}

/// What a record tells of a specimen's event.
#[derive(Serialize)]
struct SpecimenRecord<'a> {
    sequence: u64,
    specimen: &'a str,
    round: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
    content: String,
}

/// The oldest events are gone, up to and with `to`.
#[derive(Serialize)]
pub(in crate::journal) struct Retention {
    pub(in crate::journal) from: u64,
    pub(in crate::journal) to: u64,
    pub(in crate::journal) results: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(in crate::journal) reviews: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(in crate::journal) specimens: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The chain begins.
#[derive(Serialize)]
struct Genesis<'a> {
    epoch: &'a str,
    next_sequence: u64,
}

/// The newest results were lost: sequences count in another epoch.
#[derive(Serialize)]
struct Epoch<'a> {
    from: &'a str,
    to: &'a str,
    lost_from: u64,
    lost_to: u64,
}

/// An event that a recovery saved.
#[derive(Serialize)]
struct Adopted<'a> {
    sequence: u64,
    /// Which table it is in; left out for `results`.
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<&'a str>,
    /// Its sequence in the journal that it was saved from.
    was: u64,
    content: String,
}

impl Chain {
    /// Adds one record inside the caller's transaction. The caller writes the head with [`Chain::store`].
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

    pub(in crate::journal) fn result(
        &mut self,
        connection: &Connection,
        now: Timestamp,
        record: &Record,
        content: blake3::Hash,
    ) -> rusqlite::Result<()> {
        let kind = ResultTold::kind(record.finding.decision);
        self.append(connection, now, kind, ResultTold::new(record, content))
    }

    pub(in crate::journal) fn review(
        &mut self,
        connection: &Connection,
        now: Timestamp,
        review: &Review,
        content: blake3::Hash,
    ) -> rusqlite::Result<()> {
        let told = ReviewTold {
            sequence: review.sequence,
            review_id: &review.review_id,
            result: review.of.sequence,
            result_id: &review.of.result_id,
            label: review.label.as_str(),
            agrees: review.agrees,
            reviewer: &review.reviewer,
            client: &review.client,
            content: content.to_string(),
        };
        self.append(connection, now, "review", told)
    }

    pub(in crate::journal) fn specimen(
        &mut self,
        connection: &Connection,
        now: Timestamp,
        told: &SpecimenTold,
        content: blake3::Hash,
    ) -> rusqlite::Result<()> {
        let marker = match &told.cause {
            Cause::Quiet => None,
            Cause::Marker(marker) => Some(marker.path.to_string()),
        };
        let (sequence, specimen, round) = (told.sequence, told.specimen.as_str(), told.round);
        let content = content.to_string();
        let told = SpecimenRecord { sequence, specimen, round, marker, content };
        self.append(connection, now, "specimen", told)
    }

    pub(in crate::journal) fn event(
        &mut self,
        connection: &Connection,
        now: Timestamp,
        event: &AuditEvent,
    ) -> rusqlite::Result<()> {
        self.append(connection, now, event.kind(), event)
    }

    pub(in crate::journal) fn retention(
        &mut self,
        connection: &Connection,
        now: Timestamp,
        told: &Retention,
    ) -> rusqlite::Result<()> {
        self.append(connection, now, "retention", told)
    }

    pub(in crate::journal) fn epoch(
        &mut self,
        connection: &Connection,
        now: Timestamp,
        (from, to): (&str, &str),
        (lost_from, lost_to): (u64, u64),
    ) -> rusqlite::Result<()> {
        self.append(connection, now, "epoch", Epoch { from, to, lost_from, lost_to })
    }

    pub(in crate::journal) fn recovery(
        &mut self,
        connection: &Connection,
        now: Timestamp,
        told: impl Serialize,
    ) -> rusqlite::Result<()> {
        self.append(connection, now, "recovery", told)
    }

    /// Takes every event that a recovery saved under the chain. `was` asks for the sequence that one had before.
    pub(in crate::journal) fn adopt(
        &mut self,
        connection: &Connection,
        now: Timestamp,
        was: &str,
    ) -> rusqlite::Result<()> {
        let mut order = connection.prepare(&every(|table| format!("'{}'", table.name)))?;
        let mut rows = order.query([])?;
        let mut was = connection.prepare(was)?;
        while let Some(row) = rows.next()? {
            let sequence = row::unsigned(row, 0)?;
            let name = row.get_ref(1)?.as_str()?;
            let Some(of) = TABLES.iter().find(|table| table.name == name) else { continue };
            let content = connection
                .prepare_cached(&of.select(&format!("FROM {name} WHERE sequence = ?1")))?
                .query_row([sequence.cast_signed()], |row| of.content_at(row, 0))?
                .to_string();
            let table = (name != RESULTS.name).then_some(name);
            let was = was.query_row([sequence.cast_signed()], |row| row::unsigned(row, 0))?;
            self.append(connection, now, "adopted", Adopted { sequence, table, was, content })?;
        }
        Ok(())
    }

    /// Writes the head into `meta`, inside the caller's transaction.
    pub(in crate::journal) fn store(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .prepare_cached("UPDATE meta SET audit_number = ?1, audit_hash = ?2")?
            .execute(params![self.head.number.cast_signed(), self.head.hash.as_bytes()])
            .map(drop)
    }
}

/// The hash of a record that follows one of the hash `previous`.
pub(in crate::journal) fn seal(previous: &blake3::Hash, record: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(previous.as_bytes());
    hasher.update(record);
    hasher.finalize()
}

/// Begins the chain of a new journal.
pub(in crate::journal) fn begin(
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
