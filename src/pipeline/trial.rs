//! Whether a file kills whoever decodes it: a process of its own decodes it and is watched.
//!
//! A capture that was in a worker's hands at two deaths of leukd may be guilty of both, or of none:
//! the kernel kills for want of memory, an administrator by hand. Only a guilty one may be
//! rejected.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::cell::Limits;

/// The subcommand of leukd that decodes its standard input and ends.
pub const TRIAL: &str = "try-capture";

/// Decoding the largest picture that is allowed takes seconds.
const LONGEST: Duration = Duration::from_secs(60);

/// Tries captures in processes of their own, one after another: together they would take as much
/// memory as all workers and be killed for that.
#[derive(Debug)]
pub struct Trial {
    program: PathBuf,
    turn: tokio::sync::Mutex<()>,
}

/// How the other process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// By itself: the file harms nobody.
    Well,
    /// By what the file did to it.
    Died(String),
    /// In a way that says nothing of the file.
    Unknown(String),
}

impl Trial {
    /// With this program, which is leukd itself.
    #[must_use]
    pub fn with(program: PathBuf) -> Self {
        Self { program, turn: tokio::sync::Mutex::default() }
    }

    /// Lets the other process decode an open file. Dropped, it takes the process with it.
    pub(super) async fn of(&self, file: File, limits: &Limits) -> Ended {
        let _turn = self.turn.lock().await;
        let mut child = Command::new(&self.program);
        child
            .arg(TRIAL)
            .arg(format!("--max-bytes={}", limits.max_bytes))
            .arg(format!("--max-side={}", limits.max_side))
            .arg(format!("--max-memory={}", limits.max_memory))
            // Neither settings nor the way to systemd are its business.
            .env_clear()
            .stdin(file)
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = match child.spawn() {
            Ok(child) => child,
            Err(error) => return Ended::Unknown(format!("no process for it: {error}")),
        };
        // It says a word when it has read the file: a share that hangs is no file's fault.
        let mut word = [0];
        if let Some(mut says) = child.stdout.take()
            && tokio::time::timeout(LONGEST, says.read(&mut word)).await.is_err()
        {
            return Ended::Unknown(format!("not read after {} s", LONGEST.as_secs()));
        }
        match tokio::time::timeout(LONGEST, child.wait()).await {
            Ok(Ok(status)) => verdict(status),
            Ok(Err(error)) => Ended::Unknown(format!("its end is not known: {error}")),
            Err(_) => Ended::Died(format!("it was not done after {} s", LONGEST.as_secs())),
        }
    }
}

fn verdict(status: ExitStatus) -> Ended {
    // systemd sends these to every process of a unit that it stops.
    let of_a_stop = [Signal::TERM, Signal::INT, Signal::HUP].map(Signal::as_raw);
    match status.signal() {
        None if status.success() => Ended::Well,
        Some(signal) if !of_a_stop.contains(&signal) => {
            Ended::Died(format!("signal {signal} ended it"))
        }
        _ => Ended::Unknown(format!("it ended with {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_signal_that_no_administrator_sends_speaks_against_a_file() {
        let ended = |raw| verdict(ExitStatus::from_raw(raw));
        assert_eq!(ended(0), Ended::Well);
        for signal in [Signal::ABORT, Signal::SEGV, Signal::KILL, Signal::BUS] {
            assert!(matches!(ended(signal.as_raw()), Ended::Died(_)), "{signal:?}");
        }
        for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
            assert!(matches!(ended(signal.as_raw()), Ended::Unknown(_)), "{signal:?}");
        }
        // An exit code of its own: another version's grammar, say.
        assert!(matches!(ended(64 << 8), Ended::Unknown(_)));
    }
}
