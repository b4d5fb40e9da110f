//! 8 numbers in plain Rust: for processors whose vectors leukd does not know.

use super::super::lanes::Lanes;

/// Plain Rust; the compiler uses what vectors the target has.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Portable;

#[inline(always)]
fn each(with: impl Fn(usize) -> f32) -> [f32; 8] {
    std::array::from_fn(with)
}

// SAFETY (of `load`, `store` and `widen`): the caller's pointer is good for 8 numbers, as the trait
// says. The other methods are safe.
impl Lanes for Portable {
    const WIDTH: usize = 8;
    type V = [f32; 8];

    #[inline(always)]
    unsafe fn splat(number: f32) -> Self::V {
        [number; 8]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, vector: Self::V) {
        unsafe { to.cast::<[f32; 8]>().write_unaligned(vector) }
    }
    #[inline(always)]
    unsafe fn widen(from: *const i8) -> Self::V {
        unsafe { from.cast::<[i8; 8]>().read_unaligned() }.map(f32::from)
    }
    #[inline(always)]
    unsafe fn fetch<T>(from: *const T) {
        let _ = from;
    }
    // `f32::mul_add` is a call of a library function where there is no instruction: rounded twice,
    // and fast.
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        each(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        each(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        each(|i| a[i] - b[i])
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        each(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        each(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        each(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn reciprocal(a: Self::V) -> Self::V {
        each(|i| 1.0 / a[i])
    }
    #[inline(always)]
    unsafe fn power_of_two(a: Self::V) -> (Self::V, Self::V) {
        // Added to a number below 2^22, this leaves the nearest whole number in the low bits
        // (Hecker's trick).
        const MAGIC: f32 = 12_582_912.0;
        let shifted = each(|i| a[i] + MAGIC);
        let whole = each(|i| shifted[i] - MAGIC);
        let power = each(|i| f32::from_bits(shifted[i].to_bits().wrapping_add(127) << 23));
        (whole, power)
    }
}
