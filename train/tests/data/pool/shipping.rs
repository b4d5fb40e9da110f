//! A bundle that was trained on everything gets its siblings' figures, and no others.

use std::path::{Path, PathBuf};
use std::process::Command;

use leukd_journal::result::RESEARCH_USE_ONLY;
use leukd_model::bundle::Bundle;
use leukd_model::manifest::{Manifest, Precision};
use leukd_model::testing;
use leukd_train::dataset::Split;
use leukd_train::evaluate::CELLS;

use crate::pool::story::{Story, cells, recipe};
use crate::pool::{paths, pool, three_folds};
use crate::support::said;

/// A tiny bundle as if it had been trained on everything by the recipe of the runs, before there
/// were siblings.
fn everything(dir: &Path, change: impl FnOnce(&mut Manifest)) -> PathBuf {
    let mut manifest = testing::tiny_manifest("everything", Precision::F32);
    "everything".clone_into(&mut manifest.training.protocol);
    manifest.training.cells = 68;
    let (validation, training) =
        cells().into_iter().partition(|cell| cell.name.ends_with("_0_1_all.bmp"));
    manifest.training.recipe = recipe(&Split::of(training, validation, Vec::new()), "7");
    // The last as `quantize` writes it.
    "Use.\n\nCalibration: old.\n\nFigures: none.\n\nQuantized: no. All figures and the calibration above were measured with the \
     f32 weights unless they say otherwise. The golden outputs are its own."
        .clone_into(&mut manifest.card);
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
    let ship = |figures: &[&Path], bundle: &Path, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leukd-train"));
        command.arg("ship").arg(bundle).arg("--out").arg(&out);
        for path in figures {
            command.arg("--figures").arg(path);
        }
        command.args(more).output().unwrap()
    };
    let refused = |figures: &[&Path], bundle: &Path, parts: &[&str]| {
        let output = ship(figures, bundle, &[]);
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
    let output = ship(&[&by_image, &by_subject], &bundle, &[]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(!Bundle::read(&out).unwrap().manifest().card.contains("Remark"));
    let output = ship(&[&by_image, &by_subject], &bundle, &["--remark", "A card\n\nis owed. "]);
    assert!(output.status.success(), "{}", said(&output));
    for part in
        ["Figures: by cross-validation", "Calibration: ", "leukd model show", RESEARCH_USE_ONLY]
    {
        assert!(said(&output).contains(part), "{part}: {}", said(&output));
    }
    let shipped = Bundle::read(&out).unwrap();
    let manifest = shipped.manifest();
    assert!(shipped.network().graph == before.network().graph, "the weights are as they were");
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
    assert_eq!(begins, ["Use", "Calibration", "Figures", "Quantized", "Remark"]);
    assert!(manifest.card.ends_with("\n\nRemark: A card is owed."), "{}", manifest.card);
    // They are the siblings', and nobody's f32 weights'.
    assert!(manifest.card.contains("Quantized: no. The golden outputs"), "{}", manifest.card);
    let fitted = format!(
        "temperature {:.3}, fitted on the logits of all 72 cells",
        subject.calibration.temperature
    );
    assert!(manifest.card.contains(&fitted), "{}", manifest.card);
}

#[test]
fn a_model_that_went_on_from_a_tested_one_carries_its_figures_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let run = Story::fold(1).write(dir.path(), "first");
    let program = || Command::new(env!("CARGO_BIN_EXE_leukd-train"));
    let alone = program().arg("pool").arg(&run).arg("--out").arg(dir.path()).output().unwrap();
    assert_eq!(alone.status.code(), Some(1));
    assert!(said(&alone).contains("--partial"), "{}", said(&alone));
    let partial =
        program().args(["pool", "--partial"]).arg(&run).arg("--out").arg(dir.path()).output();
    let partial = partial.unwrap();
    assert!(partial.status.success(), "{}", said(&partial));
    assert!(said(&partial).contains("No run tested 48 of the 72 cells"), "{}", said(&partial));

    let digest = leukd_journal::result::Digest::of(b"first").to_string();
    let bundle = |began: &str, also: &'static str| {
        let began = format!("leukd bundle weights of first.onnx (SHA-256 {began}…): 502 of 502");
        everything(dir.path(), |manifest| {
            let recipe = &mut manifest.training.recipe;
            recipe.insert("run.initial_weights".to_owned(), began);
            recipe.insert("optimizer.learning_rate".to_owned(), "0.0005".to_owned());
            recipe.insert(also.to_owned(), "96".to_owned());
        })
    };
    let out = dir.path().join("model.onnx");
    let ship = |bundle: &Path| {
        let figures = dir.path().join("pooled.json");
        program()
            .arg("ship")
            .arg(bundle)
            .arg("--figures")
            .arg(figures)
            .arg("--out")
            .arg(&out)
            .output()
            .unwrap()
    };
    let refused = ship(&bundle("0123456789ab", "steps.epochs"));
    assert!(said(&refused).contains("`optimizer.learning_rate`"), "{}", said(&refused));
    // Another input is another network, whatever its weights began as.
    let refused = ship(&bundle(&digest[..12], "input.size"));
    assert!(said(&refused).contains("`input.size`: 96 in the bundle"), "{}", said(&refused));

    let shipped = ship(&bundle(&digest[..12], "steps.epochs"));
    assert!(shipped.status.success(), "{}", said(&shipped));
    let bundle = Bundle::read(&out).unwrap();
    for part in [
        "Figures: on the model that this one began as, first.",
        "68 of all 72 cells",
        "measured on none",
        "one model on one split. 12 all of 1 subject, 12 hem of 1 subject",
        "No run tested 48 of the 72 cells",
    ] {
        assert!(bundle.manifest().card.contains(part), "{part}: {}", bundle.manifest().card);
    }
    assert!(bundle.manifest().metrics.iter().all(|metric| metric.siblings == Some(1)));
}
