//! Events that retention leaves because somebody still needs them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The holds, by number. One for each store that the journal is forwarded to.
#[derive(Debug, Default)]
pub(super) struct Holds(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    /// The newest sequence that each has released.
    released: HashMap<u64, u64>,
    next: u64,
}

impl Holds {
    /// A panic elsewhere leaves the rows whole: each changes at once.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(holds: &Arc<Self>) -> Hold {
        let mut table = holds.lock();
        let number = table.next;
        table.next += 1;
        table.released.insert(number, 0);
        Hold { holds: Arc::clone(holds), number }
    }

    /// The oldest sequence that somebody holds; none where nobody holds any.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.lock().released.values().min().map(|released| released.saturating_add(1))
    }
}

/// One hold: nothing is released at first. It ends when it is dropped.
#[derive(Debug)]
pub struct Hold {
    holds: Arc<Holds>,
    number: u64,
}

impl Hold {
    /// Everything up to and with `sequence` may go; what follows may not, also where it was
    /// released before.
    pub fn release_to(&self, sequence: u64) {
        self.holds.lock().released.insert(self.number, sequence);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holds.lock().released.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_hold_counts_until_it_ends() {
        let holds = Arc::<Holds>::default();
        assert_eq!(holds.oldest(), None);
        let (fast, slow) = (Holds::enter(&holds), Holds::enter(&holds));
        fast.release_to(9);
        assert_eq!(holds.oldest(), Some(1));
        slow.release_to(4);
        assert_eq!(holds.oldest(), Some(5));
        drop(slow);
        assert_eq!(holds.oldest(), Some(10));
        drop(fast);
        assert_eq!(holds.oldest(), None);
    }
}
