//! Operators that only arrange what they take; those on shapes are computed, so that a shape taken
//! from a picture's own (`view(x.size(0), -1)` of an exported PyTorch network) is known too.

use super::super::attributes::{integer, integers};
use super::super::value::Value;
use super::inputs::{Inputs, Outcome, axes, first, known, nth, place, second};
use crate::engine::onnx::NodeProto;

pub(super) fn apply(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let outcome = match node.op_type.as_str() {
        "Concat" => concat(node, inputs)?,
        "Flatten" => flatten(node, first(inputs)?)?,
        "Gather" => gather(node, inputs)?,
        "Pad" => pad(node, inputs)?,
        "Reshape" => reshape(node, inputs)?,
        "Shape" => shape(node, first(inputs)?)?,
        "Slice" => slice(node, inputs)?,
        "Split" => return split(node, inputs),
        "Squeeze" => squeeze(node, inputs)?,
        "Transpose" => transpose(node, first(inputs)?)?,
        "Unsqueeze" => unsqueeze(node, inputs)?,
        _ => return Err("its shape is not known".to_owned()),
    };
    Ok(Outcome::of(outcome))
}

/// The same values under another shape.
fn rearranged(value: &Value, sides: Vec<u64>) -> Value {
    Value { integers: value.integers.clone(), ..Value::of(sides) }
}

fn concat(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Value, String> {
    let mut sides = first(inputs)?.sides.clone();
    let axis = place(integer(node, "axis", 0), sides.len())?;
    for other in inputs.iter().skip(1).flatten() {
        let fits = other.sides.len() == sides.len()
            && (0..sides.len()).all(|index| index == axis || other.sides[index] == sides[index]);
        if !fits {
            return Err(format!("the shapes {sides:?} and {:?} do not fit together", other.sides));
        }
        sides[axis] = sides[axis].saturating_add(other.sides[axis]);
    }
    let all: Option<Vec<&[i64]>> =
        inputs.iter().flatten().map(|value| value.integers.as_deref()).collect();
    let integers = all.map(|all| all.concat()).filter(|all| sides.len() == 1 && all.len() <= 64);
    Ok(Value { integers, ..Value::of(sides) })
}

fn flatten(node: &NodeProto, value: &Value) -> Result<Value, String> {
    let rank = value.sides.len();
    let axis = integer(node, "axis", 1);
    let cut = if usize::try_from(axis) == Ok(rank) { rank } else { place(axis, rank)? };
    let (rows, columns) = value.sides.split_at(cut);
    let count = |sides: &[u64]| sides.iter().fold(1_u64, |all, side| all.saturating_mul(*side));
    Ok(Value::of(vec![count(rows), count(columns)]))
}

fn gather(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Value, String> {
    let (value, indices) = (first(inputs)?, second(inputs)?);
    let axis = place(integer(node, "axis", 0), value.sides.len())?;
    let mut sides = value.sides[..axis].to_vec();
    sides.extend(&indices.sides);
    sides.extend(&value.sides[axis + 1..]);
    let one = |index: &i64, from: &[i64]| place(*index, from.len()).map(|place| from[place]);
    let integers = match (&value.integers, &indices.integers) {
        (Some(from), Some(indices)) if value.sides.len() == 1 => {
            Some(indices.iter().map(|index| one(index, from)).collect::<Result<_, _>>()?)
        }
        _ => None,
    };
    Ok(Value { integers, ..Value::of(sides) })
}

fn pad(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Value, String> {
    let value = first(inputs)?;
    let pads = match (integers(node, "pads"), nth(inputs, 1)) {
        (Some(own), _) => own.to_vec(),
        (None, Some(given)) => known(given)?.to_vec(),
        (None, None) => return Err("its pads are missing".to_owned()),
    };
    let rank = value.sides.len();
    if nth(inputs, 3).is_some() || pads.len() != 2 * rank {
        return Err(format!("{} pads for {rank} sides", pads.len()));
    }
    let padded = |index: usize| {
        let [before, after] = [pads[index], pads[index + rank]].map(|pad| u64::try_from(pad).ok());
        let sum = value.sides[index].checked_add(before?)?;
        sum.checked_add(after?)
    };
    let sides: Option<Vec<u64>> = (0..rank).map(padded).collect();
    sides.map(Value::of).ok_or_else(|| format!("the pads {pads:?} are negative or too large"))
}

fn reshape(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Value, String> {
    let value = first(inputs)?;
    let wanted = match (nth(inputs, 1), integers(node, "shape")) {
        (Some(given), _) => known(given)?,
        (None, Some(own)) => own,
        (None, None) => return Err("its shape is missing".to_owned()),
    };
    let mut sides = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (index, side) in wanted.iter().enumerate() {
        sides.push(match side {
            -1 if open.is_none() => {
                open = Some(index);
                1
            }
            0 => *value.sides.get(index).ok_or("it copies a side that is not there")?,
            side => {
                u64::try_from(*side).map_err(|_| format!("the shape {wanted:?} is impossible"))?
            }
        });
    }
    let (has, others) = (value.elements(), Value::of(sides.clone()).elements());
    if let Some(index) = open {
        sides[index] = has.checked_div(others).unwrap_or_default();
    }
    if Value::of(sides.clone()).elements() != has {
        return Err(format!("{:?} does not become {wanted:?}", value.sides));
    }
    Ok(rearranged(value, sides))
}

fn shape(node: &NodeProto, value: &Value) -> Result<Value, String> {
    if asks_for_a_part(node) {
        return Err("only whole shapes may be asked for".to_owned());
    }
    let sides: Result<Vec<i64>, _> = value.sides.iter().map(|side| i64::try_from(*side)).collect();
    let sides = sides.map_err(|_| "a side is too long".to_owned())?;
    Ok(Value { integers: Some(sides.clone()), ..Value::of(vec![sides.len() as u64]) })
}

fn asks_for_a_part(node: &NodeProto) -> bool {
    node.attribute.iter().any(|own| matches!(own.name.as_str(), "start" | "end"))
}

fn slice(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Value, String> {
    let value = first(inputs)?;
    let list = |name: &str, index: usize| match (integers(node, name), nth(inputs, index)) {
        (Some(own), _) => Ok(Some(own.to_vec())),
        (None, Some(given)) => known(given).map(|own| Some(own.to_vec())),
        (None, None) => Ok(None),
    };
    let missing = || "its starts or ends are missing".to_owned();
    let starts = list("starts", 1)?.ok_or_else(missing)?;
    let ends = list("ends", 2)?.ok_or_else(missing)?;
    let count = starts.len();
    let axes = match list("axes", 3)? {
        Some(axes) => axes,
        None => (0..i64::try_from(count).map_err(|_| missing())?).collect(),
    };
    let steps = list("steps", 4)?.unwrap_or_else(|| vec![1; count]);
    if ends.len() != count || axes.len() != count || steps.len() != count {
        return Err("its starts, ends, axes and steps are not equally many".to_owned());
    }
    let mut sides = value.sides.clone();
    let mut integers = value.integers.clone().filter(|_| sides.len() == 1);
    for (((start, end), axis), step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let axis = place(*axis, sides.len())?;
        let length = i64::try_from(sides[axis]).map_err(|_| "a side is too long".to_owned())?;
        let within = |at: i64| if at < 0 { at.saturating_add(length) } else { at }.clamp(0, length);
        let step = usize::try_from(*step).ok().filter(|step| *step > 0);
        let step = step.ok_or_else(|| "its steps are not 1 or more".to_owned())?;
        let (start, end) = (within(*start), within(*end));
        let taken = u64::try_from(end - start).unwrap_or_default();
        sides[axis] = taken.div_ceil(step as u64);
        integers = integers.map(|own| {
            let from = usize::try_from(start).unwrap_or_default();
            let taken = usize::try_from(taken).unwrap_or_default();
            own.into_iter().skip(from).take(taken).step_by(step).collect()
        });
    }
    Ok(Value { integers, ..Value::of(sides) })
}

fn split(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let value = first(inputs)?;
    let axis = place(integer(node, "axis", 0), value.sides.len())?;
    let (side, outputs) = (value.sides[axis], node.output.len() as u64);
    let parts = match (integers(node, "split"), nth(inputs, 1)) {
        (Some(own), _) => own.to_vec(),
        (None, Some(given)) => known(given)?.to_vec(),
        (None, None) if outputs > 0 && side.is_multiple_of(outputs) => {
            let part =
                i64::try_from(side / outputs).map_err(|_| "a side is too long".to_owned())?;
            vec![part; node.output.len()]
        }
        (None, None) => return Err(format!("{side} cannot be split into {outputs} equal parts")),
    };
    let parts: Option<Vec<u64>> = parts.iter().map(|part| u64::try_from(*part).ok()).collect();
    let fits = |parts: &Vec<u64>| {
        parts.len() as u64 == outputs
            && parts.iter().fold(0_u64, |all, part| all.saturating_add(*part)) == side
    };
    let parts = parts.filter(fits).ok_or_else(|| format!("its parts do not make {side}"))?;
    let part = |part: u64| {
        let mut sides = value.sides.clone();
        sides[axis] = part;
        Value::of(sides)
    };
    let outputs = parts.into_iter().map(part).collect();
    Ok(Outcome { outputs, products: value.elements(), tables: 0 })
}

fn squeeze(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Value, String> {
    let value = first(inputs)?;
    let rank = value.sides.len();
    let mut gone: Vec<bool> = value.sides.iter().map(|side| *side == 1).collect();
    if let Some(axes) = axes(node, inputs)? {
        gone.fill(false);
        for axis in axes {
            let axis = place(axis, rank)?;
            if value.sides[axis] != 1 {
                return Err(format!("the side {axis} of {:?} is not 1", value.sides));
            }
            gone[axis] = true;
        }
    }
    let left = value.sides.iter().zip(gone).filter(|(_, gone)| !gone).map(|(side, _)| *side);
    Ok(rearranged(value, left.collect()))
}

fn transpose(node: &NodeProto, value: &Value) -> Result<Value, String> {
    let rank = value.sides.len();
    let order: Result<Vec<usize>, String> = match integers(node, "perm") {
        Some(own) => own.iter().map(|axis| place(*axis, rank)).collect(),
        None => Ok((0..rank).rev().collect()),
    };
    let order = order?;
    let mut seen = order.clone();
    seen.sort_unstable();
    if !seen.into_iter().eq(0..rank) {
        return Err(format!("its perm does not name each of {rank} sides once"));
    }
    Ok(Value::of(order.into_iter().map(|axis| value.sides[axis]).collect()))
}

fn unsqueeze(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Value, String> {
    let value = first(inputs)?;
    let axes = axes(node, inputs)?.ok_or_else(|| "its axes are missing".to_owned())?;
    let rank = value.sides.len() + axes.len();
    let mut new = vec![false; rank];
    for axis in axes {
        new[place(axis, rank)?] = true;
    }
    let mut old = value.sides.iter();
    let sides: Vec<u64> =
        new.into_iter().filter_map(|new| if new { Some(1) } else { old.next().copied() }).collect();
    if old.next().is_some() {
        return Err("its axes name one side twice".to_owned());
    }
    Ok(rearranged(value, sides))
}
