//! The `[watch]` settings, checked and compiled.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::tracker::{MAX_PENDING, Rules};
use crate::watch::{Watch, WatchMode};
use leukd_cell::name::{MAX_ID, NamePattern};

/// A setting that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct SettingsError {
    /// The setting, for example `watch.include`.
    pub field: &'static str,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// What this room needs to know, checked.
#[derive(Debug, Clone)]
pub struct IngestSettings {
    /// One entry a folder.
    pub folders: Vec<Arc<FolderRules>>,
    /// How many captures may be handed over and not taken yet, all folders together.
    pub(super) queue: usize,
}

/// How one folder is watched.
#[derive(Debug, Clone)]
pub struct FolderRules {
    /// The folder: absolute, without `.`, and UTF-8.
    pub folder: String,
    /// Look into subfolders.
    pub recursive: bool,
    /// Files that are captures.
    pub include: GlobSet,
    /// Files and folders that are none.
    pub ignore: GlobSet,
    /// How changes are found.
    pub mode: WatchMode,
    /// The time between two scans where inotify tells of changes.
    pub rescan_interval: Duration,
    /// The time between two scans elsewhere.
    pub poll_interval: Duration,
    /// The folder must be a mount point.
    pub require_mount: bool,
    /// When a file is settled, and what happens after a verdict.
    pub tracking: Rules,
    /// Files that say that a specimen is done; none where no file does.
    pub markers: Option<Markers>,
}

/// Which files are done-markers, and of which specimen.
#[derive(Debug, Clone)]
pub struct Markers {
    glob: GlobSet,
    names: NamePattern,
}

impl Markers {
    /// Whether a file of this name is one.
    #[must_use]
    pub fn is_one(&self, file_name: &OsStr) -> bool {
        self.glob.is_match(file_name)
    }

    /// The specimen that a marker of this path is of: by the pattern, or else its name without its
    /// extension.
    #[must_use]
    pub fn specimen(&self, path: &str) -> String {
        let by_pattern = self.specimen_of_capture(path);
        if !by_pattern.is_empty() {
            return by_pattern;
        }
        let stem = Path::new(path).file_stem().and_then(OsStr::to_str).unwrap_or_default();
        stem[..stem.floor_char_boundary(MAX_ID)].to_owned()
    }

    /// The specimen that a capture of this path is of; may be empty.
    #[must_use]
    pub fn specimen_of_capture(&self, path: &str) -> String {
        let name = Path::new(path).file_name().and_then(OsStr::to_str).unwrap_or_default();
        self.names.ids(name).specimen
    }
}

impl IngestSettings {
    /// Checks `[watch]`. `queue` is how many captures may wait in memory for the pipeline, all
    /// folders together (each folder has at least one place); the others wait on disk.
    ///
    /// # Errors
    /// The first setting that makes no sense.
    pub fn new(watch: &Watch, queue: usize) -> Result<Self, SettingsError> {
        if watch.settle_looks < 2 {
            return Err(error(
                "watch.settle_looks",
                "one look cannot tell that a file stands still: at least 2",
            ));
        }
        for (field, span) in [
            ("watch.settle_interval", watch.settle_interval),
            ("watch.rescan_interval", watch.rescan_interval),
            ("watch.poll_interval", watch.poll_interval),
            ("watch.broken_after", watch.broken_after),
        ] {
            if span.0.is_zero() {
                return Err(error(field, "must be longer than zero"));
            }
        }
        let include = globs("watch.include", &watch.include)?;
        let ignore = globs("watch.ignore", &watch.ignore)?;
        let names = watch
            .folders
            .iter()
            .map(|folder| folder_name(folder))
            .collect::<Result<Vec<_>, _>>()?;
        refuse_overlap(&names, watch.recursive)?;
        let folders = names
            .into_iter()
            .map(|folder| {
                Arc::new(FolderRules {
                    folder,
                    recursive: watch.recursive,
                    include: include.clone(),
                    ignore: ignore.clone(),
                    mode: watch.mode,
                    rescan_interval: watch.rescan_interval.0,
                    poll_interval: watch.poll_interval.0,
                    require_mount: watch.require_mount,
                    tracking: Rules {
                        looks: watch.settle_looks,
                        interval: watch.settle_interval.0,
                        broken_after: watch.broken_after.0,
                        max_pending: MAX_PENDING,
                    },
                    markers: None,
                })
            })
            .collect();
        Ok(Self { folders, queue })
    }

    /// Files whose name matches `glob` say that a specimen is done; `names` is what tells specimens
    /// of captures.
    ///
    /// # Errors
    /// The glob is none.
    pub fn with_markers(mut self, glob: &str, names: &NamePattern) -> Result<Self, SettingsError> {
        let glob = globs("specimen.done_marker", &[glob.to_owned()])?;
        for rules in &mut self.folders {
            let markers = Markers { glob: glob.clone(), names: names.clone() };
            Arc::make_mut(rules).markers = Some(markers);
        }
        Ok(self)
    }
}

fn error(field: &'static str, message: impl Into<String>) -> SettingsError {
    SettingsError { field, message: message.into() }
}

/// `*` stays within one part of the path, `**` crosses; letter case does not matter (A to Z),
/// because microscopes write `.BMP` as often as `.bmp`.
pub fn globs(field: &'static str, patterns: &[String]) -> Result<GlobSet, SettingsError> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern)
            .literal_separator(true)
            .case_insensitive(true)
            .build()
            .map_err(|wrong| error(field, format!("{pattern:?}: {}", wrong.kind())))?;
        set.add(glob);
    }
    set.build().map_err(|wrong| error(field, wrong.to_string()))
}

fn folder_name(folder: &Path) -> Result<String, SettingsError> {
    const FIELD: &str = "watch.folders";
    if !folder.is_absolute() {
        return Err(error(
            FIELD,
            format!("{} is relative: write the path from /", folder.display()),
        ));
    }
    if folder.components().any(|part| part == Component::ParentDir) {
        return Err(error(
            FIELD,
            format!("{} holds \"..\": write the path without", folder.display()),
        ));
    }
    let plain: PathBuf = folder.components().collect();
    plain.to_str().map(str::to_owned).ok_or_else(|| {
        error(FIELD, format!("{} is not UTF-8: rename the folder", folder.display()))
    })
}

/// A file that two entries cover would be read twice.
fn refuse_overlap(names: &[String], recursive: bool) -> Result<(), SettingsError> {
    for (index, one) in names.iter().enumerate() {
        for other in names.iter().take(index) {
            let nested = Path::new(one).starts_with(other) || Path::new(other).starts_with(one);
            if one == other || (recursive && nested) {
                return Err(error(
                    "watch.folders",
                    format!("{one} and {other} hold the same files: name only the outer one"),
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use leukd_journal::units::Span;

    fn watch(folders: &[&str]) -> Watch {
        Watch { folders: folders.iter().map(PathBuf::from).collect(), ..Watch::default() }
    }

    fn field_of(watch: &Watch) -> &'static str {
        IngestSettings::new(watch, 8).unwrap_err().field
    }

    #[test]
    fn the_defaults_are_accepted_and_folder_names_are_made_plain() {
        let settings = IngestSettings::new(&watch(&["/data/export/", "/data/./b"]), 8).unwrap();
        let names: Vec<_> = settings.folders.iter().map(|rules| rules.folder.as_str()).collect();
        assert_eq!(names, ["/data/export", "/data/b"]);
    }

    #[test]
    fn each_wrong_setting_is_named() {
        assert_eq!(field_of(&Watch { settle_looks: 1, ..watch(&[]) }), "watch.settle_looks");
        let zero = Span::from_secs(0);
        assert_eq!(
            field_of(&Watch { settle_interval: zero, ..watch(&[]) }),
            "watch.settle_interval"
        );
        assert_eq!(field_of(&Watch { broken_after: zero, ..watch(&[]) }), "watch.broken_after");
        let glob = vec!["**/*.{bmp".to_owned()];
        assert_eq!(field_of(&Watch { include: glob.clone(), ..watch(&[]) }), "watch.include");
        assert_eq!(field_of(&Watch { ignore: glob, ..watch(&[]) }), "watch.ignore");
        for wrong in ["export", "/data/../etc"] {
            assert_eq!(field_of(&watch(&[wrong])), "watch.folders");
        }
    }

    #[test]
    fn folders_that_hold_the_same_files_are_refused() {
        assert_eq!(field_of(&watch(&["/a", "/b", "/a/"])), "watch.folders");
        assert_eq!(field_of(&watch(&["/a/b", "/a"])), "watch.folders");
        assert!(IngestSettings::new(&watch(&["/a", "/ab"]), 8).is_ok());
        let flat = Watch { recursive: false, ..watch(&["/a/b", "/a"]) };
        assert!(IngestSettings::new(&flat, 8).is_ok());
    }

    #[test]
    fn letter_case_does_not_matter_and_a_star_stays_in_its_part() {
        let set = globs("watch.include", &["*.bmp".to_owned(), "raw/**/*.tif".to_owned()]).unwrap();
        assert!(set.is_match("UID_H14_1.BMP") && set.is_match("RAW/a/b/c.Tif"));
        assert!(!set.is_match("a/b.bmp") && !set.is_match("a.tif"));
    }
}
