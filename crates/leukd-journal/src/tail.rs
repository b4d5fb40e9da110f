//! The newest events in memory, so that live subscribers cost no disk reads.

use std::collections::VecDeque;
use std::sync::Arc;

use super::kinds::Event;
use super::types::Bounds;
use crate::result::Record;

/// Events that follow a cursor.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// In ascending order of sequence, without holes.
    pub events: Vec<Event>,
    /// The sequences, first and last, between the cursor and the first event that retention has
    /// removed. The cursor then stands at the last of them, also where `events` is empty.
    pub gap: Option<(u64, u64)>,
}

/// What has been published: the bounds, and the last events up to the newest one.
#[derive(Debug)]
pub(super) struct Tail {
    bounds: Bounds,
    ring: VecDeque<Event>,
    capacity: usize,
}

impl Tail {
    /// A tail of at most `capacity` events; `ring` ends with the newest.
    pub(super) fn new(bounds: Bounds, ring: VecDeque<Event>, capacity: usize) -> Self {
        let mut tail = Self { bounds, ring, capacity };
        tail.trim();
        tail
    }

    pub(super) const fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Adds the next events, which are durable now.
    pub(super) fn publish(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            self.bounds.newest = event.sequence();
            if self.bounds.oldest == 0 {
                self.bounds.oldest = event.sequence();
            }
            self.ring.push_back(event);
        }
        self.trim();
    }

    /// Forgets what retention has removed: everything below `oldest`, or everything where it is 0.
    pub(super) fn forget_below(&mut self, oldest: u64) {
        self.bounds.oldest = oldest;
        self.trim();
    }

    fn trim(&mut self) {
        let Bounds { oldest, .. } = self.bounds;
        while self.ring.len() > self.capacity
            || self.ring.front().is_some_and(|first| oldest == 0 || first.sequence() < oldest)
        {
            self.ring.pop_front();
        }
    }

    /// The result of `sequence`, where the ring has it.
    pub(super) fn get(&self, sequence: u64) -> Option<Arc<Record>> {
        let first = self.ring.front()?.sequence();
        let index = usize::try_from(sequence.checked_sub(first)?).ok()?;
        self.ring.get(index)?.result().cloned()
    }

    /// What follows `after`, at most `limit` events; none where only the database can tell.
    pub(super) fn read_after(&self, after: u64, limit: usize) -> Option<Batch> {
        if after >= self.bounds.newest {
            return Some(Batch::default());
        }
        let gap = gap(after, self.bounds.oldest, self.bounds.newest);
        let from = gap.map_or(after, |(_, last)| last) + 1;
        if from > self.bounds.newest {
            return Some(Batch { events: Vec::new(), gap });
        }
        let first = self.ring.front()?.sequence();
        let skip = usize::try_from(from.checked_sub(first)?).ok()?;
        let events = self.ring.iter().skip(skip).take(limit).cloned().collect();
        Some(Batch { events, gap })
    }
}

/// What is missing between a cursor and what is kept; `oldest` is 0 when nothing is.
pub(super) const fn gap(after: u64, oldest: u64, newest: u64) -> Option<(u64, u64)> {
    if after >= newest {
        None
    } else if oldest == 0 {
        Some((after + 1, newest))
    } else if after + 1 < oldest {
        Some((after + 1, oldest - 1))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::gap;

    #[test]
    fn a_gap_ends_where_the_kept_begins() {
        assert_eq!(gap(0, 1, 5), None);
        assert_eq!(gap(0, 4, 5), Some((1, 3)));
        assert_eq!(gap(2, 4, 5), Some((3, 3)));
        assert_eq!(gap(3, 4, 5), None);
        assert_eq!(gap(3, 0, 5), Some((4, 5)), "everything is gone");
        assert_eq!(gap(5, 0, 5), None, "nothing follows the newest");
        assert_eq!(gap(0, 0, 0), None, "a new journal has no gap");
    }
}
