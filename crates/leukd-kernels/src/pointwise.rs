//! 1×1 convolution: a product of weights and activations, both read as they lie.

use super::isa::Isa;
use super::memory::{Buffer, parts};
use super::panels::Panels;
use super::product::Product;

/// The weights of a 1×1 convolution, packed, with their bias.
#[derive(Debug, Clone)]
pub(super) struct Pointwise {
    isa: Isa,
    inputs: usize,
    vectors: usize,
    panels: Panels,
    /// What each output channel's sum is multiplied by.
    scales: Buffer,
    bias: Buffer,
}

/// What a product is made of, besides the weights.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    /// Blocked activations.
    pub(super) from: &'a [f32],
    /// A factor for each input channel.
    pub(super) gates: Option<&'a [f32]>,
    /// Blocked activations that are added to the result.
    pub(super) residual: Option<&'a [f32]>,
    /// Whether SiLU is applied.
    pub(super) silu: bool,
}

impl<'a> Input<'a> {
    /// Activations alone.
    pub(super) const fn of(from: &'a [f32], silu: bool) -> Self {
        Self { from, gates: None, residual: None, silu }
    }
}

/// Where results go.
pub(super) struct Target<'a> {
    /// The blocks of channels that begin at the panel's first, each of `block` numbers.
    pub(super) numbers: &'a mut [f32],
    /// Numbers from a block of channels to the next.
    pub(super) block: usize,
    /// Where in a block each pixel's vector begins, in numbers.
    pub(super) places: &'a [u32],
}

impl Pointwise {
    /// `weights` is `[outputs][inputs]`, `bias` one number an output.
    pub(super) fn new(isa: Isa, weights: &[f32], bias: &[f32], inputs: usize) -> Self {
        let outputs = bias.len();
        assert_eq!(weights.len(), outputs * inputs, "weights are [outputs][inputs]");
        let (panels, scales) = Panels::new(isa, weights, outputs, inputs);
        let vectors = outputs.div_ceil(isa.width());
        let padded = |numbers: &[f32]| {
            let mut buffer = Buffer::zeros(vectors * isa.width());
            buffer.as_mut_slice()[..outputs].copy_from_slice(numbers);
            buffer
        };
        Self { isa, inputs, vectors, panels, scales: padded(&scales), bias: padded(bias) }
    }

    /// Whether its weights are kept as bytes.
    #[cfg(test)]
    pub(super) const fn holds_bytes(&self) -> bool {
        matches!(self.panels, Panels::Bytes(_))
    }

    /// Input channels.
    pub(super) const fn inputs(&self) -> usize {
        self.inputs
    }

    /// Vectors of output channels.
    pub(super) const fn vectors(&self) -> usize {
        self.vectors
    }

    /// The panels: first vector, number of vectors.
    pub(super) fn parts(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        parts(self.vectors, self.isa.tile().vectors)
    }

    /// One panel's product: channels `part` of `weights · from + bias`, then SiLU, then `residual`,
    /// if asked for.
    ///
    /// `from` and `residual` are blocked, of as many pixels as `target.places`. Input channels
    /// count `gates` times, where there are any. `panel` is memory for a panel that is made ready
    /// first.
    pub(super) fn run(
        &self,
        (first, count): (usize, usize),
        input: Input<'_>,
        target: Target<'_>,
        panel: &mut Buffer,
    ) {
        let Input { from, gates, residual, silu } = input;
        let (width, pixels) = (self.isa.width(), target.places.len());
        let block = pixels * width;
        assert!(first + count <= self.vectors && count <= self.isa.tile().vectors);
        assert!(from.len() >= self.inputs.div_ceil(width) * block);
        assert!(residual.is_none_or(|from| from.len() >= (first + count) * block));
        let last = target.places.iter().copied().max().unwrap_or_default() as usize;
        assert!((count - 1) * target.block + last + width <= target.numbers.len());
        let tile = self.isa.tile();
        // What is read once need not be made ready.
        let once = pixels <= tile.pixels[count - 1];
        let weights = self.panels.read(self.isa, (first, count), self.inputs, gates, once, panel);
        let product = Product {
            tile,
            inputs: self.inputs,
            vectors: count,
            weights,
            scales: self.scales.as_slice()[first * width..].as_ptr(),
            bias: self.bias.as_slice()[first * width..].as_ptr(),
            from: from.as_ptr(),
            from_block: block,
            residual: residual.map_or(std::ptr::null(), |from| from[first * block..].as_ptr()),
            silu,
            to: target.numbers.as_mut_ptr(),
            to_block: target.block,
            places: target.places.as_ptr(),
            pixels,
        };
        // SAFETY: an `Isa` was found on this processor; the assertions above bound every access:
        // weights, scales and bias of `count` vectors from `first`, `pixels` vectors a block of
        // inputs and residual, and the last place written.
        unsafe { product.compute(self.isa) }
    }
}
