//! The cells that people have reviewed, for a training.

use std::path::Path;

use rusqlite::Connection;

use super::error::JournalError;
use super::kinds::{Event, by_sequence};
use super::schema::open_read_only;
use super::sql::{digest, unsigned, word};
use super::types::{CellPlace, FILE, ReviewedCell};
use crate::result::{CapturePath, CellIds};

/// Every result in the journal of `directory` that somebody has reviewed, by its sequence. A daemon
/// may be at work on it. Superseded results are among them: what a person said of bytes holds for
/// those bytes. Blocks.
///
/// # Errors
/// [`JournalError`] when there is no journal, it cannot be read, or it is of a newer leukd.
pub fn reviewed_cells(directory: &Path) -> Result<Vec<ReviewedCell>, JournalError> {
    let file = directory.join(FILE);
    let connection = open_read_only(&file)?;
    let read = || -> rusqlite::Result<Vec<ReviewedCell>> {
        // Beside one max() the other columns are those of its row:
        // https://sqlite.org/lang_select.html#bareagg
        let mut statement = connection.prepare(
            "SELECT r.sequence, r.digest, r.folder, r.path, r.specimen, r.slide, r.cell, v.label, v.reviewer, r.field, max(v.sequence)
             FROM reviews v JOIN results r ON r.sequence = v.result_sequence
             GROUP BY r.sequence ORDER BY r.sequence",
        )?;
        let cells = statement.query_map([], |found| {
            let folder: Option<String> = found.get(2)?;
            let path: Option<String> = found.get(3)?;
            let sequence = unsigned(found, 0)?;
            let field: Option<i64> = found.get(9)?;
            let place = field.map(|field| place(&connection, sequence, field.cast_unsigned()));
            Ok(ReviewedCell {
                sequence,
                is_of_field: field.is_some(),
                place: place.transpose()?.flatten(),
                digest: digest(found, 1)?,
                path: folder.zip(path).map(|(folder, path)| CapturePath { folder, path }),
                ids: CellIds { specimen: found.get(4)?, slide: found.get(5)?, cell: found.get(6)? },
                label: word(found, 7)?,
                reviewer: found.get(8)?,
            })
        })?;
        cells.collect()
    };
    read().map_err(|error| JournalError::sqlite(&file, &error))
}

/// The place of the result `sequence` in the field of view `field`; none where either is gone.
fn place(
    connection: &Connection,
    sequence: u64,
    field: u64,
) -> rusqlite::Result<Option<CellPlace>> {
    let (Some(Event::Result(own)), Some(Event::Field(field))) =
        (by_sequence(connection, sequence)?, by_sequence(connection, field)?)
    else {
        return Ok(None);
    };
    let finding = &own.finding;
    let parts = (finding.region, finding.outline.clone(), field.figures);
    let (Some(region), Some(outline), Some(figures)) = parts else { return Ok(None) };
    let micrometres_per_pixel = figures.micrometres_per_pixel;
    Ok(Some(CellPlace { ordinal: finding.ordinal, region, outline, micrometres_per_pixel }))
}
