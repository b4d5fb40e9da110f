//! The machine that a report was made on: times mean nothing without it.

use std::thread::available_parallelism;

/// What the system says of itself; `unknown` where it says nothing. Names of hosts and users are
/// left out: a report is handed around.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// The processor's model, from /proc/cpuinfo.
    pub processor: String,
    /// Threads that this process may run at once.
    pub cores: usize,
    /// All of the memory, from /proc/meminfo.
    pub memory: String,
    /// From /etc/os-release, with the kernel's version.
    pub system: String,
    /// What the network ran on.
    pub device: String,
}

impl Machine {
    /// This machine. `device` says what the network ran on.
    #[must_use]
    pub fn here(device: impl Into<String>) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let unknown = || "unknown".to_owned();
        let kernel = read("/proc/sys/kernel/osrelease");
        let system = value(&read("/etc/os-release"), "PRETTY_NAME", '=').unwrap_or_else(unknown);
        Self {
            processor: value(&read("/proc/cpuinfo"), "model name", ':').unwrap_or_else(unknown),
            cores: available_parallelism().map_or(1, usize::from),
            memory: value(&read("/proc/meminfo"), "MemTotal", ':')
                .and_then(|total| total.strip_suffix("kB")?.trim().parse::<u64>().ok())
                .map_or_else(unknown, |kib| format!("{:.1} GiB", kib as f64 / 1_048_576.0)),
            system: match kernel.trim() {
                "" => system,
                kernel => format!("{system}, kernel {kernel}"),
            },
            device: device.into(),
        }
    }
}

/// What stands behind the first `key` and `between` of `text`, without quotes.
fn value(text: &str, key: &str, between: char) -> Option<String> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(between)?;
        (name.trim() == key).then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn values_are_found_by_their_whole_name() {
        let text = "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n";
        assert_eq!(value(text, "PRETTY_NAME", '=').as_deref(), Some("Debian GNU/Linux 12"));
        assert_eq!(
            value("MemTotalX: 1\nMemTotal:  2 kB", "MemTotal", ':').as_deref(),
            Some("2 kB")
        );
        assert_eq!(value("", "MemTotal", ':'), None);
    }
}
