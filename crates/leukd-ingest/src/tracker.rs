//! Which files are on their way: the pure state machine. No I/O; time is passed in.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use leukd_journal::result::Timestamp;
use leukd_journal::types::FileStamp;

/// The most files of one folder that are tracked at once (some 5 MB). Further ones wait on disk:
/// the disk is the queue.
pub const MAX_PENDING: usize = 16_384;

/// The first wait after [`Verdict::Retry`]; each further one is twice as long, up to
/// [`RETRY_MOST`].
pub const RETRY_FIRST: Duration = Duration::from_millis(250);

/// The longest wait after [`Verdict::Retry`].
pub const RETRY_MOST: Duration = Duration::from_secs(30);

/// The shortest wait before a file whose metadata could not be read is looked at again.
const UNREADABLE_WAIT: Duration = Duration::from_secs(1);

/// When a file is settled, and how long a broken one is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// So many looks in a row, the first included, must see the same stamp.
    pub looks: u32,
    /// The shortest time between two looks that count.
    pub interval: Duration,
    /// How long a file may stand unchanged after a [`Verdict::NotYet`] before its last chance.
    pub broken_after: Duration,
    /// The most files tracked at once.
    pub max_pending: usize,
}

/// Now, by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// For waiting.
    pub mono: Duration,
    /// For people.
    pub wall: Timestamp,
}

/// What became of a capture that was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Its result or rejection is in the journal, or the file is gone: nothing more to do.
    Finished,
    /// It is not whole yet, for the reason given. It is handed again when it changes, or, for the
    /// last time, when it has stood unchanged for `broken_after`.
    NotYet(String),
    /// leukd's own fault (journal full, worker lost): handed again after a while that doubles each
    /// time.
    Retry,
}

/// What [`Tracker::look`] made of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// It is tracked.
    Tracked,
    /// There is no room: it waits on disk.
    NoRoom,
}

/// A file that is about to be handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The id of the result to come, and of every log line on the way there.
    pub result_id: Uuid,
    /// Its settled state.
    pub stamp: FileStamp,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// It has been broken and unchanged for `broken_after`: decide now.
    pub last_chance: bool,
}

/// How many files are where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Not settled, or settled and found incomplete.
    pub settling: u64,
    /// Settled: waiting for a place, with the pipeline, or resting after a retry.
    pub queued: u64,
    /// When the oldest of all was first seen.
    pub oldest: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Settling { looks: u32 },
    Ready,
    Handed { changed: bool },
    Waiting,
    Resting,
}

#[derive(Debug)]
struct File {
    /// From its discovery to its verdict.
    result_id: Uuid,
    stamp: FileStamp,
    first_seen: Timestamp,
    unchanged_since: Duration,
    stage: Stage,
    /// When the next look counts; none while ready or handed.
    due: Option<Duration>,
    /// Its place among the ready ones: the modification time it had when it became ready.
    order: i64,
    retries: u32,
    last_chance: bool,
}

/// The files of one folder that are between their discovery and their verdict.
#[derive(Debug)]
pub struct Tracker {
    rules: Rules,
    files: HashMap<Arc<str>, File>,
    due: BTreeSet<(Duration, Arc<str>)>,
    ready: BTreeSet<(i64, Arc<str>)>,
}

impl Tracker {
    /// An empty one.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, files: HashMap::new(), due: BTreeSet::new(), ready: BTreeSet::new() }
    }

    /// The files that are tracked.
    pub fn paths(&self) -> impl ExactSizeIterator<Item = &str> {
        self.files.keys().map(AsRef::as_ref)
    }

    /// Whether the file is tracked.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// How many more files can be tracked.
    #[must_use]
    pub fn room(&self) -> usize {
        self.rules.max_pending.saturating_sub(self.files.len())
    }

    /// The file was seen with this stamp.
    pub fn look(&mut self, path: &str, stamp: FileStamp, now: Moment) -> Looked {
        let Some((key, file)) = self.files.get_key_value(path) else {
            return self.begin(path, stamp, now);
        };
        let key = Arc::clone(key);
        let (stage, changed) = (file.stage, file.stamp != stamp);
        let is_due = file.due.is_some_and(|due| due <= now.mono);
        match stage {
            Stage::Handed { .. } if changed => {
                self.restamp(&key, stamp, now);
                self.enter(&key, Stage::Handed { changed: true }, None);
            }
            _ if changed => {
                self.restamp(&key, stamp, now);
                self.enter(
                    &key,
                    Stage::Settling { looks: 1 },
                    Some(after(now, self.rules.interval)),
                );
            }
            Stage::Settling { looks } if is_due => {
                let looks = looks + 1;
                if looks >= self.rules.looks {
                    self.enter(&key, Stage::Ready, None);
                } else {
                    let due = after(now, self.rules.interval);
                    self.enter(&key, Stage::Settling { looks }, Some(due));
                }
            }
            Stage::Waiting if is_due => {
                if let Some(file) = self.files.get_mut(&key) {
                    file.last_chance = true;
                }
                self.enter(&key, Stage::Ready, None);
            }
            Stage::Resting if is_due => self.enter(&key, Stage::Ready, None),
            _ => {}
        }
        Looked::Tracked
    }

    fn begin(&mut self, path: &str, stamp: FileStamp, now: Moment) -> Looked {
        if self.room() == 0 {
            return Looked::NoRoom;
        }
        let key: Arc<str> = Arc::from(path);
        let result_id = Uuid::now_v7();
        tracing::debug!(%result_id, path, size = stamp.size, "found");
        let file = File {
            result_id,
            stamp,
            first_seen: now.wall,
            unchanged_since: now.mono,
            stage: Stage::Settling { looks: 1 },
            due: None,
            order: 0,
            retries: 0,
            last_chance: false,
        };
        self.files.insert(Arc::clone(&key), file);
        self.enter(&key, Stage::Settling { looks: 1 }, Some(after(now, self.rules.interval)));
        Looked::Tracked
    }

    /// The file is there but its metadata could not be read: it has to settle anew.
    pub fn unreadable(&mut self, path: &str, now: Moment) {
        let Some((key, file)) = self.files.get_key_value(path) else { return };
        if matches!(file.stage, Stage::Handed { .. }) {
            return;
        }
        let due = after(now, self.rules.interval.max(UNREADABLE_WAIT));
        self.enter(&Arc::clone(key), Stage::Settling { looks: 0 }, Some(due));
    }

    /// The file is no longer there. One that is with the pipeline stays until its verdict.
    pub fn vanished(&mut self, path: &str) {
        if self.files.get(path).is_some_and(|file| !matches!(file.stage, Stage::Handed { .. })) {
            self.remove(path);
        }
    }

    /// The ready file that is next: the one modified first.
    #[must_use]
    pub fn next_ready(&self) -> Option<Arc<str>> {
        self.ready.first().map(|(_, path)| Arc::clone(path))
    }

    /// Hands the file over, if it is (still) ready; it is not ready again before a verdict.
    pub fn take(&mut self, path: &str) -> Option<Taken> {
        let (key, file) = self.files.get_key_value(path)?;
        if file.stage != Stage::Ready {
            return None;
        }
        let taken = Taken {
            result_id: file.result_id,
            stamp: file.stamp,
            first_seen: file.first_seen,
            last_chance: file.last_chance,
        };
        tracing::debug!(result_id = %file.result_id, path, "handed over");
        self.enter(&Arc::clone(key), Stage::Handed { changed: false }, None);
        Some(taken)
    }

    /// What became of a file that was handed over. Returns whether the folder should be scanned
    /// soon, because the file changed while the pipeline had it. A verdict on any other file is
    /// ignored.
    pub fn verdict(&mut self, path: &str, verdict: &Verdict, now: Moment) -> bool {
        let Some((key, file)) = self.files.get_key_value(path) else { return false };
        let Stage::Handed { changed } = file.stage else { return false };
        let key = Arc::clone(key);
        tracing::debug!(result_id = %file.result_id, path, changed, ?verdict, "verdict");
        match verdict {
            Verdict::Finished => {
                self.remove(&key);
                return changed;
            }
            Verdict::NotYet(_) | Verdict::Retry if changed => {
                self.enter(
                    &key,
                    Stage::Settling { looks: 1 },
                    Some(after(now, self.rules.interval)),
                );
            }
            Verdict::NotYet(_) => {
                // After a last chance the wait begins again, so that no verdict makes a busy loop.
                let since = if file.last_chance { now.mono } else { file.unchanged_since };
                let due = since
                    .saturating_add(self.rules.broken_after)
                    .max(after(now, self.rules.interval));
                self.enter(&key, Stage::Waiting, Some(due));
            }
            Verdict::Retry => {
                let wait =
                    RETRY_FIRST.saturating_mul(2_u32.saturating_pow(file.retries)).min(RETRY_MOST);
                if let Some(file) = self.files.get_mut(&key) {
                    file.retries = file.retries.saturating_add(1);
                }
                self.enter(&key, Stage::Resting, Some(after(now, wait)));
            }
        }
        false
    }

    /// At most `limit` files that are to be looked at now.
    #[must_use]
    pub fn due(&self, now: Duration, limit: usize) -> Vec<Arc<str>> {
        let due = self.due.iter().take_while(|(at, _)| *at <= now);
        due.take(limit).map(|(_, path)| Arc::clone(path)).collect()
    }

    /// When the next look is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        self.due.first().map(|(at, _)| *at)
    }

    /// How many files are where.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for file in self.files.values() {
            match file.stage {
                Stage::Settling { .. } | Stage::Waiting => counts.settling += 1,
                Stage::Ready | Stage::Handed { .. } | Stage::Resting => counts.queued += 1,
            }
            let first = file.first_seen;
            counts.oldest = Some(counts.oldest.map_or(first, |oldest| oldest.min(first)));
        }
        counts
    }

    fn restamp(&mut self, key: &Arc<str>, stamp: FileStamp, now: Moment) {
        if let Some(file) = self.files.get_mut(key) {
            tracing::debug!(result_id = %file.result_id, path = &**key, size = stamp.size, "changed");
            file.stamp = stamp;
            file.unchanged_since = now.mono;
            file.retries = 0;
            file.last_chance = false;
        }
    }

    /// The one place that moves a file from stage to stage, so that `due` and `ready` agree with
    /// `files`.
    fn enter(&mut self, key: &Arc<str>, stage: Stage, due: Option<Duration>) {
        let Some(file) = self.files.get_mut(key) else { return };
        if let Some(at) = file.due {
            self.due.remove(&(at, Arc::clone(key)));
        }
        if file.stage == Stage::Ready {
            self.ready.remove(&(file.order, Arc::clone(key)));
        }
        (file.stage, file.due) = (stage, due);
        if let Some(at) = due {
            self.due.insert((at, Arc::clone(key)));
        }
        if stage == Stage::Ready {
            tracing::debug!(result_id = %file.result_id, path = &**key, "settled");
            file.order = file.stamp.mtime_ns;
            self.ready.insert((file.order, Arc::clone(key)));
        }
    }

    fn remove(&mut self, path: &str) {
        if let Some((key, file)) = self.files.remove_entry(path) {
            if let Some(at) = file.due {
                self.due.remove(&(at, Arc::clone(&key)));
            }
            if file.stage == Stage::Ready {
                self.ready.remove(&(file.order, key));
            }
        }
    }
}

/// A configured span may be as long as the type allows.
fn after(now: Moment, wait: Duration) -> Duration {
    now.mono.saturating_add(wait)
}

#[cfg(test)]
#[path = "tracker_tests.rs"]
mod tests;
