//! Filters, pages, specimens.

use std::sync::Arc;

use leukd_journal::filter::{Criteria, Filter};
use leukd_journal::result::{CellIds, Decision, Source, Tally, Timestamp};
use leukd_journal::types::Entry;
use leukd_journal::{Event, FolderCounts, Journal, ListQuery, Lookup, Options, SpecimenQuery};
use proptest::prelude::*;

use crate::fixtures::{all, at, capture, clock, found, known, open, stamp, stored};

fn query(filter: &Filter, after: Option<u64>, limit: usize, newest_first: bool) -> ListQuery {
    ListQuery { filter: filter.clone(), after, limit, newest_first, ..ListQuery::default() }
}

/// Every page of a listing; no page but the last is empty.
fn pages(journal: &Journal, filter: &Filter, limit: usize, newest_first: bool) -> Vec<u64> {
    let (mut after, mut listed) = (None, Vec::new());
    loop {
        let page = journal.list(&query(filter, after, limit, newest_first)).unwrap();
        assert!(page.records.len() <= limit);
        assert!(page.next.is_none() || page.records.len() == limit, "a short page is the last");
        listed.extend(page.records.iter().map(|record| record.sequence));
        after = page.next;
        if after.is_none() {
            return listed;
        }
    }
}

fn pick(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(of).prop_map(str::to_owned)
}

const DECISIONS: [Decision; 4] = Decision::EVERY;

fn criteria() -> impl Strategy<Value = Criteria> {
    (
        pick(&["", "S1", "S2", "none"]),
        pick(&["", "L1", "L2"]),
        pick(&["", "", "all", "hem"]),
        prop::collection::vec(prop::sample::select(&DECISIONS), 0..3),
        pick(&["", "", "*.bmp", "**/*.bmp", "run?/*", "{run1,run2}/**", "[!r]*", "x"]),
        prop::sample::select(&[0.0, 0.0, 0.5, 0.9 + 0.1 / 3.0, 1.0][..]),
    )
        .prop_map(|(specimen, slide, label, decisions, path_glob, minimum_probability)| {
            Criteria { specimen, slide, label, decisions, path_glob, minimum_probability }
        })
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let one = (
        pick(&["", "S1", "S2"]),
        pick(&["", "L1", "L2"]),
        prop::sample::select(&DECISIONS),
        pick(&["a.bmp", "run1/b.bmp", "run2/deep/c.bmp", "run3/d.png", ""]),
        0.0..=1.0f64,
    );
    prop::collection::vec(one, 0..30).prop_map(|parts| {
        let each = parts.into_iter().enumerate();
        each.map(|(index, (specimen, slide, decision, path, probability))| {
            let path = if path.is_empty() { path } else { format!("{path}{index}.bmp") };
            let mut found = found(&path, &index.to_string(), decision);
            found.cells[0].ids = CellIds { specimen, slide, cell: index.to_string() };
            if decision == Decision::Review {
                found.cells[0].p_all = Some(probability);
            }
            if path.is_empty() {
                found.capture.source = Source::Rpc {
                    peer: "unix".to_owned(),
                    request_id: String::new(),
                    client: String::new(),
                };
                return Entry::Request { found };
            }
            Entry::Capture { stamp: stamp(1), found }
        })
        .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn sql_and_memory_agree_on_every_filter(
        entries in entries(),
        filters in prop::collection::vec(criteria(), 1..20),
        limit in 1..6usize,
        newest_first: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let options = Options { tail: Some(3), ..Options::new(clock()) };
        let journal = Journal::open(directory.path(), options).unwrap();
        runtime.block_on(async {
            for entry in entries {
                journal.commit(entry).await.unwrap();
            }
        });
        let records = all(&journal);
        for criteria in filters {
            let filter = Filter::new(criteria).unwrap();
            let mut expected: Vec<u64> = records
                .iter()
                .filter(|record| filter.matches(&Event::Result(Arc::new((*record).clone()))))
                .map(|record| record.sequence)
                .collect();
            if newest_first {
                expected.reverse();
            }
            prop_assert_eq!(pages(&journal, &filter, limit, newest_first), expected, "{:?}", filter);
        }
    }
}

#[tokio::test]
async fn a_listing_from_the_newest_is_not_moved_by_what_arrives_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    for path in ["a", "b", "c"] {
        stored(&journal, capture(path, 1, path, Decision::All)).await;
    }
    let first = journal.list(&query(&Filter::default(), None, 2, true)).unwrap();
    stored(&journal, capture("d", 1, "d", Decision::All)).await;
    let second = journal.list(&query(&Filter::default(), first.next, 2, true)).unwrap();
    let numbers: Vec<u64> =
        first.records.iter().chain(&second.records).map(|record| record.sequence).collect();
    assert_eq!((numbers, second.next), (vec![3, 2, 1], None));
}

#[tokio::test]
async fn a_glob_that_matches_nothing_is_looked_for_in_bounded_calls() {
    const ROWS: u64 = 70_000;
    let directory = tempfile::tempdir().unwrap();
    stored(&open(directory.path()), capture("a.bmp", 1, "a", Decision::All)).await;
    // As many copies as a busy year leaves; written by a tool, because one commit each would take
    // minutes.
    let tool = rusqlite::Connection::open(directory.path().join(leukd_journal::FILE)).unwrap();
    tool.execute_batch(&format!(
        "CREATE TEMP TABLE copies AS SELECT * FROM results;
         CREATE TEMP TABLE n AS
             WITH RECURSIVE n(value) AS (SELECT 2 UNION ALL SELECT value + 1 FROM n WHERE value < {ROWS})
             SELECT value FROM n;
         INSERT INTO results SELECT n.value, 'copy ' || n.value, source, folder, path, NULL, ordinal, field, specimen,
             slide, cell, p_all, decision, is_doubted, model_digest, classified_ms, superseded_by FROM copies, n;
         INSERT INTO events SELECT n.value, kind, at_ms, payload FROM (SELECT * FROM events), n;
         UPDATE meta SET next_sequence = {next};",
        next = ROWS + 1
    ))
    .unwrap();
    drop(tool);
    let journal = open(directory.path());
    let criteria = Criteria { path_glob: "nothing*".to_owned(), ..Criteria::default() };
    let filter = Filter::new(criteria).unwrap();
    for newest_first in [false, true] {
        let first = journal.list(&query(&filter, None, 10, newest_first)).unwrap();
        assert!(first.records.is_empty());
        let second = journal.list(&query(&filter, first.next, 10, newest_first)).unwrap();
        assert!(first.next.is_some(), "the first call has not looked at everything");
        assert_eq!((second.records.len(), second.next), (0, None));
    }
}

#[tokio::test]
async fn a_specimen_counts_its_live_results() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let put = |path: &str, moment, bytes: &str, slide: &str, decision| {
        let mut found = found(path, bytes, decision);
        found.cells[0].ids =
            CellIds { specimen: "S1".to_owned(), slide: slide.to_owned(), cell: String::new() };
        found.cells[0].classified_at = Timestamp(moment);
        Entry::Capture { stamp: stamp(moment), found }
    };
    let query = |slide: Option<&str>, threshold| SpecimenQuery {
        specimen: "S1".to_owned(),
        slide: slide.map(str::to_owned),
        threshold,
    };
    assert!(journal.specimen(&query(None, None)).unwrap().is_none());
    stored(&journal, put("a", 10, "A", "L2", Decision::All)).await;
    stored(&journal, put("b", 20, "B", "L1", Decision::Hem)).await;
    stored(&journal, put("c", 30, "C", "L2", Decision::Review)).await;
    stored(&journal, put("d", 40, "D", "", Decision::Rejected)).await;
    known(&journal, put("e", 50, "A", "L3", Decision::All)).await;
    stored(&journal, put("b", 60, "B2", "L1", Decision::All)).await;
    stored(&journal, capture("other", 1, "O", Decision::All)).await;
    let counts = journal.specimen(&query(None, None)).unwrap().unwrap();
    let tally = |all, hem, review, rejected| Tally { all, hem, review, rejected };
    assert_eq!(counts.tally, tally(2, 0, 1, 1));
    let slides: Vec<_> = counts.slides.iter().map(|s| (s.slide.as_str(), s.tally)).collect();
    let expected = [("L2", tally(1, 0, 1, 0)), ("", tally(0, 0, 0, 1)), ("L1", tally(1, 0, 0, 0))];
    assert_eq!(slides, expected, "in order of the first live result");
    assert_eq!((counts.at_or_above, counts.models.len()), (0, 1));
    assert_eq!(counts.first_classified_at, Some(Timestamp(10)));
    assert_eq!(counts.last_classified_at, Some(Timestamp(60)));
    assert_eq!(counts.as_of_sequence, 6);
    // Of one slide, at a threshold: by P(all), whatever was decided.
    let above = |slide, threshold| {
        let counts = journal.specimen(&query(slide, Some(threshold))).unwrap().unwrap();
        (counts.tally.classified(), counts.at_or_above)
    };
    assert_eq!((above(None, 0.0), above(None, 1.0)), ((3, 3), (3, 0)));
    assert_eq!((above(Some("L2"), 0.7), above(Some(""), 0.0)), ((2, 1), (0, 0)));
    assert!(journal.specimen(&query(Some("L3"), None)).unwrap().is_none());
    let folder = journal.folder_counts("/export").unwrap();
    assert_eq!(folder, FolderCounts { done: 4, duplicates: 1, rejected: 1 });
    assert_eq!(journal.folder_counts("/elsewhere").unwrap(), FolderCounts::default());
}

#[tokio::test]
async fn a_result_is_found_by_number_by_id_and_by_path() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let record = stored(&journal, capture("a", 1, "X", Decision::All)).await;
    let ways = [
        Lookup::Sequence(1),
        Lookup::ResultId(record.finding.result_id.clone()),
        Lookup::Path(at("a")),
    ];
    for way in ways {
        assert_eq!(*journal.get(&way).unwrap().unwrap(), record, "{way:?}");
    }
    for way in [Lookup::Sequence(2), Lookup::ResultId("no".to_owned()), Lookup::Path(at("b"))] {
        assert!(journal.get(&way).unwrap().is_none(), "{way:?}");
    }
}

#[tokio::test]
async fn the_filters_are_answered_by_their_indices() {
    let directory = tempfile::tempdir().unwrap();
    let _journal = open(directory.path());
    let tool = rusqlite::Connection::open(directory.path().join(leukd_journal::FILE)).unwrap();
    for (condition, index) in [
        ("specimen = ?1 AND sequence <= 9", "results_specimen"),
        ("specimen = ?1 AND sequence > 5 AND sequence <= 9 AND p_all >= 0.5", "results_specimen"),
        ("specimen = ?1 AND superseded_by IS NULL AND sequence <= 9", "results_specimen"),
        ("slide = ?1 AND sequence > 5 AND sequence <= 9", "results_slide"),
        ("decision IN (?1) AND sequence <= 9", "results_decision"),
        ("digest = ?1 AND source = 'folder' AND superseded_by IS NULL", "results_live"),
        (
            "source = 'rpc' AND digest = ?1 AND specimen = 'S' AND slide = '' AND cell = ''",
            "results_requests",
        ),
    ] {
        let sql =
            format!("EXPLAIN QUERY PLAN SELECT * FROM results WHERE {condition} ORDER BY sequence");
        let plan: Vec<String> = tool
            .prepare(&sql)
            .unwrap()
            .query_map(["x"], |row| row.get(3))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert!(plan.iter().any(|step| step.contains(index)), "{condition}: {plan:?}");
    }
    for order in ["p_all DESC NULLS LAST, sequence DESC", "p_all NULLS LAST, sequence"] {
        let sql = format!(
            "EXPLAIN QUERY PLAN SELECT sequence FROM results
             WHERE specimen = ?1 AND superseded_by IS NULL AND +sequence <= 9
             ORDER BY {order} LIMIT 60"
        );
        let plan: Vec<String> = tool
            .prepare(&sql)
            .unwrap()
            .query_map(["x"], |row| row.get(3))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let all = plan.join("; ");
        assert!(all.contains("results_gallery") && !all.contains("B-TREE"), "{order}: {all}");
    }
}

#[tokio::test]
async fn a_listing_as_of_a_moment_keeps_cells_that_are_replaced_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    for name in ["a", "b", "c"] {
        stored(&journal, capture(name, 1, name, Decision::All)).await;
    }
    let as_of = |after| ListQuery { live_as_of: Some(3), after, limit: 2, ..ListQuery::default() };
    let first = journal.list(&as_of(None)).unwrap();
    // Between two pages: one cell that was listed, one that was not yet, and a new one.
    for (name, bytes) in [("a", "a2"), ("c", "c2"), ("d", "d")] {
        stored(&journal, capture(name, 2, bytes, Decision::Hem)).await;
    }
    let second = journal.list(&as_of(first.next)).unwrap();
    let listed = first.records.iter().chain(&second.records);
    let listed: Vec<u64> =
        listed.map(|record| record.sequence).take_while(|own| *own <= 3).collect();
    assert_eq!(listed, [1, 2, 3], "each cell once, as it was when the listing began");
}
