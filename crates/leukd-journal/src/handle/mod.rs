//! The journal's handle: opening it, and what the writer is asked.

use std::collections::VecDeque;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use super::audit::{AuditEvent, AuditHead, Backlog};
use super::crash::Marks;
use super::epoch;
use super::error::{JournalError, ReviewError};
use super::file_id::{FileId, Sizes};
use super::hold::{Hold, Holds};
use super::kinds::{self, Event};
use super::lock::DirectoryLock;
use super::measured::Measured;
use super::readers::Readers;
use super::retention::Keep;
use super::retention_clock::{ClockDoubt, RetentionClock};
use super::schema;
use super::shared::Shared;
use super::tail::Tail;
use super::types::{
    Bounds, Committed, Entry, FILE, Marked, NewReview, Options, Status, Submitted, Summarize, TAIL,
};
use super::work::{Reply, Work};
use super::writer::{QUEUE, Writer};
use crate::result::Timestamp;
use crate::summary::Marker;

mod read;

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
    // In this order: the writer's connection is the last to close, which folds the write-ahead log
    // into the file, and only then may another daemon come.
    readers: Readers,
    writer: WriterThread,
    shared: Arc<Shared>,
    marks: Marks,
    _lock: DirectoryLock,
}

#[derive(Debug)]
struct WriterThread {
    queue: Option<mpsc::Sender<Work>>,
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
    /// Opens the journal in `directory`, makes it when there is none, and
    /// counts the captures that were in work when the last process died. Blocks.
    ///
    /// # Errors
    /// [`JournalError::Locked`], [`JournalError::Newer`], [`JournalError::Damaged`] or
    /// [`JournalError::Storage`]. The file is never replaced. On a full disk a journal that is
    /// there opens all the same: it can be read, and what the chain tells of this start is written
    /// as soon as there is space.
    pub fn open(directory: &Path, options: Options) -> Result<Self, JournalError> {
        let Options { clock, keep_for, keep_count, disk_floor, tail, run } = options;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(directory)
            .map_err(|error| JournalError::io(directory, &error))?;
        let lock = DirectoryLock::take(directory)?;
        let file = directory.join(FILE);
        let (mut connection, mut meta) = schema::open_writer(&file, clock.wall())?;
        let file_id = FileId::new(&file)?;
        // Numbers that clients know would be given again in an older file, or in a copy.
        epoch::renew(&mut connection, &file, &mut meta, lock.last.as_ref(), clock.wall())?;
        let water_mark = lock.water_mark().map_err(|error| JournalError::io(&file, &error))?;
        water_mark.note(&meta.epoch, meta.next_sequence);
        if lock.last.as_ref().is_none_or(|last| last.epoch != meta.epoch) {
            // A power cut that took this note back would have the next start take the journal for
            // another one.
            water_mark.sync();
        }
        let mut backlog = Backlog::default();
        if let Some(run) = run {
            backlog.start(clock.wall(), run);
        }
        let marks = Marks::open(directory, &mut connection, &file, clock.wall())?;
        let tail = load_tail(&connection, meta.next_sequence, tail.unwrap_or(TAIL))
            .map_err(|error| JournalError::sqlite(&file, &error))?;

        let shared = Arc::new(Shared {
            file: file.clone(),
            file_id: file_id.clone(),
            directory: directory.to_owned(),
            epoch: meta.epoch,
            origin: meta.origin,
            disk_floor,
            newest: watch::Sender::new(tail.bounds().newest),
            tail: RwLock::new(tail),
            waiters: Arc::default(),
            audit: Mutex::new(meta.chain.head),
            backlog: backlog.count(),
            doubt: Mutex::default(),
            measured: Measured::default(),
            holds: Arc::default(),
        });
        let retention_clock = RetentionClock::load(&connection, clock.wall(), clock.monotonic())
            .map_err(|error| JournalError::sqlite(&file, &error))?;
        let (queue, work) = mpsc::channel(QUEUE);
        let mut writer = Writer {
            connection,
            shared: Arc::clone(&shared),
            clock,
            keep: Keep { keep_for, keep_count, held: None },
            retention_clock,
            next: meta.next_sequence,
            chain: meta.chain,
            backlog,
            water_mark,
            is_unsure: false,
            failures: 0,
            is_stopped: false,
        };
        writer.begin()?;
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run(work))
            .map_err(|error| JournalError::io(&file, &error))?;
        Ok(Self {
            inner: Arc::new(Inner {
                readers: Readers::new(file, file_id),
                writer: WriterThread { queue: Some(queue), thread: Some(thread) },
                shared,
                marks,
                _lock: lock,
            }),
        })
    }

    /// Makes `entry` durable, or finds the result that it has already. Waits for a place in the
    /// writer's queue and for the disk. When the caller stops waiting, the entry may still be
    /// stored; giving it again is then answered with what is there.
    ///
    /// # Errors
    /// [`JournalError::DiskFloor`] and [`JournalError::Storage`] stored nothing and may be tried
    /// again. [`JournalError::Refused`] is a defect of the entry, [`JournalError::Stale`] asks for
    /// an [`Entry::Capture`] instead of the alias.
    pub async fn commit(&self, entry: Entry) -> Result<Committed, JournalError> {
        let capture = entry.path().cloned();
        let began = Instant::now();
        let committed = self.ask(|reply| Work::Commit(Box::new(entry), reply)).await?;
        self.measured().commit.observe(began.elapsed());
        if let Some(path) = capture {
            self.inner.marks.acquit(&path);
        }
        Ok(committed)
    }

    /// Removes events that are too old or too many, the oldest first, in small transactions between
    /// which commits get their turn. Gives the number of them.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be written; what was removed until then stays removed.
    pub async fn prune(&self) -> Result<u64, JournalError> {
        let mut removed = 0;
        loop {
            let pruned = self.ask(Work::Prune).await?;
            removed += pruned.removed;
            if !pruned.more {
                return Ok(removed);
            }
        }
    }

    /// Keeps [`Journal::prune`] from the events that are not released yet, however old they are.
    /// Below the disk floor they go all the same, and the log says so.
    #[must_use]
    pub fn hold(&self) -> Hold {
        Holds::enter(&self.inner.shared.holds)
    }

    /// The doubt about the wall clock: it leapt ahead, so that [`Journal::prune`] did not go by it
    /// the last time.
    #[must_use]
    pub fn clock_doubt(&self) -> Option<ClockDoubt> {
        *self.inner.shared.doubt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn ask<T>(
        &self,
        work: impl FnOnce(Reply<T>) -> Work,
    ) -> Result<T, JournalError> {
        let queue = self.inner.writer.queue.as_ref().ok_or(JournalError::Closed)?;
        let (reply, answer) = oneshot::channel();
        queue.send(work(reply)).await.map_err(|_| JournalError::Closed)?;
        answer.await.map_err(|_| JournalError::Closed)?
    }

    /// The same for a thread that may block.
    fn ask_blocking<T>(&self, work: impl FnOnce(Reply<T>) -> Work) -> Result<T, JournalError> {
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
        self.inner.shared.tail(Tail::bounds)
    }

    /// The newest published sequence, as it grows. Read with [`Journal::read_after`] until nothing
    /// is left, then wait for a change: nothing is lost in between.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.inner.shared.newest.subscribe()
    }

    /// Notes what each worker has in hand.
    #[must_use]
    pub fn marks(&self) -> &Marks {
        &self.inner.marks
    }

    /// What this process has stored so far, and how long that took.
    #[must_use]
    pub fn measured(&self) -> &Measured {
        &self.inner.shared.measured
    }

    /// Makes sure that there is disk space to store anything. A single system call.
    ///
    /// # Errors
    /// [`JournalError::DiskFloor`], or [`JournalError::Storage`] when the file system does not
    /// answer.
    pub fn check_floor(&self) -> Result<(), JournalError> {
        self.inner.shared.check_floor()
    }

    /// Makes sure that the journal's name still leads to the file that is open. A single system
    /// call.
    ///
    /// # Errors
    /// [`JournalError::Moved`].
    pub fn check_file(&self) -> Result<(), JournalError> {
        self.inner.shared.file_id.check()
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
        Ok(Status {
            epoch: shared.epoch.clone(),
            origin: shared.origin.clone(),
            bounds: self.bounds(),
            audit: self.audit_head(),
            sizes: Sizes::of(&shared.file),
            free_bytes: shared.free_bytes()?,
            floor_bytes: shared.disk_floor,
        })
    }

    /// Makes a review durable, or finds it by its id. Waits for the writer and for the disk, as
    /// [`Journal::commit`] does.
    ///
    /// # Errors
    /// See [`ReviewError`]; nothing was stored.
    pub async fn review(&self, review: NewReview) -> Result<Submitted, ReviewError> {
        self.ask(|reply| Work::Review(Box::new(review), reply)).await?
    }

    /// Stores the summary of one quiet specimen, if it still is. True when an event was stored.
    ///
    /// # Errors
    /// As [`Journal::commit`].
    pub async fn summarize_quiet(
        &self,
        specimen: String,
        not_after: Timestamp,
        summarized_to: u64,
    ) -> Result<bool, JournalError> {
        let ask = Summarize::Quiet { specimen, not_after, summarized_to };
        let marked = self.ask(|reply| Work::Summarize(Box::new(ask), reply)).await?;
        Ok(marked == Marked::Stored)
    }

    /// Whatever has come up to now never gets a summary.
    ///
    /// # Errors
    /// As [`Journal::commit`].
    pub async fn skip_summaries(&self) -> Result<(), JournalError> {
        self.ask(|reply| Work::Summarize(Box::new(Summarize::Nothing), reply)).await.map(drop)
    }

    /// Stores the summary of a specimen whose done-marker is there. For a thread that may block.
    ///
    /// # Errors
    /// As [`Journal::commit`].
    pub fn summarize_marked(
        &self,
        specimen: String,
        marker: Marker,
    ) -> Result<Marked, JournalError> {
        let ask = Summarize::Marked { specimen, marker };
        self.ask_blocking(|reply| Work::Summarize(Box::new(ask), reply))
    }

    /// Adds one record to the audit chain and gives its place. It is on the disk when this returns;
    /// also below the disk floor, as far as there is space, but for a login failure.
    ///
    /// # Errors
    /// [`JournalError::Storage`] or [`JournalError::DiskFloor`]: there is no record yet. It is
    /// kept, and written as soon as that is possible, as long as the process lives.
    /// [`JournalError::Closed`]: there will be none.
    pub async fn audit(&self, event: AuditEvent) -> Result<AuditHead, JournalError> {
        self.ask(|reply| Work::Audit(Box::new(event.bounded()), reply)).await
    }

    /// The same for a thread that may block; inside an asynchronous task it panics.
    ///
    /// # Errors
    /// As [`Journal::audit`].
    pub fn audit_blocking(&self, event: AuditEvent) -> Result<AuditHead, JournalError> {
        self.ask_blocking(|reply| Work::Audit(Box::new(event.bounded()), reply))
    }

    /// Records of the audit chain that could not be written when they were due, and wait.
    #[must_use]
    pub fn audit_backlog(&self) -> usize {
        self.inner.shared.backlog.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Tries to write them.
    ///
    /// # Errors
    /// As [`Journal::audit`]: they wait on.
    pub async fn write_audit_backlog(&self) -> Result<AuditHead, JournalError> {
        self.ask(Work::Retry).await
    }

    /// The newest record of the audit chain.
    #[must_use]
    pub fn audit_head(&self) -> AuditHead {
        self.inner.shared.audit_head()
    }
}

/// The tail as the last process left it.
fn load_tail(
    connection: &Connection,
    next_sequence: u64,
    capacity: usize,
) -> rusqlite::Result<Tail> {
    let newest = next_sequence.saturating_sub(1);
    let oldest = kinds::ends(connection)?.0;
    // There are no holes: so many numbers are so many events.
    let before = newest.saturating_sub(capacity as u64);
    let ring: VecDeque<Event> = kinds::read(connection, before, newest, capacity)?.into();
    Ok(Tail::new(Bounds { oldest, newest }, ring, capacity))
}
