//! Facts about a picture from its directory, with the defaults of TIFF 6.0 and of libtiff.

use super::directory::{Directory, Entry, File};
use super::{PHOTOMETRIC, damaged, depth, orientation_of, short};
use crate::fault::{Fault, FaultKind};

/// Tags whose values decide a pixel; the last three are not whole numbers.
const NEEDED: [u16; 25] = [
    256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 281, 284, 317, 320, 322, 323, 324, 325, 332,
    338, 339, 530, 347, 529, 532,
];

/// Coding of the stored samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Lzw,
    Deflate,
    PackBits,
    Jpeg,
}

/// Meaning of the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Photometric {
    WhiteIsZero,
    BlackIsZero,
    Rgb,
    Palette,
    Cmyk,
    YCbCr,
}

/// A picture that leukd can read, in strips or tiles.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    file: File<'a>,
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// 1, 2, 4, 8 or 16.
    pub(crate) bits: usize,
    pub(crate) samples: usize,
    pub(crate) compression: Compression,
    pub(crate) photometric: Photometric,
    /// The first sample beyond the colours is opacity by which colours are still to be multiplied.
    pub(crate) has_opacity: bool,
    pub(crate) is_planar: bool,
    pub(crate) is_differenced: bool,
    /// The bits of each stored byte run from the lowest to the highest.
    pub(crate) is_reversed: bool,
    pub(crate) is_tiled: bool,
    /// Pixels of a tile; a strip is a tile as wide as the picture.
    pub(crate) tile: (usize, usize),
    offsets: Entry,
    sizes: Option<Entry>,
    /// Red, green and blue of each index.
    pub(crate) palette: Vec<[u8; 3]>,
    /// The JPEG tables that all strips share.
    pub(crate) tables: &'a [u8],
    /// Pixels that share one pair of chroma samples, across and down.
    pub(crate) subsampling: (usize, usize),
    pub(crate) luma: Vec<f32>,
    pub(crate) reference: Vec<f32>,
    /// The brightest 16-bit sample by the file's own word.
    pub(crate) brightest: Option<u16>,
    /// The same of opacity.
    pub(crate) brightest_opacity: Option<u16>,
    pub(crate) orientation: u8,
}

impl<'a> Page<'a> {
    pub(super) fn new(directory: &Directory<'a>) -> Result<Self, Fault> {
        directory.check_values(&NEEDED)?;
        directory.check_types(&NEEDED[..NEEDED.len() - 3])?;
        let number = |tag, default| directory.value(tag).unwrap_or(default);
        let size = |tag| {
            let value = directory.value(tag)?;
            usize::try_from(value).ok().filter(|pixels| *pixels <= u32::MAX as usize)
        };
        let (Some(width), Some(height)) = (size(256), size(257)) else {
            return Err(damaged("a directory does not say how large its picture is"));
        };
        let samples = usize::try_from(number(277, 1)).unwrap_or(usize::MAX);
        let bits = bits(directory)?;
        let compression = compression(number(259, 1))?;
        let photometric = photometric(directory)?;
        let colours = match photometric {
            Photometric::Rgb | Photometric::YCbCr => 3,
            Photometric::Cmyk => 4,
            _ => 1,
        };
        if samples < colours || samples > 64 {
            return Err(damaged(format!("it says that a pixel has {samples} samples")));
        }
        let is_grey = matches!(photometric, Photometric::BlackIsZero | Photometric::WhiteIsZero);
        if is_grey && samples > 2 && !matches!(number(338, 0), 1 | 2) {
            return Err(Fault::new(
                FaultKind::Unsupported,
                format!(
                    "this TIFF has {samples} samples a pixel and calls them grey: merge its \
                     channels to RGB on export"
                ),
            ));
        }
        let is_deep_enough = match photometric {
            Photometric::Palette => bits <= 8,
            Photometric::YCbCr => bits == 8,
            Photometric::Rgb | Photometric::Cmyk => bits >= 8,
            _ => true,
        };
        if !is_deep_enough || (compression == Compression::Jpeg && bits != 8) {
            return Err(unsupported(format!(
                "has {bits} bits a sample of a kind that leukd does not read so"
            )));
        }
        let is_planar = number(284, 1) == 2 && samples > 1;
        let subsampling = if photometric == Photometric::YCbCr {
            let factors = directory.values(530);
            let factor = |at: usize| factors.get(at).map_or(2, |factor| *factor as usize);
            (factor(0), factor(1))
        } else {
            (1, 1)
        };
        if ![1, 2, 4].contains(&subsampling.0) || ![1, 2, 4].contains(&subsampling.1) {
            return Err(damaged("its chroma sampling is none of 1, 2 and 4"));
        }
        let is_compact = compression != Compression::Jpeg && subsampling != (1, 1);
        if photometric == Photometric::YCbCr && (is_planar || (is_compact && samples > 3)) {
            return Err(unsupported("holds luma and chroma in separate planes or with opacity"));
        }
        let is_packed = matches!(compression, Compression::Lzw | Compression::Deflate);
        let predictor = if is_packed { number(317, 1) } else { 1 };
        let is_differenced = match predictor {
            1 => false,
            2 if bits >= 8 && !is_compact => true,
            _ => {
                return Err(unsupported(format!(
                    "uses predictor {predictor} on {bits}-bit samples"
                )));
            }
        };
        let is_tiled = directory.entry(324).is_some() || directory.entry(322).is_some();
        let (offsets, sizes) = if is_tiled { (324, 325) } else { (273, 279) };
        let Some(offsets) = directory.entry(offsets) else {
            return Err(damaged("a directory does not say where its strips or tiles are"));
        };
        let tile = if is_tiled {
            size(322)
                .zip(size(323))
                .ok_or_else(|| damaged("it does not say how large its tiles are"))?
        } else {
            let rows = usize::try_from(number(278, u64::MAX)).unwrap_or(usize::MAX);
            (width, if rows == 0 { height } else { rows.min(height) })
        };
        // The largest picture has 2^16 columns: nobody writes a tile above that.
        if width > 0 && height > 0 && (tile.0 == 0 || tile.1 == 0 || tile.0.max(tile.1) > 1 << 20) {
            return Err(damaged(format!("its tiles have {}×{} pixels", tile.0, tile.1)));
        }
        Ok(Self {
            file: directory.file,
            width,
            height,
            bits,
            samples,
            compression,
            photometric,
            has_opacity: samples > colours && number(338, 0) == 2,
            is_planar,
            is_differenced,
            is_reversed: number(266, 1) == 2,
            is_tiled,
            tile,
            offsets,
            sizes: directory.entry(sizes),
            palette: palette(directory, photometric, bits)?,
            tables: directory.bytes(347),
            subsampling,
            luma: directory.fractions(529),
            reference: directory.fractions(532),
            brightest: depth::brightest(directory, 0).filter(|_| bits == 16),
            brightest_opacity: depth::brightest(directory, colours).filter(|_| bits == 16),
            orientation: orientation_of(directory),
        })
    }

    pub(crate) const fn is_big_endian(&self) -> bool {
        self.file.is_big_endian
    }

    /// Tiles across and down.
    pub(crate) fn tiles(&self) -> (usize, usize) {
        (self.width.div_ceil(self.tile.0.max(1)), self.height.div_ceil(self.tile.1.max(1)))
    }

    /// Bytes of one stored row; of luma and chroma that share samples, of a row of such groups.
    pub(crate) fn row_bytes(&self) -> usize {
        let (h, v) = self.subsampling;
        if self.photometric == Photometric::YCbCr && (h, v) != (1, 1) {
            return self.tile.0.div_ceil(h) * (h * v + 2);
        }
        let samples = if self.is_planar { 1 } else { self.samples };
        (self.tile.0 * samples * self.bits).div_ceil(8)
    }

    /// Rows stored in tile `index` of a plane.
    pub(crate) fn rows(&self, index: usize) -> usize {
        let down = index / self.tiles().0.max(1);
        if self.is_tiled { self.tile.1 } else { self.tile.1.min(self.height - down * self.tile.1) }
    }

    /// Bytes of tile `index` of a plane without its compression.
    pub(crate) fn needed(&self, index: usize) -> usize {
        self.row_bytes().saturating_mul(self.rows(index).div_ceil(self.subsampling.1))
    }

    /// A word for a person: what tile `index` is.
    pub(crate) fn part(&self, index: usize) -> String {
        format!("{} {index}", if self.is_tiled { "tile" } else { "strip" })
    }

    /// The stored bytes of tile `index`, `plane` by `plane` where they are separate. Sizes that are
    /// missing, zero or beyond the end are replaced by what the rows need, as in libtiff.
    pub(crate) fn data(&self, plane: usize, index: usize) -> Result<&'a [u8], Fault> {
        let (across, down) = self.tiles();
        let place = plane * across * down + index;
        let part = self.part(place);
        let Some(offset) = self.file.number(self.offsets, place) else {
            return Err(damaged(format!("{part} is missing from its list of offsets")));
        };
        if offset == 0 {
            return Err(short(format!("{part} is written")));
        }
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.file.bytes.get(offset..).filter(|rest| !rest.is_empty());
        let rest = rest.ok_or_else(|| short(&part))?;
        let needed = self.needed(index);
        let size = self.sizes.and_then(|sizes| self.file.number(sizes, place)).unwrap_or(0);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let is_usable = size > 0 && size <= rest.len();
        if self.compression == Compression::None {
            let enough = if is_usable { &rest[..size] } else { rest };
            return enough.get(..needed).ok_or_else(|| {
                short(format!(
                    "the end of {part}, which needs {needed} bytes and has {}",
                    enough.len()
                ))
            });
        }
        // No writer's data is twice as long as its rows; and a walk over many strips stays short.
        let most = needed.saturating_mul(2).saturating_add(4096);
        Ok(&rest[..if is_usable { size } else { rest.len().min(most) }])
    }

    /// Refuses a page whose strips or tiles do not lie inside the file.
    pub(super) fn check_inside(&self) -> Result<(), Fault> {
        let (across, down) = self.tiles();
        for plane in 0..if self.is_planar { self.samples } else { 1 } {
            for index in 0..across * down {
                self.data(plane, index)?;
            }
        }
        Ok(())
    }
}

fn bits(directory: &Directory<'_>) -> Result<usize, Fault> {
    let all = directory.values(258);
    let bits = all.first().copied().unwrap_or(1);
    if all.iter().any(|other| *other != bits) {
        return Err(unsupported("has channels of different depths"));
    }
    match (directory.value(339).unwrap_or(1), bits) {
        (3 | 6, _) => Err(unsupported(format!("holds floating-point numbers of {bits} bits"))),
        (2 | 5, _) => Err(unsupported(format!("holds signed numbers of {bits} bits"))),
        (_, 1 | 2 | 4 | 8 | 16) => Ok(bits as usize),
        _ => Err(unsupported(format!("has {bits} bits a sample"))),
    }
}

fn compression(number: u64) -> Result<Compression, Fault> {
    let name = match number {
        1 => return Ok(Compression::None),
        5 => return Ok(Compression::Lzw),
        8 | 32946 => return Ok(Compression::Deflate),
        32773 => return Ok(Compression::PackBits),
        7 => return Ok(Compression::Jpeg),
        2..=4 | 32771 => "fax coding (CCITT)",
        6 => "the old form of JPEG",
        34661 => "JBIG",
        33003..=33005 | 34712 => "JPEG 2000",
        34887 => "LERC",
        34925 => "LZMA",
        50000 => "Zstandard",
        50001 => "WebP",
        50002 | 52546 => "JPEG XL",
        _ => {
            return Err(unsupported(format!(
                "is compressed in a way that leukd does not know ({number})"
            )));
        }
    };
    Err(unsupported(format!("is compressed with {name}")))
}

fn photometric(directory: &Directory<'_>) -> Result<Photometric, Fault> {
    Ok(match directory.value(PHOTOMETRIC) {
        // Readers guess, each otherwise.
        None => return Err(unsupported("does not say what its samples mean")),
        Some(0) => Photometric::WhiteIsZero,
        Some(1) => Photometric::BlackIsZero,
        Some(2) => Photometric::Rgb,
        Some(3) => Photometric::Palette,
        Some(5) if directory.value(332).unwrap_or(1) == 1 => Photometric::Cmyk,
        Some(5) => {
            return Err(unsupported("holds inks other than cyan, magenta, yellow and black"));
        }
        Some(6) => Photometric::YCbCr,
        Some(8..=10) => return Err(unsupported("holds CIE L*a*b* colours")),
        Some(32803) => return Err(unsupported("holds a camera's raw samples")),
        Some(other) => {
            return Err(unsupported(format!(
                "holds colours of a kind that leukd does not know ({other})"
            )));
        }
    })
}

/// 16-bit levels become the upper 8, and levels that have 8 bits by mistake stay, as in libtiff.
fn palette(
    directory: &Directory<'_>,
    photometric: Photometric,
    bits: usize,
) -> Result<Vec<[u8; 3]>, Fault> {
    if photometric != Photometric::Palette {
        return Ok(Vec::new());
    }
    let levels = directory.values(320);
    let colours = 1 << bits;
    if levels.len() < 3 * colours {
        return Err(damaged("its palette is missing or too short"));
    }
    let shift = if levels.iter().all(|level| *level < 256) { 0 } else { 8 };
    let level = |channel: usize, index: usize| (levels[channel * colours + index] >> shift) as u8;
    Ok((0..colours).map(|index| [0, 1, 2].map(|channel| level(channel, index))).collect())
}

fn unsupported(what: impl std::fmt::Display) -> Fault {
    let message = format!(
        "this TIFF {what}: save it uncompressed or with LZW, as RGB or grey with 8 or 16 bits a \
         sample"
    );
    Fault::new(FaultKind::Unsupported, message)
}
