//! The product of a panel of weights and the activations of some pixels at a time, in registers.

use super::activation::silu;
use super::isa::{Isa, Tile, dispatched};
use super::lanes::Lanes;
use super::memory::parts;
use super::panels::{AHEAD, Read};

/// One panel's product.
#[derive(Debug)]
pub(super) struct Product {
    pub(super) tile: Tile,
    pub(super) inputs: usize,
    pub(super) vectors: usize,
    pub(super) weights: Read,
    pub(super) scales: *const f32,
    pub(super) bias: *const f32,
    pub(super) from: *const f32,
    pub(super) from_block: usize,
    pub(super) residual: *const f32,
    pub(super) silu: bool,
    pub(super) to: *mut f32,
    pub(super) to_block: usize,
    pub(super) places: *const u32,
    pub(super) pixels: usize,
}

impl Product {
    /// Computes it.
    ///
    /// # Safety
    ///
    /// This processor has `isa`; `inputs` rows of `vectors` vectors of weights, `vectors` of scales
    /// and bias, `pixels` vectors of each block of `from` and `residual` (unless that is null) may
    /// be read; a vector at each of the `pixels` places, in `vectors` blocks of `to`, may be
    /// written and is read by nobody else meanwhile.
    pub(super) unsafe fn compute(&self, isa: Isa) {
        // SAFETY: the caller's.
        unsafe { product_on(isa, self) }
    }
}

dispatched!(product_on(product: &Product) = all_pixels);

/// All pixels, some at a time.
#[inline(always)]
unsafe fn all_pixels<L: Lanes>(product: &Product) {
    for (pixel, count) in parts(product.pixels, product.tile.pixels[product.vectors - 1]) {
        macro_rules! cases {
            ($($vectors:literal: $($pixels:literal)+;)+) => {
                match (product.vectors, count) {
                    // SAFETY: the caller's; `pixel + count` is at most `pixels`.
                    $($(($vectors, $pixels) => unsafe { tile::<L, $vectors, $pixels>(product, pixel) },)+)+
                    _ => unreachable!("a tile of a size that no set asks for"),
                }
            };
        }
        cases! {
            1: 1 2 3 4 5 6 7 8 9 10 11 12;
            2: 1 2 3 4 5 6 7 8 9 10 11 12;
            3: 1 2 3 4 5 6 7 8 9;
        }
    }
}

/// `PIXELS` pixels from `pixel` on.
#[inline(always)]
unsafe fn tile<L: Lanes, const VECTORS: usize, const PIXELS: usize>(
    product: &Product,
    pixel: usize,
) {
    // SAFETY: the caller's: reads `inputs` · VECTORS vectors of weights, `PIXELS` vectors of each
    // block of inputs (of the last only the channels there are), VECTORS of scales and bias; reads
    // and writes VECTORS · PIXELS of residual and target.
    unsafe {
        let from = product.from.add(pixel * L::WIDTH);
        let sums: [[L::V; VECTORS]; PIXELS] = match product.weights {
            Read::Floats(weights, afar) if afar && pixel == 0 => {
                sums::<L, f32, VECTORS, PIXELS, true>(product, weights, from)
            }
            Read::Floats(weights, _) => {
                sums::<L, f32, VECTORS, PIXELS, false>(product, weights, from)
            }
            Read::Bytes(weights) => sums::<L, i8, VECTORS, PIXELS, true>(product, weights, from),
        };
        for (place, sums) in sums.iter().enumerate() {
            let to = product.to.add(*product.places.add(pixel + place) as usize);
            for (vector, sum) in sums.iter().enumerate() {
                let scale = L::load(product.scales.add(vector * L::WIDTH));
                let mut number = L::fma(*sum, scale, L::load(product.bias.add(vector * L::WIDTH)));
                if product.silu {
                    number = silu::<L>(number);
                }
                if !product.residual.is_null() {
                    let from = product.residual.add(vector * product.from_block);
                    number = L::add(number, L::load(from.add((pixel + place) * L::WIDTH)));
                }
                L::store(to.add(vector * product.to_block), number);
            }
        }
    }
}

/// A weight as it lies in a panel.
trait Weight {
    unsafe fn vector<L: Lanes>(from: *const Self) -> L::V;
}

impl Weight for f32 {
    #[inline(always)]
    unsafe fn vector<L: Lanes>(from: *const Self) -> L::V {
        // SAFETY: the caller's.
        unsafe { L::load(from) }
    }
}

impl Weight for i8 {
    #[inline(always)]
    unsafe fn vector<L: Lanes>(from: *const Self) -> L::V {
        // SAFETY: the caller's.
        unsafe { L::widen(from) }
    }
}

/// The sums over all inputs.
#[inline(always)]
unsafe fn sums<L: Lanes, W: Weight, const VECTORS: usize, const PIXELS: usize, const AFAR: bool>(
    product: &Product,
    mut weights: *const W,
    mut from: *const f32,
) -> [[L::V; VECTORS]; PIXELS] {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [[L::splat(0.0); VECTORS]; PIXELS];
        let mut left = product.inputs;
        while left > 0 {
            let channels = left.min(L::WIDTH);
            for channel in 0..channels {
                let row: [L::V; VECTORS] =
                    std::array::from_fn(|vector| W::vector::<L>(weights.add(vector * L::WIDTH)));
                if AFAR {
                    for vector in 0..VECTORS {
                        L::fetch(weights.wrapping_add(vector * L::WIDTH + AHEAD));
                    }
                }
                weights = weights.add(VECTORS * L::WIDTH);
                for (place, sums) in sums.iter_mut().enumerate() {
                    let number = L::splat(*from.add(place * L::WIDTH + channel));
                    for (sum, weight) in sums.iter_mut().zip(row) {
                        *sum = L::fma(number, weight, *sum);
                    }
                }
            }
            left -= channels;
            from = from.add(product.from_block);
        }
        sums
    }
}
