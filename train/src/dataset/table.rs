//! CSV → rows with their line numbers; a CSV of cells → images with what it says of them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord};

use super::found::{Found, Names};
use super::{Broken, DatasetError, LABELS};

/// A CSV, row by row.
pub(super) struct Table {
    columns: Vec<String>,
    /// In the file's order: the line, 1 being the file's first, and the fields or why there are
    /// none.
    pub(super) rows: Vec<(u64, Result<StringRecord, String>)>,
}

impl Table {
    /// Reads `path`, whose header must name the columns `needed`. Names of columns are compared
    /// without regard to case, and every field without the blanks around it. The header's most
    /// frequent one of comma, semicolon and tab divides the fields: spreadsheets write each.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read or its header lacks a column or has it twice.
    pub(super) fn read(path: &Path, needed: &[&str]) -> Result<Self, DatasetError> {
        let file = |source| DatasetError::File { action: "read", path: path.to_owned(), source };
        let bytes = std::fs::read(path).map_err(file)?;
        let header =
            |problem: String| DatasetError::Header { path: path.to_owned(), line: 1, problem };
        let bytes = match bytes.as_slice() {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                return Err(header("this is UTF-16: save it as UTF-8".to_owned()));
            }
            [0xef, 0xbb, 0xbf, rest @ ..] => rest,
            all => all,
        };
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter(bytes))
            .flexible(true)
            .has_headers(false)
            .from_reader(bytes);
        let mut lines = Lines { bytes, at: 0, line: 1 };
        let mut rows = Vec::new();
        loop {
            let mut record = StringRecord::new();
            match reader.read_record(&mut record) {
                Ok(false) => break,
                Ok(true) => {
                    let start = record.position().map_or(0, csv::Position::byte);
                    rows.push((lines.of(start), Ok(record)));
                }
                Err(error) => {
                    let start = error.position().map_or(0, csv::Position::byte);
                    rows.push((lines.of(start), Err("it is not UTF-8".to_owned())));
                }
            }
        }
        let mut rows = rows.into_iter();
        let Some((line, first)) = rows.next() else {
            return Err(header(format!("the file is empty; it needs {}", needed.join(", "))));
        };
        let header = |problem| DatasetError::Header { path: path.to_owned(), line, problem };
        let first = first.map_err(header)?;
        let columns: Vec<String> = first.iter().map(|name| name.trim().to_lowercase()).collect();
        for name in needed {
            if !columns.iter().any(|column| column == name) {
                let has = columns.join(", ");
                return Err(header(format!(
                    "no column {name:?}: the header needs {}, and has {has:.200}",
                    needed.join(", ")
                )));
            }
        }
        if let Some((_, twice)) = columns
            .iter()
            .enumerate()
            .find(|(at, column)| !column.is_empty() && columns[..*at].contains(column))
        {
            return Err(header(format!("two columns are named {twice:?}")));
        }
        let rows = rows.map(|(line, row)| (line, row.and_then(|row| whole(row, columns.len()))));
        Ok(Self { rows: rows.collect(), columns })
    }

    /// A row's field; none where there is no such column or the field is empty.
    pub(super) fn field<'a>(&self, row: &'a StringRecord, column: &str) -> Option<&'a str> {
        let at = self.columns.iter().position(|name| name == column)?;
        row.get(at).map(str::trim).filter(|field| !field.is_empty())
    }
}

fn whole(row: StringRecord, columns: usize) -> Result<StringRecord, String> {
    if row.iter().any(|field| field.contains('\n')) {
        Err("a field goes over several lines: a quote is not closed".to_owned())
    } else if row.len() != columns {
        Err(format!("it has {} fields, and the header {columns}", row.len()))
    } else {
        Ok(row)
    }
}

fn delimiter(bytes: &[u8]) -> u8 {
    let header = bytes.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    let count = |delimiter: u8| {
        header.map_or(0, |line| line.iter().filter(|byte| **byte == delimiter).count())
    };
    // The last of equals is found, so that a single column counts as divided by commas.
    [b'\t', b';', b','].into_iter().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

/// Byte positions → line numbers. The csv crate's own count stands before the blank lines that it
/// skips.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of the record that begins at or after `start`; asked in rising order.
    fn of(&mut self, start: u64) -> u64 {
        let start = usize::try_from(start).unwrap_or(usize::MAX).min(self.bytes.len());
        while let Some(byte) = self.bytes.get(self.at) {
            if self.at >= start && !matches!(byte, b'\n' | b'\r') {
                break;
            }
            self.line += u64::from(*byte == b'\n');
            self.at += 1;
        }
        self.line
    }
}

/// Every image that a CSV of cells names, and the lines that name none.
///
/// # Errors
///
/// As [`Table::read`].
pub(super) fn find(path: &Path, names: &Names) -> Result<(Vec<Found>, Vec<Broken>), DatasetError> {
    let table = Table::read(path, &["path", "label"])?;
    let base = path.parent().unwrap_or(Path::new(""));
    let (mut found, mut broken) = (Vec::new(), Vec::new());
    let mut seen: HashMap<PathBuf, u64> = HashMap::new();
    for (line, row) in &table.rows {
        let cell = row.as_ref().map_err(|reason| (path.to_owned(), reason.clone()));
        let cell = cell.and_then(|row| {
            found_in(&table, row, base, names)
                .map_err(|(at, reason)| (at.unwrap_or_else(|| path.to_owned()), reason))
        });
        match cell {
            Ok(cell) => match seen.get(&cell.path) {
                None => {
                    seen.insert(cell.path.clone(), *line);
                    found.push(Found { line: Some((path.to_owned(), *line)), ..cell });
                }
                Some(earlier) => {
                    let reason = format!("the same file as in line {earlier}");
                    broken.push(on_line(cell.path, path, *line, &reason));
                }
            },
            Err((at, reason)) => broken.push(on_line(at, path, *line, &reason)),
        }
    }
    Ok((found, broken))
}

/// A broken file or line, its reason beginning with the line.
pub(super) fn on_line(at: PathBuf, table: &Path, line: u64, reason: &str) -> Broken {
    Broken { path: at, reason: format!("{}, line {line}: {reason}", table.display()) }
}

fn found_in(
    table: &Table,
    row: &StringRecord,
    base: &Path,
    names: &Names,
) -> Result<Found, (Option<PathBuf>, String)> {
    let path = table.field(row, "path").ok_or((None, "the path is empty".to_owned()))?;
    let path = base.join(path);
    let failed = |reason| (Some(path.clone()), reason);
    let label = table
        .field(row, "label")
        .ok_or_else(|| failed("the label is empty: it is all or hem".to_owned()))?;
    let label = LABELS
        .iter()
        .position(|known| label.eq_ignore_ascii_case(known))
        .ok_or_else(|| failed(format!("the label {label:?} is neither all nor hem")))?;
    let side = table
        .field(row, "side")
        .map(|side| side.to_lowercase().parse().map_err(failed))
        .transpose()?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let subject = table
        .field(row, "subject")
        .map(str::to_owned)
        .or_else(|| names.subject(&name))
        .unwrap_or_default();
    let fold = table.field(row, "fold").map(str::to_owned);
    Ok(Found { path, label, subject, fold, side, reviewed: None, place: None, line: None })
}
