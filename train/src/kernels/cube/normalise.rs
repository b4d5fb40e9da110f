//! Batch normalisation with swish, and its gradients.

use burn::backend::Cube;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::super::arithmetic::{Normalisation, NormaliseGradients, extents};
use super::{UNITS, empty, lanes, narrow, parts, spread};

/// The least that a unit sums by itself.
const SHARE: usize = 8;

/// Mean and sum of squared deviations of two sets of numbers as of one (Chan, Golub & LeVeque 1983,
/// "Algorithms for Computing the Sample Variance"), in shared memory: `one` takes in `other`.
#[cube]
fn merge(
    counts: &mut Shared<[f32]>,
    means: &mut Shared<[f32]>,
    squares: &mut Shared<[f32]>,
    one: usize,
    other: usize,
) {
    let added = counts[other];
    if added > 0.0 {
        let before = counts[one];
        let total = before + added;
        let apart = means[other] - means[one];
        means[one] += apart * (added / total);
        squares[one] += squares[other] + apart * apart * (before * added / total);
        counts[one] = total;
    }
}

/// For each channel and part of its numbers: count, mean and sum of squared deviations,
/// `[parts, 3, channels]`. Where there is one part, mean and variance, `[2, channels]`.
#[cube(launch)]
fn moments_kernel<N: Size>(
    x: &[Vector<f32, N>],
    out: &mut [f32],
    length: usize,
    chunk: usize,
    channels: usize,
    #[comptime] units: usize,
    #[comptime] whole: bool,
) {
    let unit = UNIT_POS as usize;
    let part = CUBE_POS_X as usize;
    let channel = CUBE_POS_Y as usize;
    let mut end = (part + 1) * chunk;
    if end > length {
        end = length;
    }
    let mut at = part * chunk + unit;
    let mut count = f32::new(0.0);
    // Sums around the unit's first numbers lose nothing where the mean is far from 0.
    let mut origin = Vector::<f32, N>::new(0.0);
    let mut sum = Vector::<f32, N>::new(0.0);
    let mut square = Vector::<f32, N>::new(0.0);
    if at < end {
        origin = x[channel * length + at];
    }
    while at < end {
        let apart = x[channel * length + at] - origin;
        sum += apart;
        square += apart * apart;
        count += 1.0;
        at += units;
    }
    let width = N::value() as f32;
    let mut counts = Shared::<[f32]>::new_slice(units);
    let mut means = Shared::<[f32]>::new_slice(units);
    let mut squares = Shared::<[f32]>::new_slice(units);
    counts[unit] = 0.0;
    means[unit] = 0.0;
    squares[unit] = 0.0;
    if count > 0.0 {
        let lane_means = origin + sum / Vector::<f32, N>::new(count);
        let lane_squares = square - sum * sum / Vector::<f32, N>::new(count);
        let mean = lane_means.vector_sum() / width;
        let between = lane_means - Vector::<f32, N>::new(mean);
        counts[unit] = count * width;
        means[unit] = mean;
        squares[unit] = lane_squares.vector_sum() + (between * between).vector_sum() * count;
    }
    sync_cube();
    let mut half = CUBE_DIM as usize / 2;
    while half > 0 {
        if unit < half {
            merge(&mut counts, &mut means, &mut squares, unit, unit + half);
        }
        sync_cube();
        half /= 2;
    }
    if unit == 0 {
        if whole {
            out[channel] = means[0];
            out[channels + channel] = squares[0] / counts[0];
        } else {
            let place = part * 3 * channels + channel;
            out[place] = counts[0];
            out[place + channels] = means[0];
            out[place + 2 * channels] = squares[0];
        }
    }
}

/// One of all parts: `[parts, 3, channels]` → `[2, channels]`, a unit for each channel.
#[cube(launch)]
fn merge_moments_kernel(partial: &[f32], moments: &mut [f32], parts: usize, channels: usize) {
    let channel = ABSOLUTE_POS;
    if channel < channels {
        let mut count = partial[channel];
        let mut mean = partial[channels + channel];
        let mut square = partial[2 * channels + channel];
        for part in 1..parts {
            let place = part * 3 * channels + channel;
            let added = partial[place];
            if added > 0.0 {
                let total = count + added;
                let apart = partial[place + channels] - mean;
                mean += apart * (added / total);
                square += partial[place + 2 * channels] + apart * apart * (count * added / total);
                count = total;
            }
        }
        moments[channel] = mean;
        moments[channels + channel] = square / count;
    }
}

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

pub(super) fn moments(x: CubeTensor) -> CubeTensor {
    let [channels, height, width, batch] = extents(&x);
    let row = height * width * batch;
    let lanes = lanes(row);
    let length = row / lanes;
    let parts = parts(channels, length, SHARE * UNITS as usize);
    let moments = empty(&x, [2, channels]);
    let out = if parts == 1 { moments.clone() } else { empty(&x, [parts, 3, channels]) };
    let client = x.client.clone();
    moments_kernel::launch(
        &client,
        CubeCount::Static(narrow(parts), narrow(channels), 1),
        CubeDim::new_1d(UNITS),
        lanes,
        x.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        length,
        length.div_ceil(parts),
        channels,
        UNITS as usize,
        parts == 1,
    );
    if parts > 1 {
        let (cubes, dim) = spread(&out, channels);
        merge_moments_kernel::launch(
            &client,
            cubes,
            dim,
            out.into_buffer_arg(),
            moments.clone().into_buffer_arg(),
            parts,
            channels,
        );
    }
    moments
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
