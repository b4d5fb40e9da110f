//! Pixels → the network's input tensor: the one function that both the daemon and the trainer call.

use std::borrow::Cow;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::{GenericImage, GenericImageView, RgbImage};
use serde::{Deserialize, Serialize};

use super::fault::{Fault, FaultKind};
use super::quality::is_foreground;
use super::standardise::{Residual, Standardise, Tables};

/// The steps from pixels to tensor, in the order of the fields. It is written into every bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Cut this many pixels square from the middle first, with black where the picture is smaller;
    /// absent: the whole picture, made square with black. Scale stays the same for every cell: its size is a cue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// Width and height of the network's input, in pixels.
    pub size: u32,
    /// How pixels are interpolated.
    pub filter: Filter,
    /// How the cell's colours are then standardised; absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standardise: Option<Standardise>,
    /// What the tensor's numbers run over.
    pub range: Range,
    /// The order of the tensor's axes.
    pub layout: Layout,
}

/// Interpolation when the picture's size changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// The nearest pixel: what Keras' generators do by default, and the seed trained on.
    ///
    /// Output pixel `x` is input pixel `floor((x + 1/2) · input / output)`: Pillow's `NEAREST`, by which
    /// Keras' generators resize, and TensorFlow's `tf.image.resize(…, "nearest")`. Where that product is
    /// a whole number the last bit of a float decides, and implementations may differ; C-NMC's sides
    /// of 450 and 600 pixels never meet it at 224.
    Nearest,
    /// Antialiased bilinear (a triangle as wide as the reduction): leukd's default.
    Bilinear,
    /// Antialiased Catmull-Rom.
    Bicubic,
    /// Antialiased Lanczos with three lobes.
    Lanczos3,
}

/// What the tensor's numbers run over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Range {
    /// 0 to 255, as Keras' EfficientNet takes them: it rescales inside.
    #[serde(rename = "0-255")]
    Bytes,
    /// 0 to 1.
    #[serde(rename = "0-1")]
    Unit,
}

/// The order of the tensor's axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// `[1, 3, size, size]`, channels red, green, blue.
    Nchw,
    /// `[1, size, size, 3]`.
    Nhwc,
}

/// The network's input, on its way to the engine.
#[derive(Debug, Clone, PartialEq)]
pub struct InputTensor {
    /// `[1, 3, size, size]` or `[1, size, size, 3]`.
    pub shape: [usize; 4],
    /// Row-major; as many numbers as the shape has places.
    pub data: Vec<f32>,
}

impl Preprocessing {
    /// The largest `size` that is served.
    pub const MOST_SIZE: u32 = 2048;
    /// The largest `window` that is served.
    pub const MOST_WINDOW: u32 = 16_384;

    /// What the seed's network was built on, with leukd's filter: the whole picture, 224 × 224, antialiased
    /// bilinear, 0 to 255, channels first.
    #[must_use]
    pub const fn b3() -> Self {
        Self {
            window: None,
            size: 224,
            filter: Filter::Bilinear,
            standardise: None,
            range: Range::Bytes,
            layout: Layout::Nchw,
        }
    }

    /// Whether [`Preprocessing::square`] gives the same pixels as with `other`.
    #[must_use]
    pub fn same_square(&self, other: &Self) -> bool {
        (self.window, self.size, self.filter) == (other.window, other.size, other.filter)
    }

    /// The shape of [`Preprocessing::tensor`]'s result.
    #[must_use]
    pub const fn shape(&self) -> [usize; 4] {
        let size = self.size as usize;
        match self.layout {
            Layout::Nchw => [1, 3, size, size],
            Layout::Nhwc => [1, size, size, 3],
        }
    }

    /// Pixels to the network's input: [`Preprocessing::square`], then [`Preprocessing::numbers`].
    ///
    /// # Errors
    ///
    /// As [`Preprocessing::square`].
    pub fn tensor(&self, picture: &RgbImage) -> Result<InputTensor, Fault> {
        Ok(self.numbers(&self.square(picture)?))
    }

    /// The first half: the window (or the whole picture) made square with black and brought to
    /// `size` × `size` pixels. The trainer augments between the two halves.
    ///
    /// The picture stands in the middle of its square; where a pixel is left over, the wider black margin is to the
    /// right and below, and of a window the wider remainder of the picture.
    ///
    /// # Errors
    ///
    /// `empty` for a picture without pixels; `unsupported` for a `size` or `window` of 0 or beyond
    /// [`Preprocessing::MOST_SIZE`] and [`Preprocessing::MOST_WINDOW`].
    pub fn square(&self, picture: &RgbImage) -> Result<RgbImage, Fault> {
        let (width, height) = picture.dimensions();
        if width == 0 || height == 0 {
            return Err(Fault::new(FaultKind::Empty, "the picture has no pixels"));
        }
        if !(1..=Self::MOST_SIZE).contains(&self.size)
            || self.window.is_some_and(|window| !(1..=Self::MOST_WINDOW).contains(&window))
        {
            let message = format!(
                "a preprocessing of size {} and window {:?} is beyond 1 to {} and 1 to {} pixels",
                self.size,
                self.window,
                Self::MOST_SIZE,
                Self::MOST_WINDOW
            );
            return Err(Fault::new(FaultKind::Unsupported, message));
        }
        let side = self.window.unwrap_or(width.max(height));
        let whole = centred(picture, side)?;
        self.resize(whole.as_ref()).map_err(|error| {
            Fault::new(FaultKind::Unsupported, format!("the picture cannot be resized: {error}"))
        })
    }

    fn resize(&self, from: &RgbImage) -> Result<RgbImage, Box<dyn std::error::Error>> {
        let algorithm = match self.filter {
            Filter::Nearest => ResizeAlg::Nearest,
            Filter::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
            Filter::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
            Filter::Lanczos3 => ResizeAlg::Convolution(FilterType::Lanczos3),
        };
        let source = ImageRef::new(from.width(), from.height(), from.as_raw(), PixelType::U8x3)?;
        let mut resized = Image::new(self.size, self.size, PixelType::U8x3);
        let options = ResizeOptions::new().resize_alg(algorithm);
        Resizer::new().resize(&source, &mut resized, &options)?;
        RgbImage::from_raw(self.size, self.size, resized.into_vec())
            .ok_or_else(|| "the resizer gave too few pixels".into())
    }

    /// The second half: a square of pixels, standardised, in the tensor's range and order. The shape follows the
    /// square's own size, which is `size` when it comes from [`Preprocessing::square`].
    #[must_use]
    pub fn numbers(&self, square: &RgbImage) -> InputTensor {
        let (width, height) = (square.width() as usize, square.height() as usize);
        let shape = match self.layout {
            Layout::Nchw => [1, 3, height, width],
            Layout::Nhwc => [1, height, width, 3],
        };
        let mut data = Vec::with_capacity(square.as_raw().len());
        self.append(square.as_raw(), &Residual::NONE, &mut data);
        InputTensor { shape, data }
    }

    /// [`Preprocessing::numbers`] behind those that `into` holds, for batches: `samples` are a square's pixels row by
    /// row, red green blue. Where colours are standardised, they miss the targets by `residual`; where not, it
    /// changes nothing.
    pub fn append(&self, samples: &[u8], residual: &Residual, into: &mut Vec<f32>) {
        let scale = match self.range {
            Range::Bytes => 1.0,
            Range::Unit => 255.0,
        };
        let Tables { mut levels, background_is_zero, summed } =
            self.standardise.map_or_else(Tables::plain, |how| how.tables(samples, residual));
        levels.iter_mut().flatten().for_each(|level| *level /= scale);
        let [red, green, blue] = &levels;
        let number = |pixel: &[u8]| {
            if background_is_zero && !is_foreground(pixel) {
                return [0.0; 3];
            }
            let each = [red[pixel[0] as usize], green[pixel[1] as usize], blue[pixel[2] as usize]];
            match summed {
                None => each,
                Some(most) => [each.iter().sum::<f32>().clamp(0.0, most / scale); 3],
            }
        };
        let pixels = samples.chunks_exact(3);
        match self.layout {
            Layout::Nhwc => into.extend(pixels.flat_map(number)),
            Layout::Nchw => {
                let (start, count) = (into.len(), pixels.len());
                into.resize(start + 3 * count, 0.0);
                let (reds, others) = into[start..].split_at_mut(count);
                let (greens, blues) = others.split_at_mut(count);
                let places = reds.iter_mut().zip(greens).zip(blues);
                for (((red, green), blue), pixel) in places.zip(pixels) {
                    [*red, *green, *blue] = number(pixel);
                }
            }
        }
    }
}

/// The middle of `picture`, `side` pixels square, with black where the picture has none.
fn centred(picture: &RgbImage, side: u32) -> Result<Cow<'_, RgbImage>, Fault> {
    let (width, height) = picture.dimensions();
    if (width, height) == (side, side) {
        return Ok(Cow::Borrowed(picture));
    }
    let (kept_width, kept_height) = (width.min(side), height.min(side));
    let kept =
        picture.view((width - kept_width) / 2, (height - kept_height) / 2, kept_width, kept_height);
    let mut square = RgbImage::new(side, side);
    square
        .copy_from(&*kept, (side - kept_width) / 2, (side - kept_height) / 2)
        .map_err(|error| Fault::new(FaultKind::Unsupported, format!("no square fits: {error}")))?;
    Ok(Cow::Owned(square))
}
