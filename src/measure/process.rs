//! What the kernel says of this process.

/// This process at one moment. What the kernel does not tell is none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Process {
    /// Bytes in memory.
    pub resident_bytes: Option<u64>,
    /// Bytes of address space.
    pub virtual_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Seconds of processor time, the kernel's for this process included.
    pub cpu_seconds: Option<f64>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
    /// The most file descriptors that may be open; none without a limit.
    pub max_fds: Option<u64>,
}

/// The kernel's unit of processor time as it tells user space (USER_HZ): 100 a second on every
/// processor that leukd runs on, whatever its timer is.
const TICKS_PER_SECOND: f64 = 100.0;

impl Process {
    /// Reads it from /proc/self: some ten microseconds.
    #[must_use]
    pub fn now() -> Self {
        let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
        let stat = fs_err::read_to_string("/proc/self/stat").unwrap_or_default();
        let open = fs_err::read_dir("/proc/self/fd").ok();
        Self {
            resident_bytes: kib(&status, "VmRSS:"),
            virtual_bytes: kib(&status, "VmSize:"),
            threads: field(&status, "Threads:").and_then(|threads| threads.parse().ok()),
            cpu_seconds: cpu_seconds(&stat),
            // Without the one that reads the list.
            open_fds: open.map(|entries| (entries.count() as u64).saturating_sub(1)),
            max_fds: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
        }
    }
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn kib(status: &str, name: &str) -> Option<u64> {
    let kib: u64 = field(status, name)?.strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1024)
}

/// Fields 14 and 15 of proc_pid_stat(5). The second may hold anything, parentheses and spaces too.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_told() {
        let now = Process::now();
        assert!(now.resident_bytes.is_some_and(|bytes| bytes > 1 << 20), "{now:?}");
        assert!(now.virtual_bytes >= now.resident_bytes, "{now:?}");
        assert!(now.threads.is_some_and(|threads| threads >= 1), "{now:?}");
        assert!(now.cpu_seconds.is_some_and(f64::is_finite), "{now:?}");
        let before = now.open_fds.unwrap();
        let _held = [fs_err::File::open("/proc/self/stat"), fs_err::File::open("/proc/self/stat")];
        assert!(Process::now().open_fds.unwrap() >= before.max(2), "{now:?}");
    }

    #[test]
    fn a_name_with_parentheses_does_not_move_the_fields() {
        let stat = "7 (a) b) (c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0";
        assert_eq!(cpu_seconds(stat), Some(2.0));
    }
}
