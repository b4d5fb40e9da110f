//! What can be read. All of it blocks for a moment: call it from a worker or through
//! `spawn_blocking`.
//!
//! Answers end at the newest published sequence, so that no reader sees a result before the others
//! can.

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::Connection;

use super::Journal;
use crate::error::JournalError;
use crate::filter::Filter;
use crate::kinds::result::{self, Stride};
use crate::kinds::{self, review, specimen};
use crate::result::{CapturePath, CellIds, Digest, Field, Record, Timestamp};
use crate::review::Standing;
use crate::tail::{Batch, gap};
use crate::types::{
    FieldRequest, FileStamp, FolderCounts, LedgerRow, ListQuery, Lookup, MAX_READ, OpenSpecimens,
    Opinion, Outline, Page, ReviewPage, ReviewQuery, SpecimenCounts, SpecimenQuery, Stored,
};
use crate::waiters::{Lag, Waiter};
use crate::{crash, ledger};

/// The rows that one statement of a listing with a glob walks along before it lets go of its
/// snapshot.
const STRIDE: usize = 4096;

/// The most strides of one listing: a glob that matches little or nothing must not walk a journal
/// of millions in one call.
const MAX_STRIDES: usize = 16;

impl Journal {
    /// Events with a sequence above `after`, ascending, at most `limit` and [`MAX_READ`]; none when
    /// there are none yet.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn read_after(&self, after: u64, limit: usize) -> Result<Batch, JournalError> {
        let limit = limit.min(MAX_READ);
        if let Some(batch) = self.recent(after, limit) {
            return Ok(batch);
        }
        let newest = self.bounds().newest;
        self.read(|connection| {
            // One snapshot for all statements: retention may work in between.
            let snapshot = connection.unchecked_transaction()?;
            let (oldest, _) = kinds::ends(&snapshot)?;
            let mut gap = gap(after, oldest, newest);
            if let Some((_, last)) = &mut gap {
                // Retention may have passed what is published of it, but a cursor never passes
                // that.
                *last = (*last).min(newest);
            }
            Ok(Batch { events: kinds::read(&snapshot, after, newest, limit)?, gap })
        })
    }

    /// The same from memory alone, without blocking; none when the cursor lies before what is held
    /// there.
    #[must_use]
    pub fn recent(&self, after: u64, limit: usize) -> Option<Batch> {
        self.inner.shared.tail(|tail| tail.read_after(after, limit.min(MAX_READ)))
    }

    /// The ledger's row of one file; none when the file is new.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn ledger(&self, path: &CapturePath) -> Result<Option<LedgerRow>, JournalError> {
        self.read(|connection| Ok(ledger::row(connection, path)?.map(|(row, _)| row)))
    }

    /// The live folder capture of these bytes, a rejection included.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn known(&self, digest: &Digest) -> Result<Option<Stored>, JournalError> {
        self.read(|connection| result::live(connection, digest))
    }

    /// The capture of an earlier request with these bytes, ids and model (empty: no model saw it).
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn known_request(
        &self,
        digest: &Digest,
        ids: &CellIds,
        model_digest: &str,
    ) -> Result<Option<Stored>, JournalError> {
        self.read(|connection| result::known_request(connection, digest, ids, model_digest))
    }

    /// The field of view of an earlier request that asked for the same.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn known_field_request(
        &self,
        request: &FieldRequest<'_>,
    ) -> Result<Option<Stored>, JournalError> {
        self.read(|connection| result::known_field_request(connection, request))
    }

    /// The end of the field of view that a result is of; none for a capture of one cell, or where
    /// retention has removed it.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn field_of(&self, record: &Record) -> Result<Option<Arc<Field>>, JournalError> {
        let Some(head) = record.field else { return Ok(None) };
        let event = self.read(|connection| kinds::by_sequence(connection, head))?;
        Ok(event.and_then(|event| event.field().cloned()))
    }

    /// How often this state of the file was in a worker's hands when the process died.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn crash_count(&self, path: &CapturePath, stamp: &FileStamp) -> Result<u32, JournalError> {
        self.read(|connection| crash::crash_count(connection, path, stamp))
    }

    /// One result; none when there is none, or no longer.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn get(&self, which: &Lookup) -> Result<Option<Arc<Record>>, JournalError> {
        let newest = self.bounds().newest;
        if let Lookup::Sequence(sequence) = which
            && let Some(record) = self.inner.shared.tail(|tail| tail.get(*sequence))
        {
            return Ok(Some(record));
        }
        let found = self.read(|connection| result::find(connection, which))?;
        Ok(found.filter(|record| record.sequence <= newest).map(Arc::new))
    }

    /// Files that led to the result at `sequence`, under the names that they were last seen under
    /// first: the one that it was made from, and those that held the same bytes. At most 16.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn files_of(&self, sequence: u64) -> Result<Vec<CapturePath>, JournalError> {
        self.read(|connection| ledger::files_of(connection, sequence))
    }

    /// One page of the results that a filter lets through. With a glob a page may be short, or
    /// empty, before the last one: a call walks along 65,536 results at the most.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn list(&self, query: &ListQuery) -> Result<Page, JournalError> {
        let limit = query.limit.clamp(1, MAX_READ);
        let newest = self.bounds().newest;
        let mut cursor = query.after;
        let mut records: Vec<Arc<Record>> = Vec::new();
        let mut strides = 0;
        // One more than asked for tells whether there is a next page.
        while records.len() <= limit {
            if strides == MAX_STRIDES {
                return Ok(Page { records, next: cursor });
            }
            strides += 1;
            let wanted = limit + 1 - records.len();
            let stride = Stride { query, newest, rows: STRIDE };
            let (walked, last) =
                self.read(|connection| stride.walk(connection, cursor, wanted, &mut records))?;
            if !walked {
                break;
            }
            cursor = last;
        }
        let more = records.len() > limit;
        records.truncate(limit);
        let next = records.last().filter(|_| more).map(|record| record.sequence);
        Ok(Page { records, next })
    }

    /// The ledger of one watched folder, in numbers.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn folder_counts(&self, folder: &str) -> Result<FolderCounts, JournalError> {
        self.read(|connection| ledger::folder_counts(connection, folder))
    }

    /// One page of the reviews.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn reviews(&self, query: &ReviewQuery) -> Result<ReviewPage, JournalError> {
        let limit = query.limit.clamp(1, MAX_READ);
        let newest = self.bounds().newest;
        let mut reviews =
            self.read(|connection| review::list(connection, query, newest, limit + 1))?;
        let more = reviews.len() > limit;
        reviews.truncate(limit);
        let next = reviews.last().filter(|_| more).map(|review| review.sequence);
        Ok(ReviewPage { reviews, next })
    }

    /// How each of these results stands now, in their order.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn standings(&self, records: &[Arc<Record>]) -> Result<Vec<Standing>, JournalError> {
        let newest = self.bounds().newest;
        self.read(|connection| {
            records.iter().map(|record| review::standing(connection, record, newest)).collect()
        })
    }

    /// The counts of one specimen, or of one slide of it; none when no result names it.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn specimen(&self, query: &SpecimenQuery) -> Result<Option<SpecimenCounts>, JournalError> {
        let newest = self.bounds().newest;
        self.read(|connection| {
            // One snapshot for all statements: retention may work in between.
            let snapshot = connection.unchecked_transaction()?;
            specimen::count(&snapshot, query, newest)
        })
    }

    /// Looks for specimens whose newest live result was classified at `not_after` or before, and
    /// which have had no summary since. Looks through the results after `summarized_to`; 0: where
    /// the last process left off. Blocks.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn open_specimens(
        &self,
        not_after: Timestamp,
        summarized_to: u64,
    ) -> Result<OpenSpecimens, JournalError> {
        let newest = self.bounds().newest;
        self.read(|connection| {
            let snapshot = connection.unchecked_transaction()?;
            specimen::open(&snapshot, not_after, summarized_to, newest)
        })
    }

    /// The results below `before`, at most `limit`, the newest first, as a caller that only counts
    /// needs them. Blocks.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn outlines_below(&self, before: u64, limit: usize) -> Result<Vec<Outline>, JournalError> {
        let range = (0, before.saturating_sub(1));
        let found = self.read(|connection| result::between(connection, range, true, limit))?;
        Ok(found.into_iter().map(Outline::from).collect())
    }

    /// The results above `after`, up to and with `to`, at most `limit`, in their order, likewise.
    /// Blocks.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn outlines_above(
        &self,
        after: u64,
        to: u64,
        limit: usize,
    ) -> Result<Vec<Outline>, JournalError> {
        let found =
            self.read(|connection| result::between(connection, (after, to), false, limit))?;
        Ok(found.into_iter().map(Outline::from).collect())
    }

    /// The reviews above `after`, up to and with `to`, at most `limit`, in their order, likewise;
    /// without those whose result is gone. Blocks.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn opinions_above(
        &self,
        after: u64,
        to: u64,
        limit: usize,
    ) -> Result<Vec<Opinion>, JournalError> {
        self.read(|connection| review::opinions(connection, (after, to), limit))
    }

    /// Takes out of `digests` all that a stored capture is of. Reads every result once, and blocks
    /// meanwhile.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn take_known(&self, digests: &mut HashSet<Digest>) -> Result<(), JournalError> {
        self.read(|connection| result::take_known(connection, digests))
    }

    /// How far behind the waiters are.
    #[must_use]
    pub fn lag(&self) -> Lag {
        self.inner.shared.waiters.lag(self.bounds().newest)
    }

    /// Waits for what `filter` matches, from `cursor` on.
    #[must_use]
    pub fn wait_for(&self, filter: Filter, cursor: u64) -> Waiter {
        let shared = &self.inner.shared;
        shared.waiters.enter(shared.newest.subscribe(), filter, cursor)
    }

    /// Number of open subscriptions.
    pub(crate) fn subscribers(&self) -> u32 {
        self.inner.shared.waiters.count()
    }

    /// The capture whose head is `head`: its results, and the end of its field of view; none when
    /// there is none, or no longer. Blocks.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn capture(&self, head: u64) -> Result<Option<Stored>, JournalError> {
        if head > self.bounds().newest {
            return Ok(None);
        }
        self.read(|connection| result::by_head(connection, head))
    }

    pub(crate) fn read<T>(
        &self,
        look: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, JournalError> {
        let connection = self.inner.readers.take()?;
        look(&connection).map_err(|error| self.inner.shared.sqlite(&error))
    }
}
