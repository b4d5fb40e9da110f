//! JPEG (ITU-T T.81): baseline, extended sequential and progressive, 8 bits a sample,
//! Huffman-coded.
//!
//! The samples equal those of libjpeg-turbo with its defaults: the accurate integer transform and
//! smooth up-sampling of the chroma, in the same integer arithmetic.
//!
//! Why not a library: none that is written in Rust says that a scan ended before its last block.
//! zune-jpeg loses colours when a sequential file has several scans, panics on some of them, and
//! darkens chroma that is finer than luma. A check in front of it would have to decode every
//! Huffman code, which is most of a decoder.

mod band;
mod bits;
mod block;
mod colour;
mod frame;
mod huffman;
mod idct;
mod progressive;
mod scan;
mod segments;
mod upsample;

use image::RgbImage;

use super::limits::Limits;
use crate::complete::jpeg::check_kind;
use crate::fault::{Fault, FaultKind};
use crate::format::Format;
use crate::structure::{corrupt, truncated};
use frame::Frame;
use segments::{Adobe, Segments};

/// Meaning of the channels of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    /// The file's own markers decide, as in libjpeg.
    Own,
    /// Luma and chroma, converted to red, green and blue.
    YCbCr,
    /// Channels as they are stored.
    Stored,
}

/// Decoded samples, all channels of a pixel side by side.
#[derive(Debug)]
pub(super) struct Raster {
    pub(super) width: usize,
    pub(super) height: usize,
    /// 1, 3 or 4.
    pub(super) channels: usize,
    pub(super) samples: Vec<u8>,
    /// The Exif orientation, 1 to 8.
    pub(super) orientation: u8,
}

/// The picture of a JPEG file. Inks are taken as Adobe stores them: 255 is no ink.
pub(crate) fn read(bytes: &[u8], limits: &Limits, _: &mut Vec<u8>) -> Result<RgbImage, Fault> {
    let Raster { width, height, channels, mut samples, orientation } =
        raster(&[], bytes, Colours::Own, limits)?;
    samples = match channels {
        1 => samples.into_iter().flat_map(|grey| [grey; 3]).collect(),
        3 => samples,
        _ => {
            let inks = samples.as_chunks::<4>().0.iter();
            inks.flat_map(|&[c, m, y, k]| [c, m, y].map(|ink| colour::product(ink, k))).collect()
        }
    };
    Ok(super::raster::oriented(super::raster::picture(width, height, samples), orientation))
}

/// Decodes `bytes` after the tables of `tables`, a JPEG stream without a frame, or nothing.
pub(super) fn raster(
    tables: &[u8],
    bytes: &[u8],
    colours: Colours,
    limits: &Limits,
) -> Result<Raster, Fault> {
    check_kind(bytes)?;
    let mut segments = Segments::default();
    if !tables.is_empty() {
        segments.read_tables(tables)?;
    }
    // libtiff does not miss the end marker of a strip, and some writers leave it out.
    let needs_end = colours == Colours::Own;
    let frame = segments.read(bytes, needs_end, limits)?;
    frame.check_complete()?;
    let orientation = segments.exif.flatten().or(segments.xmp).unwrap_or(1);
    let transform = transform_of(colours, &frame, &segments)?;
    let Frame { width, height, .. } = frame;
    let channels = frame.components.len();
    let samples = upsample::interleave(frame, transform)?;
    Ok(Raster { width, height, channels, samples, orientation })
}

/// Conversion of the channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transform {
    None,
    YCbCr,
    Ycck,
}

/// libjpeg's `default_decompress_parms`.
fn transform_of(colours: Colours, frame: &Frame, segments: &Segments) -> Result<Transform, Fault> {
    let ids: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
    match (colours, ids.len()) {
        // libtiff refuses it: red, green and blue have one size each.
        (Colours::Stored, 3) if frame.is_subsampled() => Err(unsupported(
            "its JPEG is called RGB and sampled like luma and chroma: save it uncompressed or with \
             LZW",
        )),
        (_, 1) | (Colours::Stored, 3 | 4) => Ok(Transform::None),
        (Colours::YCbCr, 3) => Ok(Transform::YCbCr),
        (Colours::Own, 3) if segments.is_jfif => Ok(Transform::YCbCr),
        (Colours::Own, 3) => Ok(match segments.adobe {
            Some(Adobe { transform: 0 }) => Transform::None,
            Some(_) => Transform::YCbCr,
            None if ids == *b"RGB" => Transform::None,
            None => Transform::YCbCr,
        }),
        (Colours::Own, 4) => Ok(match segments.adobe {
            None | Some(Adobe { transform: 0 }) => Transform::None,
            Some(_) => Transform::Ycck,
        }),
        (_, count) => Err(unsupported(format!(
            "this JPEG has {count} channels: save it as a grey or RGB JPEG, or as PNG"
        ))),
    }
}

fn unsupported(message: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Unsupported, message)
}

fn damaged(what: impl std::fmt::Display) -> Fault {
    corrupt(Format::Jpeg, what)
}

fn cut(what: impl std::fmt::Display) -> Fault {
    truncated(Format::Jpeg, what)
}
