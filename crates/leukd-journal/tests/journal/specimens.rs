//! Specimens that are told: once each time that they fall quiet or are marked, and never of what
//! was told before.

use std::path::Path;
use std::time::Duration;

use leukd_journal::audit::verify;
use leukd_journal::check::check;
use leukd_journal::clock::Clock;
use leukd_journal::filter::{Criteria, Filter};
use leukd_journal::recover::recover;
use leukd_journal::result::Decision::{self, All, Hem, Rejected, Review};
use leukd_journal::result::{Reason, ReasonCode, Tally, Timestamp};
use leukd_journal::review::ReviewLabel;
use leukd_journal::score::logit;
use leukd_journal::summary::{Cause, Marker, SpecimenSummary};
use leukd_journal::types::Entry;
use leukd_journal::{Event, FILE, Journal, Marked, Options, SpecimenQuery};
use rusqlite::Connection;

use crate::fixtures::{START, at, events, found, open, review, reviewed, stamp, stored};

const QUIET: Duration = Duration::from_secs(600);

/// A capture of this specimen, classified by this clock.
fn of(specimen: &str, name: &str, bytes: &str, decision: Decision, clock: &Clock) -> Entry {
    let mut found = found(name, bytes, decision);
    found.cells[0].ids.specimen = specimen.to_owned();
    found.cells[0].classified_at = clock.wall();
    Entry::Capture { stamp: stamp(clock.wall().0), found }
}

/// Tells every specimen that is quiet by this clock, as the daemon does; whose it told.
async fn tell(journal: &Journal, clock: &Clock) -> Vec<String> {
    let not_after = Timestamp(clock.wall().0 - i64::try_from(QUIET.as_millis()).unwrap());
    let mut told = Vec::new();
    loop {
        let open = journal.open_specimens(not_after, 0).unwrap();
        if open.quiet.is_empty() {
            told.sort();
            return told;
        }
        for specimen in open.quiet {
            assert!(
                journal
                    .summarize_quiet(specimen.clone(), not_after, open.summarized_to)
                    .await
                    .unwrap()
            );
            told.push(specimen);
        }
    }
}

fn told(journal: &Journal) -> Vec<SpecimenSummary> {
    events(journal).iter().filter_map(|e| e.specimen().map(|told| (**told).clone())).collect()
}

fn marker(name: &str, mtime_ns: i64) -> Marker {
    Marker { path: at(name), mtime_ns }
}

fn sound(directory: &Path) {
    let file = directory.join(FILE);
    let findings = check(&file).unwrap().findings;
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(verify(&file, &[]).unwrap().fault, None);
}

#[tokio::test]
async fn a_quiet_specimen_is_told_once_with_what_was_counted_and_again_after_further_results() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, clock) = (open(directory.path()), Clock::manual(START));
    for (name, decision) in [("a", All), ("b", All), ("c", Hem), ("d", Review), ("e", Rejected)] {
        stored(&journal, of("S", name, name, decision, &clock)).await;
        clock.advance(Duration::from_secs(60));
    }
    stored(&journal, of("", "nameless", "n", All, &clock)).await;
    assert!(tell(&journal, &clock).await.is_empty());
    // The newest came four minutes after the first, and one minute has passed since.
    clock.advance(QUIET - Duration::from_secs(61));
    assert!(tell(&journal, &clock).await.is_empty());
    clock.advance(Duration::from_secs(1));
    assert_eq!(tell(&journal, &clock).await, ["S"]);
    let first = told(&journal).remove(0);
    assert_eq!((first.sequence, first.round, &first.cause), (7, 1, &Cause::Quiet));
    assert_eq!(first.cells, Tally { all: 2, hem: 1, review: 1, rejected: 1 });
    assert_eq!(first.first_classified_at, START);
    assert_eq!(first.last_classified_at, Timestamp(START.0 + 4 * 60_000));
    clock.advance(10 * QUIET);
    assert!(tell(&journal, &clock).await.is_empty(), "once");
    reviewed(&journal, review(1, ReviewLabel::Hem)).await;
    clock.advance(10 * QUIET);
    assert!(tell(&journal, &clock).await.is_empty(), "a review is no further result");
    // A result that supersedes one of them is.
    stored(&journal, of("S", "a", "other bytes", Hem, &clock)).await;
    assert!(tell(&journal, &clock).await.is_empty());
    clock.advance(QUIET);
    assert_eq!(tell(&journal, &clock).await, ["S"]);
    let second = told(&journal).remove(1);
    assert_eq!((second.round, second.cells.all, second.cells.hem), (2, 1, 2));
    drop(journal);
    sound(directory.path());
}

#[tokio::test]
async fn each_specimen_is_told_by_its_own_newest_result_whatever_the_others_do() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, clock) = (open(directory.path()), Clock::manual(START));
    for index in 0..150 {
        let (specimen, name) = (format!("S{index:03}"), format!("p{index}"));
        stored(&journal, of(&specimen, &name, &name, All, &clock)).await;
    }
    stored(&journal, of("busy", "busy", "busy", All, &clock)).await;
    clock.advance(QUIET / 2);
    stored(&journal, of("busy", "busy 2", "busy 2", All, &clock)).await;
    let open = journal.open_specimens(START, 0).unwrap();
    assert_eq!((open.quiet.len(), open.next), (64, Some(clock.wall())), "so many at once");
    assert_eq!(open.summarized_to, 0);
    clock.advance(QUIET / 2);
    assert_eq!(tell(&journal, &clock).await.len(), 150, "all, and once");
    let open = journal.open_specimens(START, 0).unwrap();
    assert_eq!(
        (open.quiet.len(), open.summarized_to),
        (0, 150),
        "only the busy one is looked at again"
    );
    clock.advance(QUIET);
    assert_eq!(tell(&journal, &clock).await, ["busy"]);
    let open = journal.open_specimens(clock.wall(), 0).unwrap();
    assert_eq!((open.quiet.len(), open.next), (0, None));
    assert_eq!(open.summarized_to, journal.bounds().newest);
}

#[tokio::test]
async fn what_fell_quiet_while_no_process_ran_is_told_once_after_the_restart() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::manual(START);
    let journal = open(directory.path());
    stored(&journal, of("told", "a", "A", All, &clock)).await;
    clock.advance(QUIET);
    assert_eq!(tell(&journal, &clock).await, ["told"]);
    stored(&journal, of("S", "b", "B", All, &clock)).await;
    drop(journal);
    clock.advance(100 * QUIET);
    for expected in [vec!["S"], vec![], vec![]] {
        let journal = open(directory.path());
        assert_eq!(tell(&journal, &clock).await, expected);
    }
    // Where nobody wants to know, what comes is not told later either.
    let journal = open(directory.path());
    stored(&journal, of("T", "c", "C", All, &clock)).await;
    journal.skip_summaries().await.unwrap();
    clock.advance(QUIET);
    assert!(tell(&journal, &clock).await.is_empty());
    stored(&journal, of("U", "d", "D", All, &clock)).await;
    clock.advance(QUIET);
    assert_eq!(tell(&journal, &clock).await, ["U"]);
}

#[tokio::test]
async fn a_result_that_comes_between_the_look_and_the_event_keeps_the_specimen_open() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, clock) = (open(directory.path()), Clock::manual(START));
    stored(&journal, of("S", "a", "A", All, &clock)).await;
    let found = journal.open_specimens(START, 0).unwrap();
    assert_eq!(found.quiet, ["S"]);
    clock.advance(Duration::from_secs(1));
    stored(&journal, of("S", "b", "B", All, &clock)).await;
    assert!(!journal.summarize_quiet("S".to_owned(), START, found.summarized_to).await.unwrap());
    assert!(told(&journal).is_empty());
}

#[tokio::test]
async fn a_marker_tells_its_specimen_once_and_a_touched_one_again_where_there_is_more() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::manual(START);
    let journal = open(directory.path());
    let mark = async |journal: &Journal, mtime_ns: i64| {
        let journal = journal.clone();
        let told = move || journal.summarize_marked("S".to_owned(), marker("S.done", mtime_ns));
        tokio::task::spawn_blocking(told).await.unwrap().unwrap()
    };
    assert_eq!(mark(&journal, 1).await, Marked::Early, "nothing of it is there");
    stored(&journal, of("S", "a", "A", All, &clock)).await;
    assert_eq!(mark(&journal, 1).await, Marked::Stored);
    assert_eq!(mark(&journal, 1).await, Marked::Known);
    clock.advance(QUIET);
    assert!(tell(&journal, &clock).await.is_empty(), "it was told");
    stored(&journal, of("S", "b", "B", Hem, &clock)).await;
    assert_eq!(mark(&journal, 1).await, Marked::Known, "it said that before this result");
    drop(journal);
    let journal = open(directory.path());
    assert_eq!(mark(&journal, 1).await, Marked::Known, "a restart forgets nothing");
    assert_eq!(mark(&journal, 2).await, Marked::Stored);
    stored(&journal, of("S", "c", "C", Hem, &clock)).await;
    clock.advance(QUIET);
    assert_eq!(tell(&journal, &clock).await, ["S"], "what follows a marker falls quiet");
    assert_eq!(mark(&journal, 3).await, Marked::Known, "nothing is new");
    let told = told(&journal);
    let rounds: Vec<_> =
        told.iter().map(|told| (told.round, told.cells.all, told.cells.hem)).collect();
    assert_eq!(rounds, [(1, 1, 0), (2, 1, 1), (3, 1, 2)]);
    assert_eq!(told[1].cause, Cause::Marker(marker("S.done", 2)));
    drop(journal);
    sound(directory.path());
}

#[tokio::test]
async fn specimens_events_are_events_like_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::manual(START);
    let journal = open(directory.path());
    stored(&journal, of("S", "a", "A", All, &clock)).await;
    stored(&journal, of("T", "b", "B", Hem, &clock)).await;
    clock.advance(QUIET);
    assert_eq!(tell(&journal, &clock).await, ["S", "T"]);
    reviewed(&journal, review(1, ReviewLabel::Hem)).await;
    let live = events(&journal);
    drop(journal);
    let options = Options { tail: Some(0), ..Options::new(clock.clone()) };
    let journal = Journal::open(directory.path(), options).unwrap();
    assert_eq!(events(&journal), live, "memory and disk tell the same");
    let numbers: Vec<u64> = live.iter().map(Event::sequence).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    let lets_through = |criteria: Criteria| {
        let filter = Filter::new(criteria).unwrap();
        let found = live.iter().filter(|event| filter.matches(event)).map(Event::sequence);
        found.collect::<Vec<_>>()
    };
    let specimen = live.iter().find_map(|e| Some(e.specimen()?.specimen.clone())).unwrap();
    assert_eq!(specimen, "S");
    let of_s = || Criteria { specimen: "S".to_owned(), ..Criteria::default() };
    assert_eq!(lets_through(of_s()), [1, 3, 5]);
    let decisions = vec![Hem];
    assert_eq!(lets_through(Criteria { decisions, ..of_s() }), [3], "its specimen alone counts");
    drop(journal);

    // The chain protects each column.
    let file = directory.path().join(FILE);
    let tool = Connection::open(&file).unwrap();
    tool.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
    let record: String = tool
        .query_row("SELECT record FROM audit WHERE kind = 'specimen' LIMIT 1", [], |row| row.get(0))
        .unwrap();
    assert!(record.contains(r#""sequence":3,"specimen":"S","round":1,"content":""#), "{record}");
    let columns: Vec<String> = tool
        .prepare("SELECT name FROM pragma_table_info('specimens')")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for column in &columns[1..] {
        let before: rusqlite::types::Value = tool
            .query_row(&format!("SELECT {column} FROM specimens WHERE sequence = 3"), [], |row| {
                row.get(0)
            })
            .unwrap();
        let update = format!("UPDATE specimens SET {column} = ?1 WHERE sequence = 3");
        tool.execute(&update, [77]).unwrap();
        let found = verify(&file, &[]).unwrap().fault.unwrap();
        assert_eq!((found.number, found.kind.as_str()), (4, "specimen"), "{column}: {found:?}");
        tool.execute(&update, [before]).unwrap();
    }
    sound(directory.path());

    // Retention removes them by their numbers.
    let options = Options { keep_count: Some(2), ..Options::new(clock.clone()) };
    let journal = Journal::open(directory.path(), options).unwrap();
    assert_eq!(journal.prune().await.unwrap(), 3);
    let left: Vec<u64> = events(&journal).iter().map(Event::sequence).collect();
    assert_eq!(left, [4, 5]);
    drop(journal);
    sound(directory.path());
}

#[tokio::test]
async fn a_recovery_saves_them_and_tells_again_only_what_is_open() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, clock) = (open(directory.path()), Clock::manual(START));
    stored(&journal, of("S", "a", "A", All, &clock)).await;
    clock.advance(QUIET);
    assert_eq!(tell(&journal, &clock).await, ["S"]);
    stored(&journal, of("T", "b", "B", Hem, &clock)).await;
    stored(&journal, of("T", "c", "C", Hem, &clock)).await;
    let before = told(&journal);
    drop(journal);
    let tool = Connection::open(directory.path().join(FILE)).unwrap();
    tool.execute_batch("DELETE FROM events WHERE sequence = 3").unwrap();
    drop(tool);
    let recovered = recover(directory.path(), None, &clock).unwrap();
    assert_eq!(
        (recovered.count("result"), recovered.count("specimen"), recovered.lost),
        (2, 1, Some(1))
    );
    sound(directory.path());
    let journal = open(directory.path());
    assert_eq!(told(&journal), before);
    assert_eq!(journal.bounds().newest, 3);
    clock.advance(QUIET);
    assert_eq!(tell(&journal, &clock).await, ["T"]);
}

#[tokio::test]
async fn the_score_is_of_live_cells_that_the_model_knows() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let clock = Clock::system();
    let cell = |name: String, p_all: f64, reason: Option<ReasonCode>| {
        let mut entry = of("H7", &name, &format!("{name} {p_all}"), Review, &clock);
        if let Entry::Capture { found, .. } = &mut entry {
            found.cells[0].p_all = Some(p_all);
            found.cells[0].reasons =
                reason.map(|code| Reason::new(code, "a reason")).into_iter().collect();
        }
        entry
    };
    let query = SpecimenQuery { specimen: "H7".to_owned(), ..SpecimenQuery::default() };
    let score = |journal: &Journal| journal.specimen(&query).unwrap().unwrap().score;
    for at in 0..9_u32 {
        let p_all = 0.1 + 0.05 * f64::from(at);
        stored(&journal, cell(format!("{at}.bmp"), p_all, Some(ReasonCode::LowConfidence))).await;
    }
    assert_eq!(score(&journal), None, "nine cells are too few");
    stored(&journal, cell("9.bmp".to_owned(), 0.9, None)).await;
    let ten = score(&journal).unwrap();
    assert_eq!(ten.cells, 10);
    // Without the lowest and the highest of the ten: 0.15 to 0.5.
    let middle = (1..9).map(|at| logit(0.1 + 0.05 * f64::from(at))).sum::<f64>() / 8.0;
    assert!((ten.value - middle).abs() < 1e-9, "{ten:?} {middle}");
    assert!(ten.lower < ten.value && ten.value < ten.upper);
    // A cell that the model does not know counts for nothing, and neither does a rejection.
    stored(&journal, cell("x.bmp".to_owned(), 0.999, Some(ReasonCode::UnlikeTraining))).await;
    stored(&journal, of("H7", "y.bmp", "y", Rejected, &clock)).await;
    assert_eq!(score(&journal), Some(ten));
    // What is superseded leaves it: the file that was 0.9 is now 0.3.
    stored(&journal, cell("9.bmp".to_owned(), 0.3, None)).await;
    assert!(score(&journal).unwrap().value < ten.value);
}
