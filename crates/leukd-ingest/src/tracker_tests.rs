use super::*;
use proptest::prelude::*;

const INTERVAL: Duration = Duration::from_millis(250);
const BROKEN: Duration = Duration::from_secs(60);
const RULES: Rules = Rules { looks: 3, interval: INTERVAL, broken_after: BROKEN, max_pending: 64 };

fn stamp(size: u64) -> FileStamp {
    FileStamp { size, mtime_ns: 1, ctime_ns: 1, inode: 1 }
}

fn at(ms: u64) -> Moment {
    Moment { mono: Duration::from_millis(ms), wall: Timestamp(i64::try_from(ms).unwrap()) }
}

/// Looks until the file is ready; returns the time.
fn settle(tracker: &mut Tracker, path: &str, stamp: FileStamp, from: u64) -> u64 {
    let mut now = from;
    for _ in 0..RULES.looks {
        tracker.look(path, stamp, at(now));
        now += 250;
    }
    now
}

fn not_yet() -> Verdict {
    Verdict::NotYet("truncated".to_owned())
}

#[test]
fn a_file_is_ready_after_three_equal_looks_and_not_before() {
    let mut tracker = Tracker::new(RULES);
    for now in [0, 250] {
        tracker.look("a", stamp(5), at(now));
        assert_eq!(tracker.next_ready(), None);
    }
    tracker.look("a", stamp(5), at(500));
    assert_eq!(tracker.next_ready().as_deref(), Some("a"));
    let taken = tracker.take("a").unwrap();
    let result_id = taken.result_id;
    assert_eq!(
        taken,
        Taken { result_id, stamp: stamp(5), first_seen: Timestamp(0), last_chance: false }
    );
}

#[test]
fn looks_closer_than_the_interval_do_not_count() {
    let mut tracker = Tracker::new(RULES);
    for now in 0..250 {
        tracker.look("a", stamp(5), at(now));
    }
    assert_eq!(tracker.next_ready(), None);
}

#[test]
fn a_ready_file_that_changes_has_to_settle_again() {
    let mut tracker = Tracker::new(RULES);
    let now = settle(&mut tracker, "a", stamp(5), 0);
    tracker.look("a", stamp(6), at(now));
    assert_eq!(tracker.next_ready(), None);
    assert_eq!(tracker.take("a"), None);
}

#[test]
fn equal_size_and_time_with_another_inode_is_a_change() {
    let mut tracker = Tracker::new(RULES);
    let now = settle(&mut tracker, "a", stamp(5), 0);
    tracker.look("a", FileStamp { ctime_ns: 9, inode: 2, ..stamp(5) }, at(now));
    assert_eq!(tracker.next_ready(), None);
}

#[test]
fn a_not_yet_file_waits_for_its_last_chance_and_then_again() {
    let mut tracker = Tracker::new(RULES);
    let now = settle(&mut tracker, "a", stamp(5), 0);
    tracker.take("a").unwrap();
    assert!(!tracker.verdict("a", &not_yet(), at(now)));
    for now in (now..60_000).step_by(250) {
        tracker.look("a", stamp(5), at(now));
        assert_eq!(tracker.next_ready(), None, "{now}");
    }
    tracker.look("a", stamp(5), at(60_000));
    assert!(tracker.take("a").unwrap().last_chance);
    tracker.verdict("a", &not_yet(), at(60_001));
    tracker.look("a", stamp(5), at(61_000));
    assert_eq!(tracker.next_ready(), None);
    assert_eq!(tracker.next_due(), Some(Duration::from_millis(120_001)));
}

#[test]
fn a_not_yet_file_that_changes_is_handed_again_once_it_settled() {
    let mut tracker = Tracker::new(RULES);
    let now = settle(&mut tracker, "a", stamp(5), 0);
    tracker.take("a").unwrap();
    tracker.verdict("a", &not_yet(), at(now));
    settle(&mut tracker, "a", stamp(6), now + 1000);
    let taken = tracker.take("a").unwrap();
    assert_eq!((taken.stamp, taken.last_chance), (stamp(6), false));
}

#[test]
fn a_file_that_changed_in_the_pipelines_hands_asks_for_a_scan() {
    let mut tracker = Tracker::new(RULES);
    let now = settle(&mut tracker, "a", stamp(5), 0);
    tracker.take("a").unwrap();
    tracker.look("a", stamp(6), at(now));
    assert!(tracker.verdict("a", &Verdict::Finished, at(now)));
    assert!(!tracker.contains("a"));
}

#[test]
fn a_retry_rests_twice_as_long_each_time_up_to_a_limit() {
    let mut tracker = Tracker::new(RULES);
    let mut now = settle(&mut tracker, "a", stamp(5), 0);
    let mut rests = Vec::new();
    for _ in 0..10 {
        tracker.take("a").unwrap();
        tracker.verdict("a", &Verdict::Retry, at(now));
        let due = u64::try_from(tracker.next_due().unwrap().as_millis()).unwrap();
        tracker.look("a", stamp(5), at(due - 1));
        assert_eq!(tracker.next_ready(), None);
        rests.push(due - now);
        now = due;
        tracker.look("a", stamp(5), at(now));
    }
    assert_eq!(rests, [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
}

#[test]
fn a_last_chance_survives_a_retry() {
    let mut tracker = Tracker::new(RULES);
    let now = settle(&mut tracker, "a", stamp(5), 0);
    tracker.take("a").unwrap();
    tracker.verdict("a", &not_yet(), at(now));
    tracker.look("a", stamp(5), at(60_000));
    tracker.take("a").unwrap();
    tracker.verdict("a", &Verdict::Retry, at(60_000));
    tracker.look("a", stamp(5), at(60_250));
    assert!(tracker.take("a").unwrap().last_chance);
}

#[test]
fn no_more_files_are_tracked_than_allowed_and_room_comes_back() {
    let mut tracker = Tracker::new(RULES);
    for index in 0..64 {
        let path = format!("{index:02}");
        assert_eq!(tracker.look(&path, stamp(1), at(0)), Looked::Tracked);
    }
    assert_eq!(tracker.look("more", stamp(1), at(0)), Looked::NoRoom);
    assert_eq!(tracker.counts().settling, 64);
    settle(&mut tracker, "07", stamp(1), 0);
    tracker.take("07").unwrap();
    tracker.verdict("07", &Verdict::Finished, at(9000));
    assert_eq!(tracker.look("more", stamp(1), at(9000)), Looked::Tracked);
}

#[test]
fn the_file_modified_first_is_handed_first() {
    let mut tracker = Tracker::new(RULES);
    for (path, mtime_ns) in [("b", 30), ("c", 10), ("a", 20)] {
        settle(&mut tracker, path, FileStamp { mtime_ns, ..stamp(1) }, 0);
    }
    let mut order = Vec::new();
    while let Some(path) = tracker.next_ready() {
        tracker.take(&path).unwrap();
        order.push(path.to_string());
    }
    assert_eq!(order, ["c", "a", "b"]);
}

#[test]
fn a_file_that_vanished_is_forgotten_unless_the_pipeline_has_it() {
    let mut tracker = Tracker::new(RULES);
    settle(&mut tracker, "a", stamp(5), 0);
    settle(&mut tracker, "b", stamp(5), 0);
    tracker.take("a").unwrap();
    tracker.vanished("a");
    tracker.vanished("b");
    assert!(tracker.contains("a") && !tracker.contains("b"));
    assert_eq!((tracker.next_ready(), tracker.next_due()), (None, None));
}

#[test]
fn a_file_whose_metadata_cannot_be_read_settles_anew() {
    let mut tracker = Tracker::new(RULES);
    let now = settle(&mut tracker, "a", stamp(5), 0);
    tracker.unreadable("a", at(now));
    assert_eq!(tracker.take("a"), None);
    tracker.look("a", stamp(5), at(now + 1));
    assert_eq!(tracker.next_due(), Some(at(now + 1000).mono));
    settle(&mut tracker, "a", stamp(5), now + 1000);
    assert!(tracker.take("a").is_some());
}

#[test]
fn a_verdict_for_a_file_that_was_not_handed_over_is_ignored() {
    let mut tracker = Tracker::new(RULES);
    tracker.look("a", stamp(5), at(0));
    assert!(!tracker.verdict("a", &Verdict::Finished, at(1)));
    assert!(!tracker.verdict("never seen", &Verdict::Retry, at(1)));
    assert!(tracker.contains("a"));
}

/// What may happen to one of two files.
#[derive(Debug, Clone)]
enum Event {
    Look,
    Write,
    Take,
    Finished,
    NotYet,
    Retry,
    Vanish,
    Unreadable,
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => Just(Event::Look),
        1 => Just(Event::Write),
        4 => Just(Event::Take),
        1 => Just(Event::Finished),
        2 => Just(Event::NotYet),
        2 => Just(Event::Retry),
        1 => Just(Event::Vanish),
        1 => Just(Event::Unreadable),
        6 => prop_oneof![Just(1_u64), Just(250), Just(1000), Just(61_000)].prop_map(Event::Pass),
    ]
}

/// What the test itself knows of a file.
#[derive(Default)]
struct Model {
    size: u64,
    handed: bool,
    /// Times of the looks that saw the present size, since it was last forgotten.
    looks: Vec<u64>,
    /// Written since it was handed over.
    changed: bool,
    not_yet: Option<u64>,
    retried: Option<u64>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn only_settled_files_are_handed_and_once_until_a_verdict(
        events in prop::collection::vec((0_usize..2, event()), 1..200)
    ) {
        let mut tracker = Tracker::new(RULES);
        let mut models = [Model::default(), Model::default()];
        let names = ["a", "b"];
        let mut now = 0_u64;
        for (index, event) in events {
            let (name, model) = (names[index], &mut models[index]);
            match event {
                Event::Pass(ms) => now += ms,
                Event::Write => {
                    model.size += 1;
                    model.looks.clear();
                    model.changed = true;
                    (model.not_yet, model.retried) = (None, None);
                }
                Event::Look => {
                    tracker.look(name, stamp(model.size), at(now));
                    model.looks.push(now);
                }
                Event::Take => {
                    // As the runner does: a look directly before.
                    tracker.look(name, stamp(model.size), at(now));
                    model.looks.push(now);
                    if let Some(taken) = tracker.take(name) {
                        prop_assert!(!model.handed, "handed twice");
                        prop_assert_eq!(taken.stamp, stamp(model.size), "handed another state");
                        let (first, last) = (model.looks.first(), model.looks.last());
                        let span = last.unwrap_or(&0) - first.unwrap_or(&0);
                        prop_assert!(model.looks.len() >= 3 && span >= 500, "not settled");
                        if let Some(since) = model.not_yet {
                            prop_assert!(taken.last_chance, "again without change or last chance");
                            prop_assert!(now - model.looks[0] >= 60_000 && now > since);
                        }
                        if let Some(since) = model.retried {
                            prop_assert!(now - since >= 250, "no rest");
                        }
                        (model.handed, model.changed) = (true, false);
                    }
                }
                Event::Finished if model.handed => {
                    tracker.verdict(name, &Verdict::Finished, at(now));
                    *model = Model { size: model.size, ..Model::default() };
                }
                Event::NotYet if model.handed => {
                    tracker.verdict(name, &not_yet(), at(now));
                    (model.handed, model.retried) = (false, None);
                    model.not_yet = (!model.changed).then_some(now);
                }
                Event::Retry if model.handed => {
                    tracker.verdict(name, &Verdict::Retry, at(now));
                    (model.handed, model.not_yet) = (false, None);
                    model.retried = (!model.changed).then_some(now);
                }
                Event::Vanish => {
                    tracker.vanished(name);
                    if !model.handed {
                        *model = Model { size: model.size, ..Model::default() };
                    }
                }
                Event::Unreadable => {
                    tracker.unreadable(name, at(now));
                    if !model.handed {
                        (model.not_yet, model.retried) = (None, None);
                    }
                }
                Event::Finished | Event::NotYet | Event::Retry => {}
            }
            // The index sets agree with the files: nothing is lost and nothing lingers.
            let counts = tracker.counts();
            let tracked = names.iter().filter(|name| tracker.contains(name)).count();
            prop_assert_eq!(counts.settling + counts.queued, u64::try_from(tracked).unwrap());
            prop_assert!(tracker.due.len() + tracker.ready.len() <= tracked);
        }
    }
}
