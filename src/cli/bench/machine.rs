//! The machine of the figures.

use serde::Serialize;

use crate::model::engine::{Fusion, instructions};
use crate::model::pool::physical_cores;

/// The machine.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    /// Its processor's name, with family and model where the system tells them: a virtual machine
    /// hides what else tells one generation from the next.
    pub(super) cpu: String,
    /// The widest instructions that leukd could use here.
    pub(super) isa: String,
    /// Cores as leukd counts them for its workers.
    pub(super) physical_cores: usize,
}

impl Machine {
    pub(super) fn here() -> Self {
        let info = fs_err::read_to_string("/proc/cpuinfo").unwrap_or_default();
        // ARM has no such line.
        let name = value(&info, "model name").unwrap_or(std::env::consts::ARCH);
        let cpu = match value(&info, "cpu family").zip(value(&info, "model")) {
            Some((family, model)) => format!("{name}, family {family}, model {model}"),
            None => name.to_owned(),
        };
        Self { cpu, isa: instructions(), physical_cores: physical_cores() }
    }
}

/// The key of this machine among stored ratios: what the kernels used, and where nothing was fused
/// what they could use.
pub(super) fn key(fusion: &Fusion) -> String {
    if fusion.isa.is_empty() { instructions() } else { fusion.isa.clone() }
}

/// The most memory that a process ever held, in bytes.
pub(super) fn peak_memory(process: u32) -> Option<u64> {
    let status = fs_err::read_to_string(format!("/proc/{process}/status")).ok()?;
    let kib: u64 = value(&status, "VmHWM")?.trim_end_matches("kB").trim_end().parse().ok()?;
    kib.checked_mul(1024)
}

/// What stands behind `name` and a colon.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find_map(|(own, value)| (own.trim() == name).then(|| value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_held_memory() {
        assert!(peak_memory(std::process::id()).is_some_and(|bytes| bytes > 1 << 20));
    }
}
