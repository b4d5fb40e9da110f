//! Opens a capture without leaving its folder.

use std::fs::File;
use std::io;

use rustix::fs::{CWD, Mode, OFlags, openat};

use leukd_journal::result::CapturePath;

/// Opens a capture for reading: no part of its path below the folder may be a symbolic link, and it
/// must be a regular file by the time it is open. A FIFO that took its place does not block.
///
/// Compare the file's metadata with [`super::Settled::is_still`] after opening and again after
/// reading: only then do the bytes belong to the stamp.
///
/// # Errors
/// `NotFound`, `PermissionDenied`, … as open(2) gives them, with the path; `InvalidInput` for a
/// symbolic link, for something that is no regular file, and for a path that leaves the folder.
pub fn open_capture(path: &CapturePath) -> io::Result<File> {
    open_parts(path).map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))
}

fn open_parts(path: &CapturePath) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    // The folder itself is the administrator's choice and may be a link.
    let mut at = openat(CWD, path.folder.as_str(), flags | OFlags::DIRECTORY, Mode::empty())?;
    let mut parts = path.path.split('/').peekable();
    while let Some(part) = parts.next() {
        if matches!(part, "" | "." | "..") {
            return Err(invalid("the path leaves its folder"));
        }
        let kind = if parts.peek().is_some() { OFlags::DIRECTORY } else { OFlags::empty() };
        at =
            openat(&at, part, flags | kind | OFlags::NOFOLLOW, Mode::empty()).map_err(|error| {
                match error {
                    // What O_NOFOLLOW gives for a link, alone and together with O_DIRECTORY; a
                    // socket gives ENXIO.
                    rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR => {
                        invalid("a part of the path is a symbolic link or no folder")
                    }
                    rustix::io::Errno::NXIO => invalid("it is no regular file"),
                    other => other.into(),
                }
            })?;
    }
    let file = File::from(at);
    if file.metadata()?.is_file() { Ok(file) } else { Err(invalid("it is no regular file")) }
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    fn capture(folder: &std::path::Path, path: &str) -> CapturePath {
        CapturePath { folder: folder.to_str().unwrap().to_owned(), path: path.to_owned() }
    }

    #[test]
    fn a_regular_file_opens_and_everything_else_is_refused() {
        let outside = tempfile::tempdir().unwrap();
        fs_err::write(outside.path().join("secret.bmp"), b"secret").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs_err::create_dir(root.join("slide")).unwrap();
        fs_err::write(root.join("slide/a.bmp"), b"cell").unwrap();
        symlink(root.join("slide/a.bmp"), root.join("link.bmp")).unwrap();
        symlink(outside.path(), root.join("door")).unwrap();
        rustix::fs::mkfifoat(CWD, root.join("pipe.bmp"), Mode::from_raw_mode(0o600)).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket.bmp")).unwrap();

        let mut text = String::new();
        open_capture(&capture(root, "slide/a.bmp")).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "cell");
        for refused in
            ["link.bmp", "door/secret.bmp", "pipe.bmp", "socket.bmp", "slide", "../x", ""]
        {
            let error = open_capture(&capture(root, refused)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{refused}: {error}");
        }
        let missing = open_capture(&capture(root, "gone.bmp")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert!(missing.to_string().contains("gone.bmp"));
    }
}
