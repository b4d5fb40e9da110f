//! What the ledger and the pipeline say decides what is handed over, and when.

use std::sync::Arc;
use std::time::Duration;

use super::ingest_support::{DEADLINE, Lab, QUIET, Rows, long_ago, put, quick, set_modified};
use leukd::clock::Clock;
use leukd::config::settings::{Watch, WatchMode};
use leukd::config::units::Span;
use leukd::ingest::{Ingest, IngestSettings, Verdict, open_capture, stamp};
use leukd::journal::types::{CaptureState, FileStamp, LedgerRow};
use leukd::result::CapturePath;
use tokio::time::timeout;

#[tokio::test]
async fn what_the_ledger_knows_is_not_handed_over() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "known.bmp", b"cell");
    put(dir.path(), "new.bmp", b"cell");
    let steady = leukd::ingest::fs_kind::detect(dir.path()).unwrap().steady;
    let known = fs_err::symlink_metadata(dir.path().join("known.bmp")).unwrap();
    let path = CapturePath {
        folder: dir.path().to_str().unwrap().to_owned(),
        path: "known.bmp".to_owned(),
    };
    let rows = Arc::new(Rows::default());
    let stamp: FileStamp = stamp::of(&known, steady);
    let row = LedgerRow { stamp, state: CaptureState::Rejected, sequence: 7 };
    rows.rows.lock().unwrap().insert(path, row);
    let settings = IngestSettings::new(&quick(&[dir.path()]), 8).unwrap();
    let (ingest, mut captures) =
        Ingest::spawn(&settings, Arc::clone(&rows), Clock::system()).unwrap();
    let settled = timeout(DEADLINE, captures.recv()).await.unwrap().unwrap();
    assert_eq!(settled.path.path, "new.bmp");
    assert!(timeout(QUIET, captures.recv()).await.is_err());
    ingest.stop();
    assert!(ingest.join(DEADLINE));
}

#[tokio::test]
async fn a_rejected_file_that_changes_is_handed_over_again() {
    let mut lab = Lab::watched();
    lab.put("a.bmp", b"ce");
    lab.done().await;
    lab.put("a.bmp", b"cell");
    assert_eq!(lab.done().await.stamp.size, 4);
    lab.nothing_more().await;
}

#[tokio::test]
async fn a_broken_file_gets_a_last_chance_and_no_busy_loop() {
    let mut lab = Lab::watched();
    lab.put("a.bmp", b"ce");
    let first = lab.next().await;
    assert!(!first.last_chance);
    lab.ingest.report(&first.path, Verdict::NotYet("truncated".to_owned()));
    let second = lab.next().await;
    assert!(second.last_chance);
    lab.finish(&second);
    lab.nothing_more().await;
}

#[tokio::test]
async fn a_broken_file_that_is_completed_is_handed_over_without_waiting_for_its_last_chance() {
    let mut lab = Lab::open(|watch, _| {
        watch.mode = WatchMode::Watch;
        watch.broken_after = Span::from_secs(3600);
    });
    lab.put("a.bmp", b"ce");
    let first = lab.next().await;
    lab.ingest.report(&first.path, Verdict::NotYet("truncated".to_owned()));
    lab.until("waited for", |state| state.settling == 1 && state.queued == 0).await;
    lab.put("a.bmp", b"cell");
    let second = lab.done().await;
    assert_eq!((second.stamp.size, second.last_chance), (4, false));
}

#[tokio::test]
async fn a_file_rewritten_in_the_pipelines_hands_is_handed_over_again() {
    let mut lab = Lab::watched();
    lab.put("a.bmp", b"first");
    let first = lab.next().await;
    lab.put("a.bmp", b"second version");
    let file = open_capture(&first.path).unwrap();
    assert!(!first.is_still(&file.metadata().unwrap()));
    lab.finish(&first);
    assert_eq!(lab.done().await.stamp.size, 14);
}

#[tokio::test]
async fn a_retry_is_handed_over_again() {
    let mut lab = Lab::watched();
    lab.put("a.bmp", b"cell");
    let first = lab.next().await;
    lab.ingest.report(&first.path, Verdict::Retry);
    assert_eq!(lab.done().await.path, first.path);
    lab.nothing_more().await;
}

#[tokio::test]
async fn a_full_channel_keeps_captures_waiting_and_loses_none() {
    let mut lab = Lab::watched();
    for index in 0..50 {
        lab.put(&format!("{index}.bmp"), b"cell");
    }
    lab.until("queued", |state| state.queued == 50).await;
    assert!(lab.state().oldest_waiting.is_some());
    assert_eq!(lab.collect(50).await.len(), 50);
    lab.nothing_more().await;
}

#[tokio::test]
async fn a_file_that_vanishes_before_its_turn_is_not_handed_over() {
    let mut lab = Lab::watched();
    for index in 10..30 {
        lab.put(&format!("{index}.bmp"), b"cell");
        let at = long_ago() + Duration::from_secs(index);
        set_modified(&lab.root.join(format!("{index}.bmp")), at);
    }
    // Eight are in the channel; the last one is not.
    lab.until("queued", |state| state.queued == 20).await;
    fs_err::remove_file(lab.root.join("29.bmp")).unwrap();
    let times = lab.collect(19).await;
    assert!(!times.contains_key("29.bmp"));
    lab.nothing_more().await;
    assert_eq!(lab.state().queued, 0);
}

#[tokio::test]
async fn a_journal_that_cannot_be_asked_is_a_problem_and_nothing_is_lost() {
    let mut lab = Lab::open(|watch, _| watch.mode = WatchMode::Poll);
    *lab.rows.broken.lock().unwrap() = true;
    lab.put("a.bmp", b"cell");
    lab.until("told", |state| {
        state.problem.as_deref().is_some_and(|problem| problem.contains("the disk is gone"))
    })
    .await;
    *lab.rows.broken.lock().unwrap() = false;
    assert_eq!(lab.done().await.path.path, "a.bmp");
    lab.until("well", |state| state.problem.is_none()).await;
}

#[tokio::test]
async fn a_folder_with_a_backlog_does_not_keep_another_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let (busy, calm) = (dir.path().join("busy"), dir.path().join("calm"));
    for index in 0..200 {
        put(&busy, &format!("{index}.bmp"), b"cell");
    }
    put(&calm, "a.bmp", b"cell");
    let settings = IngestSettings::new(&quick(&[&busy, &calm]), 8).unwrap();
    let rows = Arc::new(Rows::default());
    let (ingest, mut captures) = Ingest::spawn(&settings, rows, Clock::system()).unwrap();
    let wait = async {
        while ingest.status().iter().map(|state| state.queued).sum::<u64>() < 201 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(QUIET).await;
    };
    timeout(DEADLINE, wait).await.unwrap();
    let mut among = Vec::new();
    for _ in 0..2 {
        among.push(timeout(DEADLINE, captures.recv()).await.unwrap().unwrap().path.path);
    }
    assert!(among.contains(&"a.bmp".to_owned()), "{among:?}");
    ingest.stop();
    assert!(ingest.join(DEADLINE));
}

#[tokio::test]
async fn the_watchdogs_counter_goes_up_while_idle_and_a_stop_ends_the_captures() {
    let mut lab = Lab::watched();
    let before = lab.ingest.progress();
    let wait = async {
        while lab.ingest.progress() < before + 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(DEADLINE, wait).await.expect("no sign of life");
    lab.ingest.stop();
    assert_eq!(timeout(DEADLINE, lab.captures.recv()).await.unwrap(), None);
}

#[tokio::test]
async fn no_folder_means_no_captures() {
    let settings = IngestSettings::new(&Watch::default(), 8).unwrap();
    let rows = Arc::new(Rows::default());
    let (ingest, mut captures) = Ingest::spawn(&settings, rows, Clock::system()).unwrap();
    assert_eq!(timeout(DEADLINE, captures.recv()).await.unwrap(), None);
    assert!(ingest.status().is_empty());
}
