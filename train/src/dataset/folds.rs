//! Subjects → folds.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{Cell, DatasetError, LABELS, census};

/// Folds where nobody says how many: C-NMC's training data come in as many.
const USUAL: usize = 3;

/// As [`super::Dataset::folds`].
pub(super) fn folds(
    cells: &[Cell],
    folds: Option<usize>,
    seed: u64,
) -> Result<Vec<BTreeSet<String>>, DatasetError> {
    all_have_subjects(cells)?;
    // Copies count once: a fold's size is the number of its different pictures.
    let mut seen = BTreeSet::new();
    let census = census(cells.iter().filter(|cell| seen.insert(cell.digest)));
    let order = fewest_first(&census)?;
    let (rarest, subjects) = order[0];
    let folds = folds.unwrap_or(USUAL.min(subjects));
    if folds < 2 || folds > subjects {
        return Err(DatasetError::Folds { folds, label: LABELS[rarest], subjects });
    }
    let mut sides = vec![(BTreeSet::new(), [0_usize; LABELS.len()]); folds];
    let mut subjects: Vec<(&String, &[usize; LABELS.len()])> = census.iter().collect();
    subjects.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    // The class with the fewest subjects goes first, the largest subject of it before the others,
    // each into the fold that has the fewest cells of the class. So no fold is left without a
    // class: one that has none of it yet comes before any that has, and of the class that goes
    // last there are at least as many subjects to give as the first one left folds without.
    let mut placed = BTreeSet::new();
    for (label, _) in order {
        subjects.sort_by_key(|(_, counts)| Reverse(counts[label]));
        for (subject, counts) in &subjects {
            if counts[label] == 0 || !placed.insert(*subject) {
                continue;
            }
            let fold =
                sides.iter_mut().min_by_key(|(_, sum)| (sum[label], sum.iter().sum::<usize>()));
            if let Some((names, sum)) = fold {
                names.insert((*subject).clone());
                sum.iter_mut().zip(*counts).for_each(|(sum, count)| *sum += count);
            }
        }
    }
    Ok(sides.into_iter().map(|(names, _)| names).collect())
}

/// # Errors
///
/// Where nobody is named for some cell.
pub(super) fn all_have_subjects(cells: &[Cell]) -> Result<(), DatasetError> {
    let without = || cells.iter().filter(|cell| cell.subject.is_empty());
    match without().next() {
        None => Ok(()),
        Some(cell) => {
            Err(DatasetError::NoSubject { path: cell.path.clone(), count: without().count() })
        }
    }
}

/// The classes with the number of their subjects, the fewest first.
///
/// # Errors
///
/// Where a class has fewer than two subjects.
pub(super) fn fewest_first(
    census: &BTreeMap<String, [usize; LABELS.len()]>,
) -> Result<[(usize, usize); LABELS.len()], DatasetError> {
    let mut order = std::array::from_fn(|label| {
        (label, census.values().filter(|counts| counts[label] > 0).count())
    });
    order.sort_by_key(|(_, subjects)| *subjects);
    let (label, fewest) = order[0];
    if fewest < 2 {
        let only = census.iter().find(|(_, counts)| counts[label] > 0);
        let found = only.map_or_else(|| "none".to_owned(), |(name, _)| format!("1 ({name})"));
        return Err(DatasetError::FewSubjects { label: LABELS[label], found });
    }
    Ok(order)
}

/// Each subject's fold in the `repeat`-th repeat of a CSV with the columns `subject` and
/// `repeat_1`, `repeat_2` and so on, as `train/protocol/folds.csv`.
///
/// # Errors
///
/// Where the file cannot be read, lacks a column, names a subject twice, or has a fold that is no
/// number from 1 on.
pub fn fold_table(path: &Path, repeat: usize) -> Result<BTreeMap<String, usize>, DatasetError> {
    let wrong = |problem: String| DatasetError::FoldTable { path: path.to_owned(), problem };
    let mut table = csv::Reader::from_path(path).map_err(|error| wrong(error.to_string()))?;
    let heads = table.headers().map_err(|error| wrong(error.to_string()))?.clone();
    let column = |name: &str| {
        let place = heads.iter().position(|head| head == name);
        place.ok_or_else(|| wrong(format!("there is no column {name:?}")))
    };
    let (subject, fold) = (column("subject")?, column(&format!("repeat_{repeat}"))?);
    let mut folds = BTreeMap::new();
    for line in table.records() {
        let line = line.map_err(|error| wrong(error.to_string()))?;
        let (name, text) = (&line[subject], &line[fold]);
        let place = text.parse().ok().filter(|place| *place > 0);
        let place = place.ok_or_else(|| {
            wrong(format!("the fold {text:?} of {name:?} is no number from 1 on"))
        })?;
        if folds.insert(name.to_owned(), place).is_some() {
            return Err(wrong(format!("the subject {name:?} comes twice")));
        }
    }
    Ok(folds)
}
