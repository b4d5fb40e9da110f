//! Stages one after the other, with nothing leaving the blocked layout in between.

use std::cell::RefCell;

use super::block::{Between, Block, BlockParts, Weights, places};
use super::isa::Isa;
use super::memory::{Buffer, Shape, block, unblock};
use super::pointwise::{Input, Pointwise, Target};
use super::pool::{Pool, pool};
use super::stem::{Stem, StemParts};

/// What a stage is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum StageParts {
    /// A first convolution; only as the first stage.
    Stem(StemParts),
    /// An inverted-residual block.
    Block(BlockParts),
    /// A 1×1 convolution with SiLU, of an input of this shape.
    Top(Shape, Weights),
    /// Global pooling of an input of this shape.
    Pool(Shape, Pool),
}

impl StageParts {
    /// What comes in.
    #[must_use]
    pub const fn input(&self) -> Shape {
        match self {
            Self::Stem(parts) => parts.input,
            Self::Block(parts) => parts.input,
            Self::Top(input, _) | Self::Pool(input, _) => *input,
        }
    }

    /// What comes out.
    #[must_use]
    pub const fn output(&self) -> Shape {
        let (channels, [height, width]) = match self {
            Self::Stem(parts) => (parts.weights.bias.len(), parts.output),
            Self::Block(parts) => (parts.project.bias.len(), parts.output),
            Self::Top(input, weights) => (weights.bias.len(), [input.height, input.width]),
            Self::Pool(input, _) => (input.channels, [1, 1]),
        };
        Shape { channels, height, width }
    }
}

#[derive(Debug, Clone)]
enum Stage {
    Stem(Stem),
    Block(Box<Block>),
    Top { layer: Pointwise, output: Shape, places: Vec<u32> },
    Pool(Shape, Pool),
}

/// Consecutive stages of a network, packed for one instruction set.
#[derive(Debug, Clone)]
pub struct Chain {
    isa: Isa,
    stages: Vec<Stage>,
    input: Shape,
    output: Shape,
}

/// So many numbers a thread keeps from run to run, 64 MiB: enough for a B3 at 600 × 600 pixels.
const MOST_KEPT: usize = 16 << 20;

/// A thread's memory for what lies between stages: it grows to what the largest needs, so that
/// later runs allocate nothing.
#[derive(Debug, Default)]
struct Memory {
    from: Buffer,
    to: Buffer,
    windows: Buffer,
    panel: Buffer,
    between: Between,
}

impl Memory {
    fn len(&self) -> usize {
        let Self { from, to, windows, panel, between } = self;
        [from, to, windows, panel].map(Buffer::len).into_iter().sum::<usize>() + between.len()
    }
}

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::default();
}

impl Chain {
    /// Packs `stages` for `isa`.
    ///
    /// # Panics
    ///
    /// Where there is no stage, or where one does not fit the one before it.
    #[must_use]
    pub fn new(isa: Isa, stages: &[StageParts]) -> Self {
        assert!(
            !stages.is_empty() && stages.windows(2).all(|pair| pair[0].output() == pair[1].input())
        );
        let (input, output) = (stages[0].input(), stages[stages.len() - 1].output());
        let packed = |stage: &StageParts| match stage {
            StageParts::Stem(parts) => Stage::Stem(Stem::new(isa, parts)),
            StageParts::Block(parts) => Stage::Block(Box::new(Block::new(isa, parts))),
            StageParts::Top(input, weights) => Stage::Top {
                layer: Pointwise::new(isa, &weights.kernel, &weights.bias, input.channels),
                output: stage.output(),
                places: places(isa, [input.height, input.width], input.width, 0),
            },
            StageParts::Pool(input, kind) => Stage::Pool(*input, *kind),
        };
        Self { isa, stages: stages.iter().map(packed).collect(), input, output }
    }

    /// What comes in, `[channels][height][width]`.
    #[must_use]
    pub const fn input(&self) -> Shape {
        self.input
    }

    /// What comes out, `[channels][height][width]`.
    #[must_use]
    pub const fn output(&self) -> Shape {
        self.output
    }

    /// One picture through all stages.
    ///
    /// # Panics
    ///
    /// Where `from` or `to` has not the numbers of [`Chain::input`] and [`Chain::output`].
    pub fn run(&self, from: &[f32], to: &mut [f32]) {
        assert_eq!(from.len(), self.input.channels * self.input.pixels());
        assert_eq!(to.len(), self.output.channels * self.output.pixels());
        MEMORY.with_borrow_mut(|memory| {
            self.run_in(memory, from, to);
            if memory.len() > MOST_KEPT {
                *memory = Memory::default();
            }
        });
    }

    fn run_in(&self, memory: &mut Memory, plain: &[f32], to: &mut [f32]) {
        let Memory { from, to: next, windows, panel, between } = memory;
        let mut stages = self.stages.as_slice();
        if let [Stage::Stem(stem), rest @ ..] = stages {
            from.reserve(stem.output().blocked(self.isa));
            stem.run(plain, from.as_mut_slice(), windows, panel);
            stages = rest;
        } else {
            from.reserve(self.input.blocked(self.isa));
            block(plain, self.input, self.isa, from.as_mut_slice());
        }
        for stage in stages {
            match stage {
                Stage::Stem(_) => unreachable!("a stem after the first stage"),
                Stage::Block(block) => {
                    next.reserve(block.output().blocked(self.isa));
                    block.run(from.as_slice(), next.as_mut_slice(), between);
                }
                Stage::Pool(input, kind) => {
                    next.reserve(input.blocks(self.isa) * self.isa.width());
                    pool(self.isa, *kind, from.as_slice(), *input, next.as_mut_slice());
                }
                Stage::Top { layer, output, places } => {
                    next.reserve(output.blocked(self.isa));
                    let plane = output.pixels() * self.isa.width();
                    for part in layer.parts() {
                        let numbers = &mut next.as_mut_slice()[part.0 * plane..];
                        let target = Target { numbers, block: plane, places };
                        layer.run(part, Input::of(from.as_slice(), true), target, panel);
                    }
                }
            }
            std::mem::swap(from, next);
        }
        unblock(from.as_slice(), self.output, self.isa, to);
    }
}
