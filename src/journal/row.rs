//! Records and ledger rows as table rows, and back.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Type, ValueRef};
use rusqlite::{Connection, Row, named_params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::types::{CaptureState, FileStamp};
use crate::result::{
    CapturePath, CellIds, ClassProbability, Decision, Digest, Finding, ModelRef, Record, Source,
    Timestamp, Timings,
};

/// The columns that [`record`] reads, in its order.
pub(super) const COLUMNS: &str = "sequence, result_id, folder, path, peer, request_id, sha256, \
    size_bytes, specimen, slide, cell, label, classes, probabilities, decision, reasons, \
    quality_flags, model_id, model_digest, captured_ms, classified_ms, queue_us, read_us, \
    decode_us, preprocess_us, infer_us, supersedes";

/// The position of `path` among [`COLUMNS`], for a look before the whole row is read.
pub(super) const PATH_COLUMN: usize = 3;

/// One result from a row of [`COLUMNS`].
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let source = match (row.get(2)?, row.get(3)?) {
        (Some(folder), Some(path)) => Source::Folder(CapturePath { folder, path }),
        _ => Source::Rpc { peer: row.get(4)?, request_id: row.get(5)? },
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

/// Stores one result as the newest.
pub(super) fn insert(connection: &Connection, record: &Record) -> rusqlite::Result<()> {
    let finding = &record.finding;
    let (kind, capture, request) = match &finding.source {
        Source::Folder(path) => ("folder", Some(path), None),
        Source::Rpc { peer, request_id } => ("rpc", None, Some((peer, request_id))),
    };
    let labels: Vec<&str> =
        finding.probabilities.iter().map(|class| class.label.as_str()).collect();
    let timings = finding.timings;
    connection
        .prepare_cached(
            "INSERT INTO results (sequence, result_id, source, folder, path, peer, request_id, sha256,
                size_bytes, specimen, slide, cell, label, probability, classes, probabilities, decision,
                reasons, quality_flags, model_id, model_digest, captured_ms, classified_ms, queue_us,
                read_us, decode_us, preprocess_us, infer_us, supersedes)
             VALUES (:sequence, :result_id, :source, :folder, :path, :peer, :request_id, :sha256,
                :size_bytes, :specimen, :slide, :cell, :label, :probability, :classes, :probabilities,
                :decision, :reasons, :quality_flags, :model_id, :model_digest, :captured_ms,
                :classified_ms, :queue_us, :read_us, :decode_us, :preprocess_us, :infer_us, :supersedes)",
        )?
        .execute(named_params! {
            ":sequence": record.sequence.cast_signed(),
            ":result_id": finding.result_id,
            ":source": kind,
            ":folder": capture.map(|path| &path.folder),
            ":path": capture.map(|path| &path.path),
            ":peer": request.map(|(peer, _)| peer),
            ":request_id": request.map(|(_, id)| id),
            ":sha256": finding.sha256.map(Sha),
            ":size_bytes": finding.size_bytes.cast_signed(),
            ":specimen": finding.ids.specimen,
            ":slide": finding.ids.slide,
            ":cell": finding.ids.cell,
            ":label": finding.label,
            ":probability": finding.label_probability(),
            ":classes": to_json(&labels)?,
            ":probabilities": numbers(&finding.probabilities),
            ":decision": finding.decision.as_str(),
            ":reasons": to_json(&finding.reasons)?,
            ":quality_flags": to_json(&finding.quality_flags)?,
            ":model_id": finding.model.as_ref().map(|model| &model.id),
            ":model_digest": finding.model.as_ref().map(|model| &model.digest),
            ":captured_ms": finding.captured_at.0,
            ":classified_ms": finding.classified_at.0,
            ":queue_us": timings.queue_us.cast_signed(),
            ":read_us": timings.read_us.cast_signed(),
            ":decode_us": timings.decode_us.cast_signed(),
            ":preprocess_us": timings.preprocess_us.cast_signed(),
            ":infer_us": timings.infer_us.cast_signed(),
            ":supersedes": record.supersedes.map(u64::cast_signed),
        })?;
    Ok(())
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
