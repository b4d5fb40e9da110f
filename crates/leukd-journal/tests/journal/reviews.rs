//! Reviews: events of their own, as durable as results.

use std::path::{Path, PathBuf};
use std::time::Duration;

use leukd_journal::audit::verify;
use leukd_journal::check::{Report, check};
use leukd_journal::filter::{Criteria, Filter};
use leukd_journal::recover::recover;
use leukd_journal::result::Decision::{All, Hem, Rejected, Review as Unsure};
use leukd_journal::review::ReviewLabel::{self, Other};
use leukd_journal::review::{Review, Standing, Verdict};
use leukd_journal::types::Bounds;
use leukd_journal::{
    Event, FILE, Journal, ListQuery, Lookup, NewReview, Options, ReviewError, ReviewQuery,
    Submitted,
};
use rusqlite::Connection;

use crate::fixtures::{all, capture, clock, events, open, request, review, reviewed, stored};

fn with_id(id: u128, of: u64, label: ReviewLabel) -> NewReview {
    let review_id = Some(uuid::Uuid::from_u128(id).to_string());
    NewReview { review_id, ..review(of, label) }
}

fn listed(journal: &Journal, change: impl FnOnce(&mut ReviewQuery)) -> Vec<u64> {
    let mut query = ReviewQuery { limit: 100, ..ReviewQuery::default() };
    change(&mut query);
    journal.reviews(&query).unwrap().reviews.iter().map(|review| review.sequence).collect()
}

fn standing(journal: &Journal, sequence: u64) -> Standing {
    let record = journal.get(&Lookup::Sequence(sequence)).unwrap().unwrap();
    journal.standings(&[record]).unwrap().remove(0)
}

fn standing_so(journal: &Journal, verdict: Verdict, newest_first: bool) -> Vec<u64> {
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let verdict = Some(verdict);
        let query = ListQuery { verdict, after, limit: 1, newest_first, ..ListQuery::default() };
        let page = journal.list(&query).unwrap();
        found.extend(page.records.iter().map(|record| record.sequence));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

fn findings(report: &Report) -> Vec<String> {
    report.findings.iter().map(|found| format!("{}: {}", found.area, found.what)).collect()
}

/// Results 1, 2, 5, 7 and reviews 3, 4, 6, 8.
async fn story(directory: &Path) -> PathBuf {
    let journal = open(directory);
    stored(&journal, capture("a", 1, "A", All)).await;
    stored(&journal, request("R", "11", "m")).await;
    reviewed(&journal, review(1, ReviewLabel::All)).await;
    reviewed(&journal, review(2, ReviewLabel::Hem)).await;
    stored(&journal, capture("b", 1, "B", Rejected)).await;
    reviewed(&journal, review(1, Other)).await;
    stored(&journal, capture("c", 1, "C", Unsure)).await;
    reviewed(&journal, review(5, Other)).await;
    directory.join(FILE)
}

#[tokio::test]
async fn reviews_and_results_share_one_sequence_in_memory_on_disk_and_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    story(directory.path()).await;
    let mut seen = Vec::new();
    for tail in [0, 1, 3, 100] {
        let options = Options { tail: Some(tail), ..Options::new(clock()) };
        let journal = Journal::open(directory.path(), options).unwrap();
        assert_eq!(journal.bounds(), Bounds { oldest: 1, newest: 8 });
        for limit in 1..9 {
            let mut got: Vec<Event> = Vec::new();
            while got.len() < 8 {
                let after = got.last().map_or(0, Event::sequence);
                let batch = journal.read_after(after, limit).unwrap();
                assert!(
                    !batch.events.is_empty() && batch.events.len() <= limit && batch.gap.is_none()
                );
                got.extend(batch.events);
            }
            seen.push(got);
        }
    }
    assert!(seen.iter().all(|got| *got == seen[0]), "memory and disk tell the same");
    let numbers: Vec<u64> = seen[0].iter().map(Event::sequence).collect();
    assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
    let reviews: Vec<u64> = seen[0].iter().filter_map(Event::review).map(|r| r.sequence).collect();
    assert_eq!(reviews, [3, 4, 6, 8]);
}

#[tokio::test]
async fn a_review_tells_what_it_is_about_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let record = stored(&journal, capture("run/a", 1, "A", All)).await;
    let by_id = NewReview {
        of: Lookup::ResultId(record.finding.result_id.clone()),
        ..review(0, ReviewLabel::Hem)
    };
    let own: Review = reviewed(&journal, by_id).await;
    assert_eq!(own.of.sequence, Some(1));
    assert_eq!(own.of.path.as_ref().map(|path| path.path.as_str()), Some("run/a"));
    assert_eq!((own.of.decision, own.of.label()), (All, Some(leukd_journal::result::Label::All)));
    assert_eq!(own.of.label_probability(), record.finding.label_probability());
    assert!(!own.confirms);
    assert_eq!(events(&journal)[1], Event::Review(own.into()));
}

#[tokio::test]
async fn a_retry_with_its_id_stores_nothing_new_and_another_content_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let record = stored(&journal, capture("a", 1, "A", All)).await;
    stored(&journal, capture("b", 1, "B", All)).await;
    let first = reviewed(&journal, with_id(7, 1, Other)).await;
    for of in [Lookup::Sequence(1), Lookup::ResultId(record.finding.result_id)] {
        let again = journal.review(NewReview { of, ..with_id(7, 1, Other) }).await.unwrap();
        let Submitted::Known(again) = again else { panic!("{again:?}") };
        assert_eq!(*again, first);
    }
    let others = [
        with_id(7, 2, Other),
        with_id(7, 1, ReviewLabel::All),
        NewReview { reviewer: "another".to_owned(), ..with_id(7, 1, Other) },
        NewReview { note: "another".to_owned(), ..with_id(7, 1, Other) },
    ];
    for other in others {
        let refused = journal.review(other).await.unwrap_err();
        assert!(matches!(refused, ReviewError::IdTaken(_)), "{refused}");
    }
    assert_eq!(journal.bounds().newest, 3);
    // Its result is superseded meanwhile: the retry is still one.
    stored(&journal, capture("a", 2, "A2", All)).await;
    let again = journal.review(with_id(7, 1, Other)).await.unwrap();
    assert!(matches!(again, Submitted::Known(_)), "{again:?}");
    // Without an id each is one of its own.
    reviewed(&journal, review(2, Other)).await;
    reviewed(&journal, review(2, Other)).await;
    assert_eq!(standing(&journal, 2).reviews, 2);
}

#[tokio::test]
async fn only_a_live_result_is_reviewed() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, capture("a", 1, "A", All)).await;
    reviewed(&journal, review(1, ReviewLabel::All)).await;
    stored(&journal, capture("a", 2, "A2", Hem)).await;
    let head = journal.audit_head();
    let refused = journal.review(review(1, ReviewLabel::All)).await.unwrap_err();
    assert_eq!(refused, ReviewError::Superseded { sequence: 1, by: 3 });
    for nothing in [0, 2, 4, 99] {
        let refused = journal.review(review(nothing, ReviewLabel::All)).await.unwrap_err();
        assert_eq!(refused, ReviewError::NoResult, "{nothing}");
    }
    assert_eq!((journal.bounds().newest, journal.audit_head()), (3, head), "nothing was stored");
    reviewed(&journal, review(3, ReviewLabel::All)).await;
}

#[tokio::test]
async fn the_latest_review_says_how_a_result_stands() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    for (name, decision) in [("a", All), ("b", Hem), ("c", Unsure), ("d", Rejected), ("e", All)] {
        stored(&journal, capture(name, 1, name, decision)).await;
    }
    assert_eq!(standing(&journal, 1), Standing::SUGGESTED);
    for (of, label, verdict) in [
        (1, ReviewLabel::All, Verdict::Confirmed),
        (1, ReviewLabel::Hem, Verdict::Corrected),
        (2, Other, Verdict::Corrected),
        (2, ReviewLabel::Hem, Verdict::Confirmed),
        // Unsure, but the likelier class is all.
        (3, ReviewLabel::All, Verdict::Confirmed),
        (3, ReviewLabel::Hem, Verdict::Corrected),
        // Rejected: nothing fits either class.
        (4, Other, Verdict::Confirmed),
        (4, ReviewLabel::All, Verdict::Corrected),
    ] {
        let own = reviewed(&journal, review(of, label)).await;
        let now = standing(&journal, of);
        assert_eq!(now.verdict, verdict, "{of} {label}");
        let latest = now.latest.unwrap();
        assert_eq!((latest.label, latest.at), (label, own.reviewed_at));
        assert_eq!(latest.reviewer, "Dr. Doe");
    }
    assert_eq!(standing(&journal, 1).reviews, 2);
    assert_eq!(standing_so(&journal, Verdict::Corrected, false), [1, 3, 4]);
    assert_eq!(standing_so(&journal, Verdict::Corrected, true), [4, 3, 1]);
    assert_eq!(standing_so(&journal, Verdict::Confirmed, false), [2]);
    assert_eq!(standing_so(&journal, Verdict::Suggested, false), [5]);
    // Nobody needs to look at what was superseded.
    let next = stored(&journal, capture("a", 2, "a2", All)).await;
    assert_eq!(standing_so(&journal, Verdict::Corrected, false), [3, 4]);
    assert_eq!(standing_so(&journal, Verdict::Suggested, false), [5, next.sequence]);
    assert_eq!(standing(&journal, 1).verdict, Verdict::Corrected);
}

#[tokio::test]
async fn reviews_are_listed_by_result_specimen_reviewer_and_disagreement() {
    let directory = tempfile::tempdir().unwrap();
    let file = story(directory.path()).await;
    let journal = open(directory.path());
    let other = NewReview { reviewer: "other".to_owned(), ..review(7, ReviewLabel::All) };
    reviewed(&journal, other).await;
    assert_eq!(listed(&journal, |_| {}), [3, 4, 6, 8, 9]);
    assert_eq!(listed(&journal, |query| query.newest_first = true), [9, 8, 6, 4, 3]);
    assert_eq!(listed(&journal, |query| query.result_sequence = Some(1)), [3, 6]);
    let id = all(&journal)[1].finding.result_id.clone();
    assert_eq!(listed(&journal, |query| query.result_id = Some(id)), [4]);
    assert_eq!(listed(&journal, |query| query.specimen = Some("11".to_owned())), [4]);
    assert_eq!(listed(&journal, |query| query.reviewer = Some("other".to_owned())), [9]);
    assert_eq!(listed(&journal, |query| query.corrections = true), [4, 6]);
    assert_eq!(listed(&journal, |query| query.after = Some(4)), [6, 8, 9]);
    let page = journal.reviews(&ReviewQuery { limit: 2, ..ReviewQuery::default() }).unwrap();
    assert_eq!((page.reviews.len(), page.next), (2, Some(4)));
    drop(journal);
    assert!(check(&file).unwrap().findings.is_empty());
}

#[tokio::test]
async fn a_follower_is_woken_by_the_reviews_of_what_it_follows() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, request("a", "theirs", "m")).await;
    stored(&journal, request("b", "others", "m")).await;
    let criteria = Criteria { specimen: "theirs".to_owned(), ..Criteria::default() };
    let filter = Filter::new(criteria).unwrap();
    let follower = journal.wait_for(filter.clone(), 2);
    follower.wait_after(2);
    reviewed(&journal, review(2, Other)).await;
    let woken = || tokio::time::timeout(Duration::from_millis(100), follower.woken());
    assert!(woken().await.is_err());
    assert_eq!(follower.passed(), 3);
    reviewed(&journal, review(1, Other)).await;
    assert!(woken().await.is_ok());
    let matching: Vec<u64> =
        events(&journal).iter().filter(|e| filter.matches(e)).map(Event::sequence).collect();
    assert_eq!(matching, [1, 4]);
}

#[tokio::test]
async fn retention_removes_results_and_reviews_by_their_numbers_and_a_review_outlives_its_result() {
    let directory = tempfile::tempdir().unwrap();
    let file = story(directory.path()).await;
    let options = Options { keep_count: Some(4), ..Options::new(clock()) };
    let journal = Journal::open(directory.path(), options).unwrap();
    assert_eq!(journal.prune().await.unwrap(), 4);
    assert_eq!(journal.bounds(), Bounds { oldest: 5, newest: 8 });
    assert_eq!(journal.read_after(0, 9).unwrap().gap, Some((1, 4)));
    assert_eq!(listed(&journal, |query| query.result_sequence = Some(1)), [6]);
    let refused = journal.review(review(1, Other)).await.unwrap_err();
    assert_eq!(refused, ReviewError::NoResult);
    drop(journal);
    let verified = verify(&file, &[]).unwrap();
    assert_eq!((verified.fault, verified.compared, verified.removed), (None, 4, 4));
    assert_eq!(findings(&check(&file).unwrap()), [""; 0]);

    // Everything goes, the numbers do not come again.
    let options = Options { keep_count: Some(0), ..Options::new(clock()) };
    let journal = Journal::open(directory.path(), options).unwrap();
    assert_eq!(journal.prune().await.unwrap(), 4);
    assert_eq!(journal.bounds(), Bounds { oldest: 0, newest: 8 });
    assert_eq!(stored(&journal, capture("z", 1, "Z", All)).await.sequence, 9);
}

#[tokio::test]
async fn a_review_is_one_record_of_the_chain_and_every_edit_of_it_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let file = story(directory.path()).await;
    let tool = Connection::open(&file).unwrap();
    tool.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
    let kinds: String =
        tool.query_row("SELECT group_concat(kind, ' ') FROM audit", [], |row| row.get(0)).unwrap();
    assert_eq!(kinds, "genesis result result review review rejection review result review");
    let record: String =
        tool.query_row("SELECT record FROM audit WHERE number = 4", [], |row| row.get(0)).unwrap();
    for part in [
        r#""kind":"review","sequence":3,"review_id":""#,
        r#""result":1,"#,
        r#""label":"all","confirms":true,"blind":false,"reviewer":"Dr. Doe","client":"token:lims","content":""#,
    ] {
        assert!(record.contains(part), "{record}");
    }
    assert!(!record.contains("seen twice"), "retention can remove a note: {record}");
    let verified = verify(&file, &[]).unwrap();
    assert_eq!((verified.fault, verified.compared), (None, 8));

    let edited = |change: &str| {
        tool.execute_batch(change).unwrap();
        verify(&file, &[]).unwrap().fault.unwrap_or_else(|| panic!("{change} is not found"))
    };
    for (table, count) in [("reviews", 10), ("events", 4)] {
        let columns: Vec<String> = tool
            .prepare("SELECT name FROM pragma_table_info(?1)")
            .unwrap()
            .query_map([table], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(columns.len(), count);
        for column in &columns {
            for value in ["'x'", "3.5", "77"] {
                tool.execute_batch(&format!(
                    "CREATE TEMP TABLE kept AS SELECT * FROM {table} WHERE sequence = 6"
                ))
                .unwrap();
                let change = format!("UPDATE {table} SET {column} = {value} WHERE sequence = 6");
                if tool.execute_batch(&change).is_ok() {
                    let found = verify(&file, &[]).unwrap().fault;
                    let found = found.unwrap_or_else(|| panic!("{change} is not found"));
                    assert_eq!(
                        (found.number, found.kind.as_str()),
                        // An event without its record is missed where it was.
                        (7, "review"),
                        "{change}: {found:?}"
                    );
                }
                tool.execute_batch(&format!(
                    "DELETE FROM {table} WHERE sequence = 6 OR sequence > 8;
                     INSERT INTO {table} SELECT * FROM kept; DROP TABLE kept"
                ))
                .unwrap();
                assert_eq!(verify(&file, &[]).unwrap().fault, None);
            }
        }
    }
    // Removed, and forged under a new number, under one that a result has, and under one that
    // retention removed.
    for (table, number, says) in [
        ("events", 9, "event 9"),
        ("events", 0, "event 0"),
        ("reviews", 9, "9 indexed events and records of 8"),
        ("reviews", 5, "9 indexed events and records of 8"),
    ] {
        let id = if table == "reviews" { ", review_id = 'forged'" } else { "" };
        let found = edited(&format!(
            "CREATE TEMP TABLE forged AS SELECT * FROM {table} WHERE sequence = 3;
             UPDATE forged SET sequence = {number}{id};
             INSERT INTO {table} SELECT * FROM forged; DROP TABLE forged"
        ));
        assert!(found.what.contains(says), "{number}: {found:?}");
        tool.execute_batch(&format!("DELETE FROM {table} WHERE sequence = {number}")).unwrap();
    }
    let found = edited("DELETE FROM events WHERE sequence = 4");
    assert_eq!((found.number, found.kind.as_str()), (5, "review"));
    assert!(found.what.contains("event 4"), "{found:?}");
    let found = findings(&check(&file).unwrap());
    assert!(found.iter().any(|one| one == "events: 3 is followed by 5"), "{found:?}");
}

#[tokio::test]
async fn a_recovery_saves_reviews_numbers_them_with_the_results_and_keeps_those_of_lost_results() {
    let directory = tempfile::tempdir().unwrap();
    let file = story(directory.path()).await;
    let before = open(directory.path());
    let had = events(&before);
    drop(before);
    // By hand: one result goes, whose reviews stay; one review goes.
    let tool = Connection::open(&file).unwrap();
    tool.execute_batch("DELETE FROM events WHERE sequence IN (1, 4)").unwrap();
    drop(tool);
    let recovered = recover(directory.path(), None, &clock()).unwrap();
    assert_eq!(
        (recovered.count("result"), recovered.count("review"), recovered.lost),
        (3, 3, Some(2))
    );
    assert_eq!(findings(&check(&file).unwrap()), [""; 0]);
    assert_eq!(verify(&file, &[]).unwrap().fault, None);
    let journal = open(directory.path());
    let now = events(&journal);
    assert_eq!(now.iter().map(Event::sequence).collect::<Vec<_>>(), (1..=6).collect::<Vec<_>>());
    let kept: Vec<_> = had.iter().filter(|one| ![1, 4].contains(&one.sequence())).collect();
    for (now, had) in now.iter().zip(kept) {
        match (now, had) {
            (Event::Result(now), Event::Result(had)) => assert_eq!(now.finding, had.finding),
            (Event::Review(now), Event::Review(had)) => {
                assert_eq!(now.review_id, had.review_id);
                assert_eq!((&now.of.result_id, &now.note), (&had.of.result_id, &had.note));
                let expected = if had.of.sequence == Some(1) { None } else { Some(3) };
                assert_eq!(now.of.sequence, expected);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(standing(&journal, 3).verdict, Verdict::Confirmed);
    assert_eq!(reviewed(&journal, review(1, Other)).await.sequence, 7);
    drop(journal);
    assert_eq!(findings(&check(&file).unwrap()), [""; 0]);
}

/// What a death of the process leaves behind: the file and its log as they are at this moment.
#[tokio::test]
async fn a_review_that_was_answered_survives_the_death_of_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    stored(&journal, capture("a", 1, "A", All)).await;
    for number in 0..20 {
        let own = reviewed(&journal, review(1, Other)).await;
        assert_eq!(own.sequence, number + 2);
        let after = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(directory.path()).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                std::fs::copy(entry.path(), after.path().join(entry.file_name())).unwrap();
            }
        }
        let again = open(after.path());
        assert_eq!(events(&again).last(), Some(&Event::Review(own.into())));
    }
}
