//! One loop for every instruction set: it is written over vectors of whatever width, and compiled
//! for AVX-512, for AVX2 and for processors with neither (the `pulp` crate).

use pulp::{Arch, Simd, WithSimd};

/// Runs `kernel` on the widest vectors that this processor has.
pub(super) fn on_lanes<K: WithSimd>(kernel: K) -> K::Output {
    Arch::new().dispatch(kernel)
}

/// Every instruction set that this processor has, the widest last.
#[cfg(test)]
pub(super) fn instruction_sets() -> Vec<Arch> {
    let mut sets = vec![Arch::Scalar];
    #[cfg(target_arch = "x86_64")]
    {
        sets.extend(pulp::x86::V3::try_new().map(Arch::V3));
        sets.extend(pulp::x86::V4::try_new().map(Arch::V4));
    }
    sets
}

/// Values of one block of a sum: what f32 may add before f64 takes it over.
pub(super) const BLOCK: usize = 2048;

/// `out[i] = f(out[i], a[i])`, a vector at a time and what is left over at the end. It is no
/// function, because a closure would be compiled for every processor alike and call each of its
/// instructions.
macro_rules! update {
    ($simd:expr, $S:ty, $out:expr, $a:expr, |$own:pat_param, $x:ident| $value:expr) => {
        let (out, out_rest) = <$S>::as_mut_simd_f32s($out);
        let (a, a_rest) = <$S>::as_simd_f32s($a);
        for (out, a) in out.iter_mut().zip(a) {
            let ($own, $x) = (*out, *a);
            *out = $value;
        }
        if !out_rest.is_empty() {
            let ($own, $x) = ($simd.partial_load_f32s(out_rest), $simd.partial_load_f32s(a_rest));
            $simd.partial_store_f32s(out_rest, $value);
        }
    };
}
pub(super) use update;

/// Σ a, and Σ (a − shift)²: blocks in f32, their sums in f64.
#[inline(always)]
pub(super) fn sums<S: Simd>(simd: S, a: &[f32], shift: f32) -> (f64, f64) {
    let zero = simd.splat_f32s(0.0);
    let from = simd.splat_f32s(shift);
    let (mut plain, mut squares) = (0.0, 0.0);
    for block in a.chunks(BLOCK) {
        let (vectors, rest) = S::as_simd_f32s(block);
        let (mut here, mut square) = ([zero; 2], [zero; 2]);
        let (pairs, last) = vectors.as_chunks::<2>();
        for pair in pairs {
            for place in 0..2 {
                let apart = simd.sub_f32s(pair[place], from);
                here[place] = simd.add_f32s(here[place], pair[place]);
                square[place] = simd.mul_add_e_f32s(apart, apart, square[place]);
            }
        }
        for vector in last {
            let apart = simd.sub_f32s(*vector, from);
            here[0] = simd.add_f32s(here[0], *vector);
            square[0] = simd.mul_add_e_f32s(apart, apart, square[0]);
        }
        plain += f64::from(simd.reduce_sum_f32s(simd.add_f32s(here[0], here[1])));
        squares += f64::from(simd.reduce_sum_f32s(simd.add_f32s(square[0], square[1])));
        for value in rest {
            plain += f64::from(*value);
            squares += f64::from((value - shift) * (value - shift));
        }
    }
    (plain, squares)
}

/// 1 / (1 + e⁻ˣ) to 2e-7.
///
/// eᵗ = 2ⁿ·e^r with |r| ≤ ½ ln 2 and a polynomial of degree 6 for e^r (Cephes' `expf`).
#[inline(always)]
pub(super) fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    /// Adding and taking away 1.5·2²³ rounds to an integer.
    const ROUND: f32 = 12_582_912.0;
    let one = simd.splat_f32s(1.0);
    let limit = simd.splat_f32s(87.0);
    let t = simd.max_f32s(simd.min_f32s(simd.neg_f32s(x), limit), simd.neg_f32s(limit));
    let round = simd.splat_f32s(ROUND);
    let shifted = simd.mul_add_e_f32s(t, simd.splat_f32s(std::f32::consts::LOG2_E), round);
    let n = simd.sub_f32s(shifted, round);
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-0.693_359_4), t);
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(2.121_944_4e-4), r);
    let mut p = simd.splat_f32s(1.987_569_1e-4);
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_66, 0.5] {
        p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(coefficient));
    }
    let e = simd.add_f32s(simd.mul_add_e_f32s(simd.mul_f32s(p, r), r, r), one);
    let exponent =
        simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    let power = simd.add_u32s(exponent, simd.splat_u32s(0x3f80_0000));
    let power = simd.transmute_f32s_u32s(power);
    simd.div_f32s(one, simd.mul_add_e_f32s(e, power, one))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sigmoids<'a>(&'a [f32], &'a mut [f32]);

    impl WithSimd for Sigmoids<'_> {
        type Output = ();

        fn with_simd<S: Simd>(self, simd: S) {
            update!(simd, S, self.1, self.0, |_, x| sigmoid(simd, x));
        }
    }

    #[test]
    fn the_sigmoid_agrees_with_the_exact_one() {
        let x: Vec<f32> = (-2000..2003).map(|step| step as f32 * 0.05).collect();
        for set in instruction_sets() {
            let mut found = vec![0.0; x.len()];
            set.dispatch(Sigmoids(&x, &mut found));
            for (x, found) in x.iter().zip(&found) {
                let exact = 1.0 / (1.0 + (-f64::from(*x)).exp());
                assert!((f64::from(*found) - exact).abs() < 3e-7, "{set:?}, {x}: {found}");
            }
        }
    }

    struct Sums<'a>(&'a [f32]);

    impl WithSimd for Sums<'_> {
        type Output = (f64, f64);

        fn with_simd<S: Simd>(self, simd: S) -> (f64, f64) {
            sums(simd, self.0, 2.0)
        }
    }

    #[test]
    fn sums_take_what_is_there_and_no_more() {
        for length in [0, 1, 7, 16, 17, 31, 64, 2047, 2048, 2049, 5000] {
            let x: Vec<f32> = (0..length).map(|at| (at % 5) as f32).collect();
            let plain: f64 = x.iter().map(|x| f64::from(*x)).sum();
            let squares: f64 = x.iter().map(|x| f64::from((x - 2.0) * (x - 2.0))).sum();
            for set in instruction_sets() {
                assert_eq!(set.dispatch(Sums(&x)), (plain, squares), "{set:?}, {length}");
            }
        }
    }
}
