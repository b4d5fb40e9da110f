//! What goes into the journal and what comes out.

use std::sync::Arc;

use crate::result::{CapturePath, Finding, Record};

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileStamp {
    /// Bytes.
    pub size: u64,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Status-change time, nanoseconds since 1970: it moves when a file of old mtime and equal size is
    /// renamed over another. 0 on network file systems, whose servers disagree about it.
    pub ctime_ns: i64,
    /// Inode number; 0 on network file systems, where it may change with every mount.
    pub inode: u64,
}

/// What is to be made durable in one transaction.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A folder capture: ledger row and result (or the link to the result that its bytes already have).
    Capture {
        /// The file.
        path: CapturePath,
        /// The state of the file that was read.
        stamp: FileStamp,
        /// What was found. Its `source` is `Source::Folder(path)`.
        finding: Finding,
    },
    /// A folder capture whose bytes are known to have a result already: the ledger row alone.
    Alias {
        /// The file.
        path: CapturePath,
        /// The state of the file that was read.
        stamp: FileStamp,
        /// SHA-256 of its bytes.
        sha256: crate::result::Digest,
        /// The result's sequence.
        sequence: u64,
    },
    /// A request's result.
    Request {
        /// What was found. Its `source` is `Source::Rpc`.
        finding: Finding,
    },
}

/// What the journal made of an entry.
#[derive(Debug, Clone)]
pub enum Committed {
    /// A new result.
    Stored(Arc<Record>),
    /// These bytes had a result already; nothing new was stored but the ledger row.
    Known(Arc<Record>),
}

impl Committed {
    /// The result, new or known.
    #[must_use]
    pub const fn record(&self) -> &Arc<Record> {
        match self {
            Self::Stored(record) | Self::Known(record) => record,
        }
    }
}

/// How a capture's story ended, as the ledger keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaptureState {
    /// It has a result of its own.
    Done,
    /// Its bytes have another capture's result.
    Duplicate,
    /// It was rejected, which is a result too.
    Rejected,
}

/// One row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The state of the file that led to this row.
    pub stamp: FileStamp,
    /// How it ended.
    pub state: CaptureState,
    /// The sequence of its result.
    pub sequence: u64,
}

/// The ends of what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// The oldest sequence still kept; 0 when the journal is empty.
    pub oldest: u64,
    /// The newest sequence ever stored; 0 when there was none.
    pub newest: u64,
}
