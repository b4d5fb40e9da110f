//! 8 numbers: AVX2 and FMA.

use std::arch::x86_64::*;

use super::super::lanes::Lanes;

/// AVX2 and FMA.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Avx2;

// SAFETY (of every method): the caller's, as the trait says; an intrinsic asks for nothing else.
impl Lanes for Avx2 {
    const WIDTH: usize = 8;
    type V = __m256;

    #[inline(always)]
    unsafe fn splat(number: f32) -> Self::V {
        unsafe { _mm256_set1_ps(number) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, vector: Self::V) {
        unsafe { _mm256_storeu_ps(to, vector) }
    }
    #[inline(always)]
    unsafe fn widen(from: *const i8) -> Self::V {
        unsafe { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast()))) }
    }
    #[inline(always)]
    unsafe fn fetch<T>(from: *const T) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn reciprocal(a: Self::V) -> Self::V {
        unsafe {
            // 12 bits, then one step of Newton's: r · (2 − a·r).
            let rough = _mm256_rcp_ps(a);
            _mm256_mul_ps(rough, _mm256_fnmadd_ps(a, rough, _mm256_set1_ps(2.0)))
        }
    }
    #[inline(always)]
    unsafe fn power_of_two(a: Self::V) -> (Self::V, Self::V) {
        unsafe {
            let whole = _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a);
            // The exponent's field of a f32 begins at bit 23 and counts from −127.
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127));
            (whole, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
        }
    }
}
