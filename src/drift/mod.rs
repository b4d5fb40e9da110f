//! How a model's results change from week to week: what a site sees of a stain, a lamp or a
//! microscope that drifts.
//!
//! For Research Use Only: a week that stands out is a reason to look, never a finding about a
//! patient.
//!
//! # Why it is counted so
//!
//! A status call must not read the journal, and the writer must not be slowed. A table of sums in
//! the journal would have to be kept in step by every commit, and all tables' definitions must fit
//! into one page of the file; an index by time would cost every commit too. But a stored result
//! never changes. So the counts live in memory: after a start the results are walked through once,
//! backwards from the newest in slices along their primary key, until a whole slice is older than
//! what is shown; from then on only what is new is read. A row takes some ten microseconds, a slice
//! a reader for some twenty milliseconds, which never holds up the writer (the journal's log is
//! written ahead), and as long a rest follows. At 100,000 results a week that are 800,000 rows
//! after a start, some 20 s by the clock; and some ten rows a minute later. What is held is
//! [`WEEKS`] × [`MODELS`] counts of bounded size, whatever comes.

mod compare;
mod count;
mod spread;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

pub use compare::{
    Comparison, LARGE_INDEX, LARGE_SHIFT, LEAST_CELLS, LEAST_REVIEWS, Note, Stability, compare,
    rejections, stability,
};
pub use count::Counting;
pub use spread::{Circular, Moments, Spread};

use crate::cell::Measures;
use crate::journal::Outline;
use crate::result::ReasonCode;
use crate::result::{Decision, ModelRef, Timestamp};

/// How many weeks are counted and shown, the running one among them.
pub const WEEKS: usize = 8;

/// How many models are told apart in one week; results of further ones are only counted.
pub const MODELS: usize = 16;

/// How many reasons' codes are told apart.
const CODES: usize = 32;

/// Stands for the codes beyond [`CODES`].
const OTHER: &str = "other";

/// Into how many equal parts P(all) is divided.
pub const BINS: usize = 10;

/// How many figures of a picture there are: its [measures](Measures::NAMES), then the feature
/// distance.
pub const FIGURES: usize = Measures::NAMES.len() + 1;

const DAY_MS: i64 = 24 * 3600 * 1000;
const WEEK_MS: i64 = 7 * DAY_MS;
/// 1970-01-05, the first Monday.
const MONDAY_MS: i64 = 4 * DAY_MS;

/// The figures' names, in the order of [`Tally::figures`].
#[must_use]
pub fn figure_names() -> [&'static str; FIGURES] {
    let [area, frame, solidity, sharpness, brightness, contrast, saturation, hue] = Measures::NAMES;
    [area, frame, solidity, sharpness, brightness, contrast, saturation, hue, "feature_distance"]
}

/// When the ISO week (UTC) that `at` lies in began.
#[must_use]
pub const fn week_of(at: Timestamp) -> Timestamp {
    Timestamp((at.0 - MONDAY_MS).div_euclid(WEEK_MS) * WEEK_MS + MONDAY_MS)
}

/// The name by ISO 8601 of the week that begins then: `2026-W48`.
#[must_use]
pub fn week_name(begins: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(begins.0).map_or_else(
        |_| begins.0.to_string(),
        |at| {
            let week = at.to_zoned(jiff::tz::TimeZone::UTC).date().iso_week_date();
            format!("{:04}-W{:02}", week.year(), week.week())
        },
    )
}

/// What was counted of one model in one week. Every result counts, those that a later one
/// supersedes too: each is a picture that the model has seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    /// By decision, in the order of [`Decision::EVERY`].
    pub decisions: [u64; 4],
    /// Of those under review, how many are so for the picture's sake: another reason than
    /// `low-confidence`.
    pub doubted: u64,
    /// Results by the codes of their reasons; one with two codes counts under both.
    pub codes: BTreeMap<String, u64>,
    /// Classified cells by P(all): 0 to below 0.1, …, 0.9 to 1.
    pub scores: [u64; BINS],
    /// P(all) of the classified cells.
    pub score: Moments,
    /// The figures of the pictures, in the order of [`figure_names`].
    pub figures: [Spread; FIGURES],
    /// Results with a review.
    pub reviewed: u64,
    /// Of these, how many whose latest review agrees with what leukd suggested.
    pub confirmed: u64,
}

impl Default for Tally {
    fn default() -> Self {
        let figures = figure_names().map(|name| match name {
            "hue" => Spread::Circle(Circular::default()),
            _ => Spread::Line(Moments::default()),
        });
        Self {
            decisions: [0; 4],
            doubted: 0,
            codes: BTreeMap::new(),
            scores: [0; BINS],
            score: Moments::default(),
            figures,
            reviewed: 0,
            confirmed: 0,
        }
    }
}

impl Tally {
    /// All results.
    #[must_use]
    pub fn results(&self) -> u64 {
        self.decisions.iter().sum()
    }

    /// Those that the model classified: all but the rejected.
    #[must_use]
    pub const fn classified(&self) -> u64 {
        let [all, hem, review, _] = self.decisions;
        all + hem + review
    }

    fn add(&mut self, result: &Outline) {
        for (decision, count) in Decision::EVERY.into_iter().zip(&mut self.decisions) {
            *count += u64::from(decision == result.decision);
        }
        let is_doubt = |code: &String| code != ReasonCode::LowConfidence.as_str();
        if result.decision == Decision::Review && result.codes.iter().any(is_doubt) {
            self.doubted += 1;
        }
        for (place, code) in result.codes.iter().enumerate() {
            if !result.codes[..place].contains(code) {
                self.code(code, 1);
            }
        }
        if let Some(all) = result.all {
            self.score.add(all);
            self.scores[bin(all)] += 1;
        }
        let Some(quality) = &result.quality else { return };
        let values = quality.measures.map(|measures| measures.values());
        let values = values.iter().flatten().copied().enumerate();
        let far = quality.distance.map(|far| (FIGURES - 1, far.distance));
        values.chain(far).for_each(|(place, value)| self.figures[place].add(value));
    }

    fn code(&mut self, code: &str, more: u64) {
        if let Some(count) = self.codes.get_mut(code) {
            *count += more;
        } else {
            let code = if self.codes.len() < CODES { code } else { OTHER };
            *self.codes.entry(code.to_owned()).or_default() += more;
        }
    }

    /// What was counted in `other` too.
    pub fn join(&mut self, other: &Self) {
        let sum = |into: &mut [u64], from: &[u64]| {
            into.iter_mut().zip(from).for_each(|(into, from)| *into += from);
        };
        sum(&mut self.decisions, &other.decisions);
        sum(&mut self.scores, &other.scores);
        self.doubted += other.doubted;
        other.codes.iter().for_each(|(code, count)| self.code(code, *count));
        self.score.join(&other.score);
        self.figures.iter_mut().zip(&other.figures).for_each(|(into, from)| into.join(from));
        self.reviewed += other.reviewed;
        self.confirmed += other.confirmed;
    }
}

/// The part of 0 to 1 that a probability lies in.
fn bin(all: f64) -> usize {
    (1..BINS).rev().find(|bin| all >= *bin as f64 / BINS as f64).unwrap_or(0)
}

/// One week.
#[derive(Debug, Clone, PartialEq)]
pub struct Week {
    /// When it began: a Monday, 00:00 UTC.
    pub begins: Timestamp,
    /// What was counted, by model; none: rejected before a model saw it.
    pub models: Vec<(Option<ModelRef>, Tally)>,
    /// Results of models beyond [`MODELS`].
    pub left_out: u64,
    /// Retention has removed results of it, so that it cannot be compared: before they were
    /// counted, or since.
    pub removed: bool,
}

impl Week {
    /// When the next one begins.
    #[must_use]
    pub const fn ends(&self) -> Timestamp {
        Timestamp(self.begins.0 + WEEK_MS)
    }

    /// What was counted of one model.
    #[must_use]
    pub fn of(&self, model: Option<&ModelRef>) -> Option<&Tally> {
        self.models.iter().find(|(own, _)| own.as_ref() == model).map(|(_, tally)| tally)
    }
}

/// What is known of the last weeks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Weeks {
    /// Those with results, the newest first.
    pub weeks: Vec<Week>,
    /// Everything up to this event is in them.
    pub as_of: u64,
    /// The daemon has started and not been through the journal yet: the weeks may hold more.
    pub counting: bool,
}

/// Where the weeks hang for everyone to read.
#[derive(Debug)]
pub struct Board(ArcSwap<Weeks>);

impl Default for Board {
    fn default() -> Self {
        Self(ArcSwap::from_pointee(Weeks { counting: true, ..Weeks::default() }))
    }
}

impl Board {
    /// The weeks as they were counted last.
    #[must_use]
    pub fn weeks(&self) -> Arc<Weeks> {
        self.0.load_full()
    }

    /// Puts others there.
    pub fn put(&self, weeks: Weeks) {
        self.0.store(Arc::new(weeks));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn weeks_begin_on_mondays_and_have_the_names_of_iso_8601() {
        for (moment, begins, name) in [
            ("2026-11-26T23:59:59.999Z", "2026-11-23T00:00:00Z", "2026-W48"),
            ("2026-11-30T00:00:00Z", "2026-11-30T00:00:00Z", "2026-W49"),
            // The first of January may belong to the year before, and the last days of December to
            // the next.
            ("2027-01-03T12:00:00Z", "2026-12-28T00:00:00Z", "2026-W53"),
            ("2024-12-30T00:00:00Z", "2024-12-30T00:00:00Z", "2025-W01"),
            ("1969-12-31T00:00:00Z", "1969-12-29T00:00:00Z", "1970-W01"),
        ] {
            let week = week_of(at(moment));
            assert_eq!((week, week_name(week).as_str()), (at(begins), name), "{moment}");
        }
    }

    #[test]
    fn each_probability_has_one_tenth() {
        for (all, expected) in
            [(0.0, 0), (0.0999, 0), (0.1, 1), (0.3, 3), (0.5, 5), (0.7, 7), (0.8999, 8), (1.0, 9)]
        {
            assert_eq!(bin(all), expected, "{all}");
        }
    }

    #[test]
    fn codes_beyond_the_bound_share_one_count() {
        let mut tally = Tally::default();
        (0..100).for_each(|number| tally.code(&number.to_string(), 1));
        assert_eq!((tally.codes.len(), tally.codes[OTHER]), (CODES + 1, 100 - CODES as u64));
    }
}
