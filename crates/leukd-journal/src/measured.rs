//! What the journal counts of its own work. All from the start of the process.

use std::time::Duration;

use super::kinds::Event;
use crate::measure::{Counter, Histogram, Labelled};
use crate::result::Decision;
use crate::summary::Cause;

/// Counts and times of what was stored.
#[derive(Debug, Default)]
pub struct Measured {
    /// Results stored: by decision, in the order of [`Decision::EVERY`], first those of folders,
    /// then of requests.
    results: [[Counter; 2]; Decision::EVERY.len()],
    /// Rejections by the code of their first reason.
    pub rejects: Labelled,
    /// Reviews stored that agree with what leukd suggested.
    pub confirmed: Counter,
    /// Reviews stored that do not.
    pub corrected: Counter,
    /// Specimens' events stored because nothing more came.
    pub summaries_quiet: Counter,
    /// Specimens' events stored because of a done-marker.
    pub summaries_marked: Counter,
    /// From ready until a worker took it.
    pub queue: Histogram,
    /// Reading the file.
    pub read: Histogram,
    /// Bytes to pixels.
    pub decode: Histogram,
    /// Pixels to the network's input.
    pub preprocess: Histogram,
    /// The network.
    pub infer: Histogram,
    /// From the decision until it was on the disk, with the wait for others to share its flush.
    pub commit: Histogram,
    /// One transaction and its flush.
    pub transaction: Histogram,
    /// Transactions that failed, and those that did not begin for want of disk space.
    pub failures: Counter,
}

impl Measured {
    /// How many results of this decision were stored; of requests, or of folders.
    #[must_use]
    pub fn results(&self, decision: Decision, of_requests: bool) -> u64 {
        self.counter(decision, of_requests).get()
    }

    fn counter(&self, decision: Decision, of_requests: bool) -> &Counter {
        let row = match decision {
            Decision::All => 0,
            Decision::Hem => 1,
            Decision::Review => 2,
            Decision::Rejected => 3,
        };
        &self.results[row][usize::from(of_requests)]
    }

    /// These were stored.
    pub(super) fn stored(&self, events: &[Event]) {
        for review in events.iter().filter_map(Event::review) {
            if review.confirms { &self.confirmed } else { &self.corrected }.one();
        }
        for summary in events.iter().filter_map(Event::specimen) {
            match summary.cause {
                Cause::Quiet => self.summaries_quiet.one(),
                Cause::Marker(_) => self.summaries_marked.one(),
            }
        }
        for record in events.iter().filter_map(Event::result) {
            let finding = &record.finding;
            let of_requests = record.capture.path().is_none();
            self.counter(finding.decision, of_requests).one();
            if finding.decision == Decision::Rejected {
                self.rejects.one(finding.reasons.first().map_or("", |reason| reason.code.as_str()));
            }
            let timings = &finding.timings;
            self.queue.observe_us(timings.queue_us);
            // A stage of no time is one that this result did not go through.
            for (stage, us) in [
                (&self.read, timings.read_us),
                (&self.decode, timings.decode_us),
                (&self.preprocess, timings.preprocess_us),
                (&self.infer, timings.infer_us),
            ] {
                if us > 0 {
                    stage.observe_us(us);
                }
            }
        }
    }

    /// A transaction ended.
    pub(super) fn transacted(&self, well: bool, took: Duration) {
        if well {
            self.transaction.observe(took);
        } else {
            self.failures.one();
        }
    }
}
