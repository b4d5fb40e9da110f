//! A first page for a file whose own is damaged.
//!
//! The first page of an SQLite file holds its header and the list of its tables, each with the page where it begins.
//! In a journal these pages are always the same: the tables are made in one order, and a file with an
//! incremental vacuum keeps their first pages at its beginning. So the first page of a file that lists the
//! tables of a new journal, without indices and views, fits any journal.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use rusqlite::Connection;

use crate::journal::{JournalError, schema};
use crate::result::Timestamp;

const PAGE: usize = 4096;

/// Puts a first page into `copy`.
pub(super) fn put_first_page(copy: &Path) -> Result<(), JournalError> {
    let trouble = |error: &std::io::Error| JournalError::io(copy, error);
    let folder = tempfile::tempdir_in(copy.parent().unwrap_or(Path::new("/")))
        .map_err(|error| trouble(&error))?;
    let mut page = first_page(folder.path())?;
    let length = fs_err::metadata(copy).map_err(|error| trouble(&error))?.len();
    let pages = u32::try_from(length.div_ceil(PAGE as u64)).unwrap_or(u32::MAX);
    // Versions of the file format: 2 is a write-ahead log. Then its size in pages, valid as of the change counter.
    page[18..20].fill(2);
    page[28..32].copy_from_slice(&pages.to_be_bytes());
    let counter: [u8; 4] = [page[24], page[25], page[26], page[27]];
    page[92..96].copy_from_slice(&counter);
    // No list of free pages.
    page[32..40].fill(0);
    let mut file =
        fs_err::OpenOptions::new().write(true).open(copy).map_err(|error| trouble(&error))?;
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.write_all(&page))
        .map_err(|error| trouble(&error))
}

fn first_page(folder: &Path) -> Result<Vec<u8>, JournalError> {
    let (model, bare) = (folder.join("model.sqlite"), folder.join("bare.sqlite"));
    let make = |file: &Path, work: &dyn Fn() -> rusqlite::Result<()>| {
        work().map_err(|error| JournalError::sqlite(file, &error))
    };
    let (journal, _) = schema::open_writer(&model, Timestamp(0))?;
    make(&bare, &|| {
        let connection = Connection::open(&bare)?;
        // A table of its own, so that the largest first page in the header is not 0, which would mean no vacuum.
        connection.execute_batch(
            "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;
             CREATE TABLE x (y); PRAGMA writable_schema = ON; DELETE FROM sqlite_schema;",
        )?;
        let mut tables = journal.prepare(
            "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema WHERE type = 'table'",
        )?;
        let mut rows = tables.query([])?;
        while let Some(row) = rows.next()? {
            let (kind, name, table): (String, String, String) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            let (root, sql): (i64, Option<String>) = (row.get(3)?, row.get(4)?);
            connection.execute(
                "INSERT INTO sqlite_schema VALUES (?1, ?2, ?3, ?4, ?5)",
                (kind, name, table, root, sql.as_deref().map(short)),
            )?;
        }
        Ok(())
    })?;
    let mut page = vec![0; PAGE];
    fs_err::File::open(&bare)
        .and_then(|mut file| file.read_exact(&mut page))
        .map_err(|error| JournalError::io(&bare, &error))?;
    // A leaf: the list of tables lies on this page, all of it.
    if page[100] != 13 {
        let what = "the tables of a journal do not fit into one page".to_owned();
        return Err(JournalError::Storage { file: bare, what });
    }
    Ok(page)
}

/// A table's definition without remarks and checks' blanks, so that all fit into one page.
fn short(sql: &str) -> String {
    let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}
