//! One scan: which components it sends, and its blocks in their order (T.81, annexes A.2 and F).

use super::bits::Bits;
use super::frame::{Block, Frame};
use super::huffman::Table;
use super::progressive;
use super::segments::{NATURAL, Segments};
use super::{cut, damaged};
use crate::fault::Fault;

/// libjpeg's limit (T.81, B.2.3).
const MAX_BLOCKS: usize = 10;

/// A scan header.
#[derive(Debug)]
pub(super) struct Scan {
    parts: Vec<Part>,
    pub(super) first: usize,
    pub(super) last: usize,
    /// The bit that a scan before sent last (0: none did), and the one that this scan sends last.
    pub(super) high: u8,
    pub(super) low: u8,
}

/// A component of the scan.
#[derive(Debug)]
struct Part {
    component: usize,
    dc: usize,
    ac: usize,
}

/// State that carries over from block to block, between two restarts.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) predictions: [i32; 4],
    /// Blocks that hold nothing more of this scan's band.
    pub(super) empty_blocks: u32,
}

/// The tables of one component in this scan; a scan need not have both.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tables<'a> {
    dc: Option<&'a Table>,
    ac: Option<&'a Table>,
}

impl<'a> Tables<'a> {
    pub(super) fn dc(self) -> Result<&'a Table, Fault> {
        self.dc.ok_or_else(|| damaged("a scan uses a Huffman table that is not there"))
    }

    pub(super) fn ac(self) -> Result<&'a Table, Fault> {
        self.ac.ok_or_else(|| damaged("a scan uses a Huffman table that is not there"))
    }
}

impl Scan {
    pub(super) fn new(
        segments: &Segments,
        frame: &mut Frame,
        content: &[u8],
    ) -> Result<Self, Fault> {
        let wrong = || damaged("a scan header is wrong");
        let (&count, rest) = content.split_first().ok_or_else(wrong)?;
        let (parts, rest) = rest.split_at_checked(2 * usize::from(count)).ok_or_else(wrong)?;
        let &[first, last, bits] = rest else { return Err(wrong()) };
        let mut scan = Self {
            parts: Vec::new(),
            first: first.into(),
            last: last.into(),
            high: bits >> 4,
            low: bits & 15,
        };
        if !frame.is_progressive {
            // libjpeg takes no notice of them either.
            (scan.first, scan.last, scan.high, scan.low) = (0, 63, 0, 0);
        }
        let is_dc = scan.first == 0;
        let bands = if is_dc { scan.last == 0 } else { scan.last <= 63 && count == 1 };
        if frame.is_progressive && (!bands || scan.last < scan.first || scan.low > 13) {
            return Err(wrong());
        }
        for &[id, tables] in parts.as_chunks::<2>().0 {
            let component = frame.components.iter().position(|component| component.id == id);
            let component = component.ok_or_else(wrong)?;
            if scan.parts.iter().any(|part| part.component == component) {
                return Err(wrong());
            }
            let part =
                Part { component, dc: usize::from(tables >> 4), ac: usize::from(tables & 15) };
            if part.dc > 3 || part.ac > 3 {
                return Err(wrong());
            }
            let component = &mut frame.components[component];
            if !component.is_begun() {
                if !is_dc {
                    return Err(damaged("a channel's scans begin without its means"));
                }
                let steps = segments.steps.get(component.table).cloned().flatten();
                let missing = || damaged("a channel's quantisation table is not there");
                component.steps = Some(steps.ok_or_else(missing)?);
            }
            component.note((scan.first, scan.last), (scan.high, scan.low))?;
            scan.parts.push(part);
        }
        let blocks: usize = scan.components(frame).map(|part| part.across * part.down).sum();
        if scan.parts.is_empty() || (scan.parts.len() > 1 && blocks > MAX_BLOCKS) {
            return Err(wrong());
        }
        Ok(scan)
    }

    fn components<'a>(
        &self,
        frame: &'a Frame,
    ) -> impl Iterator<Item = &'a super::frame::Component> {
        self.parts.iter().map(|part| &frame.components[part.component])
    }

    /// Reads the data from `at` on and gives the place behind it.
    pub(super) fn read(
        &self,
        segments: &Segments,
        frame: &mut Frame,
        bytes: &[u8],
        at: usize,
    ) -> Result<usize, Fault> {
        let mut bits = Bits::new(bytes, at);
        let mut state = State::default();
        // One component alone comes block by block, without those that only fill up an MCU.
        let alone = self.parts.len() == 1;
        let (across, down) = match self.components(frame).next() {
            Some(component) if alone => (component.blocks_across, component.blocks_down),
            _ => frame.mcus(),
        };
        let mut until_restart = segments.restart_interval;
        let mut marker = 0xd0;
        for unit in 0..across * down {
            if segments.restart_interval > 0 {
                if until_restart == 0 {
                    bits.restart(marker)?;
                    marker = 0xd0 | (marker + 1) & 7;
                    state = State::default();
                    until_restart = segments.restart_interval;
                }
                until_restart -= 1;
            }
            let (row, column) = (unit / across, unit % across);
            for (slot, part) in self.parts.iter().enumerate() {
                let tables =
                    Tables { dc: segments.dc[part.dc].as_ref(), ac: segments.ac[part.ac].as_ref() };
                let component = &frame.components[part.component];
                let (h, v) = if alone { (1, 1) } else { (component.across, component.down) };
                for block in 0..h * v {
                    let place = (row * v + block / h, column * h + block % h);
                    self.block(frame, part, tables, place, &mut bits, &mut state, slot)?;
                }
            }
        }
        bits.end()?;
        Ok(bits.position())
    }

    #[expect(clippy::too_many_arguments, reason = "the inner loop's registers")]
    fn block(
        &self,
        frame: &mut Frame,
        part: &Part,
        tables: Tables<'_>,
        (row, column): (usize, usize),
        bits: &mut Bits<'_>,
        state: &mut State,
        slot: usize,
    ) -> Result<(), Fault> {
        let component = &mut frame.components[part.component];
        if frame.is_progressive {
            let block = &mut component.coefficients[row * component.stride + column];
            return progressive::block(self, block, tables, bits, state, slot);
        }
        let block = sequential(tables, bits, &mut state.predictions[slot])?;
        component.put(&block, row, column)
    }
}

/// A whole block (T.81, F.2.2).
fn sequential(
    tables: Tables<'_>,
    bits: &mut Bits<'_>,
    prediction: &mut i32,
) -> Result<Block, Fault> {
    let mut block = [0; 64];
    *prediction += mean_difference(tables, bits)?;
    block[0] = *prediction as i16;
    let table = tables.ac()?;
    let mut at = 1;
    while at < 64 {
        let code = table.decode(bits)?;
        let (run, size) = (usize::from(code >> 4), u32::from(code & 15));
        if size == 0 {
            if run != 15 {
                break;
            }
            at += 16;
            continue;
        }
        at += run;
        let value = bits.difference(size)?;
        let natural = NATURAL.get(at).ok_or_else(|| damaged("a block has more than 64 values"))?;
        block[*natural] = value as i16;
        at += 1;
    }
    // Zero bytes, written into a hole, are one code after the other: 63 times the same value.
    if at == 64 && block[1] < 0 && block[2..].iter().all(|value| *value == block[1]) {
        return Err(cut("zero bytes stand where its picture goes on"));
    }
    Ok(block)
}

/// The difference of a block's mean from the one before.
pub(super) fn mean_difference(tables: Tables<'_>, bits: &mut Bits<'_>) -> Result<i32, Fault> {
    let size = tables.dc()?.decode(bits)?;
    bits.difference(size.into())
}
