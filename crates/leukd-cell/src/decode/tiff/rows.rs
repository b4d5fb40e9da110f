//! The rows of one strip or tile, their samples side by side.

use std::borrow::Cow;
use std::io::{Cursor, ErrorKind, Read};

use flate2::read::ZlibDecoder;

use super::super::jpeg::{self, Colours, Raster};
use super::super::limits::Limits;
use super::packed::{PackBits, lzw};
use crate::complete::tiff::{Compression, Page, Photometric};
use crate::fault::{Fault, FaultKind};
use crate::format::Format;
use crate::structure::{corrupt, truncated};

/// Source of the rows.
pub(super) struct Rows<'a, 'page> {
    page: &'page Page<'a>,
    index: usize,
    source: Source<'a>,
    /// Samples of a pixel in a row that [`Rows::next`] gives.
    pub(super) channels: usize,
    raw: Vec<u8>,
}

enum Source<'a> {
    /// One stream of bytes for each plane.
    Streams(Vec<Box<dyn Read + 'a>>),
    /// Luma and chroma in groups; rows of the last group that are still to be given.
    Groups(Box<dyn Read + 'a>, usize),
    /// Decoded JPEGs, one for each plane, and the next row.
    Rasters(Vec<Raster>, usize),
}

impl<'a, 'page> Rows<'a, 'page> {
    /// The rows of tile `index`; `used` is what of it lies inside the picture.
    pub(super) fn new(
        page: &'page Page<'a>,
        index: usize,
        used: (usize, usize),
        limits: &Limits,
    ) -> Result<Self, Fault> {
        let planes = 0..if page.is_planar { page.samples } else { 1 };
        let mut channels = page.samples;
        let source = if page.compression == Compression::Jpeg {
            let rasters = planes.map(|plane| raster(page, plane, index, used, limits));
            let rasters = rasters.collect::<Result<Vec<_>, _>>()?;
            channels = rasters.iter().map(|raster| raster.channels).sum();
            if channels != page.samples {
                let what = format!("its JPEG data has {channels} channels for {}", page.samples);
                return Err(corrupt(Format::Tiff, what));
            }
            Source::Rasters(rasters, 0)
        } else {
            let streams = planes.map(|plane| stream(page, plane, index));
            let mut streams = streams.collect::<Result<Vec<_>, _>>()?;
            match streams.pop() {
                Some(stream) if page.subsampling != (1, 1) => Source::Groups(stream, 0),
                last => {
                    streams.extend(last);
                    Source::Streams(streams)
                }
            }
        };
        Ok(Self { page, index, source, channels, raw: Vec::new() })
    }

    /// The next row in `line`, as wide as the tile at least.
    pub(super) fn next(&mut self, line: &mut Vec<u16>) -> Result<(), Fault> {
        let page = self.page;
        let failed = |error: std::io::Error| {
            let part = page.part(self.index);
            if error.kind() == ErrorKind::UnexpectedEof {
                truncated(Format::Tiff, format!("the data of {part} ends before its last row"))
            } else {
                corrupt(Format::Tiff, format!("the data of {part} cannot be decoded"))
            }
        };
        line.clear();
        match &mut self.source {
            Source::Rasters(rasters, row) => {
                let width = rasters.iter().map(|raster| raster.width).min().unwrap_or(0);
                for x in 0..width {
                    for raster in &*rasters {
                        let at = (*row * raster.width + x) * raster.channels;
                        let pixel = &raster.samples[at..at + raster.channels];
                        line.extend(pixel.iter().map(|sample| u16::from(*sample)));
                    }
                }
                *row += 1;
            }
            Source::Streams(streams) => {
                line.resize(page.tile.0 * page.samples, 0);
                self.raw.resize(page.row_bytes(), 0);
                let planes = streams.len();
                for (plane, stream) in streams.iter_mut().enumerate() {
                    stream.read_exact(&mut self.raw).map_err(failed)?;
                    unpack(page, &self.raw, line, (plane, planes));
                }
            }
            Source::Groups(stream, left) => {
                let (h, v) = page.subsampling;
                if *left == 0 {
                    self.raw.resize(page.row_bytes(), 0);
                    stream.read_exact(&mut self.raw).map_err(failed)?;
                    *left = v;
                }
                let row = v - *left;
                for group in self.raw.chunks_exact(h * v + 2) {
                    let chroma = [group[h * v], group[h * v + 1]].map(u16::from);
                    for luma in &group[row * h..row * h + h] {
                        line.extend([u16::from(*luma), chroma[0], chroma[1]]);
                    }
                }
                *left -= 1;
            }
        }
        Ok(())
    }
}

/// Puts the samples of a stored row into `line`, every `planes`-th place from `plane` on.
fn unpack(page: &Page<'_>, raw: &[u8], line: &mut [u16], (plane, planes): (usize, usize)) {
    let places = line[plane..].iter_mut().step_by(planes);
    match page.bits {
        8 => places.zip(raw).for_each(|(place, byte)| *place = u16::from(*byte)),
        16 => {
            let numbers = raw.as_chunks::<2>().0.iter();
            let is_big_endian = page.is_big_endian();
            places.zip(numbers).for_each(|(place, bytes)| {
                *place = if is_big_endian {
                    u16::from_be_bytes(*bytes)
                } else {
                    u16::from_le_bytes(*bytes)
                };
            });
        }
        bits => {
            let each = 8 / bits;
            let mask = (1_u16 << bits) - 1;
            places.enumerate().for_each(|(at, place)| {
                let shift = 8 - bits * (at % each + 1);
                *place = u16::from(raw[at / each]) >> shift & mask;
            });
        }
    }
    if page.is_differenced {
        let mask = if page.bits == 8 { 0xff } else { 0xffff };
        let step = if planes == 1 { page.samples } else { planes };
        for at in plane + step..line.len() {
            if planes == 1 || at % planes == plane {
                line[at] = line[at].wrapping_add(line[at - step]) & mask;
            }
        }
    }
}

/// The stored bytes of a tile, without their compression.
fn stream<'a>(page: &Page<'a>, plane: usize, index: usize) -> Result<Box<dyn Read + 'a>, Fault> {
    let mut data = Cow::Borrowed(page.data(plane, index)?);
    if page.is_reversed {
        data = data.iter().map(|byte| byte.reverse_bits()).collect::<Vec<_>>().into();
    }
    let data = Cursor::new(data);
    Ok(match page.compression {
        Compression::None | Compression::Jpeg => Box::new(data),
        Compression::Deflate => Box::new(ZlibDecoder::new(data)),
        Compression::PackBits => Box::new(PackBits::new(data)),
        Compression::Lzw => {
            if matches!(data.get_ref()[..], [0, second, ..] if second & 1 == 1) {
                let message = "this TIFF is compressed with LZW in its form from before 1988: save \
                               it uncompressed or with today's LZW";
                return Err(Fault::new(FaultKind::Unsupported, message));
            }
            Box::new(Cursor::new(lzw(data.get_ref(), page.needed(index))))
        }
    })
}

fn raster(
    page: &Page<'_>,
    plane: usize,
    index: usize,
    (width, height): (usize, usize),
    limits: &Limits,
) -> Result<Raster, Fault> {
    let is_ycc = page.photometric == Photometric::YCbCr;
    let colours = if is_ycc { Colours::YCbCr } else { Colours::Stored };
    let part = page.part(index);
    let named =
        |fault: Fault| Fault::new(fault.kind(), format!("{part} of the TIFF: {}", fault.message()));
    let raster =
        jpeg::raster(page.tables, page.data(plane, index)?, colours, limits).map_err(named)?;
    if raster.width < width || raster.height < height {
        let what = format!("the JPEG of {part} is smaller than its place");
        return Err(corrupt(Format::Tiff, what));
    }
    Ok(raster)
}
