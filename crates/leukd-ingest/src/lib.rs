//! Export folder → settled captures. Knows nothing of models or gRPC.
//!
//! One thread a folder walks it, compares what it finds with the ledger, looks at new or changed
//! files until they stand still, and hands them over on a bounded channel. File-system events only
//! bring the next walk forward: the walk against the ledger is the truth. Nothing here opens a file
//! for writing, renames or deletes; reading is the pipeline's, through [`open_capture`].
//!
//! What happens to one file:
//!
//! ```text
//!            found            unchanged over N looks        a place is free
//!  on disk ────────▶ settling ─────────────────────▶ ready ───────────────▶ handed
//!                       ▲  changed                     ▲                      │ verdict
//!                       └──────────── waiting ─────────┤◀── resting ◀─ Retry ─┤
//!                                        ▲  broken_after                      ├─ NotYet ─▶ waiting
//!                                        └────────────────────────────────────┘  Finished ─▶ (ledger)
//! ```

pub mod fs_kind;
mod handle;
mod known;
mod mounts;
mod open;
mod pace;
pub mod place;
mod runner;
pub mod scan;
pub mod settings;
mod shared;
pub mod stamp;
mod state;
mod tally;
pub mod tracker;
pub mod watch;
mod watcher;

pub use handle::{Captures, Ingest};
pub use open::open_capture;
pub use settings::{IngestSettings, SettingsError};
pub use state::{FolderState, Settled};
pub use tracker::{MAX_PENDING, Verdict};

use leukd_journal::result::CapturePath;
use leukd_journal::types::{FileStamp, LedgerRow};

/// What the room must know of the journal: how each capture's story ended.
pub trait Ledger: Send + Sync + 'static {
    /// The row of one capture; none when it has no result yet. Called on the folder's own thread
    /// and may block.
    ///
    /// # Errors
    /// One sentence that says why the journal cannot be read now; the capture is asked for again at
    /// the next scan.
    fn lookup(&self, path: &CapturePath) -> Result<Option<LedgerRow>, String>;

    /// The done-marker of a specimen is there, and no capture of it is on its way. True when the
    /// marker needs nothing more; otherwise it is told again at the next scan. Called as
    /// [`Ledger::lookup`] is.
    ///
    /// # Errors
    /// One sentence that says why the journal cannot be written now.
    fn marked(
        &self,
        specimen: &str,
        marker: &CapturePath,
        stamp: &FileStamp,
    ) -> Result<bool, String> {
        let _ = (specimen, marker, stamp);
        Ok(true)
    }
}

impl<L: Ledger + ?Sized> Ledger for std::sync::Arc<L> {
    fn lookup(&self, path: &CapturePath) -> Result<Option<LedgerRow>, String> {
        (**self).lookup(path)
    }

    fn marked(
        &self,
        specimen: &str,
        marker: &CapturePath,
        stamp: &FileStamp,
    ) -> Result<bool, String> {
        (**self).marked(specimen, marker, stamp)
    }
}
