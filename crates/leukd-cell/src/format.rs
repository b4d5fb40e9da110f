//! Formats that leukd reads. Every list of their names, extensions and signatures derives from
//! [`FORMATS`].

use std::fmt;

/// A format that leukd reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Windows bitmap.
    Bmp,
    /// Portable Network Graphics.
    Png,
    /// Tagged Image File Format, BigTIFF too.
    Tiff,
    /// JPEG, in JFIF, Exif or bare.
    Jpeg,
}

/// The first bytes of a PNG (W3C PNG, 5.2).
pub(crate) const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Facts about one format.
#[derive(Debug)]
pub struct FormatFacts {
    /// The format.
    pub format: Format,
    /// Its name, for people.
    pub name: &'static str,
    /// Extensions of its files, in lower case, without the dot.
    pub extensions: &'static [&'static str],
    /// First bytes of its files: any one of these.
    pub(crate) signatures: &'static [&'static [u8]],
}

/// Every format that leukd reads, in the order of [`Format`].
pub static FORMATS: [FormatFacts; 4] = [
    FormatFacts { format: Format::Bmp, name: "BMP", extensions: &["bmp"], signatures: &[b"BM"] },
    FormatFacts {
        format: Format::Png,
        name: "PNG",
        extensions: &["png"],
        signatures: &[PNG_SIGNATURE],
    },
    FormatFacts {
        format: Format::Tiff,
        name: "TIFF",
        extensions: &["tif", "tiff"],
        signatures: &[b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"],
    },
    FormatFacts {
        format: Format::Jpeg,
        name: "JPEG",
        extensions: &["jpg", "jpeg"],
        signatures: &[b"\xff\xd8\xff"],
    },
];

impl Format {
    /// Its row of [`FORMATS`].
    #[must_use]
    pub fn facts(self) -> &'static FormatFacts {
        &FORMATS[self as usize]
    }

    /// The format whose signature `bytes` begin with.
    pub(crate) fn of_start(bytes: &[u8]) -> Option<Self> {
        let begins = |signature: &&[u8]| bytes.starts_with(signature);
        find(|facts| facts.signatures.iter().any(begins))
    }

    /// The format of a signature that `bytes` are the beginning of.
    pub(crate) fn of_cut_start(bytes: &[u8]) -> Option<Self> {
        find(|facts| facts.signatures.iter().any(|signature| signature.starts_with(bytes)))
    }
}

fn find(matches: impl Fn(&FormatFacts) -> bool) -> Option<Format> {
    FORMATS.iter().find(|facts| matches(facts)).map(|facts| facts.format)
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.facts().name)
    }
}

/// Extensions of all formats, in lower case.
pub fn extensions() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().flat_map(|facts| facts.extensions).copied()
}

/// The formats' names in a sentence: `BMP, PNG, TIFF or JPEG`.
#[must_use]
pub fn format_names() -> String {
    let [before @ .., last] = FORMATS.each_ref().map(|facts| facts.name);
    format!("{} or {last}", before.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_a_row_of_its_own() {
        for (place, facts) in FORMATS.iter().enumerate() {
            assert_eq!(facts.format as usize, place);
            assert_eq!(facts.format.facts().name, facts.name);
            assert!(!facts.extensions.is_empty() && !facts.signatures.is_empty());
            for signature in facts.signatures {
                assert_eq!(Format::of_start(signature), Some(facts.format));
                assert_eq!(Format::of_cut_start(&signature[..1]), Some(facts.format));
            }
        }
        assert_eq!(format_names(), "BMP, PNG, TIFF or JPEG");
    }

    #[test]
    fn no_two_formats_share_an_extension() {
        let all: std::collections::BTreeSet<&str> = extensions().collect();
        assert_eq!(all.len(), extensions().count());
    }
}
