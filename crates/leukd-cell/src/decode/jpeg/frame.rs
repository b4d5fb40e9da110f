//! The frame: sizes, components and their coefficients.

use super::super::limits::Limits;
use super::block::{Block, Steps};
use super::{cut, damaged, idct, unsupported};
use crate::complete::jpeg::check_frame;
use crate::fault::{Fault, FaultKind};

/// No scan has sent this coefficient.
const UNSENT: u8 = u8::MAX;

#[derive(Debug)]
pub(super) struct Frame {
    pub(super) is_progressive: bool,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) across: usize,
    pub(super) down: usize,
    pub(super) components: Vec<Component>,
}

#[derive(Debug)]
pub(super) struct Component {
    pub(super) id: u8,
    /// Sampling factors.
    pub(super) across: usize,
    pub(super) down: usize,
    pub(super) table: usize,
    /// Copied when the first scan of the component begins: later tables are for others.
    pub(super) steps: Option<Box<Steps>>,
    /// Samples that belong to the picture.
    pub(super) width: usize,
    pub(super) height: usize,
    /// Blocks that hold them.
    pub(super) blocks_across: usize,
    pub(super) blocks_down: usize,
    /// Blocks in memory, up to whole MCUs.
    pub(super) stride: usize,
    rows: usize,
    /// Of a progressive frame alone: its blocks are complete after the last scan.
    pub(super) coefficients: Vec<Block>,
    pub(super) samples: Vec<u8>,
    /// The lowest bit of each coefficient that was sent, in zigzag order.
    pub(super) sent: [u8; 64],
}

impl Frame {
    /// Reads a frame header's content, `marker` being its SOF.
    pub(super) fn new(marker: u8, content: &[u8], limits: &Limits) -> Result<Self, Fault> {
        let &[bits, h1, h0, w1, w0, count, ref parts @ ..] = content else {
            return Err(damaged("its frame header is too short"));
        };
        check_frame(marker, [bits, h1, h0, w1, w0])?;
        let height = usize::from(u16::from_be_bytes([h1, h0]));
        let width = usize::from(u16::from_be_bytes([w1, w0]));
        super::super::limits::check_sides((width as u32, height as u32), limits)?;
        let (parts, rest) = parts.as_chunks::<3>();
        if parts.len() != usize::from(count) || !rest.is_empty() || !matches!(count, 1..=4) {
            return Err(damaged("its frame header has a wrong number of components"));
        }
        let factors = |part: &[u8; 3]| (usize::from(part[1] >> 4), usize::from(part[1] & 15));
        if parts.iter().map(factors).any(|(h, v)| !matches!(h, 1..=4) || !matches!(v, 1..=4)) {
            return Err(damaged("a component's sampling factor is not from 1 to 4"));
        }
        let across = parts.iter().map(|part| factors(part).0).max().unwrap_or(1);
        let down = parts.iter().map(|part| factors(part).1).max().unwrap_or(1);
        let is_progressive = marker == 0xc2;
        let mut frame =
            Self { is_progressive, width, height, across, down, components: Vec::new() };
        let mut needed = width as u64 * height as u64 * u64::from(count).max(3);
        for part in parts {
            let (h, v) = factors(part);
            if across % h != 0 || down % v != 0 {
                return Err(unsupported(format!(
                    "this JPEG samples a channel {h}×{v} where another has {across}×{down}: save \
                     it with 4:4:4, 4:2:2 or 4:2:0 sampling"
                )));
            }
            if frame.components.iter().any(|other| other.id == part[0]) {
                return Err(damaged("two of its components have one name"));
            }
            let component = frame.component(part[0], (h, v), part[2].into());
            let blocks = component.stride as u64 * component.rows as u64;
            needed += blocks * 64 * if is_progressive { 3 } else { 1 };
            frame.components.push(component);
        }
        super::super::limits::check_memory((width as u32, height as u32), needed, limits)?;
        for component in &mut frame.components {
            let blocks = component.stride * component.rows;
            component.samples = vec![0; blocks * 64];
            if is_progressive {
                component.coefficients = vec![[0; 64]; blocks];
            }
        }
        Ok(frame)
    }

    fn component(&self, id: u8, (across, down): (usize, usize), table: usize) -> Component {
        let width = (self.width * across).div_ceil(self.across);
        let height = (self.height * down).div_ceil(self.down);
        let (mcus_across, mcus_down) = self.mcus();
        Component {
            id,
            across,
            down,
            table,
            steps: None,
            width,
            height,
            blocks_across: width.div_ceil(8),
            blocks_down: height.div_ceil(8),
            stride: mcus_across * across,
            rows: mcus_down * down,
            coefficients: Vec::new(),
            samples: Vec::new(),
            sent: [UNSENT; 64],
        }
    }

    /// True where some channel has fewer samples than another one.
    pub(super) fn is_subsampled(&self) -> bool {
        let sides = |component: &Component| (component.across, component.down);
        self.components.windows(2).any(|pair| sides(&pair[0]) != sides(&pair[1]))
    }

    /// Units of an interleaved scan, across and down.
    pub(super) fn mcus(&self) -> (usize, usize) {
        (self.width.div_ceil(8 * self.across), self.height.div_ceil(8 * self.down))
    }

    /// Refuses a frame that lacks a scan: what is there would be judged in its place.
    pub(super) fn check_complete(&self) -> Result<(), Fault> {
        for component in &self.components {
            if component.sent.contains(&UNSENT) {
                return Err(cut("a scan of one of its channels is missing"));
            }
            if component.sent.iter().any(|low| *low > 0) {
                return Err(cut("its last scans, which refine the picture, are missing"));
            }
        }
        Ok(())
    }
}

impl Component {
    /// Notes that a scan sends the coefficients `first..=last` down to bit `low`, from bit `high`
    /// on.
    pub(super) fn note(
        &mut self,
        (first, last): (usize, usize),
        (high, low): (u8, u8),
    ) -> Result<(), Fault> {
        for sent in &mut self.sent[first..=last] {
            let fits = if *sent == UNSENT { high == 0 } else { high == *sent && low + 1 == high };
            if !fits {
                return Err(damaged(
                    "a scan repeats what another one sent, or leaves out one before it",
                ));
            }
            *sent = low;
        }
        Ok(())
    }

    /// True once a scan has begun to send it.
    pub(super) fn is_begun(&self) -> bool {
        self.sent.iter().any(|sent| *sent != UNSENT)
    }

    /// Transforms `block` into the samples at its place.
    pub(super) fn put(&mut self, block: &Block, row: usize, column: usize) -> Result<(), Fault> {
        let Some(steps) = &self.steps else { return Ok(()) };
        let across = self.stride * 8;
        let first = row * 8 * across + column * 8;
        if idct::transform(block, steps, &mut self.samples[first..], across) {
            Ok(())
        } else {
            Err(damaged("a block's values are larger than any picture's"))
        }
    }

    /// Transforms all blocks of a progressive frame.
    pub(super) fn finish(&mut self) -> Result<(), Fault> {
        let blocks = std::mem::take(&mut self.coefficients);
        let mut blocks = blocks.iter().enumerate();
        blocks.try_for_each(|(index, block)| {
            self.put(block, index / self.stride, index % self.stride)
        })
    }
}

/// The fault of a number that the header cannot mean.
pub(super) fn too_many_scans() -> Fault {
    Fault::new(
        FaultKind::Unsupported,
        "this JPEG has hundreds of scans: save it as a baseline JPEG or as PNG",
    )
}
