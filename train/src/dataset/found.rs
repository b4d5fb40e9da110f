//! Image files with what their place and their name say of them.

use std::path::{Path, PathBuf};

use leukd_cell::name::{CNMC_PATTERN, NamePattern};
use leukd_journal::CellPlace;
use leukd_journal::result::Digest;

use super::split::Side;
use super::{DatasetError, LABELS};

/// An image file and what its place says of it.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) label: usize,
    /// Empty where nothing says so.
    pub(super) subject: String,
    pub(super) fold: Option<String>,
    pub(super) side: Option<Side>,
    /// The bytes that somebody reviewed; those of the file must be the same, and the label is that
    /// person's, whatever the file's name says.
    pub(super) reviewed: Option<Digest>,
    /// The cell's place, where the picture is a field of view.
    pub(super) place: Option<CellPlace>,
    /// The CSV, and the line in it.
    pub(super) line: Option<(PathBuf, u64)>,
}

/// C-NMC's file names.
pub(super) struct Names(NamePattern);

impl Names {
    /// C-NMC's pattern.
    pub(super) fn new() -> Result<Self, DatasetError> {
        NamePattern::new(CNMC_PATTERN).map(Self).map_err(DatasetError::Pattern)
    }

    /// The subject that a file's name tells.
    pub(super) fn subject(&self, name: &str) -> Option<String> {
        Some(self.0.ids(name).specimen).filter(|subject| !subject.is_empty())
    }

    /// The class that a file's name tells.
    pub(super) fn label(&self, name: &str) -> Option<usize> {
        self.subject(name)?;
        let stem = Path::new(name).file_stem()?.to_str()?;
        let last = stem.rsplit('_').next()?;
        LABELS.iter().position(|label| *label == last)
    }
}
