//! What `leukd model diff` promises before one bundle takes another's place.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::bounded::InTime as _;

use leukd::cell::synthetic::{self, Kind};
use leukd::model::manifest::Precision;
use leukd::model::testing;

const NOTICE: &str = "For Research Use Only. Not for use in diagnostic procedures.";

/// Two bundles and a folder in C-NMC's layout: three blasts, two normal cells, one of no known
/// class, one broken.
struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cells = folder.path().join("cells");
        for (place, kind, seeds) in [
            ("fold_0/all", Kind::Blast, 0..3),
            ("fold_0/hem", Kind::Normal, 3..5),
            ("", Kind::Blast, 5..6),
        ] {
            let below = cells.join(place);
            fs::create_dir_all(&below).unwrap();
            for seed in seeds {
                let bytes = synthetic::bmp(&synthetic::cell(seed, kind));
                fs::write(below.join(format!("UID_{seed}_1_1_x.bmp")), bytes).unwrap();
            }
        }
        fs::write(cells.join("fold_0/all/cut.bmp"), b"BM, and then nothing").unwrap();
        let lab = Self { folder };
        fs::write(lab.path("a.onnx"), testing::tiny_bundle("first", 1)).unwrap();
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// B: A's network with another bias of its logits, or A itself.
    fn second(&self, bias: Option<[f32; 2]>) {
        let mut network = testing::tiny_network(1, Precision::F32);
        let tensors = &mut network.graph.as_mut().unwrap().initializer;
        let dense = tensors.iter_mut().find(|tensor| tensor.name == "dense.bias").unwrap();
        if let Some(bias) = bias {
            dense.raw_data = bias.iter().flat_map(|value| value.to_le_bytes()).collect();
        }
        let manifest = testing::tiny_manifest("second", Precision::F32);
        fs::write(self.path("b.onnx"), testing::bundle_of(network, manifest)).unwrap();
    }

    fn diff(&self, more: &[&str]) -> Output {
        diff(self.folder.path(), "cells", more)
    }
}

fn diff(at: &Path, images: &str, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_leukd"))
        .env_clear()
        .current_dir(at)
        .args(["model", "diff", "a.onnx", "b.onnx", images])
        .args(more)
        .in_time()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn two_bundles_that_compute_the_same_agree_on_every_image_and_the_broken_one_is_listed() {
    let lab = Lab::new();
    lab.second(None);
    let found = json(&lab.diff(&["--json"]));
    assert_eq!(found["images"], 6);
    assert_eq!(found["agreement"], 1.0);
    assert_eq!(found["largest_difference"], 0.0);
    assert_eq!(found["flips_to_all"], serde_json::json!([]));
    assert_eq!(found["truth"]["all"], 3);
    assert_eq!(found["truth"]["hem"], 2);
    assert_eq!(found["truth"]["a"]["accuracy"], 1.0);
    assert_eq!(found["truth"]["a"], found["truth"]["b"]);
    assert_eq!(found["broken"][0]["path"], "fold_0/all/cut.bmp");
    assert!(!found["broken"][0]["reason"].as_str().unwrap().is_empty());
    assert_eq!(found["a"]["id"], "first");
    assert_eq!(found["b"]["id"], "second");
    assert_eq!(found["notice"], NOTICE);
}

#[test]
fn a_bundle_that_calls_every_cell_normal_flips_the_blasts_and_loses_sensitivity() {
    let lab = Lab::new();
    lab.second(Some([-100.0, 100.0]));
    let found = json(&lab.diff(&["--json"]));
    assert_eq!(
        found["flips_to_hem"],
        serde_json::json!([
            "UID_5_1_1_x.bmp",
            "fold_0/all/UID_0_1_1_x.bmp",
            "fold_0/all/UID_1_1_1_x.bmp",
            "fold_0/all/UID_2_1_1_x.bmp"
        ])
    );
    assert_eq!(found["flips_to_all"], serde_json::json!([]));
    assert!(found["mean_difference"].as_f64().unwrap() > 0.1);
    let a_all = &found["decisions"][0];
    assert_eq!(a_all[0], 0, "{found}");
    assert_eq!(found["truth"]["b"]["sensitivity"], 0.0);
    assert_eq!(found["truth"]["b"]["specificity"], 1.0);

    let output = lab.diff(&[]);
    assert!(output.status.success());
    let said = text(&output.stdout);
    for part in [
        "6 images, 1 left out",
        "agreement      33.33 %",
        "all → hem      4: UID_5_1_1_x.bmp, ",
        "hem → all      0\n",
        "sensitivity  100.00 %  0.00 %",
        "-100.00 points",
        "its figures are too good",
        "fold_0/all/cut.bmp: ",
    ] {
        assert!(said.contains(part), "{part:?} is not in\n{said}");
    }
    assert!(text(&output.stderr).contains(NOTICE));
}

#[test]
fn without_known_classes_there_are_no_figures() {
    let lab = Lab::new();
    lab.second(None);
    let flat = lab.path("flat");
    fs::create_dir(&flat).unwrap();
    fs::write(flat.join("one.png"), synthetic::png(&synthetic::cell(1, Kind::Blast))).unwrap();
    let output = diff(lab.folder.path(), "flat", &[]);
    assert!(output.status.success());
    assert!(!text(&output.stdout).contains("sensitivity"));
    assert_eq!(
        json(&diff(lab.folder.path(), "flat", &["--json"]))["truth"],
        serde_json::Value::Null
    );
}

#[test]
fn a_bad_bundle_an_absent_folder_and_a_folder_of_broken_images_are_errors() {
    let lab = Lab::new();
    fs::write(lab.path("b.onnx"), testing::golden_failing_bundle("bad", 1)).unwrap();
    let output = lab.diff(&[]);
    assert_eq!(output.status.code(), Some(65));
    assert!(text(&output.stderr).contains("b.onnx: golden input"), "{}", text(&output.stderr));

    lab.second(None);
    let output = diff(lab.folder.path(), "nowhere", &[]);
    assert_eq!(output.status.code(), Some(66));
    fs::create_dir(lab.path("broken")).unwrap();
    fs::write(lab.path("broken/one.bmp"), b"BM").unwrap();
    let output = diff(lab.folder.path(), "broken", &[]);
    assert_eq!(output.status.code(), Some(65), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("none of its 1 images"), "{}", text(&output.stderr));
    fs::create_dir(lab.path("empty")).unwrap();
    assert_eq!(diff(lab.folder.path(), "empty", &[]).status.code(), Some(66));
}
