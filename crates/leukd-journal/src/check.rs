//! Is a journal sound? Looks at everything and changes nothing.

use std::io::Read as _;
use std::path::Path;

use rusqlite::{Connection, Row};

use super::audit::{Verified, examine};
use super::error::JournalError;
use super::kinds;
use super::lock;
use super::schema::open_read_only;
use super::sql::{stamp, unsigned};
use super::types::Counts;

/// How many examples of one kind of damage are told.
const EXAMPLES: usize = 5;

/// How every SQLite database begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// One thing that is wrong with a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where: `file`, `events`, `ledger` or `audit`.
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
    /// Events that can be read, by kind.
    pub events: Counts,
    /// Ledger rows that can be read.
    pub files: u64,
    /// The audit chain's examination; none where it cannot be read at all.
    pub audit: Option<Verified>,
    /// What is wrong; empty when nothing is.
    pub findings: Vec<Finding>,
}

impl Report {
    fn find(&mut self, area: &'static str, what: impl Into<String>) {
        self.findings.push(Finding { area, what: what.into() });
    }

    /// The events of this kind that can be read.
    #[must_use]
    pub fn count(&self, kind: &str) -> u64 {
        self.events.get(kind).copied().unwrap_or_default()
    }
}

/// Damage of one kind: some examples, and the number of the others.
#[derive(Default)]
struct Examples {
    shown: Vec<String>,
    more: u64,
}

impl Examples {
    fn push(&mut self, what: String) {
        if self.shown.len() < EXAMPLES {
            self.shown.push(what);
        } else {
            self.more += 1;
        }
    }

    fn report(self, area: &'static str, report: &mut Report) {
        for what in self.shown {
            report.find(area, what);
        }
        if self.more > 0 {
            report.find(area, format!("and {} more of that kind", self.more));
        }
    }
}

/// Examines the journal in `file`, which a daemon may be writing. Blocks: it reads all of it.
///
/// # Errors
/// [`JournalError::Storage`] when the file cannot be read at all, [`JournalError::Newer`] when a
/// newer leukd wrote it. Damage is no error: it is what the report tells.
pub fn check(file: &Path) -> Result<Report, JournalError> {
    let mut report = Report::default();
    if let Some(directory) = file.parent() {
        report.held = lock::holder(directory);
    }
    if !begins_as_sqlite(file)? {
        report.find("file", "it does not begin as a database does: its first page is damaged, or it is another file");
        return Ok(report);
    }
    let connection = match open_read_only(file) {
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
        ("events", events as fn(&Connection, &mut Report) -> rusqlite::Result<()>),
        ("ledger", ledger),
    ] {
        if let Err(error) = look(&snapshot, &mut report) {
            report.find(area, format!("it cannot be read to its end: {error}"));
        }
    }
    match examine(&snapshot, &[]) {
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

/// No number is missing, and every payload reads as what this program writes.
fn events(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let next: u64 =
        connection.query_row("SELECT next_sequence FROM meta", [], |row| unsigned(row, 0))?;
    let mut last: Option<u64> = None;
    let (mut holes, mut odd) = (Examples::default(), Examples::default());
    let mut statement =
        connection.prepare("SELECT sequence, kind, payload FROM events ORDER BY sequence")?;
    let mut rows = statement.query([])?;
    while let Some(found) = rows.next()? {
        let sequence = unsigned(found, 0)?;
        if let Some(before) = last.filter(|before| sequence != before + 1) {
            holes.push(format!("{before} is followed by {sequence}"));
        }
        last = Some(sequence);
        match kinds::event(found) {
            Ok(event) => *report.events.entry(event.kind()).or_default() += 1,
            Err(error) => odd.push(format!("{sequence} cannot be read: {error}")),
        }
    }
    if let Some(last) = last.filter(|last| last + 1 != next) {
        holes.push(format!("the last is {last}, and the next is said to be {next}"));
    }
    holes.report("events", report);
    odd.report("events", report);
    tell(
        connection,
        report,
        "events",
        "SELECT v.sequence || ' is of result ' || v.result_sequence || ', which is another one'
         FROM reviews v JOIN results r ON r.sequence = v.result_sequence
         WHERE r.result_id <> v.result_id OR v.result_sequence >= v.sequence",
    )?;
    // What is older than the oldest was removed by retention.
    tell(
        connection,
        report,
        "events",
        "SELECT g.sequence || ' withdraws ' || g.withdraws
            || ', which is no signature of its specimen'
         FROM signatures g WHERE g.withdraws >= g.sequence
         OR g.withdraws >= (SELECT min(sequence) FROM events) AND NOT EXISTS
            (SELECT 1 FROM signatures s WHERE s.sequence = g.withdraws AND s.act = 'signed'
             AND s.specimen = g.specimen)",
    )
}

/// Ledger and results say the same of each capture.
fn ledger(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    report.files =
        connection.query_row("SELECT count(*) FROM ledger", [], |row| unsigned(row, 0))?;
    let file = "l.folder || '/' || l.path";
    let heads = "(SELECT coalesce(field, sequence) AS head, digest, min(decision = 'rejected') AS rejected
        FROM results GROUP BY 1 UNION ALL
        SELECT sequence, digest, 0 FROM fields f WHERE NOT EXISTS (SELECT 1 FROM results r WHERE r.field = f.sequence))";
    let rows = format!("FROM ledger l JOIN {heads} c ON c.head = l.sequence WHERE");
    for sql in [
        format!(
            "SELECT {file} || ' leads to result ' || l.sequence || ', which never was' FROM ledger l
             WHERE l.sequence < 1 OR l.sequence >= (SELECT next_sequence FROM meta)"
        ),
        // What is older than the oldest was removed by retention.
        format!(
            "SELECT {file} || ' leads to result ' || l.sequence || ', which is missing' FROM ledger l
             WHERE l.sequence >= (SELECT min(sequence) FROM events) AND NOT EXISTS
                (SELECT 1 FROM events e WHERE e.sequence = l.sequence AND e.kind IN ('result', 'field'))
             AND l.sequence < (SELECT next_sequence FROM meta)"
        ),
        format!(
            "SELECT {file} || ' and its result ' || l.sequence || ' are of different bytes' {rows}
             c.digest IS NOT l.digest"
        ),
        format!("SELECT {file} || ' is ' || l.state || ', its result ' || l.sequence || ' is not' {rows}
             c.rejected <> (l.state = 'rejected')"
        ),
        "SELECT r.folder || '/' || r.path || ' has event ' || r.sequence || ' and no row in the ledger'
         FROM (SELECT sequence, folder, path FROM results UNION ALL SELECT sequence, folder, path FROM fields) r
         WHERE r.folder IS NOT NULL AND NOT EXISTS
            (SELECT 1 FROM ledger l WHERE l.folder = r.folder AND l.path = r.path)"
            .to_owned(),
    ] {
        tell(connection, report, "ledger", &sql)?;
    }
    let typed = |row: &Row<'_>| -> rusqlite::Result<()> {
        stamp(row, 0)?;
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
    let mut found = Examples::default();
    while let Some(row) = rows.next()? {
        found.push(row.get::<_, Option<String>>(0)?.unwrap_or_default());
    }
    found.report(area, report);
    Ok(())
}
