//! SiLU and the logistic function on vectors.

use super::lanes::Lanes;

/// The logistic function is taken for inputs between −30 and 30; beyond, it is within 1e-13 of 0 or 1.
///
/// So little is nothing beside what it is added to. Let through, its products with small weights
/// and activations would fall below f32's normal range, which x86 processors compute slowly.
const MOST: f32 = 30.0;

/// `1 / (1 + exp(−x))`, to 2e-6 of its value (fused sums: 1e-6) or 1e-13. NaN stays NaN.
///
/// `exp(−x)` is `2^n · 2^f` with a whole n and |f| ≤ 1/2 (Cody and Waite), 2^f its polynomial of
/// degree 6 (Taylor's: ln2^k/k!; the remainder is 1.2e-7 at the ends).
#[inline(always)]
pub(super) unsafe fn logistic<L: Lanes>(x: L::V) -> L::V {
    const TAYLOR: [f32; 7] =
        [1.540_353e-4, 1.333_355_8e-3, 9.618_129e-3, 5.550_411e-2, 2.402_265e-1, 6.931_472e-1, 1.0];
    // SAFETY: the caller's.
    unsafe {
        // In this order a NaN stays one.
        let x = L::min(L::splat(MOST), L::max(L::splat(-MOST), x));
        let (whole, power) = L::power_of_two(L::mul(x, L::splat(-std::f32::consts::LOG2_E)));
        let rest = L::fma(x, L::splat(-std::f32::consts::LOG2_E), L::sub(L::splat(0.0), whole));
        let mut exp = L::splat(TAYLOR[0]);
        for coefficient in &TAYLOR[1..] {
            exp = L::fma(exp, rest, L::splat(*coefficient));
        }
        L::reciprocal(L::fma(exp, power, L::splat(1.0)))
    }
}

/// `x / (1 + exp(−x))`: SiLU, Keras' `swish`.
#[inline(always)]
pub(super) unsafe fn silu<L: Lanes>(x: L::V) -> L::V {
    // SAFETY: the caller's.
    unsafe { L::mul(x, logistic::<L>(x)) }
}
