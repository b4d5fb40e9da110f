//! Runs that go together, and runs that do not.

use std::path::Path;

use leukd_journal::result::RESEARCH_USE_ONLY;
use leukd_train::dataset::{Cell, Split};
use leukd_train::evaluate::{Evaluation, Figures, Prediction, Seen, fit_temperature, review_band};

use crate::pool::story::{Story, cells, recipe};
use crate::pool::{near, paths, pool, three_folds, train};
use crate::support::said;

#[test]
fn folds_are_told_one_by_one_with_their_mean_and_all_their_cells_together() {
    let dir = tempfile::tempdir().unwrap();
    let (stories, folders) = three_folds(dir.path());
    let (path, pooled, text) = pool(dir.path(), "pooled", &paths(&folders));
    for part in [
        "3 runs by subject: 36 all of 3 subjects, 36 hem of 3 subjects",
        "Cell area alone, AUROC",
        "WARNING: The hem cells are of 3 subjects only",
        "temperature",
        "equal errors",
        RESEARCH_USE_ONLY,
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Each fold's figures are the run's own.
    for (fold, folder) in pooled.folds.iter().zip(&folders) {
        let written = std::fs::read(folder.join("evaluation.json")).unwrap();
        let own: Vec<Evaluation> = serde_json::from_slice(&written).unwrap();
        assert_eq!((fold.figures, &fold.baseline), (own[0].figures, &own[0].baseline));
        assert!(fold.figures.auroc.interval.is_some());
    }
    let mean = pooled.folds.iter().map(|fold| fold.figures.auroc.value.unwrap()).sum::<f64>() / 3.0;
    assert!(near(pooled.mean.auroc.unwrap(), mean));
    // Pooled are calibrated probabilities: each run's logits at the run's own temperature.
    let raw: Vec<Prediction> = stories.iter().flat_map(Story::predictions).collect();
    let scaled = stories.iter().flat_map(|story| {
        story.predictions().into_iter().map(|one| {
            let logits = one.logits.map(|logit| logit / story.temperature);
            Prediction { logits, ..one }
        })
    });
    let scaled: Vec<Prediction> = scaled.collect();
    let (by_hand, unscaled) = (Figures::of(&scaled, 1.0, 0.5), Figures::of(&raw, 1.0, 0.5));
    assert!(!near(by_hand.auroc, unscaled.auroc), "the runs' scales differ");
    assert!(near(pooled.pooled.figures.auroc.value.unwrap(), by_hand.auroc));
    assert!(near(
        pooled.pooled.figures.calibration_error.value.unwrap(),
        by_hand.calibration_error
    ));
    let before = pooled.pooled.figures.calibration_error_before.value.unwrap();
    assert!(near(before, unscaled.calibration_error));
    let (low, high) = pooled.pooled.figures.auroc.interval.unwrap();
    assert!(low < by_hand.auroc && by_hand.auroc < high);
    assert_eq!(
        (pooled.pooled.counts.cells, pooled.cells, pooled.untested, pooled.copies),
        (72, 72, 0, 0)
    );
    // The cells' area: each cell by the cut of its own run.
    let decided = stories.iter().flat_map(|story| {
        let cut = story.cut().unwrap();
        let rightly = move |one: Prediction| {
            ((one.area as f64 >= cut.area) == cut.larger_is_all) == (one.label == 0)
        };
        story.predictions().into_iter().map(rightly)
    });
    let right = decided.filter(|right| *right).count() as f64 / 72.0;
    assert!(near(pooled.baseline.unwrap().accuracy.value.unwrap(), right));
    // The calibration of another model of the recipe: on the logits as they are.
    let temperature = fit_temperature(&raw);
    assert!(near(pooled.calibration.temperature, temperature));
    assert_eq!(pooled.calibration.threshold, 0.5);
    assert_eq!(pooled.calibration.review, review_band(&raw, temperature, 0.95));
    let thresholds = pooled.thresholds.unwrap();
    let at = Figures::of(&raw, temperature, thresholds.most_balanced_accuracy.threshold);
    assert!(near(at.balanced_accuracy, thresholds.most_balanced_accuracy.balanced_accuracy));
    assert!(at.balanced_accuracy >= Figures::of(&raw, temperature, 0.5).balanced_accuracy);
    let equal = thresholds.equal_errors;
    assert!((equal.sensitivity - equal.specificity).abs() <= 0.1);
    // --json prints what is written.
    let out = dir.path().join("again");
    let json = train(&["pool", "--json", "--out", out.to_str().unwrap()], &paths(&folders));
    assert_eq!(json.stdout.trim_ascii_end(), std::fs::read(path).unwrap());
}

#[test]
fn runs_that_are_no_siblings_are_refused_with_run_and_field() {
    let dir = tempfile::tempdir().unwrap();
    let (_, folders) = three_folds(dir.path());
    let first = folders[0].as_path();
    let refused = |runs: &[&Path], parts: &[&str]| {
        let out = dir.path().join("refused");
        let output = train(&["pool", "--out", out.to_str().unwrap()], runs);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        for part in parts {
            assert!(said(&output).contains(part), "{part}: {}", said(&output));
        }
        assert!(!out.exists());
    };
    refused(&[first], &["run1", "the runs of all folds"]);
    refused(&[first, &folders[1], first], &["run1: `predictions.csv`", "tested by", "pooled once"]);
    refused(&[first, &dir.path().join("nowhere")], &["nowhere/evaluation.json"]);
    let image = Story::by_image(0).write(dir.path(), "image");
    refused(&[first, &image], &["image: `protocol`: image, which is never mixed with subject of"]);

    let changed = |name: &str, change: &dyn Fn(&mut Story)| {
        let mut story = Story::fold(2);
        change(&mut story);
        story.write(dir.path(), name)
    };
    let other = changed("rate", &|story| {
        story.recipe.insert("optimizer.learning_rate".to_owned(), "0.01".to_owned());
    });
    refused(
        &[first, &other],
        &["rate: `optimizer.learning_rate`: 0.01 here, and 0.001 in", "run1"],
    );
    let other = changed("fewer", &|story| drop(story.split.test.pop()));
    // The sides are not those that the recipe tells of.
    refused(&[first, &other], &["fewer: `run.sides_digest`"]);
    let other = changed("others", &|story| {
        story.split.test.pop();
        story.recipe = recipe(&story.split, "1");
    });
    refused(
        &[first, &other],
        &["others: `split.csv`: its 71 pictures, or their labels, are not the 72 of"],
    );
    let other = changed("known", &|story| story.seen = Seen::Unknown);
    refused(&[first, &other], &["known: `seen`: The bundle was trained on other cells"]);

    // Files that are not of one making.
    let other = Story::fold(2).write(dir.path(), "mixed");
    let table = std::fs::read_to_string(other.join("predictions.csv")).unwrap();
    let mut lines: Vec<&str> = table.lines().collect();
    let last = lines.pop().unwrap();
    std::fs::write(other.join("predictions.csv"), lines.join("\n")).unwrap();
    refused(&[first, &other], &["mixed: `predictions.csv`: it has 23 test cells, split.csv 24"]);
    let strange = last.replace("UID_", "UID_9");
    std::fs::write(
        other.join("predictions.csv"),
        [&lines[..], &[strange.as_str()]].concat().join("\n"),
    )
    .unwrap();
    refused(&[first, &other], &["UID_9", "is not among the test cells of split.csv"]);
    std::fs::write(other.join("predictions.csv"), table.replace(",0.", ",0.9")).unwrap();
    refused(
        &[first, &other],
        &["mixed: `predictions.csv`", "at the temperature of evaluation.json"],
    );
    std::fs::copy(first.join("evaluation.json"), other.join("evaluation.json")).unwrap();
    refused(&[first, &other], &["mixed: `training_digest`"]);
}

#[test]
fn seeds_and_machines_may_differ_and_that_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let folders: Vec<_> = (1..=3)
        .map(|fold| {
            let mut story = Story::fold(fold);
            story.recipe = recipe(&story.split, &fold.to_string());
            story.write(dir.path(), &format!("run{fold}"))
        })
        .collect();
    let (_, pooled, text) = pool(dir.path(), "pooled", &paths(&folders));
    assert!(text.contains("they differ in steps.seed: 1, 2, 3"), "{text}");
    assert_eq!(pooled.differing["steps.seed"], ["1", "2", "3"]);
    assert!(!pooled.recipe.contains_key("steps.seed"));
    assert_eq!(pooled.recipe["optimizer.learning_rate"], "0.001");
}

#[test]
fn one_run_by_image_is_enough_and_two_may_not_share_a_cell() {
    let dir = tempfile::tempdir().unwrap();
    let [one, two, again] = [("one", 0), ("two", 1), ("again", 0)]
        .map(|(name, first)| Story::by_image(first).write(dir.path(), name));
    let (_, pooled, text) = pool(dir.path(), "pooled", &[&one]);
    assert!(text.contains("1 run by image") && text.contains("Split by image"), "{text}");
    assert_eq!((pooled.folds.len(), pooled.pooled.counts.cells, pooled.untested), (1, 18, 54));
    assert_eq!(pooled.pooled.resampled, "cells");
    let (_, pooled, _) = pool(dir.path(), "both", &[&one, &two]);
    assert_eq!(pooled.pooled.counts.cells, 36);
    let output = train(&["pool", "--out", dir.path().to_str().unwrap()], &[&one, &again]);
    assert!(said(&output).contains("was tested by"), "{}", said(&output));
}

#[test]
fn a_picture_that_two_subjects_share_is_pooled_once() {
    let dir = tempfile::tempdir().unwrap();
    // Subject 2 has a copy of a picture of subject 1; each split keeps one, on the test side where
    // it is tested.
    let shared = cells()[0].digest;
    let fold = |fold: u64| {
        let mut story = Story::fold(fold);
        let same = |cell: &Cell| cell.subject == "2" && cell.name.starts_with("UID_2_0_");
        let Split { training, validation, test, .. } = &mut story.split;
        for side in [training, validation, test] {
            side.retain(|cell| !(fold == 2 && cell.digest == shared || fold != 2 && same(cell)));
            side.iter_mut().filter(|cell| same(cell)).for_each(|cell| cell.digest = shared);
        }
        story.recipe = recipe(&story.split, "1");
        story.write(dir.path(), &format!("run{fold}"))
    };
    let folders = [fold(1), fold(2), fold(3)];
    let (_, pooled, text) = pool(dir.path(), "pooled", &paths(&folders));
    assert_eq!(
        (pooled.copies, pooled.cells, pooled.pooled.counts.cells, pooled.untested),
        (1, 71, 71, 0)
    );
    assert!(text.contains("1 tested cells are byte-identical copies"), "{text}");
}
