//! The real `leukd` binary as a process of its own, for what only a process can show: signals and
//! sudden death.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use leukd::config::settings::Settings;
use leukd::config::units::Span;
use leukd::grpc::proto::control_client::ControlClient;
use leukd::grpc::proto::results_client::ResultsClient;
use tonic::transport::Channel;

use super::{Folders, PATIENCE};

/// A running `leukd serve`.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
    /// What it logs after it has told its port, line by line.
    pub log: mpsc::Receiver<String>,
}

impl Process {
    /// Starts `leukd serve` on these folders and waits for its port.
    pub fn serve(folders: &Folders) -> Self {
        Self::serve_with(folders, |_| {})
    }

    /// The same, with settings that `change` has adapted.
    pub fn serve_with(folders: &Folders, change: impl FnOnce(&mut Settings)) -> Self {
        Self::spawn(serve_command(folders, change))
    }

    /// Starts what [`serve_command`] has made and waits for its port.
    #[allow(clippy::zombie_processes)]
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (lines, log) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = log.recv_timeout(left) else {
                let _ = child.kill();
                let _ = child.wait();
                panic!("no port in the log:\n{}", seen.join("\n"));
            };
            if let Some((_, rest)) = line.split_once("listening on ") {
                let end = rest.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(rest.len());
                let address = rest[..end].parse().unwrap();
                return Self { child, address, log };
            }
            seen.push(line);
        }
    }

    /// The next line of its log that holds all of `words`, in bounded time.
    pub fn line_with(&self, words: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.log.recv_timeout(left) else {
                panic!("no line with {words:?}:\n{}", seen.join("\n"));
            };
            if words.iter().all(|word| line.contains(word)) {
                return line;
            }
            seen.push(line);
        }
    }

    pub async fn results(&self) -> ResultsClient<Channel> {
        ResultsClient::connect(format!("http://{}", self.address)).await.unwrap()
    }

    pub async fn control(&self) -> ControlClient<Channel> {
        ControlClient::connect(format!("http://{}", self.address)).await.unwrap()
    }

    /// Its number, for what the kernel says of it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the end of the process; none when it outlives `most`.
    pub async fn wait(&mut self, most: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + most;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            if Instant::now() > deadline {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `leukd serve` on these folders, not yet started: limits, another user or other variables may
/// still be set.
pub fn serve_command(folders: &Folders, change: impl FnOnce(&mut Settings)) -> Command {
    let config = config_file(folders, "leukd.toml", change);
    let mut command = Command::new(env!("CARGO_BIN_EXE_leukd"));
    command.args(["serve", "--config"]).arg(&config).env("RUST_BACKTRACE", "1");
    command
}

/// Writes the settings of these folders, which `change` has adapted, as a configuration file.
pub fn config_file(
    folders: &Folders,
    name: &str,
    change: impl FnOnce(&mut Settings),
) -> std::path::PathBuf {
    let mut settings = folders.settings();
    // The least that a configuration may say.
    settings.watch.broken_after = Span::from_secs(1);
    change(&mut settings);
    let path = folders.root.path().join(name);
    std::fs::write(&path, toml::to_string(&settings).unwrap()).unwrap();
    path
}

/// Runs `leukd` to its end, in bounded time.
pub async fn leukd(arguments: &[&str]) -> Output {
    let run = tokio::process::Command::new(env!("CARGO_BIN_EXE_leukd"))
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(PATIENCE, run).await.expect("leukd ends in time").unwrap()
}

/// What a program wrote on standard output.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a program wrote on standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
