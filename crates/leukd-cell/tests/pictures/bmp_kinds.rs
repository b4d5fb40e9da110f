//! Kinds of BMP: headers, masks, opacity and runs, as Pillow reads them.

use image::{Rgb, RgbImage};
use leukd_cell::synthetic;

use crate::drawn::{over, read, runs};

/// A BMP of one row with a header of `header` bytes. Masks lie inside it or, with 40 bytes, behind
/// it.
fn bmp(header: u32, bits: u16, compression: u32, masks: &[u32], row: &[u8]) -> Vec<u8> {
    let behind = if header == 40 { masks.len() * 4 } else { 0 };
    let pixels_at = 14 + header + u32::try_from(behind).unwrap();
    let width = u32::try_from(row.len()).unwrap() * 8 / u32::from(bits);
    let mut file = b"BM".to_vec();
    for field in [0, 0, pixels_at, header, width, 1] {
        file.extend(field.to_le_bytes());
    }
    file.extend([1, 0]);
    file.extend(bits.to_le_bytes());
    for field in [compression, 0, 0, 0, 0, 0] {
        file.extend(field.to_le_bytes());
    }
    file.extend(masks.iter().flat_map(|mask| mask.to_le_bytes()));
    file.resize(pixels_at as usize, 0);
    file.extend(row);
    file.resize(file.len().next_multiple_of(4), 0);
    file
}

const BGRA: [u32; 4] = [0xff_0000, 0xff00, 0xff, 0xff00_0000];

#[test]
fn the_last_row_of_a_bmp_needs_no_padding() {
    let picture = RgbImage::from_fn(5, 3, |x, y| Rgb([x as u8, y as u8, 9]));
    let mut bytes = synthetic::bmp(&picture);
    bytes.pop();
    assert_eq!(read(&bytes).unwrap(), picture);
    // The next byte is of a pixel.
    bytes.pop();
    assert_eq!(read(&bytes).unwrap_err().code(), "truncated");
}

#[test]
fn a_bmp_of_24_bits_may_have_masks() {
    for header in [40, 52, 56, 108, 124] {
        let bytes = bmp(header, 24, 3, &BGRA[..3], &[1, 2, 3, 4, 5, 6]);
        assert_eq!(read(&bytes).unwrap().into_raw(), [3, 2, 1, 6, 5, 4], "{header}");
    }
}

#[test]
fn sixteen_bit_bmps_ignore_their_opacity_bit() {
    let masks = [0x7c00, 0x3e0, 0x1f, 0x8000];
    for pixel in [0x7c1f_u16, 0xfc1f] {
        let bytes = bmp(56, 16, 3, &masks, &[pixel.to_le_bytes(); 2].concat());
        assert_eq!(read(&bytes).unwrap().into_raw(), [255, 0, 255, 255, 0, 255]);
    }
}

#[test]
fn opacity_of_32_bits_is_applied_where_a_mask_names_it() {
    let row = [10, 20, 200, 128];
    let expected = [200, 20, 10].map(|level| over(level, 128));
    for (header, compression) in [(56, 3), (108, 3), (40, 6), (56, 6), (124, 6)] {
        let bytes = bmp(header, 32, compression, &BGRA, &row);
        assert_eq!(read(&bytes).unwrap().into_raw(), expected, "{header}, {compression}");
    }
    // Masks that are all zero are these, as in Pillow.
    assert_eq!(read(&bmp(56, 32, 3, &[0; 4], &row)).unwrap().into_raw(), expected);
    // Without a mask there is no opacity.
    for (header, compression) in [(40, 3), (52, 3), (52, 6)] {
        let bytes = bmp(header, 32, compression, &BGRA[..3], &row);
        assert_eq!(read(&bytes).unwrap().into_raw(), [200, 20, 10], "{header}, {compression}");
    }
    // The header of 52 bytes has room for three masks: the fourth may stand behind it.
    let mut bytes = bmp(52, 32, 6, &BGRA[..3], &row);
    bytes[10] += 4;
    bytes.splice(66..66, BGRA[3].to_le_bytes());
    assert_eq!(read(&bytes).unwrap().into_raw(), expected);
}

#[test]
fn a_bmp_with_a_colour_without_mask_is_corrupt() {
    let fault = read(&bmp(56, 32, 3, &[0xff_0000, 0, 0xff, 0], &[0; 4])).unwrap_err();
    assert_eq!(fault.code(), "corrupt");
    assert!(fault.message().contains("one of its colours has no mask"), "{fault}");
}

#[test]
fn a_run_may_count_the_spare_half_of_an_odd_row() {
    // RLE4, three pixels wide: runs of four, and of one and three.
    let mut bytes = runs(b"\x04\x11\0\0\x01\x11\x03\x01\0\x01");
    bytes[18] = 3;
    bytes[28] = 4;
    bytes[30] = 2;
    let (white, black) = ([255; 3], [0; 3]);
    let expected = [white, black, white, white, white, white].concat();
    assert_eq!(read(&bytes).unwrap().into_raw(), expected);
    // A run that goes further is damage.
    let place = bytes.len() - 10;
    bytes[place] = 5;
    assert!(read(&bytes).unwrap_err().message().contains("a run leads out of row 0"));
}

#[test]
fn every_bmp_refusal_says_what_to_do() {
    for (bits, compression) in [(24, 4), (24, 5), (64, 0), (8, 9)] {
        let fault = read(&bmp(40, bits, compression, &[], &[0; 64])).unwrap_err();
        assert_eq!(fault.code(), "unsupported", "{fault}");
        assert!(fault.message().contains("save it uncompressed"), "{fault}");
    }
}
