//! Damaged journals: what `check` says, and what `recover` saves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use leukd_journal::audit::verify;
use leukd_journal::check::{Report, check};
use leukd_journal::recover::{Recovered, recover};
use leukd_journal::result::Decision::{All, Hem, Rejected, Review};
use leukd_journal::result::Record;
use leukd_journal::review::ReviewLabel;
use leukd_journal::{FILE, Journal, JournalError, Options};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::fixtures::{all, at, capture, clock, known, open, request, review, reviewed, stored};

const PAGE: usize = 4096;

/// A closed journal of some hundred results, some of them rewrites, copies, rejections and
/// requests, and some reviewed.
async fn story(directory: &Path) -> (PathBuf, Vec<Record>) {
    let options = Options { keep_count: Some(313), ..Options::new(clock()) };
    let journal = Journal::open(directory, options).unwrap();
    for index in 0..300 {
        let (name, bytes) = (format!("run/p{index}.bmp"), format!("bytes {index}"));
        let entry = match index % 10 {
            3 => capture(&name, 1, &bytes, Rejected),
            5 => request(&bytes, "11", "m"),
            7 => capture(&format!("run/p{}.bmp", index - 1), 2, &bytes, Review),
            _ => capture(&name, 1, &bytes, if index % 2 == 0 { All } else { Hem }),
        };
        let record = stored(&journal, entry).await;
        if index % 20 == 13 || index % 40 == 19 {
            reviewed(&journal, review(record.sequence, ReviewLabel::Other)).await;
        }
        if index % 20 == 8 {
            known(&journal, capture(&format!("copy {index}"), 1, &bytes, All)).await;
        }
    }
    assert_eq!(journal.prune().await.unwrap(), 10);
    let records = all(&journal);
    (directory.join(FILE), records)
}

fn findings(report: &Report) -> String {
    report.findings.iter().map(|f| format!("{}: {}\n", f.area, f.what)).collect()
}

fn sound(file: &Path) {
    let report = check(file).unwrap();
    assert!(report.findings.is_empty(), "{}", findings(&report));
}

fn ids(records: &[Record]) -> BTreeSet<String> {
    records.iter().map(|record| record.finding.result_id.clone()).collect()
}

type Row = Vec<rusqlite::types::Value>;

/// The events that an SQLite tool can read one by one.
fn rows(file: &Path) -> BTreeMap<i64, Row> {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("copy.sqlite");
    fs::copy(file, &copy).unwrap();
    let Ok(tool) = rusqlite::Connection::open(&copy) else { return BTreeMap::new() };
    let _ = tool.execute_batch("PRAGMA writable_schema = ON");
    let one = |sequence: i64| -> rusqlite::Result<Row> {
        let mut statement = tool.prepare("SELECT * FROM events WHERE sequence = ?1")?;
        let columns = statement.column_count();
        statement.query_row([sequence], |row| (0..columns).map(|column| row.get(column)).collect())
    };
    (1..=330).filter_map(|sequence| Some((sequence, one(sequence).ok()?))).collect()
}

/// What must hold of every recovery, whatever was damaged.
fn assert_recovered(state: &Path, before: &[Record], recovered: &Recovered) -> Vec<Record> {
    sound(&recovered.journal);
    assert_eq!(verify(&recovered.journal, &[]).unwrap().fault, None);
    let folder = recovered.journal.parent().unwrap();
    let journal = open(folder);
    let records = all(&journal);
    assert_eq!(records.len() as u64, recovered.count("result"), "{recovered:?}");
    // Every result is one that was there, with another number and perhaps another predecessor.
    for record in &records {
        let original = before
            .iter()
            .find(|one| one.finding.result_id == record.finding.result_id)
            .unwrap_or_else(|| panic!("{record:?} never was"));
        assert_eq!(record.finding, original.finding);
    }
    assert_ne!(
        Some(journal.epoch()),
        recovered.epoch_before.as_deref(),
        "clients must learn of it"
    );
    assert_eq!(journal.epoch(), recovered.epoch);
    assert!(recovered.damaged.exists(), "{state:?}");
    records
}

#[tokio::test]
async fn a_sound_journal_is_told_so_while_a_daemon_has_it_and_recovered_whole() {
    let directory = tempfile::tempdir().unwrap();
    let (file, before) = story(directory.path()).await;
    sound(&file);
    let journal = open(directory.path());
    let report = check(&file).unwrap();
    assert!(report.findings.is_empty(), "{}", findings(&report));
    assert_eq!(report.held, Some(Some(std::process::id())));
    assert_eq!(report.count("result"), before.len() as u64);
    let refused = recover(directory.path(), None, &clock()).unwrap_err();
    assert!(matches!(refused, JournalError::Locked { .. }), "{refused}");
    let rows: Vec<_> = before
        .iter()
        .filter_map(|record| match &record.capture.source {
            leukd_journal::result::Source::Folder(path) => {
                Some((path.clone(), journal.ledger(path).unwrap()))
            }
            leukd_journal::result::Source::Rpc { .. } => None,
        })
        .collect();
    let removed = journal.ledger(&at("run/p2.bmp")).unwrap().unwrap();
    drop(journal);

    let bytes = fs::read(&file).unwrap();
    let output = directory.path().join("new");
    let recovered = recover(directory.path(), Some(&output), &clock()).unwrap();
    assert_eq!(fs::read(&file).unwrap(), bytes, "the original is not touched");
    assert_eq!((recovered.lost, recovered.altered), (Some(0), 0));
    let records = assert_recovered(directory.path(), &before, &recovered);
    assert_eq!(ids(&records), ids(&before));
    let offset = before[0].sequence - records[0].sequence;
    for (new, old) in records.iter().zip(&before) {
        assert_eq!(new.sequence, old.sequence - offset, "numbers are new, their order is not");
        let kept = old.supersedes.filter(|old| *old >= before[0].sequence);
        assert_eq!(new.supersedes, kept.map(|old| old - offset));
    }
    let journal = open(&output);
    for (path, row) in rows {
        let now = journal.ledger(&path).unwrap();
        assert_eq!(now.map(|row| (row.stamp, row.state)), row.map(|row| (row.stamp, row.state)));
    }
    let now = journal.ledger(&at("run/p2.bmp")).unwrap().unwrap();
    assert_eq!(now.stamp, removed.stamp, "what retention removed is not classified again");
    // A second recovery into the same folder would have to replace a journal.
    recover(directory.path(), Some(&output), &clock()).unwrap_err();
}

#[tokio::test]
async fn a_recovered_journal_is_a_journal_like_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let (file, before) = story(directory.path()).await;
    let mut bytes = fs::read(&file).unwrap();
    bytes[..100].fill(0x5a);
    fs::write(&file, &bytes).unwrap();
    let refused = Journal::open(directory.path(), Options::new(clock())).unwrap_err();
    assert!(refused.to_string().contains("leukd journal recover"), "{refused}");
    let recovered = recover(directory.path(), None, &clock()).unwrap();
    assert_eq!(fs::read(&recovered.damaged).unwrap(), bytes, "the damaged file is kept");
    let records = assert_recovered(directory.path(), &before, &recovered);
    assert_eq!(ids(&records), ids(&before), "only the header was lost");
    let journal = open(directory.path());
    let newest = journal.bounds().newest;
    // The same bytes are known, others supersede, new ones follow.
    known(&journal, capture("run/p0-again.bmp", 1, "bytes 290", All)).await;
    let next = stored(&journal, capture("run/p291.bmp", 3, "other bytes", All)).await;
    assert_eq!(next.sequence, newest + 1);
    assert!(next.supersedes.is_some());
    assert_eq!(journal.prune().await.unwrap(), 0);
    drop(journal);
    sound(&file);
}

#[tokio::test]
async fn whatever_is_damaged_every_readable_result_is_saved() {
    let directory = tempfile::tempdir().unwrap();
    let (file, before) = story(directory.path()).await;
    let intact = rows(&file);
    let whole = fs::read(&file).unwrap();
    let pages = whole.len() / PAGE;
    assert!(pages > 60, "{pages} pages");
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut damages: Vec<(String, Vec<u8>)> = Vec::new();
    let mut damage = |name: &str, change: &mut dyn FnMut(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        damages.push((name.to_owned(), bytes));
    };
    damage("a garbage header", &mut |bytes| bytes[..100].fill(0xa5));
    damage("a first page of zeros", &mut |bytes| bytes[..PAGE].fill(0));
    for part in [2, 3, 10] {
        damage(&format!("cut to a {part}th"), &mut |bytes| {
            bytes.truncate(pages / part * PAGE + 17);
        });
    }
    for _ in 0..12 {
        damage("pages of zeros", &mut |bytes| {
            for _ in 0..4 {
                let page = random.random_range(1..pages);
                bytes[page * PAGE..(page + 1) * PAGE].fill(0);
            }
        });
    }
    for _ in 0..25 {
        damage("flipped bytes", &mut |bytes| {
            for _ in 0..30 {
                let place = random.random_range(PAGE..bytes.len());
                bytes[place] ^= random.random_range(1..=255u8);
            }
        });
    }
    let mut saved = 0;
    for (index, (name, bytes)) in damages.iter().enumerate() {
        let name = format!("{index}: {name}");
        fs::write(&file, bytes).unwrap();
        let report = check(&file).unwrap();
        assert!(!report.findings.is_empty(), "{name} is not found");
        let output = tempfile::tempdir().unwrap();
        let recovered = recover(directory.path(), Some(output.path()), &clock())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let report = check(&recovered.journal).unwrap();
        assert!(report.findings.is_empty(), "{name}: {}", findings(&report));
        let journal = open(output.path());
        let records = all(&journal);
        for record in &records {
            // Where the chain's record is damaged as well, an altered row cannot be told from a
            // good one.
            if recovered.audit_fault_before.is_none() {
                let id = &record.finding.result_id;
                let original = before.iter().find(|one| one.finding.result_id == *id);
                let original = original.unwrap_or_else(|| panic!("{name}: {record:?} never was"));
                assert_eq!(record.finding, original.finding, "{name}");
            }
        }
        // What reads as it was written is saved. What reads otherwise may be left out.
        let saved_ids = ids(&records);
        for (sequence, row) in rows(&file) {
            let original = before.iter().find(|one| one.sequence == sequence.cast_unsigned());
            if let Some(original) = original.filter(|_| intact[&sequence] == row) {
                let id = &original.finding.result_id;
                assert!(saved_ids.contains(id), "{name}: {sequence} is lost: {recovered:?}");
            }
        }
        saved += records.len();
        drop(journal);
    }
    println!(
        "{saved} of {} results saved over {} damages",
        before.len() * damages.len(),
        damages.len()
    );
}

#[tokio::test]
async fn a_lost_result_is_classified_again_and_supersedes_as_before() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, capture("a", 1, "A1", All)).await;
    stored(&journal, capture("a", 2, "A2", All)).await;
    stored(&journal, capture("a", 3, "A1", All)).await;
    stored(&journal, capture("b", 1, "B", Hem)).await;
    stored(&journal, capture("c", 1, "C", Hem)).await;
    stored(&journal, capture("c", 2, "C2", Hem)).await;
    drop(journal);
    // By hand: the middle one of three, and the newest of another file.
    let tool = rusqlite::Connection::open(directory.path().join(FILE)).unwrap();
    tool.execute_batch("DELETE FROM events WHERE sequence IN (2, 6)").unwrap();
    drop(tool);
    let recovered = recover(directory.path(), None, &clock()).unwrap();
    assert_eq!((recovered.count("result"), recovered.lost), (4, Some(2)));
    sound(&recovered.journal);
    let journal = open(directory.path());
    let records = all(&journal);
    assert_eq!(records[1].supersedes, Some(1), "what lay between is gone");
    assert_eq!(journal.ledger(&at("a")).unwrap().unwrap().sequence, 2);
    let row = journal.ledger(&at("c")).unwrap().unwrap();
    assert_eq!((row.sequence, row.stamp.size), (4, 0), "no file looks like that: it is read again");
    let again = stored(&journal, capture("c", 2, "C2", Hem)).await;
    assert_eq!((again.sequence, again.supersedes), (5, Some(4)));
    let same = known(&journal, capture("b", 1, "B", Hem)).await;
    assert_eq!(same, 3);
}
