//! Tables, and what a scan keeps from block to block.

use super::bits::Bits;
use super::block::Steps;
use super::damaged;
use super::huffman::Table;
use crate::fault::Fault;

/// Tables of the segments so far.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) steps: [Option<Box<Steps>>; 4],
    pub(super) dc: [Option<Table>; 4],
    pub(super) ac: [Option<Table>; 4],
    pub(super) restart_interval: usize,
}

/// The coefficients that a scan sends.
#[derive(Debug)]
pub(super) struct Band {
    pub(super) first: usize,
    pub(super) last: usize,
    /// The bit that a scan before sent last (0: none did), and the one that this scan sends last.
    pub(super) high: u8,
    pub(super) low: u8,
}

/// State that carries over from block to block, between two restarts.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) predictions: [i32; 4],
    /// Blocks that hold nothing more of this scan's band.
    pub(super) empty_blocks: u32,
}

/// The tables of one component in a scan; a scan need not have both.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chosen<'a> {
    pub(super) dc: Option<&'a Table>,
    pub(super) ac: Option<&'a Table>,
}

impl<'a> Chosen<'a> {
    pub(super) fn dc(self) -> Result<&'a Table, Fault> {
        self.dc.ok_or_else(|| damaged("a scan uses a Huffman table that is not there"))
    }

    pub(super) fn ac(self) -> Result<&'a Table, Fault> {
        self.ac.ok_or_else(|| damaged("a scan uses a Huffman table that is not there"))
    }
}

/// The difference of a block's mean from the one before.
pub(super) fn mean_difference(tables: Chosen<'_>, bits: &mut Bits<'_>) -> Result<i32, Fault> {
    let size = tables.dc()?.decode(bits)?;
    bits.difference(size.into())
}
