//! A journal that is not the one that was written last gets a new epoch, and no other does.

use std::fs;
use std::path::Path;

use leukd_journal::audit::verify;
use leukd_journal::check::check;
use leukd_journal::recover::recover;
use leukd_journal::result::Decision::All;
use leukd_journal::{EpochReason, FILE, Journal};

use crate::fixtures::{at, capture, clock, open, stored};

const LOCK: &str = "leukd.lock";

fn origin(journal: &Journal) -> (EpochReason, Option<String>) {
    let origin = journal.status().unwrap().origin;
    (origin.reason, origin.before)
}

fn sound(directory: &Path) {
    let report = check(&directory.join(FILE)).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

/// Overwrites a file where it lies, as `cp` does.
fn overwrite(file: &Path, bytes: &[u8]) {
    fs::write(file, bytes).unwrap();
}

/// A closed journal of so many results, and its epoch.
async fn closed(directory: &Path, results: u64) -> String {
    let journal = open(directory);
    for index in journal.bounds().newest..results {
        stored(&journal, capture(&format!("p{index}"), 1, &format!("{index}"), All)).await;
    }
    journal.epoch().to_owned()
}

/// The last record of the chain that tells of an epoch.
fn record(directory: &Path) -> serde_json::Value {
    let tool = rusqlite::Connection::open(directory.join(FILE)).unwrap();
    let sql = "SELECT record FROM audit WHERE kind = 'epoch' ORDER BY number DESC LIMIT 1";
    let text: String = tool.query_row(sql, [], |row| row.get(0)).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn a_copied_journal_begins_an_epoch_with_and_without_its_note() {
    for names in [&[FILE][..], &[FILE, LOCK]] {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let epoch = closed(from.path(), 2).await;
        for name in names {
            fs::copy(from.path().join(name), to.path().join(name)).unwrap();
        }
        let journal = open(to.path());
        assert_ne!(journal.epoch(), epoch, "{names:?}");
        assert_eq!(origin(&journal), (EpochReason::Copied, Some(epoch.clone())));
        assert_eq!(journal.bounds().newest, 2, "it holds what it held");
        let second = journal.epoch().to_owned();
        drop(journal);
        assert_eq!(open(to.path()).epoch(), second, "once is enough");
        assert_eq!(open(from.path()).epoch(), epoch, "the original goes on");
        sound(to.path());
        assert_eq!(verify(&to.path().join(FILE), &[]).unwrap().fault, None);
        let told = record(to.path());
        assert_eq!((&told["reason"], &told["from"]), (&"copied".into(), &epoch.as_str().into()));
        assert!(told.get("lost_from").is_none(), "{told}");
    }
}

#[tokio::test]
async fn restarts_renames_vacuums_and_a_lost_note_begin_none() {
    let directory = tempfile::tempdir().unwrap();
    let (before, after) = (directory.path().join("state"), directory.path().join("renamed"));
    let epoch = closed(&before, 3).await;
    assert_eq!(open(&before).epoch(), epoch, "a restart");
    fs::rename(&before, &after).unwrap();
    assert_eq!(open(&after).epoch(), epoch, "a rename of the folder");
    fs::rename(after.join(FILE), after.join("aside")).unwrap();
    fs::rename(after.join("aside"), after.join(FILE)).unwrap();
    assert_eq!(open(&after).epoch(), epoch, "a rename of the file");
    let tool = rusqlite::Connection::open(after.join(FILE)).unwrap();
    tool.execute_batch("VACUUM").unwrap();
    drop(tool);
    assert_eq!(open(&after).epoch(), epoch, "VACUUM");
    fs::remove_file(after.join(LOCK)).unwrap();
    assert_eq!(open(&after).epoch(), epoch, "a note that is gone");
    // A death between a commit and its note.
    overwrite(&after.join(LOCK), format!("1\n{epoch} {:020}\n", 2).as_bytes());
    let journal = open(&after);
    assert_eq!(origin(&journal), (EpochReason::Created, None));
    assert_eq!(journal.epoch(), epoch, "a note that is behind");
}

/// A process that dies leaves a write-ahead log. Where somebody deletes it, or an older file takes
/// the journal's place, the newest results are gone, and their numbers would be given again.
#[tokio::test]
async fn a_deleted_write_ahead_log_begins_an_epoch() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let epoch = closed(&state, 1).await;
    let journal = open(&state);
    let lost = stored(&journal, capture("b", 1, "B", All)).await;
    // What a death leaves, less its log.
    let dead = [FILE, LOCK].map(|name| fs::read(state.join(name)).unwrap());
    let tool = rusqlite::Connection::open(state.join(FILE)).unwrap();
    tool.query_row("PRAGMA wal_checkpoint", [], |_| Ok(())).unwrap();
    let folded = [FILE, LOCK].map(|name| fs::read(state.join(name)).unwrap());
    drop((tool, journal));
    let put = |files: &[Vec<u8>; 2]| {
        for (name, bytes) in [FILE, LOCK].iter().zip(files) {
            overwrite(&state.join(name), bytes);
        }
    };
    put(&folded);
    assert_eq!(open(&state).epoch(), epoch, "a tool that folds the log in loses nothing");
    put(&dead);
    let journal = open(&state);
    assert_eq!(origin(&journal), (EpochReason::Older, Some(epoch.clone())));
    assert!(journal.ledger(&at("b")).unwrap().is_none(), "it is classified again");
    let again = stored(&journal, capture("b", 1, "B", All)).await;
    assert_eq!(again.sequence, lost.sequence);
    let second = journal.epoch().to_owned();
    drop(journal);
    sound(&state);
    let told = record(&state);
    assert_eq!((&told["lost_from"], &told["lost_to"]), (&2.into(), &2.into()));
    assert_eq!(open(&state).epoch(), second);
}

#[tokio::test]
async fn an_older_file_or_another_journal_in_the_same_place_begins_an_epoch() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path();
    let first = closed(state, 2).await;
    let older = fs::read(state.join(FILE)).unwrap();
    closed(state, 3).await;
    overwrite(&state.join(FILE), &older);
    let journal = open(state);
    assert_eq!(origin(&journal), (EpochReason::Older, Some(first.clone())));
    drop(journal);
    closed(state, 5).await;
    // The same file once more: its epoch has ended by now.
    overwrite(&state.join(FILE), &older);
    let journal = open(state);
    assert_eq!(origin(&journal), (EpochReason::Replaced, Some(first)));
    drop(journal);
    // Nor does one that somebody threw away pass without a word.
    fs::remove_file(state.join(FILE)).unwrap();
    let journal = open(state);
    assert_eq!(origin(&journal).0, EpochReason::Replaced);
    let second = journal.epoch().to_owned();
    drop(journal);
    assert_eq!(open(state).epoch(), second);
}

/// A young journal lies wholly in its write-ahead log.
#[tokio::test]
async fn a_young_journal_whose_log_is_lost_is_not_silently_empty() {
    let directory = tempfile::tempdir().unwrap();
    let (state, dead) = (directory.path().join("state"), directory.path().join("dead"));
    let journal = open(&state);
    stored(&journal, capture("a", 1, "A", All)).await;
    fs::create_dir(&dead).unwrap();
    for name in [FILE, LOCK] {
        fs::copy(state.join(name), dead.join(name)).unwrap();
    }
    let journal = open(&dead);
    assert_eq!((origin(&journal).0, journal.bounds().newest), (EpochReason::Replaced, 0));
}

/// An epoch that began, and a death before the lock's file had a note of it.
#[tokio::test]
async fn a_death_between_an_epoch_and_its_note_begins_no_second_one() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path();
    closed(state, 2).await;
    let older = fs::read(state.join(FILE)).unwrap();
    closed(state, 3).await;
    let note = fs::read(state.join(LOCK)).unwrap();
    overwrite(&state.join(FILE), &older);
    let second = closed(state, 4).await;
    overwrite(&state.join(LOCK), &note);
    assert_eq!(open(state).epoch(), second);
}

#[tokio::test]
async fn a_recovered_journal_keeps_the_epoch_of_its_recovery() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path();
    closed(state, 3).await;
    let recovered = recover(state, None, &clock()).unwrap();
    let journal = open(state);
    assert_eq!(journal.epoch(), recovered.epoch);
    assert_eq!(origin(&journal), (EpochReason::Recovered, recovered.epoch_before));
}
