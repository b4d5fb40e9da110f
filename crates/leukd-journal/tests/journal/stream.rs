//! The ground of Subscribe: history and live events meet without loss, doubling or disorder.

use std::collections::BTreeMap;
use std::time::Duration;

use leukd_journal::filter::{Criteria, Filter};
use leukd_journal::result::Decision;
use leukd_journal::review::ReviewLabel;
use leukd_journal::types::Committed;
use leukd_journal::{Event, Journal, Options, ReviewError, Step, Submitted};
use proptest::prelude::*;

use crate::fixtures::{capture, clock, request, review, stored};

/// A subscription without a step for this long says that it is idle.
const IDLE_AFTER: Duration = Duration::from_millis(20);

/// One thing that happens to the journal.
#[derive(Debug, Clone)]
enum Act {
    /// New captures, given all at once.
    Burst(u8),
    /// Bytes that are known already, under a new name.
    Copy,
    /// New bytes under the name of an old file.
    Rewrite,
    /// Somebody reviews one of the newest results.
    Review(u8),
    /// Retention.
    Prune,
}

/// How one subscriber reads.
#[derive(Debug, Clone)]
struct Reader {
    /// Where it starts: the oldest, or somewhere along the way.
    joins_after: u8,
    /// Every so many steps it gives up waiting for one.
    lets_go_every: usize,
    /// It breaks off after so many steps and resumes from its cursor.
    breaks_every: usize,
    /// It lets others work so often between two steps.
    idles: u8,
}

/// One message of a subscription.
#[derive(Debug, Clone)]
enum Got {
    Gap(u64, u64),
    Event(Event),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1..12u8).prop_map(Act::Burst),
        2 => Just(Act::Copy),
        2 => Just(Act::Rewrite),
        3 => (0..6u8).prop_map(Act::Review),
        2 => Just(Act::Prune),
    ]
}

fn reader() -> impl Strategy<Value = Reader> {
    let parts = (0..30u8, 2..9usize, 1..40usize, 0..4u8);
    parts.prop_map(|(joins_after, lets_go_every, breaks_every, idles)| Reader {
        joins_after,
        lets_go_every,
        breaks_every,
        idles,
    })
}

async fn write(journal: Journal, acts: Vec<Act>) -> BTreeMap<u64, Event> {
    let mut truth = BTreeMap::new();
    let mut files = 0;
    for (moment, act) in acts.into_iter().enumerate() {
        let moment = i64::try_from(moment).unwrap();
        let entries = match act {
            Act::Prune => {
                journal.prune().await.unwrap();
                continue;
            }
            Act::Review(back) => {
                let sequence = journal.bounds().newest.saturating_sub(back.into());
                match journal.review(review(sequence, ReviewLabel::Hem)).await {
                    Ok(Submitted::Stored(own)) => {
                        let sequence = own.sequence;
                        assert!(truth.insert(sequence, Event::Review(own)).is_none());
                    }
                    Ok(Submitted::Known(known)) => panic!("{known:?}"),
                    // It may be a review itself, or gone.
                    Err(ReviewError::NoResult | ReviewError::Superseded { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
                continue;
            }
            Act::Burst(count) => (0..count)
                .map(|_| {
                    files += 1;
                    capture(&format!("p{files}"), moment, &format!("{files}"), Decision::All)
                })
                .collect(),
            Act::Copy => {
                vec![capture(&format!("copy{moment}"), moment, &format!("{files}"), Decision::All)]
            }
            Act::Rewrite => {
                vec![capture(&format!("p{files}"), moment, &format!("re{moment}"), Decision::Hem)]
            }
        };
        let mut commits = tokio::task::JoinSet::new();
        for entry in entries {
            let journal = journal.clone();
            commits.spawn(async move { journal.commit(entry).await.unwrap() });
        }
        for committed in commits.join_all().await {
            if let Committed::Stored(stored) = committed {
                for record in stored.records {
                    assert!(
                        truth.insert(record.sequence, Event::Result(record)).is_none(),
                        "a number twice"
                    );
                }
            }
        }
    }
    truth
}

/// Follows the journal until `done` names the last number and it has been seen.
async fn follow(
    journal: Journal,
    reader: Reader,
    mut done: tokio::sync::watch::Receiver<Option<u64>>,
) -> (u64, Vec<Got>) {
    let mut newest = journal.watch();
    let start = u64::from(reader.joins_after);
    while *newest.borrow() < start && done.borrow().is_none() {
        tokio::select! {
            changed = newest.changed() => changed.unwrap(),
            changed = done.changed() => changed.unwrap(),
        }
    }
    let start = start.min(*newest.borrow());
    let (mut cursor, mut got, mut steps) = (start, Vec::new(), 0);
    let subscribe = |cursor| journal.subscribe(Filter::default(), cursor, IDLE_AFTER);
    let mut subscription = subscribe(cursor);
    loop {
        steps += 1;
        let step = tokio::select! {
            step = subscription.next() => step.unwrap(),
            // Dropped in the middle: nothing is lost with it.
            () = tokio::task::yield_now(), if steps % reader.lets_go_every == 0 => continue,
        };
        match step {
            Step::Event(event) => {
                cursor = event.sequence();
                got.push(Got::Event(event));
            }
            Step::Gap { from, to } => {
                cursor = to;
                got.push(Got::Gap(from, to));
            }
            Step::CaughtUp(at) | Step::Idle(at) => assert_eq!(at, cursor, "a cursor of its own"),
        }
        if *done.borrow() == Some(cursor) {
            return (start, got);
        }
        for _ in 0..reader.idles {
            tokio::task::yield_now().await;
        }
        if steps % reader.breaks_every == 0 {
            subscription = subscribe(cursor);
        }
    }
}

fn check(start: u64, got: &[Got], truth: &BTreeMap<u64, Event>) -> Result<(), TestCaseError> {
    let mut cursor = start;
    for one in got {
        match one {
            Got::Gap(from, to) => {
                prop_assert_eq!(*from, cursor + 1, "a gap begins where the reader stands");
                prop_assert!(to >= from);
                cursor = *to;
            }
            Got::Event(event) => {
                prop_assert_eq!(event.sequence(), cursor + 1, "lost, doubled or out of order");
                prop_assert_eq!(event, &truth[&event.sequence()]);
                cursor += 1;
            }
        }
    }
    let newest = truth.keys().last().copied().unwrap_or(0);
    prop_assert_eq!(cursor, newest, "the end was reached");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_doubled_or_reordered_but_for_explicit_gaps(
        acts in prop::collection::vec(act(), 1..25),
        readers in prop::collection::vec(reader(), 1..5),
        tail in 0..12usize,
        keep_count in prop::option::of(0..20u64),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let options = Options { tail: Some(tail), keep_count, ..Options::new(clock()) };
        let journal = Journal::open(directory.path(), options).unwrap();
        let (truth, seen) = runtime.block_on(async {
            let (done, until) = tokio::sync::watch::channel(None);
            let followers: Vec<_> = readers
                .into_iter()
                .map(|reader| tokio::spawn(follow(journal.clone(), reader, until.clone())))
                .collect();
            let truth = tokio::spawn(write(journal.clone(), acts)).await.unwrap();
            done.send_replace(Some(journal.bounds().newest));
            let mut seen = Vec::new();
            for follower in followers {
                let all = tokio::time::timeout(Duration::from_secs(60), follower);
                seen.push(all.await.expect("a follower stands still").unwrap());
            }
            (truth, seen)
        });
        let holes = truth.keys().zip(1..).any(|(sequence, expected)| *sequence != expected);
        prop_assert!(!holes, "sequences have no holes: {:?}", truth.keys());
        for (start, got) in &seen {
            check(*start, got, &truth)?;
        }
        // A client that follows the stream counts what the journal counts.
        let live = rusqlite::Connection::open(directory.path().join(leukd_journal::FILE)).unwrap();
        let live: Vec<u64> = live
            .prepare("SELECT sequence FROM results WHERE superseded_by IS NULL ORDER BY sequence").unwrap()
            .query_map([], |row| row.get::<_, i64>(0).map(i64::cast_unsigned)).unwrap()
            .collect::<Result<_, _>>().unwrap();
        let replaced: Vec<u64> = truth.values().filter_map(|event| event.result()?.supersedes).collect();
        let oldest = journal.bounds().oldest;
        let told: Vec<u64> = truth
            .iter().filter_map(|(sequence, event)| event.result().map(|_| *sequence))
            .filter(|sequence| oldest != 0 && *sequence >= oldest && !replaced.contains(sequence))
            .collect();
        prop_assert_eq!(live, told);
    }
}

/// A face that knows nothing of gRPC: one line of text a step.
fn encode(step: Step) -> String {
    match step {
        Step::Event(event) => format!("{} {}", event.sequence(), event.kind()),
        Step::Gap { from, to } => format!("{from}-{to} removed"),
        Step::CaughtUp(cursor) => format!("{cursor} caught up"),
        Step::Idle(cursor) => format!("{cursor} idle"),
    }
}

#[tokio::test]
async fn a_face_needs_an_encoder_alone() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { keep_count: Some(2), ..Options::new(clock()) };
    let journal = Journal::open(directory.path(), options).unwrap();
    for name in ["a", "b", "c"] {
        stored(&journal, capture(name, 1, name, Decision::All)).await;
    }
    journal.prune().await.unwrap();
    let mut everything = journal.subscribe(Filter::default(), 0, IDLE_AFTER);
    let mut lines = Vec::new();
    for _ in 0..5 {
        lines.push(encode(everything.next().await.unwrap()));
    }
    assert_eq!(lines, ["1-1 removed", "2 result", "3 result", "3 caught up", "3 idle"]);
    stored(&journal, capture("d", 1, "d", Decision::All)).await;
    assert_eq!(encode(everything.next().await.unwrap()), "4 result");
    let criteria = Criteria { specimen: "S".to_owned(), ..Criteria::default() };
    let mut own = journal.subscribe(Filter::new(criteria).unwrap(), 2, IDLE_AFTER);
    stored(&journal, request("e", "S", "m")).await;
    assert_eq!(encode(own.next().await.unwrap()), "5 result", "what is of others is passed");
    stored(&journal, capture("f", 1, "f", Decision::All)).await;
    let steps = [own.next().await.unwrap(), own.next().await.unwrap()].map(encode);
    // A slow machine is idle before it has caught up.
    assert!(steps.iter().any(|step| step == "6 caught up"), "{steps:?}");
    assert!(steps.iter().any(|step| step == "6 idle"), "{steps:?}");
}
