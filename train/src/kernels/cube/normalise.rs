//! Batch normalisation with swish, and its gradients.

use burn::backend::Cube;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::super::arithmetic::{Normalisation, NormaliseGradients, extents};
use super::{SHARE, UNITS, empty, lanes, narrow, parts, spread};

#[cube(launch)]
fn forward_kernel<N: Size>(
    x: &[Vector<f32, N>],
    gamma: &[f32],
    beta: &[f32],
    moments: &[f32],
    y: &mut [Vector<f32, N>],
    count: usize,
    length: usize,
    channels: usize,
    epsilon: f32,
    #[comptime] swish: bool,
) {
    if ABSOLUTE_POS < count {
        let channel = ABSOLUTE_POS / length;
        let inverse = 1.0 / (moments[channels + channel] + epsilon).sqrt();
        let scale = gamma[channel] * inverse;
        let shift = beta[channel] - moments[channel] * scale;
        let z = x[ABSOLUTE_POS] * Vector::<f32, N>::new(scale) + Vector::<f32, N>::new(shift);
        if swish {
            let one = Vector::<f32, N>::new(1.0);
            y[ABSOLUTE_POS] = z / (one + (-z).exp());
        } else {
            y[ABSOLUTE_POS] = z;
        }
    }
}

/// The gradient before the swish, given that after it.
#[cube]
fn before_swish<N: Size>(
    dy: Vector<f32, N>,
    deviation: Vector<f32, N>,
    gamma: f32,
    beta: f32,
    #[comptime] swish: bool,
) -> Vector<f32, N> {
    if swish {
        let one = Vector::<f32, N>::new(1.0);
        let z = deviation * Vector::<f32, N>::new(gamma) + Vector::<f32, N>::new(beta);
        let s = one / (one + (-z).exp());
        dy * s * (one + z * (one - s))
    } else {
        dy
    }
}

/// For each channel and part: Σ dz and Σ dz · normalised x, each `[parts, channels]`.
#[cube(launch)]
fn backward_sums_kernel<N: Size>(
    x: &[Vector<f32, N>],
    dy: &[Vector<f32, N>],
    gamma: &[f32],
    beta: &[f32],
    moments: &[f32],
    totals: &mut [f32],
    alongs: &mut [f32],
    length: usize,
    chunk: usize,
    channels: usize,
    epsilon: f32,
    #[comptime] swish: bool,
    #[comptime] units: usize,
) {
    let unit = UNIT_POS as usize;
    let part = CUBE_POS_X as usize;
    let channel = CUBE_POS_Y as usize;
    let mean = Vector::<f32, N>::new(moments[channel]);
    let inverse = Vector::<f32, N>::new(1.0 / (moments[channels + channel] + epsilon).sqrt());
    let mut end = (part + 1) * chunk;
    if end > length {
        end = length;
    }
    let mut at = part * chunk + unit;
    let mut total = Vector::<f32, N>::new(0.0);
    let mut along = Vector::<f32, N>::new(0.0);
    while at < end {
        let deviation = (x[channel * length + at] - mean) * inverse;
        let dz = before_swish::<N>(
            dy[channel * length + at],
            deviation,
            gamma[channel],
            beta[channel],
            swish,
        );
        total += dz;
        along += dz * deviation;
        at += units;
    }
    let mut shared_totals = Shared::<[f32]>::new_slice(units);
    let mut shared_alongs = Shared::<[f32]>::new_slice(units);
    shared_totals[unit] = total.vector_sum();
    shared_alongs[unit] = along.vector_sum();
    sync_cube();
    let mut half = CUBE_DIM as usize / 2;
    while half > 0 {
        if unit < half {
            let other = shared_totals[unit + half];
            shared_totals[unit] += other;
            let other = shared_alongs[unit + half];
            shared_alongs[unit] += other;
        }
        sync_cube();
        half /= 2;
    }
    if unit == 0 {
        totals[part * channels + channel] = shared_totals[0];
        alongs[part * channels + channel] = shared_alongs[0];
    }
}

/// Sums of both over their parts: a unit for each channel.
#[cube(launch)]
fn sum_pairs_kernel(
    totals: &[f32],
    alongs: &[f32],
    total: &mut [f32],
    along: &mut [f32],
    parts: usize,
    channels: usize,
) {
    if ABSOLUTE_POS < channels {
        let mut first = f32::new(0.0);
        let mut second = f32::new(0.0);
        for part in 0..parts {
            first += totals[part * channels + ABSOLUTE_POS];
            second += alongs[part * channels + ABSOLUTE_POS];
        }
        total[ABSOLUTE_POS] = first;
        along[ABSOLUTE_POS] = second;
    }
}

#[cube(launch)]
fn backward_kernel<N: Size>(
    x: &[Vector<f32, N>],
    dy: &[Vector<f32, N>],
    gamma: &[f32],
    beta: &[f32],
    moments: &[f32],
    total: &[f32],
    along: &[f32],
    dx: &mut [Vector<f32, N>],
    count: usize,
    length: usize,
    channels: usize,
    epsilon: f32,
    // One over how many numbers a channel has.
    share: f32,
    #[comptime] swish: bool,
) {
    if ABSOLUTE_POS < count {
        let channel = ABSOLUTE_POS / length;
        let inverse = 1.0 / (moments[channels + channel] + epsilon).sqrt();
        let mean = Vector::<f32, N>::new(moments[channel]);
        let deviation = (x[ABSOLUTE_POS] - mean) * Vector::<f32, N>::new(inverse);
        let dz =
            before_swish::<N>(dy[ABSOLUTE_POS], deviation, gamma[channel], beta[channel], swish);
        let constant = Vector::<f32, N>::new(total[channel] * share);
        let slope = Vector::<f32, N>::new(along[channel] * share);
        let outer = Vector::<f32, N>::new(gamma[channel] * inverse);
        dx[ABSOLUTE_POS] = outer * (dz - constant - deviation * slope);
    }
}

pub(super) fn forward(
    x: CubeTensor,
    gamma: CubeTensor,
    beta: CubeTensor,
    moments: CubeTensor,
    how: Normalisation,
) -> CubeTensor {
    let shape = extents(&x);
    let [channels, height, width, batch] = shape;
    let row = height * width * batch;
    let lanes = lanes(row);
    let count = channels * row / lanes;
    let y = empty(&x, shape);
    let (cubes, dim) = spread(&x, count);
    let client = x.client.clone();
    forward_kernel::launch(
        &client,
        cubes,
        dim,
        lanes,
        x.into_buffer_arg(),
        gamma.into_buffer_arg(),
        beta.into_buffer_arg(),
        moments.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        count,
        row / lanes,
        channels,
        how.epsilon as f32,
        how.swish,
    );
    y
}

pub(super) fn backward(
    x: CubeTensor,
    gamma: CubeTensor,
    beta: CubeTensor,
    moments: CubeTensor,
    dy: CubeTensor,
    how: Normalisation,
) -> NormaliseGradients<Cube> {
    let shape = extents(&x);
    let [channels, height, width, batch] = shape;
    let row = height * width * batch;
    let lanes = lanes(row);
    let length = row / lanes;
    let parts = parts(channels, length, SHARE * UNITS as usize);
    let epsilon = how.epsilon as f32;
    let client = x.client.clone();
    let (total, along) = (empty(&x, [channels]), empty(&x, [channels]));
    let (totals, alongs) = if parts == 1 {
        (total.clone(), along.clone())
    } else {
        (empty(&x, [parts, channels]), empty(&x, [parts, channels]))
    };
    backward_sums_kernel::launch(
        &client,
        CubeCount::Static(narrow(parts), narrow(channels), 1),
        CubeDim::new_1d(UNITS),
        lanes,
        x.clone().into_buffer_arg(),
        dy.clone().into_buffer_arg(),
        gamma.clone().into_buffer_arg(),
        beta.clone().into_buffer_arg(),
        moments.clone().into_buffer_arg(),
        totals.clone().into_buffer_arg(),
        alongs.clone().into_buffer_arg(),
        length,
        length.div_ceil(parts),
        channels,
        epsilon,
        how.swish,
        UNITS as usize,
    );
    if parts > 1 {
        let (cubes, dim) = spread(&x, channels);
        sum_pairs_kernel::launch(
            &client,
            cubes,
            dim,
            totals.into_buffer_arg(),
            alongs.into_buffer_arg(),
            total.clone().into_buffer_arg(),
            along.clone().into_buffer_arg(),
            parts,
            channels,
        );
    }
    let dx = empty(&x, shape);
    let count = channels * length;
    let (cubes, dim) = spread(&x, count);
    backward_kernel::launch(
        &client,
        cubes,
        dim,
        lanes,
        x.into_buffer_arg(),
        dy.into_buffer_arg(),
        gamma.into_buffer_arg(),
        beta.into_buffer_arg(),
        moments.into_buffer_arg(),
        total.clone().into_buffer_arg(),
        along.clone().into_buffer_arg(),
        dx.clone().into_buffer_arg(),
        count,
        length,
        channels,
        epsilon,
        1.0 / row as f32,
        how.swish,
    );
    NormaliseGradients { x: dx, gamma: along, beta: total }
}
