//! `leukd-train pool` and `ship`, on runs' files that are written here: from folds to a bundle with their figures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use leukd::cell::Format;
use leukd::model::bundle::Bundle;
use leukd::model::manifest::{Calibration, MANIFEST_VERSION, Manifest, Precision};
use leukd::model::testing;
use leukd::result::{Digest, ModelRef, RESEARCH_USE_ONLY};
use leukd_train::dataset::{Cell, LABELS, Side, Split};
use leukd_train::evaluate::{
    About, AreaCut, CELLS, Evaluation, Figures, Prediction, SIDES, Seen, fit_temperature,
    review_band,
};
use leukd_train::pool::Pooled;

/// Cells of each subject.
const EACH: u64 = 12;

/// `all` subjects 1 to 3 and `hem` subjects H1 to H3, without pixels.
fn cells() -> Vec<Cell> {
    let subjects =
        (0..6_u64).map(|at| if at < 3 { format!("{}", at + 1) } else { format!("H{}", at - 2) });
    let of = |(at, subject): (usize, String)| {
        (0..EACH).map(move |image| {
            let label = usize::from(at >= 3);
            let name = format!("UID_{subject}_{image}_1_{}.bmp", LABELS[label]);
            Cell {
                path: name.clone().into(),
                label,
                subject: subject.clone(),
                fold: None,
                side: None,
                digest: Digest::of(name.as_bytes()),
                format: Format::Bmp,
                width: 450,
                height: 450,
                // Blasts are larger on the whole, and the sizes overlap.
                area: 30_000 - 4_000 * label as u64 + 700 * (image * 5 % EACH),
                pixels: Vec::new(),
                name,
            }
        })
    };
    subjects.enumerate().flat_map(of).collect()
}

/// What a run's files are made of; tests change one thing of it.
struct Story {
    split: Split,
    recipe: BTreeMap<String, String>,
    temperature: f64,
    /// Logits are as many times as large as those of another run.
    scale: f64,
    seen: Seen,
}

impl Story {
    fn of(training: Vec<Cell>, test: Vec<Cell>) -> Self {
        // One cell in six of the training subjects draws the curve.
        let (validation, training): (Vec<_>, Vec<_>) =
            training.into_iter().enumerate().partition(|(at, _)| at % 6 == 0);
        let plain = |cells: Vec<(usize, Cell)>| cells.into_iter().map(|(_, cell)| cell).collect();
        let split = Split::of(plain(training), plain(validation), test);
        let recipe = recipe(&split, "1");
        Self { split, recipe, temperature: 1.5, scale: 1.0, seen: Seen::No }
    }

    /// The third of the subjects that fold `fold`, from 1, tests.
    fn fold(fold: u64) -> Self {
        let tested = [format!("{fold}"), format!("H{fold}")];
        let (test, training) = cells().into_iter().partition(|cell| tested.contains(&cell.subject));
        let mut story = Self::of(training, test);
        story.scale = fold as f64;
        story.temperature = 1.5 * fold as f64;
        story
    }

    /// Each subject's every fourth cell tested, beginning with `first`.
    fn by_image(first: usize) -> Self {
        let (test, training): (Vec<_>, Vec<_>) =
            cells().into_iter().enumerate().partition(|(at, _)| at % 4 == first);
        let plain = |cells: Vec<(usize, Cell)>| cells.into_iter().map(|(_, cell)| cell).collect();
        Self::of(plain(training), plain(test))
    }

    fn predictions(&self) -> Vec<Prediction> {
        let logits = |cell: &Cell| {
            // From −1 to 1, by the cell's name alone.
            let noise = f64::from(
                cell.digest.to_string().as_bytes()[..8].iter().map(|b| u32::from(*b)).sum::<u32>()
                    % 97,
            ) / 48.0
                - 1.0;
            let margin = self.scale * (if cell.label == 0 { 0.8 } else { -0.8 } + 2.0 * noise);
            [margin / 2.0, -margin / 2.0]
        };
        let of = |cell: &Cell| Prediction {
            name: cell.name.clone(),
            logits: logits(cell),
            label: cell.label,
            subject: cell.subject.clone(),
            area: cell.area,
        };
        self.split.test.iter().map(of).collect()
    }

    fn calibration(&self) -> Calibration {
        Calibration { temperature: self.temperature, threshold: 0.5, review: (0.4, 0.6) }
    }

    fn cut(&self) -> Option<AreaCut> {
        AreaCut::fit(self.split.training.iter().map(|cell| (cell.area, cell.label)))
    }

    /// Writes the run's folder as `evaluate --out` does.
    fn write(&self, dir: &Path, name: &str) -> PathBuf {
        let folder = dir.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let about = About {
            side: Side::Test,
            protocol: self.split.protocol,
            split: self.split.in_words(),
            training_digest: self.split.training_digest().to_string(),
            recipe: self.recipe.clone(),
            model: ModelRef {
                id: name.to_owned(),
                digest: Digest::of(name.as_bytes()).to_string(),
            },
            calibration: self.calibration(),
            seen: self.seen,
            baseline: self.cut(),
            seed: 0,
        };
        let predictions = self.predictions();
        let evaluations = [Evaluation::of(&predictions, &about)];
        std::fs::write(folder.join("evaluation.json"), serde_json::to_vec(&evaluations).unwrap())
            .unwrap();
        self.split.write_csv(&folder.join("split.csv")).unwrap();
        let mut table =
            "side,name,subject,label,p_all,logit_all,logit_hem,decision,area\n".to_owned();
        for one in &predictions {
            let (p, [all, hem]) = (one.probability(self.temperature), one.logits);
            let (label, Prediction { name, subject, area, .. }) = (LABELS[one.label], one);
            writeln!(table, "test,{name},{subject},{label},{p},{all},{hem},all,{area}").unwrap();
        }
        std::fs::write(folder.join("predictions.csv"), table).unwrap();
        folder
    }
}

fn recipe(split: &Split, seed: &str) -> BTreeMap<String, String> {
    let (sides, all) = (split.sides_digest().to_string(), split.cells_digest().to_string());
    [
        ("name", "modern"),
        ("input.size", "80"),
        ("optimizer.learning_rate", "0.001"),
        ("steps.seed", seed),
        ("run.device", "cpu"),
        (SIDES, &sides),
        (CELLS, &all),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

fn train(arguments: &[&str], paths: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_leukd-train")).args(arguments).args(paths).output().unwrap()
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}", text(&output.stdout), text(&output.stderr))
}

/// Pools `runs` into `dir/name`; the file that was written.
fn pool(dir: &Path, name: &str, runs: &[&Path]) -> (PathBuf, Pooled, String) {
    let out = dir.join(name);
    let output = train(&["pool", "--out", out.to_str().unwrap()], runs);
    assert!(output.status.success(), "{}", said(&output));
    let path = out.join("pooled.json");
    let pooled = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    (path, pooled, said(&output))
}

fn three_folds(dir: &Path) -> (Vec<Story>, Vec<PathBuf>) {
    let stories: Vec<_> = (1..=3).map(Story::fold).collect();
    let folders = stories
        .iter()
        .enumerate()
        .map(|(at, story)| story.write(dir, &format!("run{}", at + 1)))
        .collect();
    (stories, folders)
}

fn paths(folders: &[PathBuf]) -> Vec<&Path> {
    folders.iter().map(PathBuf::as_path).collect()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-12
}

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
    // Subject 2 has a copy of a picture of subject 1; each split keeps one, on the test side where it is tested.
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

/// A tiny bundle as if it had been trained on everything by the recipe of the runs, before there were siblings.
fn everything(dir: &Path, change: impl FnOnce(&mut Manifest)) -> PathBuf {
    let mut manifest = testing::tiny_manifest("everything", Precision::F32);
    manifest.version = 2;
    "everything".clone_into(&mut manifest.training.protocol);
    manifest.training.cells = 68;
    let (validation, training) =
        cells().into_iter().partition(|cell| cell.name.ends_with("_0_1_all.bmp"));
    manifest.training.recipe = recipe(&Split::of(training, validation, Vec::new()), "7");
    "Use.\n\nCalibration: old.\n\nFigures: none.\n\nQuantized: no.".clone_into(&mut manifest.card);
    change(&mut manifest);
    let path = dir.join("everything.onnx");
    let network = testing::tiny_network(1, Precision::F32);
    std::fs::write(&path, testing::bundle_of(network, manifest)).unwrap();
    path
}

#[test]
fn a_shipped_bundle_carries_both_protocols_as_cross_validated() {
    let dir = tempfile::tempdir().unwrap();
    let (_, folders) = three_folds(dir.path());
    let (by_subject, subject, _) = pool(dir.path(), "subject", &paths(&folders));
    let image_run = Story::by_image(0).write(dir.path(), "image-run");
    let (by_image, image, _) = pool(dir.path(), "image", &[&image_run]);
    let bundle = everything(dir.path(), |_| {});
    let out = dir.path().join("model.onnx");
    let ship = |figures: &[&Path], bundle: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leukd-train"));
        command.arg("ship").arg(bundle).arg("--out").arg(&out);
        for path in figures {
            command.arg("--figures").arg(path);
        }
        command.output().unwrap()
    };
    let refused = |figures: &[&Path], bundle: &Path, parts: &[&str]| {
        let output = ship(figures, bundle);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        for part in parts {
            assert!(said(&output).contains(part), "{part}: {}", said(&output));
        }
        assert!(!out.exists());
    };
    refused(&[&by_image], &bundle, &["one --figures by subject"]);
    refused(&[&by_subject, &by_image, &by_image], &bundle, &["at most one --figures by image"]);
    refused(
        &[&folders[0].join("evaluation.json")],
        &bundle,
        &["evaluation.json: no pooled figures"],
    );
    let other =
        everything(dir.path(), |manifest| "subject".clone_into(&mut manifest.training.protocol));
    refused(
        &[&by_subject],
        &other,
        &["`training.protocol`", "\"subject\"", "--protocol everything"],
    );
    for (setting, parts) in [
        (
            "optimizer.learning_rate",
            ["`optimizer.learning_rate`: 7 in the bundle, and 0.001", "by subject"],
        ),
        (CELLS, ["`run.cells_digest`: 7 in the bundle", "by subject"]),
    ] {
        let other = everything(dir.path(), |manifest| {
            manifest.training.recipe.insert(setting.to_owned(), "7".to_owned());
        });
        refused(&[&by_subject], &other, &parts);
    }

    let bundle = everything(dir.path(), |_| {});
    let before = Bundle::read(&bundle).unwrap();
    let output = ship(&[&by_image, &by_subject], &bundle);
    assert!(output.status.success(), "{}", said(&output));
    for part in
        ["Figures: by cross-validation", "Calibration: ", "leukd model show", RESEARCH_USE_ONLY]
    {
        assert!(said(&output).contains(part), "{part}: {}", said(&output));
    }
    let shipped = Bundle::read(&out).unwrap();
    let manifest = shipped.manifest();
    assert!(shipped.network().graph == before.network().graph, "the weights are as they were");
    assert_eq!(manifest.version, MANIFEST_VERSION);
    assert_eq!(manifest.calibration, subject.calibration);
    let metric = |split: &str, name: &str| {
        manifest.metrics.iter().find(|one| one.split == split && one.name == name).unwrap()
    };
    for (split, pooled, siblings) in [("subject", &subject, 3), ("image", &image, 1)] {
        let (auroc, figure) = (metric(split, "auroc"), pooled.pooled.figures.auroc);
        assert_eq!((Some(auroc.value), auroc.interval), (figure.value, figure.interval));
        assert_eq!((auroc.cells, auroc.siblings), (pooled.pooled.counts.cells, Some(siblings)));
        let area = metric(split, "cell_area_balanced_accuracy");
        assert_eq!(Some(area.value), pooled.baseline.as_ref().unwrap().balanced_accuracy.value);
    }
    let second = metric("subject", "auroc_fold_2");
    assert_eq!((Some(second.value), second.cells), (subject.folds[1].figures.auroc.value, 24));
    // No figure of the bundle's own validation cells is left.
    assert!(manifest.metrics.iter().all(|one| one.siblings.is_some()));
    for part in [
        "trained on 68 of all 72 cells and measured on none of them",
        "By subject, as for a new patient: cross-validated, 3 models. 36 all of 3 subjects",
        "By image, as for other cells of patients who were trained on",
        "the cell's area alone reaches AUROC",
        "The specificity rests on 3 healthy subjects",
        "63 % of healthy subjects might still be served badly",
    ] {
        assert!(manifest.card.contains(part), "{part}: {}", manifest.card);
    }
    // The paragraphs take the place of those that were there.
    let begins: Vec<_> =
        manifest.card.split("\n\n").filter_map(|part| part.split([':', '.']).next()).collect();
    assert_eq!(begins, ["Use", "Calibration", "Figures", "Quantized"]);
    let fitted = format!(
        "temperature {:.3}, fitted on the logits of all 72 cells",
        subject.calibration.temperature
    );
    assert!(manifest.card.contains(&fitted), "{}", manifest.card);
}
