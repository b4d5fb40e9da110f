//! What moves weights and averages: fused on graphics cards, burn's operations elsewhere.

#[cfg(any(feature = "cuda", feature = "vulkan"))]
use burn::backend::{Dispatch, DispatchDevice};
use burn::tensor::Tensor;

#[cfg(any(feature = "cuda", feature = "vulkan"))]
use super::cube::{Decay, Updates};

/// The numbers of one step of AdamW.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamwStep {
    /// β₁: how much of the first moment stays.
    pub beta_1: f32,
    /// β₂: how much of the second moment stays.
    pub beta_2: f32,
    /// Keeps the denominator from 0.
    pub epsilon: f32,
    /// The part of the weights that a learning rate of 1 would take away.
    pub weight_decay: f32,
    /// The learning rate.
    pub rate: f64,
    /// Which step it is, from 1.
    pub time: usize,
}

/// Whether `x` lies on a graphics card in f32.
#[cfg(any(feature = "cuda", feature = "vulkan"))]
fn fused<const D: usize>(x: &Tensor<D>) -> bool {
    matches!(x.device().as_dispatch(), DispatchDevice::Cube(_))
        && x.dtype() == burn::tensor::DType::F32
}

/// `[weights, first moment, second moment]` after a step of AdamW (see
/// [`burn::optim::AdamW`], whose numbers these are but for rounding). No tensor has autodiff.
///
/// # Errors
///
/// The tensors and the gradient as they were, where the device has no kernel for it.
#[allow(clippy::result_large_err, reason = "the error gives the tensors back")]
pub fn adamw<const D: usize>(
    tensors: [Tensor<D>; 3],
    gradient: Tensor<D>,
    step: &AdamwStep,
) -> Result<[Tensor<D>; 3], ([Tensor<D>; 3], Tensor<D>)> {
    #[cfg(any(feature = "cuda", feature = "vulkan"))]
    if fused(&tensors[0]) {
        let [weights, first, second] = tensors.map(Tensor::into_dispatch);
        let time = i32::try_from(step.time).unwrap_or(i32::MAX);
        let how = Decay {
            keep: [step.beta_1, step.beta_2],
            corrections: [1.0 - step.beta_1.powi(time), 1.0 - step.beta_2.powi(time)],
            epsilon: step.epsilon,
            rate: step.rate as f32,
            shrink: (1.0 - step.rate * f64::from(step.weight_decay)) as f32,
        };
        let gradient = gradient.into_dispatch();
        let (weights, first, second) =
            <Dispatch as Updates>::adamw(weights, gradient, first, second, how);
        return Ok([weights, first, second].map(Tensor::from_dispatch));
    }
    let _ = step;
    Err((tensors, gradient))
}

/// `old · keep + new · (1 − keep)`, both without autodiff.
#[must_use]
pub fn blend<const D: usize>(old: Tensor<D>, new: Tensor<D>, keep: f64) -> Tensor<D> {
    #[cfg(any(feature = "cuda", feature = "vulkan"))]
    if fused(&old) {
        return Tensor::from_dispatch(<Dispatch as Updates>::blend(
            old.into_dispatch(),
            new.into_dispatch(),
            keep as f32,
        ));
    }
    old.mul_scalar(keep) + new.mul_scalar(1.0 - keep)
}

/// A normalisation's running mean and variance, each `[channels]`, after a batch with `moments`
/// `[2, channels]`, of which they take the part `momentum`; none has autodiff.
#[must_use]
pub fn running(statistics: [Tensor<1>; 2], moments: &Tensor<2>, momentum: f64) -> [Tensor<1>; 2] {
    #[cfg(any(feature = "cuda", feature = "vulkan"))]
    if fused(moments) {
        let [mean, variance] = statistics.map(Tensor::into_dispatch);
        let (mean, variance) = <Dispatch as Updates>::running(
            mean,
            variance,
            moments.clone().into_dispatch(),
            momentum as f32,
        );
        return [mean, variance].map(Tensor::from_dispatch);
    }
    let channels = moments.dims()[1];
    let mut row = 0;
    statistics.map(|old| {
        let batch = moments.clone().narrow(0, row, 1).reshape([channels]);
        row += 1;
        old.mul_scalar(1.0 - momentum) + batch.mul_scalar(momentum)
    })
}
