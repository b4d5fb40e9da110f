//! The figures that `models/README.md` and the embedded model's card tell are those of the runs
//! beside it.

use std::path::{Path, PathBuf};

use leukd_model::bundle::Bundle;
use leukd_model::discriminant::SCORE_TOLERANCE;
use leukd_train::evaluate::Estimate;
use leukd_train::pool::Pooled;
use leukd_train::ship::ship;

use crate::pool::{paths, pool_with};

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

/// As the page writes it.
fn told(estimate: &Estimate) -> String {
    let (value, (low, high)) = (estimate.value.unwrap(), estimate.interval.unwrap());
    format!("{value:.3} ({low:.3} to {high:.3})")
}

/// The siblings of the embedded model, pooled by subject and by image.
fn siblings() -> (Pooled, Pooled) {
    let dir = tempfile::tempdir().unwrap();
    let runs = models().join("runs/taught");
    let folds: Vec<_> = (1..=3).map(|fold| runs.join(format!("fold-{fold}"))).collect();
    let scores = runs.join("scores.csv");
    let scores = ["--scores", scores.to_str().unwrap()];
    let (_, subject, _) = pool_with(dir.path(), "subject", &paths(&folds), &scores);
    let temperature = subject.calibration.temperature.to_string();
    let more = [&scores[..], &["--temperature", &temperature]].concat();
    let (_, image, _) = pool_with(dir.path(), "image", &[&runs.join("image")], &more);
    (subject, image)
}

/// Whoever swaps the embedded model must bring its siblings' runs.
#[test]
fn the_embedded_models_card_tells_both_protocols_as_the_kept_runs_measured_them() {
    let (subject, image) = siblings();
    let bytes = std::fs::read(models().join("default.onnx")).unwrap();
    let embedded = Bundle::embedded().unwrap();
    let discriminant = embedded.manifest().discriminant.clone();
    assert!(discriminant.is_some(), "the figures are those of network and discriminant");
    let shipped = ship(&bytes, &[subject, image], discriminant.clone(), None, None).unwrap();
    let shipped = Bundle::from_bytes(&shipped, "shipped").unwrap();
    // Scores of the golden inputs are measured here, where a sum's last digits may differ.
    let (before, mut after) =
        (discriminant.unwrap(), shipped.manifest().discriminant.clone().unwrap());
    for (own, kept) in after.golden.iter_mut().zip(&before.golden) {
        assert!((*own - kept).abs() < SCORE_TOLERANCE, "{own}, {kept}");
        *own = *kept;
    }
    assert!(after == before, "the weights are those that were kept");
    assert_eq!(shipped.manifest().metrics, embedded.manifest().metrics);
    assert_eq!(shipped.manifest().persons, embedded.manifest().persons);
    assert_eq!(embedded.manifest().persons.len(), 38, "one of the 39 has nine cells");
    assert_eq!(shipped.manifest().curves, embedded.manifest().curves);
    assert_eq!(shipped.manifest().learning, embedded.manifest().learning);
    assert_eq!(shipped.manifest().calibration, embedded.manifest().calibration);
    assert_eq!(shipped.manifest().card, embedded.manifest().card);
    for split in ["subject", "image"] {
        let told = |name: &str| {
            embedded.manifest().metrics.iter().any(|one| one.split == split && one.name == name)
        };
        assert!(told("auroc") && told("balanced_accuracy") && told("cell_area_auroc"), "{split}");
    }
    assert!(embedded.manifest().card.contains("Remark: "), "{}", embedded.manifest().card);
}

#[test]
fn no_kept_report_shows_a_cell_or_tells_a_path_of_the_machine_that_made_it() {
    for name in ["fold-1", "fold-2", "fold-3", "image"] {
        let run = models().join("runs/taught").join(name);
        let page = std::fs::read_to_string(run.join("report.html")).unwrap();
        for shown in ["data:image", "<img", "/tmp", "&#x2f;tmp", "/home", "&#x2f;home"] {
            assert!(!page.contains(shown), "{name}: {shown}");
        }
        let evaluation = std::fs::read_to_string(run.join("evaluation.json")).unwrap();
        let told: serde_json::Value = serde_json::from_str(&evaluation).unwrap();
        // The page is of the very bundle that was measured.
        let digest = told[0]["model"]["digest"].as_str().unwrap();
        assert!(page.contains(digest), "{name}: {digest}");
    }
}

#[test]
fn the_figures_of_the_kept_runs_are_repeated_from_every_tested_cells_logits() {
    let page = std::fs::read_to_string(models().join("README.md")).unwrap();
    let (subject, image) = siblings();
    assert_eq!((subject.folds.len(), subject.untested, image.folds.len()), (3, 0, 1));
    let row = |name: &str, of: [&Estimate; 2]| {
        let row = format!("| {name} | {} | {} |", told(of[0]), told(of[1]));
        assert!(page.contains(&row), "the page has no row {row:?}");
    };
    let (by_subject, by_image) = (&subject.pooled.figures, &image.pooled.figures);
    row("accuracy", [&by_subject.accuracy, &by_image.accuracy]);
    row("balanced accuracy", [&by_subject.balanced_accuracy, &by_image.balanced_accuracy]);
    row("AUROC", [&by_subject.auroc, &by_image.auroc]);
    row("sensitivity", [&by_subject.sensitivity, &by_image.sensitivity]);
    row("specificity", [&by_subject.specificity, &by_image.specificity]);
    let (area, other) = (subject.baseline.as_ref().unwrap(), image.baseline.as_ref().unwrap());
    row("cell area alone: AUROC", [&area.auroc, &other.auroc]);
    let balanced = [&area.balanced_accuracy, &other.balanced_accuracy];
    row("cell area alone: balanced accuracy", balanced);
    for row in &subject.pooled.subjects {
        let score = row.score.map_or_else(
            || "–".to_owned(),
            |score| format!("{score:.2}").replace("-0.00", "0.00").replace('-', "−"),
        );
        let told = format!(
            "| {} | {} | {} | {} | {} | {score} |",
            row.subject, row.label, row.cells, row.right, row.review
        );
        assert!(page.contains(&told), "the page has no row {told:?}");
    }
    let doubted = subject.doubted().unwrap();
    let doubts = format!("doubt {} of 7,139", doubted.doubted);
    assert!(doubted.pictures == 7139 && page.contains(&doubts), "the page does not say {doubts:?}");
    for fold in &subject.folds {
        for estimate in [&fold.figures.auroc, &fold.figures.balanced_accuracy] {
            assert!(page.contains(&told(estimate)), "{}", told(estimate));
        }
    }
}
