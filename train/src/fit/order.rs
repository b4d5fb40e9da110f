//! Which cells an epoch shows, in which order.

use std::collections::BTreeMap;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::dataset::{LABELS, Split};
use crate::recipe::{Balance, Recipe};

/// The `epoch`th epoch's batches, as indices into `split.training`: as many draws as there are
/// training cells. Within the smallest group that the recipe balances every cell comes once before
/// any comes again. The same for the same recipe, split and number.
///
/// A last batch of a single cell is left out: it has no variance to normalise by.
#[must_use]
pub fn batches(recipe: &Recipe, split: &Split, epoch: u32) -> Vec<Vec<usize>> {
    let mut rng = ChaCha8Rng::seed_from_u64(recipe.steps.seed);
    rng.set_stream(u64::from(epoch));
    let total = split.training.len();
    let classes = split.by_class();
    let filled = classes.iter().filter(|class| !class.is_empty()).count();
    let mut order = Vec::with_capacity(total);
    for (place, class) in classes.iter().filter(|class| !class.is_empty()).enumerate() {
        let draws = match recipe.sampling.classes {
            Balance::Natural => class.len(),
            Balance::Balanced => portion(total, filled, place),
        };
        match recipe.sampling.subjects {
            Balance::Natural => rounds(class, draws, &mut order, &mut rng),
            Balance::Balanced => {
                let mut subjects: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
                for index in class {
                    subjects.entry(&split.training[*index].subject).or_default().push(*index);
                }
                // Which subjects have one draw more changes from epoch to epoch.
                let mut subjects: Vec<_> = subjects.into_values().collect();
                subjects.shuffle(&mut rng);
                let count = subjects.len();
                for (nth, subject) in subjects.iter().enumerate() {
                    rounds(subject, portion(draws, count, nth), &mut order, &mut rng);
                }
            }
        }
    }
    order.shuffle(&mut rng);
    let mut batches: Vec<Vec<usize>> =
        order.chunks(recipe.steps.batch).map(<[usize]>::to_vec).collect();
    if batches.len() > 1 && batches.last().is_some_and(|last| last.len() < LABELS.len()) {
        batches.pop();
    }
    batches
}

/// The `nth` of `parts` nearly equal portions of `total`.
fn portion(total: usize, parts: usize, nth: usize) -> usize {
    total / parts + usize::from(nth < total % parts)
}

fn rounds(from: &[usize], draws: usize, order: &mut Vec<usize>, rng: &mut impl Rng) {
    let mut left = draws;
    while left > 0 {
        let mut round = from.to_vec();
        round.shuffle(rng);
        round.truncate(left);
        left -= round.len();
        order.extend(round);
    }
}
