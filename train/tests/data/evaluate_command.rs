//! `leukd-train evaluate`, from images and a bundle to figures and files.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use leukd_cell::synthetic::{self, Kind};
use leukd_cell::words::ReasonCode;
use leukd_journal::result::{Decision, RESEARCH_USE_ONLY};
use leukd_model::bundle::{self, Bundle};
use leukd_model::serving::Model;
use leukd_train::dataset::{Side, Split};
use leukd_train::evaluate::{CELLS, Evaluation, Seen};

const BUNDLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/default.onnx");

/// Three subjects a class, two cells each.
fn data(dir: &Path) {
    for (index, (label, subject)) in
        [("all", "1"), ("all", "2"), ("all", "3"), ("hem", "H1"), ("hem", "H2"), ("hem", "H3")]
            .into_iter()
            .enumerate()
    {
        let folder = dir.join(label);
        std::fs::create_dir_all(&folder).unwrap();
        let kind = if label == "all" { Kind::Blast } else { Kind::Normal };
        for image in 0..2 {
            let picture = synthetic::cell(index as u64 * 2 + image, kind);
            let name = format!("UID_{subject}_{image}_1_{label}.bmp");
            std::fs::write(folder.join(name), synthetic::bmp(&picture)).unwrap();
        }
    }
}

fn evaluate(bundle: &Path, data: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_leukd-train"))
        .arg("evaluate")
        .arg(bundle)
        .arg("--data")
        .arg(data)
        .args(["--hold-out", "2,H2"])
        .args(more)
        .output()
        .unwrap()
}

/// The sides of one run with `--json`.
fn sides(bundle: &Path, data: &Path) -> Vec<Evaluation> {
    let output = evaluate(bundle, data, &["--side", "all", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The embedded bundle as if it had been trained on a split by subject, of which it tells no more,
/// and its manifest changed.
fn changed(dir: &Path, change: impl FnOnce(&mut leukd_model::manifest::Manifest)) -> PathBuf {
    let bundle = Bundle::read(Path::new(BUNDLE)).unwrap();
    let mut manifest = bundle.manifest().clone();
    "subject".clone_into(&mut manifest.training.protocol);
    manifest.training.recipe.clear();
    change(&mut manifest);
    let path = dir.join("changed.onnx");
    std::fs::write(&path, bundle::write(bundle.network().clone(), &manifest).unwrap()).unwrap();
    path
}

#[test]
fn the_command_writes_tables_and_files_that_agree_with_the_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let (images, out) = (dir.path().join("images"), dir.path().join("out"));
    data(&images);
    let out_text = out.to_str().unwrap();
    let bundle = changed(dir.path(), |_| {});
    let output = evaluate(&bundle, &images, &["--side", "all", "--out", out_text]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    for words in [
        "split by subject",
        "Balanced accuracy",
        "cell area alone",
        "WARNING: The bundle was trained on other cells",
        RESEARCH_USE_ONLY,
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }

    let json = std::fs::read(out.join("evaluation.json")).unwrap();
    let evaluations: Vec<Evaluation> = serde_json::from_slice(&json).unwrap();
    assert_eq!(evaluations.iter().map(|one| one.counts.cells).sum::<u64>(), 12);
    assert!(evaluations.iter().all(|one| one.seen == Seen::Unknown && one.baseline.is_some()));
    assert!(evaluations.iter().all(|one| one.notice == RESEARCH_USE_ONLY));

    let model = Model::load(Bundle::read(Path::new(BUNDLE)).unwrap()).unwrap();
    let mut table = csv::Reader::from_path(out.join("predictions.csv")).unwrap();
    let header = table.headers().unwrap().clone();
    let mut rows = 0;
    for row in table.records() {
        let row = row.unwrap();
        let field = |name: &str| &row[header.iter().position(|own| own == name).unwrap()];
        let p: f64 = field("p_all").parse().unwrap();
        // What is doubted goes to a person wherever P(all) lies.
        let by_probability = model.judge(&[p, 1.0 - p]).decision;
        let is_doubted = field("reasons")
            .split(' ')
            .any(|code| !["", ReasonCode::LowConfidence.as_str()].contains(&code));
        let decision = if is_doubted { Decision::Review } else { by_probability };
        assert_eq!(field("decision"), decision.as_str());
        assert!(field("area").parse::<u64>().unwrap() > 1000 && field("name").starts_with("UID_"));
        rows += 1;
    }
    assert_eq!(rows, 12);
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains(&model.manifest().id) && page.contains("data:image/png;base64,"));
    assert!(out.join("figures/roc.svg").is_file());
}

#[test]
fn a_report_without_pictures_shows_no_cell_and_tells_the_rest_with_the_runs_curve() {
    let dir = tempfile::tempdir().unwrap();
    let (images, out) = (dir.path().join("images"), dir.path().join("out"));
    data(&images);
    let bundle = changed(dir.path(), |_| {});
    let metrics = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/runs/varied/image/metrics.jsonl");
    let broken = dir.path().join("broken.jsonl");
    let first = std::fs::read_to_string(metrics).unwrap();
    std::fs::write(&broken, first.lines().next().unwrap().to_owned() + "\n{}\n").unwrap();
    let report = |metrics: &str| {
        let flags = ["--no-pictures", "--metrics", metrics, "--out", out.to_str().unwrap()];
        evaluate(&bundle, &images, &flags)
    };
    let output = report(broken.to_str().unwrap());
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("broken.jsonl:2: no line of a run's metrics"), "{error}");
    let output = report(metrics);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(out.join("figures/loss.svg").is_file() && out.join("figures/validation.svg").is_file());
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(!page.contains("data:image") && !page.contains("<img"));
    assert!(page.contains("<svg") && page.contains("Cell area alone"));
}

#[test]
fn cells_that_the_bundle_was_trained_on_are_told_and_protocols_never_mix() {
    let dir = tempfile::tempdir().unwrap();
    let images = dir.path().join("images");
    data(&images);
    let strange = sides(&changed(dir.path(), |_| {}), &images);
    assert!(strange.iter().all(|one| one.seen == Seen::Unknown));

    let digest = strange[0].training_digest.clone();
    let own = changed(dir.path(), |manifest| manifest.training.data_digest = digest);
    for one in sides(&own, &images) {
        let seen = match one.side {
            Side::Training => Seen::Trained,
            Side::Validation => Seen::Steered,
            Side::Test => Seen::No,
        };
        assert_eq!(one.seen, seen);
        let warned = one.caveats.iter().any(|text| text.contains("fitted on these very cells"));
        assert_eq!(warned, one.side == Side::Training);
    }

    let by_image =
        changed(dir.path(), |manifest| "image".clone_into(&mut manifest.training.protocol));
    let output = evaluate(&by_image, &images, &["--side", "all"]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("split by \"image\"") && error.contains("by \"subject\""), "{error}");

    // The embedded one has seen every cell, so no split of them keeps any back.
    let output = evaluate(Path::new(BUNDLE), &images, &[]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    for part in ["trained on all cells", "Its card tells", "--everything"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn a_bundle_of_all_cells_that_is_measured_on_them_is_told_to_know_them() {
    let dir = tempfile::tempdir().unwrap();
    let images = dir.path().join("images");
    data(&images);
    let own = dir.path().join("split");
    let split = evaluate(&changed(dir.path(), |_| {}), &images, &["--out", own.to_str().unwrap()]);
    assert!(split.status.success(), "{}", String::from_utf8_lossy(&split.stderr));
    let digest = Split::told(&own.join("split.csv")).unwrap().cells_digest().to_string();
    let seen = |digest: &str| {
        let bundle = changed(dir.path(), |manifest| {
            "everything".clone_into(&mut manifest.training.protocol);
            manifest.training.recipe.insert(CELLS.to_owned(), digest.to_owned());
        });
        let mut command = Command::new(env!("CARGO_BIN_EXE_leukd-train"));
        command.arg("evaluate").arg(bundle).arg("--data").arg(&images);
        let output = command.args(["--everything", "--json"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Evaluation>(&output.stdout).unwrap().seen
    };
    assert_eq!(seen(&digest), Seen::Trained);
    assert_eq!(seen("of other cells"), Seen::Unknown);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let images = dir.path().join("images");
    data(&images);
    let bundle = changed(dir.path(), |_| {});
    let output = evaluate(&bundle, &images, &["--side", "training", "--out", "/dev/null/here"]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("cannot write /dev/null/here"), "{error}");
}
