//! Training cells → training and validation cells, where nobody names the latter.

use std::collections::BTreeSet;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::split::ValidationBy;
use super::{Cell, LABELS, census};

/// The percentage of the cells that goes to validation, and by image to the test side: the seed's
/// 70/15/15.
pub(super) const SHARE: usize = 15;

/// The percentage of each subject's cells that a training on everything leaves out, to draw its
/// learning curve.
pub(super) const CURVE_SHARE: usize = 5;

/// Subjects of each class that training keeps where others are taken away.
const KEPT_SUBJECTS: usize = 2;

/// Training and validation cells out of `cells`, which hold no picture twice.
///
/// By subject where each class keeps two training subjects after losing one; else, and where a
/// subject is unknown, [`SHARE`] percent of each subject's cells.
pub(super) fn carve(cells: Vec<Cell>, seed: u64) -> (Vec<Cell>, Vec<Cell>, ValidationBy) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    if let Some(subjects) = subjects(&cells, &mut rng) {
        let (validation, training) =
            cells.into_iter().partition(|cell| subjects.contains(&cell.subject));
        return (training, validation, ValidationBy::Subject);
    }
    let (training, validation) = by_image(cells, SHARE, &mut rng);
    (training, validation, ValidationBy::Image)
}

/// Training and validation cells, the latter [`CURVE_SHARE`] percent of each subject's.
pub(super) fn for_curve(cells: Vec<Cell>, seed: u64) -> (Vec<Cell>, Vec<Cell>) {
    by_image(cells, CURVE_SHARE, &mut ChaCha8Rng::seed_from_u64(seed))
}

/// The cells without, and those with, `percent` percent of each subject's.
fn by_image(cells: Vec<Cell>, percent: usize, rng: &mut ChaCha8Rng) -> (Vec<Cell>, Vec<Cell>) {
    let taken = images(&cells, percent, rng);
    let (validation, training): (Vec<_>, Vec<_>) =
        cells.into_iter().enumerate().partition(|(at, _)| taken.contains(at));
    let plain = |cells: Vec<(usize, Cell)>| cells.into_iter().map(|(_, cell)| cell).collect();
    (plain(training), plain(validation))
}

/// Subjects with about [`SHARE`] percent of each class' cells; none where too few would be left.
fn subjects(cells: &[Cell], rng: &mut ChaCha8Rng) -> Option<BTreeSet<String>> {
    let census = census(cells);
    if census.contains_key("") {
        return None;
    }
    let mut order: Vec<_> = census.iter().collect();
    order.shuffle(rng);
    let mut left: [usize; LABELS.len()] =
        std::array::from_fn(|label| census.values().filter(|counts| counts[label] > 0).count());
    let mut sums = [0_usize; LABELS.len()];
    let mut chosen = BTreeSet::new();
    for label in 0..LABELS.len() {
        let all: usize = census.values().map(|counts| counts[label]).sum();
        let off = |sum: usize| (100 * sum).abs_diff(SHARE * all);
        // Chance decides, as long as a subject brings the sum nearer to the share.
        for (subject, counts) in &order {
            let nearer = off(sums[label] + counts[label]) < off(sums[label]);
            if nearer && !chosen.contains(*subject) && spares(&left, counts) {
                take(subject, counts, &mut left, &mut sums, &mut chosen);
            }
        }
        if sums[label] == 0 {
            // Every subject has more than twice the share: the smallest is the nearest.
            let (subject, counts) = order
                .iter()
                .filter(|(_, counts)| counts[label] > 0 && spares(&left, counts))
                .min_by_key(|(_, counts)| counts[label])?;
            take(subject, counts, &mut left, &mut sums, &mut chosen);
        }
    }
    Some(chosen)
}

/// Whether training keeps enough subjects of each class when one with such cells goes.
fn spares(left: &[usize; LABELS.len()], counts: &[usize; LABELS.len()]) -> bool {
    left.iter().zip(counts).all(|(left, count)| *count == 0 || *left > KEPT_SUBJECTS)
}

fn take(
    subject: &str,
    counts: &[usize; LABELS.len()],
    left: &mut [usize; LABELS.len()],
    sums: &mut [usize; LABELS.len()],
    chosen: &mut BTreeSet<String>,
) {
    for label in 0..LABELS.len() {
        left[label] -= usize::from(counts[label] > 0);
        sums[label] += counts[label];
    }
    chosen.insert(subject.to_owned());
}

/// Indices of `percent` percent of each subject's cells of each class: rounded so that the shares
/// of all subjects together are right, and one at least of each class that has two.
fn images(cells: &[Cell], percent: usize, rng: &mut ChaCha8Rng) -> BTreeSet<usize> {
    let mut taken = BTreeSet::new();
    for label in 0..LABELS.len() {
        let of_class = |subject: Option<&str>| -> Vec<usize> {
            let fits = |cell: &Cell| {
                cell.label == label && subject.is_none_or(|subject| cell.subject == subject)
            };
            (0..cells.len()).filter(|at| fits(&cells[*at])).collect()
        };
        let (mut seen, mut took) = (0, 0);
        for subject in census(cells.iter().filter(|cell| cell.label == label)).keys() {
            let mut own = of_class(Some(subject));
            own.shuffle(rng);
            seen += own.len();
            let due = share(seen, percent) - took;
            took += due;
            taken.extend(own.into_iter().take(due));
        }
        let mut all = of_class(None);
        if took == 0 && all.len() > 1 {
            all.shuffle(rng);
            taken.extend(all.first());
        }
    }
    taken
}

/// `percent` percent of so many cells, rounded.
pub(super) const fn share(cells: usize, percent: usize) -> usize {
    (cells * percent + 50) / 100
}
