//! Captures that were in work when the process died.

use std::path::Path;

use leukd_journal::Journal;
use leukd_journal::result::Decision::All;

use crate::fixtures::{at, capture, open, stamp, stored};

/// Ends a journal as a dead process would: its marks stay.
fn die(journal: Journal, directory: &Path, in_hand: &[(usize, &str, i64)]) {
    let guards: Vec<_> = in_hand
        .iter()
        .map(|(worker, path, moment)| {
            journal.marks().enter(*worker, &at(path), &stamp(*moment)).unwrap()
        })
        .collect();
    let kept: Vec<_> = in_hand
        .iter()
        .map(|(worker, ..)| {
            let file = directory.join(format!("marks/worker-{worker}.mark"));
            (file.clone(), std::fs::read(file).unwrap())
        })
        .collect();
    drop(guards);
    drop(journal);
    for (file, text) in kept {
        std::fs::write(file, text).unwrap();
    }
}

#[test]
fn a_capture_in_hand_at_a_crash_is_counted_once_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    die(open(directory.path()), directory.path(), &[(0, "bad", 1), (1, "near", 1)]);
    let journal = open(directory.path());
    let mut suspects = journal.marks().suspects().to_vec();
    suspects.sort();
    assert_eq!(suspects, [at("bad"), at("near")]);
    assert_eq!(journal.crash_count(&at("bad"), &stamp(1)).unwrap(), 1);
    die(journal, directory.path(), &[(0, "bad", 1)]);
    let journal = open(directory.path());
    assert_eq!(journal.marks().suspects(), [at("bad")]);
    assert_eq!(journal.crash_count(&at("bad"), &stamp(1)).unwrap(), 2);
    assert_eq!(journal.crash_count(&at("near"), &stamp(1)).unwrap(), 1);
    drop(journal);
    let journal = open(directory.path());
    assert!(journal.marks().suspects().is_empty(), "a clean end blames nobody");
    assert_eq!(journal.crash_count(&at("bad"), &stamp(1)).unwrap(), 2, "and forgets nothing");
}

#[tokio::test]
async fn a_changed_file_and_a_finished_one_start_at_zero() {
    let directory = tempfile::tempdir().unwrap();
    die(open(directory.path()), directory.path(), &[(0, "a", 1), (1, "b", 1)]);
    let journal = open(directory.path());
    assert_eq!(journal.crash_count(&at("a"), &stamp(2)).unwrap(), 0, "it has changed");
    stored(&journal, capture("b", 1, "B", All)).await;
    assert_eq!(journal.crash_count(&at("b"), &stamp(1)).unwrap(), 0, "it has a result");
    die(journal, directory.path(), &[(0, "a", 2)]);
    let journal = open(directory.path());
    assert_eq!(journal.crash_count(&at("a"), &stamp(2)).unwrap(), 1);
    assert_eq!(journal.crash_count(&at("a"), &stamp(1)).unwrap(), 0);
}

#[tokio::test]
async fn a_capture_that_was_stored_before_the_crash_is_not_blamed() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, capture("a", 1, "A", All)).await;
    die(journal, directory.path(), &[(0, "a", 1)]);
    assert!(open(directory.path()).marks().suspects().is_empty());
}

#[test]
fn a_finished_job_leaves_no_mark_and_a_torn_mark_is_not_believed() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    drop(journal.marks().enter(0, &at("a"), &stamp(1)).unwrap());
    let guard = journal.marks().enter(1, &at("b"), &stamp(1)).unwrap();
    let file = directory.path().join("marks/worker-1.mark");
    let whole = std::fs::read(&file).unwrap();
    drop(guard);
    drop(journal);
    for length in 0..whole.len() {
        std::fs::write(&file, &whole[..length]).unwrap();
        assert!(open(directory.path()).marks().suspects().is_empty(), "{length} bytes");
    }
    std::fs::write(&file, &whole).unwrap();
    assert_eq!(open(directory.path()).marks().suspects(), [at("b")]);
}

#[test]
fn a_mark_is_not_counted_twice() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let guard = journal.marks().enter(0, &at("a"), &stamp(1)).unwrap();
    let file = directory.path().join("marks/worker-0.mark");
    let text = std::fs::read(&file).unwrap();
    drop(guard);
    drop(journal);
    for _ in 0..2 {
        std::fs::write(&file, &text).unwrap();
        let journal = open(directory.path());
        assert_eq!(journal.crash_count(&at("a"), &stamp(1)).unwrap(), 1);
    }
}

#[test]
fn a_suspect_is_worked_on_alone() {
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::time::Duration;

    let directory = tempfile::tempdir().unwrap();
    die(open(directory.path()), directory.path(), &[(0, "bad", 1)]);
    let journal = open(directory.path());
    let other = journal.marks().enter(0, &at("good"), &stamp(1)).unwrap();
    let also = journal.marks().enter(1, &at("fine"), &stamp(1)).unwrap();
    let (entered, told) = channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let guard = journal.marks().enter(2, &at("bad"), &stamp(1)).unwrap();
            entered.send(()).unwrap();
            drop(guard);
        });
        assert_eq!(told.recv_timeout(Duration::from_millis(50)), Err(RecvTimeoutError::Timeout));
        drop((other, also));
        told.recv_timeout(Duration::from_secs(30)).unwrap();
    });
}
