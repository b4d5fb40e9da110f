//! Names of files in a folder: the extensions of pictures, and what other programs leave there.

use std::path::Path;

pub use super::format::extensions;

/// Names that no microscope gives to a capture, as globs on the path below a folder: unfinished
/// files and what file systems, a NAS (Synology, QNAP, NetApp), Windows, macOS, editors and
/// notebooks leave there, and leukd's own heat maps and overlays. `FOUND.000` holds what a check of
/// the disk found. Names that begin with a dot hold `._*`, `.Trash-*`, `.snapshot`, `.@__thumb` and
/// `.ipynb_checkpoints`.
pub const LEFTOVERS: [&str; 20] = [
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
    "**/FOUND.000",
    "**/*.heatmap.png",
    "**/*.heatmap.json",
    "**/*.overlay.png",
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
}
