//! Is the folder there, may it be read, and is it what the administrator meant?

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};

use super::fs_kind::{self, FsKind};

/// A folder that is there and can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What it lies on.
    pub kind: FsKind,
    /// Device and inode: another pair under the same path is another folder (mounted, moved, made anew).
    pub identity: (u64, u64),
}

/// Looks at a folder without walking it.
///
/// # Errors
/// One sentence that says what is wrong and what to do.
pub fn probe(folder: &Path, require_mount: bool) -> Result<Place, String> {
    let name = folder.display();
    let failed = |error: io::Error| explain(folder, &error);
    // Asking for the trailing part of a mount point also makes an automounter mount it.
    let metadata = std::fs::metadata(folder).map_err(failed)?;
    if !metadata.is_dir() {
        return Err(format!("{name} is no folder: set watch.folders to the export folder"));
    }
    if require_mount && !is_mount_point(folder, &metadata).map_err(failed)? {
        return Err(format!(
            "{name} is no mount point, but watch.require_mount is set: mount the share (its entry in /etc/fstab)"
        ));
    }
    // Only opening it shows that it may be read; a stale handle shows here too.
    std::fs::read_dir(folder).map_err(failed)?;
    let kind = fs_kind::detect(folder).map_err(failed)?;
    Ok(Place { kind, identity: (metadata.dev(), metadata.ino()) })
}

fn explain(folder: &Path, error: &io::Error) -> String {
    let name = folder.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!(
            "{name} does not exist: create it, or mount the share that holds it; captures are picked up as soon as it is there"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "{name} may not be read: give the user that leukd runs as permission to read and enter it, and to enter each folder above it"
        ),
        _ => format!("{name} cannot be read ({error}): check the disk or the share it lies on"),
    }
}

/// By the kernel's own word where it gives one (Linux 5.8), which knows bind mounts too; otherwise by the
/// device number, which differs from the parent's.
fn is_mount_point(folder: &Path, metadata: &std::fs::Metadata) -> io::Result<bool> {
    if let Ok(answer) = rustix::fs::statx(CWD, folder, AtFlags::empty(), StatxFlags::empty())
        && answer.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
    {
        return Ok(answer.stx_attributes.contains(StatxAttributes::MOUNT_ROOT));
    }
    let parent = std::fs::metadata(folder.join(".."))?;
    Ok(parent.dev() != metadata.dev() || parent.ino() == metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_folder_is_explained() {
        let problem = probe(Path::new("/nowhere/at/all"), false).unwrap_err();
        assert!(problem.contains("/nowhere/at/all does not exist"), "{problem}");
    }

    #[test]
    fn a_file_is_no_folder() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(probe(file.path(), false).unwrap_err().contains("no folder"));
    }

    #[test]
    fn an_ordinary_folder_is_no_mount_point_and_the_root_is() {
        let folder = tempfile::tempdir().unwrap();
        assert!(probe(folder.path(), false).is_ok());
        assert!(probe(folder.path(), true).unwrap_err().contains("no mount point"));
        assert!(probe(Path::new("/"), true).is_ok());
    }
}
