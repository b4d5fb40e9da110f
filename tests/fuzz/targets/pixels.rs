//! Bytes → pixels, beside those of a second decoder: `jpeg-decoder`, `zune-png`, and a plain reader
//! of uncompressed BMPs.

use leukd::cell::{Limits, decode, synthetic};
use zune_png::PngDecoder;
use zune_png::zune_core::bytestream::ZCursor;
use zune_png::zune_core::options::DecoderOptions;
use zune_png::zune_core::result::DecodingResult;

const LIMITS: Limits = Limits { max_bytes: 1 << 20, max_side: 512, max_memory: 4 << 20 };

/// JPEG leaves the rounding of its transforms to the decoder: libjpeg's and `jpeg-decoder`'s differ
/// by a few levels.
const LEVELS: u8 = 16;

/// JPEG's largest unit, in pixels. What one does beyond the range of a sample is the decoder's
/// choice too, so units with the least or the largest value are not compared.
const UNIT: usize = 16;

/// The share of samples, one in so many, that may differ by more than [`LEVELS`].
const FEW: usize = 50;

/// A second decoder's picture: width, height, and samples of one or three channels.
type Second = (usize, usize, Vec<u8>);

/// A small cell in each format that a second decoder reads, colours and greys.
pub fn seeds() -> Vec<Vec<u8>> {
    let small = image::imageops::thumbnail(&synthetic::cell(1, synthetic::Kind::Blast), 24, 20);
    let grey = image::DynamicImage::from(small.clone()).to_luma8();
    let writers = [synthetic::bmp, synthetic::bmp_v5, synthetic::png, synthetic::jpeg];
    let mut seeds = writers.map(|write| write(&small)).to_vec();
    for format in [image::ImageFormat::Png, image::ImageFormat::Jpeg, image::ImageFormat::Bmp] {
        let mut bytes = std::io::Cursor::new(Vec::new());
        grey.write_to(&mut bytes, format).unwrap();
        seeds.push(bytes.into_inner());
    }
    seeds
}

/// Where both read a picture it is the same one.
pub fn run(bytes: &[u8]) -> String {
    let ours = match decode(bytes, &LIMITS) {
        Ok(ours) => ours,
        Err(fault) => return super::kind(&fault.to_string()),
    };
    // The second decoders turn nothing.
    let names = |mark: &[u8]| bytes.windows(mark.len()).any(|window| window == mark);
    if [&b"Exif"[..], b"eXIf", b"tiff:Orientation", b"Raw profile"].into_iter().any(names) {
        return "turned".to_owned();
    }
    let is_jpeg = bytes.starts_with(&[0xff, 0xd8]);
    let second = match bytes {
        [0xff, 0xd8, ..] => jpeg(bytes),
        [0x89, b'P', ..] => png(bytes),
        [b'B', b'M', ..] => bmp(bytes),
        _ => None,
    };
    let Some((width, height, samples)) = second else { return "ours alone".to_owned() };
    let size = (ours.width() as usize, ours.height() as usize);
    assert_eq!(size, (width, height));
    let channels = samples.len() / (width * height);
    let same: Vec<u8> = match channels {
        1 => samples.iter().flat_map(|sample| [*sample; 3]).collect(),
        _ => samples,
    };
    if is_jpeg {
        let (compared, wrong) = compare(width, height, ours.as_raw(), &same);
        // Codes that went wrong drive values out of their range: what little stays within it says
        // nothing.
        if 2 * compared < same.len() {
            return "out of range".to_owned();
        }
        assert!(wrong * FEW <= compared, "{wrong} of {compared} samples");
    } else {
        assert!(ours.as_raw() == &same, "other pixels");
    }
    format!("both, {channels}")
}

/// How many samples of two pictures can be compared, and how many of them differ.
fn compare(width: usize, height: usize, ours: &[u8], second: &[u8]) -> (usize, usize) {
    let (mut compared, mut wrong) = (0, 0);
    for top in (0..height).step_by(UNIT) {
        for left in (0..width).step_by(UNIT) {
            let rows = top..(top + UNIT).min(height);
            let unit = rows.flat_map(|row| {
                let columns = left..(left + UNIT).min(width);
                3 * (row * width + columns.start)..3 * (row * width + columns.end)
            });
            let pairs: Vec<_> = unit.map(|at| (ours[at], second[at])).collect();
            if pairs.iter().all(|(ours, second)| {
                [ours, second].iter().all(|sample| (1..255).contains(*sample))
            }) {
                compared += pairs.len();
                wrong +=
                    pairs.iter().filter(|(ours, second)| ours.abs_diff(*second) > LEVELS).count();
            }
        }
    }
    (compared, wrong)
}

fn jpeg(bytes: &[u8]) -> Option<Second> {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(4 << 20);
    let samples = decoder.decode().ok()?;
    let info = decoder.info()?;
    let plain = [jpeg_decoder::PixelFormat::L8, jpeg_decoder::PixelFormat::RGB24];
    plain.contains(&info.pixel_format).then_some((info.width.into(), info.height.into(), samples))
}

fn png(bytes: &[u8]) -> Option<Second> {
    let options = DecoderOptions::default().set_max_width(512).set_max_height(512);
    let mut decoder = PngDecoder::new_with_options(ZCursor::new(bytes), options);
    let DecodingResult::U8(samples) = decoder.decode().ok()? else { return None };
    let (width, height) = decoder.dimensions()?;
    // Transparent pixels are laid over black here, and given as they are there.
    let opaque = [width * height, 3 * width * height].contains(&samples.len());
    opaque.then_some((width, height, samples))
}

/// Rows from the bottom up, of 24 or 32 bits a pixel without masks (MS-WMF,
/// `DeviceIndependentBitmap`).
fn bmp(bytes: &[u8]) -> Option<Second> {
    let number = |at: usize, size: usize| {
        let mut word = [0; 8];
        word[..size].copy_from_slice(bytes.get(at..at + size)?);
        Some(i64::from_le_bytes(word))
    };
    let (offset, header, width) = (number(10, 4)?, number(14, 4)?, number(18, 4)?);
    let height = i64::from(number(22, 4)? as i32);
    let (bits, compression) = (number(28, 2)?, number(30, 4)?);
    let fits = (1..=512).contains(&width) && (1..=512).contains(&height.abs());
    // Pixels inside the header are a lie that is answered in the decoder's own tests.
    if header < 40 || !fits || compression != 0 || ![24, 32].contains(&bits) || offset < 14 + header
    {
        return None;
    }
    let stride = (width * bits / 8 + 3) / 4 * 4;
    let mut samples = Vec::new();
    for row in 0..height.abs() {
        let row = if height > 0 { height - 1 - row } else { row };
        for column in 0..width {
            let at = usize::try_from(offset + row * stride + column * bits / 8).ok()?;
            let blue_green_red = bytes.get(at..at + 3)?;
            samples.extend(blue_green_red.iter().rev());
        }
    }
    Some((usize::try_from(width).ok()?, usize::try_from(height.abs()).ok()?, samples))
}
