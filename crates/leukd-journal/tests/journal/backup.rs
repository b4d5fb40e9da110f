//! Backups: made beside a writer, verified, and put back in an epoch of their own.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use leukd_journal::audit::verify;
use leukd_journal::backup::{BackedUp, Restored, backup, restore};
use leukd_journal::check::check;
use leukd_journal::result::Decision::All;
use leukd_journal::{EpochReason, FILE, Journal, JournalError};

use crate::fixtures::{all, at, capture, clock, known, open, stored};

fn back_up(state: &Path, target: &Path) -> Result<BackedUp, JournalError> {
    backup(&state.join(FILE), target, &mut |_, _| {})
}

fn put_back(target: &Path, state: &Path) -> Result<Restored, JournalError> {
    restore(target, state, &clock(), &mut |_, _| {})
}

async fn store(journal: &Journal, names: std::ops::Range<u64>) {
    for index in names {
        let (path, bytes) = (format!("p{index}"), format!("bytes {index}"));
        stored(journal, capture(&path, 1, &bytes, All)).await;
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_beside_a_writer_is_one_moment_and_sound() {
    let (state, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = open(state.path());
    store(&journal, 0..200).await;
    let writer = journal.clone();
    let writing = tokio::spawn(async move { store(&writer, 200..500).await });
    let mut newest = 200;
    for number in 0..3 {
        let (state, target) = (state.path().to_owned(), place.path().join(format!("{number}")));
        let made = tokio::task::spawn_blocking(move || {
            let (mut seen, mut last) = (0, 0);
            let made = backup(&state.join(FILE), &target, &mut |done, all| {
                assert!(done >= last && done <= all, "{last}, {done} of {all}");
                (seen, last) = (seen + 1, done);
            });
            assert!(seen > 0);
            made.unwrap()
        });
        let made = made.await.unwrap();
        assert!(made.newest >= newest, "{made:?}");
        newest = made.newest;
        assert_eq!(made.events["result"], newest);
        assert_eq!(made.epoch, journal.epoch());
        let report = check(&made.backup).unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        assert_eq!(report.audit.unwrap().head.to_string(), made.audit_head);
        let header = fs::read(&made.backup).unwrap();
        assert_eq!(header[18..20], [1, 1], "it needs no write-ahead log beside it");
        assert_eq!(header.len() as u64, made.size_bytes);
    }
    writing.await.unwrap();
    assert_eq!(names(place.path()), ["0", "1", "2"], "nothing is left behind");
    store(&journal, 500..510).await;
}

#[tokio::test]
async fn a_restored_journal_goes_on_in_its_own_epoch_and_keeps_the_one_before() {
    let (state, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let target = place.path().join("backup");
    let journal = open(state.path());
    store(&journal, 0..20).await;
    back_up(state.path(), &target).unwrap();
    store(&journal, 20..30).await;
    let locked = put_back(&target, state.path()).unwrap_err();
    assert!(matches!(locked, JournalError::Locked { .. }), "{locked}");
    let before = all(&journal);
    drop(journal);
    let replaced = fs::read(state.path().join(FILE)).unwrap();

    let restored = put_back(&target, state.path()).unwrap();
    assert_eq!(fs::read(restored.replaced.as_ref().unwrap()).unwrap(), replaced);
    for file in [&restored.journal, &target] {
        let mode = fs::metadata(file).unwrap().mode();
        assert_eq!(mode & 0o007, 0, "results are nobody else's business: {mode:o}");
    }
    let mut left = names(state.path());
    left.retain(|name| !name.contains(".replaced-"));
    assert_eq!(left, [FILE, "leukd.lock", "marks"]);
    let journal = open(state.path());
    assert_eq!(journal.epoch(), restored.epoch);
    assert_ne!(restored.epoch, restored.epoch_before);
    let origin = journal.status().unwrap().origin;
    assert_eq!(origin.reason, EpochReason::Restored);
    assert_eq!(origin.before, Some(restored.epoch_before));
    assert_eq!(all(&journal), before[..20], "events keep their numbers and ids");
    assert_eq!(known(&journal, capture("p3", 1, "bytes 3", All)).await, 4);
    assert!(journal.ledger(&at("p25")).unwrap().is_none(), "it is classified again");
    assert_eq!(stored(&journal, capture("p25", 1, "bytes 25", All)).await.sequence, 21);
    drop(journal);
    let file = state.path().join(FILE);
    assert_eq!(verify(&file, &[]).unwrap().fault, None);
    let tool = rusqlite::Connection::open(&file).unwrap();
    let told: String = tool
        .query_row("SELECT record FROM audit WHERE kind = 'epoch'", [], |row| row.get(0))
        .unwrap();
    for word in ["\"restored\"", "backup_sha256", &restored.backup_sha256, ".replaced-"] {
        assert!(told.contains(word), "{word} is not in {told}");
    }
}

#[tokio::test]
async fn a_backup_restores_into_an_empty_folder() {
    let (state, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let target = place.path().join("backup");
    let journal = open(state.path());
    store(&journal, 0..3).await;
    back_up(state.path(), &target).unwrap();
    let fresh = place.path().join("fresh");
    let restored = put_back(&target, &fresh).unwrap();
    assert_eq!((restored.replaced, restored.newest), (None, 3));
    assert_eq!(open(&fresh).epoch(), restored.epoch);
}

#[tokio::test]
async fn nothing_is_overwritten_and_nothing_unsound_is_taken() {
    let (state, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let target = place.path().join("backup");
    let journal = open(state.path());
    store(&journal, 0..40).await;
    fs::write(&target, "a letter").unwrap();
    let exists = back_up(state.path(), &target).unwrap_err();
    assert_eq!(exists, JournalError::Exists { file: target.clone() });
    assert_eq!(fs::read(&target).unwrap(), b"a letter");
    let missing = back_up(state.path(), &place.path().join("none/backup")).unwrap_err();
    assert!(matches!(missing, JournalError::Storage { .. }), "{missing}");
    fs::remove_file(&target).unwrap();
    back_up(state.path(), &target).unwrap();
    drop(journal);

    // A result that somebody changed, in the backup and in the journal.
    let whole = fs::read(state.path().join(FILE)).unwrap();
    for file in [target.clone(), state.path().join(FILE)] {
        let tool = rusqlite::Connection::open(&file).unwrap();
        tool.execute_batch("UPDATE events SET at_ms = at_ms + 1 WHERE sequence = 7").unwrap();
    }
    let refused = put_back(&target, state.path()).unwrap_err();
    assert!(matches!(refused, JournalError::UnsoundBackup { .. }), "{refused:?}");
    assert!(refused.to_string().contains("event 7 was edited"), "{refused}");
    assert!(refused.to_string().contains("take an older one"), "{refused}");
    let second = place.path().join("second");
    let refused = back_up(state.path(), &second).unwrap_err();
    assert!(refused.to_string().contains("event 7 was edited"), "{refused}");
    assert_eq!(names(place.path()), ["backup"]);
    let aside = |name: &String| name.contains("restoring") || name.contains(".replaced-");
    assert!(!names(state.path()).iter().any(aside), "{:?}", names(state.path()));
    fs::write(state.path().join(FILE), whole).unwrap();
    let itself = put_back(&state.path().join(FILE), state.path()).unwrap_err();
    assert!(matches!(itself, JournalError::Exists { .. }), "{itself}");
    open(state.path());
}

#[tokio::test]
async fn a_killed_backups_remains_go_with_the_next_and_one_under_way_stays() {
    let (state, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(open(state.path()));
    let [killed, under_way] = ["killed", "under-way"]
        .map(|name| fs::File::create(place.path().join(format!(".leukd-backup-{name}"))).unwrap());
    drop(killed);
    under_way.lock().unwrap();
    fs::write(place.path().join("letter"), "a letter").unwrap();
    back_up(state.path(), &place.path().join("backup")).unwrap();
    assert_eq!(names(place.path()), [".leukd-backup-under-way", "backup", "letter"]);
}

/// A process that died leaves a log; somebody removed the damaged journal beside it.
#[tokio::test]
async fn a_restore_is_not_overlaid_by_a_log_that_was_left_behind() {
    let (state, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let target = place.path().join("backup");
    let journal = open(state.path());
    store(&journal, 0..20).await;
    back_up(state.path(), &target).unwrap();
    store(&journal, 20..60).await;
    let log = fs::read(state.path().join(format!("{FILE}-wal"))).unwrap();
    assert!(!log.is_empty());
    drop(journal);
    fs::remove_file(state.path().join(FILE)).unwrap();
    fs::write(state.path().join(format!("{FILE}-wal")), &log).unwrap();
    fs::create_dir(state.path().join("restoring-dead")).unwrap();
    put_back(&target, state.path()).unwrap();
    let journal = open(state.path());
    assert_eq!((journal.bounds().newest, all(&journal).len()), (20, 20));
    drop(journal);
    let report = check(&state.path().join(FILE)).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    let left = names(state.path());
    assert!(left.iter().any(|name| name.contains(".replaced-") && name.ends_with("-wal")));
    assert!(!left.contains(&"restoring-dead".to_owned()), "what a killed restore left: {left:?}");
}

/// The log of the journal before is in its file before it moves, so that no death parts the two.
#[tokio::test]
async fn the_journal_before_a_restore_is_whole_by_itself() {
    let (state, dead, place) = [(); 3].map(|()| tempfile::tempdir().unwrap()).into();
    let target = place.path().join("backup");
    let journal = open(state.path());
    store(&journal, 0..20).await;
    back_up(state.path(), &target).unwrap();
    store(&journal, 20..30).await;
    for name in [FILE.to_owned(), format!("{FILE}-wal")] {
        fs::copy(state.path().join(&name), dead.path().join(&name)).unwrap();
    }
    let restored = put_back(&target, dead.path()).unwrap();
    let before = restored.replaced.unwrap();
    let log = std::path::PathBuf::from(format!("{}-wal", before.display()));
    assert!(!log.exists(), "{}", log.display());
    let tool = rusqlite::Connection::open(&before).unwrap();
    let results: i64 = tool.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
    assert_eq!(results, 30);
}

#[tokio::test]
async fn what_only_reads_a_journal_leaves_no_file_beside_it() {
    let (state, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = open(state.path());
    store(&journal, 0..3).await;
    drop(journal);
    let (file, copy) = (state.path().join(FILE), place.path().join("copy"));
    let (before, bytes) = (names(state.path()), fs::read(&file).unwrap());
    assert!(!before.iter().any(|name| name.ends_with("-wal") || name.ends_with("-shm")));
    assert!(check(&file).unwrap().findings.is_empty());
    assert_eq!(verify(&file, &[]).unwrap().fault, None);
    back_up(state.path(), &copy).unwrap();
    assert!(check(&copy).unwrap().findings.is_empty());
    assert_eq!(names(state.path()), before);
    assert_eq!(names(place.path()), ["copy"]);
    assert!(fs::read(&file).unwrap() == bytes, "the file itself is as it was");
    // What a killed daemon left is not touched either.
    let journal = open(state.path());
    store(&journal, 3..6).await;
    for name in [FILE.to_owned(), format!("{FILE}-wal")] {
        fs::copy(state.path().join(&name), place.path().join(&name)).unwrap();
    }
    let log = fs::read(place.path().join(format!("{FILE}-wal"))).unwrap();
    assert!(!log.is_empty());
    assert_eq!(check(&place.path().join(FILE)).unwrap().count("result"), 6);
    assert!(fs::read(place.path().join(format!("{FILE}-wal"))).unwrap() == log);
}
