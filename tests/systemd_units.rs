//! The shipped unit works with the shipped settings and passes systemd's own check.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

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
fn the_unit_passes_systemd_analyze_verify() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("skipped: there is no systemd-analyze here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("leukd.service");
    // verify wants the program to exist.
    fs::write(&copy, unit().replace("/usr/bin/leukd", env!("CARGO_BIN_EXE_leukd"))).unwrap();
    let output =
        Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&copy).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // Other units of this machine are not ours to judge, and systemd below 253 does not know this type:
    // the unit says what to do then.
    let ours: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("leukd"))
        .filter(|line| !line.ends_with("Failed to parse service type, ignoring: notify-reload"))
        .collect();
    assert!(ours.is_empty(), "{ours:#?}");
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
fn the_unit_is_hardened() {
    for (name, expected) in [
        ("Type", "notify-reload"),
        ("User", "leukd"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("CapabilityBoundingSet", ""),
        ("MemoryDenyWriteExecute", "yes"),
        ("SystemCallFilter", "@system-service"),
        ("IPAddressDeny", "any"),
        ("IPAddressAllow", "localhost"),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
}
