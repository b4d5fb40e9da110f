//! What the stem's window sees.

use crate::kernels::Geometry;

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
