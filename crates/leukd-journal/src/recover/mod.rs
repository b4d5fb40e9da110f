//! A new journal of what can be read of a damaged one.
//!
//! The damaged file is copied, and only the copy is opened; the original is moved aside at the end,
//! or left where it is. The new journal has an epoch of its own, so that every client learns by
//! OUT_OF_RANGE that its cursor counts in another journal. What was lost leaves holes, and an epoch
//! has none: events are numbered anew, in their order. Their `result_id` and `review_id` stay. A
//! capture whose ledger row or result was lost has none, or one that fits no file: it is looked at
//! again, and classified again where its bytes have no result.

use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{TransactionBehavior, params};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::backup::{aside, give_to_owner_of};
use super::epoch::EpochReason;
use super::error::JournalError;
use super::file_id::with_suffix;
use super::types::{Counts, FILE};
use super::{lock, schema};
use crate::clock::Clock;
use crate::result::{Digest, Timestamp};

mod first_pages;
mod replay;
mod salvage;

use salvage::{Before, STAGE, Wreck};

/// How much is copied at once, and the part of it that is given up where the disk fails.
const AT_ONCE: usize = 1 << 20;
const PAGE: usize = 4096;

/// What was saved and what was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recovered {
    /// The new journal's file.
    pub journal: PathBuf,
    /// Where the damaged file is now.
    pub damaged: PathBuf,
    /// SHA-256 of the damaged file, in hexadecimal.
    pub damaged_sha256: String,
    /// The damaged journal's epoch; none where it could not be read.
    pub epoch_before: Option<String>,
    /// The new journal's epoch.
    pub epoch: String,
    /// Events that were saved, by kind.
    pub saved: Counts,
    /// Events that were there and could not be read; none where nobody knows how many there were.
    pub lost: Option<u64>,
    /// Events that could be read and are not what the audit chain says: they were left out.
    pub altered: u64,
    /// Ledger rows that were saved.
    pub files: u64,
    /// The newest record of the damaged journal's audit chain that fits.
    pub audit_head_before: Option<String>,
    /// What is wrong with that chain; none where it was whole.
    pub audit_fault_before: Option<String>,
}

impl Recovered {
    /// The events of this kind that were saved.
    #[must_use]
    pub fn count(&self, kind: &str) -> u64 {
        self.saved.get(kind).copied().unwrap_or_default()
    }
}

/// Makes a new journal of what can be read of the one in `state`: in `output`, which then holds a
/// journal and the original is not touched, or in its place, and the damaged file is kept beside
/// it.
///
/// # Errors
/// [`JournalError::Locked`] while a daemon has the journal; [`JournalError::Newer`] where a newer
/// leukd wrote it; [`JournalError::Damaged`] where nothing can be read; [`JournalError::Storage`].
/// The damaged file is then where it was.
pub fn recover(
    state: &Path,
    output: Option<&Path>,
    clock: &Clock,
) -> Result<Recovered, JournalError> {
    let lock = lock::DirectoryLock::take(state)?;
    let original = state.join(FILE);
    let place = output.unwrap_or(state);
    let trouble = |error: &std::io::Error| JournalError::io(place, error);
    fs_err::create_dir_all(place).map_err(|error| trouble(&error))?;
    let target = place.join(FILE);
    if output.is_some() && target.exists() {
        return Err(JournalError::Storage {
            file: target,
            what: "there is a journal already: name an empty folder".to_owned(),
        });
    }
    let work = tempfile::Builder::new()
        .prefix("recovering-")
        .tempdir_in(place)
        .map_err(|error| trouble(&error))?;
    let copy = work.path().join("damaged.sqlite");
    let sha256 = copied(&original, &copy)?;
    if with_suffix(&original, "-wal").exists() {
        copied(&with_suffix(&original, "-wal"), &with_suffix(&copy, "-wal"))?;
    }
    let fresh = work.path().join(FILE);
    let wreck = Wreck::open(&copy).map_err(|error| match error {
        JournalError::Damaged { what, .. } => {
            JournalError::Damaged { file: original.clone(), what }
        }
        other => other,
    })?;
    wreck.refuse_newer(&original)?;
    let mut recovered = build(&fresh, &wreck, &sha256, clock.wall())?;
    drop(wreck);
    give_to_owner_of(place, &fresh)?;
    recovered.damaged.clone_from(&original);
    if output.is_none() {
        recovered.damaged = put_aside(&original, clock.wall())?;
    }
    fs_err::rename(&fresh, &target).map_err(|error| trouble(&error))?;
    fs_err::File::open(place)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| trouble(&error))?;
    if output.is_none() {
        // The next start finds its own journal here.
        let noted = lock.water_mark().map_err(|error| trouble(&error))?;
        noted.note(&recovered.epoch, 1);
        noted.sync();
    }
    recovered.journal = target;
    Ok(recovered)
}

/// Writes the new journal, all of it in one transaction.
fn build(
    fresh: &Path,
    wreck: &Wreck,
    sha256: &Digest,
    now: Timestamp,
) -> Result<Recovered, JournalError> {
    let trouble = |error: rusqlite::Error| JournalError::sqlite(fresh, &error);
    let (mut connection, meta) = schema::open_writer(fresh, now)?;
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(trouble)?;
    let work = || -> rusqlite::Result<Recovered> {
        transaction.execute_batch(STAGE)?;
        let before = wreck.salvage(&transaction)?;
        let removed_to = before.removed_to;
        let replayed = replay::number(&transaction, removed_to)?;
        // What was there by its numbers, and is not: retention's part was removed, not lost.
        let lost = before.next_sequence.map(|next| {
            next.saturating_sub(1).saturating_sub(removed_to).saturating_sub(replayed.read)
        });
        let mut chain = meta.chain;
        let Before { epoch: epoch_before, head, fault, .. } = &before;
        let mut recovered = Recovered {
            journal: PathBuf::new(),
            damaged: PathBuf::new(),
            damaged_sha256: sha256.to_string(),
            epoch_before: epoch_before.clone(),
            epoch: meta.epoch.clone(),
            saved: replay::counts(&transaction)?,
            lost,
            altered: replayed.altered,
            files: 0,
            audit_head_before: head.clone(),
            audit_fault_before: fault.clone(),
        };
        let told = Told { next_sequence: replayed.next, recovered: &recovered };
        chain.recovery(&transaction, now, told)?;
        replay::events(&transaction, &mut chain, removed_to, now)?;
        recovered.files = replay::ledger(&transaction, removed_to, now)?;
        // Whether a specimen that is open had a summary before the damage is not known: it gets one
        // again.
        let summarized = replay::last_up_to(&transaction, before.specimens_to)?;
        transaction.execute(
            "UPDATE meta SET next_sequence = ?1, specimens_to = ?2, epoch_reason = ?3, epoch_before = ?4",
            params![
                replayed.next.cast_signed(),
                summarized.cast_signed(),
                EpochReason::Recovered.as_str(),
                epoch_before
            ],
        )?;
        chain.store(&transaction)?;
        Ok(recovered)
    };
    let recovered = work().map_err(trouble)?;
    transaction.commit().map_err(trouble)?;
    // The log goes into the file, which is then complete by itself.
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .and_then(|()| connection.close().map_err(|(_, error)| error))
        .map_err(trouble)?;
    Ok(recovered)
}

/// The record of a recovery.
#[derive(Serialize)]
struct Told<'a> {
    next_sequence: u64,
    #[serde(flatten)]
    recovered: &'a Recovered,
}

/// Copies a file and gives the digest of what was copied. A part that the disk does not give back
/// is zeros.
fn copied(from: &Path, to: &Path) -> Result<Digest, JournalError> {
    let (source, mut target) = (
        fs_err::File::open(from).map_err(|error| JournalError::io(from, &error))?,
        fs_err::File::create(to).map_err(|error| JournalError::io(to, &error))?,
    );
    let trouble = |error: std::io::Error| JournalError::io(from, &error);
    let length = source.metadata().map_err(trouble)?.len();
    let mut hasher = Sha256::new();
    let mut part = vec![0; AT_ONCE];
    let (mut offset, mut wanted) = (0, AT_ONCE);
    while offset < length {
        let read = match source.file().read_at(&mut part[..wanted], offset) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::IO.raw_os_error()) => {
                return Err(trouble(error));
            }
            Err(_) if wanted > PAGE => {
                wanted = PAGE;
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, offset, "a page of the damaged file is read as zeros");
                part[..PAGE].fill(0);
                usize::try_from(length - offset).unwrap_or(PAGE).min(PAGE)
            }
        };
        hasher.update(&part[..read]);
        target.write_all(&part[..read]).map_err(|error| JournalError::io(to, &error))?;
        offset += read as u64;
    }
    Ok(Digest(hasher.finalize().into()))
}

/// Moves the damaged journal's files out of the way, under names that tell when, and gives that of
/// the main one.
fn put_aside(original: &Path, now: Timestamp) -> Result<PathBuf, JournalError> {
    let aside = aside(original, "damaged", now);
    for suffix in ["-wal", "-shm", ""] {
        let from = with_suffix(original, suffix);
        if from.exists() {
            let to = with_suffix(&aside, suffix);
            fs_err::rename(&from, to).map_err(|error| JournalError::io(&from, &error))?;
        }
    }
    Ok(aside)
}
