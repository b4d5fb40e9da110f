//! Which operators run the network: said in settings and flags, told by the daemon and the cards.

use crate::support::bounded::InTime as _;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::Harness;
use leukd::config::settings::Engine;
use leukd::grpc::proto;
use leukd::model::testing;

fn leukd(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leukd"));
    command.env_clear().env("CONFIGURATION_DIRECTORY", folder).current_dir(folder);
    command.args(arguments).in_time().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A folder with a bundle that works and one that fails its golden inputs.
fn bundles() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("good.onnx"), testing::tiny_bundle("good", 1)).unwrap();
    let bad = testing::golden_failing_bundle("bad", 1);
    std::fs::write(folder.path().join("bad.onnx"), bad).unwrap();
    folder
}

async fn model(harness: &Harness) -> proto::Model {
    let answer = harness.control().get_model(proto::GetModelRequest {}).await.unwrap();
    answer.into_inner().model.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_tells_its_engine_and_keeps_it_over_a_reload() {
    for (setting, word) in [(Engine::Fused, "fused"), (Engine::Stock, "stock")] {
        let harness = Harness::start_with(|settings| settings.model.engine = setting).await;
        let before = model(&harness).await;
        assert_eq!(before.engine, word);
        assert!(before.fusion.contains("operators of tract's"), "{}", before.fusion);
        let request = proto::ReloadModelRequest::default();
        let reloaded = harness.control().reload_model(request).await.unwrap().into_inner();
        assert_eq!(reloaded.model.unwrap().engine, word);
        assert_eq!(model(&harness).await.engine, word);
    }
}

#[test]
fn the_setting_comes_from_file_and_flag_and_another_word_is_refused() {
    let folder = bundles();
    let file = folder.path().join("lab.toml");
    std::fs::write(&file, "[model]\nengine = \"stock\"\n").unwrap();
    let show = |more: &[&str]| {
        let arguments = [&["config", "show", "--config", "lab.toml"][..], more].concat();
        stdout(&leukd(folder.path(), &arguments))
    };
    assert!(show(&[]).contains("engine = \"stock\" # from "), "{}", show(&[]));
    let text = show(&["--engine", "fused"]);
    assert!(text.contains("engine = \"fused\" # from --engine\n"), "{text}");
    std::fs::write(&file, "[model]\nengine = \"quick\"\n").unwrap();
    let output = leukd(folder.path(), &["check", "--config", "lab.toml"]);
    assert_eq!(output.status.code(), Some(78));
    let expected = "lab.toml:2: model.engine: unknown variant `quick`, expected `fused` or `stock`";
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
}

#[test]
fn a_card_says_what_was_fused_or_why_nothing_is_known() {
    let folder = bundles();
    let show = |arguments: &[&str]| {
        let output = leukd(folder.path(), &[&["model", "show"][..], arguments].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    assert!(show(&["good.onnx"]).contains("\nengine     fused: "), "{}", show(&["good.onnx"]));
    let stock = show(&["good.onnx", "--engine", "stock"]);
    assert!(stock.contains("\nengine     stock: nothing fused, "), "{stock}");
    let bad = show(&["bad.onnx"]);
    assert!(bad.contains("model      bad\n"), "{bad}");
    assert!(bad.contains("\nengine     unknown: golden input "), "{bad}");
    let json: serde_json::Value = serde_json::from_str(&show(&["bad.onnx", "--json"])).unwrap();
    assert_eq!(json["engine"], "");
    assert!(json["fusion"].as_str().unwrap().starts_with("unknown: "), "{json}");
}

#[test]
fn both_engines_verify_classify_and_compare() {
    let folder = bundles();
    let cell = leukd::cell::synthetic::cell(1, leukd::cell::synthetic::Kind::Blast);
    let cells = folder.path().join("cells");
    std::fs::create_dir(&cells).unwrap();
    std::fs::write(cells.join("a.bmp"), leukd::cell::synthetic::bmp(&cell)).unwrap();
    for engine in ["fused", "stock"] {
        for (arguments, expected) in [
            (&["model", "verify", "good.onnx"][..], format!("; engine {engine}: ")),
            (&["classify", "--model", "good.onnx", "cells"], "a.bmp".to_owned()),
            (&["model", "diff", "good.onnx", "good.onnx", "cells"], "1 images".to_owned()),
        ] {
            let output = leukd(folder.path(), &[arguments, &["--engine", engine]].concat());
            // Nobody signed or allowed the bundle, which `verify` says by its code.
            let code = if arguments[1] == "verify" { 77 } else { 0 };
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
            assert!(stdout(&output).contains(&expected), "{arguments:?}: {}", stdout(&output));
        }
    }
    for arguments in [
        &["serve", "--engine", "quick"][..],
        &["model", "verify", "good.onnx", "--engine", "quick"],
        // The daemon's own engine is what it is.
        &["model", "show", "--engine", "stock"],
    ] {
        assert_eq!(leukd(folder.path(), arguments).status.code(), Some(64), "{arguments:?}");
    }
}
