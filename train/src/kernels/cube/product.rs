//! The matrix products of a 1×1 convolution: few rows, very many columns.
//!
//! Forward and to the input, the columns are the result's: cubek's matrix product does it, on
//! tensor cores where there are some. To the kernel, the columns are summed away and the result is
//! small: a product made for large results would keep few cubes busy, so ours cuts the columns into
//! parts, a result of each, and sums those.

use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;
use cubek::matmul::definition::{MatmulElems, MatmulGlobalElems};
use cubek::matmul::multi_level::Strategy as Multi;
use cubek::matmul::multi_level::components::tile::TileMatmulKind;
use cubek::matmul::multi_level::routines::batch::simple::SimpleArgs;
use cubek::matmul::routine::BlueprintStrategy;
use cubek::matmul::strategy::Strategy;
use cubek::std::InputBinding;

use super::{BUSY, empty, narrow, sides, sum_parts};

/// The same matrix with rows for columns.
pub(super) fn transposed(mut x: CubeTensor) -> CubeTensor {
    x.meta.swap(0, 1);
    x
}

/// In the order in which they are tried: tensor cores (on NVIDIA both factors are rounded to TF32),
/// then plain units, then one unit a result.
fn strategies() -> [Multi; 3] {
    let args = SimpleArgs { multi_rows: false, tile_matmul: TileMatmulKind::Cmma };
    [
        Multi::SimpleCyclicCmma(BlueprintStrategy::Inferred(args)),
        Multi::SimpleUnit(Default::default()),
        Multi::Naive,
    ]
}

/// `left · right`: `[m, k]`, `[k, n]` → `[m, n]`.
pub(super) fn multiply(left: CubeTensor, right: CubeTensor) -> CubeTensor {
    let ([rows, _], [_, columns]) = (sides(&left), sides(&right));
    let out = empty(&left, [rows, columns]);
    let float = burn::backend::cubecl::dtype_to_storage_type(DType::F32);
    let mut refusals = Vec::new();
    for strategy in strategies() {
        let mut elements =
            MatmulElems::from_globals(&MatmulGlobalElems { lhs: float, rhs: float, out: float });
        let launched = cubek::matmul::launch::launch_ref(
            &Strategy::from(strategy),
            &out.client,
            InputBinding::new(left.clone().binding(), float),
            InputBinding::new(right.clone().binding(), float),
            out.clone().binding(),
            &mut elements,
        );
        match launched {
            Ok(()) => return out,
            Err(refusal) => refusals.push(format!("{refusal:?}")),
        }
    }
    unlaunched(rows, columns, &refusals)
}

/// What is not computed must not be trained on. The last strategy asks for nothing that a card
/// could lack.
#[expect(clippy::panic, reason = "burn's operations have no other way to fail")]
fn unlaunched(rows: usize, columns: usize, refusals: &[String]) -> ! {
    panic!("the card computes no product of {rows} × {columns}: {}", refusals.join("; "))
}

/// Units along each side of a cube.
const SIDE: usize = 16;

/// Columns that a cube holds at once.
const DEPTH: usize = 16;

/// Σ over a part of the columns of `left[r, column] · right[s, column]`: `[m, columns]`,
/// `[n, columns]` → `[parts, m, n]`. A cube makes `16·tall` × `16·wide` results, each unit `tall` ×
/// `wide`; their columns pass through shared memory, `DEPTH` at once.
#[cube(launch)]
fn outer_kernel(
    left: &[f32],
    right: &[f32],
    out: &mut [f32],
    rows: usize,
    columns: usize,
    length: usize,
    chunk: usize,
    #[comptime] tall: usize,
    #[comptime] wide: usize,
    #[comptime] side: usize,
    #[comptime] depth: usize,
) {
    // A gap after each row keeps units of a plane out of each other's banks.
    let left_row = comptime!(side * tall + 1);
    let right_row = comptime!(side * wide + 1);
    let unit = UNIT_POS as usize;
    let unit_x = unit % side;
    let unit_y = unit / side;
    let first_column = CUBE_POS_X as usize * comptime!(side * wide);
    let first_row = CUBE_POS_Y as usize * comptime!(side * tall);
    let part = CUBE_POS_Z as usize;
    let mut end = (part + 1) * chunk;
    if end > length {
        end = length;
    }
    let mut left_shared = Shared::<[f32]>::new_slice(comptime!(depth * (side * tall + 1)));
    let mut right_shared = Shared::<[f32]>::new_slice(comptime!(depth * (side * wide + 1)));
    let mut own = Array::<f32>::new(comptime!(tall * wide));
    #[unroll]
    for result in 0..comptime!(tall * wide) {
        own[result] = 0.0;
    }
    let mut start = part * chunk;
    while start < end {
        // A unit's place along the columns is its `x`, for neighbours to read neighbours.
        let at = start + unit_x;
        #[unroll]
        for turn in 0..tall {
            let row = first_row + turn * side + unit_y;
            let mut value = f32::new(0.0);
            if row < rows && at < end {
                value = left[row * length + at];
            }
            left_shared[unit_x * left_row + turn * side + unit_y] = value;
        }
        #[unroll]
        for turn in 0..wide {
            let column = first_column + turn * side + unit_y;
            let mut value = f32::new(0.0);
            if column < columns && at < end {
                value = right[column * length + at];
            }
            right_shared[unit_x * right_row + turn * side + unit_y] = value;
        }
        sync_cube();
        #[unroll]
        for step in 0..depth {
            let mut seen = Array::<f32>::new(wide);
            #[unroll]
            for x in 0..wide {
                seen[x] = right_shared[step * right_row + x * side + unit_x];
            }
            #[unroll]
            for y in 0..tall {
                let value = left_shared[step * left_row + y * side + unit_y];
                #[unroll]
                for x in 0..wide {
                    own[y * wide + x] += value * seen[x];
                }
            }
        }
        sync_cube();
        start += depth;
    }
    #[unroll]
    for y in 0..tall {
        let row = first_row + y * side + unit_y;
        #[unroll]
        for x in 0..wide {
            let column = first_column + x * side + unit_x;
            if row < rows && column < columns {
                out[(part * rows + row) * columns + column] = own[y * wide + x];
            }
        }
    }
}

/// How many results a unit makes along a side of `length`.
fn each(length: usize) -> usize {
    match length.div_ceil(SIDE) {
        0 | 1 => 1,
        2 => 2,
        _ => 4,
    }
}

/// `left · rightᵀ`: `[m, columns]`, `[n, columns]` → `[m, n]`.
pub(super) fn outer(left: CubeTensor, right: CubeTensor) -> CubeTensor {
    let ([rows, length], [columns, _]) = (sides(&left), sides(&right));
    let (tall, wide) = (each(rows), each(columns));
    let (across, down) = (columns.div_ceil(SIDE * wide), rows.div_ceil(SIDE * tall));
    // A part is no shorter than it takes to pay for its sum.
    let wanted = BUSY.div_ceil(across * down).min(length / (16 * DEPTH)).max(1);
    let chunk = length.div_ceil(wanted).next_multiple_of(DEPTH);
    let parts = length.div_ceil(chunk);
    let out = empty(&left, [parts, rows, columns]);
    let client = left.client.clone();
    outer_kernel::launch(
        &client,
        CubeCount::Static(narrow(across), narrow(down), narrow(parts)),
        CubeDim::new_1d(narrow(SIDE * SIDE)),
        left.into_buffer_arg(),
        right.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        rows,
        columns,
        length,
        chunk,
        tall,
        wide,
        SIDE,
        DEPTH,
    );
    sum_parts(out, parts, [rows, columns])
}
