//! A file for each message, whole or not there.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::message::{Destination, Message, Verdict};

/// A folder that another program imports from.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    mode: u32,
}

impl Folder {
    /// A folder, which need not be there yet, and the permissions of its files.
    #[must_use]
    pub const fn new(path: PathBuf, mode: u32) -> Self {
        Self { path, mode }
    }

    /// The file under way has a name of its own that follows from the message: a death leaves it to
    /// the next attempt, and nothing to anybody else.
    fn write(&self, message: &Message) -> io::Result<()> {
        let part = self.path.join(format!(".{}.part", message.file));
        let mut file = fs_err::File::create(&part)?;
        file.set_permissions(Permissions::from_mode(self.mode))?;
        file.write_all(message.body.as_bytes())?;
        file.sync_all()?;
        fs_err::rename(&part, self.path.join(&message.file))?;
        fs_err::File::open(&self.path)?.sync_all()
    }
}

impl Destination for Folder {
    /// Writes the file beside, flushes it, and gives it its name. A repeat replaces it by the same.
    fn send(&mut self, message: &Message) -> Verdict {
        match self.write(message) {
            Ok(()) => Verdict::Accepted,
            Err(error) => Verdict::Away(format!("cannot write: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csv;
    use crate::round::tests::round;

    #[test]
    fn a_file_is_written_once_it_can_be_and_a_repeat_makes_no_second_one() {
        let root = tempfile::tempdir().unwrap();
        let mut folder = Folder::new(root.path().join("import"), 0o640);
        let message = csv::encode(&round("11"));
        let Verdict::Away(reason) = folder.send(&message) else { panic!("there is no folder") };
        assert!(reason.contains("import"), "{reason}");
        fs_err::create_dir(root.path().join("import")).unwrap();
        // A death left half of it.
        let part = root.path().join("import").join(format!(".{}.part", message.file));
        fs_err::write(part, "half").unwrap();
        for _ in 0..2 {
            assert_eq!(folder.send(&message), Verdict::Accepted);
        }
        let files: Vec<_> = fs_err::read_dir(root.path().join("import")).unwrap().collect();
        assert_eq!(files.len(), 1);
        assert_eq!(
            fs_err::read_to_string(files[0].as_ref().unwrap().path()).unwrap(),
            message.body
        );
    }
}
