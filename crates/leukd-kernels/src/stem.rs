//! The first convolution: from a picture's planes to blocked activations, with SiLU.

use super::block::{Weights, places};
use super::isa::Isa;
use super::memory::{Buffer, Shape};
use super::pointwise::{Input, Pointwise, Target};

/// What a stem is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct StemParts {
    /// What comes in.
    pub input: Shape,
    /// Rows and columns that come out.
    pub output: [usize; 2],
    /// The kernel's rows and columns.
    pub side: usize,
    /// Its step.
    pub stride: usize,
    /// Rows of zeros above the input, columns of zeros left of it.
    pub before: [usize; 2],
    /// `[outputs][channels][side][side]`.
    pub weights: Weights,
}

/// A dense convolution of a few channels, packed for one instruction set: each row of its windows
/// laid out as a 1×1 convolution's pixels (im2col).
#[derive(Debug, Clone)]
pub(super) struct Stem {
    isa: Isa,
    parts: StemParts,
    product: Pointwise,
    output: Shape,
    places: Vec<u32>,
}

impl Stem {
    /// Packs a stem.
    ///
    /// # Panics
    ///
    /// Where the parts do not fit each other.
    pub(super) fn new(isa: Isa, parts: &StemParts) -> Self {
        let taps = parts.input.channels * parts.side * parts.side;
        let product = Pointwise::new(isa, &parts.weights.kernel, &parts.weights.bias, taps);
        let [height, width] = parts.output;
        let output = Shape { channels: parts.weights.bias.len(), height, width };
        let places = places(isa, [1, width], width, 0);
        let mut parts = parts.clone();
        parts.weights = Weights { kernel: Vec::new(), bias: Vec::new() };
        Self { isa, parts, product, output, places }
    }

    /// What comes out.
    pub(super) const fn output(&self) -> Shape {
        self.output
    }

    /// `from`, `[channels][height][width]` → `to`, blocked; `windows` holds what is in between.
    pub(super) fn run(
        &self,
        from: &[f32],
        to: &mut [f32],
        windows: &mut Buffer,
        panel: &mut Buffer,
    ) {
        let width = self.isa.width();
        let columns = self.output.width;
        let (row, plane) = (columns * width, self.output.pixels() * width);
        let taps = self.product.inputs();
        windows.reserve(taps.div_ceil(width) * row);
        for y in 0..self.output.height {
            self.lay_out(from, y, windows.as_mut_slice());
            for part in self.product.parts() {
                let numbers = &mut to[part.0 * plane + y * row..];
                let target = Target { numbers, block: plane, places: &self.places };
                self.product.run(part, Input::of(windows.as_slice(), true), target, panel);
            }
        }
    }

    /// The windows of one row of outputs, tap by tap.
    fn lay_out(&self, from: &[f32], y: usize, windows: &mut [f32]) {
        let lanes = self.isa.width();
        let StemParts { input, side, stride, before: [top, left], .. } = &self.parts;
        let columns = self.output.width;
        let mut tap = 0;
        for plane in from.chunks_exact(input.pixels()) {
            for down in 0..*side {
                let row = (y * stride + down)
                    .checked_sub(*top)
                    .and_then(|row| plane.chunks_exact(input.width).nth(row));
                for right in 0..*side {
                    let to = windows[tap / lanes * columns * lanes + tap % lanes..].iter_mut();
                    for (x, to) in to.step_by(lanes).take(columns).enumerate() {
                        let column = (x * stride + right).checked_sub(*left);
                        let number = row.zip(column).and_then(|(row, column)| row.get(column));
                        *to = number.copied().unwrap_or_default();
                    }
                    tap += 1;
                }
            }
        }
    }
}
