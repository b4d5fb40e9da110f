//! The file itself: creating it and checking it.

use std::path::Path;
use std::time::Duration;

use fs_err::os::unix::fs::OpenOptionsExt as _;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::audit::{self, AuditHead, Chain, read_head};
use super::epoch::{self, EpochOrigin, EpochReason, FileMark, Meta};
use super::error::JournalError;
use super::kinds;
use super::sql::unsigned;
use crate::result::Timestamp;

/// The tables of a new journal.
const SCHEMA: &str = include_str!("schema.sql");

/// This program's version of the schema.
pub(super) const VERSION: i64 = 1;

/// `leuk` in ASCII: marks the file as ours, for `file(1)` and for [`open_writer`].
const APPLICATION_ID: i64 = 0x6c65_756b;

/// A file up to this size is checked page by page after an unclean end; that takes about a second
/// for 256 MiB. Larger ones rely on the checks that SQLite makes as it reads.
const QUICK_CHECK_UP_TO: u64 = 256 << 20;

/// SQLite's number for it.
const INCREMENTAL: i64 = 2;

/// How long SQLite waits for another program's lock (a backup, a curious `sqlite3` shell).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens the file for writing, and makes it when there is none.
pub(super) fn open_writer(file: &Path, now: Timestamp) -> Result<(Connection, Meta), JournalError> {
    let trouble = |error: &rusqlite::Error| JournalError::sqlite(file, error);
    // Made here rather than by SQLite for its permissions: results are nobody else's business.
    fs_err::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .open(file)
        .map_err(|error| JournalError::io(file, &error))?;
    let unclean = was_left_open(file);

    let mut connection = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(|error| trouble(&error))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(|error| trouble(&error))?;
    refuse_foreign(&connection, file)?;
    // Freed pages are kept in a list, from which retention gives them back. Only said where it is
    // not so yet: SQLite writes it into the file each time, which a full disk does not let it.
    let vacuum: i64 = connection
        .query_row("PRAGMA auto_vacuum", [], |row| row.get(0))
        .map_err(|error| trouble(&error))?;
    if vacuum != INCREMENTAL {
        connection
            .pragma_update(None, "auto_vacuum", INCREMENTAL)
            .map_err(|error| trouble(&error))?;
    }
    // FULL: a commit is on the disk when it is answered.
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA trusted_schema = OFF;
             PRAGMA journal_size_limit = 67108864;
             PRAGMA cache_size = -16384;",
        )
        .map_err(|error| trouble(&error))?;
    let mode: String = connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(|error| trouble(&error))?;
    if mode != "wal" {
        return Err(JournalError::Storage {
            file: file.to_owned(),
            what: format!(
                "its file system allows no write-ahead log (SQLite chose {mode:?}): the state directory must \
                 be on a local disk"
            ),
        });
    }
    connection.set_prepared_statement_cache_capacity(64);
    if unclean {
        quick_check(&connection, file)?;
    }
    make_tables(&mut connection, file)?;
    let meta = read_or_begin(&mut connection, file, now)?;
    Ok((connection, meta))
}

/// Opens one more connection that can only read.
pub(super) fn open_reader(file: &Path) -> Result<Connection, JournalError> {
    let open = || {
        let connection = Connection::open_with_flags(
            file,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.execute_batch("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;")?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    };
    open().map_err(|error| JournalError::sqlite(file, &error))
}

/// Opens the file to examine it, a daemon at work on it or not.
pub(super) fn open_read_only(file: &Path) -> Result<Connection, JournalError> {
    let trouble = |error: &rusqlite::Error| JournalError::sqlite(file, error);
    // SQLite would only say that it cannot open it.
    fs_err::File::open(file).map_err(|error| JournalError::io(file, &error))?;
    let opened = if has_no_log(file) { open_tidy(file) } else { open_reader(file) };
    let connection = match opened {
        Ok(connection) if version_of(&connection).is_ok() => connection,
        // In a folder that cannot be written SQLite makes no index of a write-ahead log; where
        // there is no log, there is nothing to miss.
        Ok(_) | Err(_) if !was_left_open(file) => open_immutable(file).map_err(|e| trouble(&e))?,
        Ok(connection) => connection,
        Err(error) => return Err(error),
    };
    refuse_foreign(&connection, file)?;
    if refuse_newer(&connection, file)? == 0 {
        let what = "it holds no tables yet".to_owned();
        return Err(JournalError::Damaged { file: file.to_owned(), what });
    }
    Ok(connection)
}

/// True for a file in the mode of a write-ahead log, whose log is not there: its last process ended
/// well.
fn has_no_log(file: &Path) -> bool {
    use std::io::Read as _;
    // https://sqlite.org/fileformat.html#file_format_version_numbers
    let mut head = [0; 20];
    let read = fs_err::File::open(file).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && head[18..] == [2, 2] && !log_of(file).exists()
}

/// Opens one more connection that reads, and takes its log and index with it when it ends. SQLite
/// leaves both behind a connection that may not write, empty.
fn open_tidy(file: &Path) -> Result<Connection, JournalError> {
    let open = || {
        let connection = Connection::open_with_flags(
            file,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.execute_batch("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;")?;
        Ok(connection)
    };
    open().map_err(|error| JournalError::sqlite(file, &error))
}

/// Opens a file that nobody changes meanwhile.
fn open_immutable(file: &Path) -> rusqlite::Result<Connection> {
    let mut uri = "file:".to_owned();
    for byte in file.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            uri += &format!("%{byte:02X}");
        }
    }
    Connection::open_with_flags(
        uri + "?immutable=1",
        OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI,
    )
}

/// The schema version.
fn version_of(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// True when the last process left a write-ahead log behind, which a clean end folds in and
/// removes.
fn was_left_open(file: &Path) -> bool {
    fs_err::metadata(log_of(file)).is_ok_and(|log| log.len() > 0)
}

/// The write-ahead log of a database.
fn log_of(file: &Path) -> std::path::PathBuf {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// Refuses a database that some other program made, before a pragma changes it.
fn refuse_foreign(connection: &Connection, file: &Path) -> Result<(), JournalError> {
    let trouble = |error: &rusqlite::Error| JournalError::sqlite(file, error);
    let number = |sql: &str| {
        connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(|error| trouble(&error))
    };
    let application = number("PRAGMA application_id")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    if application != APPLICATION_ID && (application != 0 || tables != 0) {
        return Err(JournalError::Damaged {
            file: file.to_owned(),
            what: "it is a database of another program".to_owned(),
        });
    }
    Ok(())
}

fn quick_check(connection: &Connection, file: &Path) -> Result<(), JournalError> {
    if fs_err::metadata(file).map_err(|error| JournalError::io(file, &error))?.len()
        > QUICK_CHECK_UP_TO
    {
        return Ok(());
    }
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| JournalError::sqlite(file, &error))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(JournalError::Damaged { file: file.to_owned(), what: verdict })
}

/// Makes the tables where there are none yet.
fn make_tables(connection: &mut Connection, file: &Path) -> Result<(), JournalError> {
    let trouble = |error: rusqlite::Error| JournalError::sqlite(file, &error);
    if refuse_newer(connection, file)? == VERSION {
        return Ok(());
    }
    let transaction = connection.transaction().map_err(trouble)?;
    transaction
        .execute_batch(&format!(
            "{SCHEMA} PRAGMA user_version = {VERSION}; PRAGMA application_id = {APPLICATION_ID};"
        ))
        .and_then(|()| transaction.commit())
        .map_err(trouble)
}

/// Refuses what a newer leukd wrote, and gives the schema's version: [`VERSION`], or 0 for a file
/// without tables.
pub(super) fn refuse_newer(connection: &Connection, file: &Path) -> Result<i64, JournalError> {
    let found = version_of(connection).map_err(|error| JournalError::sqlite(file, &error))?;
    match found {
        0 | VERSION => Ok(found),
        _ if found > VERSION => {
            Err(JournalError::Newer { file: file.to_owned(), found, known: VERSION })
        }
        _ => Err(JournalError::Damaged {
            file: file.to_owned(),
            what: format!("its schema version is {found}"),
        }),
    }
}

/// Reads `meta`; a journal that was just made gets its epoch here.
fn read_or_begin(
    connection: &mut Connection,
    file: &Path,
    now: Timestamp,
) -> Result<Meta, JournalError> {
    let trouble = |error: &rusqlite::Error| JournalError::sqlite(file, error);
    let damaged = |what: String| JournalError::Damaged { file: file.to_owned(), what };
    let transaction = connection.transaction().map_err(|error| trouble(&error))?;
    let (_, newest) = kinds::ends(&transaction).map_err(|error| trouble(&error))?;
    let ledger = transaction
        .query_row("SELECT coalesce(max(sequence), 0) FROM ledger", [], |row| unsigned(row, 0))
        .map_err(|error| trouble(&error))?;
    let meta = read_meta(&transaction).optional().map_err(|error| trouble(&error))?;
    let is_new = meta.is_none();
    let mut meta = match meta {
        Some(meta) => meta,
        None if newest == 0 && ledger == 0 => {
            let mark = FileMark::new(file)?;
            insert_meta(&transaction, mark, now).map_err(|error| trouble(&error))?
        }
        None => return Err(damaged("it holds results but has lost its epoch".to_owned())),
    };
    let next = meta.next_sequence;
    if next <= newest.max(ledger) {
        return Err(damaged(format!(
            "it would give the sequence {next} a second time (it holds {})",
            newest.max(ledger)
        )));
    }
    let last = last_record(&transaction).map_err(|error| trouble(&error))?;
    if meta.chain.head != last {
        return Err(damaged(format!(
            "its audit chain should end with record {} and ends with record {}",
            meta.chain.head.number, last.number
        )));
    }
    if is_new {
        meta.chain =
            audit::begin(&transaction, &meta.epoch, next, now).map_err(|error| trouble(&error))?;
    }
    transaction.commit().map_err(|error| trouble(&error))?;
    Ok(meta)
}

/// The row of a new journal.
fn insert_meta(connection: &Connection, mark: FileMark, now: Timestamp) -> rusqlite::Result<Meta> {
    let (epoch, reason) = (uuid::Uuid::new_v4().to_string(), EpochReason::Created);
    connection.execute(
        "INSERT INTO meta (only_row, epoch, next_sequence, created_ms, epoch_reason, epoch_began_ms)
         VALUES (1, ?1, 1, ?2, ?3, ?2)",
        (&epoch, now.0, reason.as_str()),
    )?;
    mark.store(connection)?;
    let origin = EpochOrigin { reason, at: now, before: None };
    Ok(Meta { epoch, next_sequence: 1, chain: Chain { head: AuditHead::NONE }, origin, mark })
}

/// The table `meta`.
pub(super) fn read_meta(connection: &Connection) -> rusqlite::Result<Meta> {
    connection
        .prepare_cached(
            "SELECT epoch, next_sequence, audit_number, audit_hash, epoch_reason, epoch_began_ms,
                    epoch_before, file_inode, file_born_ns FROM meta",
        )?
        .query_row([], |row| {
            Ok(Meta {
                epoch: row.get(0)?,
                next_sequence: unsigned(row, 1)?,
                chain: Chain { head: read_head(row, 2)? },
                origin: epoch::read_origin(row, 4)?,
                mark: FileMark::read(row, 7)?,
            })
        })
}

/// The newest record of the audit chain.
fn last_record(connection: &Connection) -> rusqlite::Result<AuditHead> {
    connection
        .query_row("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1", [], |found| {
            read_head(found, 0)
        })
        .optional()
        .map(|last| last.unwrap_or(AuditHead::NONE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(connection: &Connection) -> i64 {
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn an_empty_file_becomes_a_journal() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("journal.sqlite");
        fs_err::write(&file, b"").unwrap();
        let (connection, meta) = open_writer(&file, Timestamp(0)).unwrap();
        assert_eq!(meta.next_sequence, 1);
        assert_eq!(version(&connection), VERSION);
        let settings: (String, i64) = (
            connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap(),
            connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap(),
        );
        assert_eq!(settings, ("wal".to_owned(), 2), "a commit must be on the disk when answered");
    }

    #[test]
    fn a_newer_file_is_refused_untouched() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("journal.sqlite");
        drop(open_writer(&file, Timestamp(0)).unwrap());
        Connection::open(&file).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
        let refused = open_writer(&file, Timestamp(0)).unwrap_err();
        assert!(matches!(refused, JournalError::Newer { found: 99, .. }), "{refused}");
        assert_eq!(version(&Connection::open(&file).unwrap()), 99);
    }

    #[test]
    fn a_file_that_is_no_journal_is_refused_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("journal.sqlite");
        let text = b"This is a letter to the editor, and rather longer than one SQLite header. "
            .repeat(20);
        fs_err::write(&file, &text).unwrap();
        let refused = open_writer(&file, Timestamp(0)).unwrap_err();
        assert!(matches!(refused, JournalError::Damaged { .. }), "{refused}");
        assert!(refused.to_string().contains("journal.sqlite"), "{refused}");
        assert_eq!(fs_err::read(&file).unwrap(), text);

        let other = directory.path().join("other.sqlite");
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE patients (x)").unwrap();
        let refused = open_writer(&other, Timestamp(0)).unwrap_err();
        assert!(refused.to_string().contains("another program"), "{refused}");
    }

    #[test]
    fn a_journal_that_would_number_twice_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("journal.sqlite");
        let (connection, _) = open_writer(&file, Timestamp(0)).unwrap();
        connection
            .execute_batch("INSERT INTO ledger VALUES ('/f', 'p', 1, 1, 1, 1, NULL, 'done', 9, 0)")
            .unwrap();
        drop(connection);
        let refused = open_writer(&file, Timestamp(0)).unwrap_err();
        assert!(refused.to_string().contains("second time"), "{refused}");
    }
}
