//! What the command line promises without a daemon: help, exit codes, configuration, completions,
//! train.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::bounded::InTime as _;

use leukd::model::manifest::{Metric, Precision, Quantization};
use leukd::model::testing;

const LEUKD: &str = env!("CARGO_BIN_EXE_leukd");
const NOTICE: &str = "For Research Use Only. Not for use in diagnostic procedures.";

/// leukd with no configuration but what the test gives it.
pub(crate) fn leukd(folder: &Path) -> Command {
    let mut command = Command::new(LEUKD);
    command.env_clear().env("CONFIGURATION_DIRECTORY", folder).current_dir(folder);
    command
}

fn run(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    leukd(folder.path()).args(arguments).in_time().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn every_help_holds_the_research_use_sentence() {
    for command in [
        &["--help"][..],
        &["-h"],
        &["help", "tail"],
        &["serve", "--help"],
        &["classify", "--help"],
        &["tail", "--help"],
        &["status", "--help"],
        &["results", "--help"],
        &["model", "--help"],
        &["model", "verify", "--help"],
        &["model", "diff", "--help"],
        &["reload", "--help"],
        &["check", "--help"],
        &["config", "show", "--help"],
        &["completions", "--help"],
        &["demo", "--help"],
        &["bench", "--help"],
    ] {
        let output = run(command);
        assert!(output.status.success(), "{command:?}");
        assert!(stdout(&output).contains(NOTICE), "{command:?}");
    }
}

#[test]
fn a_wrong_command_line_ends_with_64() {
    for arguments in [
        &[][..],
        &["diagnose"],
        &["serve", "--port", "1"],
        &["tail", "--after", "x"],
        &["tail", "--epoch", "e"],
        &["tail", "--after", "1", "--earliest"],
        &["tail", "--decision", "sick"],
        &["results", "--counts"],
        &["status", "--server", "ftp://127.0.0.1:1"],
        &["status", "--server", "http://a b"],
        &["classify"],
        &["completions", "cmd.exe"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).starts_with("leukd: "), "{arguments:?}: {}", stderr(&output));
        assert!(stdout(&output).is_empty(), "{arguments:?}");
    }
}

#[test]
fn an_unknown_key_is_named_with_file_and_line_and_ends_with_78() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lab.toml");
    fs::write(&file, "[watch]\nsettle_looks = 3\nfolder = [\"/export\"]\n").unwrap();
    for command in [&["check"][..], &["config", "show"], &["serve"]] {
        let output =
            leukd(folder.path()).args(command).args(["--config", "lab.toml"]).in_time().unwrap();
        assert_eq!(output.status.code(), Some(78), "{command:?}");
        let expected = "lab.toml:3: watch.folder: no such setting; did you mean `folders`?";
        assert!(stderr(&output).contains(expected), "{command:?}: {}", stderr(&output));
    }
}

#[test]
fn a_bad_value_is_named_with_its_file_variable_or_flag() {
    let folder = tempfile::tempdir().unwrap();
    // The system's file: systemd's CONFIGURATION_DIRECTORY moves it.
    let file = folder.path().join("leukd.toml");
    fs::write(&file, "[rpc]\nheartbeat = \"soon\"\n").unwrap();
    let output = leukd(folder.path())
        .arg("check")
        .args(["--listen", "0.0.0.0:1"])
        .env("LEUKD__IMAGE__MAX_SIDE", "wide")
        .in_time()
        .unwrap();
    assert_eq!(output.status.code(), Some(78));
    let text = stderr(&output);
    assert!(
        text.contains(&format!("{}:2: rpc.heartbeat: \"soon\" is no length", file.display())),
        "{text}"
    );
    assert!(text.contains("LEUKD__IMAGE__MAX_SIDE: invalid type"), "{text}");
    fs::write(&file, "").unwrap();
    let output = leukd(folder.path()).args(["check", "--listen", "0.0.0.0:1"]).in_time().unwrap();
    assert!(stderr(&output).contains("--listen: 0.0.0.0:1 can be reached from other machines"));
}

#[test]
fn check_tells_of_a_working_configuration_and_of_a_missing_folder() {
    let folder = tempfile::tempdir().unwrap();
    let output = leukd(folder.path())
        .args(["check", "--watch", "absent", "--state", "state"])
        .in_time()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("the configuration works"));
    assert!(stderr(&output).contains("warning: --watch: "), "{}", stderr(&output));
    assert!(stderr(&output).contains("will be degraded until it can"), "{}", stderr(&output));
}

#[test]
fn check_finds_folders_that_meet_by_a_symbolic_link() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("export")).unwrap();
    std::os::unix::fs::symlink("export", folder.path().join("state")).unwrap();
    let output = leukd(folder.path())
        .args(["check", "--watch", "export", "--state", "state/journal"])
        .in_time()
        .unwrap();
    assert_eq!(output.status.code(), Some(78), "{}", stderr(&output));
    assert!(stderr(&output).contains("by way of symbolic links"), "{}", stderr(&output));
}

#[test]
fn check_refuses_a_bundle_that_is_not_there() {
    let output = run(&["check", "--model", "absent.onnx"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("absent.onnx cannot be read"), "{}", stderr(&output));
}

#[test]
fn config_show_lists_origins_and_reads_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("leukd.toml");
    fs::write(&file, "[watch]\nsettle_looks = 4\n").unwrap();
    let output = leukd(folder.path())
        .args(["config", "show", "--listen", "127.0.0.1:7", "--metrics", "off"])
        .env("LEUKD__JOURNAL__KEEP_FOR", "30d")
        .in_time()
        .unwrap();
    let text = stdout(&output);
    assert!(text.contains(&format!("settle_looks = 4 # from {}:2\n", file.display())), "{text}");
    assert!(text.contains("listen = \"127.0.0.1:7\" # from --listen\n"), "{text}");
    assert!(text.contains("enabled = false # from --metrics\n"), "{text}");
    assert!(text.contains("keep_for = \"30d\" # from LEUKD__JOURNAL__KEEP_FOR\n"), "{text}");
    assert!(text.contains("# keep_count is not set # default\n"), "{text}");
    assert!(text.contains("poll_interval = \"2s\" # default\n"), "{text}");

    let shown = folder.path().join("shown.toml");
    fs::write(&shown, &text).unwrap();
    let json = |arguments: &[&str]| -> serde_json::Value {
        let output = leukd(folder.path())
            .args(["config", "show", "--json"])
            .args(arguments)
            .in_time()
            .unwrap();
        serde_json::from_str(&stdout(&output)).unwrap()
    };
    let again = json(&["--config", "shown.toml"]);
    assert_eq!(again["settings"]["watch"]["settle_looks"], 4);
    assert_eq!(again["settings"]["rpc"]["listen"], "127.0.0.1:7");
    assert_eq!(again["settings"]["journal"]["keep_for"], "30d");
    assert_eq!(json(&[])["origins"]["watch.poll_interval"], "default");
}

#[test]
fn the_card_of_a_quantized_bundle_says_what_that_cost() {
    let folder = tempfile::tempdir().unwrap();
    let mut manifest = testing::tiny_manifest("small", Precision::Int8);
    manifest.quantization = Some(Quantization {
        from_digest: "ab".repeat(32),
        variant: "int8-mse".to_owned(),
        accuracy_change: -0.0025,
        sensitivity_change: 0.005,
        flips: 3,
        cells: 400,
    });
    let bytes = testing::bundle_of(testing::tiny_network(1, Precision::Int8), manifest);
    fs::write(folder.path().join("small.onnx"), bytes).unwrap();
    let output = leukd(folder.path()).args(["model", "show", "small.onnx"]).in_time().unwrap();
    let expected = format!(
        "quantized  int8-mse of {}: accuracy -0.25 points, sensitivity +0.50 points, 3 of 400 cells decided otherwise",
        "ab".repeat(32)
    );
    assert!(stdout(&output).contains(&expected), "{}", stdout(&output));
    let output =
        leukd(folder.path()).args(["model", "show", "small.onnx", "--json"]).in_time().unwrap();
    let json: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(json["quantization"]["flips"], "3");
}

#[test]
fn the_card_says_which_figures_are_cross_validated_over_how_many_models() {
    let folder = tempfile::tempdir().unwrap();
    let mut manifest = testing::tiny_manifest("siblings", Precision::F32);
    let metric = |split: &str, siblings: Option<u32>| Metric {
        name: "auroc".to_owned(),
        value: 0.9125,
        interval: Some((0.85, 0.95)),
        split: split.to_owned(),
        cells: 3576,
        subjects: 33,
        siblings,
    };
    manifest.metrics =
        vec![metric("subject", Some(3)), metric("image", Some(1)), metric("subject", None)];
    let bytes = testing::bundle_of(testing::tiny_network(1, Precision::F32), manifest);
    fs::write(folder.path().join("model.onnx"), bytes).unwrap();
    let show = |more: &[&str]| {
        let output = leukd(folder.path())
            .args(["model", "show", "model.onnx"])
            .args(more)
            .in_time()
            .unwrap();
        stdout(&output)
    };
    let text = show(&[]);
    for line in [
        "auroc 0.9125 [0.8500, 0.9500], split by subject, 3576 cells of 33 subjects, cross-validated, 3 models\n",
        "split by image, 3576 cells of 33 subjects, measured on 1 sibling model\n",
        "split by subject, 3576 cells of 33 subjects\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let json: serde_json::Value = serde_json::from_str(&show(&["--json"])).unwrap();
    let siblings = |at: usize| json["metrics"][at]["siblings"].as_u64().unwrap_or(0);
    assert_eq!([siblings(0), siblings(1), siblings(2)], [3, 1, 0]);
}

#[test]
fn completions_come_for_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell]);
        assert!(output.status.success(), "{shell}");
        assert!(stdout(&output).contains("leukd"), "{shell}");
    }
}

#[test]
fn a_closed_output_ends_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = leukd(folder.path())
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let status = child.in_time();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
}

#[test]
fn train_hands_every_argument_over() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("leukd");
    fs::copy(LEUKD, &own).unwrap();
    let train = folder.path().join("leukd-train");
    fs::write(&train, "#!/bin/sh\necho \"$@\"\nexit 7\n").unwrap();
    let mut mode = fs::metadata(&own).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
    fs::set_permissions(&train, mode).unwrap();
    let output =
        Command::new(&own).args(["train", "fit", "--epochs", "3", "--help"]).in_time().unwrap();
    assert_eq!(stdout(&output), "fit --epochs 3 --help\n");
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn train_without_its_program_says_how_to_build_it() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("leukd");
    fs::copy(LEUKD, &own).unwrap();
    let output = Command::new(&own).arg("train").env("PATH", folder.path()).in_time().unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(
        stderr(&output).contains("cargo build --release -p leukd-train"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_daemon_that_is_not_there_is_named_with_how_to_start_it() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    for command in ["status", "tail", "results", "reload"] {
        let folder = tempfile::tempdir().unwrap();
        let output = leukd(folder.path()).arg(command).env("LEUKD_SERVER", &url).in_time().unwrap();
        assert_eq!(output.status.code(), Some(69), "{command}");
        let text = stderr(&output);
        assert!(text.contains(&format!("no leukd answers at {url}")), "{text}");
        assert!(text.contains("systemctl start leukd"), "{text}");
    }
}
