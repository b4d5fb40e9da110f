//! Global pooling: one number a channel.

use super::isa::{Isa, dispatched};
use super::lanes::Lanes;
use super::memory::{Shape, parts};

/// What is taken of a channel's plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// Its greatest number.
    Max,
    /// Its mean.
    Mean,
}

/// `from`, blocked, of `shape` → `to`, a vector for each block of channels.
pub(super) fn pool(isa: Isa, kind: Pool, from: &[f32], shape: Shape, to: &mut [f32]) {
    let (blocks, width) = (shape.blocks(isa), isa.width());
    assert!(shape.pixels() > 0 && from.len() >= shape.blocked(isa) && to.len() >= blocks * width);
    let pixels = shape.pixels();
    let planes = Planes { kind, from: from.as_ptr(), blocks, pixels, to: to.as_mut_ptr() };
    // SAFETY: an `Isa` was found on this processor; there are so many vectors to read and to write.
    unsafe { pool_on(isa, &planes) }
}

/// So many numbers are summed before the sums are: a long sum swallows what is small beside it.
const TOGETHER: usize = 64;

struct Planes {
    kind: Pool,
    from: *const f32,
    blocks: usize,
    pixels: usize,
    to: *mut f32,
}

dispatched!(pool_on(planes: &Planes) = all_planes);

#[inline(always)]
unsafe fn all_planes<L: Lanes>(planes: &Planes) {
    for block in 0..planes.blocks {
        // SAFETY: the caller's.
        unsafe {
            let from = planes.from.add(block * planes.pixels * L::WIDTH);
            // `max` forgets what is no number: 0 times each number is 0, but of a NaN or an
            // infinity it is NaN.
            let mut seen = L::splat(0.0);
            let mut pooled = match planes.kind {
                Pool::Max => L::load(from),
                Pool::Mean => L::splat(0.0),
            };
            for (first, count) in parts(planes.pixels, TOGETHER) {
                let mut sum = L::splat(0.0);
                for pixel in first..first + count {
                    let number = L::load(from.add(pixel * L::WIDTH));
                    match planes.kind {
                        Pool::Max => {
                            pooled = L::max(pooled, number);
                            seen = L::fma(number, L::splat(0.0), seen);
                        }
                        Pool::Mean => sum = L::add(sum, number),
                    }
                }
                if planes.kind == Pool::Mean {
                    pooled = L::add(pooled, sum);
                }
            }
            pooled = L::add(pooled, seen);
            if planes.kind == Pool::Mean {
                #[allow(clippy::cast_precision_loss)]
                let share = 1.0 / planes.pixels as f32;
                pooled = L::mul(pooled, L::splat(share));
            }
            L::store(planes.to.add(block * L::WIDTH), pooled);
        }
    }
}
