//! Stem, inverted-residual blocks and top of EfficientNet.

use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear};
use burn::tensor::{Device, Distribution, Tensor};

use super::layers::{self, ConvNorm, Shape};
use super::{Architecture, Regularisation};
use crate::kernels;

/// One stage of EfficientNet-B0, before scaling (`DEFAULT_BLOCKS_ARGS` in Keras).
struct Stage {
    kernel: usize,
    blocks: usize,
    inward: usize,
    outward: usize,
    expansion: usize,
    stride: usize,
}

const fn stage(
    kernel: usize,
    blocks: usize,
    inward: usize,
    outward: usize,
    expansion: usize,
    stride: usize,
) -> Stage {
    Stage { kernel, blocks, inward, outward, expansion, stride }
}

const STAGES: [Stage; 7] = [
    stage(3, 1, 32, 16, 1, 1),
    stage(3, 2, 16, 24, 6, 2),
    stage(5, 2, 24, 40, 6, 2),
    stage(3, 3, 40, 80, 6, 2),
    stage(5, 3, 80, 112, 6, 1),
    stage(5, 4, 112, 192, 6, 2),
    stage(3, 1, 192, 320, 6, 1),
];

/// Channels of the stem and of the top, before scaling.
const STEM: usize = 32;
const TOP: usize = 1280;

/// A block's squeeze takes this part of its input channels.
const SQUEEZE: usize = 4;

/// Scales each channel by what the whole picture says of it.
#[derive(Module, Debug)]
pub struct SqueezeExcite {
    /// To a quarter of the block's input channels; then swish. Weight `[in, out]`.
    pub reduce: Linear,
    /// Back; then sigmoid.
    pub expand: Linear,
}

impl SqueezeExcite {
    fn new(channels: usize, squeezed: usize, device: &Device) -> Self {
        let dense = |inward, outward| layers::dense(inward, outward, layers::initializer(), device);
        Self { reduce: dense(channels, squeezed), expand: dense(squeezed, channels) }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let dense = |layer: &Linear| kernels::Dense {
            weights: layer.weight.val(),
            bias: layer.bias.as_ref().map(Param::val),
        };
        let mean = kernels::pool(x.clone());
        kernels::gate(x, kernels::excite(mean, dense(&self.reduce), dense(&self.expand)))
    }
}

/// One inverted residual.
#[derive(Module, Debug)]
pub struct Block {
    /// 1×1, six times the channels; then swish. The first stage has none.
    pub expand: Option<ConvNorm>,
    /// k×k for each channel; then swish.
    pub depthwise: ConvNorm,
    /// Squeeze-and-excitation.
    pub squeeze: SqueezeExcite,
    /// 1×1 to the block's output channels.
    pub project: ConvNorm,
    /// Whether the input is added to the output.
    pub residual: bool,
    /// Which of the seven stages it belongs to, from 0.
    pub stage: usize,
    /// Its place in its stage, from 0.
    pub repeat: usize,
    drop: f64,
}

impl Block {
    fn new(
        inward: usize,
        outward: usize,
        stage: &Stage,
        (number, repeat): (usize, usize),
        drop: f64,
        regularisation: &Regularisation,
        device: &Device,
    ) -> Self {
        let wide = inward * stage.expansion;
        let stride = if repeat == 0 { stage.stride } else { 1 };
        let conv = |shape| ConvNorm::new(shape, regularisation.norm_momentum, device);
        let residual = stride == 1 && inward == outward;
        let mut project = conv(Shape::pointwise(wide, outward, false));
        if residual && regularisation.zero_residuals {
            project.norm.gamma = Initializer::Zeros.init([outward], device);
        }
        Self {
            expand: (stage.expansion > 1).then(|| conv(Shape::pointwise(inward, wide, true))),
            depthwise: conv(Shape {
                inward: wide,
                outward: wide,
                size: stage.kernel,
                stride,
                depthwise: true,
                swish: true,
            }),
            squeeze: SqueezeExcite::new(wide, (inward / SQUEEZE).max(1), device),
            project,
            residual,
            stage: number,
            repeat,
            drop,
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let x = match &self.expand {
            Some(expand) => expand.forward(input.clone()),
            None => input.clone(),
        };
        let x = self.squeeze.forward(self.depthwise.forward(x));
        let x = self.project.forward(x);
        if self.residual { input + drop_connect(x, self.drop) } else { x }
    }
}

/// The chance of being skipped of the block at `index` of `total`.
fn drop_rate(regularisation: &Regularisation, index: usize, total: usize) -> f64 {
    regularisation.drop_connect * index as f64 / total as f64
}

/// In training, zeroes the block's own contribution for some pictures and scales the others up,
/// so that the mean stays (Huang et al. 2016, "Deep Networks with Stochastic Depth").
fn drop_connect(x: Tensor<4>, rate: f64) -> Tensor<4> {
    let device = x.device();
    if rate <= 0.0 || !device.is_autodiff() {
        return x;
    }
    let keep = 1.0 - rate;
    let [channels, _, _, batch] = x.dims();
    let mask = Tensor::<2>::random([1, batch], Distribution::Bernoulli(keep), &device);
    kernels::gate(x, mask.div_scalar(keep).expand([channels, batch]))
}

/// The convolutions.
#[derive(Module, Debug)]
pub struct Backbone {
    /// 3×3, stride 2; then swish.
    pub stem: ConvNorm,
    /// All stages' blocks in order.
    pub blocks: Vec<Block>,
    /// 1×1; then swish.
    pub top: ConvNorm,
}

impl Backbone {
    pub(super) fn new(
        architecture: &Architecture,
        regularisation: &Regularisation,
        device: &Device,
    ) -> Self {
        let momentum = regularisation.norm_momentum;
        let stem = Shape {
            inward: 3,
            outward: architecture.channels(STEM),
            size: 3,
            stride: 2,
            depthwise: false,
            swish: true,
        };
        let total: usize = STAGES.iter().map(|stage| architecture.repeats(stage.blocks)).sum();
        let mut blocks = Vec::with_capacity(total);
        for (number, stage) in STAGES.iter().enumerate() {
            let outward = architecture.channels(stage.outward);
            for repeat in 0..architecture.repeats(stage.blocks) {
                let first = repeat == 0;
                let inward = if first { architecture.channels(stage.inward) } else { outward };
                let drop = drop_rate(regularisation, blocks.len(), total);
                let place = (number, repeat);
                let block = Block::new(inward, outward, stage, place, drop, regularisation, device);
                blocks.push(block);
            }
        }
        let last = STAGES.last().map_or(STEM, |stage| stage.outward);
        let top = Shape::pointwise(architecture.channels(last), architecture.channels(TOP), true);
        Self {
            stem: ConvNorm::new(stem, momentum, device),
            blocks,
            top: ConvNorm::new(top, momentum, device),
        }
    }

    pub(super) fn train_as(&mut self, regularisation: &Regularisation) {
        let momentum = regularisation.norm_momentum;
        self.stem.norm.momentum = momentum;
        self.top.norm.momentum = momentum;
        let total = self.blocks.len();
        for (index, block) in self.blocks.iter_mut().enumerate() {
            block.drop = drop_rate(regularisation, index, total);
            for layer in
                [&mut block.depthwise, &mut block.project].into_iter().chain(&mut block.expand)
            {
                layer.norm.momentum = momentum;
            }
        }
    }

    /// `x` `[batch, 3, height, width]` → `[channels, height / 32, width / 32, batch]`.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, _, height, width] = x.dims();
        let geometry = self.stem.geometry(height, width);
        let patches = kernels::patches(x.permute([1, 2, 3, 0]), geometry);
        let (height, width) = geometry.output();
        let mut x = self.stem.forward_patches(patches, [height, width, batch]);
        for block in &self.blocks {
            x = block.forward(x);
        }
        self.top.forward(x)
    }
}
