//! What this crate promises, from bytes to tensor.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use leukd_cell::foreground::is_foreground;
use leukd_cell::name::{CNMC_PATTERN, MAX_ID, NamePattern};
use leukd_cell::preprocess::{Filter, Layout, Preprocessing, Range};
use leukd_cell::synthetic::{self, Kind};
use leukd_cell::{
    Completeness, Digest, FaultKind, Format, Limits, Measures, completeness, decode, decode_with,
    quality,
};
use proptest::prelude::*;

fn small() -> RgbImage {
    image::imageops::thumbnail(&synthetic::cell(1, Kind::Blast), 45, 37)
}

fn every_format(picture: &RgbImage) -> [(Format, Vec<u8>); 5] {
    [
        (Format::Bmp, synthetic::bmp(picture)),
        (Format::Bmp, synthetic::bmp_v5(picture)),
        (Format::Png, synthetic::png(picture)),
        (Format::Tiff, synthetic::tiff(picture)),
        (Format::Jpeg, synthetic::jpeg(picture)),
    ]
}

fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn incomplete(bytes: &[u8]) -> leukd_cell::Fault {
    match completeness(bytes) {
        Completeness::Incomplete(fault) => fault,
        other => panic!("{other:?}"),
    }
}

fn unrecognised(bytes: &[u8]) -> leukd_cell::Fault {
    match completeness(bytes) {
        Completeness::Unrecognised(fault) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_whole_picture_of_every_format_is_complete_and_decodes_to_its_pixels() {
    let picture = small();
    for (format, bytes) in every_format(&picture) {
        assert_eq!(completeness(&bytes), Completeness::Complete(format));
        let decoded = decode(&bytes, &Limits::default()).unwrap();
        if format == Format::Jpeg {
            assert_eq!(decoded.dimensions(), picture.dimensions());
        } else {
            assert_eq!(decoded, picture, "{format}");
        }
    }
}

#[test]
fn no_prefix_that_lacks_a_pixel_is_complete() {
    for (format, bytes) in every_format(&small()) {
        let whole = decode(&bytes, &Limits::default()).unwrap();
        for length in 0..bytes.len() {
            // Behind a BMP's pixels stands what fills up its last row, and behind a TIFF's the
            // pointer to a next directory.
            let is_rest = matches!(format, Format::Bmp | Format::Tiff) && length + 4 >= bytes.len();
            let picture = decode(&bytes[..length], &Limits::default());
            if is_rest && picture.as_ref() == Ok(&whole) {
                continue;
            }
            let found = completeness(&bytes[..length]);
            assert!(!matches!(found, Completeness::Complete(_)), "{format} at {length}: {found:?}");
            let fault = decode(&bytes[..length], &Limits::default()).unwrap_err();
            assert!(fault.may_heal(), "{format} at {length}: {fault}");
        }
    }
}

#[test]
fn bytes_after_the_end_do_not_matter() {
    for (format, mut bytes) in every_format(&small()) {
        bytes.extend([0; 100]);
        assert_eq!(completeness(&bytes), Completeness::Complete(format));
    }
}

#[test]
fn a_bmp_whose_size_field_is_zero_ends_with_its_pixels() {
    let mut bytes = synthetic::bmp(&small());
    bytes[2..6].fill(0);
    assert_eq!(completeness(&bytes), Completeness::Complete(Format::Bmp));
    // The byte that fills up the last row, and one of a pixel.
    bytes.pop();
    assert_eq!(completeness(&bytes), Completeness::Complete(Format::Bmp));
    bytes.pop();
    assert_eq!(incomplete(&bytes).code(), "truncated");
}

#[test]
fn a_bmp_ends_with_its_rows_whatever_its_size_field_says() {
    let picture = small();
    let mut bytes = synthetic::bmp(&picture);
    let longer = u32::try_from(bytes.len()).unwrap() + 2;
    bytes[2..6].copy_from_slice(&longer.to_le_bytes());
    // One plane.
    bytes[26] = 0;
    assert_eq!(completeness(&bytes), Completeness::Complete(Format::Bmp));
    assert_eq!(decode(&bytes, &Limits::default()).unwrap(), picture);
}

#[test]
fn a_bmp_whose_pixels_begin_inside_its_header_is_read_behind_it_or_refused() {
    let picture = small();
    let mut bytes = synthetic::bmp(&picture);
    bytes[10] = 0;
    assert_eq!(decode(&bytes, &Limits::default()).unwrap(), picture);
    bytes[10] = 30;
    assert_eq!(decode(&bytes, &Limits::default()).unwrap_err().code(), "corrupt");
}

#[test]
fn a_bmp_from_the_top_down_decodes() {
    let picture = small();
    let mut bytes = synthetic::bmp(&image::imageops::flip_vertical(&picture));
    let height = -i32::try_from(picture.height()).unwrap();
    bytes[22..26].copy_from_slice(&height.to_le_bytes());
    assert_eq!(completeness(&bytes), Completeness::Complete(Format::Bmp));
    assert_eq!(decode(&bytes, &Limits::default()).unwrap(), picture);
}

#[test]
fn an_allocated_and_unwritten_file_is_no_image_yet() {
    let fault = unrecognised(&[0; 608_454]);
    assert_eq!((fault.code(), fault.may_heal()), ("not-an-image", true));
    assert!(fault.message().contains("zeros"), "{fault}");
    // Filled from the front, with zeros behind.
    for (_, bytes) in every_format(&small()) {
        if bytes.starts_with(b"BM") {
            continue;
        }
        let mut half = bytes.clone();
        half[bytes.len() / 2..].fill(0);
        assert!(!matches!(completeness(&half), Completeness::Complete(_)));
    }
}

#[test]
fn an_empty_file_and_a_text_are_named_as_such() {
    assert_eq!(unrecognised(b"").kind(), FaultKind::Empty);
    assert_eq!(unrecognised(b"not a picture").kind(), FaultKind::NotAnImage);
}

#[test]
fn a_bigtiff_that_has_only_begun_is_truncated() {
    let fault = incomplete(b"II+\0\x08\0\0\0");
    assert_eq!((fault.code(), fault.may_heal()), ("truncated", true));
}

#[test]
fn a_big_endian_tiff_is_complete_and_decodes() {
    // One grey pixel of 200: header, directory of 9 entries, the pixel.
    let entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        [&tag.to_be_bytes()[..], &kind.to_be_bytes(), &count.to_be_bytes(), &value].concat()
    };
    let short = |tag, value: u8| entry(tag, 3, 1, [0, value, 0, 0]);
    let mut bytes = b"MM\0*\0\0\0\x08\0\x09".to_vec();
    for tag in [(256, 1), (257, 1), (258, 8), (259, 1), (262, 1)] {
        bytes.extend(short(tag.0, tag.1));
    }
    let pixel_at = 8 + 2 + 9 * 12 + 4;
    bytes.extend(entry(273, 4, 1, u32::to_be_bytes(pixel_at)));
    bytes.extend([short(277, 1), short(278, 1), entry(279, 4, 1, [0, 0, 0, 1])].concat());
    bytes.extend([0, 0, 0, 0, 200]);
    assert_eq!(completeness(&bytes), Completeness::Complete(Format::Tiff));
    assert_eq!(decode(&bytes, &Limits::default()).unwrap().get_pixel(0, 0), &Rgb([200; 3]));
    bytes.pop();
    assert_eq!(incomplete(&bytes).code(), "truncated");
}

#[test]
fn a_tiff_whose_directories_form_a_loop_is_read() {
    let picture = small();
    let mut bytes = synthetic::tiff(&picture);
    let first = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    let count = usize::from(u16::from_le_bytes(bytes[first..first + 2].try_into().unwrap()));
    let next = first + 2 + count * 12;
    let own = bytes[4..8].to_vec();
    bytes[next..next + 4].copy_from_slice(&own);
    assert_eq!(decode(&bytes, &Limits::default()).unwrap(), picture);
}

#[test]
fn a_header_of_20_000_by_20_000_is_too_large_before_anything_is_allocated() {
    let mut bmp = synthetic::bmp(&small());
    let mut png = synthetic::png(&small());
    bmp[18..22].copy_from_slice(&20_000_u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&20_000_u32.to_le_bytes());
    png[16..20].copy_from_slice(&20_000_u32.to_be_bytes());
    png[20..24].copy_from_slice(&20_000_u32.to_be_bytes());
    for bytes in [bmp, png] {
        let fault = decode(&bytes, &Limits::default()).unwrap_err();
        assert_eq!((fault.code(), fault.may_heal()), ("too-large", false));
        assert!(fault.message().contains("20000×20000"), "{fault}");
        assert!(fault.message().contains("8192"), "{fault}");
    }
}

#[test]
fn a_file_or_a_picture_beyond_a_limit_names_the_limit() {
    let bytes = synthetic::png(&small());
    let limits = Limits { max_bytes: 99, ..Limits::default() };
    let fault = decode(&bytes, &limits).unwrap_err();
    assert!(fault.code() == "too-large" && fault.message().contains("99"), "{fault}");
    let limits = Limits { max_memory: 45 * 37 * 3 - 1, ..Limits::default() };
    let fault = decode(&bytes, &limits).unwrap_err();
    assert_eq!(fault.code(), "too-large", "{fault}");
    assert!(decode(&bytes, &Limits { max_memory: 1 << 20, ..limits }).is_ok());
}

#[test]
fn transparency_is_laid_over_black() {
    let picture =
        RgbaImage::from_fn(2, 1, |x, _| Rgba([200, 100, 50, if x == 0 { 255 } else { 128 }]));
    let decoded = decode(&encoded(picture, ImageFormat::Png), &Limits::default()).unwrap();
    assert_eq!(decoded.get_pixel(0, 0), &Rgb([200, 100, 50]));
    // 200 · 128 / 255 = 100.4
    assert_eq!(decoded.get_pixel(1, 0), &Rgb([100, 50, 25]));
}

#[test]
fn sixteen_bits_become_the_nearest_of_256_levels() {
    let deep = image::ImageBuffer::<image::Luma<u16>, _>::from_fn(4, 1, |x, _| {
        image::Luma([[0, 128, 129, 65_535][x as usize]])
    });
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        let decoded = decode(&encoded(deep.clone(), format), &Limits::default()).unwrap();
        let levels: Vec<u8> = decoded.pixels().map(|pixel| pixel.0[1]).collect();
        assert_eq!(levels, [0, 0, 1, 255]);
    }
}

#[test]
fn damaged_pixels_are_corrupt_and_not_a_panic() {
    let mut bytes = synthetic::png(&small());
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    assert_eq!(decode(&bytes, &Limits::default()).unwrap_err().code(), "corrupt");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_bytes_never_panic(start in 0_usize..7, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        const STARTS: [&[u8]; 7] =
            [b"", b"BM", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II*\0\x08\0\0\0"];
        let bytes = [STARTS[start], &bytes].concat();
        let _ = completeness(&bytes);
        let limits = Limits { max_bytes: 1 << 20, max_side: 512, max_memory: 8 << 20 };
        let _ = decode(&bytes, &limits);
    }

    #[test]
    fn a_picture_with_a_few_wrong_bytes_never_panics(
        which in 0_usize..5,
        wrong in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = every_format(&small())[which].1.clone();
        for (at, byte) in wrong {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let limits = Limits { max_bytes: 1 << 20, max_side: 512, max_memory: 8 << 20 };
        if let Ok(picture) = decode(&bytes, &limits) {
            prop_assert!(Preprocessing::b3().tensor(&picture).is_ok());
        }
    }
}

fn flags(picture: &RgbImage) -> Vec<&'static str> {
    let pixels = u64::from(picture.width()) * u64::from(picture.height());
    quality::flags(Measures::of(picture).as_ref(), pixels)
}

/// The foreground's area, counted pixel by pixel.
fn by_pixel(picture: &RgbImage) -> f64 {
    picture.pixels().filter(|pixel| is_foreground(&pixel.0)).count() as f64
}

#[test]
fn a_clean_cell_has_no_flags_and_its_area_is_counted() {
    for (kind, area) in [(Kind::Blast, 30_000.0..60_000.0), (Kind::Normal, 15_000.0..30_000.0)] {
        let picture = synthetic::cell(3, kind);
        let measured = Measures::of(&picture).unwrap().area;
        assert!(area.contains(&measured), "{kind:?}: {measured}");
        assert_eq!(measured, by_pixel(&picture));
        assert!(flags(&picture).is_empty(), "{kind:?}");
    }
}

proptest! {
    #[test]
    fn area_and_frame_are_what_pixels_count(
        width in 1_u32..90, height in 1_u32..9, samples in prop::collection::vec(8_u8..13, 2430)
    ) {
        let samples = samples[..(width * height * 3) as usize].to_vec();
        let picture = RgbImage::from_raw(width, height, samples).unwrap();
        let outermost = picture
            .enumerate_pixels()
            .filter(|(x, y, _)| [*x, *y, width - 1 - x, height - 1 - y].contains(&0));
        let (outer, lit) = outermost.fold((0, 0), |(outer, lit), (_, _, pixel)| {
            (outer + 1, lit + u32::from(is_foreground(&pixel.0)))
        });
        let measures = Measures::of(&picture);
        prop_assert_eq!(measures.map_or(0.0, |seen| seen.area), by_pixel(&picture));
        let frame = f64::from(lit) / f64::from(outer);
        prop_assert_eq!(measures.map_or(0.0, |seen| seen.frame), frame);
    }
}

#[test]
fn a_cut_cell_touches_the_frame_and_a_field_is_not_on_black() {
    let cut =
        image::imageops::crop_imm(&synthetic::cell(3, Kind::Blast), 0, 0, 225, 450).to_image();
    assert_eq!(flags(&cut), [quality::TOUCHES_FRAME]);
    let field = RgbImage::from_pixel(64, 48, Rgb([230, 220, 225]));
    assert_eq!(flags(&field), [quality::BACKGROUND_NOT_BLACK]);
    assert_eq!(Measures::of(&field).unwrap().area, 64.0 * 48.0);
}

#[test]
fn a_black_picture_is_empty() {
    assert_eq!(flags(&RgbImage::new(450, 450)), [quality::EMPTY]);
    assert_eq!(flags(&RgbImage::new(0, 0)), [quality::EMPTY]);
    assert_eq!(flags(&RgbImage::new(1, 1)), [quality::EMPTY]);
}

#[test]
fn c_nmc_names_give_their_ids_and_never_their_label() {
    let pattern = NamePattern::new(CNMC_PATTERN).unwrap();
    for (name, specimen) in
        [("UID_11_4_2_all.bmp", "11"), ("UID_H14_4_2_hem.bmp", "H14"), ("UID_h3_4_2_hem.BMP", "h3")]
    {
        let ids = pattern.ids(name);
        assert_eq!((&*ids.specimen, &*ids.slide, &*ids.cell), (specimen, "4", "2"));
    }
}

#[test]
fn a_name_that_does_not_match_gives_empty_ids() {
    assert_eq!(NamePattern::new(CNMC_PATTERN).unwrap().ids("cell 7.png"), Default::default());
    let ids = NamePattern::new("^(?<slide>[a-z]+)").unwrap().ids("abc-1.png");
    assert_eq!((&*ids.specimen, &*ids.slide, &*ids.cell), ("", "abc", ""));
}

#[test]
fn an_id_is_at_most_256_bytes() {
    let ids = NamePattern::new("(?<cell>.*)").unwrap().ids(&"é".repeat(300));
    assert_eq!(ids.cell.len(), MAX_ID);
}

#[test]
fn a_pattern_without_known_groups_is_refused_with_the_reason() {
    assert!(NamePattern::new("(").unwrap_err().contains("regular expression"));
    assert!(NamePattern::new("a.*").unwrap_err().contains("specimen"));
    assert!(NamePattern::new("(?<specmen>a)(?<cell>b)").unwrap_err().contains("specmen"));
}

#[test]
fn a_synthetic_cell_is_the_same_everywhere() {
    // Golden inputs are made of these pixels: if this changes, so do they.
    let digests = [Kind::Blast, Kind::Normal]
        .map(|kind| Digest::of(synthetic::cell(7, kind).as_raw()).to_string());
    assert_eq!(
        digests.each_ref().map(|digest| &digest[..16]),
        ["35b66886d492a028", "f7be51e507d2f000"]
    );
    assert_ne!(synthetic::cell(1, Kind::Blast), synthetic::cell(2, Kind::Blast));
}

fn nearest(size: u32) -> Preprocessing {
    Preprocessing { size, filter: Filter::Nearest, ..Preprocessing::b3() }
}

#[test]
fn nearest_takes_the_pixels_that_keras_takes() {
    for (side, size) in [(450, 224), (450, 300), (600, 224), (448, 224), (224, 448)] {
        let picture = RgbImage::from_fn(side, side, |x, y| {
            Rgb([(x % 256) as u8, (y % 256) as u8, (x / 256 + 16 * (y / 256)) as u8])
        });
        let resized = nearest(size).square(&picture).unwrap();
        for (x, y, pixel) in resized.enumerate_pixels() {
            let [from_x, from_y] = [x, y].map(|at| (2 * at + 1) * side / (2 * size));
            assert_eq!(pixel, picture.get_pixel(from_x, from_y), "{side}→{size} at {x}, {y}");
        }
    }
}

#[test]
fn bilinear_is_antialiased() {
    // Stripes one pixel wide become an even grey; without antialiasing they would alias.
    let stripes = RgbImage::from_fn(448, 448, |x, _| Rgb([if x % 2 == 0 { 255 } else { 0 }; 3]));
    let resized = Preprocessing { size: 64, ..Preprocessing::b3() }.square(&stripes).unwrap();
    assert!(resized.pixels().all(|pixel| (120..=135).contains(&pixel.0[0])));
}

#[test]
fn a_picture_that_is_not_square_is_made_so_with_black_and_never_stretched() {
    let wide = RgbImage::from_pixel(40, 20, Rgb([255; 3]));
    let square = nearest(40).square(&wide).unwrap();
    for (_, y, pixel) in square.enumerate_pixels() {
        let inside = (10..30).contains(&y);
        assert_eq!(pixel.0[0] == 255, inside, "row {y}");
    }
}

#[test]
fn a_window_keeps_the_scale_of_every_cell() {
    let window = Preprocessing { window: Some(450), ..nearest(450) };
    let cell = synthetic::cell(5, Kind::Normal);
    let mut final_phase = RgbImage::new(600, 600);
    image::imageops::replace(&mut final_phase, &cell, 75, 75);
    assert_eq!(window.square(&final_phase).unwrap(), cell);
    let cropped = image::imageops::crop_imm(&cell, 100, 100, 250, 250).to_image();
    let mut padded = RgbImage::new(450, 450);
    image::imageops::replace(&mut padded, &cropped, 100, 100);
    assert_eq!(window.square(&cropped).unwrap(), padded);
}

/// A disc of rings, `radius` pixels wide, about `(x, y)`: alike at every scale.
fn disc(radius: f64, x: f64, y: f64) -> RgbImage {
    RgbImage::from_fn(450, 450, |column, row| {
        let (right, down) = (f64::from(column) + 0.5 - x, f64::from(row) + 0.5 - y);
        let out = right.hypot(down) / radius;
        let wave = (out * 9.0).sin() * 60.0 + right.atan2(down).sin() * 40.0;
        Rgb(if out < 1.0 {
            [150.0 + wave, 90.0 + wave / 2.0, 140.0].map(|v: f64| (v as i64).unsigned_abs() as u8)
        } else {
            [0; 3]
        })
    })
}

#[test]
fn a_cell_share_gives_cells_of_every_size_one_tensor() {
    let how = Preprocessing { cell_share: Some(0.4), size: 96, ..Preprocessing::b3() };
    let (small, large) = (disc(50.0, 100.0, 330.0), disc(120.0, 240.0, 210.0));
    for (picture, side) in [(&small, 140_i64), (&large, 336)] {
        let square = how.square(picture).unwrap();
        let filled = square.pixels().filter(|pixel| pixel.0[0] > 40).count() as f64 / 96.0 / 96.0;
        assert!((filled - 0.4).abs() < 0.01, "{filled}");
        let placed = how.placement(picture);
        assert!((i64::from(placed.side) - side).abs() <= 1, "{placed:?}");
    }
    let [one, other] = [&small, &large].map(|picture| how.tensor(picture).unwrap());
    assert_eq!(one.shape, other.shape);
    let apart = |one: &[f32], other: &[f32]| {
        one.iter().zip(other).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>() / one.len() as f64
    };
    assert!(apart(&one.data, &other.data) < 2.0, "{}", apart(&one.data, &other.data));
    // Without the step the two differ by far more: the size is visible.
    let plain = Preprocessing { cell_share: None, ..how };
    let [one, other] = [&small, &large].map(|picture| plain.tensor(picture).unwrap().data);
    assert!(apart(&one, &other) > 20.0);
}

#[test]
fn a_cell_share_of_no_foreground_takes_the_whole_picture() {
    let how = Preprocessing { cell_share: Some(0.4), ..nearest(40) };
    let plain = nearest(40);
    let dark = RgbImage::from_fn(60, 30, |x, _| Rgb([(x % 10) as u8, 0, 9]));
    assert_eq!(how.placement(&dark), plain.placement(&dark));
    assert_eq!(how.square(&dark).unwrap(), plain.square(&dark).unwrap());
    // A single pixel, in a corner, is a cell as well.
    let mut speck = RgbImage::new(60, 30);
    speck.put_pixel(59, 0, Rgb([200; 3]));
    assert_eq!(how.placement(&speck).side, 2);
    assert!(how.square(&speck).unwrap().pixels().any(|pixel| pixel.0 == [200; 3]));
}

#[test]
fn a_cell_share_is_refused_beside_a_window_and_out_of_range() {
    for (cell_share, window) in
        [(Some(0.2), None), (Some(1.1), None), (Some(f32::NAN), None), (Some(0.4), Some(320))]
    {
        let how = Preprocessing { cell_share, window, ..nearest(64) };
        assert_eq!(how.check().unwrap_err().0, "cell_share");
        assert_eq!(how.tensor(&small()).unwrap_err().code(), "unsupported");
    }
    // The square is at most twice as wide as a picture that is all foreground.
    let how = Preprocessing { cell_share: Some(Preprocessing::MIN_CELL_SHARE), ..nearest(64) };
    assert_eq!(how.placement(&RgbImage::from_pixel(80, 80, Rgb([99; 3]))).side, 160);
}

#[test]
fn tensors_have_the_range_and_the_order_that_the_manifest_names() {
    let picture = RgbImage::from_fn(2, 2, |x, y| Rgb([x as u8, y as u8, 255]));
    let of =
        |layout, range| Preprocessing { layout, range, ..nearest(2) }.tensor(&picture).unwrap();
    let planes = of(Layout::Nchw, Range::Bytes);
    assert_eq!(planes.shape, [1, 3, 2, 2]);
    assert_eq!(planes.data, [0., 1., 0., 1., 0., 0., 1., 1., 255., 255., 255., 255.]);
    let pixels = of(Layout::Nhwc, Range::Unit);
    assert_eq!(pixels.shape, [1, 2, 2, 3]);
    assert_eq!(pixels.data[..6], [0., 0., 1., 1. / 255., 0., 1.]);
}

#[test]
fn a_picture_without_pixels_and_an_impossible_size_are_faults() {
    assert_eq!(nearest(64).tensor(&RgbImage::new(0, 5)).unwrap_err().code(), "empty");
    assert_eq!(nearest(0).tensor(&small()).unwrap_err().code(), "unsupported");
    let window = Preprocessing { window: Some(u32::MAX), ..nearest(64) };
    assert_eq!(window.tensor(&small()).unwrap_err().code(), "unsupported");
}

/// [`Preprocessing::square`] and [`Preprocessing::numbers`] as one would write them first.
fn plainly(how: &Preprocessing, picture: &RgbImage) -> Vec<f32> {
    use fast_image_resize::images::{TypedImage, TypedImageRef};
    use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer, pixels::U8x3};
    let (width, height) = picture.dimensions();
    let side = how.window.unwrap_or(width.max(height));
    let (kept_width, kept_height) = (width.min(side), height.min(side));
    let kept = image::imageops::crop_imm(
        picture,
        (width - kept_width) / 2,
        (height - kept_height) / 2,
        kept_width,
        kept_height,
    );
    let mut whole = RgbImage::new(side, side);
    let (x, y) = ((side - kept_width) / 2, (side - kept_height) / 2);
    image::imageops::replace(&mut whole, &*kept, x.into(), y.into());
    let source = TypedImageRef::<U8x3>::from_buffer(side, side, &whole).unwrap();
    let mut resized = TypedImage::<U8x3>::new(how.size, how.size);
    let algorithm = match how.filter {
        Filter::Nearest => ResizeAlg::Nearest,
        _ => ResizeAlg::Convolution(FilterType::Bilinear),
    };
    let options = ResizeOptions::new().resize_alg(algorithm);
    Resizer::new().resize_typed(&source, &mut resized, &options).unwrap();
    let number = |sample: &u8| match how.range {
        Range::Bytes => f32::from(*sample),
        Range::Unit => f32::from(*sample) / 255.0,
    };
    let samples: Vec<u8> = resized.pixels().iter().flat_map(|pixel| pixel.0).collect();
    match how.layout {
        Layout::Nhwc => samples.iter().map(number).collect(),
        Layout::Nchw => {
            (0..3).flat_map(|at| samples.iter().skip(at).step_by(3)).map(number).collect()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn memory_from_before_and_blocks_of_pixels_change_no_bit(
        pictures in prop::collection::vec((1_u32..130, 1_u32..130, any::<u8>()), 1..6),
        window in prop::option::of(1_u32..150),
        size in 1_u32..60,
        (nearest, unit, last) in any::<(bool, bool, bool)>(),
    ) {
        let how = Preprocessing {
            window,
            cell_share: None,
            size,
            filter: if nearest { Filter::Nearest } else { Filter::Bilinear },
            standardise: None,
            range: if unit { Range::Unit } else { Range::Bytes },
            layout: if last { Layout::Nhwc } else { Layout::Nchw },
        };
        leukd_cell::Scratch::with(|scratch| {
            for (width, height, seed) in pictures {
                let picture = RgbImage::from_fn(width, height, |x, y| {
                    Rgb([x, y, x ^ y].map(|at| (at as u8).wrapping_mul(7).wrapping_add(seed)))
                });
                let decoded = decode_with(scratch, &synthetic::bmp(&picture), &Limits::default()).unwrap();
                prop_assert_eq!(&decoded, &picture);
                let tensor = how.tensor_with(scratch, &decoded).unwrap();
                prop_assert_eq!(&tensor.data, &plainly(&how, &picture));
                prop_assert_eq!(&tensor, &how.tensor(&picture).unwrap());
                scratch.take_back(decoded, tensor.data);
            }
            Ok(())
        })?;
    }
}
