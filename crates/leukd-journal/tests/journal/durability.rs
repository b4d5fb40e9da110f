//! What holds across restarts and failures.

use std::time::Duration;

use leukd_journal::result::Decision::{All, Hem};
use leukd_journal::{FILE, Journal, JournalError, Options};

use crate::fixtures::{all, at, capture, clock, open, refused, stored};

#[tokio::test]
async fn a_restart_keeps_epoch_results_and_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let epoch = journal.epoch().to_owned();
    let first = stored(&journal, capture("a", 1, "X", All)).await;
    let second = stored(&journal, capture("a", 2, "Y", Hem)).await;
    drop(journal);
    let journal = open(directory.path());
    assert_eq!(journal.epoch(), epoch);
    assert_eq!(all(&journal), [first, second], "to the last bit");
    assert_eq!(*journal.watch().borrow(), 2);
    assert_eq!(stored(&journal, capture("b", 1, "Z", All)).await.sequence, 3);
    let other = tempfile::tempdir().unwrap();
    assert_ne!(open(other.path()).epoch(), epoch);
}

#[tokio::test]
async fn memory_and_disk_give_the_same_records() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { tail: Some(2), ..Options::new(clock()) };
    let journal = Journal::open(directory.path(), options).unwrap();
    let mut given = Vec::new();
    for index in 0..9 {
        given.push(
            stored(&journal, capture(&format!("p{index}"), 1, &format!("{index}"), All)).await,
        );
    }
    assert_eq!(all(&journal), given);
}

#[tokio::test]
async fn two_daemons_never_share_a_journal() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let refused = Journal::open(directory.path(), Options::new(clock())).unwrap_err();
    assert!(matches!(refused, JournalError::Locked { pid: Some(_), .. }), "{refused}");
    drop(journal);
    open(directory.path());
}

#[tokio::test]
async fn below_the_disk_floor_nothing_is_stored() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { disk_floor: u64::MAX, ..Options::new(clock()) };
    let journal = Journal::open(directory.path(), options).unwrap();
    let error = refused(&journal, capture("a", 1, "X", All)).await;
    assert!(matches!(error, JournalError::DiskFloor { floor: u64::MAX, .. }), "{error}");
    assert!(error.is_transient());
    assert_eq!(journal.bounds().newest, 0);
    assert!(journal.ledger(&at("a")).unwrap().is_none());
    assert_eq!(journal.prune().await.unwrap(), 0, "retention is the cure and goes on");
    let status = journal.status().unwrap();
    assert_eq!(status.floor_bytes, u64::MAX);
    assert!(status.free_bytes > 0 && status.sizes.total() > 0);
}

/// A trigger stands for a disk that fails in the middle of the transaction.
#[tokio::test]
async fn a_failed_transaction_publishes_nothing_and_uses_up_no_number() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, capture("a", 1, "A", All)).await;
    let saboteur = rusqlite::Connection::open(directory.path().join(FILE)).unwrap();
    saboteur
        .execute_batch(
            "CREATE TRIGGER boom BEFORE UPDATE ON meta BEGIN SELECT RAISE(ABORT, 'no disk'); END",
        )
        .unwrap();
    let seen = journal.watch();
    let (one, two) = tokio::join!(
        journal.commit(capture("b", 1, "B", All)),
        journal.commit(capture("c", 1, "C", All))
    );
    for answer in [one, two] {
        assert!(matches!(answer, Err(JournalError::Storage { .. })), "{answer:?}");
    }
    assert!(!seen.has_changed().unwrap());
    assert_eq!(journal.bounds().newest, 1);
    assert!(journal.ledger(&at("b")).unwrap().is_none());
    assert_eq!(all(&journal).len(), 1);
    saboteur.execute_batch("DROP TRIGGER boom").unwrap();
    assert_eq!(stored(&journal, capture("b", 1, "B", All)).await.sequence, 2);
}

/// What a subscriber may rely on: whoever is told of a number finds the result on the disk.
#[tokio::test]
async fn a_result_is_on_the_disk_before_anybody_hears_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let other = rusqlite::Connection::open(directory.path().join(FILE)).unwrap();
    let mut seen = journal.watch();
    let writer = journal.clone();
    let commits = tokio::spawn(async move {
        for index in 0..50 {
            stored(&writer, capture(&format!("p{index}"), 1, &format!("{index}"), All)).await;
        }
    });
    while *seen.borrow() < 50 {
        tokio::time::timeout(Duration::from_secs(60), seen.changed()).await.unwrap().unwrap();
        let told = i64::try_from(*seen.borrow()).unwrap();
        let there: i64 = other
            .query_row("SELECT count(*) FROM results WHERE sequence <= ?1", [told], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(there, told);
    }
    commits.await.unwrap();
}

#[tokio::test]
async fn a_damaged_journal_is_refused_by_name_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    for index in 0..200 {
        stored(&journal, capture(&format!("p{index}"), 1, &format!("{index}"), All)).await;
    }
    drop(journal);
    let file = directory.path().join(FILE);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[4096..middle].fill(0x5a);
    std::fs::write(&file, &bytes).unwrap();
    let refused = Journal::open(directory.path(), Options::new(clock())).unwrap_err();
    assert!(matches!(refused, JournalError::Damaged { .. }), "{refused}");
    assert!(
        refused.to_string().contains(FILE) && refused.to_string().contains("backup"),
        "{refused}"
    );
    assert_eq!(std::fs::metadata(&file).unwrap().len(), bytes.len() as u64);
}

#[tokio::test]
async fn any_sqlite_tool_reads_words_and_times() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, capture("a", 1_767_225_600_123_456_789, "X", All)).await;
    let tool = rusqlite::Connection::open(directory.path().join(FILE)).unwrap();
    let row: (String, String, String) = tool
        .query_row("SELECT origin, decision, classified_at FROM results_readable", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!(
        row,
        ("/export/a".to_owned(), "all".to_owned(), "2026-01-01T00:00:00.000Z".to_owned())
    );
    let row: (String, String) = tool
        .query_row("SELECT state, modified_at FROM ledger_readable", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(row, ("done".to_owned(), "2026-01-01T00:00:00.123Z".to_owned()));
}

#[tokio::test]
async fn a_journal_that_another_program_holds_says_so_and_goes_on_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let other = rusqlite::Connection::open(directory.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let held = journal.commit(capture("a.bmp", 1, "a", All)).await.unwrap_err();
    assert!(held.is_transient(), "{held:?}");
    assert!(held.to_string().contains("another program holds"), "{held}");
    other.execute_batch("ROLLBACK").unwrap();
    stored(&journal, capture("a.bmp", 1, "a", All)).await;
}

#[tokio::test]
async fn nothing_is_acknowledged_while_the_name_leads_to_another_file() {
    let directory = tempfile::tempdir().unwrap();
    let (file, aside) = (directory.path().join(FILE), directory.path().join("aside"));
    let journal = open(directory.path());
    stored(&journal, capture("a.bmp", 1, "a", All)).await;
    std::fs::rename(&file, &aside).unwrap();
    for restored in [false, true] {
        if restored {
            // A backup that somebody restored over it.
            std::fs::copy(&aside, &file).unwrap();
        }
        let moved = journal.commit(capture("b.bmp", 1, "b", All)).await.unwrap_err();
        assert_eq!(moved, JournalError::Moved { file: file.clone() });
        assert!(
            moved.is_transient() && moved.to_string().contains("not the file that leukd has open")
        );
        assert_eq!(*journal.watch().borrow(), 1, "nobody hears of it");
    }
    std::fs::rename(&aside, &file).unwrap();
    assert_eq!(stored(&journal, capture("b.bmp", 1, "b", All)).await.sequence, 2);
}

#[tokio::test]
async fn nothing_is_acknowledged_while_the_log_has_lost_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join(format!("{FILE}-wal"));
    let journal = open(directory.path());
    stored(&journal, capture("a.bmp", 1, "a", All)).await;
    std::fs::rename(&log, directory.path().join("aside")).unwrap();
    let moved = journal.commit(capture("b.bmp", 1, "b", All)).await.unwrap_err();
    assert!(matches!(moved, JournalError::Moved { .. }), "{moved}");
    std::fs::rename(directory.path().join("aside"), &log).unwrap();
    assert_eq!(stored(&journal, capture("b.bmp", 1, "b", All)).await.sequence, 2);
}

/// The log of a journal that was moved would be applied to whatever has its name next.
#[tokio::test]
async fn a_journal_that_took_the_place_of_another_is_not_damaged_by_its_log() {
    let directory = tempfile::tempdir().unwrap();
    let (file, aside) = (directory.path().join(FILE), directory.path().join("aside"));
    let journal = open(directory.path());
    for index in 0..40 {
        let (name, bytes) = (format!("{index}.bmp"), format!("bytes {index}"));
        stored(&journal, capture(&name, 1, &bytes, All)).await;
    }
    let copy = directory.path().join("copy");
    leukd_journal::backup::backup(&file, &copy, &mut |_, _| {}).unwrap();
    for index in 40..75 {
        let (name, bytes) = (format!("{index}.bmp"), format!("bytes {index}"));
        stored(&journal, capture(&name, 1, &bytes, All)).await;
    }
    std::fs::rename(&file, &aside).unwrap();
    std::fs::rename(&copy, &file).unwrap();
    journal.commit(capture("x.bmp", 1, "x", All)).await.unwrap_err();
    drop(journal);
    let left = std::fs::metadata(directory.path().join(format!("{FILE}-wal"))).map(|log| log.len());
    assert!(left.unwrap_or(0) == 0, "the log went into the file that was moved");
    let journal = open(directory.path());
    assert_eq!(journal.bounds().newest, 40);
    drop(journal);
    let tool = rusqlite::Connection::open(&aside).unwrap();
    let moved: i64 = tool.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
    assert_eq!(moved, 75, "nothing of it is lost");
}
