//! A capture's file read once more, for a client that asks about its result.

use std::io::{self, Read as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::cell::Limits;
use crate::ingest::open_capture;
use crate::result::CapturePath;

/// How many files are read at once. A share that hangs takes so many threads and no more, and none of the workers.
const AT_ONCE: usize = 2;

/// How long a client waits for its turn, and then for the file.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads files again. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Again(Arc<Semaphore>);

impl Default for Again {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Again {
    /// The file's bytes, as far as a capture may have them.
    ///
    /// # Errors
    /// As `open_capture` and read(2) give them; `TimedOut` where the folder does not answer in time.
    pub(super) async fn read(&self, path: &CapturePath, limits: &Limits) -> io::Result<Vec<u8>> {
        let late = |_| {
            let message = format!("{path}: its folder does not answer");
            io::Error::new(io::ErrorKind::TimedOut, message)
        };
        let turn = Arc::clone(&self.0).acquire_owned();
        let turn = tokio::time::timeout(PATIENCE, turn).await.map_err(late)?;
        // One byte more than is allowed is told by the decoder.
        let (own, most) = (path.clone(), limits.max_bytes.saturating_add(1));
        let read = tokio::task::spawn_blocking(move || {
            // A read that hangs keeps its turn, though nobody waits for it any more.
            let _turn = turn;
            let mut bytes = Vec::new();
            open_capture(&own)?.take(most).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        tokio::time::timeout(PATIENCE, read).await.map_err(late)?.map_err(io::Error::other)?
    }
}
