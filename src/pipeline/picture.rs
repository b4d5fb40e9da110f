//! Pictures for people: a cell, its thumbnail, or a whole field, out of the file of its result.

use std::sync::Arc;
use std::time::Duration;

use image::RgbImage;
use image::imageops::{self, FilterType};
use tokio::sync::Semaphore;

use super::{ExplainError, Pipeline};
use crate::cell::{Limits, decode, synthetic};
use crate::result::{Digest, Record, Region};

/// Pictures that are decoded at once: one, so that the page takes one core from the classifier at
/// most.
const AT_ONCE: usize = 1;

/// The longest wait for a turn.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sides of a thumbnail in pixels.
const THUMBNAIL: u32 = 160;

/// The largest side of a whole field on a screen; a larger one is scaled down.
const FIELD: u32 = 2048;

/// How a picture is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The cell alone, small.
    Thumbnail,
    /// The cell alone.
    Cell,
    /// All of the capture.
    Capture,
}

/// A picture as PNG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The bytes of the file.
    pub png: Vec<u8>,
    /// Width and height, in pixels, of what it shows before it was scaled down.
    pub size: (u32, u32),
}

/// Why a picture cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The bytes are gone, or are others by now, or no picture.
    #[error(transparent)]
    Capture(#[from] ExplainError),
    /// As many pictures as may be are being read.
    #[error("pictures take long now: try again in a moment")]
    Busy,
    /// A defect of leukd.
    #[error("reading the picture failed: {0}")]
    Defect(String),
}

/// Turns of those who decode pictures. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Pipeline {
    /// The picture of a stored result, from its kept image or its file. The bytes must be those
    /// that the result is of.
    ///
    /// # Errors
    /// See [`PictureError`].
    pub async fn picture(&self, record: Arc<Record>, cut: Cut) -> Result<Picture, PictureError> {
        let turn = Arc::clone(&self.0.turns.0).acquire_owned();
        let turn = tokio::time::timeout(PATIENCE, turn).await;
        let turn = turn.map_err(|_| PictureError::Busy)?;
        let turn = turn.map_err(|error| PictureError::Defect(error.to_string()))?;
        let (bytes, name) = self.bytes_of(&record).await?;
        let limits = self.0.limits;
        let drawn = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            if Some(Digest::of(&bytes)) != record.capture.digest {
                return Err(ExplainError::OtherBytes(name));
            }
            draw(&bytes, &limits, record.finding.region, cut)
        });
        let drawn = drawn.await.map_err(|error| PictureError::Defect(error.to_string()))?;
        Ok(drawn?)
    }
}

fn draw(
    bytes: &[u8],
    limits: &Limits,
    region: Option<Region>,
    cut: Cut,
) -> Result<Picture, ExplainError> {
    let picture = decode(bytes, limits)?;
    let shown = match (cut, region) {
        (Cut::Cell | Cut::Thumbnail, Some(region)) => around(&picture, region),
        _ => picture,
    };
    let size = shown.dimensions();
    let drawn = match cut {
        Cut::Capture => fitting(shown, FIELD),
        Cut::Thumbnail => fitting(shown, THUMBNAIL),
        Cut::Cell => shown,
    };
    Ok(Picture { png: synthetic::png(&drawn), size })
}

/// The cell of a field with a quarter of its side around it, as far as the field goes.
fn around(picture: &RgbImage, region: Region) -> RgbImage {
    let margin = region.width.max(region.height) / 4;
    let (x, y) = (region.x.saturating_sub(margin), region.y.saturating_sub(margin));
    let (width, height) = picture.dimensions();
    let right = region.x.saturating_add(region.width).saturating_add(margin).min(width);
    let bottom = region.y.saturating_add(region.height).saturating_add(margin).min(height);
    let (across, down) = (right.saturating_sub(x).max(1), bottom.saturating_sub(y).max(1));
    imageops::crop_imm(picture, x.min(width - 1), y.min(height - 1), across, down).to_image()
}

fn fitting(picture: RgbImage, side: u32) -> RgbImage {
    let (width, height) = picture.dimensions();
    let longest = width.max(height);
    if longest <= side {
        return picture;
    }
    let scaled = |length: u32| {
        let scaled = u64::from(length) * u64::from(side) / u64::from(longest);
        u32::try_from(scaled).unwrap_or(side).max(1)
    };
    imageops::resize(&picture, scaled(width), scaled(height), FilterType::Triangle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_at_the_edge_of_its_field_is_cut_within_the_field() {
        let field = RgbImage::new(100, 60);
        let cut = |x, y| around(&field, Region { x, y, width: 20, height: 20 }).dimensions();
        assert_eq!(cut(40, 20), (30, 30));
        assert_eq!(cut(0, 0), (25, 25));
        assert_eq!(cut(80, 40), (25, 25));
        assert_eq!(cut(99, 59), (6, 6));
    }

    #[test]
    fn a_thumbnail_keeps_its_proportions_and_a_small_picture_its_size() {
        assert_eq!(fitting(RgbImage::new(450, 225), 160).dimensions(), (160, 80));
        assert_eq!(fitting(RgbImage::new(90, 80), 160).dimensions(), (90, 80));
        assert_eq!(fitting(RgbImage::new(4000, 2), 160).dimensions(), (160, 1));
    }
}
