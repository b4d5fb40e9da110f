//! Results that survive: store, ledger, cursor, retention; and the words of the domain, which every
//! floor above shares ([`result`], [`review`], [`signature`], [`summary`], [`fraction`], [`score`],
//! [`clock`], [`units`]).
//!
//! One SQLite file in the state directory holds the events (results, ends of fields of view,
//! reviews, signatures, summaries of specimens: what clients see, numbered 1, 2, 3, … without holes
//! within one epoch) and the ledger (what became of each file). Both change in one transaction, so
//! that a capture is done if and only if its results are stored. A commit is answered, and its
//! results published, only after it is on the disk.
//!
//! The table `events` is the truth: its payloads are what is hashed into the audit chain and what
//! readers decode. All other columns follow from them (`kinds/`), so that a recovery is a replay.
//!
//! # What an entry becomes
//!
//! The writer decides, inside its transaction, never the caller: two captures of equal bytes may be
//! under way at once. Identity is content: a capture is known by the digest of its bytes, a cell by
//! that and its ordinal. A capture is one result, or the results of a field of view and the event
//! that closes it; all of them are live or superseded as one. A result is *live* while no later
//! capture supersedes its own; no two live folder results are of the same cell (an index of the
//! schema sees to it).
//!
//! 1. Bytes that have a live folder result keep it: the file's ledger row leads there, and the
//!    answer is [`types::Committed::Known`]. A rename, a copy, a re-export or a touch gives no
//!    second result. This holds for rejections too, as long as the new finding is one as well.
//! 2. Bytes whose live result is a rejection, and which could now be classified, get a new result.
//!    It supersedes the rejection, and every file that led to the rejection leads to the new
//!    result.
//! 3. Other bytes get a new result. If the file's row led to an earlier result, the new one
//!    supersedes it, **unless another file's row still leads there**: that file still shows those
//!    bytes, and its cell must not be lost. Whichever file leaves a result last supersedes it,
//!    whoever it was named after. So X, then Y, then X again under one name gives three results,
//!    each superseding the one before.
//! 4. A file that could not be read has no bytes to know it by. It shares nothing; the same state
//!    of the same file is answered with the result that it has.
//! 5. Only a new result supersedes. A file that is overwritten with bytes that have a live result
//!    already leads there, and its own earlier result stays live, as it would if the file were
//!    deleted. So the live results are exactly those that no stored result names in `supersedes`: a
//!    client that follows the stream counts what [`Journal::specimen`] counts. In a field of view
//!    it is the event that closes it which they name.
//! 6. Requests are known by bytes, ids and model among themselves. They neither give results to
//!    files nor take them.
//!
//! # What people say of a result
//!
//! A review is an event of its own, in the same sequence. It changes no result: how a result stands
//! follows from its reviews, of which the latest counts. Only a live result is reviewed. A review
//! holds a copy of what it is about, and goes when its own number is among the oldest, not when its
//! result does.
//!
//! # What people sign
//!
//! A signature of a specimen is an event too, and so is its withdrawal. It is refused while a live
//! cell under `review` has no review. It counts while it is newer than every change of its
//! specimen: a result that came, one that was superseded, or a review that said something else than
//! what stood. That is looked up each time, so that a later change stores nothing of its own. A
//! review that says again what stands changes nothing: a second reader may confirm every cell.
//!
//! # When a specimen is summarised
//!
//! A specimen that has been quiet for a while, or whose done-marker appeared, gets an event with
//! its counts. Further results open it again, and lead to another one. What is open follows from
//! the index.
//!
//! # What is removed
//!
//! Retention removes the oldest events and nothing else. Ledger rows stay, so that a file whose
//! result is gone is not classified again as long as it is not touched. When it is, it gets a new
//! result which names the removed one in `supersedes`. Sequences are never given twice, even when
//! everything was removed.

pub mod agreement;
pub mod atomic_file;
pub mod audit;
pub mod backup;
mod batching;
pub mod check;
pub mod clock;
mod counts;
pub mod crash;
mod epoch;
mod error;
mod file_id;
pub mod filter;
pub mod fraction;
pub mod gallery;
mod handle;
mod hold;
mod identity;
pub mod images;
mod kinds;
mod ledger;
mod lock;
pub mod measure;
mod measured;
mod readers;
pub mod recover;
pub mod result;
mod retention;
mod retention_clock;
pub mod review;
mod schema;
pub mod score;
mod shared;
mod sign_off;
pub mod signature;
mod sql;
mod stored;
mod subscription;
pub mod summary;
mod tail;
mod training;
pub mod types;
pub mod units;
mod waiters;
mod work;
mod writer;

pub use audit::{AuditEvent, AuditHead};
pub use epoch::{EpochOrigin, EpochReason};
pub use error::{JournalError, ReviewError, SignError};
pub use file_id::Sizes;
pub use handle::{Journal, WeakJournal};
pub use hold::Hold;
pub use kinds::Event;
pub use measured::Measured;
pub use retention_clock::ClockDoubt;
pub use stored::{StoredBatch, StoredEvent};
pub use subscription::{Step, Subscription};
pub use tail::Batch;
pub use training::reviewed_cells;
pub use types::{
    CellPlace, FILE, FolderCounts, ListQuery, Lookup, MAX_READ, MAX_SLIDES, Marked, NewReview,
    OpenSpecimens, Opinion, Options, Outline, Page, ReviewPage, ReviewQuery, ReviewedCell,
    SlideCounts, SpecimenCounts, SpecimenQuery, Status, Submitted, TAIL,
};
pub use waiters::{Lag, Waiter};
