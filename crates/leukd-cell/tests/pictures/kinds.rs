//! Kinds of files from the field: read with their right pixels, or refused in words. `reference/`
//! holds the whole matrix; these need no Python.

use image::{DynamicImage, ImageBuffer, ImageFormat, Rgb, RgbImage};
use leukd_cell::{FaultKind, synthetic};

use crate::drawn::{chunk, jpeg, page, read, runs, small, tiff};

#[test]
fn a_cut_jpeg_with_an_end_marker_is_truncated() {
    let whole = jpeg(&small());
    assert!(read(&whole).is_ok());
    for share in 5..10 {
        let mut cut = whole[..whole.len() * share / 10].to_vec();
        cut.extend([0xff, 0xd9]);
        let fault = read(&cut).unwrap_err();
        assert_eq!(fault.code(), "truncated", "{share}: {fault}");
        // A thumbnail behind the cut has an end marker of its own.
        cut.truncate(cut.len() - 2);
        cut.extend(jpeg(&RgbImage::new(8, 8)));
        assert!(read(&cut).is_err());
    }
}

#[test]
fn a_jpeg_filled_up_with_zeros_is_truncated() {
    let whole = jpeg(&small());
    for share in 4..10 {
        let mut filled = whole[..whole.len() * share / 10].to_vec();
        filled.resize(whole.len() - 2, 0);
        filled.extend([0xff, 0xd9]);
        let fault = read(&filled).unwrap_err();
        assert_eq!(fault.code(), "truncated", "{share}: {fault}");
    }
    // What stands behind the last block is passed over, as libjpeg does.
    let mut followed = whole[..whole.len() - 2].to_vec();
    followed.extend([0; 64]);
    followed.extend([0xff, 0xd9]);
    assert_eq!(read(&followed).unwrap(), read(&whole).unwrap());
}

#[test]
fn bytes_between_jpeg_segments_are_passed_over() {
    let whole = jpeg(&small());
    let first = 4 + usize::from(u16::from_be_bytes([whole[4], whole[5]])) - 2 + 2;
    let strewn = [&whole[..first], b"junk", &whole[first..]].concat();
    assert_eq!(read(&strewn), read(&whole));
}

#[test]
fn a_jpeg_is_turned_as_its_exif_data_says() {
    let whole = jpeg(&small());
    let exif =
        b"\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let turned = [&whole[..2], exif, &whole[2..]].concat();
    let upright = image::imageops::rotate90(&read(&whole).unwrap());
    assert_eq!(read(&turned).unwrap(), upright);
    // What else is wrong in the Exif data does not matter: a tag whose values lie nowhere, and no
    // pointer to a next directory.
    let broken = b"\xff\xe1\0\x2aExif\0\0II*\0\x08\0\0\0\x02\0\x0f\x01\x02\0\x40\0\0\0\xf0\xff\0\0\
                   \x12\x01\x03\0\x01\0\0\0\x06\0\0\0";
    assert_eq!(read(&[&whole[..2], broken, &whole[2..]].concat()).unwrap(), upright);
    // The first Exif data count, and none behind the picture's data.
    let behind = [&whole[..whole.len() - 2], exif, &whole[whole.len() - 2..]].concat();
    assert_eq!(read(&behind), read(&whole));
}

#[test]
fn a_png_is_turned_by_exif_data_before_and_behind_its_pixels() {
    let picture = small();
    let whole = synthetic::png(&picture);
    let tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let chunk = chunk(b"eXIf", tiff);
    let upright = image::imageops::rotate90(&picture);
    for place in [33, whole.len() - 12] {
        let turned = [&whole[..place], &chunk, &whole[place..]].concat();
        assert_eq!(read(&turned).unwrap(), upright, "at {place}");
    }
}

#[test]
fn the_full_page_of_a_tiff_is_read_and_of_two_none() {
    let (full, reduced) = (small(), RgbImage::new(8, 8));
    let full_page = page(&full, &[]);
    let thumbnail = page(&reduced, &[(254, 1)]);
    assert_eq!(read(&tiff(&[thumbnail.clone(), full_page.clone()])).unwrap(), full);
    assert_eq!(read(&tiff(&[full_page.clone(), thumbnail])).unwrap(), full);
    let fault = read(&tiff(&[full_page.clone(), full_page])).unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Unsupported);
    assert!(fault.message().contains("2 full pictures"), "{fault}");
}

#[test]
fn strip_sizes_of_a_tiff_may_lie_and_its_rows_may_not_be_missing() {
    let picture = small();
    for size in [0, 1_000_000_000] {
        assert_eq!(read(&tiff(&[page(&picture, &[(279, size)])])).unwrap(), picture);
    }
    let mut short = page(&picture, &[]);
    short.1.truncate(100);
    short.0.retain(|(tag, _)| *tag != 279);
    short.0.push((279, 100));
    assert_eq!(read(&tiff(&[short])).unwrap_err().code(), "truncated");
}

#[test]
fn fill_order_2_is_heeded() {
    let picture = small();
    let (tags, bytes) = page(&picture, &[(266, 2)]);
    let reversed = bytes.iter().map(|byte| byte.reverse_bits()).collect();
    assert_eq!(read(&tiff(&[(tags, reversed)])).unwrap(), picture);
}

#[test]
fn what_a_tiff_holds_instead_is_said_in_words() {
    let picture = small();
    for (tag, value, words) in [
        (339, 3, "floating-point"),
        (258, 32, "32 bits"),
        (259, 50_000, "Zstandard"),
        (259, 6, "the old form of JPEG"),
        (262, 8, "L*a*b*"),
    ] {
        let fault = read(&tiff(&[page(&picture, &[(tag, value)])])).unwrap_err();
        assert_eq!(fault.code(), "unsupported", "{fault}");
        assert!(fault.message().contains(words), "{fault}");
        assert!(fault.message().contains("save it uncompressed or with LZW"), "{fault}");
    }
}

#[test]
fn twelve_bits_in_sixteen_are_read_where_the_file_names_them() {
    let picture = small();
    let raw: Vec<u16> = picture.as_raw().iter().map(|level| u16::from(*level) << 4).collect();
    let bytes = raw.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<_>>();
    let size = u32::try_from(bytes.len()).unwrap();
    let named = page(&picture, &[(258, 16), (279, size), (281, 4095)]).0;
    let expected = raw.iter().map(|raw| ((u32::from(*raw) * 255 + 2047) / 4095) as u8).collect();
    let expected = RgbImage::from_raw(48, 40, expected).unwrap();
    assert_eq!(read(&tiff(&[(named, bytes)])).unwrap(), expected);

    let deep = ImageBuffer::<Rgb<u16>, _>::from_raw(48, 40, raw).unwrap();
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        let mut bytes = std::io::Cursor::new(Vec::new());
        DynamicImage::from(deep.clone()).write_to(&mut bytes, format).unwrap();
        let fault = read(bytes.get_ref()).unwrap_err();
        assert_eq!(fault.code(), "unsupported");
        assert!(fault.message().contains("12 bits stored in 16"), "{fault}");
    }
}

#[test]
fn runs_of_a_bmp_that_end_early_are_truncated_and_need_no_end_code() {
    let white = |bytes: &[u8]| read(bytes).map(|picture| picture.into_raw());
    let expected = [[255; 12], [0; 12]].concat();
    for whole in [&b"\x04\0\0\0\x04\x01\0\0\0\x01"[..], b"\x04\0\0\0\x04\x01"] {
        assert_eq!(white(&runs(whole)).unwrap(), expected);
    }
    for early in [&b"\x04\0\0\x01"[..], b"\x04\0\0\0\x02\x01\0\x01", b"\x04\0\0\0", b"\x04"] {
        let fault = read(&runs(early)).unwrap_err();
        assert_eq!(fault.code(), "truncated", "{fault}");
    }
}
