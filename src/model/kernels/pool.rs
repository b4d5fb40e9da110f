//! Global pooling: one number a channel.

use super::isa::{Isa, dispatched};
use super::lanes::Lanes;
use super::memory::Shape;

/// What is taken of a channel's plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pool {
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
    // SAFETY: the set was found on this processor (`Isa::here`); there are so many vectors to read and to write.
    unsafe { pool_on(isa, &planes) }
}

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
            let mut pooled = L::load(from);
            for pixel in 1..planes.pixels {
                let number = L::load(from.add(pixel * L::WIDTH));
                pooled = match planes.kind {
                    Pool::Max => L::max(pooled, number),
                    Pool::Mean => L::add(pooled, number),
                };
            }
            if planes.kind == Pool::Mean {
                #[allow(clippy::cast_precision_loss)]
                let share = 1.0 / planes.pixels as f32;
                pooled = L::mul(pooled, L::splat(share));
            }
            L::store(planes.to.add(block * L::WIDTH), pooled);
        }
    }
}
