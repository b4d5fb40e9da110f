//! Depthwise convolution, forward and backward. A position's values of all pictures of the batch
//! lie side by side, so a vector never meets the border of a picture.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::lanes::on_lanes;
use crate::kernels::Geometry;

/// Along one axis, what belongs to each coordinate: pairs of a tap and of the coordinate on the
/// other side of the convolution, for the taps that fall inside.
type Axis = Vec<Vec<(usize, usize)>>;

/// A convolution's four axes.
struct Reach {
    /// For every row and column that goes out, where it comes from.
    outward: [Axis; 2],
    /// For every row and column that comes in, where it goes to.
    inward: [Axis; 2],
}

impl Reach {
    fn of(geometry: Geometry) -> Self {
        let (height, width) = geometry.output();
        let ((top, _), (left, _)) = geometry.padding();
        let axis = |inward: usize, outward: usize, before: usize| {
            let (mut from, mut to) = (vec![Vec::new(); outward], vec![Vec::new(); inward]);
            for (place, from) in from.iter_mut().enumerate() {
                for tap in 0..geometry.kernel {
                    let start = place * geometry.stride + tap;
                    if (before..before + inward).contains(&start) {
                        from.push((tap, start - before));
                        to[start - before].push((tap, place));
                    }
                }
            }
            (from, to)
        };
        let (rows_from, rows_to) = axis(geometry.height, height, top);
        let (columns_from, columns_to) = axis(geometry.width, width, left);
        Self { outward: [rows_from, columns_from], inward: [rows_to, columns_to] }
    }
}

/// `out[y, x] = Σ taps · from[their places]`, for one channel.
struct Gather<'a> {
    out: &'a mut [f32],
    from: &'a [f32],
    taps: &'a [f32],
    axes: &'a [Axis; 2],
    /// Columns of `from`.
    width: usize,
    kernel: usize,
    batch: usize,
}

impl Gather<'_> {
    /// `V` vectors of every position, from the picture `first` on.
    #[inline(always)]
    fn block<S: Simd, const V: usize>(&mut self, simd: S, first: usize) {
        let length = V * S::F32_LANES;
        let [rows, columns] = self.axes;
        let mut place = first;
        for row in rows {
            for column in columns {
                let mut sums = [simd.splat_f32s(0.0); V];
                for (down, y) in row {
                    let taps = &self.taps[down * self.kernel..(down + 1) * self.kernel];
                    let line = y * self.width;
                    for (along, x) in column {
                        let start = (line + x) * self.batch + first;
                        let (values, _) = S::as_simd_f32s(&self.from[start..start + length]);
                        let tap = simd.splat_f32s(taps[*along]);
                        for (sum, value) in sums.iter_mut().zip(values) {
                            *sum = simd.mul_add_e_f32s(*value, tap, *sum);
                        }
                    }
                }
                let (out, _) = S::as_mut_simd_f32s(&mut self.out[place..place + length]);
                out.copy_from_slice(&sums);
                place += self.batch;
            }
        }
    }

    /// Fewer pictures than a vector holds.
    #[inline(always)]
    fn rest<S: Simd>(&mut self, simd: S, first: usize) {
        let [rows, columns] = self.axes;
        let mut place = 0;
        for row in rows {
            for column in columns {
                let mut sum = simd.splat_f32s(0.0);
                for (down, y) in row {
                    for (along, x) in column {
                        let start = (y * self.width + x) * self.batch;
                        let values = &self.from[start + first..start + self.batch];
                        let tap = simd.splat_f32s(self.taps[down * self.kernel + along]);
                        sum = simd.mul_add_e_f32s(simd.partial_load_f32s(values), tap, sum);
                    }
                }
                simd.partial_store_f32s(&mut self.out[place + first..place + self.batch], sum);
                place += self.batch;
            }
        }
    }
}

impl WithSimd for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let mut first = 0;
        while first + 4 * S::F32_LANES <= self.batch {
            self.block::<S, 4>(simd, first);
            first += 4 * S::F32_LANES;
        }
        while first + 2 * S::F32_LANES <= self.batch {
            self.block::<S, 2>(simd, first);
            first += 2 * S::F32_LANES;
        }
        while first + S::F32_LANES <= self.batch {
            self.block::<S, 1>(simd, first);
            first += S::F32_LANES;
        }
        if first < self.batch {
            self.rest(simd, first);
        }
    }
}

/// Depthwise convolution. `x`: `[channels, height, width, batch]`; `w`: `[channels, k·k]`.
pub(super) fn depthwise(x: &[f32], w: &[f32], geometry: Geometry, batch: usize) -> Vec<f32> {
    let kernel = geometry.kernel;
    let inward = geometry.height * geometry.width * batch;
    let (height, width) = geometry.output();
    let outward = height * width * batch;
    let reach = Reach::of(geometry);
    let mut y = vec![0.0; w.len() / (kernel * kernel) * outward];
    y.par_chunks_mut(outward)
        .zip(x.par_chunks(inward))
        .zip(w.par_chunks(kernel * kernel))
        .for_each(|((out, from), taps)| {
            let (axes, width) = (&reach.outward, geometry.width);
            on_lanes(Gather { out, from, taps, axes, width, kernel, batch });
        });
    y
}

/// `Σ x · dy` for each tap, of one channel.
struct Correlate<'a> {
    sums: &'a mut [f32],
    x: &'a [f32],
    dy: &'a [f32],
    axes: &'a [Axis; 2],
    /// Columns of `x`.
    width: usize,
    batch: usize,
}

impl Correlate<'_> {
    /// As [`Gather::block`]; `K` is the kernel's width.
    #[inline(always)]
    fn block<S: Simd, const V: usize, const K: usize>(&mut self, simd: S, first: usize) {
        let length = V * S::F32_LANES;
        let [rows, columns] = self.axes;
        let mut line = first;
        for row in rows {
            for (down, y) in row {
                // A line's sums stay in registers.
                let mut sums = [[simd.splat_f32s(0.0); V]; K];
                let mut place = line;
                for column in columns {
                    let (dy, _) = S::as_simd_f32s(&self.dy[place..place + length]);
                    let left = y * self.width;
                    if column.len() == K {
                        let start = (left + column[0].1) * self.batch + first;
                        let x = &self.x[start..start + (K - 1) * self.batch + length];
                        for (along, sums) in sums.iter_mut().enumerate() {
                            let from = along * self.batch;
                            let (x, _) = S::as_simd_f32s(&x[from..from + length]);
                            for lane in 0..V {
                                sums[lane] = simd.mul_add_e_f32s(x[lane], dy[lane], sums[lane]);
                            }
                        }
                    } else {
                        for (along, x) in column {
                            let start = (left + x) * self.batch + first;
                            let (x, _) = S::as_simd_f32s(&self.x[start..start + length]);
                            // A place that only the run knows would put all sums into memory.
                            for along_here in 0..K {
                                if along_here == *along {
                                    let sums = &mut sums[along_here];
                                    for lane in 0..V {
                                        sums[lane] =
                                            simd.mul_add_e_f32s(x[lane], dy[lane], sums[lane]);
                                    }
                                }
                            }
                        }
                    }
                    place += self.batch;
                }
                for (total, sums) in self.sums[down * K..(down + 1) * K].iter_mut().zip(&sums) {
                    for sum in sums {
                        *total += simd.reduce_sum_f32s(*sum);
                    }
                }
            }
            line += columns.len() * self.batch;
        }
    }

    /// Any width of a kernel, and fewer pictures than a vector holds.
    #[inline(always)]
    fn rest<S: Simd>(&mut self, simd: S, first: usize, length: usize) {
        let [rows, columns] = self.axes;
        let kernel = self.sums.len().isqrt();
        let mut line = first;
        for row in rows {
            for (down, y) in row {
                for (number, column) in columns.iter().enumerate() {
                    let place = line + number * self.batch;
                    let dy = simd.partial_load_f32s(&self.dy[place..place + length]);
                    for (along, x) in column {
                        let start = (y * self.width + x) * self.batch + first;
                        let x = simd.partial_load_f32s(&self.x[start..start + length]);
                        self.sums[down * kernel + along] +=
                            simd.reduce_sum_f32s(simd.mul_f32s(x, dy));
                    }
                }
            }
            line += columns.len() * self.batch;
        }
    }

    #[inline(always)]
    fn whole<S: Simd, const K: usize>(mut self, simd: S) {
        let mut first = 0;
        while first + 2 * S::F32_LANES <= self.batch {
            self.block::<S, 2, K>(simd, first);
            first += 2 * S::F32_LANES;
        }
        while first + S::F32_LANES <= self.batch {
            self.block::<S, 1, K>(simd, first);
            first += S::F32_LANES;
        }
        if first < self.batch {
            self.rest(simd, first, self.batch - first);
        }
    }
}

impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        match self.sums.len() {
            9 => self.whole::<S, 3>(simd),
            25 => self.whole::<S, 5>(simd),
            _ => {
                for first in (0..self.batch).step_by(S::F32_LANES) {
                    let length = S::F32_LANES.min(self.batch - first);
                    self.rest(simd, first, length);
                }
            }
        }
    }
}

/// Gradients of [`depthwise`] with respect to `x` and `w`, given that of its output.
pub(super) fn depthwise_backward(
    x: &[f32],
    w: &[f32],
    dy: &[f32],
    geometry: Geometry,
    batch: usize,
) -> (Vec<f32>, Vec<f32>) {
    let kernel = geometry.kernel;
    let inward = geometry.height * geometry.width * batch;
    let (height, width) = geometry.output();
    let outward = height * width * batch;
    let reach = Reach::of(geometry);
    let mut dx = vec![0.0; x.len()];
    let mut dw = vec![0.0; w.len()];
    dx.par_chunks_mut(inward)
        .zip(dw.par_chunks_mut(kernel * kernel))
        .zip(x.par_chunks(inward))
        .zip(w.par_chunks(kernel * kernel))
        .zip(dy.par_chunks(outward))
        .for_each(|((((out, sums), x), taps), dy)| {
            let axes = &reach.inward;
            on_lanes(Gather { out, from: dy, taps, axes, width, kernel, batch });
            let axes = &reach.outward;
            on_lanes(Correlate { sums, x, dy, axes, width: geometry.width, batch });
        });
    (dx, dw)
}

#[cfg(test)]
mod tests {
    use super::super::lanes::instruction_sets;
    use super::*;

    /// Numbers that repeat nowhere near, from -1 to 1.
    fn numbers(count: usize, phase: f32) -> Vec<f32> {
        (0..count).map(|at| (at as f32 * 0.731 + phase).sin()).collect()
    }

    fn close(found: &[f32], wanted: &[f64], what: &str) {
        for (place, (found, wanted)) in found.iter().zip(wanted).enumerate() {
            let apart = (f64::from(*found) - wanted).abs();
            assert!(apart < 2e-5 * (1.0 + wanted.abs()), "{what} at {place}: {found}, {wanted}");
        }
    }

    /// Batches of every mixture of blocks, kernels that have loops of their own and one that has
    /// none.
    #[test]
    fn every_instruction_set_computes_what_the_definition_says() {
        for (kernel, stride, height, width, batch) in [
            (3, 1, 6, 5, 64 + 32 + 16 + 5),
            (5, 1, 4, 7, 117),
            (3, 2, 7, 4, 33),
            (5, 2, 9, 8, 18),
            (5, 1, 1, 2, 1),
            (7, 1, 8, 3, 21),
        ] {
            let geometry = Geometry { kernel, stride, height, width };
            let (rows, columns) = geometry.output();
            let x = numbers(height * width * batch, 0.1);
            let dy = numbers(rows * columns * batch, 0.2);
            let taps = numbers(kernel * kernel, 0.3);
            let mut y = vec![0.0; dy.len()];
            let (mut dx, mut sums) = (vec![0.0; x.len()], vec![0.0; taps.len()]);
            geometry.each(|out, tap, place| {
                for picture in 0..batch {
                    let (out, place) = (out * batch + picture, place * batch + picture);
                    y[out] += f64::from(x[place]) * f64::from(taps[tap]);
                    dx[place] += f64::from(dy[out]) * f64::from(taps[tap]);
                    sums[tap] += f64::from(dy[out]) * f64::from(x[place]);
                }
            });
            let reach = Reach::of(geometry);
            for set in instruction_sets() {
                let what = |name: &str| format!("{name} of {geometry:?}, {batch}, {set:?}");
                let mut found = vec![9.0; y.len()];
                let axes = &reach.outward;
                let (from, taps) = (&*x, &*taps);
                set.dispatch(Gather { out: &mut found, from, taps, axes, width, kernel, batch });
                close(&found, &y, &what("y"));
                let mut found = vec![0.0; sums.len()];
                set.dispatch(Correlate { sums: &mut found, x: &x, dy: &dy, axes, width, batch });
                close(&found, &sums, &what("dw"));
                let mut found = vec![9.0; dx.len()];
                let (axes, width, from) = (&reach.inward, columns, &*dy);
                set.dispatch(Gather { out: &mut found, from, taps, axes, width, kernel, batch });
                close(&found, &dx, &what("dx"));
            }
        }
    }
}
