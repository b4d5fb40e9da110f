//! The digest of a stored event: what of its row must never change.
//!
//! The values of the columns [`STORED`](crate::journal::row::STORED) of a result, or
//! [`STORED`](crate::journal::review_row::STORED) of a review, or [`STORED`](crate::journal::specimen_row::STORED) of a
//! specimen's event, in their order, one after another, after the text `leukd result 1`, `leukd review 1` or `leukd
//! specimen 1` and a line feed. Each value is a letter and its bytes; numbers are big-endian:
//!
//! | SQLite's type | letter | then |
//! |---|---|---|
//! | NULL | `n` | nothing |
//! | INTEGER | `i` | 8 bytes, two's complement |
//! | REAL | `r` | 8 bytes, IEEE 754 |
//! | TEXT | `t` | length in 8 bytes, UTF-8 |
//! | BLOB | `b` | length in 8 bytes, the bytes |
//!
//! The digest is BLAKE3 of that. `superseded_by` is left out: it is set once, by a later result whose own row says so in
//! `supersedes`.

use rusqlite::types::ValueRef;

/// What the digests of one kind of event begin with; another order of columns would have another number.
pub(in crate::journal) type Form = &'static [u8];

/// Of every result.
pub(in crate::journal) const RESULT: Form = b"leukd result 1\n";

/// Of every review.
pub(in crate::journal) const REVIEW: Form = b"leukd review 1\n";

/// Of every specimen's event.
pub(in crate::journal) const SPECIMEN: Form = b"leukd specimen 1\n";

/// The digest of the values of an event of this form.
pub(in crate::journal) fn digest(form: Form, values: &[ValueRef<'_>]) -> blake3::Hash {
    // One buffer: the row is about a kilobyte, and many short updates cost more than the hash.
    let mut bytes = Vec::with_capacity(1024);
    bytes.extend_from_slice(form);
    for value in values {
        match *value {
            ValueRef::Null => bytes.push(b'n'),
            ValueRef::Integer(number) => {
                bytes.push(b'i');
                bytes.extend_from_slice(&number.to_be_bytes());
            }
            ValueRef::Real(number) => {
                bytes.push(b'r');
                // SQLite stores a whole number as an integer, and so forgets the sign of zero.
                bytes.extend_from_slice(&(number + 0.0).to_be_bytes());
            }
            ValueRef::Text(text) => {
                bytes.push(b't');
                bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
                bytes.extend_from_slice(text);
            }
            ValueRef::Blob(blob) => {
                bytes.push(b'b');
                bytes.extend_from_slice(&(blob.len() as u64).to_be_bytes());
                bytes.extend_from_slice(blob);
            }
        }
    }
    blake3::hash(&bytes)
}
