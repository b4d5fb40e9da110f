//! The arithmetic on graphics cards: kernels of our own in CubeCL, which burn's CUDA and Vulkan
//! devices both run.
//!
//! The batch is innermost, so that neighbouring units read neighbouring numbers; each unit takes
//! [`lanes`] of them at once. Sums are made in a fixed order, without atomics: a run repeats.
//! Every kernel keeps its indices in bounds by itself, whatever a runtime's launch checks.

mod depthwise;
mod excite;
mod moments;
mod normalise;
mod picture;
mod product;
mod update;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Cube, TensorMetadata};
use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::Geometry;
use super::arithmetic::{Arithmetic, Normalisation, NormaliseGradients, extents};

pub(super) use excite::Excite;
pub(super) use update::{Decay, Updates};

/// Units in a cube of an elementwise kernel.
const UNITS: u32 = 256;

/// The least that a unit sums by itself where a sum is cut into parts.
const SHARE: usize = 8;

/// How many cubes keep a large card busy.
const BUSY: usize = 528;

/// A fresh tensor without gaps, on `like`'s device, with whatever the memory held.
fn empty<const D: usize>(like: &CubeTensor, shape: [usize; D]) -> CubeTensor {
    empty_device_contiguous_dtype(
        like.client.clone(),
        like.device.clone(),
        Shape::from(shape),
        DType::F32,
    )
}

/// How many numbers one unit takes at once, where they lie in rows of `row`.
fn lanes(row: usize) -> usize {
    if row.is_multiple_of(4) { 4 } else { 1 }
}

/// Cubes for `count` units, one for each result.
fn spread(like: &CubeTensor, count: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new_1d(UNITS);
    (cubecl::calculate_cube_count_elemwise(&like.client, count, dim), dim)
}

/// As the kernels count.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX) // no tensor that a card holds is as large
}

/// Into how many parts a reduction of `length` terms, one of `rows`, is cut so that the card is
/// busy and a part is no less than `least` terms.
fn parts(rows: usize, length: usize, least: usize) -> usize {
    BUSY.div_ceil(rows.max(1)).min(length / least.max(1)).max(1)
}

/// Σ over the first of `[parts, length]`, in order.
#[cube(launch)]
fn sum_parts_kernel(values: &[f32], sums: &mut [f32], parts: usize, length: usize) {
    if ABSOLUTE_POS < length {
        let mut sum = f32::new(0.0);
        let mut at = ABSOLUTE_POS;
        for _ in 0..parts {
            sum += values[at];
            at += length;
        }
        sums[ABSOLUTE_POS] = sum;
    }
}

/// Σ over the `parts` of `values`, in `shape`.
fn sum_parts<const D: usize>(values: CubeTensor, parts: usize, shape: [usize; D]) -> CubeTensor {
    let client = values.client.clone();
    if parts == 1 {
        let CubeTensor { handle, device, dtype, .. } = values;
        return CubeTensor::new_contiguous(client, device, Shape::from(shape), handle, dtype);
    }
    let length = shape.iter().product();
    let sums = empty(&values, shape);
    let (count, dim) = spread(&values, length);
    sum_parts_kernel::launch(
        &client,
        count,
        dim,
        values.into_buffer_arg(),
        sums.clone().into_buffer_arg(),
        parts,
        length,
    );
    sums
}

type Floats = FloatTensor<Cube>;

impl Arithmetic for Cube {
    fn dense(x: Floats) -> Floats {
        into_contiguous(x)
    }

    fn depthwise(x: Floats, kernel: Floats, geometry: Geometry) -> Floats {
        depthwise::forward(Self::dense(x), Self::dense(kernel), geometry)
    }

    fn depthwise_backward(
        x: Floats,
        kernel: Floats,
        dy: Floats,
        geometry: Geometry,
    ) -> (Floats, Floats) {
        let (x, kernel, dy) = (Self::dense(x), Self::dense(kernel), Self::dense(dy));
        let dkernel = depthwise::gradient_of_kernel(&x, dy.clone(), geometry);
        (depthwise::gradient_of_x(dy, kernel, geometry, extents(&x)), dkernel)
    }

    fn moments(x: Floats) -> Floats {
        moments::moments(Self::dense(x))
    }

    fn normalise(
        x: Floats,
        gamma: Floats,
        beta: Floats,
        moments: Floats,
        how: Normalisation,
    ) -> Floats {
        normalise::forward(Self::dense(x), gamma, beta, Self::dense(moments), how)
    }

    fn normalise_backward(
        x: Floats,
        gamma: Floats,
        beta: Floats,
        moments: Floats,
        dy: Floats,
        how: Normalisation,
    ) -> NormaliseGradients<Self> {
        let (x, moments, dy) = (Self::dense(x), Self::dense(moments), Self::dense(dy));
        normalise::backward(x, gamma, beta, moments, dy, how)
    }

    fn pool(x: Floats) -> Floats {
        picture::pool(Self::dense(x))
    }

    fn pool_backward(dy: Floats, shape: [usize; 4]) -> Floats {
        picture::pool_backward(Self::dense(dy), shape)
    }

    fn gate(x: Floats, gate: Floats) -> Floats {
        picture::gate(Self::dense(x), Self::dense(gate))
    }

    fn gate_backward(
        x: Floats,
        gate: Floats,
        dy: Floats,
        wanted: bool,
    ) -> (Floats, Option<Floats>) {
        let (x, gate, dy) = (Self::dense(x), Self::dense(gate), Self::dense(dy));
        let dgate = wanted.then(|| picture::gradient_of_gate(x, dy.clone()));
        (picture::gate(dy, gate), dgate)
    }

    fn patches(x: Floats, geometry: Geometry) -> Floats {
        picture::patches(x, geometry)
    }

    fn product(kernel: Floats, x: Floats) -> Floats {
        product::multiply(Self::dense(kernel), Self::dense(x))
    }

    fn product_backward_x(kernel: Floats, dy: Floats) -> Floats {
        product::multiply(product::transposed(Self::dense(kernel)), Self::dense(dy))
    }

    fn product_backward_kernel(x: Floats, dy: Floats) -> Floats {
        product::outer(Self::dense(dy), Self::dense(x))
    }
}

/// Rows and columns of a matrix.
fn sides(x: &CubeTensor) -> [usize; 2] {
    x.shape().dims()
}
