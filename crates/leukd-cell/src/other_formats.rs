//! Formats that leukd does not read, so that a refusal names the file's own.

use crate::fault::{Fault, FaultKind};

/// Bytes at a place of a file.
type Mark = (usize, &'static [u8]);

/// Each format's name and the marks that its files carry, all of them; the first match counts.
const OTHERS: [(&str, &[Mark]); 36] = [
    ("a GIF picture", &[(0, b"GIF8")]),
    ("a WebP picture", &[(0, b"RIFF"), (8, b"WEBP")]),
    ("a JPEG 2000 picture", &[(0, b"\0\0\0\x0cjP  ")]),
    ("a JPEG 2000 picture", &[(0, b"\xff\x4f\xff\x51")]),
    ("a JPEG XL picture", &[(0, b"\0\0\0\x0cJXL ")]),
    ("a JPEG XL picture", &[(0, b"\xff\x0a")]),
    ("a JPEG XR picture", &[(0, b"II\xbc")]),
    ("an AVIF picture", &[(4, b"ftypavi")]),
    ("a HEIC picture", &[(4, b"ftyphei")]),
    ("a HEIC picture", &[(4, b"ftyphev")]),
    ("a HEIF picture", &[(4, b"ftypmif1")]),
    ("a HEIF picture", &[(4, b"ftypmsf1")]),
    ("a video", &[(4, b"ftyp")]),
    ("a video", &[(0, b"RIFF"), (8, b"AVI ")]),
    ("a DICOM file", &[(128, b"DICM")]),
    ("a Photoshop file", &[(0, b"8BPS")]),
    ("a CZI file of Zeiss", &[(0, b"ZISRAWFILE")]),
    ("an ND2 file of Nikon", &[(0, b"\xda\xce\xbe\x0a")]),
    ("a LIF file of Leica", &[(0, b"\x70\0\0\0"), (8, b"\x2a")]),
    ("a compound file, as OIB and ZVI are", &[(0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")]),
    ("an HDF5 file, as IMS is", &[(0, b"\x89HDF\r\n\x1a\n")]),
    ("an OpenEXR picture", &[(0, b"\x76\x2f\x31\x01")]),
    ("a FITS file", &[(0, b"SIMPLE  =")]),
    ("a NumPy array", &[(0, b"\x93NUMPY")]),
    ("a PBM picture", &[(0, b"P4\n")]),
    ("a PGM picture", &[(0, b"P5\n")]),
    ("a PPM picture", &[(0, b"P6\n")]),
    ("an OS/2 array of bitmaps", &[(0, b"BA")]),
    ("an icon", &[(0, b"\0\0\x01\0\x01")]),
    ("a PDF document", &[(0, b"%PDF")]),
    ("a PostScript document", &[(0, b"%!PS")]),
    ("a ZIP archive", &[(0, b"PK\x03\x04")]),
    ("compressed with gzip", &[(0, b"\x1f\x8b")]),
    ("a web page", &[(0, b"<!DOCTYPE")]),
    ("a web page", &[(0, b"<html")]),
    ("an XML or SVG text", &[(0, b"<")]),
];

/// The refusal of a file in a format that leukd knows and does not read.
pub(super) fn refusal(bytes: &[u8]) -> Option<Fault> {
    let has = |(at, mark): &Mark| bytes.get(*at..).is_some_and(|rest| rest.starts_with(mark));
    let (name, _) = OTHERS.iter().find(|(_, marks)| marks.iter().all(has))?;
    let message = format!(
        "this file is {name}, which leukd does not read: export the picture as PNG, or as TIFF \
         with 8 bits a sample"
    );
    Some(Fault::new(FaultKind::Unsupported, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;

    #[test]
    fn a_format_is_named_by_its_marks() {
        for (name, marks) in OTHERS {
            let end = marks.iter().map(|(at, mark)| at + mark.len()).max().unwrap_or(0);
            let mut file = vec![b'.'; end + 8];
            for (at, mark) in marks {
                file[*at..at + mark.len()].copy_from_slice(mark);
            }
            let fault = refusal(&file).unwrap();
            assert_eq!((fault.code(), fault.may_heal()), ("unsupported", false));
            assert!(fault.message().contains(name), "{name}: {fault}");
            assert!(fault.message().contains("export the picture as PNG"), "{fault}");
        }
    }

    #[test]
    fn no_mark_hides_a_format_that_leukd_reads() {
        for facts in &crate::format::FORMATS {
            for signature in facts.signatures {
                assert_eq!(refusal(signature), None, "{}", facts.name);
            }
        }
        assert_eq!(refusal(b"no picture"), None);
        assert_eq!(Format::of_start(b"GIF89a"), None);
    }
}
