//! What holds of every split, on random data sets.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use leukd_cell::Format;
use leukd_journal::result::Digest;
use leukd_train::dataset::{
    Cell, Dataset, Protocol, Side, Split, SplitPlan, TestSubjects, ValidationBy,
};
use proptest::prelude::*;

/// A cell whose picture is told by a number.
fn cell(name: String, label: usize, subject: &str, picture: u64) -> Cell {
    Cell {
        path: format!("data/{name}").into(),
        name,
        label,
        subject: subject.to_owned(),
        fold: None,
        side: None,
        digest: Digest::of(&picture.to_le_bytes()),
        place: None,
        format: Format::Bmp,
        width: 450,
        height: 450,
        area: 1,
        measures: None,
        morphometry: None,
        teacher: None,
        pixels: vec![],
    }
}

/// Subjects with 1 to 12 own cells; with `mixed` some have cells of both classes. Up to 15 copies
/// of any cells are spread over the subjects that have cells of the same class.
fn datasets(mixed: bool) -> impl Strategy<Value = Dataset> {
    let subject = prop_oneof![
        6 => (1..12_usize).prop_map(|n| [n, 0]),
        6 => (1..12_usize).prop_map(|n| [0, n]),
        2 => (1..8_usize, 1..8_usize).prop_map(move |(a, b)| if mixed { [a, b] } else { [a, 0] }),
    ];
    let base = (
        prop::collection::vec(1..12_usize, 2..5),
        prop::collection::vec(1..12_usize, 2..5),
        prop::collection::vec(subject, 0..10),
    );
    let copies =
        prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..15);
    (base, copies).prop_map(|((alls, hems, others), copies)| {
        let counts: Vec<[usize; 2]> = alls
            .into_iter()
            .map(|n| [n, 0])
            .chain(hems.into_iter().map(|n| [0, n]))
            .chain(others)
            .collect();
        let mut cells = Vec::new();
        for (subject, counts) in counts.iter().enumerate() {
            for (label, count) in counts.iter().enumerate() {
                for _ in 0..*count {
                    let picture = cells.len() as u64;
                    cells.push(cell(
                        format!("{picture:04}"),
                        label,
                        &format!("S{subject}"),
                        picture,
                    ));
                }
            }
        }
        let own = cells.len();
        for (copied, owner) in copies {
            let copied = cells[copied.index(own)].clone();
            let owners: Vec<_> =
                cells[..own].iter().filter(|cell| cell.label == copied.label).collect();
            let subject = owners[owner.index(owners.len())].subject.clone();
            let name = format!("copy{:03}", cells.len());
            cells.push(Cell { path: format!("data/{name}").into(), name, subject, ..copied });
        }
        cells.sort_by(|a, b| a.name.cmp(&b.name));
        Dataset { source: "data".into(), cells, broken: vec![], joined: vec![] }
    })
}

fn usual(seed: u64) -> SplitPlan {
    SplitPlan::Subject { test: TestSubjects::FIRST, validation: vec![], seed }
}

fn names(split: &Split) -> [Vec<&str>; 3] {
    Side::EVERY.map(|side| split.side(side).iter().map(|cell| cell.name.as_str()).collect())
}

fn subjects(split: &Split, side: Side) -> BTreeSet<&str> {
    split.side(side).iter().map(|cell| cell.subject.as_str()).collect()
}

/// Every picture stands on exactly one side, once, and the copies are counted.
fn each_picture_once(dataset: &Dataset, split: &Split) {
    let mut seen = HashSet::new();
    for cell in Side::EVERY.into_iter().flat_map(|side| split.side(side)) {
        assert!(seen.insert(cell.digest), "{} comes twice", cell.name);
        assert!(dataset.cells.contains(cell));
    }
    let all: HashSet<_> = dataset.cells.iter().map(|cell| cell.digest).collect();
    assert_eq!(seen, all);
    assert_eq!(split.twins, dataset.cells.len() - all.len());
    assert_eq!(split.left_out, 0);
}

fn each_side_has_both_classes(split: &Split) {
    for side in Side::EVERY {
        for label in 0..2 {
            assert!(split.side(side).iter().any(|cell| cell.label == label), "{side}: {label}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn by_subject_nobody_stands_on_the_test_side_and_on_another(
        dataset in datasets(true), seed: u64, fold: prop::sample::Index,
    ) {
        let folds = dataset.folds(None, seed).unwrap();
        let fold = fold.index(folds.len()) + 1;
        let test = TestSubjects::Fold { fold, folds: Some(folds.len()) };
        let plan = SplitPlan::Subject { test, validation: vec![], seed };
        let Ok(split) = dataset.clone().split(&plan) else {
            // The test side's copies left a class with too few pictures to train and validate on.
            let (tested, trained): (Vec<_>, Vec<_>) =
                dataset.cells.iter().partition(|cell| folds[fold - 1].contains(&cell.subject));
            let tested: HashSet<_> = tested.iter().map(|cell| cell.digest).collect();
            let fewest = (0..2).map(|label| {
                let own = trained.iter().filter(|cell| cell.label == label);
                own.map(|cell| cell.digest).collect::<HashSet<_>>().difference(&tested).count()
            }).min().unwrap();
            prop_assert!(fewest < 2);
            return Ok(());
        };
        each_picture_once(&dataset, &split);
        each_side_has_both_classes(&split);
        prop_assert_eq!(split.protocol, Protocol::Subject);
        let [training, validation, test] = Side::EVERY.map(|side| subjects(&split, side));
        prop_assert!(test.is_disjoint(&training) && test.is_disjoint(&validation));
        prop_assert!(test.iter().all(|subject| folds[fold - 1].contains(*subject)));
        if split.validation_by == ValidationBy::Subject {
            prop_assert!(training.is_disjoint(&validation));
            for label in 0..2 {
                let left: BTreeSet<_> = split.training.iter().filter(|cell| cell.label == label)
                    .map(|cell| &cell.subject).collect();
                prop_assert!(left.len() >= 2);
            }
        } else {
            for label in 0..2 {
                let count = |cells: &[Cell]| cells.iter().filter(|cell| cell.label == label).count();
                let (kept, taken) = (count(&split.training), count(&split.validation));
                let due = 0.15 * (kept + taken) as f64;
                prop_assert!((taken as f64 - due).abs() <= 1.0, "{} of {}", taken, kept + taken);
            }
        }
    }

    #[test]
    fn folds_hold_each_subject_once_and_both_classes(dataset in datasets(true), seed: u64) {
        for count in 2..4 {
            let Ok(folds) = dataset.folds(Some(count), seed) else {
                prop_assert!(count > 2);
                continue;
            };
            prop_assert_eq!(folds.len(), count);
            let all: Vec<&str> = folds.iter().flatten().map(String::as_str).collect();
            prop_assert_eq!(all.len(), dataset.subjects().len());
            prop_assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), dataset.subjects());
            for fold in &folds {
                for label in 0..2 {
                    let held = |cell: &Cell| cell.label == label && fold.contains(&cell.subject);
                    prop_assert!(dataset.cells.iter().any(held));
                }
            }
        }
    }

    #[test]
    fn folds_differ_by_no_more_than_the_largest_subject_of_a_class(
        dataset in datasets(false), seed: u64,
    ) {
        let mut seen = HashSet::new();
        let mut cells = dataset.cells.clone();
        cells.retain(|cell| seen.insert(cell.digest));
        for label in 0..2 {
            let mut own: BTreeMap<&str, usize> = BTreeMap::new();
            for cell in cells.iter().filter(|cell| cell.label == label) {
                *own.entry(&cell.subject).or_default() += 1;
            }
            let folds = dataset.folds(None, seed).unwrap();
            let sums = folds.iter().map(|fold| {
                own.iter().filter(|(name, _)| fold.contains(**name)).map(|(_, n)| n).sum::<usize>()
            });
            let (least, most) = (sums.clone().min().unwrap(), sums.max().unwrap());
            prop_assert!(most - least <= *own.values().max().unwrap(), "{} {}", least, most);
        }
    }

    #[test]
    fn by_image_each_class_is_parted_70_15_15(dataset in datasets(true), seed: u64) {
        let Ok(split) = dataset.clone().split(&SplitPlan::Image { seed }) else {
            let fewest = (0..2).map(|label| {
                let own = dataset.cells.iter().filter(|cell| cell.label == label);
                own.map(|cell| cell.digest).collect::<HashSet<_>>().len()
            }).min().unwrap();
            prop_assert!(fewest < 3);
            return Ok(());
        };
        each_picture_once(&dataset, &split);
        each_side_has_both_classes(&split);
        for label in 0..2 {
            let count = |side| split.side(side).iter().filter(|cell| cell.label == label).count();
            let [training, validation, test] = Side::EVERY.map(count);
            let due = 0.15 * (training + validation + test) as f64;
            prop_assert_eq!(validation, test);
            prop_assert!((test as f64 - due).abs() <= 1.0, "{} {}", test, due);
        }
    }

    #[test]
    fn a_split_follows_from_cells_plan_and_seed(dataset in datasets(true), seed: u64) {
        for plan in [SplitPlan::Image { seed }, usual(seed)] {
            let [one, other] = [(); 2].map(|()| dataset.clone().split(&plan));
            match (one, other) {
                (Ok(one), Ok(other)) => {
                    prop_assert_eq!(names(&one), names(&other));
                    prop_assert_eq!(one.in_words(), other.in_words());
                }
                (one, other) => prop_assert!(one.is_err() && other.is_err()),
            }
        }
    }

    #[test]
    fn a_written_split_reads_back_as_it_was(dataset in datasets(true), seed: u64) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("split.csv");
        for plan in [SplitPlan::Image { seed }, usual(seed)] {
            let Ok(split) = dataset.clone().split(&plan) else { continue };
            split.write_csv(&path).unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            let back = Split::from_csv(dataset.clone(), &path).unwrap();
            prop_assert_eq!(names(&split), names(&back));
            prop_assert_eq!((split.twins, split.left_out), (back.twins, back.left_out));
            prop_assert_eq!(split.training_digest(), back.training_digest());
            if split.protocol == Protocol::Subject {
                prop_assert_eq!(back.protocol, Protocol::Subject);
                prop_assert_eq!(split.validation_by, back.validation_by);
            }
            back.write_csv(&path).unwrap();
            prop_assert_eq!(text, std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn another_seed_parts_other_images() {
    let cells = (0..200)
        .map(|n| cell(format!("{n:03}"), usize::from(n % 2 == 1), &format!("S{n}"), n))
        .collect();
    let dataset = Dataset { source: "data".into(), cells, broken: vec![], joined: vec![] };
    for plan in [|seed| SplitPlan::Image { seed }, usual] {
        let [one, other] = [1, 2].map(|seed| dataset.clone().split(&plan(seed)).unwrap());
        assert_ne!(names(&one), names(&other));
    }
}
