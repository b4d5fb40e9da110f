//! Kinds of TIFF: tags that do not matter, depths named in a description, opacity, and JPEG strips.

use image::RgbImage;

use crate::drawn::{Page, jpeg, over, page, read, shorts, small, tiff, tiff_with};

const ASCII: u16 = 2;
const SHORT: u16 = 3;

fn grey() -> (RgbImage, Vec<u8>) {
    let levels: Vec<u8> = small().pixels().map(|pixel| pixel.0[1]).collect();
    let rgb = levels.iter().flat_map(|level| [*level; 3]).collect();
    (RgbImage::from_raw(48, 40, rgb).unwrap(), levels)
}

/// The page of `small`, as 16-bit samples of 12 bits, and its pixels.
fn twelve_bits() -> (Page, RgbImage) {
    let raw: Vec<u16> = small().as_raw().iter().map(|level| u16::from(*level) << 4).collect();
    let levels = raw.iter().map(|raw| ((u32::from(*raw) * 255 + 2047) / 4095) as u8).collect();
    let bytes = shorts(raw);
    let size = u32::try_from(bytes.len()).unwrap();
    let tags = page(&small(), &[(258, 16), (279, size)]).0;
    ((tags, bytes), RgbImage::from_raw(48, 40, levels).unwrap())
}

#[test]
fn values_outside_the_file_matter_where_a_pixel_hangs_on_them() {
    let picture = small();
    let text = vec![b'x'; 40];
    let whole = tiff_with(&page(&picture, &[]), &[(305, ASCII, text)]);
    let at = whole.windows(2).rposition(|pair| pair == 305_u16.to_le_bytes()).unwrap();
    let mut bytes = whole.clone();
    bytes[at + 8..at + 12].copy_from_slice(&0x0fff_ffff_u32.to_le_bytes());
    assert_eq!(read(&bytes).unwrap(), picture);
    // An unknown tag with more values than any file holds.
    bytes[at + 4..at + 8].fill(0xff);
    assert_eq!(read(&bytes).unwrap(), picture);
    // The depth of each sample is needed.
    let mut bytes = tiff_with(&page(&picture, &[(257, 40)]), &[(339, SHORT, shorts([1; 3]))]);
    let at = bytes.windows(2).rposition(|pair| pair == 339_u16.to_le_bytes()).unwrap();
    bytes[at + 8..at + 12].copy_from_slice(&0x0fff_ffff_u32.to_le_bytes());
    let fault = read(&bytes).unwrap_err();
    assert_eq!(fault.code(), "truncated");
    assert!(fault.message().contains("the values of tag 339"), "{fault}");
}

#[test]
fn a_tiff_needs_no_pointer_to_a_next_directory() {
    let picture = small();
    let whole = tiff(&[page(&picture, &[])]);
    for missing in 1..=4 {
        assert_eq!(read(&whole[..whole.len() - missing]).unwrap(), picture);
    }
    assert_eq!(read(&whole[..whole.len() - 5]).unwrap_err().code(), "truncated");
}

#[test]
fn a_description_names_the_depth_of_16_bit_samples() {
    let (twelve, expected) = twelve_bits();
    for text in [
        "<?xml version=\"1.0\"?><OME><Pixels Type=\"uint16\" SignificantBits=\"12\"/></OME>\0",
        "ImageJ=1.54f\nmin=0.0\nmax=4095.0\n\0",
    ] {
        let description = (270, ASCII, text.as_bytes().to_vec());
        assert_eq!(read(&tiff_with(&twelve, &[description])).unwrap(), expected);
    }
    // MaxSampleValue comes first, and 65,535 says nothing.
    let ome = (270, ASCII, b"<OME SignificantBits=\"12\"/>\0".to_vec());
    let most = |value: u16| (281, SHORT, shorts([value; 3]));
    assert_eq!(read(&tiff_with(&twelve, &[ome.clone(), most(u16::MAX)])).unwrap(), expected);
    assert!(read(&tiff_with(&twelve, &[ome, most(16_383)])).unwrap() != expected);
    for text in ["<OME SignificantBits=\"16\"/>\0", "ImageJ=1.54f\nmin=80.0\nmax=4095.0\n\0"] {
        let description = (270, ASCII, text.as_bytes().to_vec());
        let fault = read(&tiff_with(&twelve, &[description, most(u16::MAX)])).unwrap_err();
        assert_eq!(fault.code(), "unsupported");
        assert!(fault.message().contains("12 bits stored in 16"), "{fault}");
    }
}

#[test]
fn a_stated_depth_of_colours_leaves_opacity_alone() {
    let colours = [4095_u16, 2049, 1];
    for (stated, opacity, level) in [
        (vec![4095; 4], 32_768_u16, 128),
        (vec![4095], u16::MAX, 255),
        (vec![4095, 4095, 4095, u16::MAX], 32_768, 128),
        (vec![4095; 4], 4095, 255),
    ] {
        let strip = shorts([&colours[..], &[opacity]].concat());
        let tags = page(&RgbImage::new(1, 1), &[(258, 16), (277, 4), (279, 8), (338, 2)]).0;
        let bytes = tiff_with(&(tags, strip), &[(281, SHORT, shorts(stated.clone()))]);
        let expected = [255, 128, 0].map(|colour| over(colour, level));
        assert_eq!(read(&bytes).unwrap().into_raw(), expected, "{stated:?}, {opacity}");
    }
}

#[test]
fn opacity_is_applied_to_palettes_and_inks() {
    let palette: Vec<u16> =
        [200, 100, 50].into_iter().flat_map(|level| [level * 257; 256]).collect();
    let tags = page(&RgbImage::new(1, 1), &[(262, 3), (277, 2), (279, 2), (338, 2)]).0;
    let bytes = tiff_with(&(tags, vec![7, 128]), &[(320, SHORT, shorts(palette))]);
    let expected = [200, 100, 50].map(|level| over(level, 128));
    assert_eq!(read(&bytes).unwrap().into_raw(), expected);
    let tags = page(&RgbImage::new(1, 1), &[(262, 5), (277, 5), (279, 5), (338, 2)]).0;
    let bytes = tiff(&[(tags, vec![55, 155, 205, 0, 128])]);
    assert_eq!(read(&bytes).unwrap().into_raw(), expected);
}

#[test]
fn several_channels_called_grey_are_to_be_merged() {
    let picture = small();
    for samples in [3, 6] {
        let size = 48 * 40 * samples;
        let tags = page(&picture, &[(262, 1), (277, samples), (279, size)]).0;
        let fault = read(&tiff(&[(tags, vec![9; size as usize])])).unwrap_err();
        assert_eq!(fault.code(), "unsupported");
        assert!(fault.message().contains("merge its channels to RGB"), "{fault}");
    }
    // Grey and one more sample is grey.
    let (rgb, levels) = grey();
    let two = levels.iter().flat_map(|level| [*level, 1]).collect();
    let tags = page(&picture, &[(262, 1), (277, 2), (279, 2 * 48 * 40)]).0;
    assert_eq!(read(&tiff(&[(tags, two)])).unwrap(), rgb);
}

#[test]
fn grey_pages_are_to_be_merged_and_others_to_be_split() {
    let (rgb, levels) = grey();
    let one = |text: &[u8]| {
        let tags = page(&rgb, &[(262, 1), (277, 1), (279, 48 * 40)]).0;
        tiff_with(&(tags, levels.clone()), &[(270, ASCII, text.to_vec())])
    };
    let grey_page = (page(&rgb, &[(262, 1), (277, 1), (279, 48 * 40)]).0, levels.clone());
    let colour_page = page(&small(), &[]);
    for (bytes, words) in [
        (
            tiff(&[grey_page.clone(), grey_page.clone(), grey_page.clone()]),
            "merge the channels to RGB",
        ),
        (tiff(&[grey_page, colour_page.clone()]), "export each cell"),
        (tiff(&[colour_page.clone(), colour_page]), "export each cell"),
        (one(b"ImageJ=1.54\nimages=3\nchannels=3\n\0"), "3 grey pictures"),
        (one(b"ImageJ=1.54\nimages=40\nslices=40\n\0"), "40 full pictures"),
    ] {
        let fault = read(&bytes).unwrap_err();
        assert_eq!(fault.code(), "unsupported");
        assert!(fault.message().contains(words), "{fault}");
    }
    assert_eq!(read(&one(b"ImageJ=1.54\nimages=1\n\0")).unwrap(), rgb);
}

#[test]
fn a_needed_tag_of_a_tiff_is_a_number() {
    let picture = small();
    let whole = tiff(&[page(&picture, &[(284, 1), (274, 6)])]);
    let typed = |tag: u16, kind: u8| {
        let mut bytes = whole.clone();
        let at = bytes.windows(4).rposition(|entry| entry == [tag.to_le_bytes(), [4, 0]].concat());
        bytes[at.unwrap() + 2] = kind;
        read(&bytes)
    };
    for kind in [2, 7, 11, 99] {
        let fault = typed(284, kind).unwrap_err();
        assert_eq!(fault.code(), "corrupt");
        assert!(fault.message().contains("tag 284 has type"), "{fault}");
        // An orientation that is no number turns nothing.
        assert_eq!(typed(274, kind).unwrap(), picture);
    }
    assert_eq!(typed(284, 3).unwrap(), image::imageops::rotate90(&picture));
}

#[test]
fn a_tiff_says_what_its_samples_mean() {
    let (mut tags, strip) = page(&small(), &[]);
    tags.retain(|(tag, _)| *tag != 262);
    let fault = read(&tiff(&[(tags, strip)])).unwrap_err();
    assert_eq!(fault.code(), "unsupported");
    assert!(fault.message().contains("does not say what its samples mean"), "{fault}");
}

/// The page of a JPEG as a strip.
fn jpeg_page(strip: Vec<u8>, photometric: u32) -> Page {
    let size = u32::try_from(strip.len()).unwrap();
    (page(&small(), &[(259, 7), (262, photometric), (279, size)]).0, strip)
}

#[test]
fn a_jpeg_strip_needs_no_end_marker() {
    let whole = jpeg(&small());
    let expected = read(&whole).unwrap();
    assert_eq!(read(&tiff(&[jpeg_page(whole.clone(), 6)])).unwrap(), expected);
    let open = whole[..whole.len() - 2].to_vec();
    assert_eq!(read(&tiff(&[jpeg_page(open.clone(), 6)])).unwrap(), expected);
    // A file of its own does, and so do pixels.
    assert_eq!(read(&open).unwrap_err().code(), "truncated");
    let cut = open[..open.len() - 20].to_vec();
    assert_eq!(read(&tiff(&[jpeg_page(cut, 6)])).unwrap_err().code(), "truncated");
}

#[test]
fn a_subsampled_jpeg_called_rgb_is_refused() {
    // An even grey whose chroma has half the columns and rows: each group is four blocks of luma
    // and two of chroma that say nothing but their end.
    const GROUP: [u8; 4] = [0x28, 0xa2, 0x8a, 0];
    let even = RgbImage::from_pixel(48, 40, image::Rgb([128; 3]));
    let mut strip = jpeg(&even);
    let frame = strip.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    strip[frame + 11] = 0x22;
    let scan = strip.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    strip.truncate(scan + 14);
    strip.extend([GROUP; 9].concat());
    strip.extend([0xff, 0xd9]);
    assert_eq!(read(&tiff(&[jpeg_page(strip.clone(), 6)])).unwrap(), even);
    let fault = read(&tiff(&[jpeg_page(strip, 2)])).unwrap_err();
    assert_eq!(fault.code(), "unsupported");
    assert!(fault.message().contains("called RGB and sampled like luma and chroma"), "{fault}");
}

#[test]
fn a_tiff_without_an_orientation_is_turned_as_its_xmp_says() {
    let picture = small();
    let xmp = (700, 1, b"<rdf:Description tiff:Orientation=\"6\"/>".to_vec());
    let turned = tiff_with(&page(&picture, &[]), std::slice::from_ref(&xmp));
    assert_eq!(read(&turned).unwrap(), image::imageops::rotate90(&picture));
    let stated = tiff_with(&page(&picture, &[(274, 1)]), &[xmp]);
    assert_eq!(read(&stated).unwrap(), picture);
}
