//! Verifies a site's audit chain from the store alone.

use std::collections::HashMap;

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Records that fit the one before.
    pub records: u64,
    /// Events whose text has the digest in their record.
    pub events: u64,
    /// Events whose record the store does not hold yet: it comes with a later batch.
    pub unsealed: u64,
    /// What is wrong; none when nothing is.
    pub fault: Option<String>,
}

/// A walk along one chain: first its records, then the events.
#[derive(Debug)]
pub(super) struct Walk {
    previous: blake3::Hash,
    /// BLAKE3 of each event's text, by its sequence, as the chain has it. 40 bytes an event.
    contents: HashMap<u64, blake3::Hash>,
    verified: Verified,
}

impl Default for Walk {
    fn default() -> Self {
        let previous = blake3::Hash::from_bytes([0; 32]);
        Self { previous, contents: HashMap::new(), verified: Verified::default() }
    }
}

impl Walk {
    pub(super) const fn records(&self) -> u64 {
        self.verified.records
    }

    pub(super) const fn is_broken(&self) -> bool {
        self.verified.fault.is_some()
    }

    pub(super) fn record(&mut self, number: u64, record: &str, hash: &[u8]) {
        if self.is_broken() {
            return;
        }
        let wanted = self.verified.records + 1;
        if number != wanted {
            self.verified.fault = Some(format!("record {wanted} is missing"));
            return;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.previous.as_bytes()).update(record.as_bytes());
        let sealed = hasher.finalize();
        if sealed.as_bytes() != hash {
            self.verified.fault = Some(format!("record {number} was changed, or one before it"));
            return;
        }
        self.previous = sealed;
        self.verified.records = number;
        if let Some((sequence, content)) = event_of(record) {
            self.contents.insert(sequence, content);
        }
    }

    pub(super) fn event(&mut self, sequence: u64, text: &str) {
        if self.is_broken() {
            return;
        }
        match self.contents.get(&sequence) {
            None => self.verified.unsealed += 1,
            Some(content) if *content == blake3::hash(text.as_bytes()) => self.verified.events += 1,
            Some(_) => {
                self.verified.fault = Some(format!("event {sequence} was changed in the store"));
            }
        }
    }

    pub(super) fn end(self) -> Verified {
        self.verified
    }
}

/// The event that a record is of, and the digest of its text.
fn event_of(record: &str) -> Option<(u64, blake3::Hash)> {
    #[derive(serde::Deserialize)]
    struct Record<'a> {
        sequence: u64,
        #[serde(borrow)]
        content: std::borrow::Cow<'a, str>,
    }
    let own: Record<'_> = serde_json::from_str(record).ok()?;
    Some((own.sequence, blake3::Hash::from_hex(own.content.as_ref()).ok()?))
}
