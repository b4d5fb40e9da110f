//! Counters and histograms that the rooms keep of their own work. They know nothing of who reads
//! them: `metrics` does, when it is asked. Recording takes a few nanoseconds and never waits.

mod label;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use label::Labelled;

/// The upper bounds of a histogram's buckets in microseconds, both ends of a workstation's work
/// within them: 0.1 ms to 10 s. What took longer stands in one more bucket.
pub const BOUNDS_US: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// A count that only grows, from the start of the process.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many by now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long something takes, in the buckets of [`BOUNDS_US`].
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Counter; BOUNDS_US.len() + 1],
    sum_us: Counter,
}

/// A histogram at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Distribution {
    /// How many fell into each bucket, not added up; the last one has no upper bound.
    pub buckets: [u64; BOUNDS_US.len() + 1],
    /// All of them together, in microseconds.
    pub sum_us: u64,
}

impl Histogram {
    /// It took so many microseconds.
    pub fn observe_us(&self, us: u64) {
        // The bounds are upper ends that belong to their bucket.
        self.buckets[BOUNDS_US.partition_point(|bound| *bound < us)].one();
        self.sum_us.add(us);
    }

    /// It took this long.
    pub fn observe(&self, length: Duration) {
        self.observe_us(u64::try_from(length.as_micros()).unwrap_or(u64::MAX));
    }

    /// What was observed by now.
    #[must_use]
    pub fn now(&self) -> Distribution {
        Distribution {
            buckets: std::array::from_fn(|index| self.buckets[index].get()),
            sum_us: self.sum_us.get(),
        }
    }
}

impl Distribution {
    /// How many observations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket_and_what_is_longer_than_all_has_one_too() {
        let histogram = Histogram::default();
        for us in [0, 100, 101, 10_000_000, 10_000_001] {
            histogram.observe_us(us);
        }
        let now = histogram.now();
        assert_eq!((now.buckets[0], now.buckets[1]), (2, 1));
        assert_eq!((now.buckets[15], now.buckets[16]), (1, 1));
        assert_eq!((now.count(), now.sum_us), (5, 20_000_202));
    }
}
