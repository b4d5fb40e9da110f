//! The shipped unit at work, under each of its limits: a real systemd starts it on a machine of the
//! test's own.
//!
//! Skipped where this machine lets no other be booted (not root, no systemd, no namespaces);
//! `tests/machine/units.rs` reads the unit without starting it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use crate::bounded::{InTime as _, PATIENCE};

use crate::boot::{Machine, SOURCE, said, until};
use leukd::cell::synthetic::{self, Kind};
use leukd::grpc::proto::ClassifyRequest;
use leukd::grpc::proto::classifier_client::ClassifierClient;

const LEUKD: &str = env!("CARGO_BIN_EXE_leukd");
const EXPORT: &str = "/srv/microscope/export";

/// A capture that no other seed has.
fn capture(seed: u64) -> Vec<u8> {
    let kind = if seed.is_multiple_of(2) { Kind::Blast } else { Kind::Normal };
    synthetic::bmp(&synthetic::cell(seed, kind))
}

/// A machine with leukd installed as docs/guide/install.md says, and an export folder that one
/// group may read.
async fn installed() -> Option<Machine> {
    let machine = Machine::boot().await?;
    machine.copy(LEUKD, "/usr/bin/leukd", 0o755);
    for (from, to) in [
        ("leukd.service", "/etc/systemd/system/leukd.service"),
        ("leukd.sysusers", "/usr/lib/sysusers.d/leukd.conf"),
        ("leukd.tmpfiles", "/usr/lib/tmpfiles.d/leukd.conf"),
    ] {
        machine.copy(format!("{SOURCE}/systemd/{from}"), to, 0o644);
    }
    machine.succeed(&["systemd-sysusers", "leukd.conf"]);
    machine.succeed(&["systemd-tmpfiles", "--create", "leukd.conf"]);
    let settings = format!("[watch]\nfolders = [\"{EXPORT}\"]\nsettle_interval = \"50ms\"\n");
    machine.write("/etc/leukd/leukd.toml", 0o644, settings);
    machine.succeed(&["groupadd", "microscope"]);
    example(&machine, "export-folder");
    Some(machine)
}

/// Installs one of the shipped drop-ins.
fn example(machine: &Machine, name: &str) {
    let from = format!("{SOURCE}/systemd/examples/{name}.conf");
    machine.copy(from, &format!("/etc/systemd/system/leukd.service.d/{name}.conf"), 0o644);
    machine.succeed(&["systemctl", "daemon-reload"]);
}

/// The test's own drop-in.
fn drop_in(machine: &Machine, settings: &str) {
    let text = format!("[Service]\n{settings}\n");
    machine.write("/etc/systemd/system/leukd.service.d/test.conf", 0o644, text);
    machine.succeed(&["systemctl", "daemon-reload"]);
}

fn make_export(machine: &Machine) {
    machine.succeed(&["install", "-d", "-m", "750", "-g", "microscope", EXPORT]);
}

/// Writes a capture whole, as the microscope's own user does: others may not read it.
fn export(machine: &Machine, name: &str, bytes: &[u8]) {
    let path = machine.path(&format!("{EXPORT}/{name}"));
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    machine.succeed(&["chgrp", "microscope", &format!("{EXPORT}/{name}")]);
}

/// The first `count` results.
fn results(machine: &Machine, count: usize) -> Vec<String> {
    let count = count.to_string();
    let lines = machine.succeed(&["leukd", "tail", "--earliest", "--json", "--count", &count]);
    lines.lines().filter(|line| line.contains("\"result\"")).map(str::to_owned).collect()
}

/// Waits until a model serves.
async fn serving(machine: &Machine) {
    until("a model that serves", || {
        machine.property("StatusText").starts_with("serving on").then_some(())
    })
    .await;
}

/// A limit of a process inside, as /proc tells it.
fn limit(machine: &Machine, process: &str, name: &str, column: usize) -> u64 {
    let limits = machine.read(&format!("/proc/{process}/limits"));
    let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().nth(column).unwrap().parse().unwrap_or(u64::MAX)
}

/// A shell inside what leukd sees of the file system, as its user and with its groups.
fn as_leukd(machine: &Machine, script: &str) -> Output {
    let main = machine.property("MainPID");
    let user = ["setpriv", "--reuid=leukd", "--regid=leukd", "--groups=microscope", "bash", "-c"];
    let enter = ["nsenter", "--mount", "--target", &main];
    machine.run(&[&enter[..], &user[..], &[script]].concat())
}

#[tokio::test]
async fn the_daemon_does_all_its_work_with_every_other_system_call_deadly() {
    let Some(machine) = installed().await else { return };
    // The unit answers EPERM, which a program may never show; here it would die of SIGSYS.
    drop_in(&machine, "SystemCallErrorNumber=kill");
    make_export(&machine);
    machine.succeed(&["systemctl", "start", "leukd"]);
    serving(&machine).await;
    for seed in 0..12 {
        export(&machine, &format!("{seed}.bmp"), &capture(seed));
    }
    let cell = synthetic::cell(50, Kind::Blast);
    for name in ["50.png", "50.tiff", "50.jpg"] {
        let mut bytes = std::io::Cursor::new(Vec::new());
        cell.write_to(&mut bytes, image::ImageFormat::from_path(name).unwrap()).unwrap();
        export(&machine, name, bytes.get_ref());
    }
    assert_eq!(results(&machine, 15).len(), 15);
    // Requests, in a process that shares nothing with the other machine but its network.
    let asked = machine
        .in_its_network(&std::env::current_exe().unwrap())
        .args(["--exact", "confined::child_asks_for_classifications", "--ignored"])
        .in_time()
        .unwrap();
    assert!(asked.status.success(), "{}\n{}", said(&asked), machine.log());
    for command in [
        &["leukd", "status"][..],
        &["leukd", "results"],
        &["leukd", "model", "show"],
        &["leukd", "reload"],
        &["systemctl", "reload", "leukd"],
        &["systemctl", "stop", "leukd"],
    ] {
        machine.succeed(command);
    }
    let ended = ["Result", "ExecMainStatus", "NRestarts"].map(|name| machine.property(name));
    assert_eq!(ended, ["success", "0", "0"], "{}", machine.log());
}

#[tokio::test]
#[ignore = "runs in the child of the_daemon_does_all_its_work_with_every_other_system_call_deadly"]
async fn child_asks_for_classifications() {
    let mut client = ClassifierClient::connect("http://127.0.0.1:50051").await.unwrap();
    let request = |seed| ClassifyRequest { image: capture(seed), ..Default::default() };
    let one = tokio::time::timeout(PATIENCE, client.classify(request(100))).await;
    one.expect("an answer in time").unwrap();
    let requests = tokio_stream::iter((101..109).map(request));
    let mut answers = client.classify_stream(requests).await.unwrap().into_inner();
    let all = async {
        let mut count = 0;
        while answers.message().await.unwrap().is_some() {
            count += 1;
        }
        count
    };
    let count = tokio::time::timeout(PATIENCE, all).await.expect("the stream ends in time");
    assert_eq!(count, 8);
}

#[tokio::test]
async fn the_daemon_holds_no_right_but_to_read_captures_and_write_its_state() {
    let Some(machine) = installed().await else { return };
    make_export(&machine);
    machine.succeed(&["systemctl", "start", "leukd"]);
    let main = machine.property("MainPID");
    let status = machine.read(&format!("/proc/{main}/status"));
    for line in [
        "CapPrm:\t0000000000000000",
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "CapAmb:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        assert!(status.lines().any(|found| found == line), "{line}: {status}");
    }
    // A user namespace of its own: root, leukd and nobody else.
    assert_eq!(machine.read(&format!("/proc/{main}/uid_map")).lines().count(), 2);
    assert_eq!(machine.read(&format!("/proc/{main}/oom_score_adj")).trim(), "300");
    // Where root itself may not go above a limit (in some virtual machines), systemd gives what it
    // can.
    let most = limit(&machine, "1", "Max open files", 1);
    assert_eq!(limit(&machine, &main, "Max open files", 0), most.min(65_536));
    assert_eq!(limit(&machine, &main, "Max core file size", 0), 0);
    // In its own file system: all is read-only but its state, whence nothing is executed.
    let touched = as_leukd(&machine, &format!("touch /etc/x /usr/x /srv/x {EXPORT}/x"));
    let refusals = said(&touched).matches("Read-only file system").count();
    assert_eq!(refusals, 4, "{}", said(&touched));
    let kept = as_leukd(&machine, "cp /bin/true /var/lib/leukd/x && /var/lib/leukd/x");
    assert!(said(&kept).contains("Permission denied"), "{}", said(&kept));
    let others = as_leukd(&machine, "ls /home /root; cat /proc/cpuinfo /proc/1/status");
    assert!(others.stdout.is_empty(), "{}", said(&others));
    // Its control group may send to this machine alone.
    machine.succeed(&["ip", "address", "add", "192.0.2.1/24", "dev", "lo"]);
    let group = machine.property("ControlGroup");
    let send = |address: &str| {
        let script = format!(
            "at=/sys/fs/cgroup; [ -e $at/unified ] && at=$at/unified; \
             echo $$ > $at{group}/cgroup.procs && echo sent > /dev/udp/{address}/9 && echo sent"
        );
        said(&machine.run(&["bash", "-c", &script]))
    };
    assert_eq!(send("127.0.0.1"), "sent\n");
    assert!(send("192.0.2.1").contains("Operation not permitted"), "{}", send("192.0.2.1"));
    example(&machine, "lab-network");
    machine.succeed(&["systemctl", "restart", "leukd"]);
    assert_eq!(send("192.0.2.1"), "sent\n");
}

#[tokio::test]
async fn an_export_folder_that_comes_after_the_start_is_found() {
    let Some(machine) = installed().await else { return };
    machine.succeed(&["systemctl", "start", "leukd"]);
    assert!(machine.succeed(&["leukd", "status"]).contains(EXPORT));
    // Made now, and then a share is mounted over it.
    make_export(&machine);
    export(&machine, "1.bmp", &capture(1));
    assert_eq!(results(&machine, 1).len(), 1);
    machine.succeed(&["mount", "-t", "tmpfs", "-o", "mode=755", "share", EXPORT]);
    export(&machine, "2.bmp", &capture(2));
    export(&machine, "3.bmp", &capture(3));
    assert_eq!(results(&machine, 3).len(), 3);
}

#[tokio::test]
async fn a_reload_is_over_when_systemctl_returns_and_its_outcome_is_told() {
    let Some(machine) = installed().await else { return };
    machine.succeed(&["systemctl", "start", "leukd"]);
    serving(&machine).await;
    machine.succeed(&["systemctl", "reload", "leukd"]);
    assert!(machine.property("StatusText").ends_with("model reloaded"), "{}", machine.log());
    // A bundle that is none: told, and the model before goes on.
    let bundle = "/etc/leukd/models/now.onnx";
    machine.copy(format!("{SOURCE}/models/default.onnx"), bundle, 0o644);
    let settings = format!("[model]\nbundle = \"{bundle}\"\nallow_unsigned = [\"now.onnx\"]\n");
    machine.write("/etc/leukd/leukd.toml", 0o644, settings);
    machine.succeed(&["systemctl", "restart", "leukd"]);
    serving(&machine).await;
    machine.write(bundle, 0o644, "no bundle");
    machine.succeed(&["systemctl", "reload", "leukd"]);
    assert!(machine.property("StatusText").contains("reload failed"), "{}", machine.log());
    assert_eq!(machine.property("ActiveState"), "active");
    assert!(machine.succeed(&["leukd", "model", "show"]).contains("leukd-b3"));
}

#[tokio::test]
async fn what_dies_or_hangs_is_started_again_and_what_is_misconfigured_is_not() {
    let Some(machine) = installed().await else { return };
    drop_in(&machine, "WatchdogSec=2s\nRestartSec=100ms");
    make_export(&machine);
    machine.succeed(&["systemctl", "start", "leukd"]);
    export(&machine, "1.bmp", &capture(1));
    assert_eq!(results(&machine, 1).len(), 1);
    let restarts = |count: &'static str| {
        let machine = &machine;
        async move {
            until("another start", || {
                let again = machine.property("NRestarts") == count;
                (again && machine.property("ActiveState") == "active").then_some(())
            })
            .await;
        }
    };
    machine.succeed(&["systemctl", "kill", "--signal=KILL", "leukd"]);
    restarts("1").await;
    // Stopped, it feeds no watchdog.
    machine.succeed(&["systemctl", "kill", "--signal=STOP", "leukd"]);
    restarts("2").await;
    export(&machine, "2.bmp", &capture(2));
    assert_eq!(results(&machine, 2).len(), 2);
    machine.succeed(&["systemctl", "stop", "leukd"]);
    machine.write("/etc/leukd/leukd.toml", 0o644, "[watch]\nfolder = \"/srv\"\n");
    assert!(!machine.run(&["systemctl", "start", "leukd"]).status.success());
    until("an end without another start", || {
        (machine.property("ActiveState") == "failed").then_some(())
    })
    .await;
    assert_eq!(machine.property("ExecMainStatus"), "78", "{}", machine.log());
    assert!(machine.log().contains("leukd.toml"), "{}", machine.log());
}

/// The guide's own commands, under the unit: the key as a credential that only systemd can read,
/// the access file as `leukd token new` makes it.
#[tokio::test]
async fn the_guides_tls_and_tokens_work_with_other_system_calls_deadly() {
    let Some(machine) = installed().await else { return };
    drop_in(&machine, "SystemCallErrorNumber=kill");
    example(&machine, "credentials");
    make_export(&machine);
    let guide = std::fs::read_to_string(format!("{SOURCE}/docs/guide/access.md")).unwrap();
    let (_, from) = guide.split_once("best on another machine:\n\n```sh\n").unwrap();
    let (commands, _) = from.split_once("```").unwrap();
    assert_eq!(commands.lines().count(), 2);
    let commands = commands.replace("10.0.3.7", "127.0.0.1");
    let script = format!("set -e; mkdir /etc/leukd/tls; cd /etc/leukd/tls; {commands}");
    machine.succeed(&["bash", "-c", &script]);
    machine.succeed(&["chmod", "600", "/etc/leukd/tls/server.key"]);
    let settings = format!(
        "[watch]\nfolders = [\"{EXPORT}\"]\nsettle_interval = \"50ms\"\n\
         [tls]\ncertificate = \"/etc/leukd/tls/server.pem\"\nkey = \"credential:tls.key\"\n\
         [access]\nfile = \"/etc/leukd/access.toml\"\n"
    );
    machine.write("/etc/leukd/leukd.toml", 0o644, settings);
    let token = machine.succeed(&["leukd", "token", "new", "lims", "--scope", "read,admin"]);
    machine.write("/root/lims.token", 0o600, token);
    machine.succeed(&["systemctl", "start", "leukd"]);
    serving(&machine).await;
    let ask = |what: &[&str], more: &[&str]| {
        let server = ["--server", "https://127.0.0.1:50051", "--ca", "/etc/leukd/tls/ca.pem"];
        machine.run(&[&["leukd"], what, &server[..], more].concat())
    };
    let shown = ["--token-file", "/root/lims.token"];
    let nobody = ask(&["status"], &[]);
    assert_eq!(nobody.status.code(), Some(77), "{}", said(&nobody));
    export(&machine, "1.bmp", &capture(1));
    let tail = ["tail", "--earliest", "--json", "--count", "1"];
    for what in [&["status"][..], &tail, &["reload"], &["log-level", "info"]] {
        let answered = ask(what, &shown);
        assert!(answered.status.success(), "{what:?}: {}\n{}", said(&answered), machine.log());
    }
    machine.succeed(&["leukd", "token", "revoke", "lims"]);
    until("the end of the token", || {
        (ask(&["status"], &shown).status.code() == Some(77)).then_some(())
    })
    .await;
    machine.succeed(&["systemctl", "stop", "leukd"]);
    let ended = ["Result", "ExecMainStatus", "NRestarts"].map(|name| machine.property(name));
    assert_eq!(ended, ["success", "0", "0"], "{}", machine.log());
}

#[tokio::test]
async fn a_capture_in_hand_at_two_deaths_is_tried_under_the_units_limits_and_has_its_result() {
    let Some(machine) = installed().await else { return };
    drop_in(&machine, "SystemCallErrorNumber=kill\nRestartSec=100ms");
    make_export(&machine);
    machine.succeed(&["systemctl", "start", "leukd"]);
    serving(&machine).await;
    // So large that it is in hand for a second or more.
    let large = image::RgbImage::from_fn(6_000, 6_000, |x, y| {
        let inside = (2_000..4_000).contains(&x) && (2_000..4_000).contains(&y);
        if inside { image::Rgb([140, 100, 150]) } else { image::Rgb([0; 3]) }
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    large.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    export(&machine, "large.png", bytes.get_ref());
    for death in ["1", "2"] {
        until("the capture in a worker's hands", || {
            let marks = std::fs::read_dir(machine.path("/var/lib/leukd/marks")).ok()?;
            let mut texts = marks.filter_map(|mark| std::fs::read(mark.ok()?.path()).ok());
            texts.any(|text| text.windows(9).any(|part| part == b"large.png")).then_some(())
        })
        .await;
        machine.succeed(&["systemctl", "kill", "--signal=KILL", "leukd"]);
        until("another start", || {
            let again = machine.property("NRestarts") == death;
            (again && machine.property("ActiveState") == "active").then_some(())
        })
        .await;
    }
    let results = results(&machine, 1);
    assert!(!results[0].contains("crashed"), "{results:?}\n{}", machine.log());
}
