//! One week beside those before it, and beside what the model's bundle says of itself.

use super::{BINS, FIGURES, Tally, Week, Weeks, figure_names};
use crate::fraction::{Share, real, wilson};
use crate::result::ModelRef;

/// A week is compared with up to so many before it.
const BEFORE: usize = 4;

/// With fewer cells than this on either side nothing is compared.
pub const LEAST_CELLS: u64 = 200;

/// With fewer reviewed results than this on either side agreement is not compared.
pub const LEAST_REVIEWS: u64 = 30;

/// From this stability index on a change is called large (Siddiqi 2006, "Credit risk scorecards": a
/// rule of thumb).
pub const LARGE_INDEX: f64 = 0.25;

/// From this shift on, in spreads, a change is called large (Cohen 1988).
pub const LARGE_SHIFT: f64 = 0.8;

/// So many times the share that was expected must be exceeded, beyond chance, to stand out.
const TIMES: f64 = 2.0;

/// The 99.9 % quantile of χ² with nine degrees of freedom, one less than there are [bins](BINS).
const CHI_SQUARE: f64 = 27.877;

/// How far two distributions of P(all) lie apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stability {
    /// The population stability index, 0 and above.
    pub index: f64,
    /// What it would exceed in one of a thousand weeks by chance, were all cells drawn
    /// independently from one distribution. Cells of a patient are alike, so that chance does more
    /// than this says.
    pub chance: f64,
}

/// The population stability index Σ (p − q) ln(p / q) over the tenths of P(all) (Siddiqi 2006; it
/// is Jeffreys' divergence, Jeffreys 1946), with half a cell added to each count so that an empty
/// tenth has a logarithm. By chance alone it is distributed as (1/n + 1/m) χ² with nine degrees of
/// freedom (Yurdakul 2018, "Statistical properties of population stability index"). None where
/// either side has fewer than [`LEAST_CELLS`].
#[must_use]
pub fn stability(now: &[u64; BINS], before: &[u64; BINS]) -> Option<Stability> {
    let [n, m] = [now, before].map(|counts| counts.iter().sum::<u64>());
    if n.min(m) < LEAST_CELLS {
        return None;
    }
    let share = |count: u64, all: u64| (real(count) + 0.5) / (real(all) + 0.5 * BINS as f64);
    let terms = now.iter().zip(before).map(|(now, before)| {
        let (p, q) = (share(*now, n), share(*before, m));
        (p - q) * (p / q).ln()
    });
    Some(Stability { index: terms.sum(), chance: (1.0 / real(n) + 1.0 / real(m)) * CHI_SQUARE })
}

/// Something that stands out, for a person to look into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// A stable word: `scores`, `doubted`, `agreement`, a figure's name, or, of a whole week,
    /// `rejected`.
    pub what: &'static str,
    /// One sentence.
    pub message: String,
}

/// What a comparison says; empty where there is nothing to compare with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// P(all) against the weeks before.
    pub stability: Option<Stability>,
    /// By how many spreads each figure's mean has moved since the weeks before, in the order of
    /// [`figure_names`].
    pub shifts: [Option<f64>; FIGURES],
    /// What stands out.
    pub notes: Vec<Note>,
}

/// Compares what was counted of `model` in the week at `place` with up to four weeks before it that
/// are whole, and the share of doubted cells with `expected`, the share that the model's maker
/// measured on real cells (`reference.false_alarms`).
///
/// Nothing is said of a week that retention has cut, nor while the journal is still being walked
/// through, nor of fewer than [`LEAST_CELLS`] or [`LEAST_REVIEWS`].
#[must_use]
pub fn compare(weeks: &Weeks, place: usize, model: &ModelRef, expected: Option<f64>) -> Comparison {
    let week = weeks.weeks.get(place).filter(|week| !week.removed && !weeks.counting);
    let Some(now) = week.and_then(|week| week.of(Some(model))) else {
        return Comparison::default();
    };
    let older = weeks.weeks.get(place + 1..).unwrap_or_default();
    let older = older.iter().filter(|week| !week.removed).filter_map(|week| week.of(Some(model)));
    let mut before = Tally::default();
    older.take(BEFORE).for_each(|tally| before.join(tally));

    let mut notes = Vec::new();
    let stability = stability(&now.scores, &before.scores);
    notes.extend(stability.and_then(of_scores));
    notes.extend(expected.and_then(|expected| of_doubts(now, expected)));
    notes.extend(of_agreement(now, &before));
    let mut shifts = [None; FIGURES];
    for (figure, shift) in shifts.iter_mut().enumerate() {
        let (now, before) = (&now.figures[figure], &before.figures[figure]);
        if now.count().min(before.count()) >= LEAST_CELLS {
            *shift = now.shift_since(before);
        }
        if let (Some(shift), Some(now), Some(before)) = (*shift, now.mean(), before.mean())
            && shift.abs() >= LARGE_SHIFT
        {
            let what = figure_names()[figure];
            let message = format!(
                "the mean {what} of the pictures is {now:.3} and was {before:.3} in the weeks before, {:.1} of its spreads \
                 {}: look at stain, light and focus",
                shift.abs(),
                if shift > 0.0 { "more" } else { "less" }
            );
            notes.push(Note { what, message });
        }
    }
    Comparison { stability, shifts, notes }
}

fn of_scores(found: Stability) -> Option<Note> {
    let Stability { index, chance } = found;
    (index >= LARGE_INDEX && index > chance).then(|| Note {
        what: "scores",
        message: format!(
            "P(all) is distributed otherwise than in the weeks before (stability index {index:.2}; {LARGE_INDEX} and more is \
             much): other patients do that, and so do another stain or microscope"
        ),
    })
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// The share where so many are enough, and where even the lower end of its interval is more than
/// twice what was expected.
fn exceeds(hits: u64, of: u64, expected: f64) -> Option<Share> {
    wilson(hits, of).filter(|share| of >= LEAST_CELLS && share.lower > TIMES * expected)
}

fn of_doubts(now: &Tally, expected: f64) -> Option<Note> {
    let share = exceeds(now.doubted, now.classified(), expected)?;
    let message = format!(
        "{} of the cells are doubted as unlike the training cells, more than twice the {} that were measured on real cells: \
         look at the reasons",
        percent(share.value),
        percent(expected)
    );
    Some(Note { what: "doubted", message })
}

/// Compares the share of rejected captures in the week at `place`, of all models together since
/// most are rejected before a model sees them, with up to four whole weeks before it.
#[must_use]
pub fn rejections(weeks: &Weeks, place: usize) -> Option<Note> {
    let whole = |week: &&Week| !week.removed && !weeks.counting;
    let counts = |week: &Week| {
        let of = |count: fn(&Tally) -> u64| week.models.iter().map(|(_, tally)| count(tally)).sum();
        let (rejected, all): (u64, u64) = (of(|tally| tally.decisions[3]), of(Tally::results));
        (rejected, all)
    };
    let (now, all) = weeks.weeks.get(place).filter(whole).map(counts)?;
    let older = weeks.weeks.get(place + 1..).unwrap_or_default().iter().filter(whole);
    let (before, of) =
        older.take(BEFORE).map(counts).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    if of < LEAST_CELLS {
        return None;
    }
    let earlier = real(before) / real(of);
    // What was never seen before is expected once in as many as there were.
    let share = exceeds(now, all, earlier.max(1.0 / real(of)))?;
    let message = format!(
        "{} of the captures were rejected, more than twice the {} of the weeks before: their reasons say why",
        percent(share.value),
        percent(earlier)
    );
    Some(Note { what: "rejected", message })
}

fn of_agreement(now: &Tally, before: &Tally) -> Option<Note> {
    if now.reviewed.min(before.reviewed) < LEAST_REVIEWS {
        return None;
    }
    let share = wilson(now.confirmed, now.reviewed)?;
    let earlier = wilson(before.confirmed, before.reviewed)?;
    (share.upper < earlier.lower).then(|| Note {
        what: "agreement",
        message: format!(
            "people confirm {} of what they review, and confirmed {} in the weeks before",
            percent(share.value),
            percent(earlier.value)
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::super::week_of;
    use super::*;
    use crate::result::Timestamp;

    fn model() -> ModelRef {
        ModelRef { id: "m".to_owned(), digest: "d".to_owned() }
    }

    /// The running week first, each with one model.
    fn weeks(tallies: Vec<Tally>) -> Weeks {
        let week = |(place, tally): (usize, Tally)| Week {
            begins: week_of(Timestamp(1_700_000_000_000 - place as i64 * super::super::WEEK_MS)),
            models: vec![(Some(model()), tally)],
            left_out: 0,
            removed: false,
        };
        Weeks {
            weeks: tallies.into_iter().enumerate().map(week).collect(),
            as_of: 1,
            counting: false,
        }
    }

    fn scored(scores: [u64; BINS]) -> Tally {
        let cells = scores.iter().sum();
        Tally { scores, decisions: [cells, 0, 0, 0], ..Tally::default() }
    }

    fn words(comparison: &Comparison) -> Vec<&'static str> {
        comparison.notes.iter().map(|note| note.what).collect()
    }

    #[test]
    fn the_stability_index_is_that_of_the_formula() {
        let now = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100];
        let before = [100, 90, 80, 70, 60, 50, 40, 30, 20, 10];
        // By hand, with (count + 0.5) / (550 + 5) on both sides.
        let expected: f64 = (0..10)
            .map(|bin| {
                let p = (f64::from(10 * (bin + 1)) + 0.5) / 555.0;
                let q = (f64::from(10 * (10 - bin)) + 0.5) / 555.0;
                (p - q) * (p.ln() - q.ln())
            })
            .sum();
        let found = stability(&now, &before).unwrap();
        assert!((found.index - expected).abs() < 1e-12 && found.index > 0.7, "{found:?}");
        assert!((found.chance - 2.0 / 550.0 * 27.877).abs() < 1e-12);
        assert_eq!(stability(&now, &now).unwrap().index, 0.0);
        assert_eq!(stability(&now, &[19; 10]), None, "190 are too few");
    }

    #[test]
    fn a_week_of_other_scores_stands_out_and_one_of_too_few_cells_does_not() {
        let (low, high) = ([100, 0, 0, 0, 0, 0, 0, 0, 0, 100], [0, 0, 0, 0, 0, 0, 0, 0, 0, 200]);
        let found = compare(&weeks(vec![scored(high), scored(low)]), 0, &model(), None);
        assert_eq!(words(&found), ["scores"], "{found:?}");
        let few = compare(&weeks(vec![scored([19; 10]), scored(low)]), 0, &model(), None);
        assert_eq!(few, Comparison::default());
        let first = compare(&weeks(vec![scored(high)]), 0, &model(), None);
        assert_eq!(first, Comparison::default(), "there is nothing before");
    }

    #[test]
    fn a_week_that_retention_cut_is_neither_compared_nor_compared_with() {
        let (low, high) = ([100, 0, 0, 0, 0, 0, 0, 0, 0, 100], [0, 0, 0, 0, 0, 0, 0, 0, 0, 200]);
        for place in [0, 1] {
            let mut cut = weeks(vec![scored(high), scored(low)]);
            cut.weeks[place].removed = true;
            assert_eq!(compare(&cut, 0, &model(), None), Comparison::default(), "{place}");
        }
        let mut counting = weeks(vec![scored(high), scored(low)]);
        counting.counting = true;
        assert_eq!(compare(&counting, 0, &model(), None), Comparison::default());
    }

    #[test]
    fn doubts_rejections_and_agreement_stand_out_beyond_chance_alone() {
        let tally = |doubted, rejected, confirmed| Tally {
            decisions: [100, 100, 100, rejected],
            doubted,
            reviewed: 100,
            confirmed,
            ..Tally::default()
        };
        let calm = weeks(vec![tally(20, 5, 88), tally(15, 3, 92)]);
        assert_eq!(words(&compare(&calm, 0, &model(), Some(0.05))), [""; 0]);
        let bad = weeks(vec![tally(60, 30, 60), tally(15, 3, 92)]);
        let found = compare(&bad, 0, &model(), Some(0.05));
        assert_eq!(words(&found), ["doubted", "agreement"], "{found:?}");
        assert_eq!(words(&compare(&bad, 0, &model(), None)), ["agreement"]);
        assert_eq!(rejections(&calm, 0), None);
        assert_eq!(rejections(&bad, 0).unwrap().what, "rejected");
        assert_eq!(rejections(&bad, 1), None, "there is nothing before");
    }
}
