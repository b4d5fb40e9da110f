//! The section `[watch]` of the settings, each key with its default.

use std::path::PathBuf;

use leukd_cell::extensions::{LEFTOVERS, extensions};
use leukd_cell::words::KindRule;
use leukd_journal::units::Span;
use serde::{Deserialize, Serialize};

/// The export folders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Watch {
    /// Absolute paths. Empty: leukd serves requests only.
    pub folders: Vec<PathBuf>,
    /// Look into subfolders.
    pub recursive: bool,
    /// Files that are captures, by glob on the path below the folder; letter case does not matter.
    pub include: Vec<String>,
    /// Files and folders that are none, whatever `include` says.
    pub ignore: Vec<String>,
    /// `auto` (by the file system's kind), `watch` (inotify and rescans) or `poll`.
    pub mode: WatchMode,
    /// A file is settled when this many looks in a row found it unchanged. At least 2.
    pub settle_looks: u32,
    /// The time between two looks.
    pub settle_interval: Span,
    /// Time between two full scans where inotify reports changes.
    pub rescan_interval: Span,
    /// Time between two full scans where nothing reports changes.
    pub poll_interval: Span,
    /// A file that stays incomplete or unreadable this long without a change is rejected
    /// (and tried again when it changes).
    pub broken_after: Span,
    /// The folder must be a mount point of its own; degraded while it is not.
    pub require_mount: bool,
    /// What captures show: `auto` (decided by the picture), `cell` (one segmented cell on black
    /// each) or `field` (fields of view, in which leukd finds the white cells).
    pub kind: KindRule,
    /// The scale of fields of view: micrometres that one pixel spans, 0.005 to 5. Absent: by the
    /// file, else estimated from the red cells, and then every cell is left to a person.
    pub micrometres_per_pixel: Option<f64>,
    /// Files for which another `kind` or scale holds: the first rule whose glob matches counts.
    pub rules: Vec<WatchRule>,
    /// A regular expression over the file name with the named groups `specimen`, `slide`, `cell`.
    pub name_pattern: String,
}

/// What holds for some files of the watched folders. What a rule does not set is as for all files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchRule {
    /// A glob on a file's absolute path.
    pub glob: String,
    /// As [`Watch::kind`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<KindRule>,
    /// As [`Watch::micrometres_per_pixel`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micrometres_per_pixel: Option<f64>,
}

/// Ways to find changes in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WatchMode {
    /// By the file system's kind.
    Auto,
    /// inotify hints and rescans.
    Watch,
    /// Scans alone.
    Poll,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            folders: Vec::new(),
            recursive: true,
            include: extensions().map(|extension| format!("**/*.{extension}")).collect(),
            ignore: LEFTOVERS.map(String::from).to_vec(),
            mode: WatchMode::Auto,
            settle_looks: 3,
            settle_interval: Span::from_millis(250),
            rescan_interval: Span::from_secs(10),
            poll_interval: Span::from_secs(2),
            broken_after: Span::from_secs(60),
            require_mount: false,
            kind: KindRule::default(),
            micrometres_per_pixel: None,
            rules: Vec::new(),
            name_pattern: leukd_cell::name::CNMC_PATTERN.to_owned(),
        }
    }
}
