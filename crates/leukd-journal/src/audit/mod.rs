//! The audit chain: what happened, one record each, every record sealed with the one before it.
//!
//! A record is a line of JSON. Its hash is BLAKE3 over the hash of the record before (32 bytes,
//! zero for the first) and the record's own text. It is written in the transaction of what it tells
//! of, so that there is no event without its record and no record without its event. An event's
//! record holds the BLAKE3 digest of its payload as well, so that an edit of the payload is found
//! as long as it is kept.
//!
//! What the chain cannot tell: that its newest records were removed, or that all of it was written
//! anew, by somebody who may write the file. Only a [`AuditHead`] that is kept elsewhere finds
//! that. The daemon says it in its log and in `GetStatus`.

use std::fmt;
use std::str::FromStr;

mod announce;
mod backlog;
mod chain;
mod event;
mod export;
mod verify;

pub use announce::Run;
pub use event::{AuditEvent, Change};
pub use export::{Chain as ExportedChain, Sealed};
pub use verify::{Fault, Verified, verify};

pub(super) use backlog::{Backlog, Room};
pub(super) use chain::{Chain, NewEpoch, Restored, Retention, begin, read_head, seal};
pub(super) use verify::examine;

/// The events of the chain, without those that come in thousands: SQLite uses the index of these
/// words only where a query repeats them.
pub(super) const RARE: &str = "kind NOT IN ('result', 'rejection', 'adopted')";

/// A place in the chain: the number of a record, and its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    /// 1, 2, 3, …; 0 before the first record.
    pub number: u64,
    /// The hash of that record, which stands for all before it.
    pub hash: blake3::Hash,
}

impl AuditHead {
    /// Before the first record.
    pub const NONE: Self = Self { number: 0, hash: blake3::Hash::from_bytes([0; 32]) };
}

impl fmt::Display for AuditHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, self.hash)
    }
}

impl FromStr for AuditHead {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split_once(':')
            .and_then(|(number, hash)| {
                let number = number.parse().ok()?;
                Some(Self { number, hash: blake3::Hash::from_hex(hash).ok()? })
            })
            .ok_or_else(|| {
                format!("{text:?} is no head: give NUMBER:HASH, with 64 hexadecimal digits")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_back_as_it_is_shown() {
        let head = AuditHead { number: 7, hash: blake3::hash(b"x") };
        assert_eq!(head.to_string().parse(), Ok(head));
        for bad in ["", "7", "7:", "x:00", "7:00", ":"] {
            assert!(bad.parse::<AuditHead>().is_err(), "{bad:?}");
        }
    }
}
