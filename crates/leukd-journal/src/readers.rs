//! A few read-only connections, shared. The write-ahead log keeps them out of the writer's way.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use super::error::JournalError;
use super::file_id::FileId;
use super::schema;

/// How many reads may touch the disk at once.
const CONNECTIONS: usize = 4;

/// How long a read waits for a connection.
const WAIT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Readers {
    file: PathBuf,
    file_id: FileId,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Connection>,
    lent: usize,
}

impl Readers {
    pub(super) fn new(file: PathBuf, file_id: FileId) -> Self {
        Self { file, file_id, state: Mutex::default(), returned: Condvar::new() }
    }

    /// A connection for one read.
    pub(super) fn take(&self) -> Result<Lent<'_>, JournalError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut state, waited) = self
            .returned
            .wait_timeout_while(state, WAIT, |state| state.lent >= CONNECTIONS)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            let waited_ms = u64::try_from(WAIT.as_millis()).unwrap_or(u64::MAX);
            return Err(JournalError::Busy { waited_ms });
        }
        let connection = match state.idle.pop() {
            Some(connection) => connection,
            // Of the file that the writer has, or of none.
            None => self.file_id.check().and_then(|()| schema::open_reader(&self.file))?,
        };
        state.lent += 1;
        Ok(Lent { connection: Some(connection), readers: self })
    }
}

/// A connection that goes back when it is dropped.
pub(super) struct Lent<'a> {
    connection: Option<Connection>,
    readers: &'a Readers,
}

impl Deref for Lent<'_> {
    type Target = Connection;

    #[expect(clippy::expect_used, reason = "only drop takes it out")]
    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a lent connection is there until it is dropped")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut state = self.readers.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lent = state.lent.saturating_sub(1);
        state.idle.extend(self.connection.take());
        drop(state);
        self.readers.returned.notify_one();
    }
}
