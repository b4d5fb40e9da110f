//! Identity is content: what each entry becomes.

use leukd_journal::result::{Decision, Digest};
use leukd_journal::types::{CaptureState, Entry};
use leukd_journal::{JournalError, Lookup};

use crate::fixtures::{
    all, at, capture, cell, found, known, open, refused, request, stamp, stored, unreadable,
};

const ALL: Decision = Decision::All;
const HEM: Decision = Decision::Hem;
const REJECTED: Decision = Decision::Rejected;

#[tokio::test]
async fn the_same_file_again_gives_no_second_result() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    assert_eq!(stored(&journal, capture("a", 1, "X", ALL)).await.sequence, 1);
    assert_eq!(known(&journal, capture("a", 1, "X", ALL)).await, 1);
    assert_eq!(known(&journal, capture("a", 2, "X", HEM)).await, 1, "touched");
    let row = journal.ledger(&at("a")).unwrap().unwrap();
    assert_eq!((row.stamp, row.state, row.sequence), (stamp(2), CaptureState::Done, 1));
    assert_eq!(journal.bounds().newest, 1);
}

#[tokio::test]
async fn a_rename_or_copy_gives_no_second_result() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, capture("a", 1, "X", ALL)).await;
    assert_eq!(known(&journal, capture("b", 5, "X", ALL)).await, 1);
    let row = journal.ledger(&at("b")).unwrap().unwrap();
    assert_eq!((row.state, row.sequence), (CaptureState::Duplicate, 1));
    assert_eq!(journal.ledger(&at("a")).unwrap().unwrap().state, CaptureState::Done);
    assert_eq!(journal.known(&Digest::of(b"X")).unwrap().unwrap().sequence, 1);
    let by_path = journal.get(&Lookup::Path(at("b"))).unwrap().unwrap();
    assert_eq!(by_path.sequence, 1, "the copy leads to the first name's result");
}

#[tokio::test]
async fn new_bytes_under_an_old_name_supersede() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, capture("a", 1, "X", ALL)).await;
    let second = stored(&journal, capture("a", 2, "Y", HEM)).await;
    assert_eq!((second.sequence, second.supersedes), (2, Some(1)));
    assert!(journal.known(&Digest::of(b"X")).unwrap().is_none(), "a superseded result is not live");
    assert_eq!(journal.get(&Lookup::Path(at("a"))).unwrap().unwrap().sequence, 2);
    assert_eq!(journal.get(&Lookup::Sequence(1)).unwrap().unwrap().supersedes, None);
}

#[tokio::test]
async fn back_to_the_first_bytes_is_a_third_result() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, capture("a", 1, "X", ALL)).await;
    stored(&journal, capture("a", 2, "Y", HEM)).await;
    let third = stored(&journal, capture("a", 3, "X", ALL)).await;
    assert_eq!((third.sequence, third.supersedes), (3, Some(2)));
}

#[tokio::test]
async fn a_result_that_another_file_still_shows_is_not_superseded() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, capture("a", 1, "X", ALL)).await;
    known(&journal, capture("b", 1, "X", ALL)).await;
    let second = stored(&journal, capture("a", 2, "Y", HEM)).await;
    assert_eq!(second.supersedes, None, "b still shows X");
    assert_eq!(journal.known(&Digest::of(b"X")).unwrap().unwrap().sequence, 1);
    assert_eq!(journal.get(&Lookup::Path(at("b"))).unwrap().unwrap().sequence, 1);
    let third = stored(&journal, capture("b", 2, "Z", HEM)).await;
    assert_eq!(third.supersedes, Some(1), "whichever file leaves it last supersedes it");
}

#[tokio::test]
async fn only_a_new_result_supersedes() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, capture("a", 1, "X", ALL)).await;
    stored(&journal, capture("b", 1, "Y", HEM)).await;
    assert_eq!(known(&journal, capture("a", 2, "Y", HEM)).await, 2);
    assert_eq!(journal.known(&Digest::of(b"X")).unwrap().unwrap().sequence, 1, "as if deleted");
    let third = stored(&journal, capture("a", 3, "Z", HEM)).await;
    assert_eq!(third.supersedes, None, "b shows Y");
}

#[tokio::test]
async fn a_rejection_is_superseded_when_the_file_comes_back_whole() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, capture("a", 1, "half", REJECTED)).await;
    assert_eq!(journal.ledger(&at("a")).unwrap().unwrap().state, CaptureState::Rejected);
    let whole = stored(&journal, capture("a", 2, "whole", ALL)).await;
    assert_eq!(whole.supersedes, Some(1));
    assert_eq!(journal.folder_counts("/export").unwrap().rejected, 0);
}

#[tokio::test]
async fn equal_corrupt_bytes_share_one_rejection() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, capture("a", 1, "half", REJECTED)).await;
    assert_eq!(known(&journal, capture("b", 1, "half", REJECTED)).await, 1);
    assert_eq!(journal.ledger(&at("b")).unwrap().unwrap().state, CaptureState::Rejected);
    assert_eq!(journal.folder_counts("/export").unwrap().rejected, 2);
}

#[tokio::test]
async fn a_classification_replaces_the_rejection_of_the_same_bytes_for_every_file() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, capture("a", 1, "big", REJECTED)).await;
    known(&journal, capture("b", 1, "big", REJECTED)).await;
    let better = stored(&journal, capture("b", 1, "big", ALL)).await;
    assert_eq!(better.supersedes, Some(1));
    let states: Vec<_> = ["a", "b"]
        .map(|path| journal.ledger(&at(path)).unwrap().unwrap())
        .map(|row| (row.state, row.sequence))
        .into();
    assert_eq!(states, [(CaptureState::Duplicate, 2), (CaptureState::Done, 2)]);
}

#[tokio::test]
async fn a_rejection_never_replaces_the_classification_of_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, capture("a", 1, "X", ALL)).await;
    assert_eq!(known(&journal, capture("b", 1, "X", REJECTED)).await, 1);
    assert_eq!(journal.ledger(&at("b")).unwrap().unwrap().state, CaptureState::Duplicate);
}

#[tokio::test]
async fn files_that_could_not_be_read_share_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, unreadable("a", 1)).await;
    stored(&journal, unreadable("b", 1)).await;
    assert_eq!(known(&journal, unreadable("a", 1)).await, 1, "the same state of the same file");
    let again = stored(&journal, unreadable("a", 2)).await;
    assert_eq!(again.supersedes, Some(1));
    let whole = stored(&journal, capture("a", 3, "X", ALL)).await;
    assert_eq!(whole.supersedes, Some(3));
}

#[tokio::test]
async fn an_alias_leads_to_the_live_result_or_is_told_to_classify() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, capture("a", 1, "X", ALL)).await;
    let alias = |path: &str, bytes: &str, sequence| Entry::Alias {
        path: at(path),
        stamp: stamp(9),
        digest: Digest::of(bytes.as_bytes()),
        sequence,
    };
    assert_eq!(known(&journal, alias("b", "X", 1)).await, 1);
    stored(&journal, capture("a", 2, "Y", ALL)).await;
    stored(&journal, capture("b", 2, "Z", ALL)).await;
    let stale = refused(&journal, alias("c", "X", 1)).await;
    assert_eq!(stale, JournalError::Stale { subject: "/export/c".to_owned(), sequence: 1 });
    assert!(journal.ledger(&at("c")).unwrap().is_none());
}

#[tokio::test]
async fn a_repeated_request_is_answered_with_what_is_stored() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, capture("a", 1, "X", ALL)).await;
    assert_eq!(
        stored(&journal, request("X", "S1", "m1")).await.sequence,
        2,
        "files are another matter"
    );
    assert_eq!(known(&journal, request("X", "S1", "m1")).await, 2);
    assert_eq!(stored(&journal, request("X", "S2", "m1")).await.sequence, 3, "another specimen");
    assert_eq!(stored(&journal, request("X", "S1", "m2")).await.sequence, 4, "another model");
    assert_eq!(stored(&journal, request("Y", "S1", "m1")).await.sequence, 5, "other bytes");
    let ids = leukd_journal::result::CellIds { specimen: "S1".to_owned(), ..Default::default() };
    let hit = journal.known_request(&Digest::of(b"X"), &ids, "m2").unwrap().unwrap();
    assert_eq!(hit.sequence, 4);
    assert!(journal.known_request(&Digest::of(b"X"), &ids, "").unwrap().is_none());
}

#[tokio::test]
async fn a_bad_entry_takes_no_neighbour_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, capture("a", 1, "A", ALL)).await;
    let mut undecided = found("b", "B", ALL);
    undecided.cells[0].p_all = None;
    let mut odd = found("c", "C", ALL);
    odd.cells[0].p_all = Some(f64::NAN);
    let mut two = found("e", "E", ALL);
    two.cells.push(cell(ALL));
    let entries = [
        capture("x", 1, "1", ALL),
        Entry::Capture { stamp: stamp(1), found: undecided },
        capture("y", 1, "2", ALL),
        Entry::Capture { stamp: stamp(1), found: odd },
        Entry::Capture { stamp: stamp(1), found: two },
        capture("z", 1, "3", ALL),
    ];
    let mut answers = tokio::task::JoinSet::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let journal = journal.clone();
        answers.spawn(async move { (index, journal.commit(entry).await) });
    }
    let mut answers = answers.join_all().await;
    answers.sort_by_key(|(index, _)| *index);
    for (index, answer) in &answers {
        match index {
            1 | 3 | 4 => assert!(matches!(answer, Err(JournalError::Refused { .. })), "{answer:?}"),
            _ => assert!(answer.is_ok(), "{answer:?}"),
        }
    }
    assert!(journal.ledger(&at("b")).unwrap().is_none(), "ledger and result change together");
    let sequences: Vec<u64> = all(&journal).iter().map(|record| record.sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4], "a refused entry leaves no hole");
}

#[tokio::test]
async fn an_id_that_is_taken_is_not_given_twice() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let first = stored(&journal, capture("a", 1, "A", ALL)).await;
    let mut other = found("b", "B", ALL);
    other.cells[0].result_id.clone_from(&first.finding.result_id);
    let entry = Entry::Capture { stamp: stamp(1), found: other };
    let second = stored(&journal, entry).await;
    assert_eq!(second.sequence, 2);
    assert_ne!(second.finding.result_id, first.finding.result_id);
    let by = |id: &str| journal.get(&Lookup::ResultId(id.to_owned())).unwrap().unwrap().sequence;
    assert_eq!(by(&first.finding.result_id), 1);
    assert_eq!(by(&second.finding.result_id), 2);
}
