//! The loops, over plain slices.

use rayon::prelude::*;

/// A window that slides over a picture with TensorFlow's "same" padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Width and height of the window.
    pub kernel: usize,
    /// Step of the window.
    pub stride: usize,
    /// Rows that come in.
    pub height: usize,
    /// Columns that come in.
    pub width: usize,
}

impl Geometry {
    /// Rows and columns that go out: the ceiling of what comes in over the stride.
    #[must_use]
    pub fn output(&self) -> (usize, usize) {
        (self.height.div_ceil(self.stride), self.width.div_ceil(self.stride))
    }

    /// Zeros before the first row and column, and after the last ones: TensorFlow's "same" puts
    /// the odd one at the end.
    #[must_use]
    pub fn padding(&self) -> ((usize, usize), (usize, usize)) {
        let pad = |inward: usize, outward: usize| {
            let total = ((outward - 1) * self.stride + self.kernel).saturating_sub(inward);
            (total / 2, total - total / 2)
        };
        let (height, width) = self.output();
        (pad(self.height, height), pad(self.width, width))
    }

    /// Calls `visit(output position, tap, input position)` for every tap that falls inside.
    #[inline(always)]
    fn each(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let (out_height, out_width) = self.output();
        let ((top, _), (left, _)) = self.padding();
        let inside = |start: usize, before: usize, length: usize| {
            before.saturating_sub(start)..self.kernel.min((length + before).saturating_sub(start))
        };
        for y in 0..out_height {
            let start_y = y * self.stride;
            for x in 0..out_width {
                let start_x = x * self.stride;
                let out = y * out_width + x;
                let columns = inside(start_x, left, self.width);
                for ky in inside(start_y, top, self.height) {
                    let row = (start_y + ky - top) * self.width;
                    for kx in columns.clone() {
                        visit(out, ky * self.kernel + kx, row + start_x + kx - left);
                    }
                }
            }
        }
    }
}

/// How many values the inner loops treat at once.
const LANES: usize = 8;

fn add_scaled(out: &mut [f32], values: &[f32], factor: f32) {
    for (out, value) in out.iter_mut().zip(values) {
        *out += value * factor;
    }
}

/// Σ a·b, in [`LANES`] sums so that the order is fixed and the loop vectorises.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// Depthwise convolution. `x`: `[channels, height, width, batch]`; `w`: `[channels, k·k]`.
pub(super) fn depthwise(x: &[f32], w: &[f32], geometry: Geometry, batch: usize) -> Vec<f32> {
    let taps = geometry.kernel * geometry.kernel;
    let inward = geometry.height * geometry.width * batch;
    let (height, width) = geometry.output();
    let outward = height * width * batch;
    let mut y = vec![0.0; w.len() / taps * outward];
    y.par_chunks_mut(outward).zip(x.par_chunks(inward)).zip(w.par_chunks(taps)).for_each(
        |((y, x), w)| {
            geometry.each(|out, tap, position| {
                add_scaled(
                    &mut y[out * batch..(out + 1) * batch],
                    &x[position * batch..(position + 1) * batch],
                    w[tap],
                );
            });
        },
    );
    y
}

/// Gradients of [`depthwise`] with respect to `x` and `w`, given that of its output.
pub(super) fn depthwise_backward(
    x: &[f32],
    w: &[f32],
    dy: &[f32],
    geometry: Geometry,
    batch: usize,
) -> (Vec<f32>, Vec<f32>) {
    let taps = geometry.kernel * geometry.kernel;
    let inward = geometry.height * geometry.width * batch;
    let (height, width) = geometry.output();
    let outward = height * width * batch;
    let mut dx = vec![0.0; x.len()];
    let mut dw = vec![0.0; w.len()];
    dx.par_chunks_mut(inward)
        .zip(dw.par_chunks_mut(taps))
        .zip(x.par_chunks(inward))
        .zip(w.par_chunks(taps))
        .zip(dy.par_chunks(outward))
        .for_each(|((((dx, dw), x), w), dy)| {
            let mut sums = vec![[0.0_f32; LANES]; taps];
            geometry.each(|out, tap, position| {
                let dy = &dy[out * batch..(out + 1) * batch];
                let x = &x[position * batch..(position + 1) * batch];
                let dx = &mut dx[position * batch..(position + 1) * batch];
                let (factor, sums) = (w[tap], &mut sums[tap]);
                let (dx, dx_rest) = dx.as_chunks_mut::<LANES>();
                let (x, x_rest) = x.as_chunks::<LANES>();
                let (dy, dy_rest) = dy.as_chunks::<LANES>();
                for ((dx, x), dy) in dx.iter_mut().zip(x).zip(dy) {
                    for lane in 0..LANES {
                        dx[lane] += dy[lane] * factor;
                        sums[lane] += dy[lane] * x[lane];
                    }
                }
                for ((dx, x), dy) in dx_rest.iter_mut().zip(x_rest).zip(dy_rest) {
                    *dx += dy * factor;
                    sums[0] += dy * x;
                }
            });
            for (dw, sums) in dw.iter_mut().zip(&sums) {
                *dw = sums.iter().sum();
            }
        });
    (dx, dw)
}

/// Each channel's mean and variance (over N, not N − 1): `[2, channels]`.
pub(super) fn moments(x: &[f32], channels: usize) -> Vec<f32> {
    let row = x.len() / channels;
    let pairs: Vec<(f32, f32)> = x
        .par_chunks(row)
        .map(|x| {
            let mean = sum(x, |value| value) / row as f64;
            let shift = mean as f32;
            let variance = sum(x, |value| (value - shift) * (value - shift)) / row as f64;
            (shift, variance as f32)
        })
        .collect();
    pairs.iter().map(|pair| pair.0).chain(pairs.iter().map(|pair| pair.1)).collect()
}

/// Σ f(x): blocks in f32, their sums in f64.
fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f64 {
    const BLOCK: usize = 1024;
    x.chunks(BLOCK)
        .map(|block| {
            let (lanes, rest) = block.as_chunks::<LANES>();
            let mut sums = [0.0_f32; LANES];
            for values in lanes {
                for lane in 0..LANES {
                    sums[lane] += f(values[lane]);
                }
            }
            let rest: f32 = rest.iter().map(|value| f(*value)).sum();
            f64::from(sums.iter().sum::<f32>() + rest)
        })
        .sum()
}

/// 1 / (1 + e⁻ˣ) to 2e-7, without a call, so that loops over it vectorise.
///
/// eᵗ = 2ⁿ·e^r with |r| ≤ ½ ln 2 and a polynomial of degree 6 for e^r (Cephes' `expf`).
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    /// Adding and taking away 1.5·2²³ rounds to an integer.
    const ROUND: f32 = 12_582_912.0;
    let t = (-x).clamp(-87.0, 87.0);
    let shifted = t * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = t - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4_f32;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 0.166_666_66;
    let p = p * r + 0.5;
    let e = p * r * r + r + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    1.0 / (1.0 + e * power)
}

/// One channel's normalisation.
struct Row {
    gamma: f32,
    beta: f32,
    mean: f32,
    inverse: f32,
}

fn rows(gamma: &[f32], beta: &[f32], moments: &[f32], epsilon: f64) -> Vec<Row> {
    let channels = gamma.len();
    (0..channels)
        .map(|channel| Row {
            gamma: gamma[channel],
            beta: beta[channel],
            mean: moments[channel],
            inverse: (1.0 / (f64::from(moments[channels + channel]) + epsilon).sqrt()) as f32,
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
        .zip(rows(gamma, beta, moments, epsilon))
        .for_each(|((y, x), row)| {
            let scale = row.gamma * row.inverse;
            let shift = row.beta - row.mean * scale;
            for (y, x) in y.iter_mut().zip(x) {
                let z = x * scale + shift;
                *y = if swish { z * sigmoid(z) } else { z };
            }
        });
    y
}

/// Gradients of [`normalise`] with respect to `x`, `gamma` and `beta`, the moments being those of
/// `x` itself.
pub(super) fn normalise_backward(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    moments: &[f32],
    epsilon: f64,
    swish: bool,
    dy: &[f32],
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let length = x.len() / gamma.len();
    let mut dx = vec![0.0; x.len()];
    let sums: Vec<(f32, f32)> = dx
        .par_chunks_mut(length)
        .zip(x.par_chunks(length))
        .zip(dy.par_chunks(length))
        .zip(rows(gamma, beta, moments, epsilon))
        .map(|(((dx, x), dy), row)| {
            let offset = -row.mean * row.inverse;
            for ((dx, x), dy) in dx.iter_mut().zip(x).zip(dy) {
                let z = (x * row.inverse + offset) * row.gamma + row.beta;
                let s = sigmoid(z);
                *dx = if swish { dy * s * (1.0 + z * (1.0 - s)) } else { *dy };
            }
            let total = sum(dx, |value| value) as f32;
            let raw = dot_wide(dx, x);
            let along =
                ((raw - f64::from(row.mean) * f64::from(total)) * f64::from(row.inverse)) as f32;
            let outer = row.gamma * row.inverse;
            let constant = total / length as f32;
            let slope = along / length as f32;
            for (dx, x) in dx.iter_mut().zip(x) {
                *dx = outer * (*dx - constant - (x * row.inverse + offset) * slope);
            }
            (along, total)
        })
        .collect();
    let (dgamma, dbeta) = sums.into_iter().unzip();
    (dx, dgamma, dbeta)
}

/// Σ a·b: blocks in f32, their sums in f64.
fn dot_wide(a: &[f32], b: &[f32]) -> f64 {
    const BLOCK: usize = 1024;
    a.chunks(BLOCK).zip(b.chunks(BLOCK)).map(|(a, b)| f64::from(dot(a, b))).sum()
}

/// Mean over the picture: `[channels, positions, batch]` → `[channels, batch]`.
pub(super) fn pool(x: &[f32], channels: usize, batch: usize) -> Vec<f32> {
    let row = x.len() / channels;
    let factor = batch as f32 / row as f32;
    let mut y = vec![0.0; channels * batch];
    y.par_chunks_mut(batch).zip(x.par_chunks(row)).for_each(|(y, x)| {
        for values in x.chunks_exact(batch) {
            add_scaled(y, values, factor);
        }
    });
    y
}

/// Gradient of [`pool`]: spreads `dy` over `positions`.
pub(super) fn pool_backward(dy: &[f32], positions: usize, batch: usize) -> Vec<f32> {
    let factor = 1.0 / positions as f32;
    let mut dx = vec![0.0; dy.len() * positions];
    dx.par_chunks_mut(positions * batch).zip(dy.par_chunks(batch)).for_each(|(dx, dy)| {
        for values in dx.chunks_exact_mut(batch) {
            for (dx, dy) in values.iter_mut().zip(dy) {
                *dx = dy * factor;
            }
        }
    });
    dx
}

/// `x[c, p, b] · gate[c, b]`.
pub(super) fn gate(x: &[f32], gate: &[f32], channels: usize, batch: usize) -> Vec<f32> {
    let row = x.len() / channels;
    let mut y = vec![0.0; x.len()];
    y.par_chunks_mut(row).zip(x.par_chunks(row)).zip(gate.par_chunks(batch)).for_each(
        |((y, x), gate)| {
            for (y, x) in y.chunks_exact_mut(batch).zip(x.chunks_exact(batch)) {
                for ((y, x), gate) in y.iter_mut().zip(x).zip(gate) {
                    *y = x * gate;
                }
            }
        },
    );
    y
}

/// Gradients of [`gate`] with respect to `x` and to the gate.
pub(super) fn gate_backward(
    x: &[f32],
    gate: &[f32],
    dy: &[f32],
    channels: usize,
    batch: usize,
) -> (Vec<f32>, Vec<f32>) {
    let row = x.len() / channels;
    let mut dx = vec![0.0; x.len()];
    let mut dgate = vec![0.0; gate.len()];
    dx.par_chunks_mut(row)
        .zip(dgate.par_chunks_mut(batch))
        .zip(x.par_chunks(row))
        .zip(gate.par_chunks(batch))
        .zip(dy.par_chunks(row))
        .for_each(|((((dx, dgate), x), gate), dy)| {
            let places = dx.chunks_exact_mut(batch);
            for ((dx, x), dy) in places.zip(x.chunks_exact(batch)).zip(dy.chunks_exact(batch)) {
                for lane in 0..batch {
                    dx[lane] = dy[lane] * gate[lane];
                    dgate[lane] += dy[lane] * x[lane];
                }
            }
        });
    (dx, dgate)
}

/// What a sliding window sees: `x` `[channels, height, width, batch]` →
/// `[channels·k·k, out height, out width, batch]`, zeros outside.
pub(super) fn patches(x: &[f32], geometry: Geometry, batch: usize) -> Vec<f32> {
    let taps = geometry.kernel * geometry.kernel;
    let inward = geometry.height * geometry.width * batch;
    let (height, width) = geometry.output();
    let outward = height * width * batch;
    let mut y = vec![0.0; x.len() / inward * taps * outward];
    for (y, x) in y.chunks_exact_mut(taps * outward).zip(x.chunks_exact(inward)) {
        geometry.each(|out, tap, position| {
            let place = tap * outward + out * batch;
            y[place..place + batch].copy_from_slice(&x[position * batch..(position + 1) * batch]);
        });
    }
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sigmoid_agrees_with_the_exact_one() {
        for step in -2000..2000 {
            let x = step as f32 * 0.05;
            let exact = 1.0 / (1.0 + (-f64::from(x)).exp());
            assert!((f64::from(sigmoid(x)) - exact).abs() < 3e-7, "{x}: {}", sigmoid(x));
        }
    }

    #[test]
    fn padding_is_tensorflows_same() {
        let geometry =
            |kernel, stride, side| Geometry { kernel, stride, height: side, width: side };
        assert_eq!(geometry(3, 2, 224).padding().0, (0, 1));
        assert_eq!(geometry(5, 2, 56).padding().0, (1, 2));
        assert_eq!(geometry(3, 2, 7).padding().0, (1, 1));
        assert_eq!(geometry(5, 1, 4).padding().0, (2, 2));
        assert_eq!(geometry(3, 2, 7).output(), (4, 4));
    }
}
