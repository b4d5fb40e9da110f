use proptest::prelude::*;

use super::*;
use crate::complete::bmp::Header;
use crate::synthetic;

/// Info headers with what may follow the first 40 bytes, and the pixels of `depth` bits behind a
/// gap.
#[derive(Debug, Clone)]
struct Variant {
    width: u16,
    height: u16,
    top_down: bool,
    header: u32,
    depth: u16,
    compression: u32,
    masks: [u32; 4],
    gap: usize,
    trailing: usize,
    seed: u8,
}

const PLAIN: [u32; 4] = [0x00ff_0000, 0x0000_ff00, 0x0000_00ff, 0];

fn variant() -> impl Strategy<Value = Variant> {
    let sides = (1_u16..120, 1_u16..20, any::<bool>());
    let kind = (
        prop::sample::select(vec![40_u32, 52, 56, 108, 124]),
        prop::sample::select(vec![24_u16, 32]),
        prop::sample::select(vec![0_u32, 3]),
        prop::sample::select(vec![
            PLAIN,
            PLAIN,
            [0x00ff_0000, 0x0000_ff00, 0x0000_00ff, 0xff00_0000],
            [0xff00_0000, 0x00ff_0000, 0x0000_ff00, 0],
            [0x0000_00ff, 0x0000_ff00, 0x00ff_0000, 0],
            [0x3ff0_0000, 0x000f_fc00, 0x0000_03ff, 0],
        ]),
    );
    (sides, kind, 0_usize..9, 0_usize..9, any::<u8>()).prop_map(
        |((width, height, top_down), kind, gap, trailing, seed)| {
            let (header, depth, compression, masks) = kind;
            Variant {
                width,
                height,
                top_down,
                header,
                depth,
                compression,
                masks,
                gap,
                trailing,
                seed,
            }
        },
    )
}

impl Variant {
    fn bytes(&self) -> Vec<u8> {
        let stride = (usize::from(self.width) * usize::from(self.depth)).div_ceil(32) * 4;
        let rows = stride * usize::from(self.height);
        let mut file = b"BM".to_vec();
        // Where the header has no room for the masks they follow it.
        let head = (14 + self.header as usize).max(if self.compression == 3 { 66 } else { 0 });
        let pixels_at = u32::try_from(head + self.gap).unwrap();
        for field in [0, 0, pixels_at, self.header, u32::from(self.width)] {
            file.extend(field.to_le_bytes());
        }
        let height = i32::from(self.height);
        file.extend(if self.top_down { -height } else { height }.to_le_bytes());
        file.extend([1, 0]);
        file.extend(self.depth.to_le_bytes());
        for field in [self.compression, 0, 3779, 3779, 0, 0] {
            file.extend(field.to_le_bytes());
        }
        file.extend(self.masks.iter().flat_map(|mask| mask.to_le_bytes()));
        file.resize(pixels_at as usize, 0);
        let mut level = self.seed;
        file.extend((0..rows + self.trailing).map(|_| {
            level = level.wrapping_mul(5).wrapping_add(89);
            level
        }));
        file
    }

    /// True where the reader of rows must take it: nothing is slow that need not be.
    fn is_plain(&self) -> bool {
        match (self.depth, self.compression) {
            (24 | 32, 0) => true,
            (32, 3) => self.masks[..3] == PLAIN[..3] && (self.header < 56 || self.masks[3] == 0),
            _ => false,
        }
    }
}

/// True where the plain reader takes it; the `image` crate must then read the same.
fn agrees_with_the_library(bytes: &[u8]) -> Result<bool, TestCaseError> {
    let Ok(header) = Header::new(bytes, &mut None) else { return Ok(false) };
    let Some(rows) = bmp::plain::Rows::new(&header, bytes) else { return Ok(false) };
    if check_sides((header.width, header.height), &Limits::default()).is_err() {
        return Ok(false);
    }
    // Memory from before, longer or shorter than what is needed.
    let before = vec![0xa5; bytes.len() % 5000];
    // The library looks at the planes, and reads colours from inside the header.
    let mut bytes = bytes.to_vec();
    bytes[26..28].copy_from_slice(&[1, 0]);
    let pixels_at = u32::try_from(header.pixels_at).unwrap();
    bytes[10..14].copy_from_slice(&pixels_at.to_le_bytes());
    let expected = image::load_from_memory_with_format(&bytes, image::ImageFormat::Bmp);
    if let Ok(expected) = expected {
        prop_assert_eq!(rows.picture(before), expected.into_rgb8());
    }
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn plain_rows_are_what_the_library_reads(variant in variant()) {
        prop_assert_eq!(agrees_with_the_library(&variant.bytes())?, variant.is_plain());
    }

    #[test]
    fn a_damaged_header_never_reads_otherwise_than_in_the_library(
        variant in variant(),
        damage in prop::collection::vec((0_usize..80, any::<u8>()), 1..3),
        cut in 0_usize..40,
    ) {
        let mut bytes = variant.bytes();
        for (at, byte) in damage {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        bytes.truncate(bytes.len() - cut.min(bytes.len()));
        agrees_with_the_library(&bytes)?;
    }
}

#[test]
fn both_of_the_microscopes_kinds_are_read_as_rows() {
    let picture = synthetic::cell(1, synthetic::Kind::Blast);
    for bytes in [synthetic::bmp(&picture), synthetic::bmp_v5(&picture)] {
        assert!(agrees_with_the_library(&bytes).unwrap());
        assert_eq!(decode(&bytes, &Limits::default()).unwrap(), picture);
    }
}

#[test]
fn the_limits_hold_for_rows_too() {
    let bytes = synthetic::bmp(&RgbImage::new(20, 10));
    let limits = Limits { max_memory: 599, ..Limits::default() };
    let fault = decode(&bytes, &limits).unwrap_err();
    assert_eq!(fault.code(), "too-large");
    assert!(fault.message().contains("20×10 pixels needs 600 bytes"), "{fault}");
    assert!(decode(&bytes, &Limits { max_memory: 600, ..limits }).is_ok());
}
