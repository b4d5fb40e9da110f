//! Why some bytes are no picture that leukd can classify.

use std::fmt;

use crate::words::{Reason, ReasonCode};

/// What is wrong with a picture, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// No bytes, or no pixels.
    Empty,
    /// The picture ends before its header says it should.
    Truncated,
    /// The bytes begin like no format that leukd reads.
    NotAnImage,
    /// More bytes, pixels or memory than the limits allow.
    TooLarge,
    /// A format, or a variant of one, that leukd does not read.
    Unsupported,
    /// It is all there and still cannot be decoded.
    Corrupt,
}

impl FaultKind {
    /// The stable word that clients match on.
    #[must_use]
    pub const fn code(self) -> ReasonCode {
        match self {
            Self::Empty => ReasonCode::Empty,
            Self::Truncated => ReasonCode::Truncated,
            Self::NotAnImage => ReasonCode::NotAnImage,
            Self::TooLarge => ReasonCode::TooLarge,
            Self::Unsupported => ReasonCode::Unsupported,
            Self::Corrupt => ReasonCode::Corrupt,
        }
    }
}

/// What is wrong with a picture, in a word and in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    kind: FaultKind,
    message: String,
}

impl Fault {
    /// A fault of `kind`; `message` is one sentence for a person.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> FaultKind {
        self.kind
    }

    /// The stable word that clients match on, for example `truncated`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.kind.code().as_str()
    }

    /// The sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The fault as a result states it.
    #[must_use]
    pub fn reason(&self) -> Reason {
        Reason::new(self.kind.code(), &self.message)
    }

    /// Whether a file with this fault may become whole while its writer goes on.
    ///
    /// A file grows (`empty`, `truncated`), or is filled in place after it was allocated with
    /// zeros, in any order (`not-an-image`, `corrupt`). A header that promises too much, or a
    /// variant that leukd does not read, stays what it is.
    #[must_use]
    pub const fn may_heal(&self) -> bool {
        match self.kind {
            FaultKind::Empty
            | FaultKind::Truncated
            | FaultKind::NotAnImage
            | FaultKind::Corrupt => true,
            FaultKind::TooLarge | FaultKind::Unsupported => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.message)
    }
}

impl std::error::Error for Fault {}
