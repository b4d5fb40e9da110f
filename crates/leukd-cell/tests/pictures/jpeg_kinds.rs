//! Kinds of JPEG: what they are is said truly, and their orientation is found where Pillow finds
//! it.

use crate::drawn::{jpeg, read, small};

fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
    [&[0xff, marker], &length[..], content].concat()
}

/// The place of the frame header's marker.
fn frame(bytes: &[u8]) -> usize {
    bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap()
}

#[test]
fn a_jpeg_of_another_kind_is_named() {
    let whole = jpeg(&small());
    let frame = frame(&whole);
    for (marker, words) in [
        (0xc3, "is losslessly coded"),
        (0xc5, "is hierarchically coded"),
        (0xc9, "is arithmetically coded"),
        (0xca, "is arithmetically coded"),
        (0xf7, "is coded as JPEG-LS"),
    ] {
        let mut bytes = whole.clone();
        bytes[frame + 1] = marker;
        let fault = read(&bytes).unwrap_err();
        assert_eq!((fault.code(), fault.may_heal()), ("unsupported", false), "{fault}");
        assert!(fault.message().contains(words), "{fault}");
        assert!(fault.message().contains("or as PNG"), "{fault}");
        // A table that only such a kind may have changes nothing.
        let table = segment(0xc4, &[&[0, 1][..], &[0; 15], &[16]].concat());
        bytes.splice(2..2, table);
        assert_eq!(read(&bytes).unwrap_err(), fault);
    }
    let mut bytes = whole;
    bytes[frame + 4] = 12;
    assert!(read(&bytes).unwrap_err().message().contains("12 bits a sample"));
}

#[test]
fn a_jpeg_without_a_height_is_refused_truly() {
    let whole = jpeg(&small());
    let frame = frame(&whole);
    let height = [whole[frame + 5], whole[frame + 6]];
    let mut bytes = whole;
    bytes[frame + 5..frame + 7].fill(0);
    let behind = bytes.len() - 2;
    for number in [&[][..], &segment(0xdc, &height)] {
        let named = [&bytes[..behind], number, &bytes[behind..]].concat();
        let fault = read(&named).unwrap_err();
        assert_eq!(fault.code(), "unsupported");
        assert!(fault.message().contains("gives no height in its header"), "{fault}");
    }
}

#[test]
fn a_damaged_jpeg_is_to_be_exported_again() {
    let mut bytes = jpeg(&small());
    // A quantisation table of a number that no JPEG has.
    let table = bytes.windows(2).position(|pair| pair == [0xff, 0xdb]).unwrap();
    bytes[table + 4] = 7;
    let fault = read(&bytes).unwrap_err();
    assert_eq!(fault.code(), "corrupt");
    assert!(fault.message().contains("the JPEG is damaged"), "{fault}");
    assert!(fault.message().ends_with("Export it again"), "{fault}");
}

#[test]
fn a_jpeg_with_values_beyond_a_pictures_is_damaged() {
    let mut bytes = jpeg(&small());
    // The first step of the first table: the means of blocks become 85 times as large.
    // libjpeg-turbo's 16 bits then overflow in a way of their own.
    let table = bytes.windows(2).position(|pair| pair == [0xff, 0xdb]).unwrap();
    bytes[table + 5] = 255;
    let fault = read(&bytes).unwrap_err();
    assert_eq!(fault.code(), "corrupt");
    assert!(fault.message().contains("larger than any picture's"), "{fault}");
}

#[test]
fn segments_of_a_jpeg_have_the_length_that_libjpeg_asks_for() {
    let whole = jpeg(&small());
    for marker in [0xc0, 0xda] {
        let at = whole.windows(2).position(|pair| pair == [0xff, marker]).unwrap();
        let mut bytes = whole.clone();
        bytes[at + 3] += 1;
        bytes.insert(at + 2 + usize::from(whole[at + 3]), 0);
        assert_eq!(read(&bytes).unwrap_err().code(), "corrupt", "{marker:x}");
    }
}

#[test]
fn a_jpeg_is_turned_as_its_xmp_says() {
    let whole = jpeg(&small());
    let xmp = |turn: u8| {
        let text = format!("<rdf:Description tiff:Orientation=\"{turn}\"/>");
        segment(0xe1, &[b"http://ns.adobe.com/xap/1.0/\0", text.as_bytes()].concat())
    };
    let exif = |kind: u8, turn: u8| {
        let entry = [0x12, 1, kind, 0, 1, 0, 0, 0, turn, 0, 0, 0];
        let head = b"Exif\0\0II*\0\x08\0\0\0\x01\0";
        segment(0xe1, &[&head[..], &entry, &[0; 4]].concat())
    };
    let plain = read(&whole).unwrap();
    let upright = image::imageops::rotate90(&plain);
    let with = |segments: &[Vec<u8>]| [&whole[..2], &segments.concat(), &whole[2..]].concat();
    assert_eq!(read(&with(&[xmp(6)])).unwrap(), upright);
    assert_eq!(read(&with(&[xmp(3), xmp(6)])).unwrap(), upright);
    // Exif data that name an orientation come first, whatever they say; as plain bytes they turn
    // nothing.
    assert_eq!(read(&with(&[xmp(6), exif(3, 1)])).unwrap(), plain);
    assert_eq!(read(&with(&[xmp(6), exif(1, 6)])).unwrap(), plain);
    // Data without it do not.
    let other = segment(0xe1, b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0");
    assert_eq!(read(&with(&[other, xmp(6)])).unwrap(), upright);
    // Behind the picture's data it does not count.
    let behind = [&whole[..whole.len() - 2], &xmp(6), &whole[whole.len() - 2..]].concat();
    assert_eq!(read(&behind).unwrap(), plain);
}
