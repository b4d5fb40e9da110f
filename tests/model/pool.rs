//! The workers' promises: bounded lanes, fair turns, panics contained, a stop with a deadline.

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use leukd::model::pool::{INTERACTIVE_IN_A_ROW, Lane, Pool, PoolError};

const LONG: Duration = Duration::from_secs(30);

/// No test waits longer for a job to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// Polls once: the job is queued, or its caller waits for a place.
fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Holds a worker until the sender is used or dropped.
fn hold(
    release: Receiver<()>,
    began: Sender<()>,
) -> impl FnOnce(&leukd::model::pool::Worker) + Send {
    move |_| {
        began.send(()).unwrap();
        let _ = release.recv();
    }
}

#[tokio::test]
async fn a_job_gives_its_answer_from_a_named_worker() {
    let pool = Pool::new(2, 4, 4).unwrap();
    for lane in [Lane::Interactive, Lane::Backlog] {
        let (index, name) = pool
            .run(lane, |worker| (worker.index(), std::thread::current().name().map(str::to_owned)))
            .await
            .unwrap();
        assert_eq!(name.unwrap(), format!("leukd-worker-{index}"));
    }
    assert_eq!(pool.status().workers, 2);
}

#[tokio::test]
async fn a_panic_is_an_error_and_the_worker_lives_on() {
    let pool = Pool::new(1, 4, 4).unwrap();
    let outcome = pool.run::<()>(Lane::Interactive, |_| panic!("bad cell {}", 7)).await;
    assert_eq!(outcome, Err(PoolError::Panicked("bad cell 7".to_owned())));
    assert_eq!(pool.run(Lane::Backlog, |_| 5).await, Ok(5));
}

#[tokio::test]
async fn a_full_interactive_lane_turns_away_at_once_and_a_full_backlog_waits() {
    let pool = Pool::new(1, 1, 1).unwrap();
    let (began, begins) = channel();
    let (release, released) = channel();
    let mut running = pin!(pool.run(Lane::Interactive, hold(released, began)));
    assert!(poll(running.as_mut()).is_pending());
    begins.recv_timeout(PATIENCE).unwrap();
    let mut queued = pin!(pool.run(Lane::Interactive, |_| 1));
    assert!(poll(queued.as_mut()).is_pending());
    assert_eq!(pool.run(Lane::Interactive, |_| 2).await, Err(PoolError::Full));
    let mut first = pin!(pool.run(Lane::Backlog, |_| 3));
    let mut second = pin!(pool.run(Lane::Backlog, |_| 4));
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());
    let status = pool.status();
    assert_eq!((status.busy, status.interactive, status.backlog), (1, 1, 1));
    assert_eq!((status.interactive_capacity, status.backlog_capacity), (1, 1));
    release.send(()).unwrap();
    assert_eq!((queued.await, first.await, second.await), (Ok(1), Ok(3), Ok(4)));
}

#[tokio::test]
async fn a_backlog_caller_that_gives_up_takes_no_place_with_it() {
    let pool = Pool::new(1, 1, 1).unwrap();
    let (began, begins) = channel();
    let (release, released) = channel();
    let mut running = pin!(pool.run(Lane::Interactive, hold(released, began)));
    assert!(poll(running.as_mut()).is_pending());
    begins.recv_timeout(PATIENCE).unwrap();
    let ran = Arc::new(Mutex::new(Vec::new()));
    let note = |number: u32| {
        let ran = Arc::clone(&ran);
        move |_: &leukd::model::pool::Worker| ran.lock().unwrap().push(number)
    };
    {
        let mut queued = pin!(pool.run(Lane::Backlog, note(1)));
        let mut waiting = pin!(pool.run(Lane::Backlog, note(2)));
        assert!(poll(queued.as_mut()).is_pending());
        assert!(poll(waiting.as_mut()).is_pending());
    }
    release.send(()).unwrap();
    pool.run(Lane::Backlog, note(3)).await.unwrap();
    pool.run(Lane::Backlog, note(4)).await.unwrap();
    assert_eq!(*ran.lock().unwrap(), [3, 4]);
}

#[tokio::test]
async fn neither_lane_starves_the_other() {
    let pool = Pool::new(1, 64, 64).unwrap();
    let (began, begins) = channel();
    let (release, released) = channel();
    let mut running = pin!(pool.run(Lane::Backlog, hold(released, began)));
    assert!(poll(running.as_mut()).is_pending());
    begins.recv_timeout(PATIENCE).unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for lane in [Lane::Backlog, Lane::Interactive].into_iter().cycle().take(24) {
        let order = Arc::clone(&order);
        let mut job = Box::pin(pool.run(lane, move |_| order.lock().unwrap().push(lane)));
        assert!(poll(job.as_mut()).is_pending());
        waiting.push(job);
    }
    release.send(()).unwrap();
    for job in waiting {
        job.await.unwrap();
    }
    let order = order.lock().unwrap();
    let turn = INTERACTIVE_IN_A_ROW as usize + 1;
    for (index, lane) in order[..2 * turn].iter().enumerate() {
        let expected = if index % turn == turn - 1 { Lane::Backlog } else { Lane::Interactive };
        assert_eq!(*lane, expected, "job {index}");
    }
}

#[tokio::test]
async fn progress_counts_what_ended() {
    let pool = Pool::new(1, 4, 4).unwrap();
    for number in 0..3 {
        pool.run(Lane::Backlog, |_| ()).await.unwrap();
        // The answer comes a moment before the count.
        while pool.progress() <= number {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(pool.progress(), 3);
}

#[tokio::test]
async fn a_stop_ends_requests_throws_the_backlog_away_and_takes_nothing_new() {
    let pool = Arc::new(Pool::new(1, 4, 4).unwrap());
    let (began, begins) = channel();
    let (release, released) = channel();
    let mut running = pin!(pool.run(Lane::Interactive, hold(released, began)));
    assert!(poll(running.as_mut()).is_pending());
    begins.recv_timeout(PATIENCE).unwrap();
    let mut request = pin!(pool.run(Lane::Interactive, |_| 1));
    let mut capture = pin!(pool.run(Lane::Backlog, |_| 2));
    assert!(poll(request.as_mut()).is_pending());
    assert!(poll(capture.as_mut()).is_pending());
    let stopping = {
        let pool = Arc::clone(&pool);
        tokio::task::spawn_blocking(move || pool.shutdown(LONG))
    };
    assert_eq!(capture.await, Err(PoolError::Stopped));
    assert_eq!(pool.run(Lane::Interactive, |_| 3).await, Err(PoolError::Stopped));
    assert_eq!(pool.run(Lane::Backlog, |_| 4).await, Err(PoolError::Stopped));
    release.send(()).unwrap();
    assert!(stopping.await.unwrap());
    assert_eq!(request.await, Ok(1));
}

#[tokio::test]
async fn a_stop_does_not_wait_beyond_its_deadline() {
    let pool = Pool::new(1, 4, 4).unwrap();
    let (began, begins) = channel();
    let (release, released) = channel();
    let mut running = pin!(pool.run(Lane::Interactive, hold(released, began)));
    assert!(poll(running.as_mut()).is_pending());
    begins.recv_timeout(PATIENCE).unwrap();
    let mut request = pin!(pool.run(Lane::Interactive, |_| 1));
    assert!(poll(request.as_mut()).is_pending());
    assert!(!pool.shutdown(Duration::ZERO));
    assert_eq!(request.await, Err(PoolError::Stopped));
    release.send(()).unwrap();
    assert_eq!(running.await, Ok(()));
}

#[tokio::test]
async fn a_pool_has_at_least_one_worker_and_one_place() {
    let pool = Pool::new(0, 0, 0).unwrap();
    assert_eq!(pool.run(Lane::Backlog, |_| 1).await, Ok(1));
    assert_eq!(pool.run(Lane::Interactive, |_| 1).await, Ok(1));
    assert!(leukd::model::pool::physical_cores() >= 1);
}

#[tokio::test]
async fn requests_pass_between_the_cells_of_a_field() {
    let pool = Pool::new(1, 8, 4).unwrap();
    let (began, begins) = channel();
    let (release, released) = channel::<()>();
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = |what: &'static str| {
        let order = Arc::clone(&order);
        move |_: &leukd::model::pool::Worker| order.lock().unwrap().push(what)
    };
    let cells = Arc::clone(&order);
    let field = move |worker: &leukd::model::pool::Worker| {
        began.send(()).unwrap();
        let _ = released.recv();
        for _ in 0..2 {
            cells.lock().unwrap().push("cell");
            worker.let_requests_pass();
        }
        assert!(!worker.has_requests());
    };
    let mut running = pin!(pool.run(Lane::Backlog, field));
    assert!(poll(running.as_mut()).is_pending());
    begins.recv_timeout(PATIENCE).unwrap();
    let mut first = pin!(pool.run(Lane::Interactive, note("request")));
    let mut bad = pin!(pool.run::<()>(Lane::Interactive, |_| panic!("a bad request")));
    assert!(poll(first.as_mut()).is_pending() && poll(bad.as_mut()).is_pending());
    release.send(()).unwrap();
    running.await.unwrap();
    first.await.unwrap();
    assert_eq!(bad.await, Err(PoolError::Panicked("a bad request".to_owned())));
    assert_eq!(*order.lock().unwrap(), ["cell", "request", "cell"]);
}
