//! How a product's weights lie in memory.

use super::isa::{Isa, dispatched};
use super::lanes::Lanes;
use super::memory::{Buffer, parts};

/// The weights of `outputs` × `inputs`, output channels in vectors; up to three neighbouring
/// vectors make a panel `[inputs][vectors][L]`, which a product reads from its beginning to its
/// end.
///
/// A small picture reads each weight but a few times: then it is memory that a product waits for,
/// and a byte is a quarter of a f32.
#[derive(Debug, Clone)]
pub(super) enum Panels {
    Floats(Buffer),
    Bytes(Vec<i8>),
}

impl Panels {
    /// Packs `weights`, `[outputs][inputs]`; with what each output channel's sum is to be
    /// multiplied by.
    ///
    /// Weights that are whole multiples, −127 to 127, of one number for each output channel (as
    /// weight-only quantization leaves them) are kept as bytes.
    pub(super) fn new(
        isa: Isa,
        weights: &[f32],
        outputs: usize,
        inputs: usize,
    ) -> (Self, Vec<f32>) {
        let steps: Option<Vec<f32>> = weights.chunks_exact(inputs).map(quantum).collect();
        match steps {
            Some(steps) => {
                let byte = |output: usize, weight| nearest(weight, steps[output]);
                let bytes = packed(isa, weights, outputs, inputs, byte);
                (Self::Bytes(bytes), steps)
            }
            None => {
                let floats = packed(isa, weights, outputs, inputs, |_, weight| weight);
                let mut buffer = Buffer::zeros(floats.len());
                buffer.as_mut_slice().copy_from_slice(&floats);
                (Self::Floats(buffer), vec![1.0; outputs])
            }
        }
    }

    /// The panel of `count` vectors from `first` on, of `inputs` rows, as a product reads it.
    ///
    /// `panel` is memory for one that is made ready first: multiplied by `gates`, a factor for each
    /// input; and widened, where it is read more than `once`.
    pub(super) fn read(
        &self,
        isa: Isa,
        (first, count): (usize, usize),
        inputs: usize,
        gates: Option<&[f32]>,
        once: bool,
        panel: &mut Buffer,
    ) -> Read {
        let row = isa.width() * inputs;
        let weights = first * row..(first + count) * row;
        let stored = match self {
            Self::Floats(floats) => Read::Floats(floats.as_slice()[weights.clone()].as_ptr(), true),
            Self::Bytes(bytes) => Read::Bytes(bytes[weights.clone()].as_ptr()),
        };
        let as_it_lies = once || matches!(self, Self::Floats(_));
        if gates.is_none() && as_it_lies {
            return stored;
        }
        panel.reserve(weights.len());
        assert!(gates.is_none_or(|gates| gates.len() >= inputs));
        let gates = gates.map_or(std::ptr::null(), <[f32]>::as_ptr);
        let to = panel.as_mut_slice().as_mut_ptr();
        let ready = Ready { from: stored, gates, inputs, vectors: count, to };
        // SAFETY: an `Isa` was found on this processor; `inputs` rows of `count` vectors are there
        // to be read (the slices above) and written (`reserve`), and as many gates.
        unsafe { ready_on(isa, &ready) }
        Read::Floats(to, false)
    }
}

/// All panels' weights, in their order; zeros for the output channels that fill up the last vector.
fn packed<T: Clone + Default>(
    isa: Isa,
    weights: &[f32],
    outputs: usize,
    inputs: usize,
    kept: impl Fn(usize, f32) -> T,
) -> Vec<T> {
    let (width, vectors) = (isa.width(), outputs.div_ceil(isa.width()));
    let mut packed = vec![T::default(); vectors * width * inputs];
    for (first, count) in parts(vectors, isa.tile().vectors) {
        let row = count * width;
        let panel = &mut packed[first * width * inputs..][..row * inputs];
        for lane in 0..row.min(outputs - first * width) {
            let output = first * width + lane;
            let weights = &weights[output * inputs..][..inputs];
            for (row, weight) in panel.chunks_exact_mut(row).zip(weights) {
                row[lane] = kept(output, *weight);
            }
        }
    }
    packed
}

/// The number of which all of `weights` are whole multiples, −127 to 127, each to 6e-7 of the
/// largest; none where there is none.
///
/// Quantization leaves a multiple of 127 in each channel; its scale and a batch normalisation that
/// is folded in round it.
pub(super) fn quantum(weights: &[f32]) -> Option<f32> {
    let most = weights.iter().fold(0.0_f32, |most, weight| most.max(weight.abs()));
    let step = most / 127.0;
    let off = |weight: &f32| {
        let near = (weight - f32::from(nearest(*weight, step)) * step).abs() <= most * 6e-7;
        // A NaN is near nothing.
        !near
    };
    // Without an early end, so that the compiler can look at several at a time.
    let any_off = weights.iter().fold(false, |any, weight| any | off(weight));
    (!any_off).then_some(step)
}

/// `weight / step`, rounded, for −127 to 127; 0 for a step of 0.
pub(super) fn nearest(weight: f32, step: f32) -> i8 {
    // Added to a number below 2^22, this leaves the nearest whole number in the lowest bits
    // (Hecker's trick).
    const MAGIC: f32 = 12_582_912.0;
    let ratio = if step > 0.0 { weight / step } else { 0.0 };
    let [low, ..] = (ratio + MAGIC).to_bits().to_le_bytes();
    i8::from_le_bytes([low])
}

/// A panel in memory.
#[derive(Debug, Clone, Copy)]
pub(super) enum Read {
    /// Whether it must be fetched from afar.
    Floats(*const f32, bool),
    Bytes(*const i8),
}

/// A panel that is to be made ready: widened, and multiplied by the gates.
struct Ready {
    from: Read,
    gates: *const f32,
    inputs: usize,
    vectors: usize,
    to: *mut f32,
}

dispatched!(ready_on(ready: &Ready) = make_ready);

#[inline(always)]
unsafe fn make_ready<L: Lanes>(ready: &Ready) {
    let row = ready.vectors * L::WIDTH;
    for input in 0..ready.inputs {
        // SAFETY: the caller's.
        unsafe {
            let gate = if ready.gates.is_null() { 1.0 } else { *ready.gates.add(input) };
            let gate = L::splat(gate);
            for vector in 0..ready.vectors {
                let at = input * row + vector * L::WIDTH;
                let weights = match ready.from {
                    Read::Floats(from, _) => {
                        L::fetch(from.wrapping_add(at + AHEAD));
                        L::load(from.add(at))
                    }
                    Read::Bytes(from) => {
                        L::fetch(from.wrapping_add(at + AHEAD));
                        L::widen(from.add(at))
                    }
                };
                L::store(ready.to.add(at), L::mul(weights, gate));
            }
        }
    }
}

/// So many weights ahead are asked for: far enough for memory to answer in time.
pub(super) const AHEAD: usize = 1024;
