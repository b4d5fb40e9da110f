//! Depthwise convolution and its two gradients.
#![allow(clippy::manual_is_multiple_of, reason = "in a kernel there is only the remainder")]

use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::super::Geometry;
use super::super::arithmetic::extents;
use super::{SHARE, empty, lanes, narrow, parts, spread, sum_parts};

/// Units in a cube that sums: each keeps a sum for every tap in shared memory, of which some cards
/// have 16 KiB.
const UNITS: u32 = 128;

/// `x` `[channels, height, width, batch]` → `[channels, out height, out width, batch]`: a unit for
/// each result.
#[cube(launch)]
fn forward_kernel<N: Size>(
    x: &[Vector<f32, N>],
    kernel: &[f32],
    y: &mut [Vector<f32, N>],
    count: usize,
    batch: usize,
    height: usize,
    width: usize,
    out_height: usize,
    out_width: usize,
    top: usize,
    left: usize,
    #[comptime] side: usize,
    #[comptime] stride: usize,
) {
    if ABSOLUTE_POS < count {
        let lane = ABSOLUTE_POS % batch;
        let rest = ABSOLUTE_POS / batch;
        let out_x = rest % out_width;
        let rest = rest / out_width;
        let out_y = rest % out_height;
        let channel = rest / out_height;
        let mut sum = Vector::<f32, N>::new(0.0);
        #[unroll]
        for tap_y in 0..side {
            let padded_y = out_y * stride + tap_y;
            if padded_y >= top && padded_y < top + height {
                let row = (channel * height + padded_y - top) * width;
                #[unroll]
                for tap_x in 0..side {
                    let padded_x = out_x * stride + tap_x;
                    if padded_x >= left && padded_x < left + width {
                        let weight = kernel[(channel * side + tap_y) * side + tap_x];
                        let seen = x[(row + padded_x - left) * batch + lane];
                        sum += seen * Vector::<f32, N>::new(weight);
                    }
                }
            }
        }
        y[ABSOLUTE_POS] = sum;
    }
}

/// The reverse: a unit for each number of `x` gathers from the windows that saw it.
#[cube(launch)]
fn gradient_of_x_kernel<N: Size>(
    dy: &[Vector<f32, N>],
    kernel: &[f32],
    dx: &mut [Vector<f32, N>],
    count: usize,
    batch: usize,
    height: usize,
    width: usize,
    out_height: usize,
    out_width: usize,
    top: usize,
    left: usize,
    #[comptime] side: usize,
    #[comptime] stride: usize,
) {
    if ABSOLUTE_POS < count {
        let lane = ABSOLUTE_POS % batch;
        let rest = ABSOLUTE_POS / batch;
        let padded_x = rest % width + left;
        let rest = rest / width;
        let padded_y = rest % height + top;
        let channel = rest / height;
        let mut sum = Vector::<f32, N>::new(0.0);
        #[unroll]
        for tap_y in 0..side {
            if padded_y >= tap_y && (padded_y - tap_y) % stride == 0 {
                let out_y = (padded_y - tap_y) / stride;
                if out_y < out_height {
                    let row = (channel * out_height + out_y) * out_width;
                    #[unroll]
                    for tap_x in 0..side {
                        if padded_x >= tap_x && (padded_x - tap_x) % stride == 0 {
                            let out_x = (padded_x - tap_x) / stride;
                            if out_x < out_width {
                                let weight = kernel[(channel * side + tap_y) * side + tap_x];
                                let seen = dy[(row + out_x) * batch + lane];
                                sum += seen * Vector::<f32, N>::new(weight);
                            }
                        }
                    }
                }
            }
        }
        dx[ABSOLUTE_POS] = sum;
    }
}

/// For each channel and part of its results, what each tap saw times the result's gradient:
/// `[parts, channels, side·side]`. Each gradient is read once, for all taps.
#[cube(launch)]
fn gradient_of_kernel_kernel<N: Size>(
    x: &[Vector<f32, N>],
    dy: &[Vector<f32, N>],
    sums: &mut [f32],
    length: usize,
    chunk: usize,
    channels: usize,
    batch: usize,
    height: usize,
    width: usize,
    out_width: usize,
    top: usize,
    left: usize,
    #[comptime] side: usize,
    #[comptime] stride: usize,
    #[comptime] units: usize,
) {
    let taps = comptime!(side * side);
    let unit = UNIT_POS as usize;
    let part = CUBE_POS_X as usize;
    let channel = CUBE_POS_Y as usize;
    let mut own = Array::<Vector<f32, N>>::new(taps);
    #[unroll]
    for tap in 0..taps {
        own[tap] = Vector::<f32, N>::new(0.0);
    }
    let mut end = (part + 1) * chunk;
    if end > length {
        end = length;
    }
    let mut at = part * chunk + unit;
    while at < end {
        let lane = at % batch;
        let rest = at / batch;
        let start_x = (rest % out_width) * stride;
        let start_y = (rest / out_width) * stride;
        let gradient = dy[channel * length + at];
        #[unroll]
        for tap_y in 0..side {
            let padded_y = start_y + tap_y;
            if padded_y >= top && padded_y < top + height {
                let row = (channel * height + padded_y - top) * width;
                #[unroll]
                for tap_x in 0..side {
                    let padded_x = start_x + tap_x;
                    if padded_x >= left && padded_x < left + width {
                        let seen = x[(row + padded_x - left) * batch + lane];
                        own[tap_y * side + tap_x] += seen * gradient;
                    }
                }
            }
        }
        at += units;
    }
    let mut shared = Shared::<[f32]>::new_slice(comptime!(taps * units));
    #[unroll]
    for tap in 0..taps {
        shared[tap * units + unit] = own[tap].vector_sum();
    }
    sync_cube();
    let mut half = CUBE_DIM as usize / 2;
    while half > 0 {
        if unit < half {
            #[unroll]
            for tap in 0..taps {
                let other = shared[tap * units + unit + half];
                shared[tap * units + unit] += other;
            }
        }
        sync_cube();
        half /= 2;
    }
    if unit < taps {
        sums[(part * channels + channel) * taps + unit] = shared[unit * units];
    }
}

pub(super) fn forward(x: CubeTensor, kernel: CubeTensor, geometry: Geometry) -> CubeTensor {
    let [channels, height, width, batch] = extents(&x);
    let (out_height, out_width) = geometry.output();
    let ((top, _), (left, _)) = geometry.padding();
    let y = empty(&x, [channels, out_height, out_width, batch]);
    let lanes = lanes(batch);
    let count = channels * out_height * out_width * batch / lanes;
    let (cubes, dim) = spread(&x, count);
    let client = x.client.clone();
    forward_kernel::launch(
        &client,
        cubes,
        dim,
        lanes,
        x.into_buffer_arg(),
        kernel.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        count,
        batch / lanes,
        height,
        width,
        out_height,
        out_width,
        top,
        left,
        geometry.kernel,
        geometry.stride,
    );
    y
}

pub(super) fn gradient_of_x(
    dy: CubeTensor,
    kernel: CubeTensor,
    geometry: Geometry,
    shape: [usize; 4],
) -> CubeTensor {
    let [_, height, width, batch] = shape;
    let (out_height, out_width) = geometry.output();
    let ((top, _), (left, _)) = geometry.padding();
    let dx = empty(&dy, shape);
    let lanes = lanes(batch);
    let count = shape.iter().product::<usize>() / lanes;
    let (cubes, dim) = spread(&dy, count);
    let client = dy.client.clone();
    gradient_of_x_kernel::launch(
        &client,
        cubes,
        dim,
        lanes,
        dy.into_buffer_arg(),
        kernel.into_buffer_arg(),
        dx.clone().into_buffer_arg(),
        count,
        batch / lanes,
        height,
        width,
        out_height,
        out_width,
        top,
        left,
        geometry.kernel,
        geometry.stride,
    );
    dx
}

pub(super) fn gradient_of_kernel(x: &CubeTensor, dy: CubeTensor, geometry: Geometry) -> CubeTensor {
    let [channels, height, width, batch] = extents(x);
    let (out_height, out_width) = geometry.output();
    let ((top, _), (left, _)) = geometry.padding();
    let taps = geometry.kernel * geometry.kernel;
    let lanes = lanes(batch);
    let length = out_height * out_width * batch / lanes;
    let parts = parts(channels, length, SHARE * UNITS as usize);
    let sums = empty(x, [parts, channels, taps]);
    let client = x.client.clone();
    gradient_of_kernel_kernel::launch(
        &client,
        CubeCount::Static(narrow(parts), narrow(channels), 1),
        CubeDim::new_1d(UNITS),
        lanes,
        x.clone().into_buffer_arg(),
        dy.into_buffer_arg(),
        sums.clone().into_buffer_arg(),
        length,
        length.div_ceil(parts),
        channels,
        batch / lanes,
        height,
        width,
        out_width,
        top,
        left,
        geometry.kernel,
        geometry.stride,
        UNITS as usize,
    );
    sum_parts(sums, parts, [channels, taps])
}
