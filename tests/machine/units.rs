//! The shipped unit works with the shipped settings and passes systemd's own check.
#![allow(clippy::print_stderr)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use crate::bounded::InTime as _;

use leukd::config::Settings;
use leukd::config::units::Span;

fn unit() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/leukd.service")).unwrap()
}

fn value(name: &str) -> String {
    let unit = unit();
    let line = unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("the unit lacks {name}")).to_owned()
}

#[test]
fn a_stop_has_more_time_than_the_drain_takes() {
    let stop: Span = value("TimeoutStopSec").parse().unwrap();
    assert!(stop.0 >= Settings::default().rpc.drain.0 + Duration::from_secs(15));
    // config/check.rs warns by this figure.
    assert_eq!(stop, Span::from_secs(45));
}

#[test]
fn a_wrong_configuration_is_not_started_again_and_again() {
    assert_eq!(value("Restart"), "on-failure");
    assert_eq!(value("RestartPreventExitStatus"), "64 65 78");
}

#[test]
fn the_units_state_folder_is_the_default_one() {
    let state = Path::new("/var/lib").join(value("StateDirectory"));
    assert_eq!(state, Settings::default().journal.directory);
}

#[test]
fn the_unit_asks_for_nothing_that_debian_12s_systemd_lacks() {
    // systemd 253 has Type=notify-reload; 252 takes it for "simple" and cannot reload.
    assert_eq!(value("Type"), "notify");
    assert_eq!(value("ExecReload"), "/bin/kill -HUP $MAINPID");
}

#[test]
fn the_unit_is_hardened() {
    for (name, expected) in [
        ("User", "leukd"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("PrivateUsers", "yes"),
        ("CapabilityBoundingSet", ""),
        ("MemoryDenyWriteExecute", "yes"),
        ("SystemCallFilter", "@system-service"),
        ("IPAddressDeny", "any"),
        ("IPAddressAllow", "localhost"),
        ("MemorySwapMax", "0"),
        ("LimitCORE", "0"),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
    // A folder that is missing must not keep leukd from starting.
    assert!(!unit().contains("\nRequiresMountsFor="));
}

/// The unit of the bridges.
fn bridge_unit() -> String {
    let unit = "systemd/leukd-bridge@.service";
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(unit)).unwrap()
}

#[test]
fn the_bridges_unit_is_as_hardened_as_the_daemons() {
    let bridge = bridge_unit();
    let hardening = ["Protect", "Private", "Restrict", "IPAddress", "SystemCall", "Memory", "Lock"];
    let more = ["NoNewPrivileges", "CapabilityBoundingSet", "AmbientCapabilities", "UMask"];
    let ours = unit();
    let lines = ours.lines().filter(|line| {
        hardening.iter().chain(&more).any(|start| line.starts_with(start))
            // Its own is smaller.
            && !line.starts_with("MemoryHigh=") && !line.starts_with("MemoryMax=")
            && !line.starts_with("RestartPrevent")
    });
    let lines: Vec<_> = lines.collect();
    assert!(lines.len() > 20, "{lines:?}");
    for line in lines {
        assert!(bridge.lines().any(|own| own == line), "the bridges' unit lacks {line}");
    }
}

#[test]
fn systemd_analyze_accepts_the_bridges_unit_and_its_exposure() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("leukd-bridge@hl7.service");
    let unit = bridge_unit().replace("/usr/bin/leukd", env!("CARGO_BIN_EXE_leukd"));
    fs::write(&copy, unit).unwrap();
    let run = |arguments: &[&str]| {
        Command::new("systemd-analyze").args(arguments).arg(&copy).in_time().ok()
    };
    let Some(verified) = run(&["verify", "--man=no"]) else {
        eprintln!("skipped: there is no systemd-analyze here");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("leukd-bridge")).collect();
    assert!(ours.is_empty(), "{ours:#?}");
    let most = "--threshold=9";
    let exposed = run(&["security", "--offline=yes", "--no-pager", most]).unwrap();
    let said = String::from_utf8_lossy(&exposed.stdout);
    assert!(exposed.status.success(), "{said}");
}

/// The shipped drop-ins, by name.
fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/examples");
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Runs `systemd-analyze` on the unit with one drop-in, or with none; none where there is no such
/// program.
fn analyze(arguments: &[&str], with: Option<&Path>) -> Option<Output> {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("leukd.service");
    // verify wants the program to exist.
    fs::write(&copy, unit().replace("/usr/bin/leukd", env!("CARGO_BIN_EXE_leukd"))).unwrap();
    if let Some(file) = with {
        let drop_ins = folder.path().join("leukd.service.d");
        fs::create_dir(&drop_ins).unwrap();
        fs::copy(file, drop_ins.join(file.file_name().unwrap())).unwrap();
    }
    let output = Command::new("systemd-analyze").args(arguments).arg(&copy).in_time();
    if output.is_err() {
        eprintln!("skipped: there is no systemd-analyze here");
    }
    output.ok()
}

#[test]
fn the_unit_and_its_drop_ins_pass_systemd_analyze_verify() {
    let examples = examples();
    for with in std::iter::once(None).chain(examples.iter().map(|file| Some(file.as_path()))) {
        let Some(output) = analyze(&["verify", "--man=no"], with) else { return };
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // Other units of this machine are not ours to judge.
        let ours: Vec<&str> = said.lines().filter(|line| line.contains("leukd")).collect();
        assert!(ours.is_empty(), "{with:?}: {ours:#?}");
    }
}

#[test]
fn systemd_analyze_security_finds_an_exposure_of_1_3_or_less() {
    let examples = examples();
    let check = |most: u32, with: Option<&Path>| {
        let most = format!("--threshold={most}");
        let Some(output) = analyze(&["security", "--offline=yes", "--no-pager", &most], with)
        else {
            return;
        };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("Overall exposure level"), "{said}");
        assert!(output.status.success(), "{with:?}: {said}");
    };
    // In tenths. What the unit reaches with nothing added, and what a site's drop-ins may cost.
    check(9, None);
    for file in &examples {
        check(13, Some(file));
    }
}
