//! The workers: threads that take jobs from two bounded lanes.
//!
//! A request's job (interactive) goes first, yet after [`INTERACTIVE_IN_A_ROW`] of them one folder
//! capture (backlog) has its turn, so that neither lane starves. A full interactive lane turns work
//! away at once; the backlog's callers wait for a place, and their captures wait on disk.
//!
//! A field of view is one backlog job of many cells: between two of them it lets requests pass, so
//! that turns count cells and not files.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// So many interactive jobs may pass a waiting backlog job.
pub const INTERACTIVE_IN_A_ROW: u32 = 4;

/// Which lane a job waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Requests: someone waits for the answer.
    Interactive,
    /// Folder captures.
    Backlog,
}

/// The thread that runs a job.
#[derive(Debug)]
pub struct Worker {
    index: usize,
    shared: Arc<Shared>,
}

impl Worker {
    /// Its number, from 0.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// True while a request waits for a worker.
    #[must_use]
    pub fn has_requests(&self) -> bool {
        !self.shared.lock().interactive.is_empty()
    }

    /// Runs up to [`INTERACTIVE_IN_A_ROW`] requests that wait. For the middle of a long backlog
    /// job, which must hold nothing that a request may need.
    pub fn let_requests_pass(&self) {
        for _ in 0..INTERACTIVE_IN_A_ROW {
            let Some(Job { run, .. }) = self.shared.lock().interactive.pop_front() else { return };
            drop(catch_unwind(AssertUnwindSafe(|| run(self))));
            self.shared.finished.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Why a job gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// The interactive lane has no place free.
    #[error("every place in the queue is taken: try again later")]
    Full,
    /// The job panicked; its worker lives on.
    #[error("a worker failed on this job: {0}")]
    Panicked(String),
    /// The pool stops.
    #[error("the workers are stopping")]
    Stopped,
}

/// The pool at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    /// Worker threads.
    pub workers: usize,
    /// Workers that run a job now.
    pub busy: usize,
    /// Jobs that wait in the interactive lane.
    pub interactive: usize,
    /// The most that may wait there.
    pub interactive_capacity: usize,
    /// Jobs that wait in the backlog lane.
    pub backlog: usize,
    /// The most that may wait there.
    pub backlog_capacity: usize,
}

/// The workers. Dropping it lets running jobs end and throws the waiting ones away.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    workers: usize,
    interactive_capacity: usize,
    backlog_capacity: usize,
    /// One permit a place in the backlog lane.
    places: Arc<Semaphore>,
    lanes: Mutex<Lanes>,
    /// A job came, or the pool stops.
    work: Condvar,
    /// A worker has ended its job.
    idle: Condvar,
    /// Jobs that ended.
    finished: AtomicU64,
}

#[derive(Default)]
struct Lanes {
    interactive: VecDeque<Job>,
    backlog: VecDeque<Job>,
    /// Interactive jobs taken since the last backlog job.
    in_a_row: u32,
    busy: usize,
    stopping: bool,
}

impl std::fmt::Debug for Lanes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lanes({} interactive, {} backlog)", self.interactive.len(), self.backlog.len())
    }
}

struct Job {
    /// Runs the job, unless nobody waits for it any more.
    run: Box<dyn FnOnce(&Worker) + Send>,
    /// The place in the backlog lane, given back when a worker takes the job.
    _place: Option<OwnedSemaphorePermit>,
}

impl Pool {
    /// Starts `threads` workers (at least one), named `leukd-worker-N`, over lanes of the given
    /// capacities (at least one place each).
    ///
    /// # Errors
    ///
    /// When the operating system gives no thread.
    pub fn new(
        threads: usize,
        interactive_capacity: usize,
        backlog_capacity: usize,
    ) -> std::io::Result<Self> {
        let backlog_capacity = backlog_capacity.clamp(1, Semaphore::MAX_PERMITS);
        let shared = Arc::new(Shared {
            workers: threads.max(1),
            interactive_capacity: interactive_capacity.max(1),
            backlog_capacity,
            places: Arc::new(Semaphore::new(backlog_capacity)),
            lanes: Mutex::default(),
            work: Condvar::new(),
            idle: Condvar::new(),
            finished: AtomicU64::new(0),
        });
        // Made before the threads: if one cannot be started, its drop stops the others.
        let pool = Self { shared };
        for index in 0..pool.shared.workers {
            let shared = Arc::clone(&pool.shared);
            std::thread::Builder::new()
                .name(format!("leukd-worker-{index}"))
                .spawn(move || work(&Worker { index, shared }))?;
        }
        Ok(pool)
    }

    /// Runs `job` on a worker and gives its answer.
    ///
    /// Wrap it in a timeout where there is a deadline. Dropping the future before a worker has
    /// taken the job drops the job; a job that runs is run to its end and its answer thrown away.
    ///
    /// # Errors
    ///
    /// See [`PoolError`]; `Full` only in the interactive lane.
    pub async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        job: impl FnOnce(&Worker) -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let (answer, answered) = oneshot::channel();
        let run = Box::new(move |worker: &Worker| {
            if answer.is_closed() {
                return;
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| job(worker)));
            // Nobody may wait any more: then the answer is of no use.
            drop(answer.send(outcome.map_err(|payload| PoolError::Panicked(words(&*payload)))));
        });
        let place = match lane {
            Lane::Interactive => None,
            Lane::Backlog => {
                let places = Arc::clone(&self.shared.places);
                Some(places.acquire_owned().await.map_err(|_| PoolError::Stopped)?)
            }
        };
        self.shared.push(lane, Job { run, _place: place })?;
        // A job that was thrown away drops its sender.
        answered.await.map_err(|_| PoolError::Stopped)?
    }

    /// The pool now.
    #[must_use]
    pub fn status(&self) -> PoolStatus {
        let lanes = self.shared.lock();
        PoolStatus {
            workers: self.shared.workers,
            busy: lanes.busy,
            interactive: lanes.interactive.len(),
            interactive_capacity: self.shared.interactive_capacity,
            backlog: lanes.backlog.len(),
            backlog_capacity: self.shared.backlog_capacity,
        }
    }

    /// How many jobs have ended, by answer or panic. A watchdog looks whether it moves while there
    /// is work.
    #[must_use]
    pub fn progress(&self) -> u64 {
        self.shared.finished.load(Ordering::Relaxed)
    }

    /// Takes no more jobs, throws the backlog away (its captures are still on disk), and waits up
    /// to `deadline` until interactive and running jobs have ended; then throws away what still
    /// waits. Blocks.
    ///
    /// True when every job ended in time.
    #[must_use]
    pub fn shutdown(&self, deadline: Duration) -> bool {
        let end = Instant::now() + deadline;
        let mut lanes = self.shared.stop();
        while lanes.busy > 0 || !lanes.interactive.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            lanes = match self.shared.idle.wait_timeout(lanes, left) {
                Ok((lanes, _)) => lanes,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        let thrown_away = std::mem::take(&mut lanes.interactive);
        let all_ended = lanes.busy == 0 && thrown_away.is_empty();
        drop(lanes);
        drop(thrown_away);
        all_ended
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut lanes = self.shared.stop();
        let thrown_away = std::mem::take(&mut lanes.interactive);
        drop(lanes);
        drop(thrown_away);
    }
}

impl Shared {
    /// The lanes hold whole jobs at every moment, so a panic elsewhere leaves them sound.
    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, lane: Lane, job: Job) -> Result<(), PoolError> {
        let mut lanes = self.lock();
        if lanes.stopping {
            return Err(PoolError::Stopped);
        }
        match lane {
            Lane::Interactive if lanes.interactive.len() >= self.interactive_capacity => {
                return Err(PoolError::Full);
            }
            Lane::Interactive => lanes.interactive.push_back(job),
            Lane::Backlog => lanes.backlog.push_back(job),
        }
        drop(lanes);
        self.work.notify_one();
        Ok(())
    }

    /// Takes no more jobs and throws the backlog away.
    fn stop(&self) -> MutexGuard<'_, Lanes> {
        self.places.close();
        let mut lanes = self.lock();
        lanes.stopping = true;
        // A dropped job wakes its caller, who must not find the lanes locked.
        let thrown_away = std::mem::take(&mut lanes.backlog);
        drop(lanes);
        drop(thrown_away);
        self.work.notify_all();
        self.lock()
    }
}

/// A worker's life: jobs until the pool stops and the lanes are empty.
fn work(worker: &Worker) {
    let shared = &worker.shared;
    let mut lanes = shared.lock();
    loop {
        if let Some(Job { run, _place: place }) = lanes.next() {
            lanes.busy += 1;
            drop(lanes);
            drop(place);
            // The job catches its own panic; this one is for what an answer's drop may do.
            drop(catch_unwind(AssertUnwindSafe(|| run(worker))));
            shared.finished.fetch_add(1, Ordering::Relaxed);
            lanes = shared.lock();
            lanes.busy -= 1;
            shared.idle.notify_all();
        } else if lanes.stopping {
            return;
        } else {
            lanes = shared.work.wait(lanes).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Lanes {
    fn next(&mut self) -> Option<Job> {
        let backlogs_turn = self.in_a_row >= INTERACTIVE_IN_A_ROW && !self.backlog.is_empty();
        if !backlogs_turn && let Some(job) = self.interactive.pop_front() {
            self.in_a_row = self.in_a_row.saturating_add(1);
            return Some(job);
        }
        let job = self.backlog.pop_front()?;
        self.in_a_row = 0;
        Some(job)
    }
}

/// What a panic said.
fn words(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it panicked without a message".to_owned())
}

/// Physical cores that this process may use: a second thread on the same core adds nothing to the
/// network's arithmetic. Where the system does not tell, the logical ones; at least 1.
#[must_use]
pub fn physical_cores() -> usize {
    let logical = std::thread::available_parallelism().map_or(1, usize::from);
    let siblings = |cpu: usize| {
        let topology = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        std::fs::read_to_string(topology).ok()
    };
    // More processors than this share one machine nowhere that leukd runs.
    let cores: std::collections::HashSet<String> = (0..4096).map_while(siblings).collect();
    if cores.is_empty() { logical } else { logical.min(cores.len()) }
}
