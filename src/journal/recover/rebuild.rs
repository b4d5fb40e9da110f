//! Salvaged rows → the tables of a new journal.

use rusqlite::Connection;

use crate::journal::row::{STORED, unsigned};
use crate::journal::tables::{REVIEWS, SPECIMENS, TABLES};
use crate::result::Timestamp;

/// How the new journal came out.
pub(super) struct Built {
    /// Events that could be read, those that were left out included.
    pub(super) read: u64,
    pub(super) results: u64,
    pub(super) reviews: u64,
    pub(super) specimens: u64,
    pub(super) altered: u64,
    pub(super) captures: u64,
    /// Every specimen had been told up to here, but for those with newer results.
    pub(super) told_to: u64,
    /// The sequence that the next event gets.
    pub(super) next: u64,
}

/// Makes the tables that hold what is salvaged. They have the rules of the tables that it goes into: what breaks
/// those is no row.
pub(super) fn stage(connection: &Connection) -> rusqlite::Result<()> {
    for table in ["results", "reviews", "specimens", "captures"] {
        let sql: String = connection.query_row(
            "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1",
            [table],
            |row| row.get(0),
        )?;
        connection.execute_batch(&sql.replacen(table, &format!("salvaged_{table}"), 1))?;
    }
    connection.execute_batch(
        "ALTER TABLE salvaged_results RENAME COLUMN sequence TO old;
         ALTER TABLE salvaged_results ADD COLUMN altered INTEGER;
         ALTER TABLE salvaged_reviews RENAME COLUMN sequence TO old;
         ALTER TABLE salvaged_reviews ADD COLUMN altered INTEGER;
         ALTER TABLE salvaged_specimens RENAME COLUMN sequence TO old;
         ALTER TABLE salvaged_specimens ADD COLUMN altered INTEGER;
         CREATE TABLE salvaged_told (sequence INTEGER PRIMARY KEY, content TEXT NOT NULL);
         CREATE TABLE renumbered (old INTEGER PRIMARY KEY, sequence INTEGER NOT NULL UNIQUE);",
    )
}

pub(super) fn unstage(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "DROP TABLE salvaged_told; DROP TABLE salvaged_results; DROP TABLE salvaged_reviews;
         DROP TABLE salvaged_specimens; DROP TABLE salvaged_captures; DROP TABLE renumbered;",
    )
}

/// Fills `results`, `reviews`, `specimens` and `captures`. Retention had removed everything up to `removed_to`.
pub(super) fn rebuild(
    connection: &Connection,
    (removed_to, specimens_to): (u64, u64),
    now: Timestamp,
) -> rusqlite::Result<Built> {
    let count = |sql: &str| connection.query_row(sql, [], |row| unsigned(row, 0));
    // A damaged row may bear the number of a good one of another table. Where the chain says nothing, it is not known
    // which: the result stays.
    connection.execute_batch(
        "UPDATE salvaged_reviews SET altered = 1 WHERE old IN
            (SELECT old FROM salvaged_results WHERE NOT altered);
         UPDATE salvaged_specimens SET altered = 1 WHERE old IN
            (SELECT old FROM salvaged_results WHERE NOT altered
             UNION ALL SELECT old FROM salvaged_reviews WHERE NOT altered)",
    )?;
    let (mut read, mut altered) = (0, 0);
    for table in TABLES {
        read += count(&format!("SELECT count(*) FROM salvaged_{}", table.name))?;
        altered += count(&format!("SELECT count(*) FROM salvaged_{} WHERE altered", table.name))?;
        connection.execute(&format!("DELETE FROM salvaged_{} WHERE altered", table.name), [])?;
    }
    link(connection)?;
    // Files whose results retention removed must not be new again: they lead to a number before all others.
    let sql = "SELECT count(*) FROM salvaged_captures WHERE sequence <= ?1";
    let gone = connection.query_row(sql, [removed_to.cast_signed()], |row| unsigned(row, 0))?;
    let before_all = u64::from(gone > 0);
    connection.execute(
        "INSERT INTO renumbered SELECT old, ?1 + row_number() OVER (ORDER BY old)
         FROM (SELECT old FROM salvaged_results UNION ALL SELECT old FROM salvaged_reviews
            UNION ALL SELECT old FROM salvaged_specimens)",
        [before_all.cast_signed()],
    )?;
    results(connection)?;
    reviews(connection)?;
    specimens(connection)?;
    captures(connection, removed_to, now)?;
    let results = count("SELECT count(*) FROM results")?;
    let reviews = count("SELECT count(*) FROM reviews")?;
    let specimens = count("SELECT count(*) FROM specimens")?;
    let sql = "SELECT coalesce(max(sequence), 0) FROM renumbered WHERE old <= ?1";
    let told_to =
        connection.query_row(sql, [specimens_to.cast_signed()], |row| unsigned(row, 0))?;
    Ok(Built {
        read,
        results,
        reviews,
        specimens,
        told_to,
        altered,
        captures: count("SELECT count(*) FROM captures")?,
        next: before_all + results + reviews + specimens + 1,
    })
}

/// Mends who supersedes whom where one of the two is lost: the next result of the same file takes its place.
fn link(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "-- A result says that it replaces another, and that one is not there, or does not say so.
         UPDATE salvaged_results AS l SET supersedes = NULL
         WHERE supersedes IS NOT NULL AND NOT EXISTS
            (SELECT 1 FROM salvaged_results r WHERE r.old = l.supersedes AND r.superseded_by = l.old);
         CREATE INDEX salvaged_paths ON salvaged_results (folder, path, old);
         CREATE INDEX salvaged_bytes ON salvaged_results (sha256);
         -- A result says that it was replaced, and by whom is lost: by the next of its file that replaces nothing.
         UPDATE salvaged_results AS r SET superseded_by =
            (SELECT min(n.old) FROM salvaged_results n
             WHERE n.folder = r.folder AND n.path = r.path AND n.old > r.old AND n.supersedes IS NULL)
         WHERE superseded_by IS NOT NULL AND NOT EXISTS
            (SELECT 1 FROM salvaged_results l WHERE l.old = r.superseded_by AND l.supersedes = r.old);
         UPDATE salvaged_results AS l SET supersedes =
            (SELECT max(r.old) FROM salvaged_results r
             WHERE r.folder = l.folder AND r.path = l.path AND r.superseded_by = l.old)
         WHERE supersedes IS NULL AND source = 'folder';
         -- Two of one file found the same successor: only one can be replaced by it.
         UPDATE salvaged_results AS r SET superseded_by = NULL
         WHERE superseded_by IS NOT NULL AND NOT EXISTS
            (SELECT 1 FROM salvaged_results l WHERE l.old = r.superseded_by AND l.supersedes = r.old);
         -- Two live results of the same bytes: the later one replaces the earlier, or stands alone.
         UPDATE salvaged_results AS l SET supersedes =
            (SELECT max(r.old) FROM salvaged_results r
             WHERE r.sha256 = l.sha256 AND r.source = 'folder' AND r.superseded_by IS NULL AND r.old < l.old)
         WHERE supersedes IS NULL AND superseded_by IS NULL AND source = 'folder' AND sha256 IS NOT NULL;
         UPDATE salvaged_results AS r SET superseded_by =
            (SELECT l.old FROM salvaged_results l WHERE l.sha256 = r.sha256 AND l.supersedes = r.old)
         WHERE superseded_by IS NULL AND source = 'folder' AND sha256 IS NOT NULL;
         DELETE FROM salvaged_results AS r
         WHERE superseded_by IS NULL AND source = 'folder' AND sha256 IS NOT NULL AND EXISTS
            (SELECT 1 FROM salvaged_results l WHERE l.sha256 = r.sha256 AND l.source = 'folder'
                AND l.superseded_by IS NULL AND l.old > r.old);
         UPDATE salvaged_results AS l SET supersedes = NULL
         WHERE supersedes IS NOT NULL AND NOT EXISTS
            (SELECT 1 FROM salvaged_results r WHERE r.old = l.supersedes);",
    )
}

fn results(connection: &Connection) -> rusqlite::Result<()> {
    let columns = STORED.iter().filter(|c| !matches!(**c, "sequence" | "supersedes"));
    let columns = columns.copied().collect::<Vec<_>>().join(", ");
    connection.execute_batch(&format!(
        "INSERT INTO results (sequence, {columns}, supersedes, superseded_by)
         SELECT n.sequence, {columns}, (SELECT sequence FROM renumbered WHERE old = s.supersedes),
            (SELECT sequence FROM renumbered WHERE old = s.superseded_by)
         FROM salvaged_results s JOIN renumbered n USING (old) ORDER BY s.old;"
    ))
}

/// A review whose result is lost keeps the result's id alone.
fn reviews(connection: &Connection) -> rusqlite::Result<()> {
    let columns = REVIEWS.stored.iter().filter(|c| !matches!(**c, "sequence" | "result_sequence"));
    let columns = columns.map(|column| format!("s.{column}")).collect::<Vec<_>>().join(", ");
    connection.execute_batch(&format!(
        "INSERT INTO reviews (sequence, result_sequence, {})
         SELECT n.sequence, r.sequence, {columns}
         FROM salvaged_reviews s JOIN renumbered n USING (old)
            LEFT JOIN results r ON r.result_id = s.result_id ORDER BY s.old;",
        columns.replace("s.", "")
    ))
}

fn specimens(connection: &Connection) -> rusqlite::Result<()> {
    let columns = SPECIMENS.stored[1..].join(", ");
    connection.execute_batch(&format!(
        "INSERT INTO specimens (sequence, {columns})
         SELECT n.sequence, {columns} FROM salvaged_specimens s JOIN renumbered n USING (old)
         ORDER BY s.old;"
    ))
}

fn captures(connection: &Connection, removed_to: u64, now: Timestamp) -> rusqlite::Result<()> {
    let state = "CASE WHEN r.decision = 'rejected' THEN 'rejected'
                      WHEN r.folder = c.folder AND r.path = c.path THEN 'done' ELSE 'duplicate' END";
    connection.execute(
        &format!(
            "INSERT OR IGNORE INTO captures (folder, path, size, mtime_ns, ctime_ns, inode, sha256, state,
                sequence, updated_ms)
             SELECT c.folder, c.path, c.size, c.mtime_ns, c.ctime_ns, c.inode, c.sha256, {state}, r.sequence, ?1
             FROM salvaged_captures c JOIN renumbered n ON n.old = c.sequence
                JOIN results r ON r.sequence = n.sequence
             WHERE r.sha256 IS c.sha256 AND r.superseded_by IS NULL"
        ),
        [now.0],
    )?;
    connection.execute(
        "INSERT OR IGNORE INTO captures (folder, path, size, mtime_ns, ctime_ns, inode, sha256, state, sequence,
            updated_ms)
         SELECT folder, path, size, mtime_ns, ctime_ns, inode, sha256, 'done', 1, ?1
         FROM salvaged_captures WHERE sequence <= ?2",
        [now.0, removed_to.cast_signed()],
    )?;
    // A file without a row leads to its newest result, or to what replaced that, in a state that no file has: it
    // is looked at again.
    connection.execute(
        &format!(
            "WITH RECURSIVE newest (folder, path, sequence) AS (
                SELECT folder, path, max(sequence) FROM results
                WHERE source = 'folder' GROUP BY folder, path),
             led (folder, path, sequence) AS (
                SELECT * FROM newest
                UNION SELECT l.folder, l.path, r.superseded_by FROM led l JOIN results r
                    ON r.sequence = l.sequence WHERE r.superseded_by IS NOT NULL),
             c (folder, path, sequence) AS (SELECT folder, path, max(sequence) FROM led GROUP BY folder, path)
             INSERT OR IGNORE INTO captures (folder, path, size, mtime_ns, ctime_ns, inode, sha256, state,
                sequence, updated_ms)
             SELECT c.folder, c.path, 0, 0, 0, 0, r.sha256, {state}, r.sequence, ?1
             FROM c JOIN results r ON r.sequence = c.sequence"
        ),
        [now.0],
    )?;
    Ok(())
}
