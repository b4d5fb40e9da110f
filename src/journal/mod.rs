//! Results that survive: store, ledger, cursor, retention.
//!
//! One SQLite file in the state directory holds the events (results, what people say of them, and what was counted of a
//! specimen: what clients see,
//! numbered 1, 2, 3, … without holes within one epoch) and the ledger (what became of each file). Both change in one
//! transaction, so that a capture is done if and only if its result is stored. A commit is answered, and
//! its result published, only after it is on the disk.
//!
//! # What an entry becomes
//!
//! The writer decides, inside its transaction, never the caller: two captures of equal bytes may be under
//! way at once. Identity is content. A result is *live* while no later result supersedes it; no two live
//! folder results have the same bytes (an index of the schema sees to it).
//!
//! 1. Bytes that have a live folder result keep it: the file's ledger row leads there, and the answer is
//!    [`Committed::Known`]. A rename, a copy, a re-export or a touch gives no
//!    second result. This holds for rejections too, as long as the new finding is one as well.
//! 2. Bytes whose live result is a rejection, and which could now be classified, get a new result. It
//!    supersedes the rejection, and every file that led to the rejection leads to the new result.
//! 3. Other bytes get a new result. If the file's row led to an earlier result, the new one supersedes it,
//!    **unless another file's row still leads there**: that file still shows those bytes, and its cell
//!    must not be lost. Whichever file leaves a result last supersedes it, whoever it was named after.
//!    So X, then Y, then X again under one name gives three results, each superseding the one before.
//! 4. A file that could not be read has no bytes to know it by. It shares nothing; the same state of the
//!    same file is answered with the result that it has.
//! 5. Only a new result supersedes. A file that is overwritten with bytes that have a live result already
//!    leads there, and its own earlier result stays live, as it would if the file were deleted. So the live
//!    results are exactly those that no stored result names in `supersedes`: a client that follows the
//!    stream counts what [`Journal::specimen`] counts.
//! 6. Requests are known by bytes, ids and model among themselves. They neither give results to files nor
//!    take them.
//!
//! # What people say of a result
//!
//! A review is an event of its own, in the same sequence. It changes no result: how a result stands follows from its
//! reviews, of which the latest counts. Only a live result is reviewed. A review holds a copy of what it is about, and
//! goes when its own number is among the oldest, not when its result does.
//!
//! # When a specimen is told
//!
//! A specimen that has been quiet for a while, or whose done-marker appeared, gets an event that says what was counted.
//! Further results open it again, and lead to another one. What is open follows from the tables.
//!
//! # What is removed
//!
//! Retention removes the oldest events and nothing else. Ledger rows stay, so that a file whose result is
//! gone is not classified again as long as it is not touched. When it is, it gets a new result which names
//! the removed one in `supersedes`. Sequences are never given twice, even when everything was removed.

use std::collections::VecDeque;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::Clock;

pub mod audit;
mod auditor;
mod believed;
pub mod check;
pub mod crash;
mod error;
mod event;
pub mod filter;
mod follow;
pub mod images;
mod intake;
mod lock;
mod measured;
mod outline;
mod owed;
mod quality_text;
mod query;
mod reader;
pub mod recover;
mod retention;
mod review_row;
mod reviews;
mod row;
mod schema;
mod settle;
mod specimen;
mod specimen_row;
mod specimens;
mod tables;
mod tail;
mod training;
pub mod types;
mod writer;

pub use audit::{AuditEvent, AuditHead};
pub use believed::ClockDoubt;
pub use error::JournalError;
pub use event::Event;
pub use follow::Follower;
pub use measured::Measured;
pub use outline::{Opinion, Outline};
pub use query::{FolderCounts, ListQuery, Lookup, MAX_READ, Page};
pub use reviews::{NewReview, ReviewError, ReviewPage, ReviewQuery, Submitted};
pub use specimen::{MAX_SLIDES, SlideCounts, SpecimenCounts, SpecimenQuery, Tally};
pub use specimens::{Marked, OpenSpecimens};
pub use tail::Batch;
pub use training::{ReviewedCell, reviewed_cells};

use types::{Bounds, Committed, Entry};

/// The journal's file in the state directory.
pub const FILE: &str = "journal.sqlite";

/// How many of the newest events are held in memory, unless [`Options::tail`] says otherwise.
pub const TAIL: usize = 4096;

/// How a journal is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Tells when a result is too old.
    pub clock: Clock,
    /// Results classified and reviews stored longer ago are removed by [`Journal::prune`]. None: no age is too old.
    pub keep_for: Option<Duration>,
    /// Only so many of the newest events are kept by [`Journal::prune`]. None: all.
    pub keep_count: Option<u64>,
    /// With fewer free bytes on the file system nothing is stored.
    pub disk_floor: u64,
    /// How many of the newest events are held in memory. None: [`TAIL`].
    pub tail: Option<usize>,
    /// The daemon that opens it, for the audit chain. None: the chain tells of no start.
    pub run: Option<audit::Run>,
}

impl Options {
    /// Keeps everything, without a floor.
    #[must_use]
    pub const fn new(clock: Clock) -> Self {
        Self { clock, keep_for: None, keep_count: None, disk_floor: 0, tail: None, run: None }
    }
}

/// The journal as `GetStatus` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The journal's epoch.
    pub epoch: String,
    /// The ends of what is stored.
    pub bounds: Bounds,
    /// The size of its files, in bytes.
    pub size_bytes: u64,
    /// The newest record of the audit chain.
    pub audit: AuditHead,
    /// Free bytes on its file system.
    pub free_bytes: u64,
    /// With fewer free bytes nothing is stored.
    pub floor_bytes: u64,
}

/// The durable results. Cheap to clone; the last clone to go closes the file.
#[derive(Debug, Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

/// A journal that is used only as long as somebody else keeps it open.
#[derive(Debug, Clone, Default)]
pub struct WeakJournal(std::sync::Weak<Inner>);

impl WeakJournal {
    /// The journal, if it is still open.
    #[must_use]
    pub fn upgrade(&self) -> Option<Journal> {
        self.0.upgrade().map(|inner| Journal { inner })
    }
}

#[derive(Debug)]
struct Inner {
    // In this order: the writer's connection is the last to close, which folds the write-ahead log into
    // the file, and only then may another daemon come.
    readers: reader::Readers,
    writer: WriterThread,
    shared: Arc<writer::Shared>,
    marks: crash::Marks,
    _lock: lock::DirectoryLock,
}

#[derive(Debug)]
struct WriterThread {
    queue: Option<mpsc::Sender<writer::Work>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the journal's writer had panicked");
        }
    }
}

impl Journal {
    /// Opens the journal in `directory`, makes it when there is none, brings an older one up to date, and
    /// counts the captures that were in work when the last process died. Blocks.
    ///
    /// # Errors
    /// [`JournalError::Locked`], [`JournalError::Newer`], [`JournalError::Damaged`] or
    /// [`JournalError::Storage`]. The file is never replaced. On a full disk a journal that is there opens all the same: it
    /// can be read, and what the chain tells of this start is written as soon as there is space.
    pub fn open(directory: &Path, options: Options) -> Result<Self, JournalError> {
        let Options { clock, keep_for, keep_count, disk_floor, tail, run } = options;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(directory)
            .map_err(|error| JournalError::io(directory, &error))?;
        let lock = lock::DirectoryLock::take(directory)?;
        let file = directory.join(FILE);
        let (mut connection, mut meta) = schema::open_writer(&file, clock.wall())?;
        // An older file than the one that was written last: numbers that clients know would be given again.
        if let Some(last) = &lock.last
            && last.epoch == meta.epoch
            && last.next > meta.next_sequence
        {
            schema::begin_epoch(&mut connection, &file, &mut meta, last.next, clock.wall())?;
        }
        let water_mark = lock.water_mark().map_err(|error| JournalError::io(&file, &error))?;
        water_mark.note(&meta.epoch, meta.next_sequence);
        let mut owed = owed::Owed::default();
        if let Some(run) = run {
            owed.start(clock.wall(), run);
        }
        let marks = crash::Marks::open(directory, &mut connection, &file, clock.wall())?;
        let tail = load_tail(&connection, meta.next_sequence, tail.unwrap_or(TAIL))
            .map_err(|error| JournalError::sqlite(&file, &error))?;

        let shared = Arc::new(writer::Shared {
            file: file.clone(),
            directory: directory.to_owned(),
            epoch: meta.epoch,
            disk_floor,
            newest: watch::Sender::new(tail.bounds().newest),
            tail: RwLock::new(tail),
            followers: follow::Followers::default(),
            audit: Mutex::new(meta.chain.head),
            owed: owed.count(),
            doubt: Mutex::default(),
            measured: Measured::default(),
        });
        let believed = believed::Believed::load(&connection, clock.wall(), clock.monotonic())
            .map_err(|error| JournalError::sqlite(&file, &error))?;
        let (queue, work) = mpsc::channel(writer::QUEUE);
        let mut writer = writer::Writer {
            connection,
            shared: Arc::clone(&shared),
            clock,
            keep: retention::Keep { keep_for, keep_count },
            believed,
            next: meta.next_sequence,
            chain: meta.chain,
            owed,
            water_mark,
            unsure: false,
        };
        writer.begin()?;
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run(work))
            .map_err(|error| JournalError::io(&file, &error))?;
        Ok(Self {
            inner: Arc::new(Inner {
                readers: reader::Readers::new(file),
                writer: WriterThread { queue: Some(queue), thread: Some(thread) },
                shared,
                marks,
                _lock: lock,
            }),
        })
    }

    /// Makes `entry` durable, or finds the result that it has already. Waits for a place in the writer's
    /// queue and for the disk. When the caller stops waiting, the entry may still be stored; giving it
    /// again is then answered with what is there.
    ///
    /// # Errors
    /// [`JournalError::DiskFloor`] and [`JournalError::Storage`] stored nothing and may be tried again.
    /// [`JournalError::Refused`] is a defect of the entry, [`JournalError::Stale`] asks for an
    /// [`Entry::Capture`] instead of the alias.
    pub async fn commit(&self, entry: Entry) -> Result<Committed, JournalError> {
        let capture = match &entry {
            Entry::Capture { path, .. } | Entry::Alias { path, .. } => Some(path.clone()),
            Entry::Request { .. } => None,
        };
        let began = Instant::now();
        let committed = self.ask(|reply| writer::Work::Commit(Box::new(entry), reply)).await?;
        self.measured().commit.observe(began.elapsed());
        if let Some(path) = capture {
            self.inner.marks.acquit(&path);
        }
        Ok(committed)
    }

    /// Removes events that are too old or too many, the oldest first, in small transactions between
    /// which commits get their turn. Tells how many were removed.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be written; what was removed until then stays removed.
    pub async fn prune(&self) -> Result<u64, JournalError> {
        let mut removed = 0;
        loop {
            let pruned = self.ask(writer::Work::Prune).await?;
            removed += pruned.removed;
            if !pruned.more {
                return Ok(removed);
            }
        }
    }

    /// Tells whether the wall clock leapt ahead, so that [`Journal::prune`] did not go by it the last time.
    #[must_use]
    pub fn clock_doubt(&self) -> Option<ClockDoubt> {
        *self.inner.shared.doubt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask<T>(
        &self,
        work: impl FnOnce(writer::Reply<T>) -> writer::Work,
    ) -> Result<T, JournalError> {
        let queue = self.inner.writer.queue.as_ref().ok_or(JournalError::Closed)?;
        let (reply, answer) = oneshot::channel();
        queue.send(work(reply)).await.map_err(|_| JournalError::Closed)?;
        answer.await.map_err(|_| JournalError::Closed)?
    }

    /// The same for a thread that may block.
    fn ask_blocking<T>(
        &self,
        work: impl FnOnce(writer::Reply<T>) -> writer::Work,
    ) -> Result<T, JournalError> {
        let queue = self.inner.writer.queue.as_ref().ok_or(JournalError::Closed)?;
        let (reply, answer) = oneshot::channel();
        queue.blocking_send(work(reply)).map_err(|_| JournalError::Closed)?;
        answer.blocking_recv().map_err(|_| JournalError::Closed)?
    }

    /// The same journal, without keeping it open.
    #[must_use]
    pub fn downgrade(&self) -> WeakJournal {
        WeakJournal(Arc::downgrade(&self.inner))
    }

    /// Which journal this is: sequences count within an epoch.
    #[must_use]
    pub fn epoch(&self) -> &str {
        &self.inner.shared.epoch
    }

    /// The ends of what is stored and published.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.inner.shared.tail(tail::Tail::bounds)
    }

    /// The newest published sequence, as it grows. Read with [`Journal::read_after`] until nothing is left,
    /// then wait for a change: nothing is lost in between.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.inner.shared.newest.subscribe()
    }

    /// Notes what each worker has in hand.
    #[must_use]
    pub fn marks(&self) -> &crash::Marks {
        &self.inner.marks
    }

    /// What this process has stored so far, and how long that took.
    #[must_use]
    pub fn measured(&self) -> &Measured {
        &self.inner.shared.measured
    }

    /// Whether there is disk space to store anything. A single system call.
    ///
    /// # Errors
    /// [`JournalError::DiskFloor`], or [`JournalError::Storage`] when the file system does not answer.
    pub fn check_floor(&self) -> Result<(), JournalError> {
        self.inner.shared.check_floor()
    }

    /// The writer has ended although the journal is open: nothing can be stored until a restart.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.writer.queue.as_ref().is_none_or(mpsc::Sender::is_closed)
    }

    /// The journal in numbers. Blocks for a moment.
    ///
    /// # Errors
    /// [`JournalError::Storage`] when the file system does not answer.
    pub fn status(&self) -> Result<Status, JournalError> {
        let shared = &self.inner.shared;
        let size_bytes = ["", "-wal", "-shm"]
            .into_iter()
            .map(|suffix| {
                let mut name = shared.file.as_os_str().to_owned();
                name.push(suffix);
                fs_err::metadata(PathBuf::from(name)).map_or(0, |file| file.len())
            })
            .sum();
        Ok(Status {
            epoch: shared.epoch.clone(),
            bounds: self.bounds(),
            audit: self.audit_head(),
            size_bytes,
            free_bytes: shared.free_bytes()?,
            floor_bytes: shared.disk_floor,
        })
    }
}

/// The tail as the last process left it.
fn load_tail(
    connection: &rusqlite::Connection,
    next_sequence: u64,
    capacity: usize,
) -> rusqlite::Result<tail::Tail> {
    let newest = next_sequence.saturating_sub(1);
    let oldest = tables::oldest(connection)?;
    // There are no holes: so many numbers are so many events.
    let before = newest.saturating_sub(capacity as u64);
    let ring: VecDeque<Event> = event::read(connection, before, newest, capacity)?.into();
    Ok(tail::Tail::new(Bounds { oldest, newest }, ring, capacity))
}
