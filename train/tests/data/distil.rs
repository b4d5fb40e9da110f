//! Learning from a teacher's probabilities: what a run takes, what it refuses, and what it records.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use burn::tensor::Device;
use leukd_cell::synthetic::{self, Kind};
use leukd_journal::result::Digest;
use leukd_model::bundle::Bundle;
use leukd_train::fit::Batch;

use crate::support::{NARROW, narrow, said, split};

/// Two subjects a class, five cells each; the names of all cells.
fn cells(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for (index, (label, subject)) in
        [("all", "1"), ("all", "2"), ("hem", "H1"), ("hem", "H2")].into_iter().enumerate()
    {
        let folder = dir.join(label);
        std::fs::create_dir_all(&folder).unwrap();
        let kind = if label == "all" { Kind::Blast } else { Kind::Normal };
        for cell in 0..5 {
            let picture = synthetic::cell(index as u64 * 100 + cell, kind);
            let name = format!("UID_{subject}_1_{cell}_{label}.bmp");
            std::fs::write(folder.join(&name), synthetic::bmp(&picture)).unwrap();
            names.push(name);
        }
    }
    names
}

fn leukd_train(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_leukd-train")).args(args).output().unwrap()
}

/// `fit` on `data` into the folder `name` beside it.
fn fit(data: &Path, name: &str, epochs: &str, more: &[&str]) -> Output {
    let epochs_at = NARROW.iter().position(|flag| *flag == "--epochs").unwrap();
    let (from, out) = (data.to_str().unwrap(), data.with_file_name(name));
    let mut args = vec!["fit", "--data", from, "--out", out.to_str().unwrap()];
    args.extend(&NARROW[..epochs_at]);
    args.extend(["--epochs", epochs]);
    args.extend(more);
    leukd_train(&args)
}

/// A CSV with a target for each of `names`; one line of it may be another.
fn targets(dir: &Path, names: &[String], file: &str, line: Option<(usize, &str)>) -> PathBuf {
    let mut lines = vec!["side,name,p_all".to_owned()];
    for name in names {
        let p = if name.ends_with("_all.bmp") { 0.9 } else { 0.2 };
        lines.push(format!("training,{name},{p}"));
    }
    if let Some((at, text)) = line {
        text.clone_into(&mut lines[at - 1]);
    }
    let path = dir.join(file);
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    path
}

#[test]
fn a_target_is_the_teacher_s_share_and_the_label_s() {
    let recipe = narrow("seed", &["distil.weight=0.75", "regularisation.label_smoothing=0.2"]);
    let mut split = split(&recipe);
    split.training[0].teacher = Some(0.4);
    let (_, targets) = Batch::new(&recipe, &split, &[0, 1], 1, 0).tensors(&Device::flex());
    let targets: Vec<f32> = targets.into_data().iter::<f32>().collect();
    // Cell 0 is a blast: 0.75 · 0.4 + 0.25 · 0.9. Cell 1 is normal and has no teacher.
    for (target, wanted) in targets.iter().zip([0.525, 0.475, 0.1, 0.9]) {
        assert!((target - wanted).abs() < 1e-6, "{targets:?}");
    }
}

#[test]
fn a_run_records_its_teacher_and_goes_on_with_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let names = cells(&data);
    let path = targets(dir.path(), &names, "targets.csv", None);
    let taught = ["--targets", path.to_str().unwrap(), "--set", "distil.weight=0.8"];
    let first = fit(&data, "run", "2", &taught);
    assert!(first.status.success(), "{}", said(&first));

    let changed = format!("training,{},0.5", names[0]);
    let other = targets(dir.path(), &names, "other.csv", Some((2, &changed)));
    let none = targets(dir.path(), &[], "none.csv", None);
    let more = ["--resume", "--set", "distil.weight=0.8", "--targets"];
    let resumed =
        |file: &Path| fit(&data, "run", "3", &[&more[..], &[file.to_str().unwrap()]].concat());
    let refused = resumed(&other);
    assert!(said(&refused).contains("was started with targets of SHA-256"), "{}", said(&refused));
    let refused = resumed(&none);
    assert!(said(&refused).contains("training cells have no line"), "{}", said(&refused));
    let gone_on = resumed(&path);
    assert!(gone_on.status.success(), "{}", said(&gone_on));

    let (run, bundle) = (dir.path().join("run"), dir.path().join("model.onnx"));
    let exported = leukd_train(&[
        "export",
        run.to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
        "--out",
        bundle.to_str().unwrap(),
    ]);
    assert!(exported.status.success(), "{}", said(&exported));
    let bundle = Bundle::read(&bundle).unwrap();
    let manifest = bundle.manifest();
    let digest = Digest::of(&std::fs::read(&path).unwrap()).to_string();
    assert_eq!(manifest.training.recipe["run.teacher_targets"], digest);
    assert_eq!(manifest.training.recipe["distil.weight"], "0.8");
    let words = "Teacher: 80 % of each training cell's target is the P(all) of another model";
    assert!(manifest.card.contains(words) && manifest.card.contains(&digest), "{}", manifest.card);
}

#[test]
fn targets_that_do_not_fit_are_refused_with_their_line() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let names = cells(&data);
    let twice = format!("training,{},0.5", names[0]);
    let beyond = format!("training,{},1.5", names[1]);
    let cases = [
        (Some((3, twice.as_str())), "targets.csv, line 3: the cell"),
        (Some((3, beyond.as_str())), "targets.csv, line 3: p_all \"1.5\" is not 0 to 1"),
        (Some((3, "training,,0.5")), "targets.csv, line 3: the column name is empty"),
        (Some((1, "side,name,p")), "targets.csv, line 1: no column \"p_all\""),
        (None, "--targets means nothing while distil.weight is 0"),
    ];
    for (line, words) in cases {
        let path = targets(dir.path(), &names, "targets.csv", line);
        let weight = if line.is_some() { "distil.weight=1" } else { "distil.weight=0" };
        let refused =
            fit(&data, "refused", "2", &["--targets", path.to_str().unwrap(), "--set", weight]);
        assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
        assert!(said(&refused).contains(words), "{words}: {}", said(&refused));
    }
    let refused = fit(&data, "refused", "2", &["--set", "distil.weight=0.5"]);
    assert!(said(&refused).contains("there is no teacher: give --targets"), "{}", said(&refused));
}
