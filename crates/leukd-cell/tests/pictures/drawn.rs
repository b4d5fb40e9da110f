//! Files drawn for the tests, and the reading of them.

use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use leukd_cell::synthetic::{self, Kind};
use leukd_cell::{Fault, Limits, decode};

pub(crate) fn small() -> RgbImage {
    image::imageops::thumbnail(&synthetic::cell(3, Kind::Normal), 48, 40)
}

pub(crate) fn read(bytes: &[u8]) -> Result<RgbImage, Fault> {
    decode(bytes, &Limits::default())
}

/// A page of a TIFF: tags of one SHORT or LONG each, and the bytes of its one strip.
pub(crate) type Page = (Vec<(u16, u32)>, Vec<u8>);

/// A little-endian TIFF of `pages`.
pub(crate) fn tiff(pages: &[Page]) -> Vec<u8> {
    let mut file = b"II*\0\0\0\0\0".to_vec();
    let mut pointer = 4;
    for (tags, strip) in pages {
        let strip_at = u32::try_from(file.len()).unwrap();
        file.extend(strip);
        file.resize(file.len().next_multiple_of(2), 0);
        let mut tags = tags.clone();
        tags.push((273, strip_at));
        tags.sort_unstable();
        let directory = u32::try_from(file.len()).unwrap();
        file[pointer..pointer + 4].copy_from_slice(&directory.to_le_bytes());
        file.extend(u16::try_from(tags.len()).unwrap().to_le_bytes());
        for (tag, value) in tags {
            file.extend(tag.to_le_bytes());
            file.extend([4, 0, 1, 0, 0, 0]);
            file.extend(value.to_le_bytes());
        }
        pointer = file.len();
        file.extend([0; 4]);
    }
    file
}

pub(crate) fn page(picture: &RgbImage, more: &[(u16, u32)]) -> (Vec<(u16, u32)>, Vec<u8>) {
    let (width, height) = picture.dimensions();
    let size = u32::try_from(picture.as_raw().len()).unwrap();
    let mut tags =
        vec![(256, width), (257, height), (258, 8), (259, 1), (262, 2), (277, 3), (279, size)];
    for change in more {
        tags.retain(|(tag, _)| *tag != change.0);
        tags.push(*change);
    }
    (tags, picture.as_raw().clone())
}

pub(crate) fn jpeg(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 90).encode_image(picture).unwrap();
    bytes
}

/// Two rows of four pixels in runs of index 1 (white) and 0.
pub(crate) fn runs(codes: &[u8]) -> Vec<u8> {
    let mut file = b"BM".to_vec();
    for field in [0_u32, 0, 62, 40, 4, 2] {
        file.extend(field.to_le_bytes());
    }
    file.extend([1, 0, 8, 0]);
    for field in [1_u32, 0, 0, 0, 2, 0] {
        file.extend(field.to_le_bytes());
    }
    file.extend([0, 0, 0, 0, 255, 255, 255, 0]);
    file.extend(codes);
    file
}

/// A PNG chunk with its check sum.
pub(crate) fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut chunk = u32::try_from(data.len()).unwrap().to_be_bytes().to_vec();
    chunk.extend(kind);
    chunk.extend(data);
    let mut sum = flate2::Crc::new();
    sum.update(&chunk[4..]);
    chunk.extend(sum.sum().to_be_bytes());
    chunk
}

/// A PNG of 8-bit RGB with `extra` chunks before its pixels, `packed` being its compressed rows.
pub(crate) fn png(picture: &RgbImage, bits: u8, extra: &[Vec<u8>], packed: &[u8]) -> Vec<u8> {
    let mut header = picture.width().to_be_bytes().to_vec();
    header.extend(picture.height().to_be_bytes());
    header.extend([bits, 2, 0, 0, 0]);
    let chunks = [chunk(b"IDAT", packed), chunk(b"IEND", b"")];
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    file.extend(chunk(b"IHDR", &header));
    file.extend(extra.concat());
    file.extend(chunks.concat());
    file
}

/// Rows without a filter, compressed.
pub(crate) fn packed(rows: &[u8], stride: usize) -> Vec<u8> {
    use std::io::Write as _;
    let mut stream = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    for row in rows.chunks(stride) {
        stream.write_all(&[0]).unwrap();
        stream.write_all(row).unwrap();
    }
    stream.finish().unwrap()
}

/// A TIFF of one page whose `more` tags have their values elsewhere in the file: tag, type, bytes.
pub(crate) fn tiff_with(page: &Page, more: &[(u16, u16, Vec<u8>)]) -> Vec<u8> {
    let mut file = tiff(std::slice::from_ref(page));
    let word = |file: &[u8], at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let first = word(&file, 4) as usize;
    let count = usize::from(u16::from_le_bytes([file[first], file[first + 1]]));
    let entries = file[first + 2..first + 2 + count * 12].chunks(12);
    let mut entries: Vec<Vec<u8>> = entries.map(<[u8]>::to_vec).collect();
    for (tag, kind, bytes) in more {
        let width = if *kind == 3 { 2 } else { 1 };
        let mut entry = [tag.to_le_bytes(), kind.to_le_bytes()].concat();
        entry.extend(u32::try_from(bytes.len() / width).unwrap().to_le_bytes());
        if bytes.len() > 4 {
            entry.extend(u32::try_from(file.len()).unwrap().to_le_bytes());
            file.extend(bytes);
        } else {
            entry.extend(bytes);
            entry.resize(12, 0);
        }
        entries.push(entry);
    }
    entries.sort_by_key(|entry| u16::from_le_bytes([entry[0], entry[1]]));
    let directory = u32::try_from(file.len()).unwrap();
    file[4..8].copy_from_slice(&directory.to_le_bytes());
    file.extend(u16::try_from(entries.len()).unwrap().to_le_bytes());
    file.extend(entries.concat());
    file.extend([0; 4]);
    file
}

/// Little-endian 16-bit numbers.
pub(crate) fn shorts(numbers: impl IntoIterator<Item = u16>) -> Vec<u8> {
    numbers.into_iter().flat_map(u16::to_le_bytes).collect()
}

/// `level` over black with `opacity`.
pub(crate) fn over(level: u8, opacity: u8) -> u8 {
    ((u32::from(level) * u32::from(opacity) * 2 + 255) / 510) as u8
}
