//! Samples as a picture, upright.

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};

/// The picture of `samples`, three a pixel.
pub(super) fn picture(width: usize, height: usize, samples: Vec<u8>) -> RgbImage {
    let side = |pixels: usize| u32::try_from(pixels).unwrap_or(0);
    RgbImage::from_raw(side(width), side(height), samples).unwrap_or_default()
}

/// The picture turned and mirrored upright; `orientation` as in Exif.
pub(super) fn oriented(picture: RgbImage, orientation: u8) -> RgbImage {
    match Orientation::from_exif(orientation) {
        None | Some(Orientation::NoTransforms) => picture,
        Some(orientation) => {
            let mut picture = DynamicImage::ImageRgb8(picture);
            picture.apply_orientation(orientation);
            picture.into_rgb8()
        }
    }
}
