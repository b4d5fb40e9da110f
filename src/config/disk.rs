//! Checks of settings against the disk. For `leukd check` only: a hung network mount may hold these
//! calls up, which must never hold up the daemon's start.

use std::fs;
use std::path::{Path, PathBuf};

use super::check::{Overlap, overlap};
use super::error::{ConfigError, Origin, Problem};
use super::load::Loaded;

impl Loaded {
    /// Looks at the folders and files that the settings name: what is doubtful, one sentence each.
    ///
    /// # Errors
    /// What leukd cannot work with: a folder that is a file, a bundle that cannot be read, folders
    /// that lie inside one another by way of symbolic links.
    pub fn examine(&self) -> Result<Vec<String>, ConfigError> {
        let mut problems = Vec::new();
        let mut warnings = Vec::new();
        let at = |key: &str, message: String| Problem {
            origin: self.origins.get(key).cloned().unwrap_or(Origin::Default),
            key: Some(key.to_owned()),
            message,
        };
        let state = &self.settings.journal.directory;
        for folder in &self.settings.watch.folders {
            let shown = folder.display();
            match fs::read_dir(folder) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
                    problems.push(at("watch.folders", format!("{shown} is no folder")));
                }
                Err(error) => warnings.push(at(
                    "watch.folders",
                    format!(
                        "{shown} cannot be read now ({error}): leukd will be degraded until it can"
                    ),
                )),
            }
            if !matches!(overlap(&real(folder), &real(state)), Overlap::Apart) {
                let message = format!(
                    "{} and the watched folder {shown} lie inside one another by way of symbolic links",
                    state.display()
                );
                problems.push(at("journal.directory", message));
            }
        }
        let folders = &self.settings.watch.folders;
        for (index, a) in folders.iter().enumerate() {
            for b in &folders[index + 1..] {
                if !matches!(overlap(&real(a), &real(b)), Overlap::Apart) {
                    let (a, b) = (a.display(), b.display());
                    let message =
                        format!("{a} and {b} lie inside one another by way of symbolic links");
                    problems.push(at("watch.folders", message));
                }
            }
        }
        if state.exists() && !state.is_dir() {
            problems.push(at("journal.directory", format!("{} is no folder", state.display())));
        }
        if let Some(bundle) = &self.settings.model.bundle
            && let Err(error) = fs::File::open(bundle)
        {
            problems
                .push(at("model.bundle", format!("{} cannot be read: {error}", bundle.display())));
        }
        if let Some(folder) = &self.settings.model.folder
            && !folder.is_dir()
        {
            warnings.push(at("model.folder", format!("{} is no folder (yet)", folder.display())));
        }
        if problems.is_empty() {
            Ok(warnings.iter().map(ToString::to_string).collect())
        } else {
            Err(ConfigError { problems })
        }
    }
}

/// The path without symbolic links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (ancestor.canonicalize(), path.strip_prefix(ancestor)) {
            return real.join(rest);
        }
    }
    path.to_owned()
}
