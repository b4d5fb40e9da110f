//! Rights and limits of callers. Knows nothing of gRPC or TLS: `rpc` identifies the caller, this
//! room decides.
//!
//! | file | what |
//! |---|---|
//! | `gate.rs` | the decision: a credential and a scope → a caller, or why not |
//! | `rules.rs` | the access file: tokens, certificates and users with their scopes |
//! | `token.rs` | a token's text, its hash, and how the two are compared |
//! | `edit.rs` | adds to the access file and takes away, with the administrator's remarks left in place |
//! | `kept.rs` | a file that is read again when it changes; the last good one counts |
//! | `clients.rs` | what each client has under way, and how much it may |
//! | `place.rs` | the place that a caller counts for |
//! | `lease.rs` | the end of a stream whose caller loses its right |
//! | `refusals.rs` | refusals, recorded once a minute |

pub mod clients;
pub mod edit;
pub mod gate;
pub mod kept;
pub mod lease;
pub mod place;
pub mod refusals;
pub mod rules;
pub mod token;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A caller's right. None includes another: an administrator's token reads results only with
/// `read`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Send images and get their results.
    Classify,
    /// Read results, the model's card and the daemon's state.
    Read,
    /// Change what the daemon does: load a model, change what is logged.
    Admin,
    /// Say what a result should have been.
    Review,
}

impl Scope {
    /// Every scope.
    pub const EVERY: [Self; 4] = [Self::Classify, Self::Read, Self::Admin, Self::Review];

    /// The word that the access file and the contract use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Classify => "classify",
            Self::Read => "read",
            Self::Admin => "admin",
            Self::Review => "review",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::EVERY
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no scope: write classify, read, review or admin"))
    }
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// Not one.
    pub const NONE: Self = Self(0);
    /// Every one.
    pub const ALL: Self = Self(0b1111);

    /// True when `scope` is among them.
    #[must_use]
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }

    /// The scopes, in their usual order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::EVERY.into_iter().filter(move |scope| self.has(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | 1 << scope as u8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_scope_includes_another() {
        for scope in Scope::EVERY {
            let alone: Scopes = [scope].into_iter().collect();
            assert_eq!(alone.iter().collect::<Vec<_>>(), [scope]);
            assert!(!Scopes::NONE.has(scope) && Scopes::ALL.has(scope));
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        assert!("root".parse::<Scope>().is_err());
    }
}
