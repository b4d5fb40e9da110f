//! Vectors of f32, one type for each instruction set: what the kernels are written in.

/// A vector type of one instruction set.
///
/// Every kernel is written once over this trait and compiled once for each type that implements it,
/// inside a function that has the set's instructions switched on (`#[target_feature]`, in
/// [`super::isa`]). All methods are inlined into it.
///
/// # Safety
///
/// The methods may be called only on a processor that has the instructions, and the pointers must
/// be good for `WIDTH` numbers (bytes for [`Lanes::widen`]). No alignment is asked for.
pub(super) trait Lanes: Copy {
    /// Numbers in a vector.
    const WIDTH: usize;
    /// The vector.
    type V: Copy;

    /// `WIDTH` equal numbers.
    unsafe fn splat(number: f32) -> Self::V;
    /// Reads a vector.
    unsafe fn load(from: *const f32) -> Self::V;
    /// Writes a vector.
    unsafe fn store(to: *mut f32, vector: Self::V);
    /// Reads a vector of signed bytes as numbers.
    unsafe fn widen(from: *const i8) -> Self::V;
    /// Asks for the cache line at `from`, which need not be memory of ours.
    unsafe fn fetch<T>(from: *const T);
    /// `a · b + c`, rounded once where the processor can.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `a + b`.
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a − b`.
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// `a · b`.
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// The larger, number by number; of a NaN and a number, `b`.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// The smaller, number by number; of a NaN and a number, `b`.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// `1 / a` for normal numbers up to 2^126, to at most 3 units in the last place.
    unsafe fn reciprocal(a: Self::V) -> Self::V;
    /// The nearest whole number, and 2 to its power; for −126 to 127.
    unsafe fn power_of_two(a: Self::V) -> (Self::V, Self::V);
}

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(super) use avx512::Avx512;
pub(super) use portable::Portable;
