//! One white cell cut out of its field, on black.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::{GenericImageView, RgbImage};

use super::outline::{Point, runs};
use super::{Region, WhiteCell};
use crate::fault::{Fault, FaultKind};

/// How a cell is cut out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Crop {
    /// Width and height of the result in pixels; C-NMC's are 450.
    pub side: u32,
    /// Pixels of the result to one of the capture, [`Crop::MIN_SCALE`] to [`Crop::MAX_SCALE`].
    pub scale: f64,
}

impl Crop {
    /// Below this a cell of 200 pixels is left with two.
    pub const MIN_SCALE: f64 = 0.01;
    /// Beyond this a capture has no detail that a model could use.
    pub const MAX_SCALE: f64 = 32.0;

    /// A crop at the model's scale, of a capture at its own; both in micrometres per pixel.
    #[must_use]
    pub fn at_scale(side: u32, capture: f64, model: f64) -> Self {
        Self { side, scale: capture / model }
    }

    /// The cell's pixels, the middle of its box in the middle of a black square. What does not fit
    /// into the square is cut off.
    ///
    /// Colours are interpolated (antialiased bilinear) before the outline is cut, so that no black
    /// mixes into the cell's rim.
    ///
    /// # Errors
    ///
    /// `unsupported` for a scale out of its range or a region beside the picture.
    pub fn on_black(&self, picture: &RgbImage, cell: &WhiteCell) -> Result<RgbImage, Fault> {
        self.outlined_on_black(picture, cell.region, &cell.outline)
    }

    /// The same for a cell whose `region` and `outline` were stored.
    ///
    /// # Errors
    ///
    /// As [`Crop::on_black`].
    pub fn outlined_on_black(
        &self,
        picture: &RgbImage,
        region: Region,
        outline: &[Point],
    ) -> Result<RgbImage, Fault> {
        let refused = |problem: String| Fault::new(FaultKind::Unsupported, problem);
        if !(Self::MIN_SCALE..=Self::MAX_SCALE).contains(&self.scale) {
            let limits = (Self::MIN_SCALE, Self::MAX_SCALE);
            let problem = format!(
                "a crop at {} pixels to one of the capture; allowed are {} to {}",
                self.scale, limits.0, limits.1
            );
            return Err(refused(problem));
        }
        let Region { x, y, width, height } = region;
        let is_inside = u64::from(x) + u64::from(width) <= u64::from(picture.width())
            && u64::from(y) + u64::from(height) <= u64::from(picture.height());
        if !is_inside || width == 0 || height == 0 {
            let problem = format!(
                "a region of {width}×{height} pixels at {x}, {y} in a picture of \
                {}×{}",
                picture.width(),
                picture.height()
            );
            return Err(refused(problem));
        }
        let sides = [width, height].map(|side| scaled(side, self.scale));
        let resized = resized(&picture.view(x, y, width, height).to_image(), sides)
            .map_err(|error| refused(format!("the cell cannot be resized: {error}")))?;
        let [left, top] = sides.map(|side| (i64::from(self.side) - i64::from(side)) / 2);
        let share = |side: u32, from: u32| f64::from(side) / f64::from(from);
        let (across, down) = (share(sides[0], width), share(sides[1], height));
        let outline: Vec<Point> = outline
            .iter()
            .map(|point| Point {
                x: ((f64::from(point.x) - f64::from(x)) * across) as f32,
                y: ((f64::from(point.y) - f64::from(y)) * down) as f32,
            })
            .collect();
        let mut crop = RgbImage::new(self.side, self.side);
        for (row, from, to) in runs(&outline, sides[0], sides[1]) {
            for column in from..to {
                let place = (i64::from(column) + left, i64::from(row) + top);
                let (Ok(x), Ok(y)) = (u32::try_from(place.0), u32::try_from(place.1)) else {
                    continue;
                };
                if x < self.side && y < self.side {
                    crop.put_pixel(x, y, *resized.get_pixel(column, row));
                }
            }
        }
        Ok(crop)
    }
}

#[expect(clippy::cast_sign_loss, reason = "at least 1")]
fn scaled(side: u32, scale: f64) -> u32 {
    (f64::from(side) * scale).round().max(1.0) as u32
}

fn resized(
    part: &RgbImage,
    [width, height]: [u32; 2],
) -> Result<RgbImage, Box<dyn std::error::Error>> {
    let mut samples = vec![0; width as usize * height as usize * 3];
    let source = TypedImageRef::<U8x3>::from_buffer(part.width(), part.height(), part.as_raw())?;
    let mut target = TypedImage::<U8x3>::from_buffer(width, height, &mut samples)?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize_typed(&source, &mut target, &options)?;
    RgbImage::from_raw(width, height, samples).ok_or_else(|| "too few pixels".into())
}
