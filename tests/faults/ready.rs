//! What the fault tests share: questions to a daemon, and what this machine lets a test do.

use std::path::{Path, PathBuf};
use std::process::Command;

use leukd::grpc::proto;

use crate::support::bounded::InTime as _;
use crate::support::process::Process;
use crate::support::{all_results, assert_gapless, path_of, until};

/// Says that a test does nothing here, and why. On a machine that is said to have everything that
/// is a failure.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var("LEUKD_REQUIRE_FAULTS").as_deref() != Ok("1"), "skipped: {why}");
    println!("skipped: {why}");
}

/// Mounts, control groups and other users are the superuser's.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The newest sequence; none while the daemon does not answer.
pub(crate) async fn newest(process: &Process) -> Option<u64> {
    let url = format!("http://{}", process.address);
    let mut control = proto::control_client::ControlClient::connect(url).await.ok()?;
    let status = control.get_status(proto::GetStatusRequest {}).await.ok()?;
    Some(status.into_inner().journal?.newest)
}

/// What is degraded, with its words.
pub(crate) async fn degraded(process: &Process, component: &str) -> Option<String> {
    let status = process.control().await.get_status(proto::GetStatusRequest {}).await.ok()?;
    let degraded = status.into_inner().degraded;
    degraded.into_iter().find(|what| what.component == component).map(|what| what.message)
}

/// Waits until so many results are stored, then until nothing is left to do, and gives them all:
/// without holes, each of its own path, none rejected.
pub(crate) async fn all_once(process: &Process, count: usize) -> Vec<proto::Result> {
    let wanted = count as u64;
    until(&format!("{count} results"), async || {
        newest(process).await.filter(|newest| *newest >= wanted)
    })
    .await;
    settled(process).await;
    let results = all_results(process.results().await).await;
    assert_gapless(&results);
    assert_eq!(results.len(), count);
    let mut paths: Vec<_> = results.iter().map(path_of).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), count, "a capture has two results");
    for result in &results {
        assert_ne!(result.decision(), proto::Decision::Rejected, "{result:?}");
    }
    results
}

/// Waits until no folder has anything left and a whole scan has gone by since.
pub(crate) async fn settled(process: &Process) {
    let mut last = None;
    let mut scans = 0;
    until("an idle daemon", async || {
        let status = process.control().await.get_status(proto::GetStatusRequest {}).await.ok()?;
        let status = status.into_inner();
        let busy = status.folders.iter().any(|folder| folder.settling + folder.queued > 0)
            || status.queues.is_some_and(|queues| queues.busy + queues.backlog > 0);
        let scan = status.folders.first().and_then(|folder| folder.last_scan_at);
        if busy {
            scans = 0;
        } else if scan != last {
            scans += 1;
        }
        last = scan;
        (scans >= 3).then_some(())
    })
    .await;
}

/// Resident memory of a process in bytes, as the kernel counts it.
pub(crate) fn resident(process: &Process) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).expect("a live process");
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Processor time that a process has used, in ticks of 10 ms.
pub(crate) fn ticks(process: &Process) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    let (_, after) = text.rsplit_once(')').unwrap();
    let field = |number: usize| after.split_whitespace().nth(number).unwrap().parse::<u64>();
    field(11).unwrap() + field(12).unwrap()
}

/// A mount that ends with the test.
pub(crate) struct Mount(PathBuf);

impl Mount {
    /// A file system in memory of so many bytes.
    pub(crate) fn memory(at: &Path, bytes: u64) -> Self {
        let options = format!("size={bytes},mode=0777");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at));
        Self(at.to_owned())
    }

    /// `of`, once more at `at`.
    pub(crate) fn bind(of: &Path, at: &Path) -> Self {
        run(Command::new("mount").arg("--bind").arg(of).arg(at));
        Self(at.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).in_time();
    }
}

/// Runs a program that must succeed.
pub(crate) fn run(command: &mut Command) {
    let output = command.in_time().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
