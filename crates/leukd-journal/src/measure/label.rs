//! Counts by a word that comes from code, not from clients: still bounded, in case that ever
//! changes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The most words that are told apart.
const MOST: usize = 64;

/// Stands for all words beyond [`MOST`].
const OTHER: &str = "other";

/// Counts by word. For what is rare: it locks.
#[derive(Debug, Default)]
pub struct Labelled(Mutex<BTreeMap<String, u64>>);

impl Labelled {
    /// One more of `word`.
    pub fn one(&self, word: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(word) {
            *count += 1;
        } else {
            let word = if counts.len() < MOST { word } else { OTHER };
            *counts.entry(word.to_owned()).or_default() += 1;
        }
    }

    /// Every word that came, with its count.
    #[must_use]
    pub fn now(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_beyond_the_bound_share_one_count() {
        let counts = Labelled::default();
        for number in 0..1000 {
            counts.one(&number.to_string());
        }
        counts.one("0");
        let now = counts.now();
        assert_eq!(now.len(), MOST + 1);
        assert_eq!((now["0"], now[OTHER]), (2, 1000 - MOST as u64));
    }
}
