use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::*;

#[test]
fn wilson_gives_the_published_intervals() {
    // Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
    for (hits, of, lower, upper) in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ] {
        let share = wilson(hits, of).unwrap();
        assert!(
            (share.lower - lower).abs() < 5e-5 && (share.upper - upper).abs() < 5e-5,
            "{hits}/{of}: {share:?}"
        );
    }
    assert!(wilson(0, 0).is_none());
    let all = wilson(7, 7).unwrap();
    assert!(all.lower < 1.0 && (all.upper - 1.0).abs() < f64::EPSILON);
}

fn rate(value: f64, half: f64, cells: u64) -> Rate {
    Rate { value, interval: Some((value - half, value + half)), cells }
}

#[test]
fn rogan_and_gladen_by_hand() {
    // The examples of epiR's documentation (`epi.prev`): 5.1 % and 0 of 100.
    let of = |hits, of, se, sp| {
        corrected(hits, of, &rate(se, 0.02, 500), &rate(sp, 0.02, 500)).unwrap().value
    };
    assert!((of(23, 150, 0.96, 0.89) - 0.050_98).abs() < 1e-5);
    assert!(of(6, 151, 0.964, 0.927).abs() < 1e-12, "less than none is none");
    assert!((of(99, 100, 0.9, 0.9) - 1.0).abs() < 1e-12, "more than all is all");
    // A perfect test changes nothing.
    let perfect = Rate { value: 1.0, interval: None, cells: 100 };
    let same = corrected(3, 10, &perfect, &perfect).unwrap();
    assert!((same.value - 0.3).abs() < 1e-12);
    assert_eq!(same.interval, None);
}

#[test]
fn what_cannot_be_corrected_is_not() {
    let good = rate(0.9, 0.03, 300);
    assert_eq!(corrected(0, 0, &good, &good), None);
    assert_eq!(corrected(5, 10, &good, &rate(0.19, 0.03, 300)), None);
    assert!(corrected(5, 10, &good, &rate(0.21, 0.03, 300)).is_some());
    // An interval of no width, as a bootstrap over one subject gives it, is none.
    let one_subject = Rate { interval: Some((0.85, 0.85)), ..rate(0.85, 0.1, 300) };
    assert_eq!(corrected(5, 10, &good, &one_subject).unwrap().interval, None);
}

#[test]
fn a_wide_interval_over_subjects_counts_as_few_cells_and_never_as_more_than_there_were() {
    let wide = rate(0.9, 0.1, 1000).effective_cells().unwrap();
    assert!((wide - 0.09 * (1.96_f64 / 0.1).powi(2)).abs() < 0.1, "{wide}");
    let narrow = rate(0.9, 1e-6, 1000).effective_cells().unwrap();
    assert!((narrow - 1000.0).abs() < 1e-9);
    // A rate at its end has an interval to one side only.
    let end = Rate { value: 1.0, interval: Some((0.96, 1.0)), cells: 1000 };
    assert!((50.0..200.0).contains(&end.effective_cells().unwrap()));
}

#[test]
fn the_interval_is_inside_0_and_1_holds_the_estimate_and_shrinks_with_what_is_known() {
    let (good, poor) = (rate(0.95, 0.02, 400), rate(0.95, 0.08, 400));
    let width = |hits, of, rate: &Rate| {
        let corrected = corrected(hits, of, rate, rate).unwrap();
        let (lower, upper) = corrected.interval.unwrap();
        assert!((0.0..=corrected.value).contains(&lower), "{corrected:?}");
        assert!((corrected.value..=1.0).contains(&upper), "{corrected:?}");
        upper - lower
    };
    for hits in 0..=20 {
        width(hits, 20, &good);
        width(hits, 20, &poor);
    }
    assert!(width(100, 400, &good) < width(10, 40, &good));
    assert!(width(100, 400, &good) < width(100, 400, &poor));
    // However many cells: what the rates do not say stays unknown.
    assert!(width(250_000, 1_000_000, &poor) > 0.05);
}

/// How many of `n` trials succeed.
fn hits(random: &mut ChaCha8Rng, n: u64, share: f64) -> u64 {
    (0..n).map(|_| u64::from(random.random_bool(share))).sum()
}

/// A rate as a trainer measures it: on the cells of `subjects`, each of whom has a rate of its own
/// around `mean`, with a percentile bootstrap over the subjects.
fn measured(random: &mut ChaCha8Rng, mean: f64, spread: f64, subjects: usize, each: u64) -> Rate {
    let right: Vec<f64> = (0..subjects)
        .map(|_| {
            let own = mean + spread * (2.0 * random.random::<f64>() - 1.0);
            real(hits(random, each, own)) / real(each)
        })
        .collect();
    let average = |of: &mut dyn Iterator<Item = f64>| of.sum::<f64>() / right.len() as f64;
    let value = average(&mut right.iter().copied());
    let mut drawn: Vec<f64> = (0..200)
        .map(|_| {
            let mut pick = || right[random.random_range(0..right.len())];
            average(&mut (0..right.len()).map(|_| pick()))
        })
        .collect();
    drawn.sort_by(f64::total_cmp);
    let cells = subjects as u64 * each;
    Rate { value, interval: Some((drawn[4], drawn[194])), cells }
}

/// How often the interval holds the true share, and how often one does that takes the measured
/// rates for the true ones.
fn coverage(p: f64, cells: u64, (se, sp): (f64, f64), spread: f64, subjects: usize) -> (f64, f64) {
    const DRAWS: u32 = 1000;
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let (mut held, mut naive) = (0, 0);
    for _ in 0..DRAWS {
        let found = hits(&mut random, cells, p * se + (1.0 - p) * (1.0 - sp));
        let sensitivity = measured(&mut random, se, spread, subjects, 20);
        let specificity = measured(&mut random, sp, spread, subjects, 20);
        let (lower, upper) =
            corrected(found, cells, &sensitivity, &specificity).unwrap().interval.unwrap();
        held += u32::from((lower..=upper).contains(&p));
        let raw = wilson(found, cells).unwrap();
        let map =
            |q: f64| (q + specificity.value - 1.0) / (sensitivity.value + specificity.value - 1.0);
        naive += u32::from((map(raw.lower)..=map(raw.upper)).contains(&p));
    }
    (f64::from(held) / f64::from(DRAWS), f64::from(naive) / f64::from(DRAWS))
}

#[test]
fn the_interval_holds_the_true_share_as_often_as_it_says() {
    let (mut least_naive, mut sum, mut settings) = (1.0_f64, 0.0, 0.0);
    for rates in [(0.95, 0.9), (0.8, 0.75)] {
        for p in [0.0, 0.05, 0.25, 0.6, 1.0] {
            for cells in [30, 2000] {
                // 20 subjects who differ by up to 4 points either way.
                let (held, naive) = coverage(p, cells, rates, 0.04, 20);
                assert!(held > 0.92, "{rates:?} p {p} of {cells} cells: {held}");
                (sum, settings) = (sum + held, settings + 1.0);
                least_naive = least_naive.min(naive);
            }
        }
    }
    assert!(sum / settings > 0.945, "{}", sum / settings);
    // The test can tell: without the uncertainty of the rates the interval is too short.
    assert!(least_naive < 0.7, "{least_naive}");
}

#[test]
fn an_interval_stands_above_below_or_around_a_flag() {
    assert_eq!(Standing::of((0.21, 0.4), 0.2), Standing::Above);
    assert_eq!(Standing::of((0.2, 0.4), 0.2), Standing::Undecided);
    assert_eq!(Standing::of((0.1, 0.2), 0.2), Standing::Undecided);
    assert_eq!(Standing::of((0.1, 0.19), 0.2), Standing::Below);
}
