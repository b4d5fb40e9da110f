//! Pixels → the network's input tensor: the one function that both the daemon and the trainer call.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions};
use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::fault::{Fault, FaultKind};
use super::scratch::{Room, Scratch};
use super::standardise::{Residual, Standardise, Tables};
use crate::foreground::{is_foreground, spans};

/// The steps from pixels to tensor, in the order of the fields. It is written into every bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Cut this many pixels square from the middle first, with black where the picture is smaller;
    /// absent: the whole picture, made square with black. Scale stays the same for every cell: its
    /// size is a cue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// Scale every cell to one area: the share of the input square that its foreground fills, 0.25
    /// to 1. The square is cut about the foreground's centroid, with black beside the picture; a
    /// picture without foreground is taken whole. Excludes `window`, which keeps the scale. Absent:
    /// size remains visible to the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell_share: Option<f32>,
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
    /// Output pixel `x` is input pixel `floor((x + 1/2) · input / output)`: Pillow's `NEAREST`, by
    /// which Keras' generators resize, and TensorFlow's `tf.image.resize(…, "nearest")`. Where that
    /// product is a whole number the last bit of a float decides, and implementations may differ;
    /// C-NMC's sides of 450 and 600 pixels never meet it at 224.
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

/// The square of a picture that the network sees, in the picture's own pixels.
///
/// A point at the shares `(u, v)` of the network's input, or of a map over it, counted from its
/// upper left corner, lies at `(left + u · side, top + v · side)` of the picture. Both may be
/// negative: the square is wider than the picture then, and black beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Columns from the picture's left edge to the square's.
    pub left: i64,
    /// Rows from the picture's upper edge to the square's.
    pub top: i64,
    /// The square's side.
    pub side: u32,
}

impl Preprocessing {
    /// The largest `size` that is served.
    pub const MOST_SIZE: u32 = 2048;
    /// The largest `window` that is served.
    pub const MOST_WINDOW: u32 = 16_384;
    /// The smallest `cell_share` that is served: the square is then at most twice as wide as the
    /// picture.
    pub const MIN_CELL_SHARE: f32 = 0.25;

    /// What the seed's network was built on, with leukd's filter: the whole picture, 224 × 224,
    /// antialiased bilinear, 0 to 255, channels first.
    #[must_use]
    pub const fn b3() -> Self {
        Self {
            window: None,
            cell_share: None,
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
        (self.window, self.cell_share, self.size, self.filter)
            == (other.window, other.cell_share, other.size, other.filter)
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

    /// The square of `picture` that [`Preprocessing::square`] takes.
    #[must_use]
    pub fn placement(&self, picture: &RgbImage) -> Placement {
        let (width, height) = picture.dimensions();
        if let Some(share) = self.cell_share
            && let Some((placement, _)) = about_cell(picture, share)
        {
            return placement;
        }
        let side = self.window.unwrap_or(width.max(height));
        // Rounded towards zero, as the middle is cut and as it is padded.
        let edge = |length: u32| (i64::from(length) - i64::from(side)) / 2;
        Placement { left: edge(width), top: edge(height), side }
    }

    /// The field that cannot be served, with the problem.
    ///
    /// # Errors
    ///
    /// For a `size`, `window` or `cell_share` out of its range, and for `window` beside
    /// `cell_share`.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let pixels = |field, value: u32, most: u32| match (1..=most).contains(&value) {
            true => Ok(()),
            false => Err((field, format!("{value} is not 1 to {most} pixels"))),
        };
        pixels("size", self.size, Self::MOST_SIZE)?;
        self.window.map_or(Ok(()), |window| pixels("window", window, Self::MOST_WINDOW))?;
        match (self.cell_share, self.window) {
            (Some(share), _) if !(Self::MIN_CELL_SHARE..=1.0).contains(&share) => {
                Err(("cell_share", format!("{share} is not {} to 1", Self::MIN_CELL_SHARE)))
            }
            (Some(_), Some(_)) => Err(("cell_share", "excludes a window".to_owned())),
            _ => Ok(()),
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

    /// [`Preprocessing::tensor`] in the memory of `scratch`.
    ///
    /// # Errors
    ///
    /// As [`Preprocessing::square`].
    pub fn tensor_with(
        &self,
        scratch: &mut Scratch,
        picture: &RgbImage,
    ) -> Result<InputTensor, Fault> {
        self.check_picture(picture)?;
        let memory = std::mem::take(&mut scratch.square);
        let square = self.squared(picture, self.placement(picture), memory, &mut scratch.room)?;
        let tensor = self.numbered(&square, std::mem::take(&mut scratch.numbers));
        scratch.square = square.into_raw();
        Ok(tensor)
    }

    /// The first half: the window (or the cell at its share, or the whole picture) made square with
    /// black and brought to `size` × `size` pixels. The trainer augments between the two halves.
    ///
    /// The picture stands in the middle of its square; where a pixel is left over, the wider black
    /// margin is to the right and below, and of a window the wider remainder of the picture.
    ///
    /// # Errors
    ///
    /// `empty` for a picture without pixels; `unsupported` for what [`Preprocessing::check`]
    /// refuses.
    pub fn square(&self, picture: &RgbImage) -> Result<RgbImage, Fault> {
        self.check_picture(picture)?;
        self.square_of(picture, self.placement(picture))
    }

    /// The `placement` of `picture`, which has pixels, brought to `size` × `size` pixels.
    pub(crate) fn square_of(
        &self,
        picture: &RgbImage,
        placement: Placement,
    ) -> Result<RgbImage, Fault> {
        Scratch::with(|scratch| self.squared(picture, placement, Vec::new(), &mut scratch.room))
    }

    fn check_picture(&self, picture: &RgbImage) -> Result<(), Fault> {
        if picture.width() == 0 || picture.height() == 0 {
            return Err(Fault::new(FaultKind::Empty, "the picture has no pixels"));
        }
        self.check().map_err(|(field, problem)| {
            Fault::new(FaultKind::Unsupported, format!("the preprocessing's {field}: {problem}"))
        })
    }

    /// [`Preprocessing::square_of`] in the memory of `square`, with room from before.
    fn squared(
        &self,
        picture: &RgbImage,
        placement: Placement,
        mut square: Vec<u8>,
        room: &mut Room,
    ) -> Result<RgbImage, Fault> {
        let (width, height) = picture.dimensions();
        let side = placement.side;
        let whole = if placement == (Placement { left: 0, top: 0, side: width }) && width == height
        {
            picture.as_raw()
        } else {
            cut(picture, placement, &mut room.whole);
            &room.whole
        };
        let size = self.size as usize;
        // Not cleared: every place is written.
        square.resize(size * size * 3, 0);
        let algorithm = match self.filter {
            Filter::Nearest => ResizeAlg::Nearest,
            Filter::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
            Filter::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
            Filter::Lanczos3 => ResizeAlg::Convolution(FilterType::Lanczos3),
        };
        let mut resize = || -> Result<(), Box<dyn std::error::Error>> {
            let source = TypedImageRef::<U8x3>::from_buffer(side, side, whole)?;
            let mut resized = TypedImage::<U8x3>::from_buffer(self.size, self.size, &mut square)?;
            let options = ResizeOptions::new().resize_alg(algorithm);
            // Typed: of the library's thirteen kinds of pixels only this one is compiled into
            // leukd.
            Ok(room.resizer.resize_typed(&source, &mut resized, &options)?)
        };
        let failed = |error: &dyn std::fmt::Display| {
            Fault::new(FaultKind::Unsupported, format!("the picture cannot be resized: {error}"))
        };
        resize().map_err(|error| failed(&error))?;
        RgbImage::from_raw(self.size, self.size, square).ok_or_else(|| failed(&"too few pixels"))
    }

    /// The second half: a square of pixels, standardised, in the tensor's range and order. The
    /// shape follows the square's own size, which is `size` when it comes from
    /// [`Preprocessing::square`].
    #[must_use]
    pub fn numbers(&self, square: &RgbImage) -> InputTensor {
        self.numbered(square, Vec::new())
    }

    /// [`Preprocessing::numbers`] in the memory of `data`.
    fn numbered(&self, square: &RgbImage, mut data: Vec<f32>) -> InputTensor {
        let (width, height) = (square.width() as usize, square.height() as usize);
        let shape = match self.layout {
            Layout::Nchw => [1, 3, height, width],
            Layout::Nhwc => [1, height, width, 3],
        };
        // Not cleared: every place is written.
        data.resize(square.as_raw().len(), 0.0);
        self.fill(square.as_raw(), &Residual::NONE, &mut data);
        InputTensor { shape, data }
    }

    /// [`Preprocessing::numbers`] behind those that `into` holds, for batches: `samples` are a
    /// square's pixels row by row, red green blue. Where colours are standardised, they miss the
    /// targets by `residual`; where not, it changes nothing.
    pub fn append(&self, samples: &[u8], residual: &Residual, into: &mut Vec<f32>) {
        let start = into.len();
        into.resize(start + samples.len() / 3 * 3, 0.0);
        self.fill(samples, residual, &mut into[start..]);
    }

    /// The numbers of `samples` into as many places.
    fn fill(&self, samples: &[u8], residual: &Residual, places: &mut [f32]) {
        let scale = match self.range {
            Range::Bytes => 1.0,
            Range::Unit => 255.0,
        };
        let Tables { mut levels, background_is_zero, summed } =
            self.standardise.map_or_else(Tables::plain, |how| how.tables(samples, residual));
        levels.iter_mut().flatten().for_each(|level| *level /= scale);
        let [red, green, blue] = &levels;
        let each = |pixel: &[u8; 3]| {
            let [r, g, b] = pixel.map(usize::from);
            [red[r], green[g], blue[b]]
        };
        let of_cell = |pixel: &[u8; 3], numbers: [f32; 3]| {
            if background_is_zero && !is_foreground(pixel) { [0.0; 3] } else { numbers }
        };
        // What is decided here is not asked again at every pixel.
        match summed {
            None if !background_is_zero => self.lay_out(samples, places, each),
            None => self.lay_out(samples, places, |pixel| of_cell(pixel, each(pixel))),
            Some(most) => self.lay_out(samples, places, |pixel| {
                let sum = each(pixel).iter().sum::<f32>().clamp(0.0, most / scale);
                of_cell(pixel, [sum; 3])
            }),
        }
    }

    fn lay_out(&self, samples: &[u8], places: &mut [f32], number: impl Fn(&[u8; 3]) -> [f32; 3]) {
        let pixels = samples.as_chunks::<3>().0;
        match self.layout {
            Layout::Nhwc => {
                for (place, pixel) in places.as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
                    *place = number(pixel);
                }
            }
            Layout::Nchw => {
                let (reds, others) = places.split_at_mut(pixels.len());
                let (greens, blues) = others.split_at_mut(pixels.len());
                let places = reds.iter_mut().zip(greens).zip(blues);
                for (((red, green), blue), pixel) in places.zip(pixels) {
                    [*red, *green, *blue] = number(pixel);
                }
            }
        }
    }
}

/// The square about the centroid of `picture`'s foreground, in whole pixels, of which the foreground
/// fills `share`; and the foreground's pixels. None without foreground.
pub(crate) fn about_cell(picture: &RgbImage, share: f32) -> Option<(Placement, usize)> {
    let (mut count, mut columns, mut rows) = (0_u64, 0_u64, 0_u64);
    for (left, row, pixels) in spans(picture) {
        let (mut own, mut along) = (0_u64, 0_u64);
        for (column, pixel) in pixels.iter().enumerate() {
            let lit = u64::from(is_foreground(pixel));
            own += lit;
            along += lit * column as u64;
        }
        count += own;
        columns += along + own * left as u64;
        rows += own * row as u64;
    }
    if count == 0 {
        return None;
    }
    let side = (count as f64 / f64::from(share)).sqrt().round().max(1.0);
    // Pixel 0 has its centre at one half.
    let edge = |sum: u64| (sum as f64 / count as f64 + 0.5 - side / 2.0).round() as i64;
    let side_pixels = (side as i64).unsigned_abs() as u32;
    let placement = Placement { left: edge(columns), top: edge(rows), side: side_pixels };
    Some((placement, count as usize))
}

/// The square `placement` of `picture`, with black where the picture has none.
fn cut(picture: &RgbImage, placement: Placement, into: &mut Vec<u8>) {
    let Placement { left, top, side } = placement;
    let along = |edge: i64, length: u32| {
        let first = edge.clamp(0, length.into());
        let last = (edge + i64::from(side)).clamp(first, length.into());
        // None is below 0: `first` is clamped, and `last` and `first - edge` are not below it.
        [first, last, first - edge].map(|at| at.unsigned_abs() as usize)
    };
    let [first, last, to] = along(left, picture.width());
    let [upper, lower, down] = along(top, picture.height());
    let side = side as usize;
    if (last - first, lower - upper) != (side, side) {
        into.clear();
    }
    into.resize(side * side * 3, 0);
    let width = picture.width() as usize;
    let rows = picture.as_raw().chunks_exact(width * 3).skip(upper).take(lower - upper);
    for (line, row) in into.chunks_exact_mut(side * 3).skip(down).zip(rows) {
        line[to * 3..][..(last - first) * 3].copy_from_slice(&row[first * 3..last * 3]);
    }
}
