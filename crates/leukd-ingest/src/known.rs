//! Which files the ledger already said are done, so that each scan need not ask again.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use leukd_journal::types::FileStamp;

/// The most files remembered for one folder: some 8 MB. Beyond it the ledger is asked each time.
const MOST: usize = 1 << 18;

/// Path → stamp of files that need nothing more, both as keyed 64-bit hashes. A row is only ever
/// what the ledger said, and gives way as soon as the file's stamp is another. Two of MOST paths
/// share a hash once in half a thousand million folders, and then their stamps' hashes would have
/// to agree too.
#[derive(Debug, Default)]
pub(super) struct Known {
    hasher: RandomState,
    rows: HashMap<u64, u64>,
}

impl Known {
    /// Whether the ledger said that this state of the file is done. Forgets any other state of it.
    pub(super) fn is_done(&mut self, path: &str, stamp: &FileStamp) -> bool {
        let key = self.hasher.hash_one(path);
        match self.rows.get(&key) {
            Some(row) if *row == self.hasher.hash_one(stamp) => true,
            Some(_) => {
                self.rows.remove(&key);
                false
            }
            None => false,
        }
    }

    /// The ledger has a row for this state of the file.
    pub(super) fn done(&mut self, path: &str, stamp: &FileStamp) {
        if self.rows.len() < MOST {
            self.rows.insert(self.hasher.hash_one(path), self.hasher.hash_one(stamp));
        }
    }

    /// Before a full scan: makes room for files that are there, once files that are gone fill the
    /// memory.
    pub(super) fn begin_scan(&mut self) {
        if self.rows.len() >= MOST {
            self.rows.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_stamp_is_not_known_and_the_old_one_is_forgotten() {
        let mut known = Known::default();
        let first = FileStamp { size: 1, mtime_ns: 2, ctime_ns: 3, inode: 4 };
        let second = FileStamp { size: 9, ..first };
        known.done("a.bmp", &first);
        assert!(known.is_done("a.bmp", &first));
        assert!(!known.is_done("b.bmp", &first));
        assert!(!known.is_done("a.bmp", &second));
        assert!(!known.is_done("a.bmp", &first));
    }
}
