//! A real share: Samba, written to over SMB as microscope software does and mounted through FUSE
//! (the kernel of a test machine may have no cifs), and the same through sshfs.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use leukd::config::units::Span;
use leukd::grpc::proto::{self, Decision};
use sha2::{Digest as _, Sha256};

use crate::ready::{is_root, newest, run, settled, skip};
use crate::support::bounded::InTime as _;
use crate::support::process::{Process, serve_command};
use crate::support::{ALL, Folders, HEM, all_results, cell_of, sha256_of, until};

/// Captures of a burst; `LEUKD_BURST` makes it another.
const BURST: u64 = 300;

/// A program that a share needs, until the test ends.
struct Helper(Child);

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A mount through FUSE.
struct Mounted {
    at: PathBuf,
    // Ends after the mount.
    _program: Helper,
}

impl Mounted {
    /// Waits until a program has mounted something here.
    async fn by(mut program: Command, at: &Path) -> Self {
        let child = program.stdout(Stdio::null()).stdin(Stdio::null()).spawn().unwrap();
        let mounted = Self { at: at.to_owned(), _program: Helper(child) };
        until("the mount", async || {
            let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
            mounts.contains(&format!(" {} fuse.", at.display())).then_some(())
        })
        .await;
        mounted
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("fusermount3").arg("-uz").arg(&self.at).in_time();
    }
}

/// Whether these programs and FUSE are here.
fn are_here(programs: &[&str]) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/lib/openssh";
    let is_here = |program: &&str| path.split(':').any(|own| Path::new(own).join(program).exists());
    programs.iter().all(is_here) && Path::new("/dev/fuse").exists()
}

/// How the microscope's computer writes.
enum Writer {
    /// Over SMB, to the Samba that listens at this port.
    Smb { port: u16 },
    /// With programs of the computer whose folder it is.
    Local,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The share as the microscope's computer sees it.
struct Share {
    folder: PathBuf,
    writer: Writer,
    /// What must have a result each, by digest: the file that it was in.
    wanted: BTreeMap<String, String>,
}

impl Share {
    /// Runs commands of smbclient.
    fn client(&self, port: u16, commands: &str) -> Command {
        let mut client = Command::new("smbclient");
        client.args(["//127.0.0.1/export", "-N", "-s", "/dev/null", "-p", &port.to_string()]);
        client.args(["-c", commands]);
        // What is written comes from beside the folder.
        client.current_dir(self.folder.parent().unwrap());
        client
    }

    fn smb(&self, port: u16, commands: &str) {
        run(&mut self.client(port, commands));
    }

    fn want(&mut self, name: &str, bytes: &[u8]) {
        self.wanted.insert(hex(&Sha256::digest(bytes)), name.to_owned());
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// All of a file in one go, also over one that is there.
    fn put(&mut self, name: &str, bytes: &[u8]) {
        match self.writer {
            Writer::Smb { port } => {
                std::fs::write(self.folder.parent().unwrap().join("out"), bytes).unwrap();
                self.smb(port, &format!("put out {name}"));
            }
            Writer::Local => std::fs::write(self.file(name), bytes).unwrap(),
        }
        self.want(name, bytes);
    }

    /// Creates a file, writes a part of it, and gives what writes the rest.
    fn begin(&self, name: &str, bytes: &[u8]) -> (Option<Child>, Box<dyn std::io::Write>) {
        let (child, mut to): (_, Box<dyn std::io::Write>) = match self.writer {
            Writer::Smb { port } => {
                let mut client = self.client(port, &format!("put - {name}"));
                let mut child = client.stdin(Stdio::piped()).spawn().unwrap();
                let stdin = child.stdin.take().unwrap();
                (Some(child), Box::new(stdin))
            }
            Writer::Local => (None, Box::new(std::fs::File::create(self.file(name)).unwrap())),
        };
        to.write_all(&bytes[..bytes.len() / 2]).unwrap();
        to.flush().unwrap();
        (child, to)
    }

    fn rename(&mut self, from: &str, to: &str) {
        match self.writer {
            Writer::Smb { port } => self.smb(port, &format!("rename {from} {to}")),
            Writer::Local => std::fs::rename(self.file(from), self.file(to)).unwrap(),
        }
    }

    fn delete(&mut self, name: &str) {
        match self.writer {
            Writer::Smb { port } => self.smb(port, &format!("del {name}")),
            Writer::Local => std::fs::remove_file(self.file(name)).unwrap(),
        }
    }
}

/// A daemon on the mounted share.
fn serve(folders: &Folders, mount: &Path) -> Process {
    Process::spawn(serve_command(folders, |settings| {
        settings.watch.folders = vec![mount.to_owned()];
        settings.watch.require_mount = true;
        settings.watch.settle_interval = Span::from_millis(300);
        settings.watch.poll_interval = Span::from_millis(300);
        // What stays half is no result within this test.
        settings.watch.broken_after = Span::from_secs(600);
    }))
}

/// Waits until each wanted capture has its result, and nothing else has one.
async fn each_once(daemon: &Process, share: &Share, what: &str) {
    let wanted = share.wanted.len() as u64;
    until(what, async || newest(daemon).await.filter(|newest| *newest >= wanted)).await;
    let results: Vec<proto::Result> = all_results(daemon.results().await).await;
    for result in &results {
        assert_ne!(result.decision(), Decision::Rejected, "{what}: {result:?}");
        assert!(share.wanted.contains_key(sha256_of(result)), "{what}: in part: {result:?}");
    }
    assert_eq!(results.len(), share.wanted.len(), "{what}");
}

/// A capture of 1024×1024 pixels, which no client holds back until it is whole.
fn large(seed: u64) -> Vec<u8> {
    let small = image::load_from_memory(&cell_of(ALL, seed)).unwrap().to_rgb8();
    let nearest = image::imageops::FilterType::Nearest;
    let large = image::imageops::resize(&small, 1024, 1024, nearest);
    let mut bytes = std::io::Cursor::new(Vec::new());
    large.write_to(&mut bytes, image::ImageFormat::Bmp).unwrap();
    bytes.into_inner()
}

/// Everything that microscope software was seen to do with an export folder.
async fn each_capture_has_one_result(daemon: &Process, mut share: Share) {
    let pause = Duration::from_millis(1500);
    let seeds = |number| cell_of(if number % 2 == 0 { ALL } else { HEM }, number);
    share.put("once.bmp", &seeds(1));
    each_once(daemon, &share, "written in one go").await;

    let grows = large(2);
    let (child, mut to) = share.begin("grows.bmp", &grows);
    tokio::time::sleep(pause).await;
    to.write_all(&grows[grows.len() / 2..]).unwrap();
    drop(to);
    if let Some(mut child) = child {
        assert!(child.in_time().success());
    }
    share.want("grows.bmp", &grows);
    each_once(daemon, &share, "created and grown").await;

    // SMB's set-end-of-file, which smbclient has no word for: zeros of the whole length first.
    let filled = large(3);
    let zeros = vec![0; filled.len()];
    share.put("filled.bmp", &zeros);
    share.wanted.retain(|_, name| name != "filled.bmp");
    tokio::time::sleep(pause).await;
    share.put("filled.bmp", &filled);
    each_once(daemon, &share, "preallocated and filled").await;

    share.put("old.bmp", &seeds(4));
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let old = std::fs::File::options().write(true).open(share.file("old.bmp")).unwrap();
    old.set_modified(long_ago).unwrap();
    each_once(daemon, &share, "with an old time").await;

    share.put("~draft.tmp", &seeds(5));
    share.rename("~draft.tmp", "final.bmp");
    each_once(daemon, &share, "renamed when it was whole").await;
    share.rename("final.bmp", "final-2.bmp");

    share.put("once.bmp", &seeds(6));
    each_once(daemon, &share, "overwritten with other bytes").await;
    share.delete("grows.bmp");

    let half = large(7);
    let (child, to) = share.begin("half.bmp", &half);
    tokio::time::sleep(pause).await;
    if let Some(mut child) = child {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    drop(to);
    tokio::time::sleep(pause).await;
    each_once(daemon, &share, "cut off in the middle").await;
    share.put("half.bmp", &half);
    each_once(daemon, &share, "sent again").await;

    let burst = std::env::var("LEUKD_BURST").ok().and_then(|own| own.parse().ok());
    let beside = share.folder.parent().unwrap().join("burst");
    std::fs::create_dir(&beside).unwrap();
    for number in 0..burst.unwrap_or(BURST) {
        let (name, bytes) = (format!("b{number}.bmp"), seeds(1000 + number));
        std::fs::write(beside.join(&name), &bytes).unwrap();
        if let Writer::Local = share.writer {
            std::fs::write(share.file(&name), &bytes).unwrap();
        }
        share.want(&name, &bytes);
    }
    if let Writer::Smb { port } = share.writer {
        run(&mut share.client(port, "lcd burst; prompt off; mput *.bmp"));
    }
    each_once(daemon, &share, "in a burst").await;
    settled(daemon).await;
    each_once(daemon, &share, "at the end").await;
}

/// The folders of a share: what the server has, and where it is mounted.
fn places(folders: &Folders) -> [PathBuf; 2] {
    ["server/export", "mount"].map(|name| {
        let place = folders.root.path().join(name);
        std::fs::create_dir_all(&place).unwrap();
        place
    })
}

/// Samba of this machine, for guests, on a port of its own.
fn samba(folder: &Path, port: u16) -> Helper {
    let own = folder.parent().unwrap().join("samba");
    std::fs::create_dir(&own).unwrap();
    let places = ["private dir", "lock directory", "state directory", "cache directory"];
    let places: String = [&places[..], &["pid directory", "ncalrpc dir"]]
        .concat()
        .iter()
        .map(|name| format!("{name} = {}\n", own.display()))
        .collect();
    let config = own.join("smb.conf");
    let text = format!(
        "[global]\nserver role = standalone server\ninterfaces = 127.0.0.1\nbind interfaces only = yes\n\
         smb ports = {port}\n{places}log file = {}/log\nmap to guest = Bad User\nguest account = root\n\
         disable spoolss = yes\nload printers = no\n\
         [export]\npath = {}\nread only = no\nguest ok = yes\nforce user = root\n",
        own.display(),
        folder.display()
    );
    std::fs::write(&config, text).unwrap();
    let mut smbd = Command::new("/usr/sbin/smbd");
    smbd.args(["--foreground", "--no-process-group", "-s"]).arg(config);
    Helper(smbd.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn captures_on_a_samba_share_have_one_result_each_and_none_of_a_part() {
    if !is_root() || !are_here(&["smbd", "smbclient", "rclone", "fusermount3"]) {
        return skip("a share needs the superuser, samba, smbclient, rclone and FUSE");
    }
    let folders = Folders::new();
    let [folder, mount] = places(&folders);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _samba = samba(&folder, port);
    until("samba", async || std::net::TcpStream::connect(("127.0.0.1", port)).ok()).await;
    let mut rclone = Command::new("rclone");
    rclone.arg("mount").arg(format!(":smb,host=127.0.0.1,port={port},user=guest:export"));
    rclone.arg(&mount).args(["--config", "/dev/null", "--read-only"]);
    // As long as it remembers a folder, nobody hears of a change.
    rclone.args(["--dir-cache-time", "200ms", "--attr-timeout", "0s"]);
    let _mounted = Mounted::by(rclone, &mount).await;
    let daemon = serve(&folders, &mount);
    let share = Share { folder, writer: Writer::Smb { port }, wanted: BTreeMap::new() };
    each_capture_has_one_result(&daemon, share).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn captures_through_sshfs_have_one_result_each_and_none_of_a_part() {
    if !is_root() || !are_here(&["sshfs", "sftp-server", "fusermount3"]) {
        return skip("a share needs the superuser, sshfs, OpenSSH's sftp-server and FUSE");
    }
    let folders = Folders::new();
    let [folder, mount] = places(&folders);
    // In place of ssh: its server, which is all of it that files see.
    let server = folders.root.path().join("server/ssh");
    std::fs::write(&server, "#!/bin/sh\nexec /usr/lib/openssh/sftp-server\n").unwrap();
    run(Command::new("chmod").arg("+x").arg(&server));
    let mut sshfs = Command::new("sshfs");
    sshfs.args(["-f", "-o", &format!("ro,ssh_command={}", server.display())]);
    sshfs.args(["-o", "dcache_timeout=1"]);
    sshfs.arg(format!("scope:{}", folder.display())).arg(&mount);
    let _mounted = Mounted::by(sshfs, &mount).await;
    let daemon = serve(&folders, &mount);
    let share = Share { folder, writer: Writer::Local, wanted: BTreeMap::new() };
    each_capture_has_one_result(&daemon, share).await;
}
