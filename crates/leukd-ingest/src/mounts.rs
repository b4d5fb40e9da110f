//! Mounts below a watched folder, where inotify may hear nothing though it hears all of the folder
//! itself.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use super::fs_kind;

/// Where this process sees mounts: proc_pid_mountinfo(5).
const MOUNTS: &str = "/proc/self/mountinfo";

/// File systems mounted below `folder` that report no changes (NFS, CIFS, FUSE, unknown ones), as
/// their path below it and their name. `passed_over` names paths that are not scanned.
pub(super) fn silent_below(
    folder: &Path,
    passed_over: impl Fn(&Path) -> bool,
) -> Vec<(PathBuf, String)> {
    let Ok(real) = folder.canonicalize() else { return Vec::new() };
    let table = fs_err::read(MOUNTS).unwrap_or_default();
    let mut found: Vec<_> = mount_points(&table)
        .filter_map(|mount| {
            let below = mount.strip_prefix(&real).ok().filter(|path| *path != Path::new(""))?;
            if below.ancestors().any(&passed_over) {
                return None;
            }
            let kind = fs_kind::detect(&mount).ok()?;
            (!kind.tells).then(|| (below.to_owned(), kind.name.into_owned()))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The fifth field of each line, its octal escapes (`\040` is a space) taken back.
fn mount_points(table: &[u8]) -> impl Iterator<Item = PathBuf> {
    table.split(|byte| *byte == b'\n').filter_map(|line| {
        let field = line.split(|byte| *byte == b' ').nth(4)?;
        Some(PathBuf::from(OsString::from_vec(unescaped(field))))
    })
}

fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let code = after.get(..3).filter(|_| *first == b'\\');
        let code = code.and_then(|digits| str::from_utf8(digits).ok());
        if let Some(byte) = code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            plain.push(byte);
            rest = &after[3..];
        } else {
            plain.push(*first);
            rest = after;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_with_spaces_and_backslashes() {
        let table = b"36 35 98:0 / /mnt/a\\040b\\134c rw,noatime shared:1 - nfs4 host:/x rw\n\
                      22 27 0:21 / /proc rw,relatime - proc proc rw\n";
        let points: Vec<_> = mount_points(table).collect();
        assert_eq!(points, [Path::new("/mnt/a b\\c"), Path::new("/proc")]);
    }

    #[test]
    fn mounts_that_report_no_changes_are_found_below_a_folder_and_not_at_it() {
        // The kernel's own file systems are no kind that is known to report changes.
        let named = |passed: &str| silent_below(Path::new("/"), |path| path == Path::new(passed));
        assert!(named("none").iter().any(|(path, _)| path == Path::new("proc")));
        assert!(named("proc").iter().all(|(path, _)| !path.starts_with("proc")));
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(silent_below(folder.path(), |_| false), []);
    }
}
