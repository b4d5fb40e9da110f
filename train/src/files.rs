//! Files that are written whole or not at all.

use std::fs::File;
use std::io::Write;
use std::path::Path;

/// Writes `bytes` to `path`: through a file beside it that then takes its name, so that neither a
/// crash nor a full disk leaves half a file.
///
/// # Errors
///
/// Where the folder cannot be written. What was there before stays.
pub fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    replace_with(path, |file| file.write_all(bytes))
}

/// As [`replace`], of what `write` writes.
///
/// # Errors
///
/// As [`replace`], and those of `write`.
pub fn replace_with(
    path: &Path,
    write: impl FnOnce(&mut File) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let written = File::create(&new)
        .and_then(|mut file| {
            write(&mut file)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&new, path));
    if written.is_err() {
        // Half a file would only take up what little space there is.
        let _ = std::fs::remove_file(&new);
    }
    written
}

/// Waits until a file that exists, or the names in a folder, are on the disk.
///
/// # Errors
///
/// The system's answer.
pub fn sync(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}
