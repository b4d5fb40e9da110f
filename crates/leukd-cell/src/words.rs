//! Words of a result: decisions and reasons.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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
