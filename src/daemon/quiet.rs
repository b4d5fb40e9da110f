//! Tells specimens that have fallen quiet.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::journal::{Journal, JournalError, OpenSpecimens};
use crate::result::Timestamp;

/// Interval between two checks for due specimens.
const EVERY: Duration = Duration::from_secs(1);

/// State between two checks of the journal.
#[derive(Debug)]
struct Known {
    /// See [`OpenSpecimens::summarized_to`].
    summarized_to: u64,
    /// No specimen is due before; none while none is open.
    due: Option<Timestamp>,
    /// The newest event at the last look; none before the first.
    newest: Option<u64>,
    /// When that was, by the wall clock.
    looked: Timestamp,
}

impl Known {
    /// Whether there may be something to tell. A new result is due later than every one before it:
    /// it asks for a look only while nothing was open. A clock that was set back asks for one too.
    fn asks_for_a_look(&self, now: Timestamp, newest: u64) -> bool {
        match self.due {
            _ if now < self.looked => true,
            Some(due) => now >= due,
            None => self.newest != Some(newest),
        }
    }
}

/// Tells each specimen of which nothing more has come for `quiet_after`; none of them where that is
/// zero. Goes by `clock`, which is asked every second.
pub(super) async fn tell(
    journal: Journal,
    clock: Clock,
    quiet_after: Duration,
    stop: CancellationToken,
) {
    let mut known = Known { summarized_to: 0, due: None, newest: None, looked: clock.wall() };
    loop {
        let outcome = if quiet_after.is_zero() {
            pass_over(&journal, &mut known).await
        } else {
            look(&journal, &clock, quiet_after, &mut known).await
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "quiet specimens are told later");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Where none is told, what came is nothing to tell once that is changed. Noted when nothing more
/// comes for a second, which is not once for each result of a burst.
async fn pass_over(journal: &Journal, known: &mut Known) -> Result<(), JournalError> {
    let newest = journal.bounds().newest;
    let stands_still = known.newest.is_none_or(|before| before == newest);
    if stands_still && (known.newest.is_none() || known.summarized_to < newest) {
        journal.skip_summaries().await?;
        known.summarized_to = newest;
    }
    known.newest = Some(newest);
    Ok(())
}

async fn look(
    journal: &Journal,
    clock: &Clock,
    quiet_after: Duration,
    known: &mut Known,
) -> Result<(), JournalError> {
    let (now, newest) = (clock.wall(), journal.bounds().newest);
    if !known.asks_for_a_look(now, newest) {
        return Ok(());
    }
    // Until all went well there is something to do.
    known.due = Some(now);
    let span = i64::try_from(quiet_after.as_millis()).unwrap_or(i64::MAX);
    let not_after = Timestamp(now.0.saturating_sub(span));
    let (reading, summarized_to) = (journal.clone(), known.summarized_to);
    let read =
        tokio::task::spawn_blocking(move || reading.open_specimens(not_after, summarized_to));
    let OpenSpecimens { quiet, next, summarized_to } =
        read.await.map_err(|_| JournalError::Closed)??;
    let some = !quiet.is_empty();
    for specimen in quiet {
        if journal.summarize_quiet(specimen.clone(), not_after, summarized_to).await? {
            tracing::info!(specimen, "specimen summary stored");
        }
    }
    known.summarized_to = summarized_to;
    // After some summaries there may be more.
    let due = |at: Timestamp| Timestamp(at.0.saturating_add(span));
    known.due = if some { Some(now) } else { next.map(due) };
    (known.newest, known.looked) = (Some(newest), now);
    Ok(())
}
