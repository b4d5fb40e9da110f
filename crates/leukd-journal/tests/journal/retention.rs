//! What retention removes and what it leaves.

use std::time::Duration;

use leukd_journal::audit::verify;
use leukd_journal::clock::Clock;
use leukd_journal::result::Decision::{All, Hem};
use leukd_journal::result::{Digest, Timestamp};
use leukd_journal::types::Bounds;
use leukd_journal::{Journal, Lookup, Options};

use crate::fixtures::{START, all, at, capture, clock, found, known, stamp, stored};
use leukd_journal::types::Entry;

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn exactly_the_newest_so_many_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { keep_count: Some(3), ..Options::new(clock()) };
    let journal = Journal::open(directory.path(), options).unwrap();
    for index in 0..10 {
        stored(&journal, capture(&format!("p{index}"), 1, &format!("{index}"), All)).await;
    }
    assert_eq!(journal.prune().await.unwrap(), 7);
    assert_eq!(journal.prune().await.unwrap(), 0);
    assert_eq!(journal.bounds(), Bounds { oldest: 8, newest: 10 });
    assert_eq!(all(&journal).iter().map(|r| r.sequence).collect::<Vec<_>>(), [8, 9, 10]);
    assert_eq!(journal.read_after(0, 1).unwrap().gap, Some((1, 7)));
    assert_eq!(journal.read_after(6, 1).unwrap().gap, Some((7, 7)));
    assert_eq!(journal.read_after(7, 1).unwrap().gap, None);
    assert!(journal.get(&Lookup::Sequence(7)).unwrap().is_none());
}

#[tokio::test]
async fn the_old_go_in_small_transactions_and_the_young_stay() {
    let directory = tempfile::tempdir().unwrap();
    let time = clock();
    let options = Options { keep_for: Some(DAY), tail: Some(8), ..Options::new(time.clone()) };
    let journal = Journal::open(directory.path(), options).unwrap();
    let put = |index: usize| {
        let path = format!("p{index}");
        let mut found = found(&path, &path, All);
        found.cells[0].classified_at = time.wall();
        Entry::Capture { stamp: stamp(1), found }
    };
    let mut commits = tokio::task::JoinSet::new();
    for index in 0..1300 {
        let (journal, entry) = (journal.clone(), put(index));
        commits.spawn(async move { journal.commit(entry).await.unwrap() });
    }
    commits.join_all().await;
    time.advance(DAY);
    stored(&journal, put(2000)).await;
    assert_eq!(journal.prune().await.unwrap(), 0, "not older than a day yet");
    time.advance(Duration::from_secs(1));
    assert_eq!(journal.prune().await.unwrap(), 1300);
    assert_eq!(journal.bounds(), Bounds { oldest: 1301, newest: 1301 });
}

#[tokio::test]
async fn numbers_are_never_given_twice_even_when_everything_was_removed() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { keep_count: Some(0), ..Options::new(clock()) };
    let journal = Journal::open(directory.path(), options.clone()).unwrap();
    for path in ["a", "b", "c"] {
        stored(&journal, capture(path, 1, path, All)).await;
    }
    assert_eq!(journal.prune().await.unwrap(), 3);
    assert_eq!(journal.bounds(), Bounds { oldest: 0, newest: 3 });
    assert_eq!(journal.read_after(1, 9).unwrap().gap, Some((2, 3)));
    drop(journal);
    let journal = Journal::open(directory.path(), options).unwrap();
    assert_eq!(journal.bounds(), Bounds { oldest: 0, newest: 3 });
    assert_eq!(journal.read_after(0, 9).unwrap().gap, Some((1, 3)));
    assert_eq!(stored(&journal, capture("d", 1, "d", All)).await.sequence, 4);
    assert_eq!(journal.bounds(), Bounds { oldest: 4, newest: 4 });
}

#[tokio::test]
async fn a_removed_result_leaves_its_file_in_the_ledger() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { keep_count: Some(1), ..Options::new(clock()) };
    let journal = Journal::open(directory.path(), options).unwrap();
    stored(&journal, capture("a", 1, "X", All)).await;
    stored(&journal, capture("b", 1, "Y", Hem)).await;
    journal.prune().await.unwrap();
    let row = journal.ledger(&at("a")).unwrap().unwrap();
    assert_eq!((row.stamp, row.sequence), (stamp(1), 1), "nobody classifies it again");
    assert!(journal.known(&Digest::of(b"X")).unwrap().is_none());
    assert!(journal.get(&Lookup::Path(at("a"))).unwrap().is_none());
    let touched = stored(&journal, capture("a", 2, "X", All)).await;
    assert_eq!((touched.sequence, touched.supersedes), (3, Some(1)));
    assert_eq!(known(&journal, capture("c", 1, "X", All)).await, 3);
}

#[tokio::test]
async fn the_file_gives_space_back() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { keep_count: Some(0), ..Options::new(clock()) };
    let journal = Journal::open(directory.path(), options).unwrap();
    let mut commits = tokio::task::JoinSet::new();
    for index in 0..1500 {
        let path = format!("p{index}");
        let mut found = found(&path, &path, All);
        found.cells[0].reasons = vec![leukd_journal::result::Reason::new(
            leukd_journal::result::ReasonCode::Truncated,
            "x".repeat(40_000),
        )];
        let (journal, entry) = (journal.clone(), Entry::Capture { stamp: stamp(1), found });
        commits.spawn(async move { journal.commit(entry).await.unwrap() });
    }
    commits.join_all().await;
    journal.prune().await.unwrap();
    drop(journal);
    let file = directory.path().join(leukd_journal::FILE);
    let pages = |pragma: &str| -> i64 {
        let tool = rusqlite::Connection::open(&file).unwrap();
        tool.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).unwrap()
    };
    assert!(pages("page_count") < 1500 * 10 - 2000, "{} pages", pages("page_count"));
}

/// Results of a manual clock's present, one a day.
async fn daily(journal: &Journal, time: &Clock, names: std::ops::Range<u32>) {
    for index in names {
        let path = format!("p{index}");
        let mut found = found(&path, &path, All);
        found.cells[0].classified_at = time.wall();
        stored(journal, Entry::Capture { stamp: stamp(1), found }).await;
        time.advance(DAY);
        journal.prune().await.unwrap();
    }
}

#[tokio::test]
async fn a_clock_that_leaps_ahead_at_boot_removes_nothing_until_it_is_proven() {
    let directory = tempfile::tempdir().unwrap();
    let open = |wall: Timestamp| {
        let time = Clock::manual(wall);
        let options = Options { keep_for: Some(30 * DAY), ..Options::new(time.clone()) };
        (Journal::open(directory.path(), options).unwrap(), time)
    };
    let (journal, time) = open(START);
    daily(&journal, &time, 0..20).await;
    let right = time.wall();
    drop(journal);

    // The battery is empty: a year ahead at the next start.
    let year = i64::try_from(365 * DAY.as_millis()).unwrap();
    let (journal, time) = open(Timestamp(right.0 + year));
    assert_eq!(journal.prune().await.unwrap(), 0);
    let doubt = journal.clock_doubt().expect("a doubt");
    assert!(doubt.ahead >= 360 * DAY && doubt.left == 7 * DAY, "{doubt:?}");
    // Results of that time are stored and streamed like any other.
    time.advance(DAY);
    assert_eq!(journal.prune().await.unwrap(), 0);
    daily(&journal, &time, 20..22).await;
    drop(journal);

    // Set right: everything is there, the doubt is over, and age counts as ever.
    let (journal, time) = open(Timestamp(right.0 + i64::try_from(3 * DAY.as_millis()).unwrap()));
    assert_eq!(journal.prune().await.unwrap(), 0);
    assert_eq!(journal.clock_doubt(), None);
    assert_eq!(journal.bounds(), Bounds { oldest: 1, newest: 22 });
    daily(&journal, &time, 22..56).await;
    // The two results from the wrong year went with the first old one after them.
    assert!(journal.bounds().oldest > 22, "{:?}", journal.bounds());
    assert_eq!(all(&journal).last().unwrap().sequence, 56);
}

#[tokio::test]
async fn a_clock_that_leapt_and_is_right_is_believed_after_a_week_over_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let open = |wall: Timestamp| {
        let time = Clock::manual(wall);
        let options = Options { keep_for: Some(30 * DAY), ..Options::new(time.clone()) };
        (Journal::open(directory.path(), options).unwrap(), time)
    };
    let (journal, time) = open(START);
    daily(&journal, &time, 0..3).await;
    drop(journal);
    // A sabbatical; then leukd runs for a few hours a day.
    let mut wall = Timestamp(time.wall().0 + i64::try_from(100 * DAY.as_millis()).unwrap());
    let mut removed = 0;
    let mut days = 0;
    while removed == 0 {
        assert!(days < 30, "never believed");
        let (journal, time) = open(wall);
        removed += journal.prune().await.unwrap();
        for _ in 0..9 {
            time.advance(Duration::from_secs(3600));
            removed += journal.prune().await.unwrap();
        }
        wall = Timestamp(time.wall().0 + 15 * 3_600_000);
        days += 1;
    }
    assert!((17..=21).contains(&days), "believed after {days} days of nine hours");
    assert_eq!(removed, 3);
}

#[tokio::test]
async fn a_clock_that_goes_back_breaks_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let time = clock();
    let options = Options { keep_for: Some(30 * DAY), ..Options::new(time.clone()) };
    let journal = Journal::open(directory.path(), options).unwrap();
    daily(&journal, &time, 0..3).await;
    // 1970, as a workstation without a battery has it, and then right again.
    let right = time.wall();
    time.set_wall(Timestamp(1_000));
    daily(&journal, &time, 3..6).await;
    assert_eq!(journal.bounds(), Bounds { oldest: 1, newest: 6 });
    time.set_wall(Timestamp(right.0 + i64::try_from(3 * DAY.as_millis()).unwrap()));
    daily(&journal, &time, 6..20).await;
    assert_eq!(journal.clock_doubt(), None);
    assert_eq!(
        journal.bounds(),
        Bounds { oldest: 1, newest: 20 },
        "1970 is not old: it is no time"
    );
    let numbers: Vec<u64> = all(&journal).iter().map(|record| record.sequence).collect();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>(), "the cursor's order is the sequence");
    let verified = verify(&directory.path().join(leukd_journal::FILE), &[]).unwrap();
    assert_eq!(verified.fault, None);
}
