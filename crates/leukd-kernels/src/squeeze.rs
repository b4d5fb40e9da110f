//! Squeeze and excitation (Hu et al., 2018): one factor a channel, from all channels' means.

use super::activation::logistic;
use super::isa::{Isa, dispatched};
use super::lanes::Lanes;
use super::memory::Buffer;
use super::pointwise::{Input, Pointwise, Target};

/// Two dense layers: means → SiLU → the logistic function.
#[derive(Debug, Clone)]
pub(super) struct Squeeze {
    isa: Isa,
    reduce: Pointwise,
    expand: Pointwise,
}

impl Squeeze {
    pub(super) fn new(isa: Isa, reduce: Pointwise, expand: Pointwise) -> Self {
        Self { isa, reduce, expand }
    }

    /// Numbers that [`Squeeze::run`] needs in between.
    pub(super) fn hidden(&self) -> usize {
        self.reduce.vectors() * self.isa.width()
    }

    /// `means` → `gates`, both blocked; `hidden` holds what is in between.
    pub(super) fn run(
        &self,
        means: &[f32],
        hidden: &mut [f32],
        gates: &mut [f32],
        panel: &mut Buffer,
    ) {
        let width = self.isa.width();
        let mut layer = |layer: &Pointwise, from: &[f32], silu, to: &mut [f32]| {
            for part in layer.parts() {
                let target =
                    Target { numbers: &mut to[part.0 * width..], block: width, places: &[0] };
                layer.run(part, Input::of(from, silu), target, panel);
            }
        };
        layer(&self.reduce, means, true, hidden);
        layer(&self.expand, hidden, false, gates);
        let vectors = self.expand.vectors();
        assert!(gates.len() >= vectors * width);
        // SAFETY: an `Isa` was found on this processor; there are so many vectors.
        unsafe { gate_on(self.isa, &Gates { numbers: gates.as_mut_ptr(), vectors }) }
    }
}

struct Gates {
    numbers: *mut f32,
    vectors: usize,
}

dispatched!(gate_on(gates: &Gates) = gate);

#[inline(always)]
unsafe fn gate<L: Lanes>(gates: &Gates) {
    for vector in 0..gates.vectors {
        // SAFETY: the caller's.
        unsafe {
            let at = gates.numbers.add(vector * L::WIDTH);
            L::store(at, logistic::<L>(L::load(at)));
        }
    }
}

/// Each block of channels of `numbers`, `block` numbers each, times its vector of `gates`.
pub(super) fn scale_activations(isa: Isa, numbers: &mut [f32], block: usize, gates: &[f32]) {
    let width = isa.width();
    for (numbers, gates) in numbers.chunks_exact_mut(block).zip(gates.chunks_exact(width)) {
        scale(isa, numbers, gates);
    }
}

fn scale(isa: Isa, numbers: &mut [f32], gates: &[f32]) {
    let width = isa.width();
    assert!(gates.len() >= width && numbers.len().is_multiple_of(width));
    let scaled = Scaled {
        vectors: numbers.len() / width,
        numbers: numbers.as_mut_ptr(),
        gates: gates.as_ptr(),
    };
    // SAFETY: an `Isa` was found on this processor; there are so many vectors, and one of gates.
    unsafe { scale_on(isa, &scaled) }
}

struct Scaled {
    numbers: *mut f32,
    vectors: usize,
    gates: *const f32,
}

dispatched!(scale_on(scaled: &Scaled) = scale_all);

#[inline(always)]
unsafe fn scale_all<L: Lanes>(scaled: &Scaled) {
    // SAFETY: the caller's.
    unsafe {
        let gates = L::load(scaled.gates);
        for vector in 0..scaled.vectors {
            let at = scaled.numbers.add(vector * L::WIDTH);
            L::store(at, L::mul(L::load(at), gates));
        }
    }
}
