//! The same operations in burn's own, for devices that these kernels do not know.
//!
//! A depthwise convolution is k² shifted multiply-adds, which a fusing backend makes one kernel of;
//! the gradient of its weights is k² sums instead of a convolution with as many groups as channels.

use burn::tensor::activation::sigmoid;
use burn::tensor::{Tensor, s};

use super::Geometry;

/// `x` `[channels, height, width, batch]` with the window's zeros around it.
fn padded(x: Tensor<4>, geometry: Geometry) -> Tensor<4> {
    let ((top, bottom), (left, right)) = geometry.padding();
    let [channels, height, width, batch] = x.dims();
    let zeros = |shape: [usize; 4]| Tensor::<4>::zeros(shape, &x.device());
    let along = |x: Tensor<4>, axis: usize, before: Tensor<4>, after: Tensor<4>| {
        let parts = [before, x, after].into_iter().filter(|part| part.dims()[axis] > 0);
        Tensor::cat(parts.collect(), axis)
    };
    let (above, below) =
        (zeros([channels, top, width, batch]), zeros([channels, bottom, width, batch]));
    let tall = height + top + bottom;
    let (before, after) =
        (zeros([channels, tall, left, batch]), zeros([channels, tall, right, batch]));
    along(along(x.clone(), 1, above, below), 2, before, after)
}

/// What each of the window's k² taps sees, in row order:
/// `[channels, out height, out width, batch]`.
fn taps(x: Tensor<4>, geometry: Geometry) -> impl Iterator<Item = Tensor<4>> {
    let x = padded(x, geometry);
    let (height, width) = geometry.output();
    let Geometry { kernel, stride, .. } = geometry;
    let span = move |from: usize, count: usize| (from, from + (count - 1) * stride + 1);
    (0..kernel * kernel).map(move |tap| {
        let (top, bottom) = span(tap / kernel, height);
        let (left, right) = span(tap % kernel, width);
        let step = stride as isize;
        x.clone().slice(s![.., top..bottom;step, left..right;step, ..])
    })
}

/// See [`super::depthwise`].
#[must_use]
pub fn depthwise(x: Tensor<4>, kernel: Tensor<2>, geometry: Geometry) -> Tensor<4> {
    let channels = kernel.dims()[0];
    let mut sum: Option<Tensor<4>> = None;
    for (tap, seen) in taps(x.clone(), geometry).enumerate() {
        let weight = kernel.clone().slice(s![.., tap..tap + 1]).reshape([channels, 1, 1, 1]);
        let term = seen * weight;
        sum = Some(match sum {
            Some(sum) => sum + term,
            None => term,
        });
    }
    // A window has at least one tap.
    sum.unwrap_or(x)
}

/// See [`super::patches`]; differentiable.
#[must_use]
pub fn patches(x: Tensor<4>, geometry: Geometry) -> Tensor<2> {
    let [channels, _, _, batch] = x.dims();
    let (height, width) = geometry.output();
    let taps: Vec<Tensor<5>> = taps(x, geometry).map(|seen| seen.unsqueeze_dim::<5>(1)).collect();
    let count = taps.len();
    Tensor::cat(taps, 1).reshape([channels * count, height * width * batch])
}

/// See [`super::moments`]; differentiable.
#[must_use]
pub fn moments(x: Tensor<4>) -> Tensor<2> {
    let [channels, height, width, batch] = x.dims();
    let flat = x.reshape([channels, height * width * batch]);
    let mean = flat.clone().mean_dim(1);
    let variance = (flat - mean.clone()).square().mean_dim(1);
    Tensor::cat(vec![mean, variance], 1).transpose()
}

/// See [`super::normalise`]. On a device with autodiff the moments are computed from `x` once more,
/// so that the gradient goes through them.
#[must_use]
pub fn normalise(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    given: Tensor<2>,
    epsilon: f64,
    swish: bool,
) -> Tensor<4> {
    let channels = x.dims()[0];
    let moments = if x.device().is_autodiff() { moments(x.clone()) } else { given };
    let row =
        |index: usize| moments.clone().slice(s![index..=index, ..]).reshape([channels, 1, 1, 1]);
    let column = |values: Tensor<1>| values.reshape([channels, 1, 1, 1]);
    let scale = column(gamma) / row(1).add_scalar(epsilon).sqrt();
    let y = (x - row(0)) * scale + column(beta);
    if swish { y.clone() * sigmoid(y) } else { y }
}

/// See [`super::pool`].
#[must_use]
pub fn pool(x: Tensor<4>) -> Tensor<2> {
    let [channels, height, width, batch] = x.dims();
    x.reshape([channels, height * width, batch]).mean_dim(1).reshape([channels, batch])
}

/// See [`super::gate`].
#[must_use]
pub fn gate(x: Tensor<4>, gate: Tensor<2>) -> Tensor<4> {
    let [channels, batch] = gate.dims();
    x * gate.reshape([channels, 1, 1, batch])
}
