//! Samples → red, green and blue, as libtiff's `tif_getimage.c` does, with rounding where that cuts
//! 16 bits off.

use super::super::depth::{self, Levels};
use crate::complete::tiff::{Page, Photometric};

/// Conversion of a page's samples to colours.
#[derive(Debug)]
pub(super) struct Colour<'a> {
    photometric: Photometric,
    /// Samples of a pixel that are colours.
    pub(super) channels: usize,
    levels: Levels,
    opacities: Levels,
    has_opacity: bool,
    palette: &'a [[u8; 3]],
    luma: Option<Box<Luma>>,
}

impl<'a> Colour<'a> {
    /// The colours of `page`, whose brightest opacity is `brightest_opacity`.
    pub(super) fn new(page: &'a Page<'_>, brightest_opacity: u16) -> Self {
        let is_raster = page.compression == crate::complete::tiff::Compression::Jpeg;
        // The JPEG decoder has converted luma and chroma already.
        let photometric = match page.photometric {
            Photometric::YCbCr if is_raster => Photometric::Rgb,
            other => other,
        };
        let channels = match photometric {
            Photometric::Rgb | Photometric::YCbCr => 3,
            Photometric::Cmyk => 4,
            _ => 1,
        };
        let levels = match page.bits {
            16 => Levels::new(depth::most(page.brightest)),
            bits => Levels::new((1 << bits) - 1),
        };
        let opacities = match page.bits {
            16 => Levels::new(depth::most(page.brightest_opacity)).for_opacity(brightest_opacity),
            _ => levels,
        };
        let luma = (photometric == Photometric::YCbCr)
            .then(|| Box::new(Luma::new(&page.luma, &page.reference)));
        Self {
            photometric,
            channels,
            levels,
            opacities,
            has_opacity: page.has_opacity,
            palette: &page.palette,
            luma,
        }
    }

    /// Converts a row whose pixels have `samples` samples each.
    pub(super) fn convert(&self, line: &[u16], samples: usize, to: &mut [u8]) {
        for (pixel, to) in line.chunks_exact(samples).zip(to.as_chunks_mut::<3>().0) {
            *to = self.pixel(pixel);
        }
    }

    fn pixel(&self, pixel: &[u16]) -> [u8; 3] {
        let level = |sample: u16| self.levels.level(sample);
        let opacity = if self.has_opacity { pixel.get(self.channels) } else { None };
        let whole = Levels::new(255);
        // Levels that are 8 bits already, over black.
        let over = |colours: [u8; 3]| match opacity {
            Some(opacity) => {
                colours.map(|colour| whole.multiplied(u16::from(colour), *opacity, self.opacities))
            }
            None => colours,
        };
        let colours = match (self.photometric, pixel) {
            (Photometric::Rgb, [red, green, blue, ..]) => [*red, *green, *blue],
            (Photometric::BlackIsZero, [grey, ..]) => [*grey; 3],
            (Photometric::WhiteIsZero, [grey, ..]) => [self.levels.most.saturating_sub(*grey); 3],
            (Photometric::Palette, [index, ..]) => {
                return over(self.palette.get(usize::from(*index)).copied().unwrap_or_default());
            }
            (Photometric::Cmyk, [c, m, y, k, ..]) => {
                let let_through = |ink: u16| 255 - u32::from(level(ink));
                let black = let_through(*k);
                return over([c, m, y].map(|ink| (let_through(*ink) * black / 255) as u8));
            }
            (Photometric::YCbCr, [luma, blue, red, ..]) => {
                let tables = self.luma.as_deref();
                return over(tables.map_or([0; 3], |tables| tables.rgb([*luma, *blue, *red])));
            }
            _ => [0; 3],
        };
        match opacity {
            Some(opacity) => {
                colours.map(|colour| self.levels.multiplied(colour, *opacity, self.opacities))
            }
            None => colours.map(level),
        }
    }
}

/// libtiff's tables for luma and chroma (`tif_color.c`), to the last rounding.
#[derive(Debug)]
struct Luma {
    level: [i32; 256],
    red: [i32; 256],
    green_of_red: [i32; 256],
    green_of_blue: [i32; 256],
    blue: [i32; 256],
}

const FRACTION: u32 = 16;
const HALF: i32 = 1 << (FRACTION - 1);

impl Luma {
    fn new(luma: &[f32], reference: &[f32]) -> Self {
        const CCIR_601: [f32; 3] = [0.299, 0.587, 0.114];
        const FULL: [f32; 6] = [0.0, 255.0, 128.0, 255.0, 128.0, 255.0];
        let [red, green, blue] = luma.first_chunk().copied().unwrap_or(CCIR_601);
        let reference: [f32; 6] = reference.first_chunk().copied().unwrap_or(FULL);
        let fixed = |value: f32| (f64::from(value.clamp(0.0, 2.0)) * 65_536.0 + 0.5) as i32;
        let (of_red, of_blue) = (2.0 - 2.0 * red, 2.0 - 2.0 * blue);
        let green = if green == 0.0 { 1.0 } else { green };
        let factors = [
            fixed(of_red),
            -fixed(red * of_red / green),
            fixed(of_blue),
            -fixed(blue * of_blue / green),
        ];
        let code = |code: f32, low: f32, high: f32, range: f32| {
            let low = low.trunc();
            let span = if high - low == 0.0 { 1.0 } else { high - low };
            (((code - low) * range) / span).clamp(-128.0 * 32.0, 128.0 * 32.0) as i32
        };
        let mut tables = Self {
            level: [0; 256],
            red: [0; 256],
            green_of_red: [0; 256],
            green_of_blue: [0; 256],
            blue: [0; 256],
        };
        for index in 0..256_usize {
            let centred = index as f32 - 128.0;
            let red = code(centred, reference[4] - 128.0, reference[5] - 128.0, 127.0);
            let blue = code(centred, reference[2] - 128.0, reference[3] - 128.0, 127.0);
            tables.red[index] = (factors[0] * red + HALF) >> FRACTION;
            tables.blue[index] = (factors[2] * blue + HALF) >> FRACTION;
            tables.green_of_red[index] = factors[1] * red;
            tables.green_of_blue[index] = factors[3] * blue + HALF;
            tables.level[index] = code(index as f32, reference[0], reference[1], 255.0);
        }
        tables
    }

    fn rgb(&self, samples: [u16; 3]) -> [u8; 3] {
        let [luma, blue, red] = samples.map(|sample| usize::from(sample) & 0xff);
        let level = self.level[luma];
        let green = (self.green_of_blue[blue] + self.green_of_red[red]) >> FRACTION;
        [level + self.red[red], level + green, level + self.blue[blue]]
            .map(|level| level.clamp(0, 255).cast_unsigned() as u8)
    }
}
