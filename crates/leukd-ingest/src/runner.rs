//! One folder's thread: scan, look, hand over, wait.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::known::Known;
use super::pace::Pace;
use super::place::{self, Place};
use super::scan::{Step, Walk};
use super::settings::FolderRules;
use super::shared::{Shared, lock};
use super::state::Settled;
use super::tally::Tally;
use super::tracker::{Looked, Moment};
use super::watcher::Hints;
use super::{Ledger, stamp};
use crate::watch::WatchMode;
use leukd_journal::clock::Clock;
use leukd_journal::result::CapturePath;
use leukd_journal::types::FileStamp;

/// The thread turns at least this often, so that the watchdog sees it live.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// With captures ready and the channel full, how soon it is tried again; a verdict wakes the thread
/// sooner.
const FULL_WAIT: Duration = Duration::from_millis(100);
/// Looks between two signs of life.
const BATCH: usize = 512;
/// Entries of a scan between two glances at what else is due.
const GLANCE: u64 = 64;
/// The most done-markers of one folder that wait at once for captures of their specimens; the
/// others wait on disk.
const MOST_MARKERS: usize = 1024;
/// With more captures than this on their way a marker waits for the next scan.
const FEW: usize = 256;
/// How long a watcher that failed is left alone.
const WATCHER_RETRY: Duration = Duration::from_secs(60);

/// One folder's thread.
pub(super) struct Runner {
    rules: Arc<FolderRules>,
    folder: PathBuf,
    ledger: Arc<dyn Ledger>,
    clock: Clock,
    shared: Arc<Shared>,
    sender: mpsc::Sender<Settled>,
    pace: Pace,
    known: Known,
    place: Option<Place>,
    hints: Option<Hints>,
    hints_problem: Option<String>,
    hints_retry: Duration,
    /// Captures that the last scan left on disk.
    left: u64,
    /// Done-markers that the last scan found, and that need something still.
    markers: Vec<(String, FileStamp)>,
}

impl Runner {
    pub(super) fn new(
        rules: Arc<FolderRules>,
        ledger: Arc<dyn Ledger>,
        clock: Clock,
        shared: Arc<Shared>,
        sender: mpsc::Sender<Settled>,
    ) -> Self {
        Self {
            folder: PathBuf::from(&rules.folder),
            rules,
            ledger,
            clock,
            shared,
            sender,
            pace: Pace::default(),
            known: Known::default(),
            place: None,
            hints: None,
            hints_problem: None,
            hints_retry: Duration::ZERO,
            left: 0,
            markers: Vec::new(),
        }
    }

    /// Until told to stop, or until nobody receives any more.
    pub(super) fn run(self) {
        // Also when the thread panics, and only once `turn` has dropped the sender: the receiver
        // sees the end.
        let _end = FinishOnDrop(Arc::clone(&self.shared));
        self.turn();
    }

    fn turn(mut self) {
        while !self.over() {
            self.shared.beat();
            let due = self.pace.next(self.interval(), self.shared.signal.hinted());
            if due <= self.clock.monotonic() {
                self.scan_or_say_why_not();
            }
            self.serve();
            if lock(&self.shared.tracker).paths().len() <= FEW {
                self.serve_markers();
            }
            self.shared.beat();
            self.shared.signal.wait(self.wait());
        }
    }

    fn over(&self) -> bool {
        self.shared.signal.stopping() || self.sender.is_closed()
    }

    fn now(&self) -> Moment {
        Moment { mono: self.clock.monotonic(), wall: self.clock.wall() }
    }

    fn interval(&self) -> Duration {
        if self.hints.is_some() { self.rules.rescan_interval } else { self.rules.poll_interval }
    }

    fn wait(&self) -> Duration {
        let now = self.clock.monotonic();
        let scan = self.pace.next(self.interval(), self.shared.signal.hinted());
        let tracker = lock(&self.shared.tracker);
        let look = if self.place.is_some() { tracker.next_due() } else { None };
        let next = look.map_or(scan, |look| look.min(scan)).saturating_sub(now);
        let full = if tracker.next_ready().is_some() { FULL_WAIT } else { LONGEST_WAIT };
        next.min(full)
    }

    fn scan_or_say_why_not(&mut self) {
        let began = self.clock.monotonic();
        self.shared.signal.take_hint();
        if self.reach() {
            self.watch();
            self.scan(began);
        }
        self.pace.scanned(began, self.clock.monotonic());
    }

    /// Whether the folder is there. Nothing is ever concluded about its files while it is not.
    fn reach(&mut self) -> bool {
        match place::probe(&self.rules) {
            Ok(place) => {
                if self.place.as_ref() != Some(&place) {
                    // A watcher follows the folder that was, not the path.
                    self.hints = None;
                    self.hints_problem = None;
                    self.hints_retry = Duration::ZERO;
                    tracing::info!(
                        folder = self.rules.folder,
                        file_system = place.file_systems(),
                        "export folder reached"
                    );
                }
                let mut found = lock(&self.shared.found);
                found.file_system = place.file_systems();
                found.reachable = true;
                drop(found);
                self.place = Some(place);
                true
            }
            Err(problem) => {
                self.place = None;
                self.hints = None;
                lock(&self.shared.found).reachable = false;
                self.say(Some(problem));
                false
            }
        }
    }

    /// Starts, keeps or gives up the watcher.
    fn watch(&mut self) {
        let tells = self.place.as_ref().is_some_and(Place::tells);
        let wanted = match self.rules.mode {
            WatchMode::Auto => tells,
            WatchMode::Watch => true,
            WatchMode::Poll => false,
        };
        let now = self.clock.monotonic();
        if let Some(problem) = self.hints.as_ref().and_then(|hints| hints.failure(&self.folder)) {
            self.hints = None;
            self.hints_problem = Some(problem);
            self.hints_retry = now + WATCHER_RETRY;
        }
        if wanted && self.hints.is_none() && now >= self.hints_retry {
            match Hints::start(&self.folder, self.rules.recursive, &self.shared) {
                Ok(hints) => {
                    self.hints = Some(hints);
                    self.hints_problem = None;
                }
                Err(problem) => {
                    self.hints_problem = Some(problem);
                    self.hints_retry = now + WATCHER_RETRY;
                }
            }
        }
        lock(&self.shared.found).mode = if self.hints.is_some() { "watch" } else { "poll" };
    }

    fn scan(&mut self, began: Duration) {
        let mut tally = Tally::default();
        let mut walk = Walk::new(&self.rules, self.steady());
        self.known.begin_scan();
        self.markers.clear();
        let mut seen = 0_u64;
        for step in walk.by_ref() {
            match step {
                Step::Capture(path, stamp) => self.meet(path, stamp, &mut tally),
                Step::Marker(path, stamp) => {
                    if !self.known.is_done(&path, &stamp) && self.markers.len() < MOST_MARKERS {
                        self.markers.push((path, stamp));
                    }
                }
                Step::Problem(problem) => tally.problem(problem),
                Step::Passed => {}
            }
            seen += 1;
            if seen.is_multiple_of(GLANCE) {
                if self.over() {
                    return;
                }
                self.serve();
                self.shared.beat();
            }
        }
        let now = self.now();
        for (path, stamp) in tally.take_candidates() {
            if lock(&self.shared.tracker).look(&path, stamp, now) == Looked::NoRoom {
                tally.left += 1;
            }
        }
        self.left = tally.left;
        if tally.blind {
            // Captures that were not seen may be of any specimen.
            self.markers.clear();
        }
        self.serve_markers();
        let mut found = lock(&self.shared.found);
        found.ignored = walk.ignored();
        found.refused = walk.refused();
        found.waiting_on_disk = tally.left;
        found.last_scan_at = Some(now.wall);
        found.last_scan_took = Some(now.mono.saturating_sub(began));
        drop(found);
        self.say(tally.summary(self.hints_problem.as_deref()));
    }

    /// One file of a scan: tracked already, done, or new.
    fn meet(&mut self, path: String, stamp: FileStamp, tally: &mut Tally) {
        let now = self.now();
        let mut tracker = lock(&self.shared.tracker);
        if tracker.contains(&path) {
            tracker.look(&path, stamp, now);
            return;
        }
        drop(tracker);
        if tally.blind || self.known.is_done(&path, &stamp) {
            return;
        }
        let capture = self.capture(path);
        match self.ledger.lookup(&capture) {
            Ok(Some(row)) if row.stamp == stamp => self.known.done(&capture.path, &stamp),
            Ok(_) if self.left == 0 => {
                if lock(&self.shared.tracker).look(&capture.path, stamp, now) == Looked::NoRoom {
                    tally.left += 1;
                }
            }
            Ok(_) => {
                let room = lock(&self.shared.tracker).room();
                tally.candidate(capture.path, stamp, room);
            }
            Err(problem) => {
                tally.blind = true;
                tally.problem(format!("the journal cannot be asked: {problem}"));
            }
        }
    }

    /// Looks that are due, then captures that are ready. Neither before the folder was reached.
    fn serve(&mut self) {
        if self.place.is_none() {
            return;
        }
        let due = lock(&self.shared.tracker).due(self.clock.monotonic(), BATCH);
        for path in due {
            if self.over() || !self.look(&path) {
                return;
            }
        }
        for _ in 0..BATCH {
            let permit = match self.sender.clone().try_reserve_owned() {
                Ok(permit) => permit,
                Err(TrySendError::Full(_) | TrySendError::Closed(_)) => return,
            };
            let Some(path) = lock(&self.shared.tracker).next_ready() else { break };
            // It may have waited long: what is handed over is what is there now.
            if !self.look(&path) {
                return;
            }
            if let Some(taken) = lock(&self.shared.tracker).take(&path) {
                permit.send(Settled {
                    result_id: taken.result_id,
                    path: self.capture(path.as_ref().to_owned()),
                    stamp: taken.stamp,
                    captured_at: stamp::modified(&taken.stamp),
                    first_seen: taken.first_seen,
                    last_chance: taken.last_chance,
                });
            }
        }
        let room = lock(&self.shared.tracker).room();
        if self.left > 0 && room >= self.rules.tracking.max_pending / 2 {
            self.shared.signal.hint();
        }
    }

    /// Done-markers of specimens of which no capture is on its way.
    fn serve_markers(&mut self) {
        let Some(rules) = self.rules.markers.as_ref().filter(|_| !self.markers.is_empty()) else {
            return;
        };
        // What waits on disk may be of any specimen.
        if self.place.is_none() || self.left > 0 {
            return;
        }
        let busy: HashSet<String> = {
            let tracker = lock(&self.shared.tracker);
            tracker.paths().map(|path| rules.specimen_of_capture(path)).collect()
        };
        let mut wait = Vec::new();
        for (path, stamp) in std::mem::take(&mut self.markers) {
            let specimen = rules.specimen(&path);
            if busy.contains(&specimen) || self.over() {
                wait.push((path, stamp));
                continue;
            }
            self.shared.beat();
            match self.ledger.marked(&specimen, &self.capture(path.clone()), &stamp) {
                Ok(true) => self.known.done(&path, &stamp),
                // The next scan finds it again.
                Ok(false) => {}
                Err(problem) => tracing::debug!(
                    folder = self.rules.folder,
                    path,
                    problem,
                    "a done-marker waits"
                ),
            }
        }
        self.markers = wait;
    }

    /// One look at one file; false when the whole folder is gone.
    fn look(&mut self, path: &str) -> bool {
        self.shared.beat();
        let outcome = std::fs::symlink_metadata(self.folder.join(path));
        let now = self.now();
        match outcome {
            Ok(metadata) if metadata.is_file() => {
                let stamp = stamp::of(&metadata, self.steady());
                lock(&self.shared.tracker).look(path, stamp, now);
            }
            Ok(_) => lock(&self.shared.tracker).vanished(path),
            Err(error) if is_gone(&error) => {
                if !self.reach() {
                    return false;
                }
                lock(&self.shared.tracker).vanished(path);
            }
            Err(error) => {
                lock(&self.shared.tracker).unreadable(path, now);
                tracing::debug!(folder = self.rules.folder, path, %error, "cannot be looked at");
                return self.reach();
            }
        }
        true
    }

    fn steady(&self) -> bool {
        self.place.as_ref().is_some_and(|place| place.kind.steady)
    }

    fn capture(&self, path: String) -> CapturePath {
        CapturePath { folder: self.rules.folder.clone(), path }
    }

    /// Keeps the problem for the status, and logs it when it is another one than before.
    fn say(&self, problem: Option<String>) {
        let mut found = lock(&self.shared.found);
        if found.problem == problem {
            return;
        }
        match &problem {
            Some(problem) => tracing::warn!(folder = self.rules.folder, "{problem}"),
            None => tracing::info!(folder = self.rules.folder, "export folder recovered"),
        }
        if found.problem.is_none() || problem.is_none() {
            found.problem_since = problem.is_some().then(|| self.clock.wall());
        }
        found.problem = problem;
    }
}

/// `NotADirectory`: a subfolder gave way to a file.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Says that the thread has ended, however it ended.
struct FinishOnDrop(Arc<Shared>);

impl Drop for FinishOnDrop {
    fn drop(&mut self) {
        self.0.finish();
    }
}

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;
