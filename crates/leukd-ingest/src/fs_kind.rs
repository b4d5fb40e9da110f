//! The kind of a file system: whether inotify tells of changes there, and how far its stamps go.

use std::borrow::Cow;
use std::io;
use std::path::Path;

/// A file system, as statfs(2) names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FsKind {
    /// For people: `ext4`, `xfs`, `cifs`, …; `unknown (0x…)` for a kind that is not in the table.
    pub name: Cow<'static, str>,
    /// inotify tells of every change. Never so on a network or FUSE mount: the kernel sees only
    /// what this very machine writes, and microscopes write from another one.
    pub tells: bool,
    /// Status-change times and inode numbers mean the same after a remount.
    pub steady: bool,
}

/// A local file system with inotify and lasting inode numbers.
const LOCAL: (bool, bool) = (true, true);
/// Local, but inode numbers are made up at each mount (the FAT family).
const FAT: (bool, bool) = (true, false);
/// Written by others, behind the kernel's back.
const SHARED: (bool, bool) = (false, false);

/// `f_type` → name and kind. The numbers stand in statfs(2) and in the kernel's `linux/magic.h`.
const KINDS: &[(u32, &str, (bool, bool))] = &[
    (0xEF53, "ext4", LOCAL),
    (0x5846_5342, "xfs", LOCAL),
    (0x9123_683E, "btrfs", LOCAL),
    (0x0102_1994, "tmpfs", LOCAL),
    (0x8584_58F6, "ramfs", LOCAL),
    (0x794C_7630, "overlay", LOCAL),
    (0x2FC1_2FC1, "zfs", LOCAL),
    (0xF2F5_2010, "f2fs", LOCAL),
    (0xCA45_1A4E, "bcachefs", LOCAL),
    (0x5265_4973, "reiserfs", LOCAL),
    (0x3153_464A, "jfs", LOCAL),
    (0x3434, "nilfs", LOCAL),
    (0xF15F, "ecryptfs", LOCAL),
    (0x7366_746E, "ntfs3", FAT),
    (0x5346_544E, "ntfs", FAT),
    (0x2011_BAB0, "exfat", FAT),
    (0x4D44, "vfat", FAT),
    (0x9660, "iso9660", FAT),
    (0x1501_3346, "udf", FAT),
    (0x6969, "nfs", SHARED),
    (0xFF53_4D42, "cifs", SHARED),
    (0xFE53_4D42, "smb2", SHARED),
    (0x517B, "smb", SHARED),
    (0x6573_5546, "fuse", SHARED),
    (0x0102_1997, "9p", SHARED),
    (0x00C3_6400, "ceph", SHARED),
    (0x5346_414F, "afs", SHARED),
    (0x6B41_4653, "afs", SHARED),
    (0x7375_7245, "coda", SHARED),
    (0x564C, "ncp", SHARED),
    (0x0BD0_0BD0, "lustre", SHARED),
    (0x0116_1970, "gfs2", SHARED),
    (0x7461_636F, "ocfs2", SHARED),
    (0x786F_4256, "vboxsf", SHARED),
    (0xBACB_ACBC, "vmhgfs", SHARED),
];

/// The kind that `f_type` stands for. An unknown one is taken for a network mount: polling finds
/// everything everywhere, it only costs more.
#[must_use]
pub fn kind_of(f_type: u32) -> FsKind {
    KINDS.iter().find(|(magic, ..)| *magic == f_type).map_or_else(
        || FsKind {
            name: Cow::Owned(format!("unknown (0x{f_type:08x})")),
            tells: false,
            steady: false,
        },
        |&(_, name, (tells, steady))| FsKind { name: Cow::Borrowed(name), tells, steady },
    )
}

/// Asks the kernel what `path` lies on.
///
/// # Errors
/// What statfs(2) gives.
pub fn detect(path: &Path) -> io::Result<FsKind> {
    let f_type = rustix::fs::statfs(path)?.f_type;
    // The field is as wide as a machine word and signed on some of them; each magic has 32 bits.
    Ok(kind_of(u32::try_from(f_type & 0xFFFF_FFFF).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_kinds_are_watched_and_network_kinds_are_polled() {
        for local in [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630] {
            assert!(kind_of(local).tells, "{local:x}");
        }
        for shared in [0x6969, 0xFF53_4D42, 0xFE53_4D42, 0x6573_5546, 0x0102_1997] {
            let kind = kind_of(shared);
            assert!(!kind.tells && !kind.steady, "{}", kind.name);
        }
    }

    #[test]
    fn an_unknown_kind_is_polled_and_named_by_its_number() {
        let kind = kind_of(0x1234_5678);
        assert!(!kind.tells);
        assert_eq!(kind.name, "unknown (0x12345678)");
    }

    #[test]
    fn no_magic_stands_in_the_table_twice() {
        let mut magics: Vec<u32> = KINDS.iter().map(|(magic, ..)| *magic).collect();
        magics.sort_unstable();
        magics.dedup();
        assert_eq!(magics.len(), KINDS.len());
    }

    #[test]
    fn the_kind_of_a_real_folder_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!detect(folder.path()).unwrap().name.is_empty());
    }
}
