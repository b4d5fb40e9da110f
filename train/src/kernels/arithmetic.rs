//! What a backend must compute for the backbone, forward and backward.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};

use super::Geometry;

/// How a normalisation runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Normalisation {
    pub(super) epsilon: f64,
    pub(super) swish: bool,
}

/// The gradients of a [`Arithmetic::normalise`].
pub(super) struct NormaliseGradients<B: Backend> {
    pub(super) x: FloatTensor<B>,
    pub(super) gamma: FloatTensor<B>,
    pub(super) beta: FloatTensor<B>,
}

/// The operations without autodiff, each with its gradients: `differentiable.rs` makes one
/// differentiable operation of the two, for every backend that has them.
///
/// Activations are `[channels, height, width, batch]`.
pub(super) trait Arithmetic: Backend {
    /// `x` in row-major order without gaps.
    fn dense(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// See [`super::depthwise`].
    fn depthwise(
        x: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;

    /// Gradients of [`Self::depthwise`] with respect to `x` and `kernel`.
    fn depthwise_backward(
        x: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        geometry: Geometry,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// See [`super::moments`].
    fn moments(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// See [`super::normalise`].
    fn normalise(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        how: Normalisation,
    ) -> FloatTensor<Self>;

    /// Gradients of [`Self::normalise`], `moments` being those of `x` itself.
    fn normalise_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        how: Normalisation,
    ) -> NormaliseGradients<Self>;

    /// See [`super::pool`].
    fn pool(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Gradient of [`Self::pool`] with respect to its input of `shape`.
    fn pool_backward(dy: FloatTensor<Self>, shape: [usize; 4]) -> FloatTensor<Self>;

    /// See [`super::gate`].
    fn gate(x: FloatTensor<Self>, gate: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Gradients of [`Self::gate`] with respect to `x` and, where it is `wanted`, to the gate.
    fn gate_backward(
        x: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        wanted: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>);

    /// See [`super::patches`].
    fn patches(x: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self>;

    /// See [`super::product`].
    fn product(kernel: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::float_matmul(kernel, x)
    }

    /// Gradient of [`Self::product`] with respect to `x`.
    fn product_backward_x(kernel: FloatTensor<Self>, dy: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::float_matmul(Self::float_transpose(kernel), dy)
    }

    /// Gradient of [`Self::product`] with respect to `kernel`.
    fn product_backward_kernel(x: FloatTensor<Self>, dy: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::float_matmul(dy, Self::float_transpose(x))
    }
}

/// The four extents of an activation.
pub(super) fn extents<T: TensorMetadata>(x: &T) -> [usize; 4] {
    x.shape().dims()
}
