//! A file's stamp from its metadata.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use leukd_journal::result::Timestamp;
use leukd_journal::types::FileStamp;

/// The stamp of a file. `steady` says whether its file system's status-change times and inode
/// numbers can be relied on ([`super::fs_kind::FsKind::steady`]); where not, both are 0.
#[must_use]
pub fn of(metadata: &Metadata, steady: bool) -> FileStamp {
    let (ctime_ns, inode) = if steady {
        (nanoseconds(metadata.ctime(), metadata.ctime_nsec()), metadata.ino())
    } else {
        (0, 0)
    };
    FileStamp {
        size: metadata.len(),
        mtime_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
        ctime_ns,
        inode,
    }
}

/// Whether a file with this metadata is still in the state of `stamp`, by as much as the stamp
/// tells.
#[must_use]
pub fn is_still(stamp: &FileStamp, metadata: &Metadata) -> bool {
    of(metadata, stamp.inode != 0 || stamp.ctime_ns != 0) == *stamp
}

/// The modification time for people.
#[must_use]
pub fn modified(stamp: &FileStamp) -> Timestamp {
    Timestamp(stamp.mtime_ns.div_euclid(1_000_000))
}

/// Times beyond the years 1678 to 2262 stand at these ends: a broken clock is no reason to fail.
fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_without_inode_is_compared_without_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.bmp");
        fs_err::write(&file, b"abc").unwrap();
        let metadata = fs_err::symlink_metadata(&file).unwrap();
        let (steady, loose) = (of(&metadata, true), of(&metadata, false));
        assert_eq!((loose.inode, loose.ctime_ns), (0, 0));
        assert_ne!(steady, loose);
        assert!(is_still(&steady, &metadata) && is_still(&loose, &metadata));
        fs_err::write(&file, b"abcd").unwrap();
        let after = fs_err::symlink_metadata(&file).unwrap();
        assert!(!is_still(&steady, &after) && !is_still(&loose, &after));
    }

    #[test]
    fn a_time_before_1970_rounds_down() {
        let stamp = FileStamp { size: 0, mtime_ns: -1, ctime_ns: 0, inode: 0 };
        assert_eq!(modified(&stamp), Timestamp(-1));
    }

    #[test]
    fn an_absurd_time_does_not_overflow() {
        assert_eq!(nanoseconds(i64::MAX, 999_999_999), i64::MAX);
    }
}
