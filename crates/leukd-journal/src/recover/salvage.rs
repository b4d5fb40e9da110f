//! Reading what can be read of a damaged file. It is a copy: nothing here touches the original.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags, Row, params};

use super::first_pages;
use crate::audit::{examine, seal};
use crate::error::JournalError;
use crate::sql::unsigned;
use crate::{kinds, schema};

/// Rows follow one another; between two, so many may be missing by damage that reads well.
const MAX_GAP: i64 = 2;

/// No journal has come this far; a greater number is a damaged one.
const FARTHEST: i64 = 1 << 40;

/// The tables that hold what is salvaged, of the connection that writes the new journal. They have
/// the rules of the tables that it goes into: what breaks those is no row.
pub(super) const STAGE: &str = "
    CREATE TEMP TABLE salvaged (
        sequence INTEGER PRIMARY KEY, kind TEXT NOT NULL, payload TEXT NOT NULL, altered INTEGER NOT NULL) STRICT;
    CREATE UNIQUE INDEX temp.salvaged_results ON salvaged (payload ->> '$.finding.result_id') WHERE kind = 'result';
    CREATE UNIQUE INDEX temp.salvaged_reviews ON salvaged (payload ->> '$.review_id') WHERE kind = 'review';
    CREATE UNIQUE INDEX temp.salvaged_signatures ON salvaged (payload ->> '$.signature_id') WHERE kind = 'signature';
    CREATE TEMP TABLE contents (sequence INTEGER PRIMARY KEY, content TEXT NOT NULL) STRICT;
    CREATE TEMP TABLE salvaged_ledger (
        folder TEXT NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
        ctime_ns INTEGER NOT NULL, inode INTEGER NOT NULL, digest BLOB CHECK (length(digest) = 32),
        state TEXT NOT NULL, sequence INTEGER NOT NULL, updated_ms INTEGER NOT NULL,
        PRIMARY KEY (folder, path)) STRICT;";

/// A damaged journal's copy, opened as far as it can be.
pub(super) struct Wreck {
    connection: Connection,
}

/// What the copy still says of itself.
#[derive(Debug, Default)]
pub(super) struct Before {
    pub(super) epoch: Option<String>,
    pub(super) next_sequence: Option<u64>,
    /// Retention had removed everything up to here.
    pub(super) removed_to: u64,
    /// Every specimen had a summary up to here, but for those with newer results; where nobody
    /// knows, all had.
    pub(super) specimens_to: u64,
    /// The newest record of the chain that could be read.
    pub(super) head: Option<String>,
    /// What was wrong with the chain; none where it was whole.
    pub(super) fault: Option<String>,
}

impl Wreck {
    /// Opens the copy; where its list of tables is of no use, with a new journal's in its place.
    pub(super) fn open(copy: &Path) -> Result<Self, JournalError> {
        if let Some(wreck) = Self::try_open(copy) {
            return Ok(wreck);
        }
        first_pages::replace(copy)?;
        Self::try_open(copy).ok_or_else(|| JournalError::Damaged {
            file: copy.to_owned(),
            what: "nothing of it can be read".to_owned(),
        })
    }

    fn try_open(copy: &Path) -> Option<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(copy, flags).ok()?;
        // A file that is shorter than its first page says is read as far as it goes.
        connection
            .execute_batch("PRAGMA writable_schema = ON; PRAGMA trusted_schema = OFF")
            .ok()?;
        let readable = [EVENTS, LEDGER, AUDIT].iter().all(|sql| connection.prepare(sql).is_ok());
        readable.then_some(Self { connection })
    }

    /// A newer leukd's tables may hold what this one would leave out.
    pub(super) fn refuse_newer(&self, file: &Path) -> Result<(), JournalError> {
        match schema::refuse_newer(&self.connection, file) {
            Err(error @ JournalError::Newer { .. }) => Err(error),
            _ => Ok(()),
        }
    }

    /// Copies the readable rows into the tables of [`STAGE`] and `crashes` of `into`.
    pub(super) fn salvage(&self, into: &Connection) -> rusqlite::Result<Before> {
        let mut before = self.before();
        self.chain(into, &mut before)?;
        self.events(into, &before)?;
        self.ledger(into)?;
        let places = "?, ?, ?, ?, ?, ?, ?, ?, ?";
        let mut keep =
            into.prepare(&format!("INSERT OR IGNORE INTO crashes ({CRASH}) VALUES ({places})"))?;
        copy(&self.connection, &format!("SELECT {CRASH} FROM crashes"), 9, &mut keep)?;
        Ok(before)
    }

    fn before(&self) -> Before {
        let mut before = Before::default();
        let meta = "SELECT epoch, next_sequence FROM meta";
        if let Ok((epoch, next)) =
            self.connection.query_row(meta, [], |row| Ok((row.get(0)?, unsigned(row, 1)?)))
        {
            before.epoch = Some(epoch);
            before.next_sequence =
                Some(next).filter(|next| *next >= 1 && *next < FARTHEST.cast_unsigned());
        }
        let summarized = "SELECT specimens_to FROM meta";
        let summarized = self.connection.query_row(summarized, [], |row| unsigned(row, 0));
        before.specimens_to = summarized.unwrap_or(FARTHEST.cast_unsigned());
        before.fault = match examine(&self.connection, &[]) {
            Ok(verified) => {
                verified.fault.map(|fault| format!("record {}: {}", fault.number, fault.what))
            }
            Err(error) => Some(error.to_string()),
        };
        before
    }

    /// What good records say of the events.
    fn chain(&self, into: &Connection, before: &mut Before) -> rusqlite::Result<()> {
        let mut last: Option<(i64, blake3::Hash)> = Some((0, blake3::Hash::from_bytes([0; 32])));
        let mut note = into.prepare("INSERT OR IGNORE INTO contents VALUES (?1, ?2)")?;
        each(&self.connection, AUDIT, 0, FARTHEST, &mut |number, row| {
            let (Ok(text), Ok(hash)) = (row.get::<_, String>(1), row.get::<_, [u8; 32]>(2)) else {
                last = None;
                return Ok(());
            };
            let fits = last.is_some_and(|(before, previous)| {
                before + 1 == number && seal(&previous, text.as_bytes()).as_bytes() == &hash
            });
            last = Some((number, hash.into()));
            let record = || serde_json::from_str::<serde_json::Value>(&text).ok();
            if let Some(record) = fits.then(record).flatten() {
                before.head = Some(format!("{number}:{}", blake3::Hash::from(hash)));
                if let (Some(sequence), Some(content)) =
                    (record["sequence"].as_i64(), record["content"].as_str())
                {
                    note.execute((sequence, content))?;
                }
                if record["kind"] == "retention" {
                    let to = record["to"].as_u64().unwrap_or_default();
                    before.removed_to = before.removed_to.max(to);
                }
            }
            Ok(())
        })
    }

    fn events(&self, into: &Connection, before: &Before) -> rusqlite::Result<()> {
        let put = |or: &str| {
            into.prepare(&format!("INSERT OR {or} INTO salvaged VALUES (?1, ?2, ?3, ?4)"))
        };
        let (mut keep, mut prove) = (put("IGNORE")?, put("REPLACE")?);
        let mut contents = into.prepare("SELECT content FROM contents WHERE sequence = ?1")?;
        let end = before.next_sequence.map_or(FARTHEST, u64::cast_signed);
        each(&self.connection, EVENTS, 0, end, &mut |sequence, row| {
            let (Ok(kind), Ok(payload)) = (row.get::<_, String>(1), row.get::<_, String>(2)) else {
                return Ok(());
            };
            if kinds::decode(sequence.cast_unsigned(), &kind, &payload).is_err() {
                return Ok(());
            }
            let told: Option<String> =
                contents.query_map([sequence], |row| row.get(0))?.next().transpose()?;
            let is_proven = told.as_ref() == Some(&blake3::hash(payload.as_bytes()).to_string());
            let is_altered = told.is_some() && !is_proven;
            // A damaged row may bear the number of a good one: what the chain proves takes its
            // place.
            let put = if is_proven { &mut prove } else { &mut keep };
            put.execute(params![sequence, kind, payload, is_altered]).map(drop)
        })
    }

    /// The ledger's key is text, so that nothing can be stepped over: what lies between the first
    /// and the last damaged page is not carried over, and those files are looked at again.
    fn ledger(&self, into: &Connection) -> rusqlite::Result<()> {
        let mut keep = into.prepare(
            "INSERT OR IGNORE INTO salvaged_ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        for order in ["folder, path", "folder DESC, path DESC"] {
            if copy(&self.connection, &format!("{LEDGER} ORDER BY {order}"), 10, &mut keep)? {
                break;
            }
        }
        Ok(())
    }
}

const EVENTS: &str =
    "SELECT sequence, kind, payload FROM events WHERE sequence >= ?1 ORDER BY sequence";

const AUDIT: &str = "SELECT number, record, hash FROM audit WHERE number >= ?1 ORDER BY number";

const LEDGER: &str = "SELECT folder, path, size, mtime_ns, ctime_ns, inode, digest, state, sequence, updated_ms FROM ledger";

const CRASH: &str = "folder, path, size, mtime_ns, ctime_ns, inode, count, mark, updated_ms";

/// Copies rows until the end or the first damage, and tells whether it was the end.
fn copy(
    from: &Connection,
    sql: &str,
    columns: usize,
    keep: &mut rusqlite::Statement<'_>,
) -> rusqlite::Result<bool> {
    let Ok(mut statement) = from.prepare(sql) else { return Ok(false) };
    let mut rows = statement.query([])?;
    loop {
        match rows.next() {
            Ok(None) => return Ok(true),
            Ok(Some(row)) => {
                let values: Result<Vec<rusqlite::types::Value>, _> =
                    (0..columns).map(|column| row.get(column)).collect();
                let Ok(values) = values else { continue };
                match keep.execute(rusqlite::params_from_iter(values)) {
                    Ok(_) => {}
                    Err(error)
                        if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {}
                    Err(error) => return Err(error),
                }
            }
            Err(error) if is_damage(&error) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::SystemIoFailure
                | ErrorCode::Unknown
        )
    )
}

/// Gives every readable row of `sql`, which begins at its parameter and is in the order of its
/// column `key`, to `take`, and steps over what is damaged.
fn each(
    connection: &Connection,
    sql: &str,
    key: usize,
    end: i64,
    take: &mut dyn FnMut(i64, &Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let Ok(mut statement) = connection.prepare(sql) else { return Ok(()) };
    let mut from = 1;
    while from < end {
        let mut rows = statement.query([from])?;
        let mut is_first = true;
        let damaged = loop {
            match rows.next() {
                Ok(None) => break false,
                Ok(Some(row)) => {
                    let number: i64 = row.get(key)?;
                    if (1..end).contains(&number) {
                        take(number, row)?;
                    }
                    // A number that leaps is a damaged one, and says nothing of where the rows
                    // after it begin.
                    let leaps = number.saturating_sub(from) > MAX_GAP && !is_first;
                    if number >= from && number < end {
                        from = if leaps { from + 1 } else { number + 1 };
                    }
                    is_first = false;
                }
                Err(error) if is_damage(&error) => break true,
                Err(error) => return Err(error),
            }
        };
        drop(rows);
        if !damaged {
            return Ok(());
        }
        let mut readable = |start: i64| match statement.query([start])?.next() {
            Ok(_) => Ok(true),
            Err(error) if is_damage(&error) => Ok(false),
            Err(error) => Err(error),
        };
        // The first start behind the damage: doubling first, then halving.
        let (mut bad, mut step) = (from, 1);
        let mut good = loop {
            let next = from.saturating_add(step);
            if next >= end {
                break end;
            }
            if readable(next)? {
                break next;
            }
            (bad, step) = (next, step * 2);
        };
        while good - bad > 1 {
            let middle = bad + (good - bad) / 2;
            if readable(middle)? { good = middle } else { bad = middle }
        }
        from = good;
    }
    Ok(())
}
