//! An export folder that cannot be read, fails, or goes away.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use leukd::grpc::proto::GetHeatMapRequest;
use leukd::grpc::proto::explainer_client::ExplainerClient;
use leukd::grpc::proto::get_heat_map_request::By;
use rustix::process::{Pid, Signal};

use crate::ready::{Mount, all_once, degraded, is_root, newest, run, skip};
use crate::support::bounded::InTime as _;
use crate::support::process::{Process, serve_command};
use crate::support::{ALL, Folders, cell_of, path_of, until};

/// Somebody without rights: `nobody` on every Linux.
const NOBODY: u32 = 65_534;

fn drop_captures(folders: &Folders, numbers: std::ops::Range<u64>) {
    for number in numbers {
        folders.drop_capture(&format!("{number}.bmp"), &cell_of(ALL, number));
    }
}

async fn is_degraded(process: &Process) -> String {
    until("a degraded folder", async || degraded(process, "folder").await).await
}

async fn is_healthy(process: &Process) {
    until("a healthy folder", async || degraded(process, "folder").await.is_none().then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_may_not_be_read_any_more_is_told_and_its_captures_come_later() {
    if !is_root() {
        return skip("only the superuser may start a daemon as another user");
    }
    let folders = Folders::new();
    run(Command::new("chown").args(["-R", "65534:65534"]).arg(folders.root.path()));
    run(Command::new("chmod").arg("-R").arg("a+rX").arg(folders.root.path()));
    let mut command = serve_command(&folders, |_| {});
    command.uid(NOBODY).gid(NOBODY);
    let process = Process::spawn(command);
    drop_captures(&folders, 0..10);
    all_once(&process, 10).await;
    let allow =
        |mode| fs::set_permissions(&folders.export, fs::Permissions::from_mode(mode)).unwrap();
    allow(0o000);
    drop_captures(&folders, 10..20);
    let told = is_degraded(&process).await;
    assert!(told.contains("ermission"), "{told}");
    assert_eq!(newest(&process).await, Some(10), "nothing is thought of as deleted");
    allow(0o755);
    all_once(&process, 20).await;
    is_healthy(&process).await;
}

/// strace, which changes what the kernel answers to some of a process' calls on one path, until it
/// is dropped.
struct Faulty(Child);

impl Faulty {
    /// None where there is no strace.
    async fn on(path: &Path, process: &Process, calls: &str, fault: &str) -> Option<Self> {
        Command::new("strace").arg("-V").in_time().ok()?;
        let strace = Command::new("strace")
            .args(["--follow-forks", "--quiet=all", "-o", "/dev/null"])
            .args(["-e", &format!("trace={calls}"), "-e", &format!("inject={calls}:{fault}")])
            .arg("-P")
            .arg(path)
            .args(["-p", &process.id().to_string()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let strace = Self(strace);
        until("strace", async || {
            let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
            let line = status.lines().find(|line| line.starts_with("TracerPid:")).unwrap();
            (!line.ends_with("\t0")).then_some(())
        })
        .await;
        Some(strace)
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(Pid::from_child(&self.0), Signal::TERM);
        self.0.in_time();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn io_errors_on_the_folder_are_told_and_its_captures_come_when_they_end() {
    let folders = Folders::new();
    let process = Process::serve(&folders);
    drop_captures(&folders, 0..10);
    all_once(&process, 10).await;
    let calls = "getdents64,read,pread64,readv,statx,newfstatat,openat";
    let Some(faulty) = Faulty::on(&folders.export, &process, calls, "error=EIO").await else {
        return skip("strace is not installed");
    };
    let told = is_degraded(&process).await;
    assert!(told.contains("os error 5") || told.contains("Input/output"), "{told}");
    drop_captures(&folders, 10..20);
    assert_eq!(newest(&process).await, Some(10));
    drop(faulty);
    all_once(&process, 20).await;
    is_healthy(&process).await;
}

/// Reading the captures themselves fails while the folder can be listed.
#[tokio::test(flavor = "multi_thread")]
async fn io_errors_in_a_capture_make_it_wait_and_stop_no_other() {
    let folders = Folders::new();
    let process = Process::serve(&folders);
    drop_captures(&folders, 0..5);
    all_once(&process, 5).await;
    let bad = folders.export.join("bad.bmp");
    let Some(faulty) = Faulty::on(&bad, &process, "read,pread64", "error=EIO").await else {
        return skip("strace is not installed");
    };
    fs::write(&bad, cell_of(ALL, 77)).unwrap();
    drop_captures(&folders, 5..10);
    until("the others", async || newest(&process).await.filter(|newest| *newest >= 10)).await;
    // Longer than broken_after: a disk's fault is no fault of the file, so it is not rejected.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(newest(&process).await, Some(10));
    drop(faulty);
    all_once(&process, 11).await;
}

/// A share that does not answer: whoever asks for a heat map hears so, and nothing else waits for
/// it.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_reading_hangs_is_told_to_whoever_asks_and_stops_nothing_else() {
    let folders = Folders::new();
    let process = Process::serve(&folders);
    drop_captures(&folders, 0..3);
    let results = all_once(&process, 3).await;
    let sequence_of = |name: &str| {
        results.iter().find(|result| path_of(result).ends_with(name)).unwrap().sequence
    };
    let (hanging, other) = (sequence_of("0.bmp"), sequence_of("1.bmp"));
    let file = folders.export.join("0.bmp");
    // A minute, in microseconds: longer than leukd's patience.
    let Some(faulty) = Faulty::on(&file, &process, "read,pread64", "delay_enter=60000000").await
    else {
        return skip("strace is not installed");
    };
    let ask = async |sequence| {
        let url = format!("http://{}", process.address);
        let mut explainer = ExplainerClient::connect(url).await.unwrap();
        let by = Some(By::Sequence(sequence));
        let asked = explainer.get_heat_map(GetHeatMapRequest { by, ..Default::default() });
        tokio::time::timeout(Duration::from_secs(40), asked).await.expect("an answer in time")
    };
    let told = ask(hanging).await.unwrap_err();
    assert!(told.message().contains("0.bmp") && told.message().contains("not answer"), "{told}");
    ask(other).await.expect("another file's map");
    drop_captures(&folders, 3..6);
    all_once(&process, 6).await;
    drop(faulty);
    let map = until("the map", async || ask(hanging).await.ok()).await;
    assert!(map.get_ref().heat_map.is_some());
}

async fn unmounted_and_mounted_again(require_mount: bool) {
    if !is_root() {
        return skip("only the superuser may mount");
    }
    let folders = Folders::new();
    let share = folders.root.path().join("share");
    fs::create_dir(&share).unwrap();
    let mounted = Mount::bind(&share, &folders.export);
    let process = Process::serve_with(&folders, |settings| {
        settings.watch.require_mount = require_mount;
    });
    drop_captures(&folders, 0..10);
    let before = all_once(&process, 10).await;
    drop(mounted);
    assert_eq!(fs::read_dir(&folders.export).unwrap().count(), 0, "it is unmounted");
    if require_mount {
        let told = is_degraded(&process).await;
        assert!(told.contains("mount"), "{told}");
    } else {
        crate::ready::settled(&process).await;
    }
    // The microscope goes on writing to the share meanwhile.
    for number in 10..20 {
        fs::write(share.join(format!("{number}.bmp")), cell_of(ALL, number)).unwrap();
    }
    assert_eq!(newest(&process).await, Some(10));
    let _mounted = Mount::bind(&share, &folders.export);
    let after = all_once(&process, 20).await;
    assert_eq!(after[..10], before[..]);
    is_healthy(&process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unmounted_share_is_told_and_goes_on_when_it_is_back() {
    unmounted_and_mounted_again(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_need_not_be_mounted_looks_empty_and_nothing_comes_twice() {
    unmounted_and_mounted_again(false).await;
}
