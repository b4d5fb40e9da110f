//! What goes over whole pictures: mean, gate, and the windows of the first convolution.

use burn::backend::TensorMetadata;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::super::Geometry;
use super::super::arithmetic::extents;
use super::{BUSY, SHARE, UNITS, empty, lanes, narrow, spread, sum_parts};

/// Σ over a part of the picture, of `x` or of `x · other`: `[channels, positions, batch]` →
/// `[parts, channels, batch]`, times `factor`. A cube is `rows` × `columns` units, the columns
/// along the batch.
#[cube(launch)]
fn picture_sums_kernel<N: Size>(
    x: &[Vector<f32, N>],
    other: &[Vector<f32, N>],
    sums: &mut [Vector<f32, N>],
    positions: usize,
    chunk: usize,
    channels: usize,
    batch: usize,
    columns: usize,
    rows: usize,
    factor: f32,
    #[comptime] product: bool,
    #[comptime] units: usize,
) {
    let unit = UNIT_POS as usize;
    let part = CUBE_POS_X as usize;
    let channel = CUBE_POS_Y as usize;
    let row = unit / columns;
    let lane = CUBE_POS_Z as usize * columns + unit % columns;
    let mut end = (part + 1) * chunk;
    if end > positions {
        end = positions;
    }
    let mut own = Vector::<f32, N>::new(0.0);
    if row < rows && lane < batch {
        let mut position = part * chunk + row;
        while position < end {
            let at = (channel * positions + position) * batch + lane;
            if product {
                own += x[at] * other[at];
            } else {
                own += x[at];
            }
            position += rows;
        }
    }
    let mut shared = Shared::<[Vector<f32, N>]>::new_slice(units);
    shared[unit] = own;
    sync_cube();
    if row == 0 && lane < batch {
        let mut sum = shared[unit];
        for next in 1..rows {
            sum += shared[next * columns + unit];
        }
        let place = (part * channels + channel) * batch + lane;
        sums[place] = sum * Vector::<f32, N>::new(factor);
    }
}

/// `y[c, p, b] = x[c, p, b] · gate[c, b]`.
#[cube(launch)]
fn gate_kernel<N: Size>(
    x: &[Vector<f32, N>],
    gate: &[Vector<f32, N>],
    y: &mut [Vector<f32, N>],
    count: usize,
    positions: usize,
    batch: usize,
) {
    if ABSOLUTE_POS < count {
        let channel = ABSOLUTE_POS / batch / positions;
        let factor = gate[channel * batch + ABSOLUTE_POS % batch];
        y[ABSOLUTE_POS] = x[ABSOLUTE_POS] * factor;
    }
}

/// `dx[c, p, b] = dy[c, b] · factor`.
#[cube(launch)]
fn pool_backward_kernel<N: Size>(
    dy: &[Vector<f32, N>],
    dx: &mut [Vector<f32, N>],
    count: usize,
    positions: usize,
    batch: usize,
    factor: f32,
) {
    if ABSOLUTE_POS < count {
        let channel = ABSOLUTE_POS / batch / positions;
        let gradient = dy[channel * batch + ABSOLUTE_POS % batch];
        dx[ABSOLUTE_POS] = gradient * Vector::<f32, N>::new(factor);
    }
}

/// What the window's taps see: `[channels·side·side, out height, out width, batch]`, a unit for
/// each. `x` may lie in any order: the strides say where.
#[cube(launch)]
fn patches_kernel(
    x: &Tensor<f32>,
    y: &mut [f32],
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
        let rest = rest / out_height;
        let padded_x = out_x * stride + rest % side;
        let rest = rest / side;
        let padded_y = out_y * stride + rest % side;
        let channel = rest / side;
        let mut seen = f32::new(0.0);
        if padded_y >= top && padded_y < top + height && padded_x >= left && padded_x < left + width
        {
            seen = x[channel * x.stride(0)
                + (padded_y - top) * x.stride(1)
                + (padded_x - left) * x.stride(2)
                + lane * x.stride(3)];
        }
        y[ABSOLUTE_POS] = seen;
    }
}

/// Σ over the picture of `x`, or of `x · other`, times `factor`: `[channels, batch]`.
fn picture_sums(x: CubeTensor, other: Option<CubeTensor>, factor: f32) -> CubeTensor {
    let [channels, height, width, batch] = extents(&x);
    let positions = height * width;
    let lanes = lanes(batch);
    let batch_lanes = batch / lanes;
    let columns = batch_lanes.min(UNITS as usize);
    let rows = UNITS as usize / columns;
    let blocks = batch_lanes.div_ceil(columns);
    let parts = BUSY.div_ceil(channels * blocks).min(positions / (SHARE * rows)).max(1);
    let sums = empty(&x, [parts, channels, batch]);
    let client = x.client.clone();
    let product = other.is_some();
    let other = other.unwrap_or_else(|| x.clone());
    picture_sums_kernel::launch(
        &client,
        CubeCount::Static(narrow(parts), narrow(channels), narrow(blocks)),
        CubeDim::new_1d(UNITS),
        lanes,
        x.into_buffer_arg(),
        other.into_buffer_arg(),
        sums.clone().into_buffer_arg(),
        positions,
        positions.div_ceil(parts),
        channels,
        batch_lanes,
        columns,
        rows,
        factor,
        product,
        UNITS as usize,
    );
    sum_parts(sums, parts, [channels, batch])
}

pub(super) fn pool(x: CubeTensor) -> CubeTensor {
    let [_, height, width, _] = extents(&x);
    picture_sums(x, None, 1.0 / (height * width) as f32)
}

pub(super) fn gradient_of_gate(x: CubeTensor, dy: CubeTensor) -> CubeTensor {
    picture_sums(x, Some(dy), 1.0)
}

pub(super) fn gate(x: CubeTensor, gate: CubeTensor) -> CubeTensor {
    let shape = extents(&x);
    let [channels, height, width, batch] = shape;
    let y = empty(&x, shape);
    let lanes = lanes(batch);
    let count = channels * height * width * batch / lanes;
    let (cubes, dim) = spread(&x, count);
    let client = x.client.clone();
    gate_kernel::launch(
        &client,
        cubes,
        dim,
        lanes,
        x.into_buffer_arg(),
        gate.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        count,
        height * width,
        batch / lanes,
    );
    y
}

pub(super) fn pool_backward(dy: CubeTensor, shape: [usize; 4]) -> CubeTensor {
    let [channels, height, width, batch] = shape;
    let dx = empty(&dy, shape);
    let lanes = lanes(batch);
    let count = channels * height * width * batch / lanes;
    let (cubes, dim) = spread(&dy, count);
    let client = dy.client.clone();
    pool_backward_kernel::launch(
        &client,
        cubes,
        dim,
        lanes,
        dy.into_buffer_arg(),
        dx.clone().into_buffer_arg(),
        count,
        height * width,
        batch / lanes,
        1.0 / (height * width) as f32,
    );
    dx
}

pub(super) fn patches(x: CubeTensor, geometry: Geometry) -> CubeTensor {
    let [channels, height, width, batch] = x.shape().dims();
    let (out_height, out_width) = geometry.output();
    let ((top, _), (left, _)) = geometry.padding();
    let rows = channels * geometry.kernel * geometry.kernel;
    let columns = out_height * out_width * batch;
    let y = empty(&x, [rows, columns]);
    let count = rows * columns;
    let (cubes, dim) = spread(&x, count);
    let client = x.client.clone();
    patches_kernel::launch(
        &client,
        cubes,
        dim,
        x.into_tensor_arg(),
        y.clone().into_buffer_arg(),
        count,
        batch,
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
