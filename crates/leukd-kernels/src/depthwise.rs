//! Depthwise convolution with SiLU, and each channel's mean on the way.

use super::activation::silu;
use super::isa::{Isa, dispatched};
use super::lanes::Lanes;
use super::memory::{Buffer, parts};

/// The most neighbouring outputs that one pass over the window computes.
const OUTPUTS: usize = 8;

/// The weights of a depthwise convolution, with their bias: `[blocks][side · side][L]`.
#[derive(Debug, Clone)]
pub(super) struct Depthwise {
    isa: Isa,
    window: Window,
    weights: Buffer,
    bias: Buffer,
}

/// A square window and its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// 3 or 5.
    pub side: usize,
    /// 1 or 2.
    pub stride: usize,
}

impl Window {
    /// Whether there is a kernel for it.
    #[must_use]
    pub const fn is_known(self) -> bool {
        matches!((self.side, self.stride), (3 | 5, 1 | 2))
    }
}

/// A plane with its border of zeros, and what a window makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Planes {
    /// Rows and columns, border included.
    pub(super) padded: [usize; 2],
    /// Rows and columns of the output.
    pub(super) output: [usize; 2],
}

impl Depthwise {
    /// `weights` is `[channels][side][side]`, `bias` one number a channel.
    pub(super) fn new(isa: Isa, weights: &[f32], bias: &[f32], window: Window) -> Self {
        let (width, channels, taps) = (isa.width(), bias.len(), window.side * window.side);
        assert!(
            window.is_known() && weights.len() == channels * taps,
            "weights are [channels][side][side]"
        );
        let blocks = channels.div_ceil(width);
        let mut packed = Buffer::zeros(blocks * taps * width);
        for (channel, taps_of) in weights.chunks_exact(taps).enumerate() {
            let block = &mut packed.as_mut_slice()[channel / width * taps * width..];
            for (tap, weight) in taps_of.iter().enumerate() {
                block[tap * width + channel % width] = *weight;
            }
        }
        let mut padded = Buffer::zeros(blocks * width);
        padded.as_mut_slice()[..channels].copy_from_slice(bias);
        Self { isa, window, weights: packed, bias: padded }
    }

    /// Blocks `first` to `first + count` of the channels: `from` holds just these, padded, `to`
    /// takes them; `means` takes the mean of each of their channels over the output.
    pub(super) fn run(
        &self,
        (first, count): (usize, usize),
        planes: Planes,
        from: &[f32],
        to: &mut [f32],
        means: &mut [f32],
    ) {
        let width = self.isa.width();
        let Planes { padded, output } = planes;
        let Window { side, stride } = self.window;
        assert!(
            output
                .iter()
                .zip(padded)
                .all(|(out, from)| *out > 0 && (out - 1) * stride + side <= from)
        );
        assert!(from.len() >= count * padded[0] * padded[1] * width);
        assert!(to.len() >= count * output[0] * output[1] * width && means.len() >= count * width);
        let taps = side * side * width;
        assert!((first + count) * taps <= self.weights.as_slice().len());
        for block in 0..count {
            let pass = Pass {
                window: self.window,
                planes,
                weights: self.weights.as_slice()[(first + block) * taps..].as_ptr(),
                bias: self.bias.as_slice()[(first + block) * width..].as_ptr(),
                from: from[block * padded[0] * padded[1] * width..].as_ptr(),
                to: to[block * output[0] * output[1] * width..].as_mut_ptr(),
                mean: means[block * width..].as_mut_ptr(),
            };
            // SAFETY: an `Isa` was found on this processor; the assertions bound a block's window,
            // planes and mean.
            unsafe { pass_on(self.isa, &pass) }
        }
    }
}

/// One block of channels, for the kernels.
struct Pass {
    window: Window,
    planes: Planes,
    weights: *const f32,
    bias: *const f32,
    from: *const f32,
    to: *mut f32,
    mean: *mut f32,
}

dispatched!(pass_on(pass: &Pass) = windows);

/// A pass with the window's size known to the compiler.
#[inline(always)]
unsafe fn windows<L: Lanes>(pass: &Pass) {
    // SAFETY: the caller's.
    unsafe {
        match (pass.window.side, pass.window.stride) {
            (3, 1) => plane::<L, 3, 1>(pass),
            (3, 2) => plane::<L, 3, 2>(pass),
            (5, 1) => plane::<L, 5, 1>(pass),
            (5, 2) => plane::<L, 5, 2>(pass),
            _ => unreachable!("a window without a kernel"),
        }
    }
}

#[inline(always)]
unsafe fn plane<L: Lanes, const SIDE: usize, const STRIDE: usize>(pass: &Pass) {
    let Planes { padded: [_, columns], output: [rows, outputs] } = pass.planes;
    // SAFETY: the caller's: windows of outputs below `rows` × `outputs` lie in the padded plane.
    unsafe {
        let mut sum = L::splat(0.0);
        for row in 0..rows {
            // Row by row: a long sum swallows what is small beside it.
            let mut of_row = L::splat(0.0);
            let from = pass.from.add(row * STRIDE * columns * L::WIDTH);
            let to = pass.to.add(row * outputs * L::WIDTH);
            for (first, count) in parts(outputs, OUTPUTS) {
                let from = from.add(first * STRIDE * L::WIDTH);
                let to = to.add(first * L::WIDTH);
                macro_rules! cases {
                    ($($outputs:literal)+) => {
                        match count {
                            $($outputs => some::<L, SIDE, STRIDE, $outputs>(pass, from, to, &mut of_row),)+
                            _ => unreachable!("more outputs than OUTPUTS"),
                        }
                    };
                }
                cases!(1 2 3 4 5 6 7 8);
            }
            sum = L::add(sum, of_row);
        }
        #[allow(clippy::cast_precision_loss)]
        let share = 1.0 / (rows * outputs) as f32;
        L::store(pass.mean, L::mul(sum, L::splat(share)));
    }
}

/// `COUNT` neighbouring outputs.
#[inline(always)]
unsafe fn some<L: Lanes, const SIDE: usize, const STRIDE: usize, const COUNT: usize>(
    pass: &Pass,
    from: *const f32,
    to: *mut f32,
    sum: &mut L::V,
) {
    let columns = pass.planes.padded[1];
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [L::load(pass.bias); COUNT];
        for y in 0..SIDE {
            let row = from.add(y * columns * L::WIDTH);
            let weights = pass.weights.add(y * SIDE * L::WIDTH);
            for x in 0..SIDE {
                let weight = L::load(weights.add(x * L::WIDTH));
                for (index, sum) in sums.iter_mut().enumerate() {
                    let number = L::load(row.add((index * STRIDE + x) * L::WIDTH));
                    *sum = L::fma(number, weight, *sum);
                }
            }
        }
        for (index, one) in sums.into_iter().enumerate() {
            let number = silu::<L>(one);
            *sum = L::add(*sum, number);
            L::store(to.add(index * L::WIDTH), number);
        }
    }
}
