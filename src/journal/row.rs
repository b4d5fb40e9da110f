//! Records and ledger rows as table rows, and back.

use std::sync::LazyLock;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Type, ValueRef};
use rusqlite::{Connection, Row, params_from_iter};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::audit::{AuditHead, content};
use super::quality_text;
use super::types::{CaptureState, FileStamp};
use crate::result::{
    CapturePath, CellIds, ClassProbability, Decision, Digest, Finding, ModelRef, Record, Source,
    Timestamp, Timings,
};

/// The columns that [`record`] reads, in its order.
pub(super) const COLUMNS: &str = "sequence, result_id, folder, path, peer, request_id, sha256, \
    size_bytes, specimen, slide, cell, label, classes, probabilities, decision, reasons, \
    quality_flags, model_id, model_digest, captured_ms, classified_ms, queue_us, read_us, \
    decode_us, preprocess_us, infer_us, supersedes, client, quality";

/// The position of `path` among [`COLUMNS`], for a look before the whole row is read.
pub(super) const PATH_COLUMN: usize = 3;

/// One result from a row of [`COLUMNS`].
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let source = match (row.get(2)?, row.get(3)?) {
        (Some(folder), Some(path)) => Source::Folder(CapturePath { folder, path }),
        _ => Source::Rpc { peer: row.get(4)?, request_id: row.get(5)?, client: row.get(27)? },
    };
    let model = match (row.get(17)?, row.get(18)?) {
        (Some(id), Some(digest)) => Some(ModelRef { id, digest }),
        _ => None,
    };
    Ok(Record {
        sequence: unsigned(row, 0)?,
        supersedes: row.get::<_, Option<i64>>(26)?.map(i64::cast_unsigned),
        finding: Finding {
            result_id: row.get(1)?,
            source,
            sha256: row.get::<_, Option<Sha>>(6)?.map(|sha| sha.0),
            size_bytes: unsigned(row, 7)?,
            ids: CellIds { specimen: row.get(8)?, slide: row.get(9)?, cell: row.get(10)? },
            label: row.get(11)?,
            probabilities: classes(json(row, 12)?, row.get_ref(13)?.as_str()?)
                .ok_or_else(|| odd(13, "not one number a class"))?,
            decision: row
                .get_ref(14)?
                .as_str()?
                .parse()
                .map_err(|problem: String| odd(14, &problem))?,
            reasons: json(row, 15)?,
            quality_flags: json(row, 16)?,
            quality: match row.get_ref(28)?.as_str_or_null()? {
                Some(text) => {
                    Some(quality_text::read(text).ok_or_else(|| odd(28, "not ten figures"))?)
                }
                None => None,
            },
            model,
            captured_at: Timestamp(row.get(19)?),
            classified_at: Timestamp(row.get(20)?),
            timings: Timings {
                queue_us: unsigned(row, 21)?,
                read_us: unsigned(row, 22)?,
                decode_us: unsigned(row, 23)?,
                preprocess_us: unsigned(row, 24)?,
                infer_us: unsigned(row, 25)?,
            },
        },
    })
}

/// Every column that is written once and never changes, in the order of its digest.
pub(super) const STORED: [&str; 31] = [
    "sequence",
    "result_id",
    "source",
    "folder",
    "path",
    "peer",
    "request_id",
    "client",
    "sha256",
    "size_bytes",
    "specimen",
    "slide",
    "cell",
    "label",
    "probability",
    "classes",
    "probabilities",
    "decision",
    "reasons",
    "quality_flags",
    "model_id",
    "model_digest",
    "captured_ms",
    "classified_ms",
    "queue_us",
    "read_us",
    "decode_us",
    "preprocess_us",
    "infer_us",
    "supersedes",
    "quality",
];

pub(super) const fn text(text: &str) -> ValueRef<'_> {
    ValueRef::Text(text.as_bytes())
}

pub(super) fn maybe(value: Option<&str>) -> ValueRef<'_> {
    value.map_or(ValueRef::Null, text)
}

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let places = vec!["?"; STORED.len()].join(", ");
    format!("INSERT INTO results ({}) VALUES ({places})", STORED.join(", "))
});

/// Stores one result as the newest, and gives the digest of what is stored.
pub(super) fn insert(connection: &Connection, record: &Record) -> rusqlite::Result<blake3::Hash> {
    let finding = &record.finding;
    let (kind, capture, request) = match &finding.source {
        Source::Folder(path) => ("folder", Some(path), None),
        Source::Rpc { peer, request_id, client } => ("rpc", None, Some((peer, request_id, client))),
    };
    let labels: Vec<&str> =
        finding.probabilities.iter().map(|class| class.label.as_str()).collect();
    let labels = to_json(&labels)?;
    let numbers = numbers(&finding.probabilities);
    let (reasons, flags) = (to_json(&finding.reasons)?, to_json(&finding.quality_flags)?);
    let (timings, model) = (finding.timings, finding.model.as_ref());
    let quality = finding.quality.as_ref().map(quality_text::write);
    let count = |number: u64| ValueRef::Integer(number.cast_signed());
    // In the order of STORED.
    let values: [ValueRef<'_>; STORED.len()] = [
        count(record.sequence),
        text(&finding.result_id),
        text(kind),
        maybe(capture.map(|path| path.folder.as_str())),
        maybe(capture.map(|path| path.path.as_str())),
        maybe(request.map(|(peer, _, _)| peer.as_str())),
        maybe(request.map(|(_, id, _)| id.as_str())),
        text(request.map_or("", |(_, _, client)| client.as_str())),
        finding.sha256.as_ref().map_or(ValueRef::Null, |sha256| ValueRef::Blob(&sha256.0)),
        count(finding.size_bytes),
        text(&finding.ids.specimen),
        text(&finding.ids.slide),
        text(&finding.ids.cell),
        maybe(finding.label.as_deref()),
        finding.label_probability().map_or(ValueRef::Null, ValueRef::Real),
        text(&labels),
        text(&numbers),
        text(finding.decision.as_str()),
        text(&reasons),
        text(&flags),
        maybe(model.map(|model| model.id.as_str())),
        maybe(model.map(|model| model.digest.as_str())),
        ValueRef::Integer(finding.captured_at.0),
        ValueRef::Integer(finding.classified_at.0),
        count(timings.queue_us),
        count(timings.read_us),
        count(timings.decode_us),
        count(timings.preprocess_us),
        count(timings.infer_us),
        record.supersedes.map_or(ValueRef::Null, count),
        maybe(quality.as_deref()),
    ];
    connection
        .prepare_cached(&INSERT)?
        .execute(params_from_iter(values.iter().map(|value| ToSqlOutput::Borrowed(*value))))?;
    Ok(content::digest(content::RESULT, &values))
}

/// A JSON array of numbers that read back to the last bit. `serde_json` reads some numbers one bit
/// off, so [`classes`] leaves the reading to the standard library.
fn numbers(classes: &[ClassProbability]) -> String {
    let numbers: Vec<String> =
        classes.iter().map(|class| format!("{:?}", class.probability)).collect();
    format!("[{}]", numbers.join(","))
}

fn classes(labels: Vec<String>, numbers: &str) -> Option<Vec<ClassProbability>> {
    let numbers = numbers.strip_prefix('[')?.strip_suffix(']')?;
    let mut numbers = numbers.split(',').filter(|number| !number.trim().is_empty());
    let classes = labels
        .into_iter()
        .map(|label| {
            let probability = numbers.next()?.trim().parse().ok()?;
            Some(ClassProbability { label, probability })
        })
        .collect::<Option<Vec<_>>>()?;
    numbers.next().is_none().then_some(classes)
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

/// SQLite's integers are signed: an inode above 2⁶³ is stored as the negative number of the same bits.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

fn to_json<T: Serialize + ?Sized>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn odd(column: usize, problem: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, problem.to_owned().into())
}

/// A place in the audit chain, whose columns begin at `first`.
pub(super) fn head(row: &Row<'_>, first: usize) -> rusqlite::Result<AuditHead> {
    let hash = row.get::<_, [u8; 32]>(first + 1)?.into();
    Ok(AuditHead { number: unsigned(row, first)?, hash })
}

/// A digest as a BLOB of 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sha(pub(super) Digest);

impl ToSql for Sha {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(&self.0.0)))
    }
}

impl FromSql for Sha {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 32]>::column_result(value).map(|bytes| Self(Digest(bytes)))
    }
}

impl CaptureState {
    /// The word in the table.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Duplicate => "duplicate",
            Self::Rejected => "rejected",
        }
    }

    /// How the story of `path` ended when it leads to `record`.
    pub(super) fn of(path: &CapturePath, record: &Record) -> Self {
        match &record.finding.source {
            _ if record.finding.decision == Decision::Rejected => Self::Rejected,
            Source::Folder(own) if own == path => Self::Done,
            _ => Self::Duplicate,
        }
    }
}

impl FromSql for CaptureState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_str()? {
            "done" => Ok(Self::Done),
            "duplicate" => Ok(Self::Duplicate),
            "rejected" => Ok(Self::Rejected),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}
