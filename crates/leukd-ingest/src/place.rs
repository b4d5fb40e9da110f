//! Is the folder there, may it be read, and is it what the administrator meant?

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};

use super::fs_kind::{self, FsKind};
use super::mounts;
use super::settings::FolderRules;

/// A folder that is there and can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its own file system.
    pub kind: FsKind,
    /// File systems mounted below it that report no changes: their path below it and their name.
    pub silent: Vec<(PathBuf, String)>,
    /// Device and inode: another pair under the same path is another folder (mounted, moved, made
    /// anew).
    pub identity: (u64, u64),
}

impl Place {
    /// inotify reports every change in it.
    #[must_use]
    pub fn tells(&self) -> bool {
        self.kind.tells && self.silent.is_empty()
    }

    /// Its file systems, for people: `ext4`, or `ext4; nfs at slides/today`.
    #[must_use]
    pub fn file_systems(&self) -> String {
        let mut text = self.kind.name.clone().into_owned();
        for (at, name) in &self.silent {
            text = format!("{text}; {name} at {}", at.display());
        }
        text
    }
}

/// Looks at the folder of `rules` without walking it.
///
/// # Errors
/// One sentence that says what is wrong and what to do.
pub fn probe(rules: &FolderRules) -> Result<Place, String> {
    let folder = Path::new(&rules.folder);
    let name = folder.display();
    let failed = |error: io::Error| explain(folder, &error);
    // Asking for the trailing part of a mount point also makes an automounter mount it.
    let metadata = std::fs::metadata(folder).map_err(failed)?;
    if !metadata.is_dir() {
        return Err(format!("{name} is no folder: set watch.folders to the export folder"));
    }
    if rules.require_mount && !is_mount_point(folder, &metadata).map_err(failed)? {
        return Err(format!(
            "{name} is no mount point, but watch.require_mount is set: mount the share (its entry in /etc/fstab)"
        ));
    }
    // Only opening it shows that it may be read; a stale handle shows here too.
    std::fs::read_dir(folder).map_err(failed)?;
    let kind = fs_kind::detect(folder).map_err(failed)?;
    let silent = if rules.recursive {
        mounts::silent_below(folder, |path| rules.ignore.is_match(path))
    } else {
        Vec::new()
    };
    Ok(Place { kind, silent, identity: (metadata.dev(), metadata.ino()) })
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

/// By the kernel's own word where it gives one (Linux 5.8), which knows bind mounts too; otherwise
/// by the device number, which differs from the parent's.
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
    use crate::IngestSettings;
    use crate::watch::Watch;

    fn probe(folder: &Path, require_mount: bool) -> Result<Place, String> {
        let watch = Watch { folders: vec![folder.to_owned()], require_mount, ..Watch::default() };
        super::probe(&IngestSettings::new(&watch, 8).unwrap().folders[0])
    }

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
