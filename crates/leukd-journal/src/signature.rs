//! Sign-off: a named person signs a specimen once every cell under `review` has been reviewed.
//!
//! A signature is an event of its own, as is its withdrawal. Neither changes a result. How a
//! specimen stands follows from its results, reviews and signatures ([`SignOff`]).

use leukd_cell::words;
use serde::{Deserialize, Serialize};

use crate::result::{Tally, Timestamp};

/// The longest reason of a withdrawal, in bytes.
pub const MAX_REASON: usize = 4096;

words! {
    /// What a person did.
    pub enum Act: "act" {
        /// Signed the specimen.
        Signed = "signed",
        /// Took a signature back.
        Withdrawn = "withdrawn",
    }
}

/// One signature, or one withdrawal, with its place in the journal. It never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    /// Its place among all events: 1, 2, 3, … without holes.
    #[serde(skip)]
    pub sequence: u64,
    /// A UUID, the client's or else made here.
    pub signature_id: String,
    /// The specimen; never empty.
    pub specimen: String,
    /// Signed or withdrawn.
    pub act: Act,
    /// The person whose signature it is, by the client's word.
    pub signer: String,
    /// The person who acts: the signer, or another who withdraws.
    pub by: String,
    /// The reason of a withdrawal; empty for a signature.
    pub reason: String,
    /// The sequence of the signature that a withdrawal takes back. None for a signature, and where
    /// a recovery did not save it.
    pub withdraws: Option<u64>,
    /// The newest sequence that the signer had seen, by the client's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
    /// The specimen's live cells by decision, as of this event.
    pub cells: Tally,
    /// The caller: `token:NAME`, `cert:NAME`, `uid:NUMBER`; empty where nobody knows.
    pub client: String,
    /// When it was stored.
    pub at: Timestamp,
}

/// A signature or a withdrawal that is to be stored.
#[derive(Debug, Clone)]
pub struct NewSignature {
    /// The specimen.
    pub specimen: String,
    /// Signed or withdrawn.
    pub act: Act,
    /// See [`Signature::signer`].
    pub signer: String,
    /// See [`Signature::by`].
    pub by: String,
    /// See [`Signature::reason`].
    pub reason: String,
    /// See [`Signature::client`].
    pub client: String,
    /// A UUID that makes giving the same again harmless. None: it gets one.
    pub signature_id: Option<String>,
    /// The newest sequence that the signer has seen of the specimen; a later change refuses the
    /// signature. None: what is stored now is signed.
    pub seen: Option<u64>,
    /// The number of people who must sign a specimen.
    pub readers: u32,
}

/// What the journal made of a signature.
#[derive(Debug, Clone)]
pub enum Signed {
    /// It is the newest event.
    Stored(std::sync::Arc<Signature>),
    /// It was stored already, under the same id.
    Known(std::sync::Arc<Signature>),
}

words! {
    /// Where the sign-off of a specimen stands.
    pub enum SignOffState: "state" {
        /// Cells under `review` wait for a reader.
        Open = "open",
        /// Every such cell was reviewed; signatures are missing.
        Waiting = "waiting",
        /// As many people as must have signed, and nothing has changed since.
        Signed = "signed",
        /// It was signed, and a result or a review has changed it since.
        Changed = "changed",
    }
}

/// A signature that was not withdrawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The signature.
    pub signature: Signature,
    /// True while nothing has changed the specimen since.
    pub is_current: bool,
}

/// What came after the newest signature that counts no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// The sequence of the newest change.
    pub newest: u64,
    /// Results that came or were superseded.
    pub results: u64,
    /// Reviews that said something else than what stood.
    pub reviews: u64,
}

/// The sign-off of one specimen, as of a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct SignOff {
    /// Where it stands.
    pub state: SignOffState,
    /// The number of people who must sign.
    pub readers: u32,
    /// Live cells under `review` that nobody has reviewed.
    pub to_review: u64,
    /// The sequences of the first of them; at most [`MAX_FIRST`].
    pub first: Vec<u64>,
    /// The last signature of each person, unless it was withdrawn; the newest first; at most
    /// [`MAX_HELD`].
    pub held: Vec<Held>,
    /// What changed the specimen after it was signed; none while every signature counts.
    pub since: Option<Since>,
    /// The newest result, or review that said something else, of the specimen.
    pub changed_at: u64,
    /// Everything up to this sequence is looked at.
    pub as_of_sequence: u64,
}

/// The most cells that [`SignOff::first`] names: enough to begin with.
pub const MAX_FIRST: usize = 8;

/// The most signatures that [`SignOff::held`] holds: more than any lab has readers of one specimen.
pub const MAX_HELD: usize = 16;

impl SignOff {
    /// The signature of a person, unless it was withdrawn.
    #[must_use]
    pub fn of(&self, person: &str) -> Option<&Held> {
        self.held.iter().find(|held| is_same_person(&held.signature.signer, person))
    }

    /// The signatures that count now.
    pub fn current(&self) -> impl Iterator<Item = &Signature> {
        self.held.iter().filter(|held| held.is_current).map(|held| &held.signature)
    }
}

/// True for two ways to write one name: blanks at the ends and letter case do not matter.
#[must_use]
pub fn is_same_person(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}
