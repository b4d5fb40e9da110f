//! The filter of the running log: what it is, and how it is changed for a while.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::clock::Clock;
use crate::config::filter;
use crate::result::Timestamp;

/// The longest time after which a changed filter goes back by itself.
pub const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The filter now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// What is logged.
    pub filter: String,
    /// What the configuration says.
    pub configured: String,
    /// When it goes back to what the configuration says; none when it does not by itself.
    pub until: Option<Timestamp>,
}

/// Why the filter was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LevelError {
    /// It is no filter.
    #[error("{0}")]
    Filter(String),
    /// The time is none that is allowed.
    #[error("{0:?} is out of range: 1 s to 24 h")]
    Lasts(Duration),
    /// This process's log is not leukd's own: somebody else set it up, or nobody.
    #[error("the log of this process was not set up by leukd, so leukd cannot change it")]
    Foreign,
}

/// The process's log: there is one a process, as there is one standard error.
static LOG: OnceLock<Log> = OnceLock::new();

#[derive(Debug)]
struct Log {
    handle: reload::Handle<EnvFilter, Registry>,
    configured: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    filter: String,
    /// When it goes back, and the task that sees to it.
    back: Option<(Timestamp, AbortHandle)>,
}

impl Log {
    /// Each change is whole before the lock is let go.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a filter into force; whatever was to happen to the one before does not.
    fn put(&self, state: &mut State, filter: EnvFilter, text: &str) -> Result<(), LevelError> {
        if let Some((_, task)) = state.back.take() {
            task.abort();
        }
        self.handle.reload(filter).map_err(|_| LevelError::Foreign)?;
        text.clone_into(&mut state.filter);
        Ok(())
    }

    fn level(&self, state: &State) -> Level {
        Level {
            filter: state.filter.clone(),
            configured: self.configured.clone(),
            until: state.back.as_ref().map(|(at, _)| *at),
        }
    }

    fn go_back(&self) {
        let mut state = self.lock();
        // The task that is at work here is not to be aborted by its own doing.
        state.back = None;
        let before = state.filter.clone();
        let Ok(filter) = filter(&self.configured) else { return };
        if self.put(&mut state, filter, &self.configured).is_ok() {
            drop(state);
            tracing::warn!(
                "the log's filter is {:?} again; it was {before:?} for a while",
                self.configured
            );
        }
    }
}

/// Remembers how the log's filter is changed.
pub(super) fn remember(handle: reload::Handle<EnvFilter, Registry>, configured: &str) {
    let state = Mutex::new(State { filter: configured.to_owned(), back: None });
    let _ = LOG.set(Log { handle, configured: configured.to_owned(), state });
}

/// The filter now.
///
/// # Errors
/// [`LevelError::Foreign`].
pub fn level() -> Result<Level, LevelError> {
    let log = LOG.get().ok_or(LevelError::Foreign)?;
    Ok(log.level(&log.lock()))
}

/// Changes the filter, for ever or for `lasts`; an empty text stands for the configured one. `who`
/// asked for it, for the log. Call it inside a tokio runtime.
///
/// # Errors
/// See [`LevelError`]; the filter before stays.
pub fn set_level(
    text: &str,
    lasts: Option<Duration>,
    who: &str,
    clock: &Clock,
) -> Result<Level, LevelError> {
    let log = LOG.get().ok_or(LevelError::Foreign)?;
    let text = if text.is_empty() { &log.configured } else { text };
    let new = filter(text).map_err(LevelError::Filter)?;
    if let Some(lasts) = lasts.filter(|t| *t < Duration::from_secs(1) || *t > LONGEST) {
        return Err(LevelError::Lasts(lasts));
    }
    let how_long =
        lasts.map_or_else(|| "until the next restart".to_owned(), |t| format!("for {t:?}"));
    // Before and after: one of the two filters may let no such line through, and neither is to
    // leave no trace.
    tracing::warn!("{who} changes the log's filter to {text:?} {how_long}");
    let level = {
        let mut state = log.lock();
        log.put(&mut state, new, text)?;
        state.back = lasts.map(|lasts| {
            let task = tokio::spawn(async move {
                tokio::time::sleep(lasts).await;
                log.go_back();
            });
            let ms = i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX);
            (Timestamp(clock.wall().0.saturating_add(ms)), task.abort_handle())
        });
        log.level(&state)
    };
    tracing::info!("the log's filter is {text:?} {how_long}");
    Ok(level)
}
