//! Opening a journal for somebody who only examines it.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::error::JournalError;
use super::schema::{open_reader, refuse_foreign, refuse_newer, version_of, was_left_open};

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
    if refuse_newer(&connection, file)? == 0 {
        let what = "it holds no tables yet".to_owned();
        return Err(JournalError::Damaged { file: file.to_owned(), what });
    }
    Ok(connection)
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
