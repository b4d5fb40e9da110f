//! The kinds of events. A kind is one file here and one line in the list below; the file holds its
//! payload's index row, its audit summary and its statements.
//!
//! `events` holds the truth: the payload as JSON, which is what the audit chain hashes and what a
//! reader decodes. The rows of the index tables follow from it, and [`index`] makes them, for the
//! writer and for a recovery alike.

use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};

use super::filter::{CellFacts, Facts, Filter};
use super::sql::{limit, unreadable, unsigned};
use crate::result::{Field, Record, Timestamp};
use crate::review::Review;
use crate::signature::Signature;
use crate::summary::SpecimenSummary;

mod field;
pub(super) mod result;
pub(super) mod review;
pub(super) mod signature;
pub(super) mod specimen;

/// One row of an index table: column names and values.
type Columns<'a> = Vec<(&'static str, ValueRef<'a>)>;

/// What the journal must know of a kind.
trait Kind: Serialize + DeserializeOwned {
    /// Its word in `events.kind`, and in the chain unless [`Kind::audit_kind`] says otherwise.
    const NAME: &'static str;
    /// Its index table.
    const TABLE: &'static str;

    fn sequence(&self) -> u64;
    fn set_sequence(&mut self, sequence: u64);
    /// When it came about, by the wall clock.
    fn at(&self) -> Timestamp;
    /// Its row in the index table, without the sequence.
    fn columns(&self) -> Columns<'_>;
    /// The fields of its record in the audit chain.
    fn summary(&self) -> impl Serialize;
    fn audit_kind(&self) -> &'static str {
        Self::NAME
    }
    fn facts(&self) -> Option<Facts<'_>>;
    /// The capture that it replaces, and the sequence that stands for its own.
    fn supersedes(&self) -> Option<(u64, u64)> {
        None
    }
    /// Sets the sequences of other events that it names, after a recovery.
    fn renumber(
        &mut self,
        new: &dyn Fn(u64) -> rusqlite::Result<Option<u64>>,
    ) -> rusqlite::Result<()>;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident($payload:ty)),+ $(,)?) => {
        /// One durable event. Cheap to clone.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Event {
            $($(#[$doc])* $kind(Arc<$payload>)),+
        }

        /// The word of every kind with its index table.
        pub(super) const KINDS: &[(&str, &str)] =
            &[$((<$payload as Kind>::NAME, <$payload as Kind>::TABLE)),+];

        /// Runs the same on the payload of any event.
        macro_rules! with {
            ($event:expr, $own:ident => $body:expr) => {
                match $event { $(Event::$kind($own) => $body),+ }
            };
        }

        /// The event of this kind and payload.
        pub(super) fn decode(sequence: u64, kind: &str, payload: &str) -> rusqlite::Result<Event> {
            match kind {
                $(<$payload as Kind>::NAME => parse::<$payload>(sequence, payload)
                    .map(|own| Event::$kind(Arc::new(own))),)+
                _ => Err(unreadable(format!("{kind:?} is no kind of event").into())),
            }
        }
    };
}

kinds! {
    /// The result of one cell.
    Result(Record),
    /// The end of a field of view.
    Field(Field),
    /// What a person said of a result.
    Review(Review),
    /// The summary of a specimen that fell quiet, or was marked.
    Specimen(SpecimenSummary),
    /// A person's signature of a specimen, or its withdrawal.
    Signature(Signature),
}

impl Event {
    /// Its place: 1, 2, 3, … without holes over all kinds.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        with!(self, own => own.sequence())
    }

    /// Its kind's word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        fn name<K: Kind>(_: &K) -> &'static str {
            K::NAME
        }
        with!(self, own => name(&**own))
    }

    /// The result, where it is one.
    #[must_use]
    pub const fn result(&self) -> Option<&Arc<Record>> {
        if let Self::Result(record) = self { Some(record) } else { None }
    }

    /// The end of a field of view, where it is one.
    #[must_use]
    pub const fn field(&self) -> Option<&Arc<Field>> {
        if let Self::Field(field) = self { Some(field) } else { None }
    }

    /// The review, where it is one.
    #[must_use]
    pub const fn review(&self) -> Option<&Arc<Review>> {
        if let Self::Review(review) = self { Some(review) } else { None }
    }

    /// The specimen's summary, where it is one.
    #[must_use]
    pub const fn specimen(&self) -> Option<&Arc<SpecimenSummary>> {
        if let Self::Specimen(summary) = self { Some(summary) } else { None }
    }

    /// The signature or withdrawal, where it is one.
    #[must_use]
    pub const fn signature(&self) -> Option<&Arc<Signature>> {
        if let Self::Signature(signature) = self { Some(signature) } else { None }
    }

    /// When it came about, by the wall clock.
    pub(super) fn at(&self) -> Timestamp {
        with!(self, own => own.at())
    }

    /// What a filter looks at; none for a kind that is of no specimen.
    pub(super) fn facts(&self) -> Option<Facts<'_>> {
        with!(self, own => own.facts())
    }

    /// Its word in the audit chain.
    pub(super) fn audit_kind(&self) -> &'static str {
        with!(self, own => own.audit_kind())
    }

    /// The capture that it replaces, and the sequence that stands for its own.
    pub(super) fn supersedes(&self) -> Option<(u64, u64)> {
        with!(self, own => own.supersedes())
    }

    /// The text that is stored and hashed.
    pub(super) fn payload(&self) -> rusqlite::Result<String> {
        with!(self, own => to_json(&**own))
    }

    /// The same event with another sequence, and with those that it names replaced.
    pub(super) fn renumbered(
        self,
        sequence: u64,
        new: &dyn Fn(u64) -> rusqlite::Result<Option<u64>>,
    ) -> rusqlite::Result<Self> {
        let mut event = self;
        with!(&mut event, own => {
            let own = Arc::make_mut(own);
            own.set_sequence(sequence);
            own.renumber(new)
        })?;
        Ok(event)
    }

    fn table(&self) -> &'static str {
        fn table<K: Kind>(_: &K) -> &'static str {
            K::TABLE
        }
        with!(self, own => table(&**own))
    }

    fn columns(&self) -> Columns<'_> {
        with!(self, own => own.columns())
    }
}

/// The record of an event in the audit chain: its summary, and the digest of its payload.
pub(super) struct AuditSummary<'a> {
    pub(super) event: &'a Event,
    pub(super) content: blake3::Hash,
}

impl Serialize for AuditSummary<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<T> {
            sequence: u64,
            #[serde(flatten)]
            summary: T,
            content: String,
        }
        let (sequence, content) = (self.event.sequence(), self.content.to_string());
        with!(self.event, own => {
            Fields { sequence, summary: own.summary(), content }.serialize(serializer)
        })
    }
}

impl Filter {
    /// True when every part that is set matches. A review matches where its result does; of a
    /// specimen's summary or signature the specimen alone counts. An event of no specimen matches
    /// where nothing is set.
    #[must_use]
    pub fn matches(&self, event: &Event) -> bool {
        self.admits(event.facts())
    }
}

/// Stores `event` in the caller's transaction, and gives the digest of its payload.
pub(super) fn store(connection: &Connection, event: &Event) -> rusqlite::Result<blake3::Hash> {
    let payload = event.payload()?;
    connection
        .prepare_cached(
            "INSERT INTO events (sequence, kind, at_ms, payload) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![event.sequence().cast_signed(), event.kind(), event.at().0, payload])?;
    index(connection, event)?;
    Ok(blake3::hash(payload.as_bytes()))
}

/// Makes the index rows of `event`: its own, and the mark on what it supersedes.
pub(super) fn index(connection: &Connection, event: &Event) -> rusqlite::Result<()> {
    // First of all: no two live results are of the same cell.
    if let Some((old, head)) = event.supersedes() {
        for sql in [
            "UPDATE results SET superseded_by = ?1 WHERE sequence = ?2 AND superseded_by IS NULL",
            "UPDATE results SET superseded_by = ?1 WHERE field = ?2 AND superseded_by IS NULL",
            "UPDATE fields SET superseded_by = ?1 WHERE sequence = ?2 AND superseded_by IS NULL",
        ] {
            connection.prepare_cached(sql)?.execute([head.cast_signed(), old.cast_signed()])?;
        }
    }
    let columns = event.columns();
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let sql = format!(
        "INSERT INTO {} (sequence, {}) VALUES (?{})",
        event.table(),
        names.join(", "),
        ", ?".repeat(names.len())
    );
    let sequence = ToSqlOutput::Borrowed(super::sql::number(event.sequence()));
    let values = columns.iter().map(|(_, value)| ToSqlOutput::Borrowed(*value));
    connection
        .prepare_cached(&sql)?
        .execute(params_from_iter(std::iter::once(sequence).chain(values)))
        .map(drop)
}

/// Whether the event's row in its index table is there and says what its payload says.
pub(super) fn is_indexed(connection: &Connection, event: &Event) -> rusqlite::Result<bool> {
    let columns = event.columns();
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let sql = format!("SELECT {} FROM {} WHERE sequence = ?1", names.join(", "), event.table());
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([event.sequence().cast_signed()])?;
    let Some(row) = rows.next()? else { return Ok(false) };
    for (place, (_, value)) in columns.iter().enumerate() {
        if row.get_ref(place)? != *value {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The capture that superseded the one of `sequence`: none while that is live, or where it is gone.
pub(super) fn superseded_by(
    connection: &Connection,
    sequence: u64,
) -> rusqlite::Result<Option<u64>> {
    for table in ["results", "fields"] {
        let found: Option<Option<i64>> = connection
            .prepare_cached(&format!("SELECT superseded_by FROM {table} WHERE sequence = ?1"))?
            .query_row([sequence.cast_signed()], |row| row.get(0))
            .optional()?;
        if let Some(by) = found {
            return Ok(by.map(i64::cast_unsigned));
        }
    }
    Ok(None)
}

/// The columns of `events` that [`event`] reads.
pub(super) const COLUMNS: &str = "events.sequence, events.kind, events.payload";

/// The event in a row of [`COLUMNS`].
pub(super) fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    decode(unsigned(row, 0)?, row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?)
}

/// The result in a row of [`COLUMNS`].
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    parse(unsigned(row, 0)?, row.get_ref(2)?.as_str()?)
}

/// The review in a row of [`COLUMNS`].
pub(super) fn review(row: &Row<'_>) -> rusqlite::Result<Review> {
    parse(unsigned(row, 0)?, row.get_ref(2)?.as_str()?)
}

/// The event of `sequence`.
pub(crate) fn by_sequence(
    connection: &Connection,
    sequence: u64,
) -> rusqlite::Result<Option<Event>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM events WHERE sequence = ?1"))?
        .query_row([sequence.cast_signed()], event)
        .optional()
}

/// Whether there is an event of `sequence`.
pub(super) fn is_stored(connection: &Connection, sequence: u64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM events WHERE sequence = ?1")?
        .exists([sequence.cast_signed()])
}

/// The first `rows` events above `after`, up to and with `to`, in their order.
pub(super) fn read(
    connection: &Connection,
    after: u64,
    to: u64,
    rows: usize,
) -> rusqlite::Result<Vec<Event>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM events WHERE sequence > ?1 AND sequence <= ?2
             ORDER BY sequence LIMIT ?3"
        ))?
        .query_map([after.cast_signed(), to.cast_signed(), limit(rows)], event)?
        .collect()
}

/// The smallest and the greatest sequence that are stored; 0 for none.
pub(super) fn ends(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    let end = |which: &str| {
        connection
            .prepare_cached(&format!("SELECT coalesce({which}(sequence), 0) FROM events"))?
            .query_row([], |row| unsigned(row, 0))
    };
    Ok((end("min")?, end("max")?))
}

fn parse<K: Kind>(sequence: u64, payload: &str) -> rusqlite::Result<K> {
    let mut own: K = serde_json::from_str(payload).map_err(|error| unreadable(error.into()))?;
    own.set_sequence(sequence);
    Ok(own)
}

fn to_json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

#[cfg(test)]
mod tests;
