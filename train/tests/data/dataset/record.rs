//! The split as a CSV.

use std::path::Path;

use leukd_train::dataset::{DatasetError, Split, SplitPlan, ValidationBy};

use crate::dataset::{four_subjects, hold_out, picture, put, read, write};

/// A split of the four subjects in `dir`, written to its split.csv.
fn written(dir: &Path) -> (Split, std::path::PathBuf) {
    let split = read(dir).split(&hold_out(&["2", "h2"], &[])).unwrap();
    let path = dir.join("split.csv");
    split.write_csv(&path).unwrap();
    (split, path)
}

#[test]
fn the_file_lists_each_cell_with_side_and_digest_in_order() {
    let dir = four_subjects();
    let (split, path) = written(dir.path());
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "side,label,subject,name,path,sha256");
    assert_eq!(lines.len(), 9);
    let digest = split.test[0].digest;
    let wanted = format!("test,all,2,UID_2_0_1_all.bmp,fold_1/all/UID_2_0_1_all.bmp,{digest}");
    assert_eq!(lines[5], wanted);
    assert!(lines[1].starts_with("training,all,11,") && lines[3].starts_with("validation,all,11,"));
}

#[test]
fn a_split_read_back_keeps_its_sides_and_tells_what_it_leaves_out() {
    let dir = four_subjects();
    let (split, path) = written(dir.path());
    put(dir.path(), "all", "11", 90, &picture(90));
    put(dir.path(), "all", "11", 91, &picture(0));
    let back = Split::from_csv(read(dir.path()), &path).unwrap();
    assert_eq!(back.training_digest(), split.training_digest());
    assert_eq!((back.test.len(), back.left_out, back.twins), (4, 1, 1));
    assert_eq!(back.validation_by, ValidationBy::Image);
    assert!(back.in_words().contains("as in"), "{}", back.in_words());
}

#[test]
fn the_written_file_is_a_table_of_cells_too() {
    let dir = four_subjects();
    let (split, path) = written(dir.path());
    let dataset = read(&path);
    let plan = dataset.usual_plan(vec![], 0);
    assert!(matches!(plan, SplitPlan::Given { test_fold: None, .. }));
    let back = dataset.split(&plan).unwrap();
    assert_eq!(back.training_digest(), split.training_digest());
    assert_eq!(back.test.len(), 4);
}

#[test]
fn lines_that_do_not_fit_the_data_are_errors_that_name_file_and_line() {
    let dir = four_subjects();
    let (_, path) = written(dir.path());
    let text = std::fs::read_to_string(&path).unwrap();
    let fails = |text: &str, words: &str| {
        let path = write(dir.path(), "other.csv", text.as_bytes());
        let error = Split::from_csv(read(dir.path()), &path).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("other.csv, line") && error.contains(words), "{words}: {error}");
    };
    let lines: Vec<_> = text.lines().collect();
    fails(
        &text.replace("test,all,2,UID_2_0", "tested,all,2,UID_2_0"),
        "line 6: the side \"tested\"",
    );
    fails(
        &text.replace("test,all,2,UID_2_0", "test,hem,2,UID_2_0"),
        "line 6: it is labelled hem, and all in the data",
    );
    fails(
        &text.replace("test,all,2,UID_2_0", "test,all,3,UID_2_0"),
        "subject \"3\", and of \"2\" in the data",
    );
    fails(&format!("{text}{}\n", lines[2]), "line 10: the same picture as in line 3");
    let cut = &lines[1][..lines[1].len() - 1];
    fails(&text.replace(lines[1], cut), "line 2: sha256: a SHA-256 digest is 64");
    fails(&text.replace("side,label", "where,label"), "no column \"side\"");
    // A file that changed, one that went, one that broke.
    let cell = dir.path().join("fold_1/all/UID_2_0_1_all.bmp");
    std::fs::write(&cell, picture(80)).unwrap();
    fails(&text, "line 6: UID_2_0_1_all.bmp has changed");
    std::fs::write(&cell, b"BM").unwrap();
    fails(&text, "line 6: UID_2_0_1_all.bmp was left out");
    std::fs::remove_file(&cell).unwrap();
    fails(&text, "it is missing");
}

#[test]
fn a_split_without_a_class_on_a_side_is_refused() {
    let dir = four_subjects();
    let (_, path) = written(dir.path());
    let text = std::fs::read_to_string(&path).unwrap();
    let without: String = text
        .lines()
        .filter(|line| !line.starts_with("validation,hem"))
        .flat_map(|l| [l, "\n"])
        .collect();
    std::fs::write(&path, without).unwrap();
    let error = Split::from_csv(read(dir.path()), &path).unwrap_err();
    assert!(matches!(error, DatasetError::OneClass { .. }), "{error}");
    assert!(error.to_string().contains("validation side has no hem cells"), "{error}");
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_with_its_name() {
    let dir = four_subjects();
    let (split, _) = written(dir.path());
    let error = split.write_csv(&dir.path().join("absent/split.csv")).unwrap_err();
    assert!(error.to_string().contains("cannot write"), "{error}");
    assert!(error.to_string().contains("absent/split.csv"), "{error}");
}

#[test]
fn the_file_alone_tells_the_split_without_its_pictures() {
    for plan in [hold_out(&["2", "h2"], &[]), SplitPlan::Everything { seed: 123 }] {
        let dir = four_subjects();
        let split = read(dir.path()).split(&plan).unwrap();
        let path = dir.path().join("split.csv");
        split.write_csv(&path).unwrap();
        let told = Split::told(&path).unwrap();
        assert_eq!((told.protocol, told.validation_by), (split.protocol, split.validation_by));
        assert_eq!(told.sides_digest(), split.sides_digest());
        assert_eq!(told.training_digest(), split.training_digest());
        assert_eq!(told.cells_digest(), split.cells_digest());
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace(",all,11,", ",blast,11,")).unwrap();
        let error = Split::told(&path).unwrap_err().to_string();
        assert!(error.contains("split.csv, line 2") && error.contains("\"blast\""), "{error}");
    }
}
