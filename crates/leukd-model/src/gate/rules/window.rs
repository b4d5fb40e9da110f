//! Operators that look at a picture through a window: convolutions and pools.

use super::super::attributes::{integer, integers, word};
use super::super::value::Value;
use super::inputs::{Inputs, Outcome, first, nth, second};
use crate::engine::onnx::NodeProto;

/// How a window moves along one side.
struct Steps {
    kernel: u64,
    stride: u64,
    dilation: u64,
    before: u64,
    after: u64,
}

impl Steps {
    /// How many places the window takes along a side of this length.
    fn along(&self, side: u64, how: &[u8], rounded_up: bool) -> Result<u64, String> {
        if how.starts_with(b"SAME") {
            return Ok(side.div_ceil(self.stride));
        }
        let reach =
            (self.kernel - 1).checked_mul(self.dilation).and_then(|reach| reach.checked_add(1));
        let padded = side.checked_add(self.before).and_then(|sum| sum.checked_add(self.after));
        let room = padded.zip(reach).and_then(|(padded, reach)| padded.checked_sub(reach));
        let room =
            room.ok_or_else(|| format!("a window of {} does not fit into {side}", self.kernel))?;
        if !rounded_up {
            return Ok(room / self.stride + 1);
        }
        // The last window must begin before the padding behind the side.
        let places = room.div_ceil(self.stride) + 1;
        let begins = (places - 1).saturating_mul(self.stride);
        Ok(if begins >= side.saturating_add(self.before) { places - 1 } else { places })
    }

    /// In how many ways at the most a window of these `places` may stick out over either end of the
    /// side, with the one in which it does not.
    fn ways(&self, side: u64, places: u64, how: &[u8]) -> u64 {
        let reach = (self.kernel - 1).saturating_mul(self.dilation).saturating_add(1);
        let before = if how.starts_with(b"SAME") {
            let over = (places - 1).saturating_mul(self.stride).saturating_add(reach);
            // Of an odd number of pixels either end may get the one more.
            over.saturating_sub(side).div_ceil(2)
        } else {
            self.before
        };
        let first = before.div_ceil(self.stride);
        let inside = side.saturating_add(before).checked_sub(reach).map(|room| room / self.stride);
        match inside {
            Some(last) if reach <= side && last >= first => {
                first.saturating_add(1).saturating_add(places.saturating_sub(last + 1)).min(places)
            }
            _ => places,
        }
    }
}

/// Bytes of the tables that the engine lays out for a window before it computes anything, as tract
/// 0.23 does it (`ops/cnn/patches.rs`): each of the window's elements with its place along every
/// side and in the picture, and once more, two words each, for every way in which the window may
/// stick out.
fn tables(steps: &[Steps], sides: &[u64], places: &[u64], how: &[u8]) -> u64 {
    // The lists of one such way, before they hold anything.
    const WAY: u64 = 512;
    let window = steps.iter().fold(1_u64, |all, own| all.saturating_mul(own.kernel));
    let ways = steps.iter().zip(sides).zip(places).fold(1_u64, |all, ((own, side), places)| {
        all.saturating_mul(own.ways(*side, *places, how))
    });
    let fields = window.saturating_mul(8 * (steps.len() as u64 + 1));
    ways.saturating_mul(window.saturating_mul(16).saturating_add(WAY)).saturating_add(fields)
}

/// The steps along each of the picture's sides.
fn steps(node: &NodeProto, kernel: &[u64]) -> Result<Vec<Steps>, String> {
    // More in one direction than any picture has pixels: a slip, or meant to harm.
    const MOST: i64 = 1 << 16;
    let rank = kernel.len();
    let list = |name: &str, count: usize, least: i64| -> Result<Vec<u64>, String> {
        let own = integers(node, name).filter(|own| !own.is_empty());
        let Some(own) = own else { return Ok(vec![least.unsigned_abs(); count]) };
        if own.len() != count || own.iter().any(|value| !(least..=MOST).contains(value)) {
            return Err(format!("its {name} are no {count} numbers from {least} to {MOST}"));
        }
        Ok(own.iter().map(|value| value.unsigned_abs()).collect())
    };
    let (strides, dilations) = (list("strides", rank, 1)?, list("dilations", rank, 1)?);
    let pads = list("pads", 2 * rank, 0)?;
    let side = |index: usize| Steps {
        kernel: kernel[index],
        stride: strides[index],
        dilation: dilations[index],
        before: pads[index],
        after: pads[index + rank],
    };
    Ok((0..rank).map(side).collect())
}

/// Batch, channels and the sides of the picture.
fn picture(value: &Value) -> Result<(u64, u64, &[u64]), String> {
    match value.sides.as_slice() {
        [batch, channels, sides @ ..] if !sides.is_empty() => Ok((*batch, *channels, sides)),
        other => Err(format!("the shape {other:?} is no picture")),
    }
}

/// How many places the window takes along each side, and the bytes of its tables.
fn moved(
    node: &NodeProto,
    sides: &[u64],
    kernel: &[u64],
    rounded_up: bool,
) -> Result<(Vec<u64>, u64), String> {
    if kernel.len() != sides.len() || kernel.contains(&0) {
        return Err(format!("a window of {kernel:?} does not fit into {sides:?}"));
    }
    let how = word(node, "auto_pad");
    let steps = steps(node, kernel)?;
    let along = |(steps, side): (&Steps, &u64)| steps.along(*side, how, rounded_up);
    let places = steps.iter().zip(sides).map(along).collect::<Result<Vec<_>, _>>()?;
    let tables = tables(&steps, sides, &places, how);
    Ok((places, tables))
}

fn all(sides: &[u64]) -> u64 {
    sides.iter().fold(1, |count, side| count.saturating_mul(*side))
}

pub(super) fn convolution(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let (batch, channels, sides) = picture(first(inputs)?)?;
    let (outward, inward, kernel) = picture(second(inputs)?)?;
    let group = u64::try_from(integer(node, "group", 1)).ok().filter(|group| *group > 0);
    let group = group.ok_or_else(|| "its group is not 1 or more".to_owned())?;
    if inward.checked_mul(group) != Some(channels) || !outward.is_multiple_of(group) {
        return Err(format!(
            "a kernel of {outward} × {inward} channels in {group} groups for {channels} channels"
        ));
    }
    if let Some(bias) = nth(inputs, 2)
        && bias.sides != [outward]
    {
        return Err(format!("a bias of {:?} for {outward} channels", bias.sides));
    }
    if let Some(own) = integers(node, "kernel_shape")
        && !own.iter().map(|side| u64::try_from(*side).ok()).eq(kernel.iter().copied().map(Some))
    {
        return Err(format!("its kernel_shape {own:?} is not the kernel's {kernel:?}"));
    }
    let mut out = vec![batch, outward];
    let (places, tables) = moved(node, sides, kernel, false)?;
    out.extend(places);
    let value = Value::of(out);
    let each = inward.saturating_mul(all(kernel));
    let products = value.elements().saturating_mul(each);
    Ok(Outcome { tables, ..Outcome::worth(value, products) })
}

pub(super) fn pool(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let (batch, channels, sides) = picture(first(inputs)?)?;
    let kernel: Option<Vec<u64>> = integers(node, "kernel_shape")
        .and_then(|own| own.iter().map(|side| u64::try_from(*side).ok()).collect());
    let kernel = kernel.ok_or_else(|| "its kernel_shape is missing or negative".to_owned())?;
    let mut out = vec![batch, channels];
    let (places, tables) = moved(node, sides, &kernel, integer(node, "ceil_mode", 0) != 0)?;
    out.extend(places);
    let value = Value::of(out);
    let products = value.elements().saturating_mul(all(&kernel));
    Ok(Outcome { tables, ..Outcome::worth(value, products) })
}

pub(super) fn global(inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let value = first(inputs)?;
    let (batch, channels, sides) = picture(value)?;
    let mut out = vec![batch, channels];
    out.resize(2 + sides.len(), 1);
    Ok(Outcome::worth(Value::of(out), value.elements()))
}
