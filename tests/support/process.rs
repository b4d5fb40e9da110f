//! The real `leukd` binary as a process of its own, for what only a process can show: signals and
//! sudden death.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use leukd::rpc::proto::results_client::ResultsClient;
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
    #[allow(clippy::zombie_processes)]
    pub fn serve(folders: &Folders) -> Self {
        let config = folders.root.path().join("leukd.toml");
        std::fs::write(&config, toml::to_string(&folders.settings()).unwrap()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_leukd"))
            .args(["serve", "--config"])
            .arg(&config)
            .env("RUST_BACKTRACE", "1")
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
                panic!("no port in the log:\n{}", seen.join("\n"));
            };
            if let Some((_, rest)) = line.split_once("listening on ") {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                let address = rest[..end].parse().unwrap();
                return Self { child, address, log };
            }
            seen.push(line);
        }
    }

    pub async fn results(&self) -> ResultsClient<Channel> {
        ResultsClient::connect(format!("http://{}", self.address)).await.unwrap()
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
