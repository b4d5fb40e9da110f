//! Orientation in the data that programs put beside a picture: Exif, XMP and PNG's texts, found
//! where Pillow's `exif_transpose` finds it. 1 to 8 as in Exif; another number turns nothing.

use std::io::Read as _;

use flate2::read::ZlibDecoder;

use crate::complete::{png, tiff};
use crate::xmp::orientation as of_xmp;

/// A longer text is nobody's orientation: Pillow's limit.
const MAX_TEXT: u64 = 1 << 20;

/// The orientation of a PNG: of its Exif data, else of those that ImageMagick writes as a text,
/// else of XMP.
pub(crate) fn of_png(bytes: &[u8]) -> Option<u8> {
    let exif = png::chunk(bytes, b"eXIf").map(<[u8]>::to_vec);
    let exif = exif.or_else(|| raw_profile(&text(bytes, b"Raw profile type exif")?));
    let turn = exif.and_then(|exif| tiff::orientation(&exif));
    turn.or_else(|| of_xmp(&text(bytes, b"XML:com.adobe.xmp")?))
}

/// The bytes of a profile in hexadecimal digits, behind lines with its kind and length.
fn raw_profile(text: &[u8]) -> Option<Vec<u8>> {
    let lines = text.split(|byte| *byte == b'\n').skip(3);
    let digits = lines.flatten().filter(|byte| !byte.is_ascii_whitespace());
    let digits: Option<Vec<u32>> = digits.map(|byte| char::from(*byte).to_digit(16)).collect();
    let bytes = digits?
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |sum, digit| sum << 4 | digit) as u8)
        .collect::<Vec<_>>();
    Some(bytes.strip_prefix(b"Exif\0\0").map(<[u8]>::to_vec).unwrap_or(bytes))
}

/// The last text of a PNG under `keyword`.
fn text(bytes: &[u8], keyword: &[u8]) -> Option<Vec<u8>> {
    let texts = png::chunks(bytes).filter_map(|(kind, data)| {
        let rest = data.strip_prefix(keyword)?.strip_prefix(b"\0")?;
        match (&kind, rest) {
            (b"tEXt", text) => Some(text.to_vec()),
            (b"zTXt", [0, packed @ ..]) => inflated(packed),
            (b"iTXt", [is_packed, 0, rest @ ..]) => {
                // The language and the translated keyword end with a zero each.
                let mut parts = rest.splitn(3, |byte| *byte == 0);
                let text = parts.nth(2)?;
                if *is_packed == 0 { Some(text.to_vec()) } else { inflated(text) }
            }
            _ => None,
        }
    });
    texts.last()
}

fn inflated(packed: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    ZlibDecoder::new(packed).take(MAX_TEXT).read_to_end(&mut text).ok()?;
    ((text.len() as u64) < MAX_TEXT).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xmp_names_it_as_an_attribute_or_an_element() {
        assert_eq!(of_xmp(b"<a tiff:Orientation=\"6\"/>"), Some(6));
        assert_eq!(of_xmp(b"<tiff:Orientation>8</tiff:Orientation>"), Some(8));
        assert_eq!(of_xmp(b"tiff:Orientation='6' tiff:Orientation=\"3\""), Some(3));
        assert_eq!(of_xmp(b"exif:Orientation=\"6\" tiff:Orientation"), None);
    }

    #[test]
    fn a_raw_profile_is_read_behind_its_lines() {
        assert_eq!(raw_profile(b"\nexif\n 3\n0a0b\n0C\n").unwrap(), [10, 11, 12]);
        assert_eq!(raw_profile(b"\nexif\n 8\n457869660000ff\n").unwrap(), [255]);
        assert_eq!(raw_profile(b"\nexif\n 3\nno digits"), None);
    }
}
