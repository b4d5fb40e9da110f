//! Is a journal sound? Looks at everything and changes nothing.

use std::io::Read as _;
use std::path::Path;

use rusqlite::{Connection, Row};

use super::audit::{self, Verified};
use super::error::JournalError;
use super::tables::{self, REVIEWS, SPECIMENS, Table};
use super::{auditor, lock, row};

/// How many examples of one kind of damage are told.
const EXAMPLES: usize = 5;

/// How every SQLite database begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// One thing that is wrong with a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where: `file`, `schema`, `results`, `reviews`, `specimens`, `ledger` or `audit`.
    pub area: &'static str,
    /// What, in one sentence.
    pub what: String,
}

/// What an examination found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// A daemon has the journal: its process id, where its lock tells.
    pub held: Option<Option<u32>>,
    /// The epoch; none where it cannot be read.
    pub epoch: Option<String>,
    /// Results that can be read.
    pub results: u64,
    /// Reviews that can be read.
    pub reviews: u64,
    /// Specimens' events that can be read.
    pub specimens: u64,
    /// Ledger rows that can be read.
    pub captures: u64,
    /// The audit chain's examination; none where it cannot be read at all.
    pub audit: Option<Verified>,
    /// What is wrong; empty when nothing is.
    pub findings: Vec<Finding>,
}

impl Report {
    fn find(&mut self, area: &'static str, what: impl Into<String>) {
        self.findings.push(Finding { area, what: what.into() });
    }
}

/// Examines the journal in `file`, which a daemon may be writing. Blocks: it reads all of it.
///
/// # Errors
/// [`JournalError::Storage`] when the file cannot be read at all, [`JournalError::Newer`] when a newer leukd
/// wrote it. Damage is no error: it is what the report tells.
pub fn check(file: &Path) -> Result<Report, JournalError> {
    let mut report = Report::default();
    if let Some(directory) = file.parent() {
        report.held = lock::holder(directory);
    }
    if !begins_as_sqlite(file)? {
        report.find("file", "it does not begin as a database does: its first page is damaged, or it is another file");
        return Ok(report);
    }
    let connection = match auditor::open_auditor(file) {
        Ok(connection) => connection,
        Err(JournalError::Damaged { what, .. }) => {
            report.find("file", what);
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    let snapshot =
        connection.unchecked_transaction().map_err(|error| JournalError::sqlite(file, &error))?;
    pages(&snapshot, &mut report);
    for (area, look) in [
        ("results", numbers as fn(&Connection, &mut Report) -> rusqlite::Result<()>),
        ("results", |connection, report| {
            report.results = rows(connection, report, &tables::RESULTS)?;
            Ok(())
        }),
        ("results", superseded),
        ("reviews", |connection, report| {
            report.reviews = rows(connection, report, &REVIEWS)?;
            Ok(())
        }),
        ("reviews", reviewed),
        ("specimens", |connection, report| {
            report.specimens = rows(connection, report, &SPECIMENS)?;
            Ok(())
        }),
        ("ledger", ledger),
    ] {
        if let Err(error) = look(&snapshot, &mut report) {
            report.find(area, format!("it cannot be read to its end: {error}"));
        }
    }
    match audit::examine(&snapshot, &[]) {
        Ok(verified) => {
            if let Some(fault) = &verified.fault {
                report.find("audit", format!("record {}: {}", fault.number, fault.what));
            }
            report.epoch = Some(verified.epoch.clone());
            report.audit = Some(verified);
        }
        Err(error) => report.find("audit", format!("it cannot be read to its end: {error}")),
    }
    Ok(report)
}

fn begins_as_sqlite(file: &Path) -> Result<bool, JournalError> {
    let mut begin = Vec::new();
    let read = fs_err::File::open(file).and_then(|file| file.take(16).read_to_end(&mut begin));
    read.map_err(|error| JournalError::io(file, &error))?;
    // An empty file is a journal that nothing was written into yet.
    Ok(begin.is_empty() || begin == MAGIC)
}

fn pages(connection: &Connection, report: &mut Report) {
    let read = || -> rusqlite::Result<Vec<String>> {
        connection.prepare("PRAGMA integrity_check(20)")?.query_map([], |row| row.get(0))?.collect()
    };
    match read() {
        Ok(lines) if lines == ["ok"] => {}
        Ok(lines) => {
            for line in lines {
                report.find("file", line.trim_start_matches("*** in database main ***\n"));
            }
        }
        Err(error) => report.find("file", error.to_string()),
    }
}

/// No number is missing, and none is there twice.
fn numbers(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let next: u64 =
        connection.query_row("SELECT next_sequence FROM meta", [], |row| row::unsigned(row, 0))?;
    let mut statement = connection.prepare(&tables::every(|table| format!("'{}'", table.name)))?;
    let mut rows = statement.query([])?;
    let (mut last, mut holes) = (None, 0);
    while let Some(found) = rows.next()? {
        let sequence = row::unsigned(found, 0)?;
        if let Some(before) = last
            && sequence != before + 1
        {
            holes += 1;
            if holes <= EXAMPLES {
                report.find("results", format!("{before} is followed by {sequence}"));
            }
        }
        last = Some(sequence);
    }
    if holes > EXAMPLES {
        report.find("results", format!("in all {holes} holes"));
    }
    if let Some(last) = last
        && last + 1 != next
    {
        report.find("results", format!("the last is {last}, and the next is said to be {next}"));
    }
    Ok(())
}

/// Every row reads as what this program writes; how many do.
fn rows(connection: &Connection, report: &mut Report, of: &Table) -> rusqlite::Result<u64> {
    let sql = format!("SELECT {} FROM {} ORDER BY sequence", of.columns, of.name);
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let (mut sound, mut odd) = (0, 0);
    while let Some(found) = rows.next()? {
        match (of.is_sound)(found) {
            Ok(()) => sound += 1,
            Err(error) => {
                odd += 1;
                if odd <= EXAMPLES {
                    let sequence = row::unsigned(found, 0)?;
                    report.find(of.name, format!("{sequence} cannot be read: {error}"));
                }
            }
        }
    }
    if odd > EXAMPLES {
        report.find(of.name, format!("in all {odd} unreadable"));
    }
    Ok(sound)
}

/// A review says of its result what that says of itself.
fn reviewed(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    tell(
        connection,
        report,
        "reviews",
        "SELECT v.sequence || ' is of result ' || v.result_sequence || ', which is another one'
         FROM reviews v JOIN results r ON r.sequence = v.result_sequence
         WHERE r.result_id <> v.result_id OR v.result_sequence >= v.sequence",
    )
}

fn superseded(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    tell(
        connection,
        report,
        "results",
        "SELECT sequence || ' is marked as superseded by ' || superseded_by || ', which does not supersede it'
         FROM results r WHERE superseded_by IS NOT NULL AND NOT EXISTS
            (SELECT 1 FROM results l WHERE l.sequence = r.superseded_by AND l.supersedes = r.sequence)",
    )
}

/// Ledger and results say the same of each capture.
fn ledger(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    report.captures =
        connection.query_row("SELECT count(*) FROM captures", [], |row| row::unsigned(row, 0))?;
    let file = "c.folder || '/' || c.path";
    let rows = "FROM captures c JOIN results r ON r.sequence = c.sequence WHERE";
    for sql in [
        format!(
            "SELECT {file} || ' leads to result ' || c.sequence || ', which never was' FROM captures c
             WHERE c.sequence < 1 OR c.sequence >= (SELECT next_sequence FROM meta)"
        ),
        // What is older than the oldest was removed by retention.
        format!(
            "SELECT {file} || ' leads to result ' || c.sequence || ', which is missing' FROM captures c
             WHERE c.sequence >= (SELECT min(sequence) FROM results) AND NOT EXISTS
                (SELECT 1 FROM results r WHERE r.sequence = c.sequence)
             AND c.sequence < (SELECT next_sequence FROM meta)"
        ),
        format!(
            "SELECT {file} || ' and its result ' || c.sequence || ' are of different bytes' {rows}
             c.sha256 IS NOT r.sha256"
        ),
        format!(
            "SELECT {file} || ' is ' || c.state || ', its result ' || c.sequence || ' ' || r.decision {rows}
             (r.decision = 'rejected') <> (c.state = 'rejected')"
        ),
        "SELECT r.folder || '/' || r.path || ' has result ' || r.sequence || ' and no row in the ledger'
         FROM results r WHERE r.source = 'folder' AND NOT EXISTS
            (SELECT 1 FROM captures c WHERE c.folder = r.folder AND c.path = r.path)"
            .to_owned(),
    ] {
        tell(connection, report, "ledger", &sql)?;
    }
    let typed = |row: &Row<'_>| -> rusqlite::Result<()> {
        row::stamp(row, 0)?;
        row.get::<_, i64>(4).map(drop)
    };
    connection
        .prepare("SELECT size, mtime_ns, ctime_ns, inode, count FROM crashes")?
        .query_map([], typed)?
        .collect()
}

/// Finds what a query gives, one sentence a row.
fn tell(
    connection: &Connection,
    report: &mut Report,
    area: &'static str,
    sql: &str,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        if count <= EXAMPLES {
            report.find(area, row.get::<_, Option<String>>(0)?.unwrap_or_default());
        }
    }
    if count > EXAMPLES {
        report.find(area, format!("and {} more of that kind", count - EXAMPLES));
    }
    Ok(())
}
