//! `leukd-train weights`.

use std::process::Command;

use burn::tensor::Device;
use leukd_train::network::{Architecture, Network, Regularisation};
use serde_json::Value;

use crate::init::files::{Kind, Named, network, write_pth};

fn run(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_leukd-train")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn weights_tells_what_a_b3_file_brings_and_runs_it() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::flex();
    let b3 = Network::new(&Architecture::B3, &Regularisation::default(), &device);
    // torchvision's names are the same for every width; these are of B3.
    let tensors: Vec<Named> = leukd_train::init::plan(&b3, leukd_train::init::Format::Torchvision)
        .into_iter()
        .zip(b3.parameters())
        .filter_map(|(planned, parameter)| {
            Some(Named { name: planned.theirs?, shape: parameter.shape, values: parameter.values })
        })
        .collect();
    let path = folder.path().join("b3.pth");
    write_pth(&path, &tensors);
    let picture = folder.path().join("cell.png");
    leukd_cell::synthetic::cell(3, leukd_cell::synthetic::Kind::Blast).save(&picture).unwrap();
    let small = image::open(&picture).unwrap().resize_exact(64, 64, image::imageops::Triangle);
    small.save(&picture).unwrap();
    let (path, picture) = (path.to_str().unwrap(), picture.to_str().unwrap());
    let (good, out, err) = run(&["weights", path, "--json", "--run", picture]);
    assert!(good, "{err}");
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["fits"], true);
    assert_eq!(answer["format"], "torchvision");
    assert_eq!(answer["applied"].as_array().unwrap().len(), 494);
    assert_eq!(answer["at_random"].as_array().unwrap().len(), 8);
    assert_eq!(answer["ran"]["features"].as_array().unwrap().len(), 1536);
    assert_eq!(answer["ran"]["logits"], Value::Null, "a random head has nothing to say");
    assert_eq!(answer["applied"][0]["theirs"], "features.0.0.weight");
    assert_eq!(answer["applied"][0]["shape"], serde_json::json!([40, 3, 3, 3]));
    let (good, out, _) = run(&["weights", path, "--list"]);
    assert!(good);
    for part in [
        "494 of 502 tensors, the head at random",
        "note: made for even padding",
        "applied  stem.kernel [40, 3, 3, 3] <- features.0.0.weight [40, 3, 3, 3]",
        leukd_journal::result::RESEARCH_USE_ONLY,
    ] {
        assert!(out.contains(part), "{part} in {out}");
    }
}

#[test]
fn weights_fails_where_init_would_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let kind = Kind::TimmSafetensors;
    let path = kind.write(folder.path(), &kind.tensors(&network(1)));
    let (good, out, err) = run(&["weights", path.to_str().unwrap(), "--json"]);
    assert!(!good, "a narrow network is no B3");
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["fits"], false);
    assert!(!answer["mismatched"].as_array().unwrap().is_empty());
    assert!(err.contains("our stem.kernel [40, 3, 3, 3]") && err.contains("Nothing was applied"));
    let (good, _, err) = run(&["weights", "/nowhere/b3.h5"]);
    assert!(!good && err.contains("/nowhere/b3.h5"), "{err}");
}

#[test]
fn the_command_says_that_it_is_for_research_only() {
    let (good, out, _) = run(&["weights", "--help"]);
    assert!(good && out.contains(leukd_journal::result::RESEARCH_USE_ONLY), "{out}");
}
