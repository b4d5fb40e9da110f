//! Memory that begins at a cache line, and the blocked layout of activations.

use super::isa::Isa;

/// One cache line: no vector that begins at a multiple of its own size crosses two.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Numbers, the first at a cache line's start.
#[derive(Debug, Clone, Default)]
pub(super) struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

impl Buffer {
    /// `len` zeros.
    pub(super) fn zeros(len: usize) -> Self {
        Self { lines: vec![Line([0.0; 16]); len.div_ceil(16)], len }
    }

    /// At least `len` numbers; what they are is left open.
    pub(super) fn reserve(&mut self, len: usize) {
        if len > self.len {
            *self = Self::zeros(len);
        }
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The numbers.
    pub(super) fn as_slice(&self) -> &[f32] {
        // SAFETY: a line is 16 f32 without padding; there are enough lines for `len` (`zeros`).
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }

    /// The numbers.
    pub(super) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as above, and `self` is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

/// Activations of one picture: `channels` planes of `height` × `width` numbers.
///
/// In the kernels' layout they lie as `[channels / L][height][width][L]`, L the instruction set's
/// vector width; the channels that fill up the last block are 0. So a pixel's block of channels is
/// one vector, and a product reads its activations as they lie, without packing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Planes.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Numbers in a row.
    pub width: usize,
}

impl Shape {
    /// Pixels in a plane.
    #[must_use]
    pub const fn pixels(self) -> usize {
        self.height * self.width
    }

    /// Blocks of channels.
    #[must_use]
    pub const fn blocks(self, isa: Isa) -> usize {
        self.channels.div_ceil(isa.width())
    }

    /// Numbers in the blocked layout.
    #[must_use]
    pub const fn blocked(self, isa: Isa) -> usize {
        self.blocks(isa) * isa.width() * self.pixels()
    }
}

/// `[channels][pixels]` (NCHW, one picture) → blocked.
pub(super) fn block(plain: &[f32], shape: Shape, isa: Isa, blocked: &mut [f32]) {
    let (width, pixels) = (isa.width(), shape.pixels());
    for (index, block) in blocked[..shape.blocked(isa)].chunks_exact_mut(width * pixels).enumerate()
    {
        let channels =
            &plain[index * width * pixels..plain.len().min((index + 1) * width * pixels)];
        for (pixel, vector) in block.chunks_exact_mut(width).enumerate() {
            for (lane, number) in vector.iter_mut().enumerate() {
                *number = channels.get(lane * pixels + pixel).copied().unwrap_or_default();
            }
        }
    }
}

/// Blocked → `[channels][pixels]` (NCHW, one picture).
pub(super) fn unblock(blocked: &[f32], shape: Shape, isa: Isa, plain: &mut [f32]) {
    let (width, pixels) = (isa.width(), shape.pixels());
    for (channel, plane) in plain.chunks_exact_mut(pixels).enumerate() {
        let block = &blocked[channel / width * width * pixels..];
        let lane = channel % width;
        for (number, vector) in plane.iter_mut().zip(block.chunks_exact(width)) {
            *number = vector[lane];
        }
    }
}

/// `total` things in as few parts of at most `most` as there can be, as equal as can be.
pub(super) fn parts(total: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = total.div_ceil(most);
    (0..count).map(move |part| {
        let (start, end) = (part * total / count, (part + 1) * total / count);
        (start, end - start)
    })
}
