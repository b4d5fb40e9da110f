//! Whether runs are siblings.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use leukd_journal::result::Digest;

use super::{PoolError, Run};
use crate::dataset::{Protocol, Side, Split};
use crate::evaluate::{CELLS, Prediction, SIDES, TEACHER};

/// What siblings need not have in common: the split, the file of a teacher's targets, the seed,
/// what computed them and how long that took. Every other setting, the starting weights among them,
/// must be the same.
pub const MAY_DIFFER: [&str; 6] =
    [SIDES, CELLS, TEACHER, "steps.seed", "run.device", "run.minutes"];

/// A tested cell and the run that tested it.
pub(super) struct Cell<'a> {
    pub(super) run: &'a Run,
    pub(super) prediction: &'a Prediction,
}

/// Runs that may be pooled.
pub(super) struct Siblings<'a> {
    pub(super) protocol: Protocol,
    /// Each tested picture once.
    pub(super) tested: Vec<Cell<'a>>,
    pub(super) recipe: BTreeMap<String, String>,
    pub(super) differing: BTreeMap<String, Vec<String>>,
    pub(super) cells: u64,
    pub(super) cells_digest: String,
    pub(super) untested: u64,
    pub(super) copies: u64,
}

impl Siblings<'_> {
    /// The place among `runs` of the run that tested each cell.
    pub(super) fn folds(&self, runs: &[Run]) -> Vec<usize> {
        let place = |cell: &Cell<'_>| runs.iter().position(|run| std::ptr::eq(run, cell.run));
        self.tested.iter().map(|cell| place(cell).unwrap_or_default()).collect()
    }
}

/// Some folds of a split by subject are enough where `partial`.
///
/// # Errors
///
/// Where `runs` are none, naming the run and the field.
pub(super) fn siblings(runs: &[Run], partial: bool) -> Result<Siblings<'_>, PoolError> {
    let Some((first, others)) = runs.split_first() else {
        return Err(PoolError::OneFold { given: "no run".to_owned() });
    };
    let protocol = first.evaluation.protocol;
    if others.is_empty() && protocol == Protocol::Subject && !partial {
        return Err(PoolError::OneFold { given: first.folder.display().to_string() });
    }
    let cells_digest = first.split.cells_digest();
    for other in others {
        let wrong = |field: &str, problem: String| PoolError::Run {
            run: other.folder.clone(),
            field: field.to_owned(),
            problem: format!("{problem} {}", first.folder.display()),
        };
        let own = other.evaluation.protocol;
        if own != protocol {
            return Err(wrong(
                "protocol",
                format!("{own}, which is never mixed with {protocol} of"),
            ));
        }
        if let Some((setting, own, theirs)) = difference(&other.recipe, &first.recipe) {
            return Err(wrong(&setting, format!("{own} here, and {theirs} in")));
        }
        if other.split.cells_digest() != cells_digest {
            let (own, theirs) = (count(&other.split), count(&first.split));
            let problem = format!("its {own} pictures, or their labels, are not the {theirs} of");
            return Err(wrong("split.csv", problem));
        }
    }
    let (tested, copies) = tested(runs, protocol)?;
    let cells = count(&first.split);
    let (recipe, differing) = settings(runs);
    Ok(Siblings {
        protocol,
        untested: cells.saturating_sub(tested.len() as u64),
        tested,
        recipe,
        differing,
        cells,
        cells_digest: cells_digest.to_string(),
        copies,
    })
}

/// The settings that all runs share, and the others with each run's value.
fn settings(runs: &[Run]) -> (BTreeMap<String, String>, BTreeMap<String, Vec<String>>) {
    let settings: BTreeSet<&String> = runs.iter().flat_map(|run| run.recipe.keys()).collect();
    let (mut shared, mut differing) = (BTreeMap::new(), BTreeMap::new());
    for setting in settings {
        let values: Vec<String> =
            runs.iter().map(|run| run.recipe.get(setting).cloned().unwrap_or_default()).collect();
        if values.iter().all(|value| *value == values[0]) {
            shared.insert(setting.clone(), values[0].clone());
        } else {
            differing.insert(setting.clone(), values);
        }
    }
    (shared, differing)
}

/// The first setting that `one` and `other` must have in common and have not, with both values.
#[must_use]
pub fn difference(
    one: &BTreeMap<String, String>,
    other: &BTreeMap<String, String>,
) -> Option<(String, String, String)> {
    let value = |of: &BTreeMap<String, String>, setting: &String| {
        of.get(setting).cloned().unwrap_or_else(|| "nothing".to_owned())
    };
    let settings: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    settings
        .into_iter()
        .filter(|setting| !MAY_DIFFER.contains(&setting.as_str()))
        .map(|setting| (setting.clone(), value(one, setting), value(other, setting)))
        .find(|(_, own, theirs)| own != theirs)
}

fn count(split: &Split) -> u64 {
    Side::EVERY.into_iter().map(|side| split.side(side).len() as u64).sum()
}

/// Every tested picture once, and how many copies were left out for that.
///
/// Each split keeps one of byte-identical copies, on its test side where there is one: a picture
/// that two subjects' names share is tested in either one's fold, and neither run has seen it in
/// training.
///
/// # Errors
///
/// Where a cell was tested twice.
fn tested(runs: &[Run], protocol: Protocol) -> Result<(Vec<Cell<'_>>, u64), PoolError> {
    let mut seen: HashMap<Digest, (&Run, &Prediction)> = HashMap::new();
    let (mut cells, mut copies) = (Vec::new(), 0);
    for run in runs {
        for (digest, prediction) in &run.tested {
            match seen.get(digest) {
                None => {
                    seen.insert(*digest, (run, prediction));
                    cells.push(Cell { run, prediction });
                }
                Some((_, earlier))
                    if protocol == Protocol::Subject && earlier.subject != prediction.subject =>
                {
                    copies += 1;
                }
                Some((earlier, _)) => {
                    return Err(PoolError::Run {
                        run: run.folder.clone(),
                        field: "predictions.csv".to_owned(),
                        problem: format!(
                            "{} was tested by {} already, and a cell is pooled once",
                            prediction.name,
                            earlier.folder.display()
                        ),
                    });
                }
            }
        }
    }
    Ok((cells, copies))
}
