//! The operations as the network calls them.

use burn::backend::{Dispatch, DispatchDevice};
use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;
use burn::tensor::module::linear;

use super::arithmetic::Normalisation;
use super::differentiable::Kernels;
use super::{Geometry, portable};

/// Whether the kernels know where and how `x` is kept: on burn's Flex, or in f32 on a graphics
/// card; with or without autodiff.
fn known<const D: usize>(x: &Tensor<D>) -> bool {
    match x.device().inner().as_dispatch() {
        DispatchDevice::Flex(_) => true,
        #[cfg(any(feature = "cuda", feature = "vulkan"))]
        DispatchDevice::Cube(_) => x.dtype() == burn::tensor::DType::F32,
        #[allow(
            unreachable_patterns,
            reason = "which devices there are depends on burn's features"
        )]
        _ => false,
    }
}

/// Depthwise convolution with "same" padding: `x` `[channels, height, width, batch]`, `kernel`
/// `[channels, k·k]` → `[channels, out height, out width, batch]`.
#[must_use]
pub fn depthwise(x: Tensor<4>, kernel: Tensor<2>, geometry: Geometry) -> Tensor<4> {
    if !known(&x) {
        return portable::depthwise(x, kernel, geometry);
    }
    Tensor::from_dispatch(<Dispatch as Kernels>::depthwise_same(
        x.into_dispatch(),
        kernel.into_dispatch(),
        geometry,
    ))
}

/// Each channel's mean and variance over picture and batch, `[2, channels]`. No gradient goes
/// through it: [`normalise`] accounts for it.
#[must_use]
pub fn moments(x: Tensor<4>) -> Tensor<2> {
    if !known(&x) {
        return portable::moments(x.without_autodiff());
    }
    Tensor::from_dispatch(<Dispatch as Kernels>::channel_moments(
        x.without_autodiff().into_dispatch(),
    ))
}

/// Batch normalisation by `moments`, then swish where asked. Its gradient is that of training:
/// the moments are taken to be those of `x`.
#[must_use]
pub fn normalise(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    moments: Tensor<2>,
    epsilon: f64,
    swish: bool,
) -> Tensor<4> {
    if !known(&x) {
        return portable::normalise(x, gamma, beta, moments, epsilon, swish);
    }
    Tensor::from_dispatch(<Dispatch as Kernels>::normalise_channels(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        moments.into_dispatch(),
        Normalisation { epsilon, swish },
    ))
}

/// Mean over the picture: `[channels, height, width, batch]` → `[channels, batch]`.
#[must_use]
pub fn pool(x: Tensor<4>) -> Tensor<2> {
    if !known(&x) {
        return portable::pool(x);
    }
    Tensor::from_dispatch(<Dispatch as Kernels>::pool_picture(x.into_dispatch()))
}

/// `x[c, y, x, b] · gate[c, b]`.
#[must_use]
pub fn gate(x: Tensor<4>, gate: Tensor<2>) -> Tensor<4> {
    if !known(&x) {
        return portable::gate(x, gate);
    }
    Tensor::from_dispatch(<Dispatch as Kernels>::gate_channels(
        x.into_dispatch(),
        gate.into_dispatch(),
    ))
}

/// What a sliding window sees, zeros outside: `x` `[channels, height, width, batch]` →
/// `[channels·k·k, positions · batch]`. No gradient goes through it: input pixels have none.
#[must_use]
pub fn patches(x: Tensor<4>, geometry: Geometry) -> Tensor<2> {
    if !known(&x) {
        return portable::patches(x, geometry);
    }
    let autodiff = x.device().is_autodiff();
    let patches = Tensor::from_dispatch(<Dispatch as Kernels>::window_patches(
        x.without_autodiff().into_dispatch(),
        geometry,
    ));
    if autodiff { Tensor::from_inner(patches) } else { patches }
}

/// `kernel · x`: `[out, in]`, `[in, columns]` → `[out, columns]`, where the columns are many: a 1×1
/// convolution.
#[must_use]
pub fn product(kernel: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
    if !known(&x) {
        return kernel.matmul(x);
    }
    Tensor::from_dispatch(<Dispatch as Kernels>::kernel_product(
        kernel.into_dispatch(),
        x.into_dispatch(),
    ))
}

/// A dense layer.
#[derive(Debug, Clone)]
pub struct Dense {
    /// `[in, out]`.
    pub weights: Tensor<2>,
    /// `[out]`.
    pub bias: Option<Tensor<1>>,
}

/// Squeeze-and-excitation's gate `[channels, batch]` from the pictures' means `[channels, batch]`:
/// `reduce`, swish, `expand`, sigmoid.
#[must_use]
pub fn excite(mean: Tensor<2>, reduce: Dense, expand: Dense) -> Tensor<2> {
    #[cfg(any(feature = "cuda", feature = "vulkan"))]
    if let (Some(reduce_bias), Some(expand_bias)) = (&reduce.bias, &expand.bias)
        && known(&mean)
        && matches!(mean.device().inner().as_dispatch(), DispatchDevice::Cube(_))
    {
        return Tensor::from_dispatch(<Dispatch as super::cube::Excite>::excite(
            mean.into_dispatch(),
            reduce.weights.into_dispatch(),
            reduce_bias.clone().into_dispatch(),
            expand.weights.into_dispatch(),
            expand_bias.clone().into_dispatch(),
        ));
    }
    let squeezed = linear(mean.transpose(), reduce.weights, reduce.bias);
    let squeezed = squeezed.clone() * sigmoid(squeezed);
    sigmoid(linear(squeezed, expand.weights, expand.bias)).transpose()
}
