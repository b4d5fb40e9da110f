//! Bounded counts, in all and of one place.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::access::place::Place;

/// A bounded number. Cheap to clone; every clone is the same.
#[derive(Debug, Clone)]
pub(super) struct Count {
    /// The most of all.
    most: usize,
    /// The most of one place.
    each: usize,
    now: Arc<Mutex<Now>>,
}

#[derive(Debug, Default)]
struct Now {
    all: usize,
    of: HashMap<Place, usize>,
}

impl Count {
    pub(super) fn new(most: usize, each: usize) -> Self {
        Self { most, each, now: Arc::default() }
    }

    /// One more, until the ticket is dropped; none when there are too many.
    pub(super) fn take(&self, place: Place) -> Option<Ticket> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let of = now.of.get(&place).copied().unwrap_or(0);
        if now.all >= self.most || of >= self.each {
            return None;
        }
        now.all += 1;
        now.of.insert(place, of + 1);
        Some(Ticket { count: self.clone(), place })
    }
}

/// One of a [`Count`].
#[derive(Debug)]
pub(super) struct Ticket {
    count: Count,
    place: Place,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut now = self.count.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.all = now.all.saturating_sub(1);
        if let Some(of) = now.of.get_mut(&self.place) {
            *of = of.saturating_sub(1);
            if *of == 0 {
                now.of.remove(&self.place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_cannot_take_all_and_a_place_without_any_is_forgotten() {
        let count = Count::new(3, 2);
        let [a, b, c] =
            ["10.0.0.1", "10.0.0.2", "::ffff:10.0.0.1"].map(|ip| Place::of(ip.parse().unwrap()));
        assert_eq!(a, c);
        let first = count.take(a).unwrap();
        let second = count.take(a).unwrap();
        assert!(count.take(a).is_none());
        let third = count.take(b).unwrap();
        assert!(count.take(Place::User(7)).is_none(), "there are three");
        drop(first);
        assert!(count.take(Place::User(7)).is_some());
        drop((second, third));
        assert!(count.now.lock().unwrap().of.is_empty());
    }
}
