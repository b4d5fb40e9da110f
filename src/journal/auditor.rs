//! Opening a journal for somebody who only examines it.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::error::JournalError;
use super::schema::{known_version, open_reader, refuse_foreign, version_of, was_left_open};
use super::tables::TABLES;

/// The first version with an audit chain.
const AUDITED_SINCE: i64 = 2;

/// Opens the file for somebody who only examines it, a daemon at work on it or not.
pub(super) fn open_auditor(file: &Path) -> Result<Connection, JournalError> {
    let trouble = |error: &rusqlite::Error| JournalError::sqlite(file, error);
    // SQLite would only say that it cannot open it.
    fs_err::File::open(file).map_err(|error| JournalError::io(file, &error))?;
    let connection = match open_reader(file) {
        Ok(connection) if version_of(&connection).is_ok() => connection,
        // In a folder that cannot be written SQLite makes no index of a write-ahead log; where there is no
        // log, there is nothing to miss.
        Ok(_) | Err(_) if !was_left_open(file) => open_immutable(file).map_err(|e| trouble(&e))?,
        Ok(connection) => connection,
        Err(error) => return Err(error),
    };
    refuse_foreign(&connection, file)?;
    let known = known_version();
    let found = version_of(&connection).map_err(|error| trouble(&error))?;
    if found > known {
        return Err(JournalError::Newer { file: file.to_owned(), found, known });
    }
    if found < AUDITED_SINCE {
        return Err(JournalError::Unaudited { file: file.to_owned(), found });
    }
    stand_in(&connection).map_err(|error| trouble(&error))?;
    Ok(connection)
}

/// Gives the reader of an older journal empty tables in place of those that it has not, and NULL in place of columns. They
/// are this connection's own.
pub(super) fn stand_in(connection: &Connection) -> rusqlite::Result<()> {
    let mut missing = Vec::new();
    for table in TABLES {
        let there: Vec<String> = connection
            .prepare("SELECT name FROM pragma_table_info(?1)")?
            .query_map([table.name], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let lacks = |column: &&&str| !there.iter().any(|name| name == **column);
        let lacking: String =
            table.stored.iter().filter(lacks).map(|column| format!(", NULL AS {column}")).collect();
        if there.is_empty() {
            missing.push(format!(
                "CREATE TEMP TABLE {} ({});",
                table.name,
                table.stored.join(", ").replacen("sequence", "sequence INTEGER PRIMARY KEY", 1)
            ));
        } else if !lacking.is_empty() {
            let name = table.name;
            missing.push(format!("CREATE TEMP VIEW {name} AS SELECT *{lacking} FROM main.{name};"));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    connection.execute_batch(&format!(
        "PRAGMA query_only = OFF; PRAGMA temp_store = MEMORY; {} PRAGMA query_only = ON;",
        missing.concat()
    ))
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
