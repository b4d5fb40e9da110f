//! An export folder, hostile as they are, becomes settled captures: each once, none missed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use leukd::clock::Clock;
use leukd::config::settings::{Watch, WatchMode};
use leukd::config::units::Span;
use leukd::ingest::{
    Captures, FolderState, Ingest, IngestSettings, Ledger, Settled, Verdict, open_capture, stamp,
};
use leukd::journal::types::{CaptureState, FileStamp, LedgerRow};
use leukd::result::CapturePath;
use tokio::time::timeout;

/// Longer than any of these tests needs on a machine that is busy with other things.
const DEADLINE: Duration = Duration::from_secs(30);
/// Long enough for a few looks and scans at the intervals below.
const QUIET: Duration = Duration::from_millis(400);

/// The journal's ledger, in memory.
#[derive(Default)]
struct Rows {
    rows: Mutex<HashMap<CapturePath, LedgerRow>>,
    broken: Mutex<bool>,
}

impl Rows {
    fn store(&self, settled: &Settled) {
        let row = LedgerRow { stamp: settled.stamp, state: CaptureState::Done, sequence: 1 };
        self.rows.lock().unwrap().insert(settled.path.clone(), row);
    }
}

impl Ledger for Rows {
    fn lookup(&self, path: &CapturePath) -> Result<Option<LedgerRow>, String> {
        if *self.broken.lock().unwrap() {
            return Err("the disk is gone".to_owned());
        }
        Ok(self.rows.lock().unwrap().get(path).cloned())
    }
}

/// One folder under watch.
struct Lab {
    root: PathBuf,
    rows: Arc<Rows>,
    ingest: Ingest,
    captures: Captures,
    _dir: tempfile::TempDir,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.ingest.stop();
        assert!(self.ingest.join(DEADLINE), "a folder's thread did not end");
    }
}

fn quick(folders: &[&Path]) -> Watch {
    Watch {
        folders: folders.iter().map(|folder| folder.to_path_buf()).collect(),
        settle_interval: Span::from_millis(20),
        rescan_interval: Span::from_secs(60),
        poll_interval: Span::from_millis(50),
        broken_after: Span::from_millis(300),
        ..Watch::default()
    }
}

impl Lab {
    fn open(change: impl FnOnce(&mut Watch, &Path)) -> Self {
        Self::prepared(|_| {}, change)
    }

    fn prepared(fill: impl FnOnce(&Path), change: impl FnOnce(&mut Watch, &Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("export");
        fs_err::create_dir(&root).unwrap();
        fill(&root);
        let mut watch = quick(&[&root]);
        change(&mut watch, &root);
        let rows = Arc::new(Rows::default());
        let settings = IngestSettings::new(&watch, 8).unwrap();
        let (ingest, captures) =
            Ingest::spawn(&settings, Arc::clone(&rows), Clock::system()).unwrap();
        Self { root, rows, ingest, captures, _dir: dir }
    }

    fn watched() -> Self {
        Self::open(|watch, _| watch.mode = WatchMode::Watch)
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        put(&self.root, path, bytes);
    }

    async fn next(&mut self) -> Settled {
        timeout(DEADLINE, self.captures.recv()).await.expect("no capture in time").unwrap()
    }

    fn finish(&self, settled: &Settled) {
        self.rows.store(settled);
        self.ingest.report(&settled.path, Verdict::Finished);
    }

    /// The next capture, brought to its end.
    async fn done(&mut self) -> Settled {
        let settled = self.next().await;
        self.finish(&settled);
        settled
    }

    async fn nothing_more(&mut self) {
        if let Ok(Some(settled)) = timeout(QUIET, self.captures.recv()).await {
            panic!("handed over without need: {settled:?}");
        }
    }

    fn state(&self) -> FolderState {
        self.ingest.status().remove(0)
    }

    async fn until(&self, what: &str, holds: impl Fn(&FolderState) -> bool) {
        let wait = async {
            while !holds(&self.state()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(DEADLINE, wait).await.is_err() {
            panic!("never {what}: {:?}", self.state());
        }
    }

    /// So many captures, brought to their end: how often each was handed over.
    async fn collect(&mut self, count: usize) -> BTreeMap<String, u32> {
        let mut times = BTreeMap::new();
        for _ in 0..count {
            let settled = self.done().await;
            *times.entry(settled.path.path).or_default() += 1;
        }
        times
    }
}

fn put(root: &Path, path: &str, bytes: &[u8]) {
    let file = root.join(path);
    fs_err::create_dir_all(file.parent().unwrap()).unwrap();
    fs_err::write(file, bytes).unwrap();
}

fn set_modified(file: &Path, at: SystemTime) {
    std::fs::File::options().write(true).open(file).unwrap().set_modified(at).unwrap();
}

fn long_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)
}

#[tokio::test]
async fn a_dropped_file_is_handed_over_once() {
    let mut lab = Lab::watched();
    lab.put("a.bmp", b"cell");
    let settled = lab.done().await;
    assert_eq!(settled.path.absolute(), lab.root.join("a.bmp"));
    assert_eq!(settled.stamp.size, 4);
    assert!(!settled.last_chance);
    let file = open_capture(&settled.path).unwrap();
    assert!(settled.is_still(&file.metadata().unwrap()));
    lab.nothing_more().await;
    let state = lab.state();
    assert_eq!((state.settling, state.queued, state.oldest_waiting), (0, 0, None));
}

#[tokio::test]
async fn what_lies_there_at_the_start_is_found_without_an_event() {
    let fill = |root: &Path| put(root, "s1/slide/a.bmp", b"cell");
    let mut lab = Lab::prepared(fill, |watch, _| watch.mode = WatchMode::Watch);
    assert_eq!(lab.done().await.path.path, "s1/slide/a.bmp");
}

#[tokio::test]
async fn five_hundred_at_once_are_all_handed_over_and_none_twice() {
    let mut lab = Lab::watched();
    for index in 0..500 {
        lab.put(&format!("s{}/{index}.bmp", index % 7), b"cell");
    }
    let times = lab.collect(500).await;
    assert_eq!(times.len(), 500);
    lab.nothing_more().await;
}

#[tokio::test]
async fn polling_finds_the_same_as_watching() {
    let mut lab = Lab::open(|watch, _| watch.mode = WatchMode::Poll);
    for index in 0..100 {
        lab.put(&format!("s{}/{index}.bmp", index % 7), b"cell");
    }
    assert_eq!(lab.collect(100).await.len(), 100);
    lab.nothing_more().await;
    assert_eq!(lab.state().mode, "poll");
}

#[tokio::test]
async fn a_slow_writer_is_waited_for() {
    let mut lab = Lab::open(|watch, _| {
        watch.mode = WatchMode::Watch;
        watch.settle_interval = Span::from_millis(500);
    });
    let mut file = fs_err::File::create(lab.root.join("slow.tif")).unwrap();
    for _ in 0..12 {
        file.write_all(&[7; 100]).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(file);
    assert_eq!(lab.done().await.stamp.size, 1200);
    lab.nothing_more().await;
}

#[tokio::test]
async fn a_file_renamed_in_is_found() {
    let mut lab = Lab::watched();
    lab.put("a.bmp.part", b"cell");
    lab.nothing_more().await;
    fs_err::rename(lab.root.join("a.bmp.part"), lab.root.join("a.bmp")).unwrap();
    assert_eq!(lab.done().await.path.path, "a.bmp");
}

#[tokio::test]
async fn an_old_modification_time_is_no_obstacle() {
    let mut lab = Lab::watched();
    lab.put("old.part", b"cell");
    set_modified(&lab.root.join("old.part"), long_ago());
    fs_err::rename(lab.root.join("old.part"), lab.root.join("old.bmp")).unwrap();
    assert_eq!(lab.done().await.captured_at.0, 1_000_000_000_000);
}

#[tokio::test]
async fn a_file_of_equal_size_and_old_time_renamed_over_another_is_seen() {
    let mut lab = Lab::watched();
    lab.put("one.part", b"first");
    set_modified(&lab.root.join("one.part"), long_ago());
    fs_err::rename(lab.root.join("one.part"), lab.root.join("a.bmp")).unwrap();
    let first = lab.done().await;
    lab.put("two.part", b"other");
    set_modified(&lab.root.join("two.part"), long_ago());
    fs_err::rename(lab.root.join("two.part"), lab.root.join("a.bmp")).unwrap();
    if first.stamp.inode == 0 {
        return; // A file system whose stamps cannot tell.
    }
    let second = lab.done().await;
    assert_eq!(second.path, first.path);
    assert_eq!(
        (second.stamp.size, second.stamp.mtime_ns),
        (first.stamp.size, first.stamp.mtime_ns)
    );
    assert_ne!(second.stamp, first.stamp);
}

#[tokio::test]
async fn a_subfolder_that_arrives_with_files_in_it_is_found() {
    let mut lab = Lab::watched();
    let aside = lab.root.parent().unwrap().join("aside");
    for index in 0..5 {
        put(&aside, &format!("deep/{index}.bmp"), b"cell");
    }
    fs_err::rename(&aside, lab.root.join("slide")).unwrap();
    let times = lab.collect(5).await;
    assert!(times.keys().all(|path| path.starts_with("slide/deep/")), "{times:?}");
}

#[tokio::test]
async fn links_and_fifos_are_refused_and_counted() {
    let mut lab = Lab::prepared(
        |root| {
            let outside = root.parent().unwrap().join("outside");
            put(&outside, "secret.bmp", b"secret");
            std::os::unix::fs::symlink(outside.join("secret.bmp"), root.join("link.bmp")).unwrap();
            std::os::unix::fs::symlink(&outside, root.join("door")).unwrap();
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            rustix::fs::mkfifoat(rustix::fs::CWD, root.join("pipe.bmp"), mode).unwrap();
            put(root, "a.bmp", b"cell");
        },
        |_, _| {},
    );
    assert_eq!(lab.done().await.path.path, "a.bmp");
    lab.nothing_more().await;
    assert_eq!(lab.state().refused, 3);
}

#[tokio::test]
async fn what_the_globs_exclude_is_ignored_and_counted() {
    let mut lab = Lab::prepared(
        |root| {
            for file in ["A.BMP", "b.txt", ".hidden/c.bmp", "~d.bmp", "thumbs.DB", "old/e.bmp"] {
                put(root, file, b"cell");
            }
        },
        |watch, _| watch.ignore.push("old".to_owned()),
    );
    assert_eq!(lab.done().await.path.path, "A.BMP");
    lab.nothing_more().await;
    assert_eq!(lab.state().ignored, 5);
}

#[tokio::test]
async fn an_unreadable_subfolder_is_a_problem_and_not_the_end() {
    if rustix::process::geteuid().is_root() {
        return; // Root reads everything.
    }
    use std::os::unix::fs::PermissionsExt;
    let closed = std::fs::Permissions::from_mode(0o000);
    let mut lab = Lab::prepared(
        |root| {
            put(root, "closed/a.bmp", b"cell");
            put(root, "open/b.bmp", b"cell");
            fs_err::set_permissions(root.join("closed"), closed).unwrap();
        },
        |_, _| {},
    );
    assert_eq!(lab.done().await.path.path, "open/b.bmp");
    lab.until("told", |state| {
        state.problem.as_deref().is_some_and(|problem| problem.contains("closed"))
    })
    .await;
    assert!(lab.state().reachable);
    fs_err::set_permissions(lab.root.join("closed"), std::fs::Permissions::from_mode(0o700))
        .unwrap();
    assert_eq!(lab.done().await.path.path, "closed/a.bmp");
}

#[tokio::test]
async fn a_name_that_is_not_utf8_is_reported_and_the_others_go_on() {
    let mut lab = Lab::open(|_, _| {});
    let odd = lab.root.join(std::ffi::OsStr::from_bytes(b"bad\xff.bmp"));
    if fs_err::write(odd, b"cell").is_err() {
        return; // A file system that takes only UTF-8 names.
    }
    lab.put("good.bmp", b"cell");
    assert_eq!(lab.done().await.path.path, "good.bmp");
    lab.until("told", |state| {
        state.problem.as_deref().is_some_and(|problem| problem.contains("UTF-8"))
    })
    .await;
    assert!(lab.state().problem_since.is_some());
}

#[tokio::test]
async fn a_missing_folder_is_degraded_and_recovers_by_itself() {
    let mut lab = Lab::open(|watch, root| {
        watch.mode = WatchMode::Watch;
        watch.folders = vec![root.join("later")];
    });
    lab.until("unreachable", |state| state.problem.is_some()).await;
    let state = lab.state();
    assert!(!state.reachable);
    assert!(state.problem.unwrap().contains("does not exist"));
    lab.put("later/a.bmp", b"cell");
    assert_eq!(lab.done().await.path.path, "a.bmp");
    lab.until("well", |state| state.reachable && state.problem.is_none()).await;
}

#[tokio::test]
async fn a_folder_that_goes_and_comes_back_hands_nothing_over_twice() {
    let mut lab = Lab::watched();
    lab.put("a.bmp", b"cell");
    lab.done().await;
    let aside = lab.root.parent().unwrap().join("aside");
    fs_err::rename(&lab.root, &aside).unwrap();
    lab.until("unreachable", |state| !state.reachable).await;
    fs_err::rename(&aside, &lab.root).unwrap();
    lab.until("reachable", |state| state.reachable).await;
    lab.nothing_more().await;
    // The watcher follows: with a rescan only each minute, an event must have told of this one.
    lab.put("b.bmp", b"cell");
    assert_eq!(lab.done().await.path.path, "b.bmp");
}

#[tokio::test]
async fn a_pending_capture_outlives_the_absence_of_its_folder() {
    let mut lab = Lab::open(|watch, _| watch.settle_interval = Span::from_millis(500));
    lab.put("a.bmp", b"cell");
    lab.until("seen", |state| state.settling == 1).await;
    let aside = lab.root.parent().unwrap().join("aside");
    fs_err::rename(&lab.root, &aside).unwrap();
    lab.until("unreachable", |state| !state.reachable).await;
    assert_eq!(lab.state().settling, 1);
    fs_err::rename(&aside, &lab.root).unwrap();
    assert_eq!(lab.done().await.path.path, "a.bmp");
}

#[tokio::test]
async fn a_folder_that_must_be_a_mount_point_is_degraded_until_it_is() {
    let mut lab = Lab::open(|watch, _| watch.require_mount = true);
    lab.put("a.bmp", b"cell");
    lab.until("told", |state| {
        state.problem.as_deref().is_some_and(|problem| problem.contains("no mount point"))
    })
    .await;
    lab.nothing_more().await;
    assert!(!lab.state().reachable);
}

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
    lab.nothing_lost(50).await;
}

impl Lab {
    async fn nothing_lost(&mut self, count: usize) {
        assert_eq!(self.collect(count).await.len(), count);
        self.nothing_more().await;
    }
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
    assert_eq!(captures.recv().await, None);
    assert!(ingest.status().is_empty());
}
