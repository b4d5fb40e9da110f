//! Kinds of PNG: what is missing or wrong is said in words, and sBIT does not touch opacity.

use image::{ImageBuffer, Rgb, RgbImage, Rgba};
use leukd_cell::synthetic;

use crate::drawn::{chunk, over, packed, png, read, small};

fn rows(picture: &RgbImage) -> Vec<u8> {
    packed(picture.as_raw(), picture.width() as usize * 3)
}

#[test]
fn a_png_whose_rows_are_missing_is_truncated() {
    let picture = small();
    let whole = rows(&picture);
    assert_eq!(read(&png(&picture, 8, &[], &whole)).unwrap(), picture);
    let stride = picture.width() as usize * 3;
    for share in 1..8 {
        let cut = &whole[..whole.len() * share / 8];
        let short = packed(&picture.as_raw()[..picture.as_raw().len() * share / 8], stride);
        for missing in [cut, &short] {
            let fault = read(&png(&picture, 8, &[], missing)).unwrap_err();
            assert_eq!(fault.code(), "truncated", "{share}: {fault}");
            assert!(fault.message().contains("its pixels end before its last row"), "{fault}");
        }
    }
}

#[test]
fn a_damaged_png_names_its_damage_in_words() {
    let picture = small();
    let whole = rows(&picture);
    let plain = png(&picture, 8, &[], &whole);
    let mut sum = whole.clone();
    *sum.last_mut().unwrap() ^= 1;
    let mut filter = picture.as_raw().clone();
    filter.insert(0, 9);
    let mut data = whole.clone();
    data[2..].fill(0xff);
    let changed = |at: usize, byte: u8| {
        let mut bytes = plain.clone();
        bytes[at] = byte;
        bytes
    };
    let palette = chunk(b"PLTE", &[0; 9]);
    let unfiltered = {
        use std::io::Write as _;
        let mut stream = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        let rows = picture.as_raw().chunks(picture.width() as usize * 3);
        rows.for_each(|row| stream.write_all(&[&[9], row].concat()).unwrap());
        stream.finish().unwrap()
    };
    for (bytes, code, words) in [
        (png(&picture, 8, &[], &sum), "corrupt", "the check sum of its pixels is wrong"),
        (
            png(&picture, 8, &[], &unfiltered),
            "corrupt",
            "its rows are coded in no way that PNG has",
        ),
        (png(&picture, 8, &[], &data), "corrupt", "its compressed pixels are not readable"),
        (png(&picture, 4, &[], &whole), "corrupt", "colour type 2 with 4 bits"),
        (changed(28, 2), "corrupt", "a way of storing pixels that PNG has not"),
        (changed(50, 0x55), "corrupt", "the check sum of its IDAT chunk is wrong"),
        (png(&picture, 8, &[chunk(b"PLTE", &[0; 8])], &whole), "corrupt", "no whole colours"),
        (
            png(&picture, 8, &[palette.clone(), palette], &whole),
            "corrupt",
            "PLTE chunk stands twice",
        ),
        (png(&picture, 8, &[chunk(b"ABCD", b"")], &whole), "unsupported", "a chunk ABCD"),
    ] {
        let fault = read(&bytes).unwrap_err();
        assert_eq!(fault.code(), code, "{fault}");
        assert!(fault.message().contains(words), "{fault}");
        assert!(fault.message().to_lowercase().contains("export it"), "{fault}");
    }
}

#[test]
fn sixteen_significant_bits_say_nothing_about_a_dark_png() {
    let dark: Vec<u8> =
        small().as_raw().iter().flat_map(|level| (u16::from(*level) << 4).to_be_bytes()).collect();
    let rows = packed(&dark, small().width() as usize * 6);
    for named in [&[][..], &[chunk(b"sBIT", &[16; 3])]] {
        let fault = read(&png(&small(), 16, named, &rows)).unwrap_err();
        assert_eq!(fault.code(), "unsupported");
        assert!(fault.message().contains("12 bits stored in 16"), "{fault}");
    }
    assert!(read(&png(&small(), 16, &[chunk(b"sBIT", &[12; 3])], &rows)).is_ok());
}

#[test]
fn significant_bits_of_colours_leave_opacity_alone() {
    let pixels = ImageBuffer::<Rgba<u16>, _>::from_fn(2, 1, |x, _| {
        Rgba([4095, 2049, 1, [32_768, u16::MAX][x as usize]])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    let mut bytes = bytes.into_inner();
    bytes.splice(33..33, chunk(b"sBIT", &[12, 12, 12, 16]));
    let read = read(&bytes).unwrap();
    assert_eq!(read.get_pixel(0, 0), &Rgb([over(255, 128), over(128, 128), 0]));
    assert_eq!(read.get_pixel(1, 0), &Rgb([255, 128, 0]));
}

#[test]
fn a_png_is_turned_by_a_raw_profile_and_by_xmp() {
    let picture = small();
    let whole = synthetic::png(&picture);
    let upright = image::imageops::rotate90(&picture);
    let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let digits: String = exif.iter().map(|byte| format!("{byte:02x}")).collect();
    let profile = format!("\nexif\n{:8}\n{}\n{}\n", exif.len(), &digits[..30], &digits[30..]);
    let profile = profile.as_bytes();
    let xmp = b"<rdf:Description tiff:Orientation=\"6\"/>";
    let zlib = |bytes: &[u8]| {
        use std::io::Write as _;
        let mut stream = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        stream.write_all(bytes).unwrap();
        stream.finish().unwrap()
    };
    let name = b"Raw profile type exif\0";
    let texts = [
        chunk(b"tEXt", &[name, profile].concat()),
        chunk(b"zTXt", &[&name[..], b"\0", &zlib(profile)].concat()),
        chunk(b"iTXt", &[&b"XML:com.adobe.xmp\0\0\0\0\0"[..], xmp].concat()),
        chunk(b"iTXt", &[&b"XML:com.adobe.xmp\0\x01\0en\0\0"[..], &zlib(xmp)].concat()),
    ];
    for text in &texts {
        for place in [33, whole.len() - 12] {
            let turned = [&whole[..place], text, &whole[place..]].concat();
            assert_eq!(read(&turned).unwrap(), upright, "at {place}");
        }
    }
    // Exif data that name an orientation count before XMP.
    let as_stored = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x01\0\0\0\0\0\0\0";
    let both = [&whole[..33], &chunk(b"eXIf", as_stored), &texts[2], &whole[33..]].concat();
    assert_eq!(read(&both).unwrap(), picture);
}
