//! What each operator makes of the shapes that it takes.

mod arrange;
mod inputs;
mod window;

use super::attributes::{integer, integers, tensor};
use super::value::Value;
use crate::engine::onnx::NodeProto;
use inputs::{Inputs, Outcome, axes, first, nth, place, plain, second};

/// The outcome of `node` on these inputs.
///
/// # Errors
///
/// What does not fit.
pub(super) fn apply(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Outcome, String> {
    match node.op_type.as_str() {
        "Constant" => constant(node),
        "Abs" | "Ceil" | "Celu" | "Elu" | "Erf" | "Exp" | "Floor" | "Gelu" | "HardSigmoid"
        | "HardSwish" | "LRN" | "LeakyRelu" | "Log" | "LogSoftmax" | "Mish" | "Neg"
        | "Reciprocal" | "Relu" | "Round" | "Selu" | "Sigmoid" | "Sign" | "Softmax"
        | "Softplus" | "Softsign" | "Sqrt" | "Tanh" => unary(node, inputs),
        "Cast" | "Identity" => Ok(Outcome::of(first(inputs)?.clone())),
        "Clip" | "Dropout" => with_scalars(node, inputs),
        "BatchNormalization" | "InstanceNormalization" => by_channel(inputs),
        "QuantizeLinear" | "DequantizeLinear" => by_axis(inputs),
        "LayerNormalization" | "PRelu" => spread_over(inputs),
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Min" | "Max" | "Sum" | "Mean" => {
            // The engine takes them two by two.
            let value = Value::of(broadcast(inputs)?);
            let products = value.elements().saturating_mul(inputs.len().max(2) as u64 - 1);
            Ok(Outcome::worth(value, products))
        }
        "Gemm" => gemm(node, inputs),
        "MatMul" => product(inputs),
        "ReduceL2" | "ReduceMax" | "ReduceMean" | "ReduceMin" | "ReduceSum" => reduce(node, inputs),
        "Conv" => window::convolution(node, inputs),
        "AveragePool" | "MaxPool" => window::pool(node, inputs),
        "GlobalAveragePool" | "GlobalMaxPool" => window::global(inputs),
        _ => arrange::apply(node, inputs),
    }
}

fn constant(node: &NodeProto) -> Result<Outcome, String> {
    let value = if let Some(tensor) = tensor(node, "value") {
        Value::stored(tensor)?
    } else if let Some(own) = integers(node, "value_ints") {
        let integers = (own.len() <= 64).then(|| own.to_vec());
        Value { integers, ..Value::of(vec![own.len() as u64]) }
    } else {
        let named = |name: &str| node.attribute.iter().find(|own| own.name == name);
        match (named("value_int"), named("value_float"), named("value_floats")) {
            (Some(own), _, _) => Value { integers: Some(vec![own.i]), ..Value::of(Vec::new()) },
            (_, Some(_), _) => Value::of(Vec::new()),
            (_, _, Some(own)) => Value::of(vec![own.floats.len() as u64]),
            _ => return Err("it holds no value of a kind that is allowed".to_owned()),
        }
    };
    Ok(Outcome::of(value))
}

fn unary(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let value = first(inputs)?;
    if inputs.len() > 1 {
        return Err(format!("it takes {} inputs, not one", inputs.len()));
    }
    // Only LRN has a size: the channels that each element is held against.
    let size = u64::try_from(integer(node, "size", 1)).map_err(|_| "its size is negative")?;
    Ok(Outcome::worth(plain(value), value.elements().saturating_mul(size)))
}

/// Further inputs are single numbers; a second output (Dropout's mask) is as large as the first.
fn with_scalars(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let value = first(inputs)?;
    if inputs.iter().skip(1).flatten().any(|other| other.elements() != 1) {
        return Err("its bounds are no single numbers".to_owned());
    }
    let mut outcome = Outcome::of(plain(value));
    if node.op_type == "Dropout" {
        outcome.outputs.push(plain(value));
    }
    Ok(outcome)
}

fn by_channel(inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let value = first(inputs)?;
    let Some(channels) = value.sides.get(1) else {
        return Err(format!("the shape {:?} has no channels", value.sides));
    };
    for other in inputs.iter().skip(1).flatten() {
        if other.sides != [*channels] {
            return Err(format!("{:?} parameters for {channels} channels", other.sides));
        }
    }
    Ok(Outcome::of(plain(value)))
}

/// Scale and zero point are one number, or one for each place along a side.
fn by_axis(inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let value = first(inputs)?;
    for other in inputs.iter().skip(1).flatten() {
        let count = other.elements();
        let fits = count == 1 || (other.sides.len() == 1 && value.sides.contains(&count));
        if !fits {
            return Err(format!("{:?} scales for the shape {:?}", other.sides, value.sides));
        }
    }
    Ok(Outcome::of(plain(value)))
}

/// Further inputs are spread over the first and make it no larger.
fn spread_over(inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let value = first(inputs)?;
    let sides = broadcast(inputs)?;
    if sides != value.sides {
        return Err(format!("its parameters do not fit the shape {:?}", value.sides));
    }
    Ok(Outcome::of(plain(value)))
}

/// The shape of all inputs together, as NumPy spreads them over one another.
fn broadcast(inputs: &Inputs<'_>) -> Result<Vec<u64>, String> {
    let mut sides = first(inputs)?.sides.clone();
    for other in inputs.iter().skip(1).flatten() {
        sides = together(&sides, &other.sides)?;
    }
    Ok(sides)
}

fn together(one: &[u64], other: &[u64]) -> Result<Vec<u64>, String> {
    let rank = one.len().max(other.len());
    let side = |sides: &[u64], place: usize| {
        (place + sides.len()).checked_sub(rank).map_or(1, |place| sides[place])
    };
    (0..rank)
        .map(|place| match (side(one, place), side(other, place)) {
            (a, b) if a == b || b == 1 => Ok(a),
            (1, b) => Ok(b),
            _ => Err(format!("the shapes {one:?} and {other:?} do not fit together")),
        })
        .collect()
}

fn gemm(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let matrix =
        |value: &Value, turned: &str| match (value.sides.as_slice(), integer(node, turned, 0)) {
            ([rows, columns], 0) => Ok((*rows, *columns)),
            ([rows, columns], _) => Ok((*columns, *rows)),
            _ => Err(format!("the shape {:?} is no matrix", value.sides)),
        };
    let (rows, inner) = matrix(first(inputs)?, "transA")?;
    let (other, columns) = matrix(second(inputs)?, "transB")?;
    if inner != other {
        return Err(format!("{inner} columns meet {other} rows"));
    }
    let sides = vec![rows, columns];
    if let Some(bias) = nth(inputs, 2)
        && together(&sides, &bias.sides)? != sides
    {
        return Err(format!("a bias of {:?} for {sides:?}", bias.sides));
    }
    let value = Value::of(sides);
    let products = value.elements().saturating_mul(inner);
    Ok(Outcome::worth(value, products))
}

fn product(inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let (one, other) = (&first(inputs)?.sides, &second(inputs)?.sides);
    let no_fit = || format!("the shapes {one:?} and {other:?} do not fit together");
    let ([batch @ .., rows, inner], [others @ .., own, columns]) =
        (one.as_slice(), other.as_slice())
    else {
        return Err(no_fit());
    };
    if inner != own {
        return Err(no_fit());
    }
    let mut sides = together(batch, others)?;
    sides.extend([*rows, *columns]);
    let value = Value::of(sides);
    let products = value.elements().saturating_mul(*inner);
    Ok(Outcome::worth(value, products))
}

fn reduce(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let value = first(inputs)?;
    let rank = value.sides.len();
    let mut reduced = vec![false; rank];
    match axes(node, inputs)? {
        None => reduced.fill(true),
        Some(axes) => {
            for axis in axes {
                reduced[place(axis, rank)?] = true;
            }
        }
    }
    let keep = integer(node, "keepdims", 1) != 0;
    let sides = value
        .sides
        .iter()
        .zip(reduced)
        .filter_map(|(side, gone)| match (gone, keep) {
            (false, _) => Some(*side),
            (true, true) => Some(1),
            (true, false) => None,
        })
        .collect();
    Ok(Outcome::worth(Value::of(sides), value.elements()))
}
