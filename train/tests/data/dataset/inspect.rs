//! `leukd-train inspect`, through the program.

use std::path::Path;
use std::process::{Command, Output};

use leukd_cell::synthetic::{self, Kind};
use leukd_train::dataset::{Side, SplitPlan};

use crate::dataset::{four_subjects, picture, put, read, write};

fn inspect(dir: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_leukd-train"))
        .arg("inspect")
        .arg(dir)
        .args(more)
        .output()
        .unwrap()
}

fn json(dir: &Path, more: &[&str]) -> serde_json::Value {
    let output = inspect(dir, &[more, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn json_counts_classes_subjects_sides_twins_and_broken_files() {
    let dir = four_subjects();
    put(&dir.path().join("fold_0"), "all", "11", 7, &picture(2));
    write(dir.path(), "fold_1/all/broken.bmp", b"BM");
    let told = json(dir.path(), &["--hold-out", "2,h2"]);
    assert_eq!(told["notice"], leukd_journal::result::RESEARCH_USE_ONLY);
    assert_eq!(told["cells"], 9);
    assert_eq!(told["classes"][0]["label"], "all");
    assert_eq!(
        (&told["classes"][0]["cells"], &told["classes"][0]["subjects"]),
        (&5.into(), &2.into())
    );
    assert!(told["classes"][1]["area"]["p50"].as_f64().unwrap() > 10_000.0);
    assert_eq!(told["folds"]["fold_0"]["all"], 3);
    assert_eq!(told["sizes"], serde_json::json!([{"width": 450, "height": 450, "cells": 9}]));
    assert_eq!(told["formats"], serde_json::json!({"BMP": 9}));
    assert_eq!(told["twins"][0]["subjects"], serde_json::json!(["11", "2"]));
    assert_eq!(told["twins"][0]["files"].as_array().unwrap().len(), 2);
    assert!(told["broken"][0]["reason"].as_str().unwrap().contains("not complete"));
    let subject = &told["subjects"][0];
    assert_eq!((&subject["subject"], &subject["cells"]["all"]), (&"11".into(), &3.into()));
    assert_eq!(subject["sides"], serde_json::json!({"training": 1, "validation": 1}));
    assert_eq!(told["split"]["protocol"], "subject");
    assert_eq!(told["split"]["sides"][2]["cells"], serde_json::json!({"all": 2, "hem": 2}));
    assert_eq!(told["split"]["twins"], 1);
    assert!(told["split_problem"].is_null());
    assert_eq!(json(dir.path(), &["--protocol", "image"])["split"]["protocol"], "image");
    assert_eq!(
        json(dir.path(), &["--test-fold", "fold_1"])["split"]["sides"][2]["subjects"],
        serde_json::json!(["2", "h2"])
    );
}

#[test]
fn the_text_keeps_to_eighty_columns_and_says_why_there_is_no_split() {
    let dir = four_subjects();
    write(dir.path(), "fold_1/all/broken.bmp", b"BM");
    let run = |more: &[&str]| {
        let output = inspect(dir.path(), more);
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let paths = dir.path().display().to_string();
        for line in text.lines().filter(|line| !line.contains(&paths)) {
            assert!(line.chars().count() <= 80, "{line}");
        }
        text
    };
    let text = run(&[]);
    for part in
        ["For Research Use Only", "450×450: 8", "BMP: 8", "left out: 1", "fold 1 of 2", "subject"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = run(&["--folds", "3"]);
    assert!(text.contains("no split can be made: 3 folds cannot be made"), "{text}");
}

#[test]
fn the_contact_sheet_has_a_framed_row_for_each_subject() {
    let dir = four_subjects();
    let sheet = dir.path().join("sheet.png");
    let told =
        json(dir.path(), &["--contact-sheet", sheet.to_str().unwrap(), "--per-subject", "2"]);
    let rows = told["contact_sheet"].as_array().unwrap();
    assert_eq!(rows.len(), 4);
    assert_eq!((&rows[3]["label"], &rows[3]["subject"]), (&"hem".into(), &"h2".into()));
    assert_eq!(rows[0]["names"], serde_json::json!(["UID_11_0_1_all.bmp", "UID_11_1_1_all.bmp"]));
    let picture = image::open(&sheet).unwrap().into_rgb8();
    // Two columns and four rows of 96 + 2 · 4 + 4 pixels, and a margin.
    assert_eq!(picture.dimensions(), (2 * 108 + 4, 4 * 108 + 4));
    assert_eq!(picture.get_pixel(5, 5).0, [213, 94, 0]);
    assert_eq!(picture.get_pixel(5, 3 * 108 + 5).0, [0, 114, 178]);
    // In the middle of a frame stands a cell, at its edge the black around it.
    assert!(picture.get_pixel(56, 56).0.iter().any(|sample| *sample > 10));
    assert_eq!(picture.get_pixel(10, 10).0, [0, 0, 0]);
}

#[test]
fn nothing_usable_and_contradicting_flags_fail() {
    let dir = tempfile::tempdir().unwrap();
    let output = inspect(dir.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("all/ and hem/"));
    for (flags, words) in [
        (&["--hold-out", "a", "--folds", "3"][..], "cannot be used with"),
        (
            &["--protocol", "image", "--hold-out", "a"],
            "--hold-out means nothing with --protocol image",
        ),
        (&["--protocol", "subject", "--test-fold", "a"], "--test-fold means nothing"),
        (&["--hold-out", "a,b", "--validate-on", "b"], "both name the subject \"b\""),
        (&["--fold", "4", "--folds", "3"], "no --fold 4 of --folds 3"),
        (&["--split", "split.csv", "--split-seed", "4"], "cannot be used with"),
        (&["--folds", "1"], "not in 2.."),
        (&["--per-subject", "3"], "--contact-sheet"),
    ] {
        let output = inspect(dir.path(), flags);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {error}");
        assert!(error.contains(words), "{flags:?}: {error}");
    }
}

#[test]
fn a_written_split_is_taken_with_the_flag_split() {
    let dir = four_subjects();
    let split = crate::dataset::read(dir.path())
        .split(&crate::dataset::hold_out(&["2", "h2"], &[]))
        .unwrap();
    let csv = dir.path().join("split.csv");
    split.write_csv(&csv).unwrap();
    let told = json(dir.path(), &["--split", csv.to_str().unwrap()]);
    assert_eq!(told["split"]["sides"][2]["subjects"], serde_json::json!(["2", "h2"]));
    let absent = dir.path().join("absent.csv");
    let told = json(dir.path(), &["--split", absent.to_str().unwrap()]);
    assert!(told["split_problem"].as_str().unwrap().contains("absent.csv"));
}

#[test]
fn near_identical_cells_under_two_ids_are_found_and_make_one_person() {
    let dir = tempfile::tempdir().unwrap();
    for seed in 0..120 {
        let (label, subject) = [("all", "1"), ("all", "2"), ("hem", "H1"), ("hem", "H2")]
            [usize::try_from(seed % 4).unwrap()];
        put(dir.path(), label, subject, seed, &picture(100 + seed));
    }
    // H3's one cell is a cell of H1 that was cut out anew, two pixels lower, and written as a PNG.
    let cell = synthetic::cell(102, Kind::Blast);
    let mut moved = image::RgbImage::new(cell.width(), cell.height());
    image::imageops::replace(&mut moved, &cell, 0, 2);
    write(dir.path(), "hem/UID_H3_1_1_hem.png", &synthetic::png(&moved));
    let told = json(dir.path(), &[]);
    let joined = serde_json::json!([{"person": "H1", "ids": ["H3"], "pairs": 1}]);
    assert_eq!(told["joined"], joined, "{}", told["near_identical"]);
    assert_eq!(told["near_identical"].as_array().unwrap().len(), 1);
    assert_eq!(told["near_identical"][0]["agree"], true);
    let subjects: Vec<_> = told["subjects"].as_array().unwrap().iter().collect();
    assert_eq!(subjects.len(), 4, "H3 is nobody of its own");
    let words = told["split"]["words"].as_str().unwrap();
    assert!(words.contains("H3 counted as H1, for they share a near-identical cell"), "{words}");
    let text = String::from_utf8(inspect(dir.path(), &[]).stdout).unwrap();
    assert!(text.contains("H3 counted as H1, for they share 1 pair"), "{text}");
    // By image the two stand on one side, whatever the seed.
    for seed in 0..8 {
        let split = read(dir.path()).split(&SplitPlan::Image { seed }).unwrap();
        let side = |name: &str| {
            Side::EVERY
                .into_iter()
                .find(|side| split.side(*side).iter().any(|own| own.name == name))
        };
        let both = [side("UID_H1_2_1_hem.bmp"), side("UID_H3_1_1_hem.png")];
        assert!(both[0].is_some() && both[0] == both[1], "seed {seed}: {both:?}");
    }
}
