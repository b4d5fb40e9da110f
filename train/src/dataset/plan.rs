//! Who decides which cell stands on which side.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use leukd_journal::result::Digest;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::folds::{all_have_subjects, fewest_first, folds};
use super::near::{Joined, groups};
use super::split::{Protocol, Side, Split, ValidationBy};
use super::validation::{CURVE_SHARE, SHARE, carve, for_curve, share};
use super::{Cell, Dataset, DatasetError, LABELS, census, listed};

/// How the cells are parted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SplitPlan {
    /// 70/15/15 of each class, whoever's cells they are: the seed's protocol. (Not its very cells:
    /// scikit-learn's generator drew those.)
    Image {
        /// Decides which.
        seed: u64,
    },
    /// No subject on the test side and on another.
    Subject {
        /// Whose cells are measured on.
        test: TestSubjects,
        /// Whose cells are validated on; empty: as many subjects as come nearest to 15 % of each
        /// class, where two of each class are left to train on, else 15 % of each training
        /// subject's cells.
        validation: Vec<String>,
        /// Decides what the names leave open.
        seed: u64,
    },
    /// The sides, or the folds, that the data name.
    Given {
        /// The fold to measure on; none: the sides count, and a cell without one stands nowhere.
        test_fold: Option<String>,
        /// Whose cells are validated on, out of the training side; empty: as for
        /// [`SplitPlan::Subject`], but only where the data name no validation side.
        validation: Vec<String>,
        /// Decides the rest.
        seed: u64,
    },
    /// No test side: every picture is trained on but 5 % of each subject's, which draw the learning
    /// curve. For the model that is shipped, whose figures come from runs that tested
    /// ([`crate::pool`]).
    Everything {
        /// Decides which are left out.
        seed: u64,
    },
}

/// Whose cells are measured on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestSubjects {
    /// Those of one of the folds that [`Dataset::folds`] makes.
    Fold {
        /// 1 for the first.
        fold: usize,
        /// How many there are; none: as [`Dataset::folds`] says.
        folds: Option<usize>,
    },
    /// These.
    Named(Vec<String>),
    /// Those of one fold of a table that assigns every subject ([`fold_table`](super::fold_table)).
    /// Every other subject is trained on, where none is named to validate on.
    Assigned {
        /// Each subject's fold.
        folds: BTreeMap<String, usize>,
        /// Which one.
        fold: usize,
        /// The table, in words.
        origin: String,
    },
}

impl TestSubjects {
    /// The first of the usual folds.
    pub const FIRST: Self = Self::Fold { fold: 1, folds: None };
}

impl SplitPlan {
    /// As [`Dataset::split`].
    pub(super) fn part(&self, dataset: Dataset) -> Result<Split, DatasetError> {
        let total = dataset.cells.len();
        let source = dataset.source.clone();
        let joined = dataset.joined.iter().map(Joined::in_words).collect::<String>();
        let split = match self {
            Self::Image { seed } => by_image(dataset.cells, *seed),
            Self::Subject { test, validation, seed } => {
                by_subject(dataset.cells, test, validation, *seed)?
            }
            Self::Given { test_fold: Some(fold), validation, seed } => {
                by_fold(dataset.cells, fold)?.steered(validation, *seed)?
            }
            Self::Given { test_fold: None, validation, seed } => {
                by_side(dataset.cells)?.steered(validation, *seed)?
            }
            Self::Everything { seed } => everything(dataset.cells, *seed),
        };
        let placed: usize = Side::EVERY.iter().map(|side| split.side(*side).len()).sum();
        let twins = total - placed - split.left_out;
        let origin = split.origin.clone() + &joined;
        Split { twins, source, origin, ..split }.with_every_class()
    }
}

fn by_image(cells: Vec<Cell>, seed: u64) -> Split {
    let cells = once(cells, &mut HashSet::new());
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut side = vec![Side::Training; cells.len()];
    for label in 0..LABELS.len() {
        let mut own: Vec<usize> = (0..cells.len()).filter(|at| cells[*at].label == label).collect();
        own.shuffle(&mut rng);
        // One at least, so that few cells make a small split rather than none.
        let each = share(own.len(), SHARE).max(1);
        let sides = [Side::Test, Side::Validation].into_iter().flat_map(|s| vec![s; each]);
        own.iter().zip(sides).for_each(|(at, chosen)| side[*at] = chosen);
    }
    // A cell that was cut out twice stands on one side.
    for (at, first) in groups(&cells).into_iter().enumerate() {
        side[at] = side[first];
    }
    let mut sides = [Vec::new(), Vec::new(), Vec::new()];
    for (cell, side) in cells.into_iter().zip(side) {
        sides[side as usize].push(cell);
    }
    let [training, validation, test] = sides;
    Split {
        protocol: Protocol::Image,
        validation_by: ValidationBy::Image,
        origin: format!("{}/{SHARE}/{SHARE} of each class, split seed {seed}", 100 - 2 * SHARE),
        ..Split::of(training, validation, test)
    }
}

fn everything(cells: Vec<Cell>, seed: u64) -> Split {
    let (training, validation) = for_curve(once(cells, &mut HashSet::new()), seed);
    Split {
        origin: format!("every picture but {CURVE_SHARE} % of each subject's, split seed {seed}"),
        ..Split::of(training, validation, Vec::new())
    }
}

fn by_subject(
    cells: Vec<Cell>,
    test_by: &TestSubjects,
    validation: &[String],
    seed: u64,
) -> Result<Split, DatasetError> {
    all_have_subjects(&cells)?;
    fewest_first(&census(&cells))?;
    let (held_out, origin) = match test_by {
        TestSubjects::Fold { fold, folds: asked } => {
            let folds = folds(&cells, *asked, seed)?;
            let chosen = fold.checked_sub(1).and_then(|at| folds.get(at)).cloned();
            let no_fold = DatasetError::NoFold { fold: *fold, folds: folds.len() };
            (chosen.ok_or(no_fold)?, format!("fold {fold} of {}, split seed {seed}", folds.len()))
        }
        TestSubjects::Assigned { folds, fold, origin } => {
            let subject = |cell: &&Cell| !folds.contains_key(&cell.subject);
            if let Some(cell) = cells.iter().find(subject) {
                let subject = cell.subject.clone();
                return Err(DatasetError::Unassigned { subject, table: origin.clone() });
            }
            let count = folds.values().copied().max().unwrap_or_default();
            let held_out: BTreeSet<String> =
                folds.iter().filter(|at| at.1 == fold).map(|at| at.0.clone()).collect();
            if held_out.is_empty() {
                return Err(DatasetError::NoFold { fold: *fold, folds: count });
            }
            (held_out, format!("fold {fold} of {count} by {origin}, split seed {seed}"))
        }
        TestSubjects::Named(names) => {
            check_known(&cells, names, "--hold-out")?;
            let origin = format!("{} held out, split seed {seed}", names.join(", "));
            (names.iter().cloned().collect(), origin)
        }
    };
    if let Some(subject) = validation.iter().find(|name| held_out.contains(*name)).cloned() {
        return Err(DatasetError::TwoSides { subject });
    }
    check_known(&cells, validation, "--validate-on")?;
    let (test, training) = cells.into_iter().partition(|cell| held_out.contains(&cell.subject));
    let parted = Parted { training, validation: Vec::new(), test, left_out: 0, origin };
    match test_by {
        TestSubjects::Assigned { .. } if validation.is_empty() => {
            Ok(parted.with_every_subject(seed))
        }
        _ => parted.steered(validation, seed),
    }
}

fn by_fold(cells: Vec<Cell>, fold: &str) -> Result<Parted, DatasetError> {
    let known: BTreeSet<&str> = cells.iter().filter_map(|cell| cell.fold.as_deref()).collect();
    if !known.contains(fold) {
        let known = listed(known);
        return Err(DatasetError::UnknownFold { fold: fold.to_owned(), known });
    }
    let (test, training) = cells.into_iter().partition(|cell| cell.fold.as_deref() == Some(fold));
    let origin = format!("given fold {fold} tested on");
    Ok(Parted { training, validation: Vec::new(), test, left_out: 0, origin })
}

fn by_side(cells: Vec<Cell>) -> Result<Parted, DatasetError> {
    let total = cells.len();
    let mut sides = [Vec::new(), Vec::new(), Vec::new()];
    for cell in cells {
        if let Some(side) = cell.side {
            sides[side as usize].push(cell);
        }
    }
    let [training, validation, test] = sides;
    let left_out = total - training.len() - validation.len() - test.len();
    if left_out == total {
        return Err(DatasetError::NothingGiven);
    }
    let origin = "the sides that the data name".to_owned();
    Ok(Parted { training, validation, test, left_out, origin })
}

/// Cells whose test side stands, their copies not yet removed.
struct Parted {
    training: Vec<Cell>,
    validation: Vec<Cell>,
    test: Vec<Cell>,
    left_out: usize,
    origin: String,
}

impl Parted {
    /// Keeps each picture once, on the test side first, and trains on every other subject: the
    /// validation side is the few cells of theirs that draw the learning curve.
    fn with_every_subject(self, seed: u64) -> Split {
        let mut seen = HashSet::new();
        let test = once(self.test, &mut seen);
        let (training, validation) = for_curve(once(self.training, &mut seen), seed);
        let origin = format!(
            "{}; validation cells drawn, {CURVE_SHARE} % of each training subject's",
            self.origin
        );
        Split { left_out: self.left_out, origin, ..Split::of(training, validation, test) }
    }

    /// Keeps each picture once, on the test side before the validation side before the training
    /// side, and takes a validation side from the training side: the subjects `named`, or where
    /// none are named and there is none yet, whom chance takes.
    fn steered(self, named: &[String], seed: u64) -> Result<Split, DatasetError> {
        let Self { mut training, mut validation, test, left_out, mut origin } = self;
        if !named.is_empty() {
            check_known(&training, named, "--validate-on")?;
            let (theirs, rest) =
                training.into_iter().partition(|cell| named.contains(&cell.subject));
            training = rest;
            validation.extend::<Vec<Cell>>(theirs);
        }
        let mut seen = HashSet::new();
        let test = once(test, &mut seen);
        let mut validation = once(validation, &mut seen);
        let mut training = once(training, &mut seen);
        if validation.is_empty() {
            let (fitted, carved, by) = carve(training, seed);
            (training, validation) = (fitted, carved);
            origin += match by {
                ValidationBy::Subject => "; validation subjects drawn",
                ValidationBy::Image => "; validation cells drawn, 15 % of each training subject's",
            };
        }
        Ok(Split { left_out, origin, ..Split::of(training, validation, test) })
    }
}

/// The cells whose pictures are not in `seen`, each picture once.
fn once(cells: Vec<Cell>, seen: &mut HashSet<Digest>) -> Vec<Cell> {
    cells.into_iter().filter(|cell| seen.insert(cell.digest)).collect()
}

fn check_known(cells: &[Cell], names: &[String], flag: &'static str) -> Result<(), DatasetError> {
    match names.iter().find(|name| !cells.iter().any(|cell| cell.subject == **name)) {
        None => Ok(()),
        Some(subject) => {
            let known = census(cells);
            let known = listed(known.keys().map(String::as_str));
            Err(DatasetError::UnknownSubject { subject: subject.clone(), flag, known })
        }
    }
}
