//! What can go wrong with the journal, and what to do about it.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the journal did not do what it was asked. Every message says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Another daemon has this directory.
    #[error(
        "{} is in use by another leukd{}: stop that one, or give this one a state directory of its own",
        .directory.display(), pid_text(*.pid)
    )]
    Locked {
        /// The state directory.
        directory: PathBuf,
        /// The holder's process id, where its lock file tells.
        pid: Option<u32>,
    },
    /// The file is not a journal, or is broken. It is never replaced silently.
    #[error(
        "{} cannot be used: {what}. `leukd journal check` tells what is wrong; `leukd journal recover` saves what can \
         be read into a new journal, and keeps this file; `leukd journal restore FILE` puts a backup in its place",
        .file.display()
    )]
    Damaged {
        /// The journal's file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A backup that cannot be put in the journal's place.
    #[error(
        "{}: this backup is not sound ({what}): take an older one. To save what can be read of it, copy it into an \
         empty folder as journal.sqlite and run `leukd journal recover --state FOLDER`",
        .file.display()
    )]
    UnsoundBackup {
        /// The backup.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A newer leukd wrote the file.
    #[error(
        "{} has schema version {found}, and this leukd knows versions up to {known}: run the leukd that wrote it, \
         or a newer one",
        .file.display()
    )]
    Newer {
        /// The journal's file.
        file: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest schema version of this program.
        known: i64,
    },
    /// There is too little disk space to store results safely.
    #[error(
        "only {free} bytes are free where the journal is, and the floor is {floor}: free disk space, \
         or lower journal.disk_floor; captures wait meanwhile"
    )]
    DiskFloor {
        /// Free bytes on the journal's file system.
        free: u64,
        /// The configured floor in bytes.
        floor: u64,
    },
    /// The entry contradicts itself or the journal. Other entries are not affected.
    #[error("the entry for {subject} was refused: {reason}")]
    Refused {
        /// The capture's path or the request's result id.
        subject: String,
        /// Why; a defect in the caller.
        reason: String,
    },
    /// An alias of a capture that is gone: superseded, or removed by retention.
    #[error(
        "the result {sequence} that {subject} was to share is no longer live: classify the capture"
    )]
    Stale {
        /// The capture's path.
        subject: String,
        /// The result that the caller knew.
        sequence: u64,
    },
    /// Every read connection was busy for too long.
    #[error("the journal has been busy with other reads for {waited_ms} ms: try again")]
    Busy {
        /// How long this read waited.
        waited_ms: u64,
    },
    /// A thread that read the journal failed: a defect of leukd.
    #[error("reading the journal failed: {0}")]
    Reader(String),
    /// The writer has stopped, so that nothing can be stored any more.
    #[error("the journal is closed: restart leukd if it is not stopping")]
    Closed,
    /// The name no longer leads to the file that is open.
    #[error(
        "{} is not the file that leukd has open: it was moved, replaced or restored while leukd ran. \
         Nothing is stored meanwhile. Put the file back. To use the one that lies there now: stop leukd, move that \
         file elsewhere, and `leukd journal restore` it",
        .file.display()
    )]
    Moved {
        /// The journal's file.
        file: PathBuf,
    },
    /// Another program holds the file locked.
    #[error(
        "another program holds {} locked, perhaps an SQLite tool or a backup: end it; leukd tries again",
        .file.display()
    )]
    Held {
        /// The journal's file.
        file: PathBuf,
    },
    /// There is a file where a new one was to be made.
    #[error("{} exists already: leukd overwrites no file, name another one", .file.display())]
    Exists {
        /// The file.
        file: PathBuf,
    },
    /// The operating system or SQLite failed.
    #[error("{}: {what}: check the disk and the permissions, then try again", .file.display())]
    Storage {
        /// The file or directory.
        file: PathBuf,
        /// What failed.
        what: String,
    },
}

fn pid_text(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

impl JournalError {
    /// An SQLite error of `file`, sorted into damage and trouble.
    pub(super) fn sqlite(file: &Path, error: &rusqlite::Error) -> Self {
        let (file, what) = (file.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { file, what }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Held { file },
            _ if is_odd_row(error) => Self::Damaged { file, what },
            _ => Self::Storage { file, what },
        }
    }

    /// An I/O error; `fs_err` has put the path into it.
    pub(super) fn io(file: &Path, error: &std::io::Error) -> Self {
        Self::Storage { file: file.to_owned(), what: error.to_string() }
    }

    /// True when trying the same again later can help without anybody doing anything else.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::DiskFloor { .. }
                | Self::Busy { .. }
                | Self::Moved { .. }
                | Self::Held { .. }
                | Self::Storage { .. }
        )
    }
}

/// True when a stored row does not read as what this program writes.
const fn is_odd_row(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
    )
}

/// Why a review was not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReviewError {
    /// There is no such result, or no longer.
    #[error("there is no such result, or retention has removed it")]
    NoResult,
    /// Another result has taken its place: the picture that it is about is no longer there, or has
    /// a better result.
    #[error(
        "result {sequence} was superseded by {by}: the file came back with other bytes, or could be classified after \
         all; look at result {by} and review that one"
    )]
    Superseded {
        /// The result's sequence.
        sequence: u64,
        /// The sequence of the one that took its place.
        by: u64,
    },
    /// Another review has this id.
    #[error("the review_id {0} is that of another review: give each review an id of its own")]
    IdTaken(String),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Why a signature or a withdrawal was not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// No live result names the specimen.
    #[error("no result names the specimen {0:?}: there is nothing to sign")]
    NoSpecimen(String),
    /// Cells under `review` wait for a reader.
    #[error(
        "{} under review of specimen {specimen:?} for a reader: {}; review, then sign",
        if *to_review == 1 { "1 cell waits".to_owned() } else { format!("{to_review} cells wait") },
        some_results(first, *to_review)
    )]
    Waiting {
        /// The specimen.
        specimen: String,
        /// How many cells wait.
        to_review: u64,
        /// The sequences of the first of them.
        first: Vec<u64>,
    },
    /// It changed after the signer looked.
    #[error(
        "specimen {specimen:?} last changed at sequence {newest}, and the signer says to have seen \
         it up to {seen}: look again, then sign"
    )]
    Changed {
        /// The specimen.
        specimen: String,
        /// What the signer has seen.
        seen: u64,
        /// The newest change.
        newest: u64,
    },
    /// The person's signature counts already.
    #[error(
        "{signer} has signed specimen {specimen:?} already, at sequence {sequence}; a second \
         signature is another person's"
    )]
    SamePerson {
        /// The specimen.
        specimen: String,
        /// The person.
        signer: String,
        /// The signature.
        sequence: u64,
    },
    /// As many people as must have signed.
    #[error(
        "specimen {specimen:?} is signed by {}: it needs no other signature",
        .signers.join(" and ")
    )]
    Complete {
        /// The specimen.
        specimen: String,
        /// The people.
        signers: Vec<String>,
    },
    /// There is no signature to withdraw.
    #[error("{signer} has no signature of specimen {specimen:?}: there is nothing to withdraw")]
    NoSignature {
        /// The specimen.
        specimen: String,
        /// The person.
        signer: String,
    },
    /// Another signature or withdrawal has this id.
    #[error("the signature_id {0} is that of another signature: give each an id of its own")]
    IdTaken(String),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The first results of many, in words.
fn some_results(first: &[u64], all: u64) -> String {
    let named: Vec<String> = first.iter().map(u64::to_string).collect();
    let more = if (first.len() as u64) < all { ", …" } else { "" };
    let noun = if all == 1 { "result" } else { "results" };
    format!("{noun} {}{more}", named.join(", "))
}

/// Reason why an entry was not stored.
#[derive(Debug)]
pub(super) enum ApplyError {
    /// It contradicts itself.
    Refused(String),
    /// It is an alias of this result, which is not live.
    Stale(u64),
    /// SQLite said no.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for ApplyError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig) => {
                Self::Refused(error.to_string())
            }
            _ => Self::Sqlite(error),
        }
    }
}
