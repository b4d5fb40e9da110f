//! The upper halves of the vector registers.

/// Zeroes them. Hand-written AVX code that does not (tract's products) leaves its thread with
/// halves that every later instruction of the older sets has to carry along: what ran after a
/// network on the same thread was measured to take several times as long. (Intel 64 and IA-32
/// Architectures Optimization Reference Manual, "Mixing AVX code with SSE code".)
pub fn clear() {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx") {
        // SAFETY: the processor has the instruction, which touches no memory; no caller keeps
        // anything in these halves, as the calling convention lets no function rely on them.
        unsafe { zero() };
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
fn zero() {
    std::arch::x86_64::_mm256_zeroupper();
}
