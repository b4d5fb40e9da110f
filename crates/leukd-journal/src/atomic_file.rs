//! Files that are written as one: whoever reads meanwhile, or after a death in the midst of it,
//! finds the old or the new.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Writes `path` anew: what `write` puts into a file beside it takes its place, with the
/// permissions `mode` whatever the umask, once all of it is on the disk.
///
/// # Errors
/// What `write` gives, or the system; then `path` is as it was and nothing is left beside it.
pub fn write<E: From<io::Error>>(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut File) -> Result<(), E>,
) -> Result<(), E> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.as_file().set_permissions(Permissions::from_mode(mode))?;
    write(new.as_file_mut())?;
    new.as_file().sync_all()?;
    new.persist(path).map_err(|error| error.error)?;
    // The new name, too.
    Ok(File::open(folder)?.sync_all()?)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_is_all_there_or_as_it_was_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write(&path, 0o640, |file| file.write_all(b"first")).unwrap();
        let failed = write(&path, 0o600, |file| {
            file.write_all(b"half")?;
            Err(io::Error::other("no more"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no more");
        assert_eq!(fs_err::read(&path).unwrap(), b"first");
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 1);
    }
}
