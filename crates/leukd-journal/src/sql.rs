//! Values as SQLite stores them, and back.

use std::str::FromStr;

use rusqlite::Row;
use rusqlite::types::{Type, ValueRef};

use super::types::FileStamp;
use crate::result::Digest;

/// A text value.
pub(super) const fn text(text: &str) -> ValueRef<'_> {
    ValueRef::Text(text.as_bytes())
}

/// A text value, or NULL.
pub(super) fn maybe(value: Option<&str>) -> ValueRef<'_> {
    value.map_or(ValueRef::Null, text)
}

/// A number. SQLite's integers are signed: one above 2⁶³ is stored as the negative number of the
/// same bits.
pub(super) const fn number(number: u64) -> ValueRef<'static> {
    ValueRef::Integer(number.cast_signed())
}

/// A digest's bytes, or NULL.
pub(super) fn blob(digest: Option<&Digest>) -> ValueRef<'_> {
    digest.map_or(ValueRef::Null, |digest| ValueRef::Blob(&digest.0))
}

/// A limit on rows.
pub(super) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// The number in a column.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

/// The digest in a column; none where it is NULL.
pub(super) fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Digest>> {
    Ok(row.get::<_, Option<[u8; 32]>>(column)?.map(Digest))
}

/// The four columns of a stamp, which begin at `first`.
pub(super) fn stamp(row: &Row<'_>, first: usize) -> rusqlite::Result<FileStamp> {
    Ok(FileStamp {
        size: unsigned(row, first)?,
        mtime_ns: row.get(first + 1)?,
        ctime_ns: row.get(first + 2)?,
        inode: unsigned(row, first + 3)?,
    })
}

/// One of an enumeration's words.
pub(super) fn word<T: FromStr<Err = String>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    row.get_ref(column)?.as_str()?.parse().map_err(|problem: String| unreadable(problem.into()))
}

/// A stored text that is not what this program writes.
pub(super) fn unreadable(problem: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, problem)
}
