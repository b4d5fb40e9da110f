//! Batch normalisation with swish, forward and backward, and the moments that it goes by.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::lanes::{BLOCK, on_lanes, sigmoid, sums, update};

/// Each channel's mean and variance (over N, not N − 1): `[2, channels]`.
pub(super) fn moments(x: &[f32], channels: usize) -> Vec<f32> {
    let pairs: Vec<(f32, f32)> =
        x.par_chunks(x.len() / channels).map(|x| on_lanes(Moments { x })).collect();
    pairs.iter().map(|pair| pair.0).chain(pairs.iter().map(|pair| pair.1)).collect()
}

struct Moments<'a> {
    x: &'a [f32],
}

impl WithSimd for Moments<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f32, f32) {
        let count = self.x.len() as f64;
        let mean = (sums(simd, self.x, 0.0).0 / count) as f32;
        let (_, squares) = sums(simd, self.x, mean);
        (mean, (squares / count) as f32)
    }
}

/// One channel's normalisation.
#[derive(Clone, Copy)]
struct Row {
    gamma: f32,
    beta: f32,
    mean: f32,
    inverse: f32,
    swish: bool,
}

fn rows(gamma: &[f32], beta: &[f32], moments: &[f32], epsilon: f64, swish: bool) -> Vec<Row> {
    let channels = gamma.len();
    (0..channels)
        .map(|channel| Row {
            gamma: gamma[channel],
            beta: beta[channel],
            mean: moments[channel],
            inverse: (1.0 / (f64::from(moments[channels + channel]) + epsilon).sqrt()) as f32,
            swish,
        })
        .collect()
}

/// Batch normalisation by the given moments, then swish where asked.
pub(super) fn normalise(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    moments: &[f32],
    epsilon: f64,
    swish: bool,
) -> Vec<f32> {
    let length = x.len() / gamma.len();
    let mut y = vec![0.0; x.len()];
    y.par_chunks_mut(length)
        .zip(x.par_chunks(length))
        .zip(rows(gamma, beta, moments, epsilon, swish))
        .for_each(|((y, x), row)| on_lanes(Forward { y, x, row }));
    y
}

struct Forward<'a> {
    y: &'a mut [f32],
    x: &'a [f32],
    row: Row,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { y, x, row } = self;
        let scale = row.gamma * row.inverse;
        let shift = simd.splat_f32s(row.beta - row.mean * scale);
        let scale = simd.splat_f32s(scale);
        if row.swish {
            update!(simd, S, y, x, |_, x| {
                let z = simd.mul_add_e_f32s(x, scale, shift);
                simd.mul_f32s(z, sigmoid(simd, z))
            });
        } else {
            update!(simd, S, y, x, |_, x| simd.mul_add_e_f32s(x, scale, shift));
        }
    }
}

/// Gradients of [`normalise`] with respect to `gamma` and `beta`, the moments being those of `x`
/// itself; `gradient`, that of its output, becomes that of `x`.
pub(super) fn normalise_backward(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    moments: &[f32],
    epsilon: f64,
    swish: bool,
    gradient: &mut [f32],
) -> (Vec<f32>, Vec<f32>) {
    let length = x.len() / gamma.len();
    let sums: Vec<(f32, f32)> = gradient
        .par_chunks_mut(length)
        .zip(x.par_chunks(length))
        .zip(rows(gamma, beta, moments, epsilon, swish))
        .map(|((gradient, x), row)| on_lanes(Back { gradient, x, row }))
        .collect();
    sums.into_iter().unzip()
}

struct Back<'a> {
    gradient: &'a mut [f32],
    x: &'a [f32],
    row: Row,
}

impl WithSimd for Back<'_> {
    /// The gradients of gamma and of beta.
    type Output = (f32, f32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f32, f32) {
        let Self { gradient, x, row } = self;
        let length = x.len() as f64;
        let inverse = simd.splat_f32s(row.inverse);
        let offset = simd.splat_f32s(-row.mean * row.inverse);
        let gamma = simd.splat_f32s(row.gamma);
        let beta = simd.splat_f32s(row.beta);
        let one = simd.splat_f32s(1.0);
        // Blocks stay in the cache between what writes them and what adds them up.
        let (mut total, mut along) = (0.0, 0.0);
        for (gradient, x) in gradient.chunks_mut(BLOCK).zip(x.chunks(BLOCK)) {
            if row.swish {
                update!(simd, S, gradient, x, |dy, x| {
                    let z = simd.mul_add_e_f32s(x, inverse, offset);
                    let z = simd.mul_add_e_f32s(z, gamma, beta);
                    let s = sigmoid(simd, z);
                    let slope = simd.mul_add_e_f32s(z, simd.sub_f32s(one, s), one);
                    simd.mul_f32s(dy, simd.mul_f32s(s, slope))
                });
            }
            let (block, product) = products(simd, gradient, x);
            total += block;
            along += product;
        }
        let along = (along - f64::from(row.mean) * total) * f64::from(row.inverse);
        let outer = simd.splat_f32s(row.gamma * row.inverse);
        // dx = outer · (dz − total / n − (x · inverse + offset) · along / n)
        let slope = along / length;
        let constant = total / length - f64::from(row.mean * row.inverse) * slope;
        let (constant, slope) = (constant as f32, (slope * f64::from(row.inverse)) as f32);
        let (constant, slope) = (simd.splat_f32s(-constant), simd.splat_f32s(-slope));
        update!(simd, S, gradient, x, |dz, x| {
            let rest = simd.mul_add_e_f32s(x, slope, constant);
            simd.mul_f32s(outer, simd.add_f32s(dz, rest))
        });
        (along as f32, total as f32)
    }
}

/// Σ a and Σ a·b of one block.
#[inline(always)]
fn products<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> (f64, f64) {
    let zero = simd.splat_f32s(0.0);
    let (a, a_rest) = S::as_simd_f32s(a);
    let (b, b_rest) = S::as_simd_f32s(b);
    let (mut plain, mut products) = ([zero; 2], [zero; 2]);
    let ((a, a_last), (b, b_last)) = (a.as_chunks::<2>(), b.as_chunks::<2>());
    for (a, b) in a.iter().zip(b) {
        for place in 0..2 {
            plain[place] = simd.add_f32s(plain[place], a[place]);
            products[place] = simd.mul_add_e_f32s(a[place], b[place], products[place]);
        }
    }
    for (a, b) in a_last.iter().zip(b_last) {
        plain[0] = simd.add_f32s(plain[0], *a);
        products[0] = simd.mul_add_e_f32s(*a, *b, products[0]);
    }
    let (a, b) = (simd.partial_load_f32s(a_rest), simd.partial_load_f32s(b_rest));
    plain[0] = simd.add_f32s(plain[0], a);
    products[0] = simd.mul_add_e_f32s(a, b, products[0]);
    let plain = simd.reduce_sum_f32s(simd.add_f32s(plain[0], plain[1]));
    let products = simd.reduce_sum_f32s(simd.add_f32s(products[0], products[1]));
    (f64::from(plain), f64::from(products))
}

#[cfg(test)]
mod tests {
    use super::super::lanes::instruction_sets;
    use super::*;

    /// Gradients against differences of the function itself in f64, for a channel of 2,065 values:
    /// a whole block, whole vectors, and some that are left over.
    #[test]
    fn every_instruction_set_computes_what_the_definition_says() {
        let x: Vec<f32> = (0..2065).map(|at| (at as f32 * 0.731).sin() * 2.0 + 0.7).collect();
        let dy: Vec<f32> = (0..2065).map(|at| (at as f32 * 0.377).cos()).collect();
        let (gamma, beta, epsilon) = (1.3_f32, -0.2_f32, 1e-3);
        let count = x.len() as f64;
        // Σ dy · y as a function of one x, of gamma or of beta.
        let loss = |x: &[f64], gamma: f64, beta: f64, swish: bool| -> f64 {
            let mean = x.iter().sum::<f64>() / count;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
            let each = x.iter().zip(&dy).map(|(x, dy)| {
                let z = (x - mean) / (variance + epsilon).sqrt() * gamma + beta;
                f64::from(*dy) * if swish { z / (1.0 + (-z).exp()) } else { z }
            });
            each.sum()
        };
        let wide: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
        let (wide_gamma, wide_beta) = (f64::from(gamma), f64::from(beta));
        for swish in [false, true] {
            for set in instruction_sets() {
                let (mean, variance) = set.dispatch(Moments { x: &x });
                let mut y = vec![9.0; x.len()];
                let row = rows(&[gamma], &[beta], &[mean, variance], epsilon, swish)[0];
                set.dispatch(Forward { y: &mut y, x: &x, row });
                let found: f64 = y.iter().zip(&dy).map(|(y, dy)| f64::from(y * dy)).sum();
                let wanted = loss(&wide, wide_gamma, wide_beta, swish);
                assert!((found - wanted).abs() < 1e-3, "{set:?}: {found}, {wanted}");
                let mut gradient = dy.clone();
                let (along, total) = set.dispatch(Back { gradient: &mut gradient, x: &x, row });
                let step = 1e-4;
                let slope = |up: f64, down: f64| (up - down) / (2.0 * step);
                let gammas = slope(
                    loss(&wide, wide_gamma + step, wide_beta, swish),
                    loss(&wide, wide_gamma - step, wide_beta, swish),
                );
                let betas = slope(
                    loss(&wide, wide_gamma, wide_beta + step, swish),
                    loss(&wide, wide_gamma, wide_beta - step, swish),
                );
                assert!((f64::from(along) - gammas).abs() < 2e-3, "{set:?}: {along}, {gammas}");
                assert!((f64::from(total) - betas).abs() < 2e-3, "{set:?}: {total}, {betas}");
                for place in [0, 1, 700, 2047, 2048, 2063, 2064] {
                    let moved = |by: f64| {
                        let mut moved = wide.clone();
                        moved[place] += by;
                        loss(&moved, wide_gamma, wide_beta, swish)
                    };
                    let wanted = slope(moved(step), moved(-step));
                    let found = f64::from(gradient[place]);
                    assert!((found - wanted).abs() < 1e-4, "{set:?}, {place}: {found}, {wanted}");
                }
            }
        }
    }
}
