//! What leukd tells systemd, and what systemd tells leukd. All of it is a no-op outside systemd.

use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use sd_notify::NotifyState;

/// Speaks to the service manager over `NOTIFY_SOCKET`, where there is one. A message that cannot be
/// sent is logged and forgotten: leukd classifies with or without its supervisor.
#[derive(Debug, Clone, Copy, Default)]
pub struct Notifier;

impl Notifier {
    /// A notifier for this process.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }

    /// Start-up (or a reload) is over: requests are served. `status` is one line for
    /// `systemctl status`.
    pub fn ready(&self, status: &str) {
        self.send(&[NotifyState::Ready, NotifyState::Status(one_line(status).as_str())]);
    }

    /// A reload has begun; call [`Notifier::ready`] when it is over, whether it worked or not.
    pub fn reloading(&self) {
        // Type=notify-reload pairs the two messages by their time.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.send(&[NotifyState::Reloading, now]),
            Err(error) => {
                tracing::warn!(%error, "cannot tell systemd of the reload: no monotonic clock");
            }
        }
    }

    /// The daemon drains and will end.
    pub fn stopping(&self) {
        self.send(&[NotifyState::Stopping]);
    }

    /// One line for `systemctl status`.
    pub fn status(&self, status: &str) {
        self.send(&[NotifyState::Status(one_line(status).as_str())]);
    }

    /// Asks for so much more time for a slow start or stop, from now on.
    pub fn extend_timeout(&self, by: Duration) {
        let micros = u32::try_from(by.as_micros()).unwrap_or(u32::MAX);
        self.send(&[NotifyState::ExtendTimeoutUsec(micros)]);
    }

    /// "I make progress": call it at least once every [`Notifier::watchdog`].
    pub fn alive(&self) {
        self.send(&[NotifyState::Watchdog]);
    }

    /// How often to call [`Notifier::alive`]: half of `WatchdogSec=`, as sd_watchdog_enabled(3)
    /// advises. None when systemd keeps no watch.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        sd_notify::watchdog_enabled().map(|limit| limit / 2).filter(|half| !half.is_zero())
    }

    fn send(self, state: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(state) {
            tracing::warn!(%error, "cannot reach systemd at NOTIFY_SOCKET");
        }
    }
}

/// A line break would start a message of its own.
fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

/// Whether standard error goes to systemd's journal: `JOURNAL_STREAM` holds the device and inode of
/// the stream that systemd connected (systemd.exec(5)).
#[must_use]
pub fn stderr_is_journal() -> bool {
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else { return false };
    let Ok(stat) = rustix::fs::fstat(std::io::stderr()) else { return false };
    stream.as_bytes() == format!("{}:{}", stat.st_dev, stat.st_ino).as_bytes()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;

    use super::*;

    /// Runs one `ignored` test of this file in a process of its own with these variables.
    fn in_child(test: &str, variables: &[(&str, &str)]) {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("systemd::tests::{test}"), "--ignored", "--quiet"])
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
    }

    #[test]
    #[ignore = "runs in the child of systemd_hears_each_state_change"]
    fn child_tells_everything() {
        let notifier = Notifier::new();
        notifier.ready("serving\nREADY=0");
        notifier.reloading();
        notifier.alive();
        notifier.stopping();
        assert_eq!(notifier.watchdog(), Some(Duration::from_secs(15)));
    }

    #[test]
    fn systemd_hears_each_state_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let variables = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "30000000")];
        in_child("child_tells_everything", &variables);
        let heard = || {
            let mut buffer = [0; 256];
            let length = socket.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        };
        assert_eq!(heard(), "READY=1\nSTATUS=serving READY=0\n");
        let reloading = heard();
        let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(time.trim_end().parse::<u64>().unwrap() > 0);
        assert_eq!(heard(), "WATCHDOG=1\n");
        assert_eq!(heard(), "STOPPING=1\n");
    }

    #[test]
    fn outside_systemd_nothing_happens() {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            let notifier = Notifier::new();
            notifier.ready("serving");
            notifier.stopping();
            assert_eq!(notifier.watchdog(), None);
        }
    }

    #[test]
    #[ignore = "runs in the child of a_foreign_journal_stream_is_not_ours"]
    fn child_has_no_journal() {
        assert!(!stderr_is_journal());
    }

    #[test]
    fn a_foreign_journal_stream_is_not_ours() {
        in_child("child_has_no_journal", &[("JOURNAL_STREAM", "1:2")]);
    }
}
