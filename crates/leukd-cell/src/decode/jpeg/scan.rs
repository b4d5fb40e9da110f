//! One scan: which components it sends, and its blocks in their order (T.81, annexes A.2 and F).

use super::band::{Band, Chosen, State, Tables, mean_difference};
use super::bits::Bits;
use super::block::{Block, NATURAL};
use super::frame::Frame;
use super::progressive;
use super::{cut, damaged};
use crate::fault::Fault;

/// libjpeg's limit (T.81, B.2.3).
const MAX_BLOCKS: usize = 10;

/// A scan header.
#[derive(Debug)]
pub(super) struct Scan {
    parts: Vec<Part>,
    band: Band,
}

/// A component of the scan.
#[derive(Debug)]
struct Part {
    component: usize,
    dc: usize,
    ac: usize,
}

impl Scan {
    pub(super) fn new(tables: &Tables, frame: &mut Frame, content: &[u8]) -> Result<Self, Fault> {
        let wrong = || damaged("a scan header is wrong");
        let (&count, rest) = content.split_first().ok_or_else(wrong)?;
        let (parts, rest) = rest.split_at_checked(2 * usize::from(count)).ok_or_else(wrong)?;
        let &[first, last, bits] = rest else { return Err(wrong()) };
        let mut band =
            Band { first: first.into(), last: last.into(), high: bits >> 4, low: bits & 15 };
        if !frame.is_progressive {
            // libjpeg takes no notice of them either.
            band = Band { first: 0, last: 63, high: 0, low: 0 };
        }
        let mut scan = Self { parts: Vec::new(), band };
        let band = &scan.band;
        let is_dc = band.first == 0;
        let bands = if is_dc { band.last == 0 } else { band.last <= 63 && count == 1 };
        if frame.is_progressive && (!bands || band.last < band.first || band.low > 13) {
            return Err(wrong());
        }
        for &[id, numbers] in parts.as_chunks::<2>().0 {
            let component = frame.components.iter().position(|component| component.id == id);
            let component = component.ok_or_else(wrong)?;
            if scan.parts.iter().any(|part| part.component == component) {
                return Err(wrong());
            }
            let part =
                Part { component, dc: usize::from(numbers >> 4), ac: usize::from(numbers & 15) };
            if part.dc > 3 || part.ac > 3 {
                return Err(wrong());
            }
            let component = &mut frame.components[component];
            if !component.is_begun() {
                if !is_dc {
                    return Err(damaged("a channel's scans begin without its means"));
                }
                let steps = tables.steps.get(component.table).cloned().flatten();
                let missing = || damaged("a channel's quantisation table is not there");
                component.steps = Some(steps.ok_or_else(missing)?);
            }
            let Band { first, last, high, low } = scan.band;
            component.note((first, last), (high, low))?;
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
        tables: &Tables,
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
        let mut until_restart = tables.restart_interval;
        let mut marker = 0xd0;
        for unit in 0..across * down {
            if tables.restart_interval > 0 {
                if until_restart == 0 {
                    bits.restart(marker)?;
                    marker = 0xd0 | (marker + 1) & 7;
                    state = State::default();
                    until_restart = tables.restart_interval;
                }
                until_restart -= 1;
            }
            let (row, column) = (unit / across, unit % across);
            for (slot, part) in self.parts.iter().enumerate() {
                let chosen =
                    Chosen { dc: tables.dc[part.dc].as_ref(), ac: tables.ac[part.ac].as_ref() };
                let component = &frame.components[part.component];
                let (h, v) = if alone { (1, 1) } else { (component.across, component.down) };
                for block in 0..h * v {
                    let place = (row * v + block / h, column * h + block % h);
                    self.block(frame, part, chosen, place, &mut bits, &mut state, slot)?;
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
        tables: Chosen<'_>,
        (row, column): (usize, usize),
        bits: &mut Bits<'_>,
        state: &mut State,
        slot: usize,
    ) -> Result<(), Fault> {
        let component = &mut frame.components[part.component];
        if frame.is_progressive {
            let block = &mut component.coefficients[row * component.stride + column];
            return progressive::block(&self.band, block, tables, bits, state, slot);
        }
        let block = sequential(tables, bits, &mut state.predictions[slot])?;
        component.put(&block, row, column)
    }
}

/// A whole block (T.81, F.2.2).
fn sequential(
    tables: Chosen<'_>,
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
