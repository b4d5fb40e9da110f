//! What was measured of a picture stays with its result, sealed, and a journal from before it is brought up to date.

use std::path::Path;

use leukd::journal::audit::verify;
use leukd::journal::check::check;
use leukd::journal::recover::recover;
use leukd::journal::types::Entry;
use leukd::journal::{FILE, Journal, Options};
use leukd::result::Decision::{All, Hem, Rejected, Review};
use leukd::result::{Distance, Figures};
use rusqlite::Connection;

use crate::audit::{fault, record_of, tool, whole};
use crate::fixtures::{all, at, capture, clock, figures, finding, open, stamp, stored};

/// A capture of which this was measured.
fn measured(path: &str, quality: Option<Figures>) -> Entry {
    let finding = leukd::result::Finding { quality, ..finding(path, path, All) };
    Entry::Capture { path: at(path), stamp: stamp(1), finding }
}

fn quality(journal: &Journal) -> Vec<Option<Figures>> {
    all(journal).iter().map(|one| one.finding.quality).collect()
}

#[tokio::test]
async fn figures_are_kept_to_the_last_bit_through_a_restart_and_a_recovery() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let odd = Figures {
        measures: None,
        distance: Some(Distance { distance: 0.1 + 0.2, limit: f64::MIN_POSITIVE }),
    };
    let kinds = [Some(figures(1.0 / 7.0)), Some(odd), Some(Figures::default()), None];
    for (number, kind) in kinds.iter().enumerate() {
        stored(&journal, measured(&format!("p{number}"), *kind)).await;
    }
    assert_eq!(quality(&journal), kinds, "from memory");
    drop(journal);
    let journal =
        Journal::open(directory.path(), Options { tail: Some(1), ..Options::new(clock()) })
            .unwrap();
    assert_eq!(quality(&journal), kinds, "from disk");
    drop(journal);

    let file = directory.path().join(FILE);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[..4096].fill(0xff);
    std::fs::write(&file, &bytes).unwrap();
    let recovered = recover(directory.path(), None, &clock()).unwrap();
    assert_eq!(recovered.results, 4);
    whole(&recovered.journal);
    assert_eq!(quality(&open(directory.path())), kinds, "from a file whose first page was lost");
}

#[tokio::test]
async fn figures_that_are_put_in_taken_out_or_changed_break_the_chain() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, capture("with", 1, "A", Review)).await;
    stored(&journal, capture("without", 1, "B", All)).await;
    stored(&journal, capture("rejected", 1, "C", Rejected)).await;
    drop(journal);
    let file = directory.path().join(FILE);
    let tool = tool(&file);
    let text = |row: i64| -> Option<String> {
        let sql = "SELECT quality FROM results WHERE sequence = ?1";
        tool.query_row(sql, [row], |row| row.get(0)).unwrap()
    };
    let with = text(1).unwrap();
    for (row, other) in [
        (1, None),
        (1, Some(with.replacen("12345.0", "12346.0", 1))),
        // The same number, written otherwise.
        (1, Some(with.replacen("12345.0", "12345", 1))),
        (2, Some(with.clone())),
        (3, Some(String::new())),
    ] {
        let before = text(row);
        assert_ne!(before, other);
        let change = "UPDATE results SET quality = ?1 WHERE sequence = ?2";
        tool.execute(change, (&other, row)).unwrap();
        let found = fault(&file, &[]);
        assert_eq!(found.number, record_of(&file, row), "{other:?} in {row}: {found:?}");
        tool.execute(change, (&before, row)).unwrap();
        whole(&file);
    }
    tool.execute_batch("UPDATE results SET quality = '[1]' WHERE sequence = 1").unwrap();
    let told: Vec<_> = check(&file).unwrap().findings.into_iter().map(|found| found.area).collect();
    assert_eq!(told, ["results", "audit"]);
}

/// The version before this one.
fn third_schema(file: &Path) {
    let tool = Connection::open(file).unwrap();
    tool.execute_batch(
        "DROP VIEW results_readable; ALTER TABLE results DROP COLUMN quality;
         CREATE VIEW results_readable AS SELECT sequence FROM results; PRAGMA user_version = 3",
    )
    .unwrap();
}

#[tokio::test]
async fn a_journal_from_before_figures_is_checked_verified_recovered_and_brought_up_to_date() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, capture("a", 1, "A", All)).await;
    stored(&journal, capture("b", 1, "B", Hem)).await;
    let epoch = journal.epoch().to_owned();
    drop(journal);
    let file = directory.path().join(FILE);
    third_schema(&file);

    let report = check(&file).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.results, 2);
    let verified = verify(&file, &[]).unwrap();
    assert_eq!((verified.fault, verified.compared), (None, 2));
    let output = directory.path().join("new");
    let recovered = recover(directory.path(), Some(&output), &clock()).unwrap();
    assert_eq!((recovered.results, recovered.audit_fault_before), (2, None));

    let journal = open(directory.path());
    assert_eq!(journal.epoch(), epoch, "it is the same journal");
    stored(&journal, capture("c", 1, "C", Review)).await;
    let quality: Vec<_> = all(&journal).iter().map(|one| one.finding.quality.is_some()).collect();
    assert_eq!(quality, [false, false, true]);
    drop(journal);
    assert_eq!(whole(&file).compared, 3);
    let version: i64 = tool(&file).query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 4);
    let readable = "SELECT count(*) FROM results_readable WHERE quality IS NOT NULL";
    let count: i64 = tool(&file).query_row(readable, [], |row| row.get(0)).unwrap();
    assert_eq!(count, 1, "people see it too");
}
