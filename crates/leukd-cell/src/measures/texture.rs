//! Sums over a cell's pixels: its colour, its brightness and how that changes from pixel to pixel.
//!
//! Each step is one plain loop over a line of pixels, without a branch, and sums run down the
//! columns: so the compiler takes several pixels at once, and what is in work at a time are three
//! lines.

use crate::foreground::BLACK;

/// What the foreground of some lines of pixels adds up to.
#[derive(Debug)]
pub(super) struct Texture {
    /// Each channel's mean, 0 to 255.
    pub(super) colour: [f64; 3],
    /// Of the brightness, 0 to 255 (luma of ITU-R BT.601).
    pub(super) light: Moments,
    /// Of the brightness' Laplacian, where all four neighbours are foreground too.
    pub(super) edges: Moments,
}

/// Of some numbers how many there are, their mean and their variance; 0 without any.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct Moments {
    pub(super) count: f64,
    pub(super) mean: f64,
    pub(super) variance: f64,
}

/// Sums up `lines`, each of `across` pixels of three samples.
pub(super) fn of<'a>(lines: impl Iterator<Item = &'a [u8]>, across: usize) -> Texture {
    let mut planes = [(); 3].map(|()| vec![0; across]);
    let mut colour = [(); 3].map(|()| vec![0; across]);
    let (mut light, mut edges) = (Columns::new(across), Columns::new(across.saturating_sub(2)));
    let mut window = [(); 3].map(|()| Line::new(across));
    for line in lines {
        part(line, &mut planes);
        window.rotate_left(1);
        let [above, here, below] = &mut window;
        below.read(&planes);
        for (sums, plane) in colour.iter_mut().zip(&planes) {
            add_inside(sums, plane, &below.mask);
        }
        light.add_brightness(below);
        edges.add_laplacian(above, here, below);
    }
    let light = light.moments(MIDDLE);
    let mean = |sums: &Vec<u32>| sums.iter().map(|sum| f64::from(*sum)).sum::<f64>() / light.count;
    Texture { colour: colour.each_ref().map(mean), light, edges: edges.moments(0.0) }
}

/// Pixels of three samples → one plane a channel.
fn part(line: &[u8], [red, green, blue]: &mut [Vec<u8>; 3]) {
    let pixels = line.as_chunks::<3>().0;
    for (((pixel, red), green), blue) in pixels.iter().zip(red).zip(green).zip(blue) {
        [*red, *green, *blue] = *pixel;
    }
}

/// Adds to each sum its level where the mask is set. A column has at most 2^16 levels
/// (`image.max_side`): nothing wraps.
fn add_inside(sums: &mut [u32], levels: &[u8], mask: &[u8]) {
    for ((sum, level), mask) in sums.iter_mut().zip(levels).zip(mask) {
        *sum = sum.wrapping_add(u32::from(level & mask));
    }
}

/// One line's pixels.
struct Line {
    /// All bits where there is foreground, none elsewhere.
    mask: Vec<u8>,
    /// 1 where there is foreground, 0 elsewhere.
    inside: Vec<f32>,
    luma: Vec<f32>,
}

impl Line {
    /// A line without foreground.
    fn new(across: usize) -> Self {
        Self { mask: vec![0; across], inside: vec![0.0; across], luma: vec![0.0; across] }
    }

    fn read(&mut self, planes: &[Vec<u8>; 3]) {
        let across = self.luma.len();
        let [red, green, blue] = planes.each_ref().map(|plane| &plane[..across]);
        let mask = &mut self.mask[..across];
        for x in 0..across {
            mask[x] = u8::from(red[x].max(green[x]).max(blue[x]) > BLACK).wrapping_neg();
        }
        for (inside, mask) in self.inside.iter_mut().zip(mask) {
            *inside = f32::from(*mask & 1);
        }
        let luma = &mut self.luma[..across];
        for x in 0..across {
            let [r, g, b] = [red, green, blue].map(|plane| f32::from(plane[x]));
            // Not mul_add: without the instruction for it, that is a call for each.
            luma[x] = 0.299 * r + 0.587 * g + 0.114 * b;
        }
    }
}

/// Sums down each column, of a few lines at a time: a long sum swallows what is small beside it.
struct Columns {
    count: Vec<f32>,
    sum: Vec<f32>,
    squares: Vec<f32>,
    /// How many lines they hold.
    lines: usize,
    /// Count, sum and squares of the lines before.
    before: [f64; 3],
}

/// See [`Columns`].
const TOGETHER: usize = 16;

/// Taken off each brightness, so that squares are small: the middle of what there can be.
const MIDDLE: f32 = 127.5;

impl Columns {
    fn new(across: usize) -> Self {
        let none = || vec![0.0; across];
        Self { count: none(), sum: none(), squares: none(), lines: 0, before: [0.0; 3] }
    }

    fn add_brightness(&mut self, line: &Line) {
        let (across, (count, sum, squares)) = self.columns();
        let (luma, inside) = (&line.luma[..across], &line.inside[..across]);
        for x in 0..across {
            let number = (luma[x] - MIDDLE) * inside[x];
            count[x] += inside[x];
            sum[x] += number;
            squares[x] += number * number;
        }
    }

    /// Of every place of a line but its ends.
    fn add_laplacian(&mut self, above: &Line, here: &Line, below: &Line) {
        let (across, (count, sum, squares)) = self.columns();
        // What lies above, below, left, right and at the place itself.
        let cross = |of: fn(&Line) -> &Vec<f32>| {
            [(above, 1), (below, 1), (here, 0), (here, 2), (here, 1)].map(|(line, from)| {
                of(line).get(from..).and_then(|part| part.get(..across)).unwrap_or_default()
            })
        };
        let [up, down, left, right, at] = cross(|line| &line.luma);
        let near = cross(|line| &line.inside);
        for x in 0..across {
            let inside = near[0][x] * near[1][x] * near[2][x] * near[3][x] * near[4][x];
            let number = (up[x] + down[x] + left[x] + right[x] - 4.0 * at[x]) * inside;
            count[x] += inside;
            sum[x] += number;
            squares[x] += number * number;
        }
    }

    /// Room for one more line.
    #[expect(clippy::type_complexity, reason = "three columns of sums")]
    fn columns(&mut self) -> (usize, (&mut [f32], &mut [f32], &mut [f32])) {
        if self.lines == TOGETHER {
            self.put_away();
        }
        self.lines += 1;
        let across = self.count.len();
        let Self { count, sum, squares, .. } = self;
        (across, (&mut count[..across], &mut sum[..across], &mut squares[..across]))
    }

    fn put_away(&mut self) {
        let columns = [&mut self.count, &mut self.sum, &mut self.squares];
        for (before, column) in self.before.iter_mut().zip(columns) {
            *before += column.iter().map(|part| f64::from(*part)).sum::<f64>();
            column.fill(0.0);
        }
        self.lines = 0;
    }

    /// `off` was taken off each number.
    fn moments(mut self, off: f32) -> Moments {
        self.put_away();
        let [count, sum, squares] = self.before;
        if count == 0.0 {
            return Moments::default();
        }
        let mean = sum / count;
        let variance = (squares / count - mean * mean).max(0.0);
        Moments { count, mean: mean + f64::from(off), variance }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::foreground::is_foreground;

    fn plain(numbers: &[f64]) -> Moments {
        if numbers.is_empty() {
            return Moments::default();
        }
        let count = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / count;
        let variance =
            numbers.iter().map(|number| (number - mean) * (number - mean)).sum::<f64>() / count;
        Moments { count, mean, variance }
    }

    /// To what f32 keeps of a Laplacian of levels up to 255 (2e-4), of its square, and of their
    /// sums, `off` taken from each number.
    fn near(got: Moments, twin: Moments, off: f64) -> bool {
        let squares = twin.variance + (twin.mean - off) * (twin.mean - off);
        let (level, size) = (2e-4, squares.sqrt());
        got.count == twin.count
            && (got.mean - twin.mean).abs() <= level + 1e-6 * size
            && (got.variance - twin.variance).abs() <= 1e-6 * squares + 2.0 * level * size + 1e-6
    }

    #[test]
    fn a_tall_flat_picture_stays_flat() {
        let lines = vec![[251_u8, 250, 249].repeat(5); 9_000];
        let got = of(lines.iter().map(Vec::as_slice), 5);
        let level = 0.299 * 251.0 + 0.587 * 250.0 + 0.114 * 249.0;
        assert_eq!(got.light.count, 45_000.0);
        assert!((got.light.mean - level).abs() < 1e-3, "{got:?}");
        assert!(got.light.variance < 0.02 && got.edges.variance < 1e-6, "{got:?}");
    }

    proptest! {
        #[test]
        fn lines_at_once_add_up_to_what_pixels_do_one_by_one(
            across in 1_usize..40, down in 1_usize..40, dark: bool,
            samples in prop::collection::vec(any::<u8>(), 40 * 40 * 3),
        ) {
            // With few levels about the limit there is background in between.
            let level = |sample: &u8| if dark { 8 + sample % 4 } else { *sample };
            let samples: Vec<u8> = samples[..across * down * 3].iter().map(level).collect();
            let got = of(samples.chunks_exact(across * 3), across);
            let cell = |x: usize, y: usize| {
                let pixel = &samples[(y * across + x) * 3..][..3];
                is_foreground(pixel).then(|| {
                    let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(f64::from);
                    0.299 * r + 0.587 * g + 0.114 * b
                })
            };
            let places = || (0..down).flat_map(|y| (0..across).map(move |x| (x, y)));
            let light: Vec<f64> = places().filter_map(|(x, y)| cell(x, y)).collect();
            prop_assert!(near(got.light, plain(&light), f64::from(MIDDLE)), "{:?} {:?}", got.light, plain(&light));
            let within = |(x, y): &(usize, usize)| *x > 0 && *y > 0 && x + 1 < across && y + 1 < down;
            let edges: Vec<f64> = places().filter(within).filter_map(|(x, y)| {
                Some(cell(x - 1, y)? + cell(x + 1, y)? + cell(x, y - 1)? + cell(x, y + 1)? - 4.0 * cell(x, y)?)
            }).collect();
            prop_assert!(near(got.edges, plain(&edges), 0.0), "{:?} {:?}", got.edges, plain(&edges));
            if !light.is_empty() {
                for (channel, mean) in got.colour.iter().enumerate() {
                    let inside = samples.as_chunks::<3>().0.iter().filter(|pixel| is_foreground(*pixel));
                    let sum: f64 = inside.map(|pixel| f64::from(pixel[channel])).sum();
                    prop_assert!((mean - sum / light.len() as f64).abs() < 1e-9);
                }
            }
        }
    }
}
