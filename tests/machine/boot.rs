//! A machine of its own for a test, with systemd as its PID 1 (`boot.sh`): there the shipped unit
//! runs as it will run, under each of its limits. Where this machine lets no such machine be, a
//! test says so and ends.
#![allow(clippy::print_stderr, unreachable_pub)]

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::bounded::InTime as _;

/// No test waits longer for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);
const BOOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/machine/boot.sh");
/// The repository, where the files to be installed lie.
pub const SOURCE: &str = env!("CARGO_MANIFEST_DIR");

static BOOTED: AtomicU32 = AtomicU32::new(0);

/// A running machine. Dropped, it is gone, and with it all that was done in it.
pub struct Machine {
    child: Child,
    /// Its PID 1, as this machine counts.
    init: u32,
    /// Of its control groups.
    name: String,
    folder: TempDir,
}

impl Machine {
    /// Boots one; none where this machine lets none be, and then standard error says why.
    pub async fn boot() -> Option<Self> {
        if let Some(why) = missing() {
            eprintln!("skipped: {why}");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let count = BOOTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("leukd-test-{}-{count}", std::process::id());
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let own = folder.path().join("machine");
        std::fs::DirBuilder::new().mode(0o755).create(&own).unwrap();
        let child = Command::new(BOOT)
            .arg("start")
            .args([own.as_os_str(), name.as_ref()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut machine = Self { child, init: 0, name, folder };
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(init) = machine.first_child() {
                machine.init = init;
                // Until the namespaces stand there is no systemctl to ask, or it is this machine's
                // own.
                if machine.is_apart()
                    && machine
                        .run(&["systemctl", "is-active", "leukd-test.target"])
                        .status
                        .success()
                {
                    return Some(machine);
                }
            }
            let ended = machine.child.try_wait().unwrap();
            if ended.is_some() || std::time::Instant::now() > deadline {
                let said = std::fs::read_to_string(machine.folder.path().join("log")).unwrap();
                eprintln!("skipped: no machine boots here ({ended:?}): {said}");
                return None;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn first_child(&self) -> Option<u32> {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    /// Whether its PID 1 is systemd already, on a file system of its own.
    fn is_apart(&self) -> bool {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", self.init));
        name.is_ok_and(|name| name.trim() == "systemd")
    }

    /// A path inside, as seen from here.
    pub fn path(&self, inside: &str) -> PathBuf {
        Path::new(&format!("/proc/{}/root", self.init)).join(inside.trim_start_matches('/'))
    }

    /// Writes a file inside; the folders above it are made.
    pub fn write(&self, inside: &str, mode: u32, bytes: impl AsRef<[u8]>) {
        let path = self.path(inside);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Copies a file into it.
    pub fn copy(&self, from: impl AsRef<Path>, inside: &str, mode: u32) {
        self.write(inside, mode, std::fs::read(from).unwrap());
    }

    /// Reads a file inside.
    pub fn read(&self, inside: &str) -> String {
        std::fs::read_to_string(self.path(inside)).unwrap()
    }

    /// A command inside, as root, in bounded time.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.init.to_string()])
            .args(["--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup"])
            .args(["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"])
            .args(["timeout", "--kill-after=5", &PATIENCE.as_secs().to_string()])
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command inside.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).in_time().unwrap()
    }

    /// Runs a command inside that must succeed; what it wrote on standard output.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}\n{}", said(&output), self.log());
        String::from_utf8(output.stdout).unwrap()
    }

    /// A program of this machine, in the other one's network only.
    pub fn in_its_network(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init.to_string(), "--net"]).arg(program);
        command
    }

    /// The last lines that leukd logged.
    pub fn log(&self) -> String {
        let output =
            self.run(&["journalctl", "--unit=leukd", "--no-pager", "--lines=40", "--output=cat"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A property of leukd's unit.
    pub fn property(&self, name: &str) -> String {
        let value = self.succeed(&["systemctl", "show", "leukd", "--value", "--property", name]);
        value.trim().to_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With unshare ends its child, and with a PID 1 all that stands below it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = Command::new(BOOT).args(["remove", &self.name]).in_time();
    }
}

/// Why no machine can be booted here, if so.
fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root may boot a machine".to_owned());
    }
    if !Path::new("/lib/systemd/systemd").exists() {
        return Some("there is no systemd here".to_owned());
    }
    ["unshare", "nsenter", "setpriv", "ip"]
        .into_iter()
        .find(|tool| Command::new(tool).arg("-V").in_time().is_err())
        .map(|tool| format!("{tool} is not installed"))
}

/// All that a command wrote.
pub fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .join("")
}

/// Tries until `wanted` gives something, in bounded time.
pub async fn until<T>(what: &str, mut wanted: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = wanted() {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
