//! Reading what can be read of a damaged file. It is a copy: nothing here touches the original.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags, Row};

use super::skeleton;
use crate::journal::audit::seal;
use crate::journal::row;
use crate::journal::tables::{RESULTS, TABLES, Table};
use crate::journal::{JournalError, audit, schema};

/// Rows follow one another; between two, so many may be missing by damage that reads well.
const LARGEST_GAP: i64 = 2;

/// No journal has come this far; a greater number is a damaged one.
const FARTHEST: i64 = 1 << 40;

/// A damaged journal's copy, opened as far as it can be.
pub(super) struct Wreck {
    connection: Connection,
}

/// What its chain still told.
#[derive(Debug, Default)]
pub(super) struct Before {
    pub(super) epoch: Option<String>,
    pub(super) next_sequence: Option<u64>,
    /// Retention had removed everything up to here.
    pub(super) removed_to: u64,
    /// Every specimen had been told up to here, but for those with newer results; where nobody knows, all had been.
    pub(super) specimens_to: u64,
    /// The newest record that could be read.
    pub(super) head: Option<String>,
    /// What was wrong with its chain; none where it was whole.
    pub(super) fault: Option<String>,
}

impl Wreck {
    /// Opens the copy; where its first page is of no use, with another one in its place.
    pub(super) fn open(copy: &Path) -> Result<Self, JournalError> {
        if let Some(wreck) = Self::try_open(copy) {
            return Ok(wreck);
        }
        skeleton::put_first_page(copy)?;
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
        // What the tables are called by may be damaged too.
        let columns = "SELECT count(*) FROM pragma_table_info('captures') WHERE name = 'sequence'";
        connection.query_row(columns, [], |row| row.get::<_, bool>(0)).ok()?.then_some(())?;
        let readable = TABLES.iter().all(|table| connection.prepare(&select(table).0).is_ok());
        readable.then_some(Self { connection })
    }

    /// A newer leukd's tables may hold what this one would leave out.
    pub(super) fn refuse_newer(&self, file: &Path) -> Result<(), JournalError> {
        match schema::refuse_newer(&self.connection, file) {
            Err(error @ JournalError::Newer { .. }) => Err(error),
            _ => Ok(()),
        }
    }

    /// Copies the readable rows into the tables `salvaged_…` of `into`, and tells what the rest was.
    pub(super) fn salvage(&self, into: &Connection) -> rusqlite::Result<Before> {
        let mut before = self.before();
        self.chain(into, &mut before)?;
        for table in &TABLES {
            self.events(into, &before, table)?;
        }
        self.captures(into)?;
        self.crashes(into)?;
        Ok(before)
    }

    fn before(&self) -> Before {
        let mut before = Before::default();
        let meta = "SELECT epoch, next_sequence FROM meta";
        if let Ok((epoch, next)) =
            self.connection.query_row(meta, [], |row| Ok((row.get(0)?, row::unsigned(row, 1)?)))
        {
            before.epoch = Some(epoch);
            before.next_sequence =
                Some(next).filter(|next| *next >= 1 && *next < FARTHEST.cast_unsigned());
        }
        let told = "SELECT specimens_to FROM meta";
        let told = self.connection.query_row(told, [], |row| row::unsigned(row, 0));
        before.specimens_to = told.unwrap_or(FARTHEST.cast_unsigned());
        before.fault = match audit::examine(&self.connection, &[]) {
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
        let mut note = into.prepare("INSERT OR IGNORE INTO salvaged_told VALUES (?1, ?2)")?;
        let sql = "SELECT number, record, hash FROM audit WHERE number >= ?1 ORDER BY number";
        each(&self.connection, sql, 0, FARTHEST, &mut |number, row| {
            let (Ok(text), Ok(hash)) = (row.get::<_, String>(1), row.get::<_, [u8; 32]>(2)) else {
                last = None;
                return Ok(());
            };
            let fits = last.is_some_and(|(before, previous)| {
                before + 1 == number && seal(&previous, text.as_bytes()).as_bytes() == &hash
            });
            last = Some((number, hash.into()));
            let told = || serde_json::from_str::<serde_json::Value>(&text).ok();
            if let Some(told) = fits.then(told).flatten() {
                before.head = Some(format!("{number}:{}", blake3::Hash::from(hash)));
                if let (Some(sequence), Some(content)) =
                    (told["sequence"].as_i64(), told["content"].as_str())
                {
                    note.execute((sequence, content))?;
                }
                if told["kind"] == "retention" {
                    let to = told["to"].as_u64().unwrap_or_default();
                    before.removed_to = before.removed_to.max(to);
                }
            }
            Ok(())
        })
    }

    fn events(&self, into: &Connection, before: &Before, table: &Table) -> rusqlite::Result<()> {
        // The columns that are compared begin behind those that are read.
        let offset = table.columns.split(", ").count();
        let (sql, kept) = select(table);
        let places = vec!["?"; kept.len() + 1].join(", ");
        let put = |or: &str| {
            into.prepare(&format!(
                "INSERT OR {or} INTO salvaged_{} (old, {}, altered) VALUES ({places})",
                table.name,
                kept[1..].join(", ")
            ))
        };
        let (mut keep, mut prove) = (put("IGNORE")?, put("REPLACE")?);
        let mut told = into.prepare("SELECT content FROM salvaged_told WHERE sequence = ?1")?;
        let end = before.next_sequence.map_or(FARTHEST, u64::cast_signed);
        each(&self.connection, &sql, 0, end, &mut |sequence, row| {
            if (table.is_sound)(row).is_err() {
                return Ok(());
            }
            let content = table.content_at(row, offset)?.to_string();
            let told: Option<String> =
                told.query_map([sequence], |row| row.get(0))?.next().transpose()?;
            let is_proven = told.as_ref() == Some(&content);
            let altered = told.is_some() && !is_proven;
            let values = (offset..offset + kept.len())
                .map(|column| row.get::<_, rusqlite::types::Value>(column))
                .chain([Ok(rusqlite::types::Value::Integer(altered.into()))])
                .collect::<rusqlite::Result<Vec<_>>>();
            // A word that no column of a result's record holds may be no text any more.
            let Ok(values) = values else { return Ok(()) };
            // A damaged row may bear the number of a good one: what the chain proves takes its place. What the
            // table's own rules refuse is no result.
            let put = if is_proven { &mut prove } else { &mut keep };
            match put.execute(rusqlite::params_from_iter(values)) {
                Err(error) if error.sqlite_error_code() != Some(ErrorCode::ConstraintViolation) => {
                    Err(error)
                }
                _ => Ok(()),
            }
        })
    }

    /// The ledger's key is text, so that nothing can be stepped over: what lies between the first and the last
    /// damaged page is not carried over, and those files are looked at again.
    fn captures(&self, into: &Connection) -> rusqlite::Result<()> {
        let columns =
            "folder, path, size, mtime_ns, ctime_ns, inode, sha256, state, sequence, updated_ms";
        let places = "?, ?, ?, ?, ?, ?, ?, ?, ?, ?";
        let mut keep = into.prepare(&format!(
            "INSERT OR IGNORE INTO salvaged_captures ({columns}) VALUES ({places})"
        ))?;
        for order in ["folder, path", "folder DESC, path DESC"] {
            let sql = format!("SELECT {columns} FROM captures ORDER BY {order}");
            if copy(&self.connection, &sql, 10, &mut keep)? {
                break;
            }
        }
        Ok(())
    }

    fn crashes(&self, into: &Connection) -> rusqlite::Result<()> {
        let columns = "folder, path, size, mtime_ns, ctime_ns, inode, count, mark, updated_ms";
        let sql =
            format!("INSERT OR IGNORE INTO crashes ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
        let mut keep = into.prepare(&sql)?;
        copy(&self.connection, &format!("SELECT {columns} FROM crashes"), 9, &mut keep).map(drop)
    }
}

/// Reads the events of one table from a sequence on: what is read of each, then what is kept of it, whose columns are
/// named.
fn select(table: &Table) -> (String, Vec<&'static str>) {
    let mut kept = table.stored.to_vec();
    if table.name == RESULTS.name {
        kept.push("superseded_by");
    }
    let sql = format!(
        "SELECT {}, {} FROM {} WHERE sequence >= ?1 ORDER BY sequence",
        table.columns,
        kept.join(", "),
        table.name
    );
    (sql, kept)
}

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

/// Gives every readable row of `sql`, which begins at its parameter and is in the order of its column `key`, to
/// `take`, and steps over what is damaged.
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
                    // A number that leaps is a damaged one, and says nothing of where the rows after it begin.
                    let leaps = number.saturating_sub(from) > LARGEST_GAP && !is_first;
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
