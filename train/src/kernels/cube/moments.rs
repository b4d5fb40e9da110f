//! Each channel's mean and variance.

use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::super::arithmetic::extents;
use super::{SHARE, UNITS, empty, lanes, narrow, parts, spread};

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
