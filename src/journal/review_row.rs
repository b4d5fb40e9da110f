//! Reviews as table rows, and back.

use std::sync::LazyLock;

use rusqlite::types::{ToSqlOutput, Type, ValueRef};
use rusqlite::{Connection, Row, params_from_iter};

use super::audit::content;
use super::row::{maybe, text, unsigned};
use crate::result::{CapturePath, CellIds, Timestamp};
use crate::review::{Review, Reviewed};

/// Every column, in the order of the row's digest.
pub(super) const STORED: [&str; 18] = [
    "sequence",
    "review_id",
    "result_sequence",
    "result_id",
    "folder",
    "path",
    "specimen",
    "slide",
    "cell",
    "result_label",
    "probability",
    "decision",
    "label",
    "agrees",
    "reviewer",
    "note",
    "client",
    "reviewed_ms",
];

/// The same as one text: what [`review`] reads.
pub(super) const COLUMNS: &str = "sequence, review_id, result_sequence, result_id, folder, path, \
    specimen, slide, cell, result_label, probability, decision, label, agrees, reviewer, note, \
    client, reviewed_ms";

/// One review from a row of [`COLUMNS`].
pub(super) fn review(row: &Row<'_>) -> rusqlite::Result<Review> {
    let path = match (row.get(4)?, row.get(5)?) {
        (Some(folder), Some(path)) => Some(CapturePath { folder, path }),
        _ => None,
    };
    Ok(Review {
        sequence: unsigned(row, 0)?,
        review_id: row.get(1)?,
        of: Reviewed {
            sequence: row.get::<_, Option<i64>>(2)?.map(i64::cast_unsigned),
            result_id: row.get(3)?,
            path,
            ids: CellIds { specimen: row.get(6)?, slide: row.get(7)?, cell: row.get(8)? },
            label: row.get(9)?,
            probability: row.get(10)?,
            decision: word(row, 11)?,
        },
        label: word(row, 12)?,
        agrees: row.get(13)?,
        reviewer: row.get(14)?,
        note: row.get(15)?,
        client: row.get(16)?,
        reviewed_at: Timestamp(row.get(17)?),
    })
}

/// One of an enumeration's words.
pub(super) fn word<T: std::str::FromStr<Err = String>>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    row.get_ref(column)?.as_str()?.parse().map_err(|problem: String| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, problem.into())
    })
}

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let places = vec!["?"; STORED.len()].join(", ");
    format!("INSERT INTO reviews ({COLUMNS}) VALUES ({places})")
});

/// Stores one review as the newest event, and gives the digest of what is stored.
pub(super) fn insert(connection: &Connection, review: &Review) -> rusqlite::Result<blake3::Hash> {
    let Reviewed { sequence, result_id, path, ids, label, probability, decision } = &review.of;
    let count = |number: u64| ValueRef::Integer(number.cast_signed());
    let values: [ValueRef<'_>; STORED.len()] = [
        count(review.sequence),
        text(&review.review_id),
        sequence.map_or(ValueRef::Null, count),
        text(result_id),
        maybe(path.as_ref().map(|path| path.folder.as_str())),
        maybe(path.as_ref().map(|path| path.path.as_str())),
        text(&ids.specimen),
        text(&ids.slide),
        text(&ids.cell),
        maybe(label.as_deref()),
        probability.map_or(ValueRef::Null, ValueRef::Real),
        text(decision.as_str()),
        text(review.label.as_str()),
        ValueRef::Integer(review.agrees.into()),
        text(&review.reviewer),
        text(&review.note),
        text(&review.client),
        ValueRef::Integer(review.reviewed_at.0),
    ];
    connection
        .prepare_cached(&INSERT)?
        .execute(params_from_iter(values.iter().map(|value| ToSqlOutput::Borrowed(*value))))?;
    Ok(content::digest(content::REVIEW, &values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_is_stored() {
        assert_eq!(COLUMNS.split(", ").collect::<Vec<_>>(), STORED);
    }
}
