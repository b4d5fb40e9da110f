//! Specimens' events as table rows, and back.

use std::sync::LazyLock;

use rusqlite::types::{ToSqlOutput, Type, ValueRef};
use rusqlite::{Connection, Row, params_from_iter};

use super::audit::content;
use super::row::{maybe, text, unsigned};
use crate::result::{CapturePath, Timestamp};
use crate::told::{Cause, Marker, SpecimenTold};

/// Every column, in the order of the row's digest.
pub(super) const STORED: [&str; 14] = [
    "sequence",
    "specimen",
    "round",
    "cause",
    "folder",
    "path",
    "marker_mtime_ns",
    "cells_all",
    "cells_hem",
    "cells_review",
    "cells_rejected",
    "first_ms",
    "last_ms",
    "told_ms",
];

/// The same as one text: what [`told`] reads.
pub(super) const COLUMNS: &str = "sequence, specimen, round, cause, folder, path, \
    marker_mtime_ns, cells_all, cells_hem, cells_review, cells_rejected, first_ms, last_ms, told_ms";

/// One event from a row of [`COLUMNS`].
pub(super) fn told(row: &Row<'_>) -> rusqlite::Result<SpecimenTold> {
    let odd = |problem: &str| {
        rusqlite::Error::FromSqlConversionFailure(3, Type::Text, problem.to_owned().into())
    };
    let marker = match (row.get(4)?, row.get(5)?, row.get(6)?) {
        (Some(folder), Some(path), Some(mtime_ns)) => {
            Some(Marker { path: CapturePath { folder, path }, mtime_ns })
        }
        _ => None,
    };
    let cause = match (row.get_ref(3)?.as_str()?, marker) {
        ("quiet", None) => Cause::Quiet,
        ("marker", Some(marker)) => Cause::Marker(marker),
        _ => return Err(odd("neither quiet nor a marker")),
    };
    Ok(SpecimenTold {
        sequence: unsigned(row, 0)?,
        specimen: row.get(1)?,
        round: unsigned(row, 2)?,
        cause,
        all: unsigned(row, 7)?,
        hem: unsigned(row, 8)?,
        review: unsigned(row, 9)?,
        rejected: unsigned(row, 10)?,
        first_classified_at: Timestamp(row.get(11)?),
        last_classified_at: Timestamp(row.get(12)?),
        told_at: Timestamp(row.get(13)?),
    })
}

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let places = vec!["?"; STORED.len()].join(", ");
    format!("INSERT INTO specimens ({COLUMNS}) VALUES ({places})")
});

/// Stores one event as the newest, and gives the digest of what is stored.
pub(super) fn insert(
    connection: &Connection,
    told: &SpecimenTold,
) -> rusqlite::Result<blake3::Hash> {
    let count = |number: u64| ValueRef::Integer(number.cast_signed());
    let (cause, marker) = match &told.cause {
        Cause::Quiet => ("quiet", None),
        Cause::Marker(marker) => ("marker", Some(marker)),
    };
    let values: [ValueRef<'_>; STORED.len()] = [
        count(told.sequence),
        text(&told.specimen),
        count(told.round),
        text(cause),
        maybe(marker.map(|marker| marker.path.folder.as_str())),
        maybe(marker.map(|marker| marker.path.path.as_str())),
        marker.map_or(ValueRef::Null, |marker| ValueRef::Integer(marker.mtime_ns)),
        count(told.all),
        count(told.hem),
        count(told.review),
        count(told.rejected),
        ValueRef::Integer(told.first_classified_at.0),
        ValueRef::Integer(told.last_classified_at.0),
        ValueRef::Integer(told.told_at.0),
    ];
    connection
        .prepare_cached(&INSERT)?
        .execute(params_from_iter(values.iter().map(|value| ToSqlOutput::Borrowed(*value))))?;
    Ok(content::digest(content::SPECIMEN, &values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_is_stored() {
        assert_eq!(COLUMNS.split(", ").collect::<Vec<_>>(), STORED);
    }
}
