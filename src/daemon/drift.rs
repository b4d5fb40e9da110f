//! Keeps the weeks counted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::drift::{Board, Counting};
use crate::journal::Journal;

/// Interval between two checks for new results.
const EVERY: Duration = Duration::from_secs(5);

/// The least rest between two slices.
const REST: Duration = Duration::from_millis(5);

/// Walks through the journal, and then along with it. While there is much to read it rests as long
/// as it reads.
pub(super) async fn count(
    journal: Journal,
    clock: Clock,
    board: Arc<Board>,
    stop: CancellationToken,
) {
    let mut counting = Counting::default();
    loop {
        let (own, now, began) = (journal.clone(), clock.wall(), Instant::now());
        let step = tokio::task::spawn_blocking(move || {
            let more = counting.step(&own, now);
            let weeks = counting.weeks(own.bounds());
            (counting, weeks, more)
        });
        let rest = match step.await {
            Ok((own, weeks, more)) => {
                counting = own;
                board.put(weeks);
                match more {
                    Ok(true) => began.elapsed().max(REST),
                    Ok(false) => EVERY,
                    Err(error) => {
                        tracing::debug!(%error, "the weeks are counted later");
                        EVERY
                    }
                }
            }
            Err(error) => {
                tracing::error!(%error, "counting the weeks failed; it begins anew");
                counting = Counting::default();
                EVERY
            }
        };
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = stop.cancelled() => return,
        }
    }
}
