//! The list of tables for a file whose own is damaged.
//!
//! SQLite keeps the list in the first page and, where it is long, in pages below that. In a journal
//! they are always the same: the tables are made in one order, and a file with an incremental
//! vacuum keeps their first pages at its beginning. So the pages of a new journal fit any journal.

use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rusqlite::Connection;

use crate::error::JournalError;
use crate::result::Timestamp;
use crate::schema;

const PAGE: usize = 4096;

/// Puts the pages of a new journal's list into `copy`.
pub(super) fn replace(copy: &Path) -> Result<(), JournalError> {
    let io = |error: std::io::Error| JournalError::io(copy, &error);
    let folder = tempfile::tempdir_in(copy.parent().unwrap_or(Path::new("/"))).map_err(io)?;
    let model = folder.path().join("model.sqlite");
    let (connection, _) = schema::open_writer(&model, Timestamp(0))?;
    let pages = list(&connection).map_err(|error| JournalError::sqlite(&model, &error))?;
    connection.close().map_err(|(_, error)| JournalError::sqlite(&model, &error))?;
    let new = fs_err::read(&model).map_err(io)?;
    // A file that was cut may be shorter than the list.
    let last = pages.iter().max().map_or(0, |number| number * PAGE);
    let length = fs_err::metadata(copy).map_err(io)?.len().max(last as u64);
    let file = fs_err::OpenOptions::new().write(true).open(copy).map_err(io)?;
    for number in pages {
        let start = number.saturating_sub(1) * PAGE;
        let Some(page) = new.get(start..start + PAGE) else { continue };
        let mut page = page.to_vec();
        if number == 1 {
            // The file's size in pages, valid as of the change counter, and no list of free pages.
            let pages = u32::try_from(length.div_ceil(PAGE as u64)).unwrap_or(u32::MAX);
            page[28..32].copy_from_slice(&pages.to_be_bytes());
            page.copy_within(24..28, 92);
            page[32..40].fill(0);
        }
        file.file().write_all_at(&page, start as u64).map_err(io)?;
    }
    Ok(())
}

/// The numbers of the pages that hold the list of tables.
fn list(connection: &Connection) -> rusqlite::Result<Vec<usize>> {
    connection
        .prepare("SELECT pageno FROM dbstat WHERE name = 'sqlite_schema'")?
        .query_map([], |row| row.get::<_, i64>(0).map(|page| usize::try_from(page).unwrap_or(0)))?
        .collect()
}
