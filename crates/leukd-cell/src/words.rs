//! The words that pictures, models and results share.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::measures::Measures;

/// SHA-256 of a capture's or a bundle's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every result that is sent carries one: written at once rather than by 32 formatted numbers.
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// A text that is no SHA-256 digest.
#[derive(Debug, thiserror::Error)]
#[error("a SHA-256 digest is 64 hexadecimal digits")]
pub struct NotADigest;

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotADigest);
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte =
                u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| NotADigest)?;
        }
        Ok(Self(bytes))
    }
}

/// What leukd suggests for one capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Looks like a leukemic blast.
    All,
    /// Looks like a normal B-lymphoid precursor.
    Hem,
    /// The model is not sure enough: a person should look.
    Review,
    /// Could not be classified.
    Rejected,
}

impl Decision {
    /// Every decision, in the order of the contract.
    pub const EVERY: [Self; 4] = [Self::All, Self::Hem, Self::Review, Self::Rejected];

    /// The word that the journal, the CLI and the logs use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Hem => "hem",
            Self::Review => "review",
            Self::Rejected => "rejected",
        }
    }
}

impl FromStr for Decision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::EVERY
            .into_iter()
            .find(|decision| decision.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no decision: all, hem, review or rejected"))
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a result is what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// A stable word to match on, in kebab case: `truncated`, `too-large`, …
    pub code: String,
    /// One sentence for a person.
    pub message: String,
}

impl Reason {
    /// A reason from its code and sentence.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

/// What the capture belongs to; each part may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CellIds {
    /// The patient's specimen.
    pub specimen: String,
    /// The slide, or the image that the cell was cut from.
    pub slide: String,
    /// The cell within the slide.
    pub cell: String,
}

/// What was measured of a picture. It says how the picture is, not what it shows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// The picture's own figures; none where nothing in it is foreground.
    pub measures: Option<Measures>,
    /// How far the network's features lie from the training cells'; none where the model's bundle says nothing of those, or
    /// nothing in the picture is foreground.
    pub distance: Option<Distance>,
}

/// How far a capture lies from the cells that its model was trained on, to the network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distance {
    /// Near 1 for a cell of theirs; 0 and above.
    pub distance: f64,
    /// The model's limit, above 0: a capture further away is doubted.
    pub limit: f64,
}
