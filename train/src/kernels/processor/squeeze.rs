//! Pooling over the picture and the gate that comes of it, forward and backward.

use rayon::prelude::*;

/// Mean over the picture: `[channels, positions, batch]` → `[channels, batch]`.
pub(super) fn pool(x: &[f32], channels: usize, batch: usize) -> Vec<f32> {
    let row = x.len() / channels;
    let factor = batch as f32 / row as f32;
    let mut y = vec![0.0; channels * batch];
    y.par_chunks_mut(batch).zip(x.par_chunks(row)).for_each(|(y, x)| {
        for values in x.chunks_exact(batch) {
            for (y, value) in y.iter_mut().zip(values) {
                *y += value * factor;
            }
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

/// The gradient of [`gate`] with respect to the gate; `gradient`, that of its output, becomes that
/// of `x`.
pub(super) fn gate_backward(
    x: &[f32],
    gate: &[f32],
    gradient: &mut [f32],
    channels: usize,
    batch: usize,
) -> Vec<f32> {
    let row = x.len() / channels;
    let mut dgate = vec![0.0; gate.len()];
    gradient
        .par_chunks_mut(row)
        .zip(dgate.par_chunks_mut(batch))
        .zip(x.par_chunks(row))
        .zip(gate.par_chunks(batch))
        .for_each(|(((gradient, dgate), x), gate)| {
            for (gradient, x) in gradient.chunks_exact_mut(batch).zip(x.chunks_exact(batch)) {
                let lanes = gradient.iter_mut().zip(&mut *dgate).zip(x).zip(gate);
                for (((gradient, dgate), x), gate) in lanes {
                    *dgate += *gradient * x;
                    *gradient *= gate;
                }
            }
        });
    dgate
}
