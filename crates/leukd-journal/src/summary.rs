//! Specimen summaries: the counts of a specimen, stored once no further result came or its
//! done-marker appeared.

use serde::{Deserialize, Serialize};

use crate::result::{CapturePath, Tally, Timestamp};

/// The reason for a summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// No further result came for `specimen.quiet_after`.
    Quiet,
    /// Its done-marker appeared.
    Marker(Marker),
}

/// A file whose name says that a specimen is done. leukd reads its folder's entry and nothing else
/// of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The file.
    pub path: CapturePath,
    /// Its modification time, nanoseconds since 1970: a marker that is touched counts again.
    pub mtime_ns: i64,
}

/// The counts of one specimen, with their place in the journal. They never change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecimenSummary {
    /// Its place among all events: 1, 2, 3, … without holes.
    #[serde(skip)]
    pub sequence: u64,
    /// The specimen; never empty.
    pub specimen: String,
    /// 1 for the first; one more each time that further results came after the last. Counted over
    /// what retention keeps.
    pub round: u64,
    /// Why now.
    pub cause: Cause,
    /// Live results by decision, as of this event.
    pub cells: Tally,
    /// The earliest of their `classified_at`.
    pub first_classified_at: Timestamp,
    /// The latest of their `classified_at`.
    pub last_classified_at: Timestamp,
    /// When the event was stored.
    pub stored_at: Timestamp,
}
