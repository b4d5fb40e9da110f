//! What goes into the journal and what comes out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use super::counts::{
    CellPlace, OpenSpecimens, Opinion, Outline, ReviewedCell, SlideCounts, SpecimenCounts,
    SpecimenQuery,
};
use super::filter::Filter;
use crate::clock::Clock;
use crate::result::{
    Capture, CapturePath, CellIds, Decision, Digest, Field, FieldFigures, Finding, Record,
    ScaleSource, Timestamp,
};
use crate::review::{Review, ReviewLabel, Verdict};
use crate::summary::Marker;

/// The journal's file in the state directory.
pub const FILE: &str = "journal.sqlite";

/// The newest events that are held in memory, unless [`Options::tail`] says otherwise.
pub const TAIL: usize = 4096;

/// The most events that one read gives, whatever its limit: nobody holds the journal in memory.
pub const MAX_READ: usize = 4096;

/// The most slides that [`SpecimenCounts`] names.
pub const MAX_SLIDES: usize = 1000;

/// How a journal is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Tells when a result is too old.
    pub clock: Clock,
    /// Results classified and reviews stored longer ago are removed by `prune`. None: no age is too
    /// old.
    pub keep_for: Option<Duration>,
    /// The newest events that `prune` keeps. None: all.
    pub keep_count: Option<u64>,
    /// With fewer free bytes on the file system nothing is stored.
    pub disk_floor: u64,
    /// The newest events that are held in memory. None: [`TAIL`].
    pub tail: Option<usize>,
    /// The daemon that opens it, for the audit chain. None: the chain tells of no start.
    pub run: Option<super::audit::Run>,
}

impl Options {
    /// Keeps everything, without a floor.
    #[must_use]
    pub const fn new(clock: Clock) -> Self {
        Self { clock, keep_for: None, keep_count: None, disk_floor: 0, tail: None, run: None }
    }
}

/// Fingerprint of a file's metadata; equal stamps mean an unchanged file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct FileStamp {
    /// Bytes.
    pub size: u64,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Status-change time, nanoseconds since 1970: it moves when a file of old mtime and equal size
    /// is renamed over another. 0 on network file systems, whose servers disagree about it.
    pub ctime_ns: i64,
    /// Inode number; 0 on network file systems, where it may change with every mount.
    pub inode: u64,
}

/// One capture with the results of its cells, not yet stored.
#[derive(Debug, Clone)]
pub struct Found {
    /// The image.
    pub capture: Capture,
    /// Its cells, by ordinal. One for a capture of a cell, any number for a field of view.
    pub cells: Vec<Finding>,
    /// Figures of the field of view; none for a capture of one cell.
    pub figures: Option<FieldFigures>,
    /// From ready until the last decision, in microseconds.
    pub took_us: u64,
}

impl Found {
    /// A capture of one cell, or a rejection.
    #[must_use]
    pub fn one(capture: Capture, cell: Finding) -> Self {
        let took_us = cell.timings.total_us();
        Self { capture, cells: vec![cell], figures: None, took_us }
    }

    /// Nothing in it could be classified: a later look may say more.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        is_rejected(self.cells.iter())
    }
}

fn is_rejected<'a>(mut cells: impl ExactSizeIterator<Item = &'a Finding>) -> bool {
    cells.len() > 0 && cells.all(|cell| cell.decision == Decision::Rejected)
}

/// What is to be made durable in one transaction.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A folder capture: ledger row and results (or the link to those that its bytes already have).
    Capture {
        /// The state of the file that was read.
        stamp: FileStamp,
        /// The capture. Its `source` is `Source::Folder`.
        found: Found,
    },
    /// A folder capture whose bytes are known to have a result already: the ledger row alone.
    Alias {
        /// The file.
        path: CapturePath,
        /// The state of the file that was read.
        stamp: FileStamp,
        /// SHA-256 of its bytes.
        digest: Digest,
        /// The known capture's [`Stored::sequence`].
        sequence: u64,
    },
    /// A request's capture.
    Request {
        /// The capture. Its `source` is `Source::Rpc`.
        found: Found,
    },
}

/// A field of view as a request names it: what makes a later request the same one.
#[derive(Debug, Clone, Copy)]
pub struct FieldRequest<'a> {
    /// SHA-256 of the bytes.
    pub digest: &'a Digest,
    /// Ids of its first cell.
    pub ids: &'a CellIds,
    /// The model's digest.
    pub model: &'a str,
    /// Micrometres that one pixel spans, where the request says so.
    pub micrometres_per_pixel: Option<f64>,
}

impl FieldRequest<'_> {
    /// True for a field that was looked at as this request asks.
    pub(crate) fn is_like(&self, field: &Field) -> bool {
        let given = field.figures.filter(|own| own.scale_source == ScaleSource::Given);
        given.map(|own| own.micrometres_per_pixel) == self.micrometres_per_pixel
    }
}

impl Entry {
    /// The file that it is about; none for a request.
    #[must_use]
    pub const fn path(&self) -> Option<&CapturePath> {
        match self {
            Self::Capture { found, .. } => found.capture.path(),
            Self::Alias { path, .. } => Some(path),
            Self::Request { .. } => None,
        }
    }
}

/// A capture as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The sequence that stands for it: its result's, or that of the end of its field of view.
    pub sequence: u64,
    /// The end of its field of view; none for a capture of one cell.
    pub field: Option<Arc<Field>>,
    /// The results of its cells, in their order.
    pub records: Vec<Arc<Record>>,
}

impl Stored {
    /// As [`Found::is_rejected`].
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        is_rejected(self.records.iter().map(|record| &record.finding))
    }

    /// The result of its only or its first cell; none for a field of view without cells.
    #[must_use]
    pub fn first(&self) -> Option<&Arc<Record>> {
        self.records.first()
    }

    /// The image; none where retention has removed all of its events.
    #[must_use]
    pub fn capture(&self) -> Option<&Capture> {
        let field = self.field.as_ref().map(|field| &field.capture);
        field.or_else(|| self.records.first().map(|record| &record.capture))
    }
}

/// What the journal made of an entry.
#[derive(Debug, Clone)]
pub enum Committed {
    /// New results.
    Stored(Stored),
    /// These bytes had results already; nothing new was stored but the ledger row.
    Known(Stored),
}

impl Committed {
    /// The capture, new or known.
    #[must_use]
    pub const fn stored(&self) -> &Stored {
        match self {
            Self::Stored(stored) | Self::Known(stored) => stored,
        }
    }
}

/// How a capture's story ended, as the ledger keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaptureState {
    /// It has results of its own.
    Done,
    /// Its bytes have another capture's results.
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
    /// The capture's [`Stored::sequence`].
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

/// Numbers of events by kind.
pub type Counts = BTreeMap<&'static str, u64>;

/// The journal as `GetStatus` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The journal's epoch.
    pub epoch: String,
    /// How the epoch began.
    pub origin: super::EpochOrigin,
    /// The ends of what is stored.
    pub bounds: Bounds,
    /// The sizes of its files.
    pub sizes: super::Sizes,
    /// The newest record of the audit chain.
    pub audit: super::AuditHead,
    /// Free bytes on its file system.
    pub free_bytes: u64,
    /// With fewer free bytes nothing is stored.
    pub floor_bytes: u64,
}

/// Which one result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// By its place.
    Sequence(u64),
    /// By its UUID.
    ResultId(String),
    /// The latest result of this file, or of the name under which its bytes were known already.
    Path(CapturePath),
}

/// One page of a listing.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Which results.
    pub filter: Filter,
    /// Only live ones that stand so now. None: any.
    pub verdict: Option<Verdict>,
    /// Only those that no later capture had superseded at this sequence. None: any.
    pub live_as_of: Option<u64>,
    /// [`Page::next`] of the page before; none for the first.
    pub after: Option<u64>,
    /// The most results of the page: 1 to [`MAX_READ`].
    pub limit: usize,
    /// Descending instead of ascending.
    pub newest_first: bool,
}

/// A part of a listing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// At most [`ListQuery::limit`] results.
    pub records: Vec<Arc<Record>>,
    /// Where the next page goes on; none when this is the last one.
    pub next: Option<u64>,
}

/// The ledger of one folder, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FolderCounts {
    /// Captures with a result of their own.
    pub done: u64,
    /// Captures whose bytes have another capture's result.
    pub duplicates: u64,
    /// Captures that were rejected and have not come back whole.
    pub rejected: u64,
}

/// A review that is to be stored.
#[derive(Debug, Clone)]
pub struct NewReview {
    /// Of which result: [`Lookup::Sequence`] or [`Lookup::ResultId`].
    pub of: Lookup,
    /// What the reviewer says.
    pub label: ReviewLabel,
    /// Who says it; see [`Review::reviewer`].
    pub reviewer: String,
    /// What else; see [`Review::note`].
    pub note: String,
    /// See [`Review::blind`].
    pub blind: bool,
    /// Who sent it.
    pub client: String,
    /// A UUID that makes giving the same again harmless. None: it gets one.
    pub review_id: Option<String>,
}

/// What the journal made of a review.
#[derive(Debug, Clone)]
pub enum Submitted {
    /// It is the newest event.
    Stored(Arc<Review>),
    /// It was stored already, under the same id.
    Known(Arc<Review>),
}

/// Which reviews, and in what order.
#[derive(Debug, Clone, Default)]
pub struct ReviewQuery {
    /// Only those of the result with this sequence.
    pub result_sequence: Option<u64>,
    /// Only those of the result with this id.
    pub result_id: Option<String>,
    /// Only those of this specimen's results.
    pub specimen: Option<String>,
    /// Only those of this reviewer.
    pub reviewer: Option<String>,
    /// Only those that say something else than leukd suggested.
    pub corrections: bool,
    /// [`ReviewPage::next`] of the page before; none for the first.
    pub after: Option<u64>,
    /// The most reviews of the page: 1 to [`MAX_READ`].
    pub limit: usize,
    /// Descending instead of ascending.
    pub newest_first: bool,
}

/// A part of a listing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReviewPage {
    /// At most [`ReviewQuery::limit`] reviews.
    pub reviews: Vec<Review>,
    /// Where the next page goes on; none when this is the last one.
    pub next: Option<u64>,
}

/// What the writer is asked to do about summaries.
#[derive(Debug, Clone)]
pub(super) enum Summarize {
    /// Store this specimen's, if its newest live result is not newer than the time; everything up
    /// to the sequence has one.
    Quiet { specimen: String, not_after: Timestamp, summarized_to: u64 },
    /// Store that of this specimen, whose done-marker is there.
    Marked { specimen: String, marker: Marker },
    /// Whatever came up to now never gets one.
    Nothing,
}

/// What became of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    /// It led to a summary.
    Stored,
    /// It needs nothing more: it led to a summary before, or its specimen got one without it.
    Known,
    /// No result names its specimen yet.
    Early,
}
