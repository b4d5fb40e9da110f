//! inotify as a source of hints, through `notify`. What an event says is never used, only that
//! there was one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Config, ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::shared::Shared;

/// A running watcher; dropping it ends it.
pub(super) struct Hints {
    _watcher: RecommendedWatcher,
    full: Arc<AtomicBool>,
}

impl Hints {
    /// Watches `folder`; each change hints to `shared`.
    ///
    /// Errors: one sentence that says what failed and what to do.
    pub(super) fn start(
        folder: &Path,
        recursive: bool,
        shared: &Arc<Shared>,
    ) -> Result<Self, String> {
        let full = Arc::new(AtomicBool::new(false));
        let on_event = {
            let (shared, full) = (Arc::clone(shared), Arc::clone(&full));
            move |event: notify::Result<notify::Event>| match event {
                Ok(event) if is_change(&event) => shared.signal.hint(),
                Ok(_) => {}
                Err(error) => {
                    if matches!(error.kind, ErrorKind::MaxFilesWatch) {
                        full.store(true, Ordering::SeqCst);
                    }
                    shared.signal.hint();
                }
            }
        };
        let mode = if recursive { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
        let config = Config::default().with_follow_symlinks(false);
        // Links inside the folder are not followed. Where the folder itself is one, the link would
        // be watched and nothing behind it heard.
        let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        RecommendedWatcher::new(on_event, config)
            .and_then(|mut watcher| watcher.watch(&real, mode).map(|()| watcher))
            .map(|watcher| Self { _watcher: watcher, full })
            .map_err(|error| explain(folder, &error))
    }

    /// Why this watcher no longer sees every subfolder; none while it does.
    pub(super) fn failure(&self, folder: &Path) -> Option<String> {
        self.full.load(Ordering::SeqCst).then(|| limit_reached(folder))
    }
}

/// Whether the folder may have changed. Opening and reading change nothing, and leukd itself does
/// both.
fn is_change(event: &notify::Event) -> bool {
    match event.kind {
        EventKind::Access(kind) => {
            event.need_rescan() || kind == AccessKind::Close(AccessMode::Write)
        }
        _ => true,
    }
}

fn explain(folder: &Path, error: &notify::Error) -> String {
    match &error.kind {
        ErrorKind::MaxFilesWatch => limit_reached(folder),
        // EMFILE: too many inotify instances, or too many open files.
        ErrorKind::Io(io) if io.raw_os_error() == Some(24) => format!(
            "no more inotify instances for {}: raise fs.inotify.max_user_instances with sysctl; polled meanwhile",
            folder.display()
        ),
        _ => format!(
            "changes in {} cannot be watched ({error}); polled instead: set watch.mode to \"poll\" if that is meant",
            folder.display()
        ),
    }
}

fn limit_reached(folder: &Path) -> String {
    format!(
        "too many subfolders to watch in {}: raise fs.inotify.max_user_watches with sysctl; polled meanwhile",
        folder.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::Event;
    use notify::event::{CreateKind, Flag};

    #[test]
    fn reading_is_no_change_and_everything_else_is() {
        let event = |kind| Event::new(kind);
        assert!(!is_change(&event(EventKind::Access(AccessKind::Open(AccessMode::Any)))));
        assert!(!is_change(&event(EventKind::Access(AccessKind::Close(AccessMode::Read)))));
        assert!(is_change(&event(EventKind::Access(AccessKind::Close(AccessMode::Write)))));
        assert!(is_change(&event(EventKind::Create(CreateKind::Folder))));
        assert!(is_change(&event(EventKind::Other).set_flag(Flag::Rescan)));
    }

    #[test]
    fn a_reached_limit_says_which_limit_to_raise() {
        let error = notify::Error::new(ErrorKind::MaxFilesWatch);
        assert!(explain(Path::new("/x"), &error).contains("fs.inotify.max_user_watches"));
        let error = notify::Error::io(std::io::Error::from_raw_os_error(24));
        assert!(explain(Path::new("/x"), &error).contains("max_user_instances"));
    }
}
