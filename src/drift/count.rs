//! The walk through the journal that keeps the weeks up to date.

use std::collections::BTreeMap;

use super::{MODELS, Tally, WEEK_MS, WEEKS, Week, Weeks, week_of};
use crate::journal::types::Bounds;
use crate::journal::{Journal, JournalError, Opinion, Outline};
use crate::result::{ModelRef, Timestamp};

/// How many rows one slice reads: some twenty milliseconds.
const SLICE: usize = 2000;

/// A week while it is counted.
#[derive(Debug)]
struct Counted {
    models: Vec<(Option<ModelRef>, Tally)>,
    left_out: u64,
    /// The least sequence of its results.
    first: u64,
}

/// How far the walk has come.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    /// Nothing was read.
    Fresh,
    /// Everything from here on has been read, backwards.
    Back(u64),
    /// Results are read, and reviews up to here.
    Reviews(u64),
}

/// The weeks, and how far in the journal they go.
#[derive(Debug)]
pub struct Counting {
    weeks: BTreeMap<i64, Counted>,
    stage: Stage,
    /// Results up to here are counted.
    results_to: u64,
    /// The walk back has been ended by older results or by the journal's beginning, and reviews
    /// have been read.
    whole: bool,
    /// The walk back ended where the journal begins, after results that retention had removed: the
    /// week whose results were the first to be there.
    cut: Option<i64>,
    /// The running week of the last step.
    running: i64,
    /// Results of later weeks than the running one were passed over: the clock had been set back.
    passed_over: bool,
}

impl Default for Counting {
    fn default() -> Self {
        Self {
            weeks: BTreeMap::new(),
            stage: Stage::Fresh,
            results_to: 0,
            whole: false,
            cut: None,
            running: i64::MIN,
            passed_over: false,
        }
    }
}

impl Counting {
    /// Reads one slice; true where there is more to read at once. `now` says which week is running:
    /// results of times before the weeks that are shown, or later than the running one, as a clock
    /// that leapt wrote them, are of no week. Blocks.
    ///
    /// # Errors
    /// [`JournalError`] when the journal cannot be read: the next call tries again.
    pub fn step(&mut self, journal: &Journal, now: Timestamp) -> Result<bool, JournalError> {
        let running = week_of(now).0;
        if running < self.running || (running > self.running && self.passed_over) {
            // The clock was set, back or right again: weeks that were left out are to be counted
            // now.
            *self = Self::default();
        }
        self.running = running;
        let oldest = running - WEEK_MS * (WEEKS as i64 - 1);
        self.weeks.retain(|begins, _| (oldest..=running).contains(begins));
        let shown = oldest..=running;
        match self.stage {
            Stage::Fresh => {
                self.results_to = journal.bounds().newest;
                self.stage = Stage::Back(self.results_to + 1);
                Ok(true)
            }
            Stage::Back(below) => {
                let results = journal.outlines_below(below, SLICE)?;
                let mut any = false;
                for result in &results {
                    any |= self.result(result, &shown);
                }
                let last = results.last();
                // A full slice without a single result of these weeks: those before it are older
                // still.
                if let Some(last) = last.filter(|_| any && results.len() == SLICE) {
                    self.stage = Stage::Back(last.sequence);
                    return Ok(true);
                }
                if results.len() < SLICE && journal.bounds().oldest > 1 {
                    let earliest = last.map(|last| week_of(last.classified_at).0);
                    self.cut = earliest.or_else(|| self.weeks.keys().next().copied());
                }
                let first = self.weeks.values().map(|week| week.first).min();
                self.stage = Stage::Reviews(first.map_or(self.results_to, |first| first - 1));
                Ok(true)
            }
            Stage::Reviews(after) => {
                let newest = journal.bounds().newest;
                let results = journal.outlines_above(self.results_to, newest, SLICE)?;
                for result in &results {
                    self.result(result, &shown);
                }
                let more = results.len() == SLICE;
                self.results_to =
                    results.last().filter(|_| more).map_or(newest, |last| last.sequence);
                // Only of results that are counted: a review is newer than its result.
                let opinions = journal.opinions_above(after, self.results_to, SLICE)?;
                opinions.iter().for_each(|opinion| self.opinion(opinion));
                let more_opinions = opinions.len() == SLICE;
                let to = opinions.last().filter(|_| more_opinions);
                self.stage = Stage::Reviews(to.map_or(self.results_to, |last| last.sequence));
                self.whole |= !(more || more_opinions);
                Ok(more || more_opinions)
            }
        }
    }

    /// Counts a result; true where it is of one of the weeks `shown`.
    fn result(&mut self, result: &Outline, shown: &std::ops::RangeInclusive<i64>) -> bool {
        let begins = week_of(result.classified_at).0;
        if !shown.contains(&begins) {
            self.passed_over |= begins > *shown.end();
            return false;
        }
        let week = self.weeks.entry(begins).or_insert_with(|| Counted {
            models: Vec::new(),
            left_out: 0,
            first: result.sequence,
        });
        week.first = week.first.min(result.sequence);
        let known = week.models.iter().position(|(model, _)| *model == result.model);
        let place = known.unwrap_or_else(|| {
            if week.models.len() < MODELS {
                week.models.push((result.model.clone(), Tally::default()));
                week.models.len() - 1
            } else {
                MODELS
            }
        });
        match week.models.get_mut(place) {
            Some((_, tally)) => tally.add(result),
            None => week.left_out += 1,
        }
        true
    }

    /// Counts a review in the week of its result: the latest of each stands.
    fn opinion(&mut self, opinion: &Opinion) {
        let week = self.weeks.get_mut(&week_of(opinion.classified_at).0);
        let tally = week.and_then(|week| {
            week.models
                .iter_mut()
                .find(|(model, _)| *model == opinion.model)
                .map(|(_, tally)| tally)
        });
        let Some(tally) = tally else { return };
        match opinion.before {
            None => tally.reviewed += 1,
            Some(before) => tally.confirmed -= u64::from(before).min(tally.confirmed),
        }
        tally.confirmed += u64::from(opinion.confirms);
    }

    /// The weeks as they are now; `bounds` is what the journal still holds.
    #[must_use]
    pub fn weeks(&self, bounds: Bounds) -> Weeks {
        let gone_to = if bounds.oldest == 0 { bounds.newest } else { bounds.oldest - 1 };
        let weeks = self.weeks.iter().rev().map(|(begins, week)| Week {
            begins: Timestamp(*begins),
            models: week.models.clone(),
            left_out: week.left_out,
            removed: week.first <= gone_to || self.cut.is_some_and(|cut| *begins <= cut),
        });
        Weeks { weeks: weeks.collect(), as_of: self.results_to, counting: !self.whole }
    }
}
