//! `train/cpu/shipped.sh`: which commands it gives, how it is stopped, and how it goes on.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// In leukd-train's place: tells what it was asked for and leaves the files that the script looks
/// for. With `WAITS` a training lasts until it is told to stop, and counts how often it is.
const STAND_IN: &str = r#"#!/usr/bin/env bash
echo "$@"
command=$1 told=0
while [ $# -gt 1 ]; do
    [ "$1" = --out ] && out=$2
    shift
done
case $command in
    fit)
        trap 'told=$((told + 1))' TERM INT
        mkdir -p "$out/checkpoint" && : > "$out/checkpoint/run.toml"
        if [ -n "${WAITS:-}" ]; then
            for ((i = 0; i < 1000 && told == 0; i++)); do sleep 0.1; done
            sleep 0.5
            echo "saved, told $told times"
            exit 75
        fi
        ;;
    export | ship) : > "$out" ;;
    quantize) mkdir -p "$out" && : > "$out/model.onnx" ;;
    evaluate) mkdir -p "$out" && : > "$out/report.html" ;;
esac
"#;

const NAMES: [&str; 5] = ["fold-1", "fold-2", "fold-3", "image", "everything"];

/// The script on the stand-in, as a process group of its own.
fn shipped(dir: &Path, waits: bool) -> Child {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("cpu/shipped.sh");
    let mut command = Command::new("bash");
    command.arg(script).arg(dir.join("out")).args(["cells.zip", "lab"]);
    command.args(["--recipe", "seed", "--init", "keras.h5", "--split-seed", "7"]);
    command.env("PROGRAM", dir.join("leukd-train")).env("LANES", "2").env("TARGETS", "taught");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    if waits {
        command.env("WAITS", "1");
    }
    command.process_group(0).spawn().unwrap()
}

fn log(dir: &Path, name: &str) -> String {
    std::fs::read_to_string(dir.join(format!("out/{name}.log"))).unwrap_or_default()
}

fn logs(dir: &Path) -> String {
    NAMES.iter().fold(String::new(), |mut all, name| {
        writeln!(all, "{name}:\n{}", log(dir, name)).unwrap();
        all
    })
}

#[test]
fn shipped_sh_stops_its_trainings_once_and_goes_on_with_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let program = dir.join("leukd-train");
    std::fs::write(&program, STAND_IN).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();

    let mut script = shipped(dir, true);
    let late = Instant::now() + Duration::from_secs(60);
    let began = |name: &str| dir.join("out").join(name).join("checkpoint/run.toml").exists();
    while !(began("fold-1") && began("everything")) {
        assert!(Instant::now() < late && script.try_wait().unwrap().is_none(), "{}", logs(dir));
        std::thread::park_timeout(Duration::from_millis(20));
    }
    // As `timeout` and a terminal do: all of the script's own group.
    let group = format!("-{}", script.id());
    assert!(Command::new("kill").args(["-TERM", "--", &group]).status().unwrap().success());
    assert_eq!(script.wait().unwrap().code(), Some(75), "{}", logs(dir));
    for name in ["fold-1", "everything"] {
        // It has waited for them, and told them no second time: that would end them at once.
        assert!(log(dir, name).contains("saved, told 1 times"), "{}", logs(dir));
    }
    assert!(!began("fold-2") && !began("image") && !began("fold-3"), "{}", logs(dir));

    assert!(shipped(dir, false).wait().unwrap().success(), "{}", logs(dir));
    assert!(dir.join("out/model.onnx").exists());
    for name in NAMES {
        let told = log(dir, name);
        let given = ["fit ", "export ", "quantize ", "evaluate "];
        let is_command = |line: &&str| given.iter().any(|command| line.starts_with(command));
        let commands: Vec<&str> = told.lines().filter(is_command).collect();
        let side = match name {
            "everything" | "image" => format!("--protocol {name}"),
            fold => fold.replace("fold-", "--fold "),
        };
        let went_on = ["fold-1", "everything"].contains(&name);
        assert_eq!(
            commands.iter().filter(|line| line.starts_with("fit ")).count(),
            if went_on { 2 } else { 1 },
            "{told}"
        );
        assert_eq!(told.matches("--resume").count(), usize::from(went_on), "{told}");
        assert_eq!(told.matches("evaluate ").count(), usize::from(name != "everything"), "{told}");
        for line in commands {
            // The cells stand where they stood for every command, and a run that goes on has no
            // other beginning.
            assert!(line.contains(&side) && line.contains("--split-seed 7"), "{line}");
            let taught = format!("--targets taught/{name}.csv");
            assert_eq!(line.contains(&taught), line.starts_with("fit "), "{line}");
            let begins = line.starts_with("fit ") && !line.contains("--resume");
            assert_eq!(line.contains("--init keras.h5"), begins, "{line}");
        }
    }

    assert!(shipped(dir, false).wait().unwrap().success(), "{}", logs(dir));
    let again = logs(dir);
    assert_eq!(again.matches("export ").count(), NAMES.len(), "{again}");
    assert_eq!(again.matches("evaluate ").count(), NAMES.len() - 1, "{again}");
}
