//! 16 numbers: AVX-512 F.

use std::arch::x86_64::*;

use super::super::lanes::Lanes;

/// AVX-512 F.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Avx512;

// SAFETY (of every method): the caller's, as the trait says; an intrinsic asks for nothing else.
impl Lanes for Avx512 {
    const WIDTH: usize = 16;
    type V = __m512;

    #[inline(always)]
    unsafe fn splat(number: f32) -> Self::V {
        unsafe { _mm512_set1_ps(number) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, vector: Self::V) {
        unsafe { _mm512_storeu_ps(to, vector) }
    }
    #[inline(always)]
    unsafe fn widen(from: *const i8) -> Self::V {
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast()))) }
    }
    #[inline(always)]
    unsafe fn fetch<T>(from: *const T) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn reciprocal(a: Self::V) -> Self::V {
        unsafe {
            // 14 bits, then one step of Newton's: r · (2 − a·r).
            let rough = _mm512_rcp14_ps(a);
            _mm512_mul_ps(rough, _mm512_fnmadd_ps(a, rough, _mm512_set1_ps(2.0)))
        }
    }
    #[inline(always)]
    unsafe fn power_of_two(a: Self::V) -> (Self::V, Self::V) {
        unsafe {
            let whole =
                _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a);
            (whole, _mm512_scalef_ps(_mm512_set1_ps(1.0), whole))
        }
    }
}
