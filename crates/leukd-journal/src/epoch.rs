//! Epochs: a sequence means one event within an epoch, and another event in the next one.
//!
//! A new epoch begins where the numbers of this journal may already have been given to other
//! events: in an older file, in a copy, in another journal's place. Two marks show it. The journal
//! holds the mark of its own file, and `leukd.lock` beside it how far the last writer came.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

use rusqlite::{Connection, Row, params};

use super::audit::{Chain, NewEpoch};
use super::error::JournalError;
use super::lock::HighWater;
use crate::result::Timestamp;

/// Reason why an epoch began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochReason {
    /// The journal was new.
    Created,
    /// The file was older than what the last writer noted.
    Older,
    /// The file was not the journal that was last in this folder.
    Replaced,
    /// The file was a copy, or came from another file system.
    Copied,
    /// `leukd journal restore` put a backup in place.
    Restored,
    /// `leukd journal recover` made the journal of a damaged one.
    Recovered,
}

impl EpochReason {
    const ALL: [Self; 6] =
        [Self::Created, Self::Older, Self::Replaced, Self::Copied, Self::Restored, Self::Recovered];

    /// The word in the journal, in the audit chain and in the contract.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Older => "older",
            Self::Replaced => "replaced",
            Self::Copied => "copied",
            Self::Restored => "restored",
            Self::Recovered => "recovered",
        }
    }

    /// The reason as a sentence.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Created => "the journal was new",
            Self::Older => {
                "the file was older than the journal that leukd last wrote here: an older file took \
                 its place, or its write-ahead log (-wal) was deleted"
            }
            Self::Replaced => "the file was not the journal that leukd last wrote here",
            Self::Copied => "the file was a copy, or was moved here from another file system",
            Self::Restored => "a backup was restored",
            Self::Recovered => "the journal was recovered from a damaged one",
        }
    }

    fn parse(word: &str) -> rusqlite::Result<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word).ok_or_else(|| {
            let unknown = format!("{word:?} is no reason of an epoch").into();
            rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, unknown)
        })
    }
}

/// Beginning of the running epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochOrigin {
    /// The reason.
    pub reason: EpochReason,
    /// The time.
    pub at: Timestamp,
    /// The epoch before; none where there was none, or where it could not be read.
    pub before: Option<String>,
}

/// File systems that make inode numbers up at each mount, or show those of another machine:
/// FUSE, FAT, exFAT, NTFS, 9p, overlay, CIFS, SMB2 (`linux/magic.h`).
const FLEETING_INODES: [u32; 9] = [
    0x6573_5546,
    0x4D44,
    0x2011_BAB0,
    0x7366_746E,
    0x5346_544E,
    0x0102_1997,
    0x794C_7630,
    0xFF53_4D42,
    0xFE53_4D42,
];

/// FAT keeps local time, so that another time zone or season moves its birth times.
const FLEETING_BIRTHS: u32 = 0x4D44;

/// Identity of a file that survives a restart, a rename and a new device number, and that no copy
/// shares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct FileMark {
    /// 0 where the file system's inode numbers do not last.
    inode: u64,
    /// None where the file system keeps no birth time.
    born_ns: Option<i64>,
}

impl FileMark {
    /// The mark of the file of this name.
    pub(super) fn new(file: &Path) -> Result<Self, JournalError> {
        let read = || -> std::io::Result<Self> {
            let found = fs_err::metadata(file)?;
            let kind = u32::try_from(rustix::fs::statfs(file)?.f_type).unwrap_or_default();
            let born = found.created().ok().filter(|_| kind != FLEETING_BIRTHS);
            let born = born.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            Ok(Self {
                inode: if FLEETING_INODES.contains(&kind) { 0 } else { found.ino() },
                born_ns: born.and_then(|at| i64::try_from(at.as_nanos()).ok()).filter(|ns| *ns > 0),
            })
        };
        read().map_err(|error| JournalError::io(file, &error))
    }

    pub(super) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        Ok(Self { inode: row.get::<_, i64>(first)?.cast_unsigned(), born_ns: row.get(first + 1)? })
    }

    /// Writes it into `meta`, inside the caller's transaction.
    pub(super) fn store(self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .execute(
                "UPDATE meta SET file_inode = ?1, file_born_ns = ?2",
                params![self.inode.cast_signed(), self.born_ns],
            )
            .map(drop)
    }

    /// True unless something that both marks know differs.
    fn fits(self, other: Self) -> bool {
        let inodes = self.inode == 0 || other.inode == 0 || self.inode == other.inode;
        let born =
            self.born_ns.is_none() || other.born_ns.is_none() || self.born_ns == other.born_ns;
        inodes && born
    }
}

/// The row of the table `meta`.
#[derive(Debug, Clone)]
pub(super) struct Meta {
    /// The journal's epoch.
    pub(super) epoch: String,
    /// The sequence that the next event gets.
    pub(super) next_sequence: u64,
    /// The end of the audit chain.
    pub(super) chain: Chain,
    /// How the epoch began.
    pub(super) origin: EpochOrigin,
    /// The mark of the file that the journal was last written in.
    pub(super) mark: FileMark,
}

pub(super) fn read_origin(row: &Row<'_>, first: usize) -> rusqlite::Result<EpochOrigin> {
    Ok(EpochOrigin {
        reason: EpochReason::parse(&row.get::<_, String>(first)?)?,
        at: Timestamp(row.get(first + 1)?),
        before: row.get(first + 2)?,
    })
}

/// The reason why the journal of this file needs a new epoch, if it does.
fn due(meta: &Meta, file: FileMark, last: Option<&HighWater>) -> Option<EpochReason> {
    if let Some(last) = last {
        if last.epoch == meta.epoch {
            // The note follows the commit, so a death between them never puts it ahead.
            if last.next > meta.next_sequence {
                return Some(EpochReason::Older);
            }
        // An epoch that began without a note of it follows the noted one.
        } else if meta.origin.before.as_ref() != Some(&last.epoch)
            && (meta.next_sequence > 1 || last.next > 1)
        {
            return Some(EpochReason::Replaced);
        }
    }
    (!meta.mark.fits(file)).then_some(EpochReason::Copied)
}

/// Begins a new epoch where the journal is not the one that was written last. True when it did.
pub(super) fn renew(
    connection: &mut Connection,
    file: &Path,
    meta: &mut Meta,
    last: Option<&HighWater>,
    now: Timestamp,
) -> Result<bool, JournalError> {
    let mark = FileMark::new(file)?;
    let Some(reason) = due(meta, mark, last) else { return Ok(false) };
    let lost = last
        .filter(|_| reason == EpochReason::Older)
        .map(|last| (meta.next_sequence, last.next.saturating_sub(1)));
    let told = NewEpoch {
        lost_from: lost.map(|lost| lost.0),
        lost_to: lost.map(|lost| lost.1),
        ..NewEpoch::default()
    };
    let before = meta.epoch.clone();
    begin(connection, meta, (reason, mark), told, now)
        .map_err(|error| JournalError::sqlite(file, &error))?;
    let (place, epoch, why) = (file.display(), meta.epoch.as_str(), reason.describe());
    let clients = "clients with a cursor of the epoch before are refused (WRONG_EPOCH) and read from the beginning; \
                   captures without a result are classified again";
    match lost {
        Some((from, to)) => tracing::error!(
            epoch,
            before,
            "{place}: a new epoch began: {why}. The results from {from} to {to} are missing; {clients}"
        ),
        None => tracing::warn!(epoch, before, "{place}: a new epoch began: {why}; {clients}"),
    }
    Ok(true)
}

/// Begins a new epoch for this reason, in one transaction with its audit record. `mark` is that of
/// the journal's file.
pub(super) fn begin(
    connection: &mut Connection,
    meta: &mut Meta,
    (reason, mark): (EpochReason, FileMark),
    told: NewEpoch<'_>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let (epoch, mut chain) = (uuid::Uuid::new_v4().to_string(), meta.chain);
    let transaction = connection.transaction()?;
    transaction.execute(
        "UPDATE meta SET epoch = ?1, epoch_reason = ?2, epoch_began_ms = ?3, epoch_before = ?4",
        params![epoch, reason.as_str(), now.0, meta.epoch],
    )?;
    mark.store(&transaction)?;
    let told = NewEpoch { from: &meta.epoch, to: &epoch, reason: reason.as_str(), ..told };
    chain.epoch(&transaction, now, &told)?;
    chain.store(&transaction)?;
    transaction.commit()?;
    let before = std::mem::replace(&mut meta.epoch, epoch);
    meta.origin = EpochOrigin { reason, at: now, before: Some(before) };
    (meta.mark, meta.chain) = (mark, chain);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_both_marks_know_is_compared() {
        let known = FileMark { inode: 7, born_ns: Some(5) };
        for (other, fits) in [
            (FileMark { inode: 7, born_ns: Some(5) }, true),
            (FileMark { inode: 8, born_ns: Some(5) }, false),
            (FileMark { inode: 7, born_ns: Some(6) }, false),
            (FileMark { inode: 7, born_ns: None }, true),
            (FileMark { inode: 8, born_ns: None }, false),
            (FileMark { inode: 0, born_ns: Some(5) }, true),
            (FileMark { inode: 0, born_ns: Some(6) }, false),
            (FileMark::default(), true),
        ] {
            assert_eq!((known.fits(other), other.fits(known)), (fits, fits), "{other:?}");
        }
    }

    #[test]
    fn every_reason_reads_back() {
        for reason in EpochReason::ALL {
            assert_eq!(EpochReason::parse(reason.as_str()), Ok(reason));
        }
        EpochReason::parse("weather").unwrap_err();
    }
}
