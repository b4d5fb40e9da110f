//! The pieces that the backbone's blocks are made of.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, PaddingConfig2d};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};

use super::EPSILON;

/// x · sigmoid(x).
#[must_use]
pub fn swish(x: Tensor<4>) -> Tensor<4> {
    x.clone() * sigmoid(x)
}

/// A convolution without bias, with its batch normalisation.
#[derive(Module, Debug)]
pub struct ConvNorm {
    /// Kernel `[out, in / groups, k, k]`.
    pub conv: Conv2d,
    /// Over `out` channels.
    pub norm: BatchNorm,
}

/// How a [`ConvNorm`] is shaped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) channels: [usize; 2],
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) depthwise: bool,
}

impl Shape {
    pub(super) fn pointwise(inward: usize, outward: usize) -> Self {
        Self { channels: [inward, outward], kernel: 1, stride: 1, depthwise: false }
    }
}

/// Keras' `VarianceScaling(2.0, "fan_out")`: a normal of variance 2 / fan out.
pub(super) fn initializer() -> Initializer {
    Initializer::KaimingNormal { gain: std::f64::consts::SQRT_2, fan_out_only: true }
}

impl ConvNorm {
    pub(super) fn new(shape: Shape, momentum: f64, device: &Device) -> Self {
        let Shape { channels, kernel, stride, depthwise } = shape;
        let padding =
            if kernel == 1 { PaddingConfig2d::Valid } else { PaddingConfig2d::Same };
        let conv = Conv2dConfig::new(channels, [kernel, kernel])
            .with_stride([stride, stride])
            .with_groups(if depthwise { channels[0] } else { 1 })
            .with_padding(padding)
            .with_bias(false)
            .with_initializer(initializer())
            .init(device);
        let norm = BatchNormConfig::new(channels[1])
            .with_epsilon(EPSILON)
            .with_momentum(momentum)
            .init(device);
        Self { conv, norm }
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.norm.forward(convolve(&self.conv, x))
    }
}

/// `conv` over `x`. A pointwise one is a matrix product: its gradients are matrix products too,
/// which the CPU backend computes many times faster than those of a convolution.
fn convolve(conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    if conv.kernel_size != [1, 1] || conv.bias.is_some() {
        return conv.forward(x);
    }
    let [batch, inward, height, width] = x.dims();
    let kernel = conv.weight.val();
    let outward = kernel.dims()[0];
    let kernel: Tensor<3> = kernel.reshape([1, outward, inward]);
    kernel
        .matmul(x.reshape([batch, inward, height * width]))
        .reshape([batch, outward, height, width])
}
