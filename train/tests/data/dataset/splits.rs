//! Who stands on which side.

use leukd_train::dataset::{
    Dataset, DatasetError, Protocol, Side, SplitPlan, TestSubjects, ValidationBy, fold_table,
};

use crate::dataset::{four_subjects, hold_out, names, picture, put, read, subjects, write};

fn fold(fold: usize, folds: Option<usize>) -> SplitPlan {
    let test = TestSubjects::Fold { fold, folds };
    SplitPlan::Subject { test, validation: vec![], seed: 123 }
}

#[test]
fn held_out_subjects_stand_on_the_test_side_alone() {
    let dir = four_subjects();
    let split = read(dir.path()).split(&hold_out(&["2", "h2"], &[])).unwrap();
    assert_eq!(subjects(&split.test).into_iter().collect::<Vec<_>>(), ["2", "h2"]);
    assert_eq!(subjects(&split.training).into_iter().collect::<Vec<_>>(), ["11", "H1"]);
    // One subject a class is left to train on: their own cells are validated on, and it says so.
    assert_eq!((split.protocol, split.validation_by), (Protocol::Subject, ValidationBy::Image));
    assert_eq!((split.training.len(), split.validation.len(), split.test.len()), (2, 2, 4));
    let words = split.in_words();
    for part in [
        "By subject (2, h2 held out",
        "all 11: 1",
        "Tested on 4 cells (all 2: 2, hem h2: 2)",
        "optimistic",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
}

#[test]
fn named_subjects_are_validated_on() {
    let dir = four_subjects();
    put(dir.path(), "all", "3", 0, &picture(30));
    put(dir.path(), "hem", "H3", 0, &picture(31));
    let split = read(dir.path()).split(&hold_out(&["2", "h2"], &["3", "H3"])).unwrap();
    assert_eq!(subjects(&split.validation).into_iter().collect::<Vec<_>>(), ["3", "H3"]);
    assert_eq!(split.validation_by, ValidationBy::Subject);
    assert!(!split.in_words().contains("optimistic"));
    let error = read(dir.path()).split(&hold_out(&["2", "h2"], &["2", "H3"])).unwrap_err();
    assert!(matches!(error, DatasetError::TwoSides { .. }), "{error}");
}

#[test]
fn the_usual_folds_test_every_subject_once() {
    let dir = four_subjects();
    let dataset = read(dir.path());
    let mut tested = Vec::new();
    for fold_ in 1..=2 {
        let split = dataset.clone().split(&fold(fold_, None)).unwrap();
        assert!(split.in_words().contains(&format!("fold {fold_} of 2")));
        tested.extend(subjects(&split.test).into_iter().map(str::to_owned));
    }
    tested.sort();
    assert_eq!(tested, ["11", "2", "H1", "h2"]);
    let error = dataset.clone().split(&fold(3, None)).unwrap_err();
    assert!(error.to_string().contains("no fold 3: the folds are 1 to 2"), "{error}");
    let error = dataset.split(&fold(1, Some(3))).unwrap_err();
    assert!(error.to_string().contains("--folds 2 to 2"), "{error}");
}

#[test]
fn a_copy_under_another_subjects_name_is_kept_on_the_test_side_only() {
    let dir = four_subjects();
    let base = dir.path().join("fold_0");
    // The same bytes as a held-out cell's, and as another training cell's.
    put(&base, "all", "11", 7, &picture(2));
    put(&base, "hem", "H1", 8, &picture(4));
    let dataset = read(dir.path());
    assert_eq!(dataset.twins().len(), 2);
    let split = dataset.split(&hold_out(&["2", "h2"], &[])).unwrap();
    assert_eq!((split.test.len(), split.training.len() + split.validation.len()), (4, 4));
    assert_eq!(split.twins, 2);
    assert!(split.in_words().contains("2 byte-identical copies left out"));
}

#[test]
fn the_image_protocol_needs_no_subjects_and_the_subject_protocol_says_so() {
    let dir = tempfile::tempdir().unwrap();
    for seed in 0..20 {
        let label = if seed % 2 == 0 { "all" } else { "hem" };
        write(dir.path(), &format!("{label}/{seed}.bmp"), &picture(seed));
    }
    let split = read(dir.path()).split(&SplitPlan::Image { seed: 123 }).unwrap();
    assert_eq!((split.training.len(), split.validation.len(), split.test.len()), (12, 4, 4));
    assert_eq!(split.protocol, Protocol::Image);
    let words = split.in_words();
    assert!(words.starts_with("By image") && words.contains("all: 6, hem: 6"), "{words}");
    let error = read(dir.path()).split(&fold(1, None)).unwrap_err();
    assert!(matches!(error, DatasetError::NoSubject { count: 20, .. }), "{error}");
    let error = error.to_string();
    assert!(error.contains(".bmp: no subject") && error.contains("--protocol image"), "{error}");
}

#[test]
fn one_subject_only_or_an_empty_class_is_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    for image in 0..4 {
        put(dir.path(), "all", "11", image, &picture(image));
    }
    let part = |plan: &SplitPlan| read(dir.path()).split(plan).unwrap_err().to_string();
    let error = part(&fold(1, None));
    assert!(error.contains("hem has none") && error.contains("--protocol image"), "{error}");
    let error = part(&SplitPlan::Image { seed: 1 });
    assert!(error.contains("side has no hem cells: hem has 0 different cells"), "{error}");
    for image in 0..4 {
        put(dir.path(), "hem", "H1", image, &picture(10 + image));
    }
    put(dir.path(), "all", "12", 9, &picture(9));
    for plan in [fold(1, None), hold_out(&["11", "H1"], &[])] {
        let error = part(&plan);
        assert!(error.contains("hem has 1 (H1)") && error.contains("add other"), "{error}");
    }
}

#[test]
fn unknown_names_are_errors_that_list_the_known_ones() {
    let dir = four_subjects();
    let part = |plan: &SplitPlan| read(dir.path()).split(plan).unwrap_err().to_string();
    let error = part(&hold_out(&["99", "h2"], &[]));
    assert!(error.contains("\"99\", which --hold-out names"), "{error}");
    assert!(error.contains("11, 2, H1, h2"), "{error}");
    let error = part(&hold_out(&["2", "h2"], &["98"]));
    assert!(error.contains("\"98\", which --validate-on names"), "{error}");
    let error = part(&hold_out(&["11", "2"], &[]));
    assert!(error.contains("training side has no all cells"), "{error}");
    let plan = given(Some("fold_9"));
    assert!(part(&plan).contains("the folds are fold_0, fold_1"), "{}", part(&plan));
    let error = part(&given(None));
    assert!(error.contains("--test-fold"), "{error}");
}

fn given(fold: Option<&str>) -> SplitPlan {
    SplitPlan::Given { test_fold: fold.map(str::to_owned), validation: vec![], seed: 123 }
}

#[test]
fn a_given_fold_is_tested_on_and_the_protocol_is_what_it_keeps_apart() {
    let dir = four_subjects();
    let split = read(dir.path()).split(&given(Some("fold_1"))).unwrap();
    assert_eq!(split.protocol, Protocol::Subject);
    assert_eq!(subjects(&split.test).into_iter().collect::<Vec<_>>(), ["2", "h2"]);
    // One more cell of a tested subject elsewhere, and it is a split by image.
    put(dir.path(), "all", "2", 40, &picture(40));
    let split = read(dir.path()).split(&given(Some("fold_1"))).unwrap();
    assert_eq!(split.protocol, Protocol::Image);
    assert!(split.in_words().contains("nothing about new subjects"));
}

#[test]
fn sides_that_the_data_name_are_taken_without_asking() {
    let dir = tempfile::tempdir().unwrap();
    let mut csv = "path,label,subject,side\n".to_owned();
    let sides = ["training", "validation", "test", ""];
    for (index, side) in sides.into_iter().enumerate() {
        for (label, kind) in ["all", "hem"].into_iter().enumerate() {
            let seed = 2 * index + label;
            write(dir.path(), &format!("{seed}.bmp"), &picture(seed as u64));
            csv += &format!("{seed}.bmp,{kind},S{seed},{side}\n");
        }
    }
    let path = write(dir.path(), "cells.csv", csv.as_bytes());
    let dataset = read(&path);
    let plan = dataset.usual_plan(vec![], 123);
    assert_eq!(plan, given(None));
    let split = dataset.split(&plan).unwrap();
    let names = |side| split.side(side).iter().map(|cell| cell.name.as_str()).collect::<Vec<_>>();
    assert_eq!(names(Side::Training), ["0.bmp", "1.bmp"]);
    assert_eq!(names(Side::Validation), ["2.bmp", "3.bmp"]);
    assert_eq!(names(Side::Test), ["4.bmp", "5.bmp"]);
    assert_eq!((split.left_out, split.protocol), (2, Protocol::Subject));
    assert!(split.in_words().contains("2 cells stand on no side"));
}

#[test]
fn the_training_digest_follows_the_training_images_and_nothing_else() {
    let dir = four_subjects();
    for (label, subject, seed) in [("all", "5", 50), ("hem", "H5", 51)] {
        put(dir.path(), label, subject, 1, &picture(seed));
    }
    let plan = hold_out(&["2", "h2"], &["5", "H5"]);
    let digest = || read(dir.path()).split(&plan).unwrap().training_digest();
    let first = digest();
    put(dir.path(), "all", "2", 5, &picture(30));
    put(dir.path(), "all", "5", 5, &picture(32));
    assert_eq!(digest(), first);
    put(dir.path(), "all", "11", 5, &picture(31));
    assert_ne!(digest(), first);
}

#[test]
fn what_is_read_of_a_dataset_has_a_usual_plan_by_subject() {
    let dir = four_subjects();
    let dataset: Dataset = read(dir.path());
    let plan = dataset.usual_plan(names(&["2"]), 7);
    let wanted =
        SplitPlan::Subject { test: TestSubjects::FIRST, validation: names(&["2"]), seed: 7 };
    assert_eq!(plan, wanted);
}

#[test]
fn everything_is_trained_on_but_a_few_per_cent_and_no_test_side_is_left() {
    let dir = tempfile::tempdir().unwrap();
    for seed in 0..80 {
        let (label, subject) = if seed % 2 == 0 { ("all", "1") } else { ("hem", "H1") };
        put(dir.path(), label, subject, seed, &picture(seed));
    }
    // A copy is kept once.
    put(dir.path(), "all", "2", 80, &picture(0));
    let split = read(dir.path()).split(&SplitPlan::Everything { seed: 123 }).unwrap();
    assert_eq!((split.training.len(), split.validation.len(), split.test.len()), (76, 4, 0));
    assert_eq!((split.twins, split.protocol), (1, Protocol::Everything));
    let of_class = |label| split.validation.iter().filter(|cell| cell.label == label).count();
    assert_eq!((of_class(0), of_class(1)), (2, 2));
    let words = split.in_words();
    for part in [
        "On everything: there is no test side, so nothing that this run measures says anything about new cells",
        "every picture but 5 % of each subject's",
        "draw the learning curve",
        "No test side.",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    let again = read(dir.path()).split(&SplitPlan::Everything { seed: 123 }).unwrap();
    assert_eq!(again.sides_digest(), split.sides_digest());
}

#[test]
fn however_the_cells_are_parted_they_are_the_same_cells() {
    let dir = four_subjects();
    let split = |plan| read(dir.path()).split(&plan).unwrap();
    let everything = split(SplitPlan::Everything { seed: 123 });
    let held_out = split(hold_out(&["2", "h2"], &[]));
    assert_eq!(everything.cells_digest(), held_out.cells_digest());
    assert_ne!(everything.sides_digest(), held_out.sides_digest());
    put(dir.path(), "all", "2", 9, &picture(9));
    assert_ne!(
        split(SplitPlan::Everything { seed: 123 }).cells_digest(),
        everything.cells_digest()
    );
}

#[test]
fn a_table_of_folds_tests_its_subjects_and_trains_on_every_other() {
    let dir = four_subjects();
    for subject in ["3", "4", "H3", "H4"] {
        let label = if subject.starts_with('H') { "hem" } else { "all" };
        let seed = u64::from(subject.as_bytes()[subject.len() - 1]) * 2 + u64::from(label == "hem");
        (0..2)
            .for_each(|image| put(dir.path(), label, subject, image, &picture(seed + 10 * image)));
    }
    let lines = "subject,label,repeat_1,repeat_2\n11,all,1,2\n2,all,2,1\n3,all,1,1\n4,all,2,2\n\
                 H1,hem,1,2\nh2,hem,2,1\nH3,hem,1,1\nH4,hem,2,2\n";
    let table = write(dir.path(), "folds.csv", lines.as_bytes());
    for (repeat, tested) in [(1, ["11", "3", "H1", "H3"]), (2, ["2", "3", "H3", "h2"])] {
        let folds = fold_table(&table, repeat).unwrap();
        let test = TestSubjects::Assigned { folds, fold: 1, origin: "the table".to_owned() };
        let plan = SplitPlan::Subject { test, validation: vec![], seed: 1 };
        let split = read(dir.path()).split(&plan).unwrap();
        assert_eq!(subjects(&split.test).into_iter().collect::<Vec<_>>(), tested);
        assert_eq!(subjects(&split.training).len(), 4, "every other subject is trained on");
        assert_eq!((split.protocol, split.validation_by), (Protocol::Subject, ValidationBy::Image));
        assert!(split.origin.contains("fold 1 of 2 by the table"), "{}", split.origin);
    }
    // Whom the table does not name, nobody has assigned.
    let short = write(dir.path(), "short.csv", b"subject,repeat_1\n11,1\n2,2\n");
    let folds = fold_table(&short, 1).unwrap();
    let test = TestSubjects::Assigned { folds, fold: 1, origin: "short.csv".to_owned() };
    let error = read(dir.path()).split(&SplitPlan::Subject { test, validation: vec![], seed: 1 });
    let error = error.unwrap_err();
    assert!(matches!(&error, DatasetError::Unassigned { .. }), "{error}");
}

#[test]
fn a_table_of_folds_that_is_none_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (text, repeat, why) in [
        ("subject,repeat_1\na,1\n", 2, "repeat_2"),
        ("person,repeat_1\na,1\n", 1, "subject"),
        ("subject,repeat_1\na,0\n", 1, "\"0\""),
        ("subject,repeat_1\na,x\n", 1, "\"x\""),
        ("subject,repeat_1\na,1\na,2\n", 1, "twice"),
    ] {
        let table = write(dir.path(), "folds.csv", text.as_bytes());
        let error = fold_table(&table, repeat).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
