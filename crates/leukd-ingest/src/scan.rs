//! Walks one folder, entry by entry, without collecting.

use std::path::Path;
use std::sync::Arc;

use walkdir::{DirEntry, IntoIter, WalkDir};

use super::settings::FolderRules;
use super::stamp;
use leukd_journal::types::FileStamp;

/// Folders nested deeper than this are reported, not entered: paths would come near the system's
/// limit of 4,096 bytes, and no microscope makes them.
pub const MAX_DEPTH: usize = 64;

/// What one entry of the walk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A file that may be a capture: its path below the folder, `/` between its parts.
    Capture(String, FileStamp),
    /// A file that says that a specimen is done, likewise.
    Marker(String, FileStamp),
    /// Something that keeps a capture, or a whole subfolder, from being seen: what, and what to do.
    Problem(String),
    /// Nothing to do: a folder, an ignored file, a refused entry, a file that vanished meanwhile.
    Passed,
}

/// One walk. Stop it by dropping it.
pub struct Walk {
    rules: Arc<FolderRules>,
    steady: bool,
    entries: IntoIter,
    ignored: u64,
    refused: u64,
}

impl Walk {
    /// A walk over the folder of `rules`; `steady` as in [`stamp::of`].
    #[must_use]
    pub fn new(rules: &Arc<FolderRules>, steady: bool) -> Self {
        let depth = if rules.recursive { MAX_DEPTH } else { 1 };
        let entries = WalkDir::new(&rules.folder)
            .follow_links(false)
            .min_depth(1)
            .max_depth(depth)
            .into_iter();
        Self { rules: Arc::clone(rules), steady, entries, ignored: 0, refused: 0 }
    }

    /// Files that are no captures, so far: those that `ignore` names, and other files that
    /// `include` does not. A folder that `ignore` names counts as one.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Symbolic links, FIFOs, sockets and devices, so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn step(&mut self, entry: &DirEntry) -> Step {
        let path = entry.path().strip_prefix(&self.rules.folder).unwrap_or(entry.path());
        let kind = entry.file_type();
        if self.rules.ignore.is_match(path) {
            self.ignored += 1;
            if kind.is_dir() {
                self.entries.skip_current_dir();
            }
            return Step::Passed;
        }
        if kind.is_dir() {
            return self.folder(entry);
        }
        if !kind.is_file() {
            self.refused += 1;
            return Step::Passed;
        }
        let markers = self.rules.markers.as_ref();
        let is_marker = markers.is_some_and(|markers| markers.is_one(entry.file_name()));
        if !is_marker && !self.rules.include.is_match(path) {
            self.ignored += 1;
            return Step::Passed;
        }
        let Some(name) = path.to_str() else {
            return Step::Problem(format!(
                "the name of {path:?} in {} is not UTF-8, so it cannot be a capture: rename it",
                self.rules.folder
            ));
        };
        match entry.metadata() {
            // What readdir called a file may be something else by now.
            Ok(metadata) if metadata.is_file() => {
                let (name, stamp) = (name.to_owned(), stamp::of(&metadata, self.steady));
                if is_marker { Step::Marker(name, stamp) } else { Step::Capture(name, stamp) }
            }
            Ok(_) => Step::Passed,
            Err(error) => self.failed(&error),
        }
    }

    fn folder(&self, entry: &DirEntry) -> Step {
        if self.rules.recursive && entry.depth() == MAX_DEPTH {
            return Step::Problem(format!(
                "{:?} lies more than {MAX_DEPTH} folders deep and is not looked into: move it up",
                entry.path()
            ));
        }
        Step::Passed
    }

    fn failed(&self, error: &walkdir::Error) -> Step {
        let kind = error.io_error().map(std::io::Error::kind);
        let path = error.path().unwrap_or(Path::new(&self.rules.folder));
        match kind {
            // It vanished between being listed and being looked at.
            Some(std::io::ErrorKind::NotFound) => Step::Passed,
            Some(std::io::ErrorKind::PermissionDenied) => Step::Problem(format!(
                "{path:?} may not be read: give the user that leukd runs as permission, or name it in watch.ignore"
            )),
            _ => Step::Problem(format!("{path:?} cannot be read: {error}")),
        }
    }
}

impl Iterator for Walk {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        Some(match self.entries.next()? {
            Ok(entry) => self.step(&entry),
            Err(error) => self.failed(&error),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IngestSettings;
    use crate::watch::Watch;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    fn rules(folder: &Path, change: impl FnOnce(&mut Watch)) -> Arc<FolderRules> {
        let mut watch = Watch { folders: vec![folder.to_path_buf()], ..Watch::default() };
        change(&mut watch);
        IngestSettings::new(&watch, 8).unwrap().folders.remove(0)
    }

    fn walk(rules: &Arc<FolderRules>) -> (Vec<String>, Vec<String>, u64, u64) {
        let (mut captures, mut problems) = (Vec::new(), Vec::new());
        let mut walk = Walk::new(rules, true);
        for step in walk.by_ref() {
            match step {
                Step::Capture(path, _) => captures.push(path),
                Step::Problem(problem) => problems.push(problem),
                Step::Marker(..) | Step::Passed => {}
            }
        }
        captures.sort();
        (captures, problems, walk.ignored(), walk.refused())
    }

    fn put(root: &Path, files: &[&str]) {
        for file in files {
            fs_err::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs_err::write(root.join(file), b"x").unwrap();
        }
    }

    #[test]
    fn captures_are_found_whatever_the_letter_case_and_ignored_folders_are_not_entered() {
        let dir = tempfile::tempdir().unwrap();
        put(
            dir.path(),
            &[
                "a.BMP",
                "s1/b.png",
                "s1/deep/c.tif",
                ".trash/d.bmp",
                "s1/~e.bmp",
                "notes.txt",
                "f.bmp.part",
            ],
        );
        let rules = rules(dir.path(), |_| {});
        let (captures, problems, ignored, refused) = walk(&rules);
        assert_eq!(captures, ["a.BMP", "s1/b.png", "s1/deep/c.tif"]);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!((ignored, refused), (4, 0));
    }

    #[test]
    fn a_flat_walk_stays_in_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), &["a.bmp", "s1/b.bmp"]);
        let rules = rules(dir.path(), |watch| watch.recursive = false);
        assert_eq!(walk(&rules).0, ["a.bmp"]);
    }

    #[test]
    fn a_name_that_is_not_utf8_is_a_problem_and_not_silence() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), &["a.bmp"]);
        let name = dir.path().join(OsStr::from_bytes(b"bad\xff.bmp"));
        if fs_err::write(&name, b"x").is_err() {
            return; // A file system that takes only UTF-8 names.
        }
        let (captures, problems, ..) = walk(&rules(dir.path(), |_| {}));
        assert_eq!(captures, ["a.bmp"]);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("UTF-8") && problems[0].contains("bad"), "{problems:?}");
    }

    #[test]
    fn a_folder_too_deep_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let deep = format!("{}b.bmp", "d/".repeat(MAX_DEPTH + 1));
        put(dir.path(), &[&deep]);
        let (captures, problems, ..) = walk(&rules(dir.path(), |_| {}));
        assert!(captures.is_empty());
        assert!(problems[0].contains("folders deep"), "{problems:?}");
    }
}
