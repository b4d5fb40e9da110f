//! The pieces that the backbone's blocks are made of.

use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::EPSILON;
use crate::kernels::{self, Geometry};

/// A convolution without bias and with "same" padding, its batch normalisation and its
/// activation.
#[derive(Module, Debug)]
pub struct ConvNorm {
    /// `[out, in / groups · k · k]`: ONNX' `[out, in / groups, k, k]`, flattened.
    pub kernel: Param<Tensor<2>>,
    /// Over `out` channels.
    pub norm: BatchNorm,
    /// Width and height of the window.
    pub size: usize,
    /// Step of the window.
    pub stride: usize,
    /// One window a channel, rather than one over all channels.
    pub depthwise: bool,
    /// Whether swish follows.
    pub swish: bool,
}

/// How a [`ConvNorm`] is shaped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) inward: usize,
    pub(super) outward: usize,
    pub(super) size: usize,
    pub(super) stride: usize,
    pub(super) depthwise: bool,
    pub(super) swish: bool,
}

impl Shape {
    pub(super) fn pointwise(inward: usize, outward: usize, swish: bool) -> Self {
        Self { inward, outward, size: 1, stride: 1, depthwise: false, swish }
    }
}

/// Keras' `VarianceScaling(2.0, "fan_out")`: a normal of variance 2 / fan out.
pub(super) fn initializer() -> Initializer {
    Initializer::KaimingNormal { gain: std::f64::consts::SQRT_2, fan_out_only: true }
}

/// A dense layer whose bias starts at 0, as Keras' does.
pub(super) fn dense(
    inward: usize,
    outward: usize,
    initializer: Initializer,
    device: &Device,
) -> Linear {
    let mut linear = LinearConfig::new(inward, outward).with_initializer(initializer).init(device);
    linear.bias = Some(Initializer::Zeros.init([outward], device));
    linear
}

impl ConvNorm {
    pub(super) fn new(shape: Shape, momentum: f64, device: &Device) -> Self {
        let taps = shape.size * shape.size;
        let groups = if shape.depthwise { shape.inward } else { 1 };
        let columns = shape.inward / groups * taps;
        let kernel = initializer().init_with(
            [shape.outward, columns],
            Some(columns),
            Some(shape.outward / groups * taps),
            device,
        );
        let norm = BatchNormConfig::new(shape.outward)
            .with_epsilon(EPSILON)
            .with_momentum(momentum)
            .init(device);
        Self {
            kernel,
            norm,
            size: shape.size,
            stride: shape.stride,
            depthwise: shape.depthwise,
            swish: shape.swish,
        }
    }

    /// The window over a picture of `height` × `width`.
    #[must_use]
    pub fn geometry(&self, height: usize, width: usize) -> Geometry {
        Geometry { kernel: self.size, stride: self.stride, height, width }
    }

    /// `x` `[in, height, width, batch]`, either 1×1 or depthwise.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [channels, height, width, batch] = x.dims();
        let kernel = self.kernel.val();
        let x = if self.depthwise {
            kernels::depthwise(x, kernel, self.geometry(height, width))
        } else {
            let outward = kernel.dims()[0];
            kernels::product(kernel, x.reshape([channels, height * width * batch]))
                .reshape([outward, height, width, batch])
        };
        self.normalise(x)
    }

    /// What the window saw of the input pixels, `[in · k · k, positions · batch]`, to
    /// `[out, height, width, batch]`.
    pub(super) fn forward_patches(&self, patches: Tensor<2>, shape: [usize; 3]) -> Tensor<4> {
        let kernel = self.kernel.val();
        let [height, width, batch] = shape;
        let outward = kernel.dims()[0];
        self.normalise(kernels::product(kernel, patches).reshape([outward, height, width, batch]))
    }

    fn normalise(&self, x: Tensor<4>) -> Tensor<4> {
        let norm = &self.norm;
        let training = x.device().is_autodiff();
        let moments = if training {
            let moments = kernels::moments(x.clone());
            let states = [&norm.running_mean, &norm.running_var];
            let old = states.map(|state| state.value_sync().without_autodiff());
            let new = kernels::running(old, &moments, norm.momentum);
            for (state, new) in states.into_iter().zip(new) {
                state.update(Tensor::from_inner(new));
            }
            Tensor::from_inner(moments)
        } else {
            let mean: Tensor<2> = norm.running_mean.value().unsqueeze();
            let variance: Tensor<2> = norm.running_var.value().unsqueeze();
            Tensor::cat(vec![mean, variance], 0)
        };
        kernels::normalise(x, norm.gamma.val(), norm.beta.val(), moments, norm.epsilon, self.swish)
    }
}
