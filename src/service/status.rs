//! The daemon's state, gathered once for every face.

use std::path::{Component as Part, Path, PathBuf};
use std::time::Duration;

use super::{Service, ServiceError};
use crate::condition::{Component, Degradation};
use crate::ingest::FolderState;
use crate::journal::{self, FolderCounts, JournalError};

/// The daemon's state. Unreadable parts are absent and stand among the degradations: a status
/// matters most when things are bad.
#[derive(Debug)]
pub struct Status {
    /// The journal; none where it cannot be read.
    pub journal: Option<journal::Status>,
    /// The folders, in the order of the settings.
    pub folders: Vec<FolderStatus>,
    /// What is degraded now.
    pub degraded: Vec<Degradation>,
}

/// One watched folder.
#[derive(Debug)]
pub struct FolderStatus {
    /// What its scans found.
    pub state: FolderState,
    /// What the ledger counts of it; none where that cannot be read.
    pub counts: Option<FolderCounts>,
}

impl Service {
    /// The state now. Asks the disk, off the async threads.
    ///
    /// # Errors
    /// A defect of leukd alone.
    pub async fn status(self: &std::sync::Arc<Self>) -> Result<Status, ServiceError> {
        let service = std::sync::Arc::clone(self);
        let gathered = tokio::task::spawn_blocking(move || service.gather());
        gathered.await.map_err(ServiceError::defect)
    }

    fn gather(&self) -> Status {
        let mut failure = None;
        let mut note = |error: JournalError| failure = Some(error.to_string());
        let journal = self.journal.status().map_err(&mut note).ok();
        let folders = self.ingest.status().into_iter().map(|state| {
            let counts = self.journal.folder_counts(&state.folder).map_err(&mut note).ok();
            FolderStatus { state, counts }
        });
        let folders = folders.collect();
        let mut degraded = self.conditions.list();
        degraded.extend(failure.map(|message| Degradation {
            component: Component::Journal,
            message,
            since: self.clock.wall(),
        }));
        Status { journal, folders, degraded }
    }

    /// From process start to the first model in service; none before.
    #[must_use]
    pub fn time_to_serving(&self) -> Option<Duration> {
        self.time_to_serving.get().copied()
    }
}

/// A file of the model folder, and nothing outside it.
pub(super) fn bundle_path(folder: Option<&Path>, file: &str) -> Result<PathBuf, ServiceError> {
    let folder = folder.ok_or_else(|| {
        ServiceError::field(
            "file",
            "no model folder is configured (model.folder, or model.bundle's own)",
        )
    })?;
    let mut parts = Path::new(file).components();
    match (parts.next(), parts.next()) {
        (Some(Part::Normal(name)), None) if !file.contains('\0') => Ok(folder.join(name)),
        _ => Err(ServiceError::field("file", "give a file name without any folder")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_outside_the_model_folder_is_refused() {
        let folder = Some(Path::new("/models"));
        assert_eq!(bundle_path(folder, "b3.onnx").unwrap(), Path::new("/models/b3.onnx"));
        for bad in ["../b3.onnx", "/etc/passwd", "a/b.onnx", ".", "..", "", "a\0"] {
            assert!(bundle_path(folder, bad).is_err(), "{bad:?}");
        }
        assert!(bundle_path(None, "b3.onnx").is_err());
    }
}
