//! A capture's file read once more, for a client that asks about its result.

use std::io::{self, Read as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::cell::Limits;
use crate::ingest::open_capture;
use crate::result::CapturePath;

/// How many files are read at once. A share that hangs takes so many threads and no more, and none
/// of the workers.
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
    /// As `open_capture` and read(2) give them; `TimedOut` where the folder does not answer in
    /// time.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(folder: &std::path::Path) -> CapturePath {
        CapturePath { folder: folder.to_str().unwrap().to_owned(), path: "a.bmp".to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn where_reads_hang_the_next_one_is_told_so_in_time_and_takes_no_thread() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("a.bmp"), b"cell").unwrap();
        let (again, limits) = (Again::default(), Limits::default());
        // As many as may read, none of which comes back.
        let hanging = again.0.clone().acquire_many_owned(AT_ONCE as u32).await.unwrap();
        let late = again.read(&capture(folder.path()), &limits).await.unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        assert!(late.to_string().contains("a.bmp"), "{late}");
        drop(hanging);
        assert_eq!(again.0.available_permits(), AT_ONCE);
    }

    #[tokio::test]
    async fn a_file_is_read_as_far_as_a_capture_may_be_long() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("a.bmp"), b"cell").unwrap();
        let again = Again::default();
        let limits = Limits { max_bytes: 2, ..Limits::default() };
        assert_eq!(again.read(&capture(folder.path()), &limits).await.unwrap(), b"cel");
        fs_err::remove_file(folder.path().join("a.bmp")).unwrap();
        let gone = again.read(&capture(folder.path()), &limits).await.unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }
}
