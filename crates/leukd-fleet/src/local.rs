//! A PostgreSQL of one's own in a temporary folder, for the trial and the tests: made of the
//! machine's packages, reachable on loopback alone.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The owner of the server's databases.
pub const OWNER: &str = "leukd_owner";

/// Longest wait for a start or a stop, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where packages put the server's programs.
const PLACES: [&str; 2] = ["/usr/lib/postgresql", "/usr/local/pgsql"];

/// A server, running or not. Dropping it ends it and removes its folder.
#[derive(Debug)]
pub struct Server {
    programs: PathBuf,
    folder: TempDir,
    port: u16,
    /// PostgreSQL refuses to run as root: the user instead.
    user: Option<(u32, u32)>,
    process: Option<Child>,
}

/// The folder of the newest PostgreSQL's programs, from 15 on; none where no package is installed.
#[must_use]
pub fn programs() -> Option<PathBuf> {
    let versions = fs_err::read_dir(PLACES[0]).into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())))
        .filter(|(version, path)| *version >= 15 && path.join("bin/initdb").exists())
        .max();
    newest.map(|(_, path)| path.join("bin")).or_else(|| {
        let other = Path::new(PLACES[1]).join("bin");
        other.join("initdb").exists().then_some(other)
    })
}

impl Server {
    /// Makes a server in a temporary folder and starts it. Blocks.
    ///
    /// # Errors
    /// [`io::Error`] with what the server's programs said.
    pub fn start(programs: PathBuf) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("leukd-store-").tempdir()?;
        let user = unprivileged()?;
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(folder.path(), Some(uid), Some(gid))?;
        }
        fs_err::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700))?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut server = Self { programs, folder, port, user, process: None };
        let data = server.data();
        let mut init = server.command("initdb");
        init.args([
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--username",
            OWNER,
        ])
        .arg("--pgdata")
        .arg(&data);
        let made = init.stdin(Stdio::null()).output()?;
        if !made.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&made.stderr).into_owned()));
        }
        server.allow(
            "host all leukd_owner 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n",
        )?;
        server.resume()?;
        Ok(server)
    }

    /// Starts it again after [`Server::kill`] or [`Server::stop`]. Blocks until it answers.
    ///
    /// # Errors
    /// [`io::Error`] with the end of its log.
    pub fn resume(&mut self) -> io::Result<()> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut serve = self.command("postgres");
        serve
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories=", "-c", "max_connections=60"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.process = Some(serve.spawn()?);
        let until = Instant::now() + PATIENCE;
        loop {
            let mut ask = self.command("pg_isready");
            ask.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string(), "-d", "postgres"]);
            if ask.status()?.success() {
                return Ok(());
            }
            let ended = self.process.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() || Instant::now() > until {
                let log = fs_err::read_to_string(self.log()).unwrap_or_default();
                return Err(io::Error::other(format!("PostgreSQL does not start: {log}")));
            }
            pause();
        }
    }

    /// Kills it and its children, as a power cut of the process would: nothing is written back.
    ///
    /// # Errors
    /// [`io::Error`] when the system does not let it.
    pub fn kill(&mut self) -> io::Result<()> {
        self.end(Signal::KILL)
    }

    /// Stops it at once and in order.
    ///
    /// # Errors
    /// [`io::Error`] when it does not end in time.
    pub fn stop(&mut self) -> io::Result<()> {
        self.end(Signal::INT)
    }

    fn end(&mut self, signal: Signal) -> io::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It leads no group of its own; its children end when it is gone.
            kill_process(pid, signal)?;
        }
        let until = Instant::now() + PATIENCE;
        while process.try_wait()?.is_none() {
            if Instant::now() > until {
                process.kill()?;
                process.wait()?;
                return Err(io::Error::other("PostgreSQL did not stop in time"));
            }
            pause();
        }
        Ok(())
    }

    /// Copies a stopped server's files to another folder, or back: a backup and its restore.
    ///
    /// # Errors
    /// [`io::Error`] when a file cannot be copied.
    pub fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut copy = Command::new("cp");
        copy.arg("-a").arg("-T").arg(from).arg(to);
        if let (Some((uid, gid)), false) = (self.user, to.exists()) {
            copy.uid(uid).gid(gid);
        }
        let status = copy.current_dir(self.folder.path()).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other("cp failed")) }
    }

    /// The folder of the database's files.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The server's log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Its port on loopback.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The URL for a user.
    #[must_use]
    pub fn url(&self, user: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/postgres", self.port)
    }

    /// Replaces the rules of who may connect.
    ///
    /// # Errors
    /// [`io::Error`] when the file cannot be written.
    pub fn allow(&self, rules: &str) -> io::Result<()> {
        fs_err::write(self.data().join("pg_hba.conf"), rules)
    }

    /// Adds lines to the server's settings; they count from its next start.
    ///
    /// # Errors
    /// [`io::Error`] when the file cannot be written.
    pub fn configure(&self, lines: &str) -> io::Result<()> {
        let path = self.data().join("postgresql.auto.conf");
        let mut text = fs_err::read_to_string(&path)?;
        text.push_str(lines);
        fs_err::write(path, text)
    }

    /// Writes a file that only the server may read, and gives its place.
    ///
    /// # Errors
    /// [`io::Error`] when the file cannot be written.
    pub fn put(&self, name: &str, content: &str) -> io::Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs_err::write(&path, content)?;
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        if let Some((uid, gid)) = self.user {
            std::os::unix::fs::chown(&path, Some(uid), Some(gid))?;
        }
        Ok(path)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.folder.path()).env("LC_ALL", "C");
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            tracing::warn!("the trial's PostgreSQL did not end: {error}");
        }
    }
}

/// Another user where this one is root: `postgres`, or else `nobody`.
fn unprivileged() -> io::Result<Option<(u32, u32)>> {
    if fs_err::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = fs_err::read_to_string("/etc/passwd")?;
    let found = ["postgres", "nobody"].iter().find_map(|name| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map_while(|id| id.parse::<u32>().ok());
        Some((ids.next()?, ids.next()?))
    });
    found.map(Some).ok_or_else(|| {
        io::Error::other(
            "PostgreSQL refuses to run as root, and there is no user postgres or nobody",
        )
    })
}

#[expect(clippy::disallowed_methods, reason = "another process is waited for, not a clock")]
fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}
