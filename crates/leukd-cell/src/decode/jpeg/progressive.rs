//! The blocks of a progressive frame, band by band and bit by bit (T.81, annex G).

use super::band::{Band, Chosen, State, mean_difference};
use super::bits::Bits;
use super::block::{Block, NATURAL};
use super::damaged;
use crate::fault::Fault;

pub(super) fn block(
    band: &Band,
    block: &mut Block,
    tables: Chosen<'_>,
    bits: &mut Bits<'_>,
    state: &mut State,
    slot: usize,
) -> Result<(), Fault> {
    match (band.first, band.high) {
        (0, 0) => {
            state.predictions[slot] += mean_difference(tables, bits)?;
            block[0] = (state.predictions[slot] << band.low) as i16;
            Ok(())
        }
        (0, _) => {
            if bits.bit()? {
                block[0] |= 1 << band.low;
            }
            Ok(())
        }
        (_, 0) => first_pass(band, block, tables, bits, state),
        _ => refinement(band, block, tables, bits, state),
    }
}

/// The number of blocks, this one included, that hold no more of the band.
fn empty_blocks(run: u8, bits: &mut Bits<'_>) -> Result<u32, Fault> {
    let more = bits.take(run.into())?;
    Ok((1 << run) + more.unsigned_abs())
}

fn first_pass(
    band: &Band,
    block: &mut Block,
    tables: Chosen<'_>,
    bits: &mut Bits<'_>,
    state: &mut State,
) -> Result<(), Fault> {
    if state.empty_blocks > 0 {
        state.empty_blocks -= 1;
        return Ok(());
    }
    let table = tables.ac()?;
    let mut at = band.first;
    while at <= band.last {
        let code = table.decode(bits)?;
        let (run, size) = (code >> 4, u32::from(code & 15));
        if size == 0 {
            if run < 15 {
                state.empty_blocks = empty_blocks(run, bits)? - 1;
                break;
            }
            at += 16;
            continue;
        }
        at += usize::from(run);
        let value = bits.difference(size)?;
        if at > band.last {
            return Err(damaged("a block has more values than its band"));
        }
        block[NATURAL[at]] = (value << band.low) as i16;
        at += 1;
    }
    Ok(())
}

fn refinement(
    band: &Band,
    block: &mut Block,
    tables: Chosen<'_>,
    bits: &mut Bits<'_>,
    state: &mut State,
) -> Result<(), Fault> {
    let mut at = band.first;
    if state.empty_blocks == 0 {
        let table = tables.ac()?;
        while at <= band.last {
            let code = table.decode(bits)?;
            let (mut run, size) = (code >> 4, code & 15);
            let mut fresh = 0;
            match (size, run) {
                (0, 15) => {}
                (0, _) => {
                    state.empty_blocks = empty_blocks(run, bits)?;
                    break;
                }
                (1, _) => fresh = if bits.bit()? { 1 } else { -1 },
                _ => return Err(damaged("a refinement is larger than one bit")),
            }
            // Passes `run` places that are still zero, and refines all others on its way.
            while at <= band.last {
                let value = &mut block[NATURAL[at]];
                if *value != 0 {
                    refine(value, band.low, bits)?;
                } else if run == 0 {
                    *value = fresh << band.low;
                    break;
                } else {
                    run -= 1;
                }
                at += 1;
            }
            if at > band.last && fresh != 0 {
                return Err(damaged("a block has more values than its band"));
            }
            at += 1;
        }
    }
    if state.empty_blocks > 0 {
        for natural in &NATURAL[at.min(band.last + 1)..=band.last] {
            if block[*natural] != 0 {
                refine(&mut block[*natural], band.low, bits)?;
            }
        }
        state.empty_blocks -= 1;
    }
    Ok(())
}

fn refine(value: &mut i16, low: u8, bits: &mut Bits<'_>) -> Result<(), Fault> {
    let bit = 1 << low;
    if bits.bit()? && *value & bit == 0 {
        *value = if *value >= 0 { value.wrapping_add(bit) } else { value.wrapping_sub(bit) };
    }
    Ok(())
}
