//! What moves weights and averages: one launch for each tensor.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Cube, TensorMetadata, backend_extension};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::{empty, spread};

/// The numbers of one step of AdamW.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Decay {
    /// β₁ and β₂.
    pub(in super::super) keep: [f32; 2],
    /// 1 − β₁ᵗ and 1 − β₂ᵗ.
    pub(in super::super) corrections: [f32; 2],
    pub(in super::super) epsilon: f32,
    pub(in super::super) rate: f32,
    /// 1 − rate · weight decay.
    pub(in super::super) shrink: f32,
}

/// Operations for graphics cards alone; no gradient goes through them.
#[backend_extension(Cube)]
pub(in super::super) trait Updates: Backend {
    /// Weights, first and second moment after a step of AdamW.
    fn adamw(
        weights: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        how: Decay,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// `old · keep + new · (1 − keep)`.
    fn blend(old: FloatTensor<Self>, new: FloatTensor<Self>, keep: f32) -> FloatTensor<Self>;

    /// Running mean and variance, each `[channels]`, after a batch with `moments`
    /// `[2, channels]`, of which they take the part `momentum`.
    fn running(
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        momentum: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

#[cube(launch)]
fn adamw_kernel(
    weights: &[f32],
    gradient: &[f32],
    first: &[f32],
    second: &[f32],
    new_weights: &mut [f32],
    new_first: &mut [f32],
    new_second: &mut [f32],
    count: usize,
    keep_first: f32,
    keep_second: f32,
    correct_first: f32,
    correct_second: f32,
    epsilon: f32,
    rate: f32,
    shrink: f32,
) {
    if ABSOLUTE_POS < count {
        let g = gradient[ABSOLUTE_POS];
        let m = first[ABSOLUTE_POS] * keep_first + g * (1.0 - keep_first);
        let v = second[ABSOLUTE_POS] * keep_second + g * g * (1.0 - keep_second);
        let step = (m / correct_first) / ((v / correct_second).sqrt() + epsilon);
        new_first[ABSOLUTE_POS] = m;
        new_second[ABSOLUTE_POS] = v;
        new_weights[ABSOLUTE_POS] = weights[ABSOLUTE_POS] * shrink - step * rate;
    }
}

#[cube(launch)]
fn blend_kernel(old: &[f32], new: &[f32], out: &mut [f32], count: usize, keep: f32) {
    if ABSOLUTE_POS < count {
        out[ABSOLUTE_POS] = old[ABSOLUTE_POS] * keep + new[ABSOLUTE_POS] * (1.0 - keep);
    }
}

#[cube(launch)]
fn running_kernel(
    mean: &[f32],
    variance: &[f32],
    moments: &[f32],
    new_mean: &mut [f32],
    new_variance: &mut [f32],
    channels: usize,
    momentum: f32,
) {
    if ABSOLUTE_POS < channels {
        let keep = 1.0 - momentum;
        new_mean[ABSOLUTE_POS] = mean[ABSOLUTE_POS] * keep + moments[ABSOLUTE_POS] * momentum;
        new_variance[ABSOLUTE_POS] =
            variance[ABSOLUTE_POS] * keep + moments[channels + ABSOLUTE_POS] * momentum;
    }
}

fn like(x: &CubeTensor) -> CubeTensor {
    empty_device_contiguous_dtype(x.client.clone(), x.device.clone(), x.shape(), x.dtype)
}

type Floats = FloatTensor<Cube>;

impl Updates for Cube {
    fn adamw(
        weights: Floats,
        gradient: Floats,
        first: Floats,
        second: Floats,
        how: Decay,
    ) -> (Floats, Floats, Floats) {
        let out = (like(&weights), like(&weights), like(&weights));
        let count = weights.shape().num_elements();
        let (cubes, dim) = spread(&weights, count);
        let client = weights.client.clone();
        adamw_kernel::launch(
            &client,
            cubes,
            dim,
            into_contiguous(weights).into_buffer_arg(),
            into_contiguous(gradient).into_buffer_arg(),
            into_contiguous(first).into_buffer_arg(),
            into_contiguous(second).into_buffer_arg(),
            out.0.clone().into_buffer_arg(),
            out.1.clone().into_buffer_arg(),
            out.2.clone().into_buffer_arg(),
            count,
            how.keep[0],
            how.keep[1],
            how.corrections[0],
            how.corrections[1],
            how.epsilon,
            how.rate,
            how.shrink,
        );
        out
    }

    fn blend(old: Floats, new: Floats, keep: f32) -> Floats {
        let out = like(&old);
        let count = old.shape().num_elements();
        let (cubes, dim) = spread(&old, count);
        let client = old.client.clone();
        blend_kernel::launch(
            &client,
            cubes,
            dim,
            into_contiguous(old).into_buffer_arg(),
            into_contiguous(new).into_buffer_arg(),
            out.clone().into_buffer_arg(),
            count,
            keep,
        );
        out
    }

    fn running(mean: Floats, variance: Floats, moments: Floats, momentum: f32) -> (Floats, Floats) {
        let [channels] = mean.shape().dims();
        let out = (empty(&mean, [channels]), empty(&mean, [channels]));
        let (cubes, dim) = spread(&mean, channels);
        let client = mean.client.clone();
        running_kernel::launch(
            &client,
            cubes,
            dim,
            mean.into_buffer_arg(),
            variance.into_buffer_arg(),
            into_contiguous(moments).into_buffer_arg(),
            out.0.clone().into_buffer_arg(),
            out.1.clone().into_buffer_arg(),
            channels,
            momentum,
        );
        out
    }
}
