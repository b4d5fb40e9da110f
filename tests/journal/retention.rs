//! What retention removes and what it leaves.

use std::time::Duration;

use leukd::journal::types::Bounds;
use leukd::journal::{Journal, Lookup, Options};
use leukd::result::Decision::{All, Hem};
use leukd::result::Digest;

use crate::fixtures::{all, at, capture, clock, finding, known, stamp, stored};
use leukd::journal::types::Entry;

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
        let mut finding = finding(&path, &path, All);
        finding.classified_at = time.wall();
        Entry::Capture { path: at(&path), stamp: stamp(1), finding }
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
        let mut finding = finding(&path, &path, All);
        finding.reasons = vec![leukd::result::Reason::new("padding", "x".repeat(40_000))];
        let (journal, entry) =
            (journal.clone(), Entry::Capture { path: at(&path), stamp: stamp(1), finding });
        commits.spawn(async move { journal.commit(entry).await.unwrap() });
    }
    commits.join_all().await;
    journal.prune().await.unwrap();
    drop(journal);
    let file = directory.path().join(leukd::journal::FILE);
    let pages = |pragma: &str| -> i64 {
        let tool = rusqlite::Connection::open(&file).unwrap();
        tool.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).unwrap()
    };
    assert!(pages("page_count") < 1500 * 10 - 2000, "{} pages", pages("page_count"));
}
