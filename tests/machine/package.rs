//! The Debian package's whole life on a machine of its own: installed, at work, upgraded, removed,
//! purged, installed again.
//!
//! Skipped where cargo-deb is not installed or no machine can be booted; `.ci/run` installs
//! cargo-deb where there is time.
#![allow(clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::bounded::InTime as _;

use crate::boot::{Machine, SOURCE, said};
use leukd::cell::synthetic::{self, Kind};

/// A package takes minutes where nothing of it is built yet.
const BUILT: Duration = Duration::from_secs(1200);

const EXPORT: &str = "/srv/microscope/export";

/// The package as it is; none where it cannot be built here.
fn package(folder: &Path) -> Option<PathBuf> {
    let tool = Command::new("cargo").args(["deb", "--version"]).in_time();
    if !tool.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: cargo-deb is not installed");
        return None;
    }
    let script = format!("{SOURCE}/packaging/deb.sh");
    let built = Command::new(script).arg("--fast").arg(folder).within(BUILT).unwrap();
    assert!(built.status.success(), "{}", said(&built));
    let text = String::from_utf8(built.stdout).unwrap();
    Some(PathBuf::from(text.lines().last().unwrap().trim()))
}

/// The same under another version.
fn repacked(package: &Path, version: &str, folder: &Path) -> PathBuf {
    let (tree, file) = (folder.join(version), folder.join(format!("{version}.deb")));
    let run = |command: &mut Command| {
        let output = command.in_time().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    };
    run(Command::new("dpkg-deb").arg("--raw-extract").args([package, &tree]));
    let control = tree.join("DEBIAN/control");
    let fields = std::fs::read_to_string(&control).unwrap();
    let changed = fields.lines().map(|line| match line.strip_prefix("Version: ") {
        Some(_) => format!("Version: {version}\n"),
        None => format!("{line}\n"),
    });
    std::fs::write(&control, changed.collect::<String>()).unwrap();
    let pack = ["-Zgzip", "-z1", "--root-owner-group", "--build"];
    run(Command::new("dpkg-deb").args(pack).args([&tree, &file]));
    file
}

fn export(machine: &Machine, seed: u64) {
    let bytes = synthetic::bmp(&synthetic::cell(seed, Kind::Blast));
    machine.write(&format!("{EXPORT}/{seed}.bmp"), 0o640, bytes);
    machine.succeed(&["chgrp", "-R", "microscope", EXPORT]);
}

/// The sequences and epochs of the first `count` results.
fn results(machine: &Machine, count: usize) -> Vec<(String, String)> {
    let count = count.to_string();
    let lines = machine.succeed(&["leukd", "tail", "--earliest", "--json", "--count", &count]);
    let events = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    events
        .filter_map(|event| {
            let result = event.get("result")?;
            Some((result["sequence"].to_string(), result["epoch"].to_string()))
        })
        .collect()
}

#[tokio::test]
async fn a_package_is_installed_upgraded_removed_and_purged_and_no_result_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let Some(first) = package(folder.path()) else { return };
    let Some(machine) = Machine::boot().await else { return };
    let second = repacked(&first, "99.0.0-1", folder.path());
    machine.copy(first, "/root/first.deb", 0o644);
    machine.copy(second, "/root/second.deb", 0o644);

    // Installed: there is a user, a configuration that works, and nothing runs yet.
    let installed = machine.run(&["dpkg", "--install", "/root/first.deb"]);
    assert!(installed.status.success(), "{}", said(&installed));
    assert!(said(&installed).contains("systemctl enable --now leukd"), "{}", said(&installed));
    assert!(machine.succeed(&["getent", "passwd", "leukd"]).contains("/var/lib/leukd"));
    machine.succeed(&["leukd", "check"]);
    assert_eq!(machine.property("ActiveState"), "inactive");
    assert_eq!(machine.property("UnitFileState"), "disabled");
    let files = machine.succeed(&["dpkg", "--listfiles", "leukd"]);
    for file in [
        "/usr/share/man/man1/leukd.1.gz",
        "/usr/share/man/man1/leukd-serve.1.gz",
        "/usr/share/man/man5/leukd.toml.5.gz",
        "/usr/share/bash-completion/completions/leukd",
        "/usr/share/zsh/vendor-completions/_leukd",
        "/usr/share/fish/vendor_completions.d/leukd.fish",
        "/usr/share/doc/leukd/copyright",
        "/usr/share/doc/leukd/proto/leukd/v1/results.proto",
    ] {
        assert!(files.lines().any(|line| line == file), "{file}: {files}");
    }
    // The bill of materials, packed or not.
    assert!(files.contains("/usr/share/doc/leukd/leukd.cdx.json"), "{files}");
    let conffiles =
        machine.succeed(&["dpkg-query", "--show", "--showformat=${Conffiles}", "leukd"]);
    assert!(conffiles.contains("/etc/leukd/leukd.toml"), "{conffiles}");

    // At work, as its unit and the administrator's edit say.
    machine.succeed(&["groupadd", "microscope"]);
    machine.succeed(&["install", "-d", "-m", "750", "-g", "microscope", EXPORT]);
    machine.succeed(&[
        "install",
        "-D",
        "-m644",
        "/usr/share/doc/leukd/examples/export-folder.conf",
        "/etc/systemd/system/leukd.service.d/export-folder.conf",
    ]);
    let edited = machine
        .read("/etc/leukd/leukd.toml")
        .replace("#folders = []", &format!("folders = [\"{EXPORT}\"]"));
    assert!(edited.contains(EXPORT));
    machine.write("/etc/leukd/leukd.toml", 0o644, &edited);
    machine.succeed(&["leukd", "check"]);
    machine.succeed(&["systemctl", "daemon-reload"]);
    machine.succeed(&["systemctl", "enable", "--now", "leukd"]);
    export(&machine, 1);
    export(&machine, 2);
    let before = results(&machine, 2);
    let main = machine.property("MainPID");

    // Upgraded: it runs again, with the edit and with every result.
    let upgraded = machine.run(&["dpkg", "--install", "/root/second.deb"]);
    assert!(upgraded.status.success(), "{}", said(&upgraded));
    let version = machine.succeed(&["dpkg-query", "--show", "--showformat=${Version}", "leukd"]);
    assert_eq!(version, "99.0.0-1");
    assert_eq!(machine.read("/etc/leukd/leukd.toml"), edited);
    assert_eq!(machine.property("ActiveState"), "active", "{}", machine.log());
    assert_eq!(machine.property("UnitFileState"), "enabled");
    assert_ne!(machine.property("MainPID"), main);
    export(&machine, 3);
    let after = results(&machine, 3);
    assert_eq!(after[..2], before);
    assert_eq!(after[2].1, before[0].1, "the same journal");

    // Removed: the program is gone, and configuration and results are not.
    machine.succeed(&["dpkg", "--remove", "leukd"]);
    assert!(!machine.path("/usr/bin/leukd").exists());
    assert_eq!(machine.property("ActiveState"), "inactive");
    assert_eq!(machine.read("/etc/leukd/leukd.toml"), edited);
    assert!(machine.path("/var/lib/leukd/journal.sqlite").exists());

    // Purged: the configuration is gone, and the results are still not.
    let purged = machine.run(&["dpkg", "--purge", "leukd"]);
    assert!(purged.status.success(), "{}", said(&purged));
    assert!(said(&purged).contains("/var/lib/leukd are kept"), "{}", said(&purged));
    assert!(!machine.path("/etc/leukd").exists());
    assert!(machine.path("/var/lib/leukd/journal.sqlite").exists());

    // And whoever installs it again finds them.
    machine.succeed(&["dpkg", "--install", "/root/first.deb"]);
    machine.succeed(&["systemctl", "start", "leukd"]);
    assert_eq!(results(&machine, 3), after);
}
