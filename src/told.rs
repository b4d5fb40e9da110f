//! When a specimen has been told: an event that says what was counted once nothing more came.

use crate::result::{CapturePath, Timestamp};

/// Why a specimen's event came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// No further result came for as long as `specimen.quiet_after` says.
    Quiet,
    /// Its done-marker appeared.
    Marker(Marker),
}

/// A file whose name says that a specimen is done. leukd reads its folder's entry and nothing else of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The file.
    pub path: CapturePath,
    /// Its modification time, nanoseconds since 1970: a marker that is touched counts again.
    pub mtime_ns: i64,
}

/// What was counted of one specimen, with its place in the journal. It never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecimenTold {
    /// Its place among all events: 1, 2, 3, … without holes.
    pub sequence: u64,
    /// The specimen; never empty.
    pub specimen: String,
    /// 1 for the first; one more each time that further results came after the last. Counted over what retention keeps.
    pub round: u64,
    /// Why now.
    pub cause: Cause,
    /// Live results decided as blast, as of this event.
    pub all: u64,
    /// Decided as normal.
    pub hem: u64,
    /// For a person to look at.
    pub review: u64,
    /// Not classified.
    pub rejected: u64,
    /// The earliest of their `classified_at`.
    pub first_classified_at: Timestamp,
    /// The latest of their `classified_at`.
    pub last_classified_at: Timestamp,
    /// When the event was stored.
    pub told_at: Timestamp,
}
