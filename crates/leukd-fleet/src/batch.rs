//! What one transaction of the store takes, and how it is read from the journal.

use leukd_journal::audit::Sealed;
use leukd_journal::{Journal, JournalError, StoredEvent};

/// Events of one transaction: enough that a commit's fsync is shared by many.
const MAX_EVENTS: usize = 256;

/// Records of the audit chain of one transaction. Nearly each is of one event.
const MAX_RECORDS: usize = 512;

/// What the store holds of one journal, as read on this connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Everything up to this sequence, gaps of retention included.
    pub events: u64,
    /// Everything up to this record of the audit chain.
    pub records: u64,
}

/// Events and records that follow what the store holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// What the store must hold before.
    pub after: Held,
    /// Retention removed the events after [`Held::events`], up to and with this one.
    pub gap_to: Option<u64>,
    /// Events without holes.
    pub events: Vec<StoredEvent>,
    /// Records without holes.
    pub records: Vec<Sealed>,
    /// The newest event of the journal: the store shows how far behind it is.
    pub newest: u64,
}

impl Batch {
    /// True for a sign of life.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.gap_to.is_none() && self.events.is_empty() && self.records.is_empty()
    }

    /// What the store holds after it.
    #[must_use]
    pub fn reaches(&self) -> Held {
        let last = self.events.last().map(|event| event.sequence);
        Held {
            events: last.or(self.gap_to).unwrap_or(self.after.events),
            records: self.after.records + self.records.len() as u64,
        }
    }
}

/// Reads batches of a journal, off the async threads.
#[derive(Debug, Clone)]
pub struct Reader(Journal);

impl Reader {
    /// A reader of this journal.
    #[must_use]
    pub const fn new(journal: Journal) -> Self {
        Self(journal)
    }

    /// What follows `after`; empty where nothing does.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub async fn read(&self, after: Held) -> Result<Batch, JournalError> {
        let newest = self.0.bounds().newest;
        // Live, most looks find nothing: no thread is needed for that.
        if after.events >= newest && after.records >= self.0.audit_head().number {
            return Ok(Batch { after, newest, ..Batch::default() });
        }
        self.blocking(move |journal| {
            let stored = journal.stored_after(after.events, MAX_EVENTS)?;
            let records = journal.sealed_after(after.records, MAX_RECORDS)?;
            let gap_to = stored.gap.map(|(_, to)| to);
            Ok(Batch { after, gap_to, events: stored.events, records, newest })
        })
        .await
    }

    /// The hash of an audit record, and the epochs that the journal had before.
    pub(crate) async fn identify(
        &self,
        record: u64,
    ) -> Result<(Option<blake3::Hash>, Vec<String>), JournalError> {
        self.blocking(move |journal| Ok((journal.sealed_hash(record)?, journal.former_epochs()?)))
            .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Journal) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let journal = self.0.clone();
        let task = tokio::task::spawn_blocking(move || look(&journal));
        task.await.map_err(|error| JournalError::Reader(error.to_string()))?
    }
}
