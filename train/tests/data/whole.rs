//! The whole command, on the real binary: from a folder of cells to a bundle that serves and its
//! report; and what it does when it is stopped or the disk is full.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use leukd_cell::preprocess::Preprocessing;
use leukd_cell::standardise::{Standardise, Targets};
use leukd_cell::synthetic::{self, Kind};
use leukd_journal::result::RESEARCH_USE_ONLY;
use leukd_model::bundle::Bundle;
use leukd_model::serving::Model;
use leukd_train::dataset::{Dataset, Split};
use leukd_train::evaluate::CELLS;
use leukd_train::fit::Checkpoint;

use crate::support::{NARROW, said};

/// Three subjects a class, six cells each, in C-NMC's layout; one file is broken.
fn cells(dir: &Path) {
    let subjects =
        [("all", "1"), ("all", "2"), ("all", "3"), ("hem", "H1"), ("hem", "H2"), ("hem", "H3")];
    for (index, (label, subject)) in subjects.into_iter().enumerate() {
        let folder = dir.join("fold_1").join(label);
        std::fs::create_dir_all(&folder).unwrap();
        let kind = if label == "all" { Kind::Blast } else { Kind::Normal };
        for cell in 0..6 {
            let picture = synthetic::cell(index as u64 * 100 + cell, kind);
            let name = format!("UID_{subject}_1_{cell}_{label}.bmp");
            std::fs::write(folder.join(name), synthetic::bmp(&picture)).unwrap();
        }
    }
    std::fs::write(dir.join("fold_1/all/UID_1_2_1_all.bmp"), b"BM, but no picture").unwrap();
}

fn train(data: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leukd-train"));
    command.arg("--data").arg(data).arg("--out").arg(out).args(NARROW).args(more);
    command
}

#[test]
fn one_command_goes_from_a_folder_of_cells_to_a_bundle_that_serves_and_its_report() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    cells(&data);
    let first = train(&data, &out, &["--about-data", "drawn cells"]).output().unwrap();
    assert!(first.status.success(), "{}", said(&first));
    for part in [
        "== Split",
        "1 files were left out",
        "== Training",
        "== Smaller forms",
        "== Evaluation",
        "cell area alone",
        "leukd model verify",
        RESEARCH_USE_ONLY,
    ] {
        assert!(said(&first).contains(part), "{part}: {}", said(&first));
    }
    let model = Model::load(Bundle::read(&out.join("model.onnx")).unwrap()).unwrap();
    let manifest = model.manifest();
    // The figures are the test side's, which chose nothing; the split keeps subjects apart.
    let split = std::fs::read_to_string(out.join("split.csv")).unwrap();
    let tested = split.lines().filter(|line| line.starts_with("test,")).count() as u64;
    assert!(tested >= 12);
    assert!(manifest.metrics.iter().all(|one| one.cells == tested && one.split == "subject"));
    assert!(
        manifest.card.contains("cells of the test side, split by subject"),
        "{}",
        manifest.card
    );
    assert_eq!(manifest.training.data, "drawn cells");
    assert_eq!(manifest.training.recipe["name"], "seed");
    let tensor = manifest.preprocessing.tensor(&synthetic::cell(1, Kind::Blast)).unwrap();
    let served: f64 = model.run(&tensor).unwrap().iter().sum();
    assert!((served - 1.0).abs() < 1e-9);
    for name in
        ["report.html", "evaluation.json", "predictions.csv", "model-f32.onnx", "recipe.toml"]
    {
        assert!(std::fs::metadata(out.join(name)).unwrap().len() > 0, "{name}");
    }
    let report = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(report.contains(&model.digest().to_string()) && report.contains("UID_1_2_1_all.bmp"));

    // A model that begins as this one, and tests on cells that this one learned from, says so.
    let (heir, first_bundle) = (dir.path().join("heir"), out.join("model-f32.onnx"));
    let inherited = ["--fold", "2", "--init", first_bundle.to_str().unwrap()];
    let second = train(&data, &heir, &inherited).output().unwrap();
    assert!(second.status.success(), "{}", said(&second));
    assert!(said(&second).contains("began as those of another model"), "{}", said(&second));

    // From elsewhere, every cell can be measured at once.
    let everything = Command::new(env!("CARGO_BIN_EXE_leukd-train"))
        .arg("evaluate")
        .arg(out.join("model.onnx"))
        .arg("--data")
        .arg(&data)
        .arg("--everything")
        .output()
        .unwrap();
    assert!(everything.status.success(), "{}", said(&everything));
    assert!(said(&everything).contains("36 cells: 18 all of 3 subjects"), "{}", said(&everything));
    assert!(said(&everything).contains("WARNING: The bundle was trained on other cells"));

    // Again into the same folder: refused, and nothing is lost.
    let second = train(&data, &out, &[]).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(said(&second).contains("give --resume"), "{}", said(&second));
    // The recipe and the split that were written are enough to say it all again.
    let (recipe, sides) = (out.join("recipe.toml"), out.join("split.csv"));
    let again = Command::new(env!("CARGO_BIN_EXE_leukd-train"))
        .args(["fit", "--recipe"])
        .arg(&recipe)
        .arg("--split")
        .arg(&sides)
        .arg("--data")
        .arg(&data)
        .arg("--out")
        .arg(dir.path().join("again"))
        .output()
        .unwrap();
    assert!(again.status.success(), "{}", said(&again));
    let metrics = |folder: &str| {
        let text = std::fs::read_to_string(dir.path().join(folder).join("metrics.jsonl")).unwrap();
        let line: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        (line["loss"].clone(), line["validation_loss"].clone())
    };
    assert_eq!(metrics("out"), metrics("again"), "the same run gives the same numbers");
}

#[test]
fn a_run_on_everything_measures_nothing_and_no_card_split_or_report_pretends_it() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    cells(&data);
    let everything = ["--protocol", "everything", "--set", "choice.keep=last"];
    let output = train(&data, &out, &everything).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    for part in [
        "On everything: there is no test side",
        "on the validation cells: no accuracy on new ones",
        "Nothing is measured: this model was trained on everything",
    ] {
        assert!(said(&output).contains(part), "{part}: {}", said(&output));
    }
    let split = Split::told(&out.join("split.csv")).unwrap();
    assert_eq!((split.training.len(), split.validation.len(), split.test.len()), (34, 2, 0));
    let bundle = Bundle::read(&out.join("model.onnx")).unwrap();
    let manifest = bundle.manifest();
    assert_eq!((manifest.training.protocol.as_str(), manifest.training.cells), ("everything", 34));
    assert!(manifest.metrics.is_empty(), "{:?}", manifest.metrics);
    assert!(manifest.card.contains("Figures: none."), "{}", manifest.card);
    // By this `ship` tells that figures are of the same cells.
    assert_eq!(manifest.training.recipe[CELLS], split.cells_digest().to_string());
    assert_eq!(std::fs::read_to_string(out.join("evaluation.json")).unwrap(), "[]");
    let report = std::fs::read_to_string(out.join("report.html")).unwrap();
    for part in ["Nothing was measured", "No figure here is accuracy on new cells", "On everything"]
    {
        assert!(report.contains(part), "{part}");
    }
    // Nor can it be measured on its own cells afterwards.
    let evaluated = Command::new(env!("CARGO_BIN_EXE_leukd-train"))
        .arg("evaluate")
        .arg(out.join("model.onnx"))
        .arg("--data")
        .arg(&data)
        .args(["--protocol", "everything", "--side", "validation"])
        .output()
        .unwrap();
    assert_eq!(evaluated.status.code(), Some(1));
    assert!(said(&evaluated).contains("nothing on it can be measured"), "{}", said(&evaluated));
}

#[test]
fn a_run_that_its_minutes_stop_says_so_and_goes_on_from_a_pack() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out, pack) =
        (dir.path().join("data"), dir.path().join("out"), dir.path().join("cells.zip"));
    cells(&data);
    let packed = Command::new(env!("CARGO_BIN_EXE_leukd-train"))
        .args(["pack", "--size", "32", "--window", "320", "--data"])
        .arg(&data)
        .arg("--out")
        .arg(&pack)
        .output()
        .unwrap();
    assert!(packed.status.success(), "{}", said(&packed));
    let stopped = train(&pack, &out, &["--max-minutes", "0"]).output().unwrap();
    assert_eq!(stopped.status.code(), Some(75), "{}", said(&stopped));
    assert!(said(&stopped).contains("--resume"), "{}", said(&stopped));
    // Another recipe, or other sides, are refused, and what the run was started with stays as it
    // is.
    let kept = |name: &str| std::fs::read(out.join(name)).unwrap();
    let (recipe, sides) = (kept("recipe.toml"), kept("split.csv"));
    for (other, part) in [
        (["--seed", "9"], "steps.seed"),
        (["--protocol", "image"], "other labels, subjects or sides"),
    ] {
        let refused = train(&data, &out, &["--resume"]).args(other).output().unwrap();
        assert_eq!(refused.status.code(), Some(1));
        assert!(said(&refused).contains(part), "{part}: {}", said(&refused));
        assert!(kept("recipe.toml") == recipe && kept("split.csv") == sides, "{part}");
    }
    // The pack and the files are the same cells.
    let ended = train(&data, &out, &["--resume"]).output().unwrap();
    assert!(ended.status.success(), "{}", said(&ended));
    assert!(out.join("report.html").exists());
}

#[test]
fn a_signal_ends_a_run_after_its_step_and_it_can_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    cells(&data);
    // Longer than any machine takes until the signal.
    let endless = ["--epochs", "100000"];
    let mut narrow = Command::new(env!("CARGO_BIN_EXE_leukd-train"));
    narrow.arg("--data").arg(&data).arg("--out").arg(&out).args(&NARROW[..12]).args(endless);
    let mut child = narrow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    // The first whole epoch is kept: the run is under way.
    while !out.join("metrics.jsonl").exists() {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none() && began.elapsed() < Duration::from_secs(60), "{ended:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(75), "{}", said(&ended));
    assert!(said(&ended).contains("Stopped by a signal"), "{}", said(&ended));
    assert!(Checkpoint::open(&out).state().unwrap().epochs_done() >= 1);
    let more = narrow.arg("--resume").args(["--max-minutes", "0"]).output().unwrap();
    assert_eq!(more.status.code(), Some(75), "{}", said(&more));
}

#[test]
fn a_pack_gives_its_cells_back_and_refuses_another_size() {
    let dir = tempfile::tempdir().unwrap();
    let (data, pack) = (dir.path().join("data"), dir.path().join("cells.zip"));
    cells(&data);
    let preprocessing = Preprocessing { size: 40, window: Some(320), ..Preprocessing::b3() };
    let files = Dataset::read(&data, &preprocessing).unwrap();
    files.pack(&preprocessing, &pack).unwrap();
    let packed = Dataset::read(&pack, &preprocessing).unwrap();
    assert_eq!(packed.cells, files.cells);
    assert_eq!(packed.broken, files.broken);
    // What comes after the square is free.
    let standardise = Some(Standardise::Channels(Targets::levels(0)));
    let coloured = Preprocessing { standardise, ..preprocessing.clone() };
    assert_eq!(Dataset::read(&pack, &coloured).unwrap().cells, files.cells);
    files.pack(&coloured, &pack).unwrap();
    assert_eq!(Dataset::read(&pack, &preprocessing).unwrap().cells, files.cells);
    let other = Preprocessing { size: 48, ..preprocessing.clone() };
    let error = Dataset::read(&pack, &other).unwrap_err().to_string();
    assert!(error.contains("40 pixels") && error.contains("48 pixels"), "{error}");
    let whole = std::fs::read(&pack).unwrap();
    std::fs::write(&pack, &whole[..whole.len() / 2]).unwrap();
    let error = Dataset::read(&pack, &preprocessing).unwrap_err().to_string();
    assert!(error.contains("cells.zip is no pack of cells, or damaged"), "{error}");
}

/// A limit on the size of files stands for a disk that is full: writing fails in the midst of a
/// checkpoint.
#[test]
fn a_full_disk_is_named_and_the_checkpoint_before_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    cells(&data);
    let stopped = train(&data, &out, &["--max-minutes", "0"]).output().unwrap();
    assert_eq!(stopped.status.code(), Some(75), "{}", said(&stopped));
    let limited = Command::new("sh")
        .arg("-c")
        // Without the trap the system would end the process instead of refusing the write.
        .arg("trap '' XFSZ; ulimit -f 20; exec \"$0\" \"$@\"")
        .arg(env!("CARGO_BIN_EXE_leukd-train"))
        .arg("--data")
        .arg(&data)
        .arg("--out")
        .arg(&out)
        .args(NARROW)
        .arg("--resume")
        .output()
        .unwrap();
    assert_eq!(limited.status.code(), Some(1), "{}", said(&limited));
    assert!(said(&limited).contains(out.to_str().unwrap()), "{}", said(&limited));
    // With space again it goes on.
    let ended = train(&data, &out, &["--resume"]).output().unwrap();
    assert!(ended.status.success(), "{}", said(&ended));
}

#[test]
fn what_cannot_be_trained_on_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    cells(&data);
    let refused = |more: &[&str], parts: &[&str]| {
        let output = train(&data, &out, more).output().unwrap();
        assert!(!output.status.success(), "{}", said(&output));
        for part in parts {
            assert!(said(&output).contains(part), "{part}: {}", said(&output));
        }
        assert!(!out.join("checkpoint").exists());
    };
    refused(&["--set", "steps.bach=3"], &["--set steps.bach", "batch"]);
    refused(&["--recipe", "lab.toml"], &["lab.toml", "`modern`"]);
    refused(&["--device", "cuda"], &["built without cuda:0", "--features cuda"]);
    refused(&["--device", "tpu"], &["cpu, cuda, cuda:N or vulkan"]);
    refused(&["--id", "no good"], &["1 to 64 letters"]);
    let wrong = dir.path().join("weights.h5");
    std::fs::write(&wrong, "<html>not found</html>").unwrap();
    refused(&["--init", wrong.to_str().unwrap()], &["weights.h5"]);
    for subject in ["H2", "H3"] {
        for cell in 0..6 {
            let name = format!("fold_1/hem/UID_{subject}_1_{cell}_hem.bmp");
            std::fs::remove_file(data.join(name)).unwrap();
        }
    }
    refused(&[], &["hem", "H1"]);
}

#[test]
fn shells_get_their_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let output = Command::new(env!("CARGO_BIN_EXE_leukd-train"))
            .args(["completions", shell])
            .output()
            .unwrap();
        assert!(output.status.success() && said(&output).contains("quantize"), "{shell}");
    }
}
