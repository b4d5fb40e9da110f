//! Names of picture files in a folder: extensions, each derived from [`Format`], and leftovers of other programs.

use std::path::Path;

use super::complete::Format;

impl Format {
    /// Every format that leukd reads.
    pub const EVERY: [Self; 4] = [Self::Bmp, Self::Png, Self::Tiff, Self::Jpeg];

    /// Extensions of the format's files, in lower case.
    #[must_use]
    pub const fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Bmp => &["bmp"],
            Self::Png => &["png"],
            Self::Tiff => &["tif", "tiff"],
            Self::Jpeg => &["jpg", "jpeg"],
        }
    }
}

/// Extensions of all formats, in lower case.
pub fn extensions() -> impl Iterator<Item = &'static str> {
    Format::EVERY.into_iter().flat_map(|format| format.extensions().iter().copied())
}

/// Names that no microscope gives to a capture, as globs on the path below a folder: unfinished files and
/// what file systems, a NAS (Synology, QNAP, NetApp), Windows, macOS, editors and notebooks leave there.
/// Names that begin with a dot hold `._*`, `.Trash-*`, `.snapshot`, `.@__thumb` and `.ipynb_checkpoints`.
pub const LEFTOVERS: [&str; 16] = [
    "**/.*",
    "**/~*",
    "**/*.tmp",
    "**/*.part",
    "**/Thumbs.db",
    "**/@eaDir",
    "**/@tmp",
    "**/@Recycle",
    "**/@Recently-Snapshot",
    "**/#recycle",
    "**/#snapshot",
    "**/$RECYCLE.BIN",
    "**/RECYCLER",
    "**/System Volume Information",
    "**/lost+found",
    "**/__MACOSX",
];

/// True for a file name with an extension of a format, in any letter case.
#[must_use]
pub fn has_extension(path: &Path) -> bool {
    let own = path.extension().and_then(|text| text.to_str());
    own.is_some_and(|own| extensions().any(|known| own.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letter_case_does_not_matter() {
        assert!(has_extension(Path::new("a/B.TIFF")) && has_extension(Path::new("a.jpg")));
        assert!(!has_extension(Path::new("a.gif")) && !has_extension(Path::new("bmp")));
    }

    #[test]
    fn every_format_has_an_extension_of_its_own() {
        let all: std::collections::BTreeSet<&str> = extensions().collect();
        assert_eq!(all.len(), extensions().count());
        assert!(Format::EVERY.iter().all(|format| !format.extensions().is_empty()));
    }
}
