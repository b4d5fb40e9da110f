//! Reading the chain back: does every record fit the one before, and every stored event its record?

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, Row, Statement};
use serde::Deserialize;

use super::chain::{read_head, seal};
use super::{AuditHead, RARE};
use crate::error::JournalError;
use crate::kinds::{self, Event, KINDS};
use crate::schema::open_read_only;
use crate::sql::unsigned;

/// The first thing that is wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The number of the bad record.
    pub number: u64,
    /// Its kind, as it is written there; empty where the record is missing or unreadable.
    pub kind: String,
    /// Its time, likewise.
    pub at: String,
    /// What is wrong with it.
    pub what: String,
}

/// What an examination of the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The journal's epoch.
    pub epoch: String,
    /// The last record that is good.
    pub head: AuditHead,
    /// Events that were compared with their records.
    pub compared: u64,
    /// Events that retention has removed.
    pub removed: u64,
    /// What is wrong; none when nothing is.
    pub fault: Option<Fault>,
}

/// Examines the chain of the journal in `file`, which a daemon may be writing: what it adds
/// meanwhile is not looked at. Each of `heads` must be in the chain. Only reads. Blocks, for some
/// seconds a million records.
///
/// # Errors
/// [`JournalError`] when the file cannot be read, or holds no chain yet. A broken chain is no
/// error.
pub fn verify(file: &Path, heads: &[AuditHead]) -> Result<Verified, JournalError> {
    let connection = open_read_only(file)?;
    let snapshot =
        connection.unchecked_transaction().map_err(|e| JournalError::sqlite(file, &e))?;
    examine(&snapshot, heads).map_err(|error| JournalError::sqlite(file, &error))
}

/// The fields that matter here; others are the record's own affair.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    number: u64,
    kind: String,
    at: String,
    sequence: Option<u64>,
    event: Option<String>,
    content: Option<String>,
    epoch: Option<String>,
    next_sequence: Option<u64>,
    from: serde_json::Value,
    to: serde_json::Value,
}

/// What the table `meta` says.
struct Meta {
    epoch: String,
    next_sequence: u64,
    head: AuditHead,
}

/// A walk along the chain.
struct Walk<'a> {
    connection: &'a Connection,
    /// Reads one event.
    events: Statement<'a>,
    compared: u64,
    meta: Meta,
    heads: &'a [AuditHead],
    /// The epoch, as the chain tells it.
    epoch: Option<String>,
    /// Retention has removed everything up to here, if its records tell the truth.
    removed_to: u64,
    head: AuditHead,
    /// The sequence of the oldest event that has a record, and the one that the next event must
    /// have.
    first: Option<u64>,
    next: u64,
    /// The sequence that the next adopted event must have.
    adopted: Option<u64>,
    removed: u64,
    /// The first fault that another record may explain: the record of a removal may have been
    /// edited, or a later event.
    pending: Option<Fault>,
}

/// Why a walk ends before the end.
enum Halt {
    Fault(Fault),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Halt {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

pub(crate) fn examine(connection: &Connection, heads: &[AuditHead]) -> rusqlite::Result<Verified> {
    let meta = connection.query_row(
        "SELECT epoch, next_sequence, audit_number, audit_hash FROM meta",
        [],
        |row| {
            Ok(Meta {
                epoch: row.get(0)?,
                next_sequence: unsigned(row, 1)?,
                head: read_head(row, 2)?,
            })
        },
    )?;
    let removed_to: i64 = connection.query_row(
        &format!(
            "SELECT coalesce(max(CASE WHEN json_valid(record) THEN record ->> 'to' END), 0)
             FROM audit WHERE kind = 'retention' AND {RARE}"
        ),
        [],
        |row| row.get::<_, Option<i64>>(0).map(Option::unwrap_or_default),
    )?;
    let mut walk = Walk {
        connection,
        events: connection
            .prepare("SELECT kind, at_ms, payload FROM events WHERE sequence = ?1")?,
        compared: 0,
        meta,
        heads,
        epoch: None,
        removed_to: removed_to.cast_unsigned(),
        head: AuditHead::NONE,
        first: None,
        next: 1,
        adopted: None,
        removed: 0,
        pending: None,
    };
    let fault = match walk.run() {
        Ok(()) => None,
        Err(Halt::Fault(fault)) => Some(fault),
        Err(Halt::Sqlite(error)) => return Err(error),
    };
    let Walk { meta, head, compared, removed, .. } = walk;
    Ok(Verified { epoch: meta.epoch, head, compared, removed, fault })
}

impl Walk<'_> {
    fn run(&mut self) -> Result<(), Halt> {
        let mut records = self
            .connection
            .prepare("SELECT number, kind, record, hash FROM audit ORDER BY number")?;
        let mut rows = records.query([])?;
        while let Some(row) = rows.next()? {
            self.record(row)?;
        }
        self.end()
    }

    fn record(&mut self, row: &Row<'_>) -> Result<(), Halt> {
        let number: i64 = row.get(0)?;
        let (kind, text) = (bytes(row.get_ref(1)?), bytes(row.get_ref(2)?));
        let told: Result<Told, _> = serde_json::from_slice(text);
        let readable = told.is_ok();
        let told = told.unwrap_or_default();
        let kind = String::from_utf8_lossy(kind).into_owned();
        let due = self.head.number + 1;
        let fault = |number: u64, what: String| {
            Halt::Fault(Fault { number, kind: kind.clone(), at: told.at.clone(), what })
        };
        let here = |what: &str| fault(number.cast_unsigned(), what.to_owned());
        if number < 1 || number.cast_unsigned() < due {
            return Err(here("it has no place in the chain: numbers begin with 1"));
        }
        if number.cast_unsigned() > due {
            let last = number.cast_unsigned() - 1;
            let what = if last == due {
                "it is missing: it was removed".to_owned()
            } else {
                format!("it and the records up to {last} are missing: they were removed")
            };
            return Err(Halt::Fault(Fault {
                number: due,
                kind: String::new(),
                at: String::new(),
                what,
            }));
        }
        let hash = seal(&self.head.hash, text);
        if bytes(row.get_ref(3)?) != hash.as_bytes() {
            return Err(here(
                "its hash does not fit its text and the record before: one of them was edited, or \
                 records were exchanged, inserted or taken out here",
            ));
        }
        if !readable || told.number != due || told.kind != kind {
            return Err(here("its columns do not say what its text says"));
        }
        if let Some(head) = self.heads.iter().find(|head| head.number == due)
            && head.hash != hash
        {
            return Err(here(
                "it is not the record whose hash was given: the chain was written anew, here or before",
            ));
        }
        self.tells(&told).map_err(|trouble| match trouble {
            Ok(what) => here(&what),
            Err(error) => Halt::Sqlite(error),
        })?;
        self.head = AuditHead { number: due, hash };
        Ok(())
    }

    /// Holds what a good record tells against the tables.
    fn tells(&mut self, told: &Told) -> Result<(), Result<String, rusqlite::Error>> {
        if (told.number == 1) != (told.kind == "genesis")
            || (told.kind == "recovery" && told.number != 2)
        {
            return Err(Ok(
                "a chain begins with a record of its beginning, and with no other".into()
            ));
        }
        match told.kind.as_str() {
            "genesis" => {
                self.epoch.clone_from(&told.epoch);
                self.next = told.next_sequence.unwrap_or(1);
            }
            "recovery" => self.next = told.next_sequence.unwrap_or(1),
            "epoch" => {
                if told.from.as_str() != self.epoch.as_deref() {
                    return Err(Ok("it ends an epoch that was not".to_owned()));
                }
                self.epoch = told.to.as_str().map(str::to_owned);
            }
            _ => {}
        }
        let (Some(sequence), Some(content)) = (told.sequence, &told.content) else {
            return Ok(());
        };
        let is_adopted = told.kind == "adopted";
        let due = if is_adopted { self.adopted.unwrap_or(sequence) } else { self.next };
        if sequence != due {
            return Err(Ok(format!("it is of event {sequence} where {due} was to follow")));
        }
        if is_adopted {
            self.adopted = Some(sequence + 1);
        } else {
            self.next += 1;
        }
        self.first.get_or_insert(sequence);
        self.stored(sequence, content, told)
    }

    /// Holds a record against the event that it tells of, and that against its index.
    fn stored(
        &mut self,
        sequence: u64,
        content: &str,
        told: &Told,
    ) -> Result<(), Result<String, rusqlite::Error>> {
        let found: Option<(Result<Event, rusqlite::Error>, i64, blake3::Hash)> = self
            .events
            .query_row([sequence.cast_signed()], |row| {
                let payload = bytes(row.get_ref(2)?);
                let text = String::from_utf8_lossy(payload);
                let kind = String::from_utf8_lossy(bytes(row.get_ref(0)?));
                let event = kinds::decode(sequence, &kind, &text);
                Ok((event, row.get(1)?, blake3::hash(payload)))
            })
            .optional()
            .map_err(Err)?;
        let Some((event, at_ms, hash)) = found else {
            if sequence <= self.removed_to {
                self.removed += 1;
                return Ok(());
            }
            self.at_end(told, format!("event {sequence} was removed by hand"));
            return Ok(());
        };
        let edited = || Err(Ok(format!("event {sequence} was edited")));
        let Ok(event) = event else { return edited() };
        let kind = told.event.as_deref().map_or(event.audit_kind(), |_| "adopted");
        if hash.to_string() != *content
            || at_ms != event.at().0
            || kind != told.kind
            || told.event.as_deref().is_some_and(|kind| kind != event.kind())
        {
            return edited();
        }
        self.compared += 1;
        if !kinds::is_indexed(self.connection, &event).map_err(Err)? {
            return Err(Ok(format!("the index of event {sequence} differs from its payload")));
        }
        self.linked(&event, told).map_err(Err)
    }

    /// Compares the marks of what supersedes what with the payloads. An edited event is named by
    /// its own record.
    fn linked(&mut self, event: &Event, told: &Told) -> rusqlite::Result<()> {
        let sequence = event.sequence();
        let head = event.result().map_or(sequence, |record| record.head());
        if let Some(by) = kinds::superseded_by(self.connection, sequence)? {
            let later = kinds::by_sequence(self.connection, by).unwrap_or_default();
            if later.and_then(|later| later.supersedes()) != Some((head, by)) {
                self.at_end(told, format!("event {sequence} is marked as superseded by {by}, which does not supersede it"));
            }
        }
        if let Some((old, head)) = event.supersedes() {
            let marked = kinds::superseded_by(self.connection, old)?;
            if marked != Some(head) && kinds::is_stored(self.connection, old)? {
                self.at_end(
                    told,
                    format!("event {sequence} supersedes {old}, which is not marked so"),
                );
            }
        }
        Ok(())
    }

    /// Notes a fault that is reported only where the chain is whole.
    fn at_end(&mut self, told: &Told, what: String) {
        self.pending.get_or_insert_with(|| Fault {
            number: told.number,
            kind: told.kind.clone(),
            at: told.at.clone(),
            what,
        });
    }

    /// What must hold after the last record.
    fn end(&self) -> Result<(), Halt> {
        let number = self.head.number;
        let missing = |what: String| {
            let (kind, at) = (String::new(), String::new());
            Halt::Fault(Fault { number: number + 1, kind, at, what })
        };
        if let Some(head) =
            self.heads.iter().filter(|head| head.number > number).max_by_key(|head| head.number)
        {
            return Err(missing(format!(
                "it is missing: the chain ends with record {number}, and record {} was seen",
                head.number
            )));
        }
        let told = self.meta.head;
        if told != self.head {
            return Err(missing(format!(
                "the chain ends with record {number}, and the table meta says that it ends with record {}",
                told.number
            )));
        }
        if self.epoch.as_ref() != Some(&self.meta.epoch) {
            return Err(missing(format!(
                "the epoch is {} by the chain and {} by the table meta",
                self.epoch.as_deref().unwrap_or("none"),
                self.meta.epoch
            )));
        }
        if let Some(fault) = &self.pending {
            return Err(Halt::Fault(fault.clone()));
        }
        if self.meta.next_sequence != self.next {
            return Err(missing(format!(
                "the next event is {} by the chain and {} by the table meta",
                self.next, self.meta.next_sequence
            )));
        }
        let untold: Option<i64> = self.connection.query_row(
            "SELECT min(sequence) FROM events WHERE sequence >= ?1 OR sequence < ?2",
            [self.next.cast_signed(), self.first.unwrap_or(self.next).cast_signed()],
            |row| row.get(0),
        )?;
        if let Some(sequence) = untold {
            return Err(missing(format!("event {sequence} has no record")));
        }
        // Rows of an index without an event.
        let count = |table: &str| {
            let sql = format!("SELECT count(*) FROM {table}");
            self.connection.query_row(&sql, [], |row| unsigned(row, 0))
        };
        let mut indexed = 0;
        for (_, table) in KINDS {
            indexed += count(table)?;
        }
        for (what, stored) in [("events", count("events")?), ("indexed events", indexed)] {
            if stored != self.compared {
                let compared = self.compared;
                return Err(missing(format!(
                    "there are {stored} {what} and records of {compared}"
                )));
            }
        }
        Ok(())
    }
}

fn bytes<'a>(value: ValueRef<'a>) -> &'a [u8] {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes,
        _ => &[],
    }
}
