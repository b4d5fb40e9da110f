//! Stem, inverted-residual blocks and top of EfficientNet.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Distribution, Tensor};

use super::layers::{self, ConvNorm, Shape, swish};
use super::{Architecture, Regularisation};

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
    /// 1×1 with bias, to a quarter of the block's input channels; then swish.
    pub reduce: Conv2d,
    /// 1×1 with bias, back; then sigmoid.
    pub expand: Conv2d,
}

impl SqueezeExcite {
    fn new(channels: usize, squeezed: usize, device: &Device) -> Self {
        let conv = |channels| {
            let mut conv = Conv2dConfig::new(channels, [1, 1])
                .with_initializer(layers::initializer())
                .init(device);
            conv.bias = conv.bias.map(|bias| bias.map(|values| values.zeros_like()));
            conv
        };
        Self { reduce: conv([channels, squeezed]), expand: conv([squeezed, channels]) }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let mean = x.clone().mean_dim(2).mean_dim(3);
        let gate = sigmoid(self.expand.forward(swish(self.reduce.forward(mean))));
        x * gate
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
    drop: f64,
}

impl Block {
    fn new(
        inward: usize,
        outward: usize,
        stage: &Stage,
        stride: usize,
        drop: f64,
        momentum: f64,
        device: &Device,
    ) -> Self {
        let wide = inward * stage.expansion;
        let expand = (stage.expansion > 1)
            .then(|| ConvNorm::new(Shape::pointwise(inward, wide), momentum, device));
        let shape =
            Shape { channels: [wide, wide], kernel: stage.kernel, stride, depthwise: true };
        Self {
            expand,
            depthwise: ConvNorm::new(shape, momentum, device),
            squeeze: SqueezeExcite::new(wide, (inward / SQUEEZE).max(1), device),
            project: ConvNorm::new(Shape::pointwise(wide, outward), momentum, device),
            residual: stride == 1 && inward == outward,
            drop,
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let x = match &self.expand {
            Some(expand) => swish(expand.forward(input.clone())),
            None => input.clone(),
        };
        let x = self.squeeze.forward(swish(self.depthwise.forward(x)));
        let x = self.project.forward(x);
        if self.residual { input + drop_connect(x, self.drop) } else { x }
    }
}

/// In training, zeroes the block's own contribution for some pictures and scales the others up,
/// so that the mean stays (Huang et al. 2016, "Deep Networks with Stochastic Depth").
fn drop_connect(x: Tensor<4>, rate: f64) -> Tensor<4> {
    let device = x.device();
    if rate <= 0.0 || !device.is_autodiff() {
        return x;
    }
    let keep = 1.0 - rate;
    let mask =
        Tensor::<4>::random([x.dims()[0], 1, 1, 1], Distribution::Bernoulli(keep), &device);
    x * mask.div_scalar(keep)
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
            channels: [3, architecture.channels(STEM)],
            kernel: 3,
            stride: 2,
            depthwise: false,
        };
        let total: usize =
            STAGES.iter().map(|stage| architecture.repeats(stage.blocks)).sum();
        let mut blocks = Vec::with_capacity(total);
        for stage in &STAGES {
            let outward = architecture.channels(stage.outward);
            for repeat in 0..architecture.repeats(stage.blocks) {
                let first = repeat == 0;
                let inward = if first { architecture.channels(stage.inward) } else { outward };
                let stride = if first { stage.stride } else { 1 };
                let drop = regularisation.drop_connect * blocks.len() as f64 / total as f64;
                blocks.push(Block::new(inward, outward, stage, stride, drop, momentum, device));
            }
        }
        let last = STAGES.last().map_or(STEM, |stage| stage.outward);
        let top =
            Shape::pointwise(architecture.channels(last), architecture.channels(TOP));
        Self {
            stem: ConvNorm::new(stem, momentum, device),
            blocks,
            top: ConvNorm::new(top, momentum, device),
        }
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let mut x = swish(self.stem.forward(x));
        for block in &self.blocks {
            x = block.forward(x);
        }
        swish(self.top.forward(x))
    }
}
