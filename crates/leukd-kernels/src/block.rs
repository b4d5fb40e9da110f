//! The inverted-residual block (Sandler et al., 2018; with squeeze and excitation, Tan and Le,
//! 2019): expand 1×1 → depthwise → squeeze and excite → project 1×1, and the input added where the
//! shapes allow.

use super::depthwise::{Depthwise, Planes, Window};
use super::isa::Isa;
use super::memory::{Buffer, Shape};
use super::pointwise::{Input, Pointwise, Target};
use super::squeeze::{Squeeze, scale_activations};

/// A convolution's weights, row-major as ONNX has them, with one bias an output channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// `[outputs][inputs][side][side]`; of a depthwise convolution `[channels][side][side]`.
    pub kernel: Vec<f32>,
    /// `[outputs]`.
    pub bias: Vec<f32>,
}

/// What a block is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockParts {
    /// What comes in.
    pub input: Shape,
    /// Rows and columns that come out.
    pub output: [usize; 2],
    /// 1×1 with SiLU; absent where the depthwise convolution takes the input itself.
    pub expand: Option<Weights>,
    /// Depthwise with SiLU.
    pub depthwise: Weights,
    /// Its window.
    pub window: Window,
    /// Rows of zeros above the input, columns of zeros left of it.
    pub before: [usize; 2],
    /// The layers of squeeze and excitation, where there are any.
    pub squeeze: Option<[Weights; 2]>,
    /// 1×1, linear.
    pub project: Weights,
    /// Whether the input is added to the result.
    pub residual: bool,
}

/// An inverted-residual block, packed for one instruction set.
#[derive(Debug, Clone)]
pub(super) struct Block {
    isa: Isa,
    input: Shape,
    planes: Planes,
    before: [usize; 2],
    expand: Option<Pointwise>,
    depthwise: Depthwise,
    squeeze: Option<Squeeze>,
    project: Pointwise,
    residual: bool,
    output: Shape,
    /// Where the input's pixels lie in a padded plane.
    padded_places: Vec<u32>,
    /// Where the output's pixels lie.
    places: Vec<u32>,
}

/// Memory for what lies between a block's steps; it grows to what the largest block needs and is
/// used again.
#[derive(Debug, Default)]
pub(super) struct Between {
    padded: Buffer,
    wide: Buffer,
    means: Buffer,
    hidden: Buffer,
    gates: Buffer,
    panel: Buffer,
}

impl Between {
    pub(super) fn len(&self) -> usize {
        let Self { padded, wide, means, hidden, gates, panel } = self;
        [padded, wide, means, hidden, gates, panel].map(Buffer::len).into_iter().sum()
    }
}

/// The places of `height` × `width` pixels, in numbers, in rows of `row` pixels from pixel `first`
/// on.
pub(super) fn places(isa: Isa, [height, width]: [usize; 2], row: usize, first: usize) -> Vec<u32> {
    let end = (first + height * row) * isa.width();
    assert!(u32::try_from(end).is_ok(), "a plane of {end} numbers: the recogniser bounds them");
    let place = |y: usize, x: usize| (first + y * row + x) * isa.width();
    let all = (0..height).flat_map(|y| (0..width).map(move |x| place(y, x)));
    all.map(|place| place as u32).collect()
}

impl Block {
    /// Packs a block.
    ///
    /// # Panics
    ///
    /// Where the parts do not fit each other.
    pub(super) fn new(isa: Isa, parts: &BlockParts) -> Self {
        let input = parts.input;
        let wide = parts.depthwise.bias.len();
        let Window { side, stride } = parts.window;
        let needed = |axis: usize| (parts.output[axis] - 1) * stride + side;
        let present = [input.height, input.width];
        let padded = [0, 1].map(|axis| needed(axis).max(parts.before[axis] + present[axis]));
        let output = Shape {
            channels: parts.project.bias.len(),
            height: parts.output[0],
            width: parts.output[1],
        };
        assert!(parts.expand.as_ref().map_or(input.channels, |expand| expand.bias.len()) == wide);
        assert!(!parts.residual || input == output);
        let pointwise =
            |weights: &Weights, inputs| Pointwise::new(isa, &weights.kernel, &weights.bias, inputs);
        let squeeze = parts.squeeze.as_ref().map(|[reduce, expand]| {
            assert!(expand.bias.len() == wide);
            Squeeze::new(isa, pointwise(reduce, wide), pointwise(expand, reduce.bias.len()))
        });
        Self {
            isa,
            input,
            planes: Planes { padded, output: parts.output },
            before: parts.before,
            expand: parts.expand.as_ref().map(|weights| pointwise(weights, input.channels)),
            depthwise: Depthwise::new(
                isa,
                &parts.depthwise.kernel,
                &parts.depthwise.bias,
                parts.window,
            ),
            squeeze,
            project: pointwise(&parts.project, wide),
            residual: parts.residual,
            output,
            padded_places: places(
                isa,
                present,
                padded[1],
                parts.before[0] * padded[1] + parts.before[1],
            ),
            places: places(isa, parts.output, parts.output[1], 0),
        }
    }

    /// What comes out.
    pub(super) const fn output(&self) -> Shape {
        self.output
    }

    /// `from` → `to`, both blocked.
    pub(super) fn run(&self, from: &[f32], to: &mut [f32], between: &mut Between) {
        let width = self.isa.width();
        let plane = self.planes.padded[0] * self.planes.padded[1] * width;
        let out_plane = self.output.pixels() * width;
        let blocks = self.project.inputs().div_ceil(width);
        let most = self.isa.tile().vectors;
        between.wide.reserve(blocks * out_plane);
        between.means.reserve(blocks * width);
        between.padded.reserve(most * plane);
        self.clear_border(&mut between.padded.as_mut_slice()[..most * plane]);
        let wide = between.wide.as_mut_slice();
        let means = between.means.as_mut_slice();
        for (first, count) in super::memory::parts(blocks, most) {
            let padded = &mut between.padded.as_mut_slice()[..count * plane];
            match &self.expand {
                Some(expand) => {
                    let target =
                        Target { numbers: padded, block: plane, places: &self.padded_places };
                    expand.run((first, count), Input::of(from, true), target, &mut between.panel);
                }
                None => self.pad(from, first, padded),
            }
            let to = &mut wide[first * out_plane..];
            self.depthwise.run(
                (first, count),
                self.planes,
                &between.padded.as_slice()[..count * plane],
                to,
                &mut means[first * width..],
            );
        }
        let wide = &mut wide[..blocks * out_plane];
        let mut gates = None;
        if let Some(squeeze) = &self.squeeze {
            between.hidden.reserve(squeeze.hidden());
            between.gates.reserve(blocks * width);
            squeeze.run(
                means,
                between.hidden.as_mut_slice(),
                between.gates.as_mut_slice(),
                &mut between.panel,
            );
            // The factors go where there are fewer numbers.
            if self.output.pixels() < self.output.channels {
                scale_activations(self.isa, wide, out_plane, between.gates.as_slice());
            } else {
                gates = Some(between.gates.as_slice());
            }
        }
        let input =
            Input { from: wide, gates, residual: self.residual.then_some(from), silu: false };
        for part in self.project.parts() {
            let target = Target {
                numbers: &mut to[part.0 * out_plane..],
                block: out_plane,
                places: &self.places,
            };
            self.project.run(part, input, target, &mut between.panel);
        }
    }

    /// Zeros around the input's place in each plane.
    fn clear_border(&self, planes: &mut [f32]) {
        let width = self.isa.width();
        let [rows, columns] = self.planes.padded;
        let [top, left] = self.before;
        let (bottom, right) = (top + self.input.height, left + self.input.width);
        if (rows, columns) == (self.input.height, self.input.width) {
            return;
        }
        for plane in planes.chunks_exact_mut(rows * columns * width) {
            for (y, row) in plane.chunks_exact_mut(columns * width).enumerate() {
                if y < top || y >= bottom {
                    row.fill(0.0);
                } else {
                    row[..left * width].fill(0.0);
                    row[right * width..].fill(0.0);
                }
            }
        }
    }

    /// Copies the input's blocks from `first` on into padded planes.
    fn pad(&self, from: &[f32], first: usize, padded: &mut [f32]) {
        let width = self.isa.width();
        let [rows, columns] = self.planes.padded;
        let [top, left] = self.before;
        let (row, plane) = (self.input.width * width, self.input.pixels() * width);
        for (planes, from) in padded
            .chunks_exact_mut(rows * columns * width)
            .zip(from[first * plane..].chunks_exact(plane))
        {
            let inner = planes[top * columns * width..].chunks_exact_mut(columns * width);
            for (to, from) in inner.zip(from.chunks_exact(row)) {
                to[left * width..][..row].copy_from_slice(from);
            }
        }
    }
}
