//! Rows of values with a width and a height, and the mean of blocks of a picture.

use image::RgbImage;

/// A rectangle of values, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plane<T> {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) values: Vec<T>,
}

/// One pixel's red, green and blue.
pub(crate) type Colour = [f32; 3];

impl<T: Copy> Plane<T> {
    pub(crate) fn filled(width: usize, height: usize, value: T) -> Self {
        Self { width, height, values: vec![value; width * height] }
    }

    /// A plane of the same size.
    pub(crate) fn map<U>(&self, value: impl FnMut(T) -> U) -> Plane<U> {
        let values = self.values.iter().copied().map(value).collect();
        Plane { width: self.width, height: self.height, values }
    }

    /// A plane of the same size from two.
    pub(crate) fn zip<U: Copy, V>(
        &self,
        other: &Plane<U>,
        mut value: impl FnMut(T, U) -> V,
    ) -> Plane<V> {
        let pairs = self.values.iter().zip(&other.values);
        let values = pairs.map(|(one, two)| value(*one, *two)).collect();
        Plane { width: self.width, height: self.height, values }
    }

    pub(crate) fn at(&self, x: usize, y: usize) -> T {
        self.values[y * self.width + x]
    }

    /// The value at a place given in pixels, at the border's value beyond it.
    pub(crate) fn nearest(&self, x: f32, y: f32) -> T {
        self.at(index(x, self.width), index(y, self.height))
    }

    /// Indices of the up to four neighbours that share a side with `index`.
    pub(crate) fn neighbours(&self, index: usize) -> impl Iterator<Item = usize> + use<T> {
        let (width, total) = (self.width, self.values.len());
        let x = index % width;
        let found = [
            (index >= width).then(|| index - width),
            (x > 0).then(|| index - 1),
            (x + 1 < width).then_some(index + 1),
            (index + width < total).then_some(index + width),
        ];
        found.into_iter().flatten()
    }
}

impl Plane<bool> {
    pub(crate) fn count(&self) -> usize {
        self.values.iter().filter(|set| **set).count()
    }
}

/// The whole part of `value`, held to the indices of `count` values.
#[expect(clippy::cast_sign_loss, reason = "clamped at 0")]
pub(crate) fn index(value: f32, count: usize) -> usize {
    (value.max(0.0) as usize).min(count.saturating_sub(1))
}

/// A rectangle of a capture, in its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) x: usize,
    pub(crate) y: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl Window {
    pub(crate) fn whole(picture: &RgbImage) -> Self {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        Self { x: 0, y: 0, width, height }
    }
}

/// Means of `factor` × `factor` blocks of a picture's `window`. Blocks at the right and lower
/// border may be smaller.
pub(crate) fn reduce(picture: &RgbImage, window: Window, factor: usize) -> Plane<Colour> {
    let (columns, rows) = (window.width.div_ceil(factor), window.height.div_ceil(factor));
    let mut values = Vec::with_capacity(columns * rows);
    let stride = picture.width() as usize * 3;
    let samples = picture.as_raw();
    let line = |y: usize| {
        let start = y * stride + window.x * 3;
        &samples[start..start + window.width * 3]
    };
    if factor == 1 {
        for y in window.y..window.y + window.height {
            values.extend(line(y).as_chunks::<3>().0.iter().map(|pixel| pixel.map(f32::from)));
        }
        return Plane { width: columns, height: rows, values };
    }
    // Sums of columns first: additions of whole rows are what the compiler makes wide, where they
    // cannot overflow. 257 rows of 255 fit; red cells of 2,000 pixels are reduced by 111.
    let mut sums = vec![0_u16; window.width * 3];
    for row in 0..rows {
        let from = window.y + row * factor;
        let to = (from + factor).min(window.y + window.height);
        sums.fill(0);
        for y in from..to {
            let pairs = sums.iter_mut().zip(line(y));
            pairs.for_each(|(sum, sample)| *sum = sum.saturating_add(u16::from(*sample)));
        }
        values.extend(sums.chunks(factor * 3).map(|block| {
            let share = 1.0 / ((to - from) * block.len() / 3) as f32;
            let sum =
                block.as_chunks::<3>().0.iter().fold([0_u32; 3], |sum, pixel| {
                    [0, 1, 2].map(|at| sum[at] + u32::from(pixel[at]))
                });
            sum.map(|sum| sum as f32 * share)
        }));
    }
    Plane { width: columns, height: rows, values }
}

/// Means of `factor` × `factor` blocks of a plane; blocks at the right and lower border may be
/// smaller.
pub(crate) fn shrink(plane: &Plane<Colour>, factor: usize) -> Plane<Colour> {
    let (width, height) = (plane.width.div_ceil(factor), plane.height.div_ceil(factor));
    let mut values = Vec::with_capacity(width * height);
    let mut sums = vec![[0.0_f32; 3]; width];
    for rows in plane.values.chunks(plane.width.max(1) * factor) {
        sums.fill([0.0; 3]);
        for row in rows.chunks(plane.width.max(1)) {
            for (sum, block) in sums.iter_mut().zip(row.chunks(factor)) {
                for own in block {
                    (0..3).for_each(|channel| sum[channel] += own[channel]);
                }
            }
        }
        let height = rows.len() / plane.width.max(1);
        values.extend(sums.iter().enumerate().map(|(at, sum)| {
            let share = 1.0 / (height * factor.min(plane.width - at * factor)) as f32;
            sum.map(|sum| sum * share)
        }));
    }
    Plane { width, height, values }
}

/// Binomial smoothing by 1-2-1 along rows and columns; the border's pixels stand for those beyond.
pub(crate) fn smooth(plane: &Plane<Colour>) -> Plane<Colour> {
    let (width, height) = (plane.width, plane.height);
    let mix = |a: Colour, b: Colour, c: Colour| {
        [0, 1, 2].map(|channel| (a[channel] + 2.0 * b[channel] + c[channel]) / 4.0)
    };
    let mut rows = plane.clone();
    for y in 0..height {
        let line = &plane.values[y * width..(y + 1) * width];
        for x in 0..width {
            let (left, right) = (line[x.saturating_sub(1)], line[(x + 1).min(width - 1)]);
            rows.values[y * width + x] = mix(left, line[x], right);
        }
    }
    let mut smoothed = rows.clone();
    for y in 0..height {
        let (above, below) = (y.saturating_sub(1), (y + 1).min(height - 1));
        for x in 0..width {
            smoothed.values[y * width + x] =
                mix(rows.at(x, above), rows.at(x, y), rows.at(x, below));
        }
    }
    smoothed
}
