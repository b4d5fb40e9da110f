//! The first look: over the bytes as they are, with nothing allocated.
//!
//! A protobuf message of two bytes may become a struct of hundreds: 512 MiB of empty nodes would be
//! some 70 GB. So what the decoder would make is counted first, along the ONNX schema; fields that
//! the decoder skips are skipped here.

use super::{GateError, MOST_INTEGERS, MOST_LISTED, MOST_MESSAGES, MOST_NODES, MOST_TENSORS};

/// The messages of the ONNX schema that are looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    /// Has texts and numbers alone: dimension, opset, metadata entry, segment, annotation.
    Plain,
}

/// What a field holds.
enum Field {
    Inner(Message),
    /// Text or bytes: as long decoded as in the file.
    Text,
    /// Integers, eight bytes each once decoded.
    Integers,
    /// Integers that stand for weights, four bytes each.
    Listed,
    /// What a classifier has no use for.
    Refused(&'static str),
    /// One number, or numbers as wide in the file as decoded, or a field that the decoder skips.
    Other,
}

const SUBGRAPH: &str =
    "a node holds a graph of its own: control flow (If, Loop, Scan) is not allowed";
const SPARSE: &str = "sparse tensors are not supported";

/// Field numbers: `onnx.proto` of ONNX 1.16.
const fn field(message: Message, number: u64) -> Field {
    use Message::{
        Attribute, Graph, Model, Node, Plain, Shape, Tensor, TensorType, Type, ValueInfo,
    };
    match (message, number) {
        (Model, 7) => Field::Inner(Graph),
        (Model, 8 | 14) => Field::Inner(Plain),
        (Model, 20) => Field::Refused("training information is not allowed in a bundle"),
        (Model, 25) => Field::Refused("functions of the file's own are not allowed"),
        (Graph, 1) => Field::Inner(Node),
        (Graph, 5) => Field::Inner(Tensor),
        (Graph, 11..=13) => Field::Inner(ValueInfo),
        (Graph, 14) | (Tensor, 3) | (Shape, 1) => Field::Inner(Plain),
        (Graph, 15) | (Attribute, 22 | 23) => Field::Refused(SPARSE),
        (Node, 5) => Field::Inner(Attribute),
        (Attribute, 5 | 10) => Field::Inner(Tensor),
        (Attribute, 6 | 11) => Field::Refused(SUBGRAPH),
        (Attribute, 8) | (Tensor, 1 | 7 | 11) => Field::Integers,
        (Attribute, 15) => Field::Refused("attributes that are types are not allowed"),
        (Tensor, 5) => Field::Listed,
        (Tensor, 13) => {
            Field::Refused("a tensor's values lie in another file; a bundle is one file")
        }
        (ValueInfo, 2) => Field::Inner(Type),
        (Type, 1) => Field::Inner(TensorType),
        (TensorType, 2) => Field::Inner(Shape),
        (Model, 2..=6)
        | (Graph, 2 | 10)
        | (Node, 1..=4 | 6 | 7)
        | (Attribute, 1 | 4 | 9 | 13 | 21)
        | (Tensor, 6 | 8 | 9 | 12)
        | (ValueInfo, 1 | 3)
        | (Type, 6) => Field::Text,
        _ => Field::Other,
    }
}

#[derive(Default)]
struct Counts {
    messages: u64,
    integers: u64,
    listed: u64,
    nodes: u64,
    tensors: u64,
}

impl Counts {
    fn message(&mut self) -> Result<(), GateError> {
        self.messages += 1;
        hold(self.messages, MOST_MESSAGES, "messages and texts")
    }

    fn integers(&mut self, more: u64) -> Result<(), GateError> {
        self.integers += more;
        hold(self.integers, MOST_INTEGERS, "integers in lists")
    }

    fn listed(&mut self, more: u64) -> Result<(), GateError> {
        self.listed += more;
        let what = "bytes of weights listed as integers: they belong into raw_data";
        hold(self.listed, MOST_LISTED, what)
    }
}

fn hold(found: u64, most: u64, what: &str) -> Result<(), GateError> {
    if found <= most {
        return Ok(());
    }
    Err(GateError::new("the file", format!("it holds more than {most} {what}")))
}

/// Counts what decoding `bytes` as an ONNX model would make, and holds it against the limits.
///
/// # Errors
///
/// What there is too much of, what is not allowed at all, or that the bytes are no protobuf.
pub fn scan(bytes: &[u8]) -> Result<(), GateError> {
    message(bytes, Message::Model, &mut Counts::default())
}

/// As deep as the schema, at the most nine calls.
fn message(mut rest: &[u8], kind: Message, counts: &mut Counts) -> Result<(), GateError> {
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let known = field(kind, tag >> 3);
        match (tag & 7, known) {
            (0, known) => {
                varint(&mut rest)?;
                match known {
                    Field::Integers => counts.integers(1)?,
                    Field::Listed => counts.listed(1)?,
                    _ => {}
                }
            }
            (1, _) => drop(take(&mut rest, 8)?),
            (5, _) => drop(take(&mut rest, 4)?),
            (2, known) => {
                let length = varint(&mut rest)?;
                let body = take(&mut rest, length)?;
                inner(body, known, counts)?;
            }
            // Groups: ONNX has none.
            _ => return Err(GateError::Damaged),
        }
    }
    Ok(())
}

fn inner(body: &[u8], known: Field, counts: &mut Counts) -> Result<(), GateError> {
    match known {
        Field::Refused(why) => return Err(GateError::new("the file", why)),
        Field::Other => return Ok(()),
        // Each takes a byte at the least.
        Field::Integers => return counts.integers(body.len() as u64),
        Field::Listed => return counts.listed(body.len() as u64),
        Field::Text | Field::Inner(_) => counts.message()?,
    }
    let Field::Inner(kind) = known else { return Ok(()) };
    match kind {
        Message::Node => {
            counts.nodes += 1;
            hold(counts.nodes, MOST_NODES as u64, "nodes")?;
        }
        Message::Tensor => {
            // Those that nodes hold as attributes are among them.
            counts.tensors += 1;
            hold(counts.tensors, (MOST_TENSORS + MOST_NODES) as u64, "tensors")?;
        }
        Message::Plain => return plain(body, counts),
        _ => {}
    }
    message(body, kind, counts)
}

/// A message that has no messages below it but an annotation's, which are pairs of texts. Each
/// field is counted.
fn plain(mut rest: &[u8], counts: &mut Counts) -> Result<(), GateError> {
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        counts.message()?;
        match tag & 7 {
            0 => drop(varint(&mut rest)?),
            1 => drop(take(&mut rest, 8)?),
            2 => {
                let length = varint(&mut rest)?;
                take(&mut rest, length)?;
            }
            5 => drop(take(&mut rest, 4)?),
            _ => return Err(GateError::Damaged),
        }
    }
    Ok(())
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8], GateError> {
    let length = usize::try_from(length).map_err(|_| GateError::Damaged)?;
    let (taken, left) = rest.split_at_checked(length).ok_or(GateError::Damaged)?;
    *rest = left;
    Ok(taken)
}

fn varint(rest: &mut &[u8]) -> Result<u64, GateError> {
    let mut value = 0_u64;
    for shift in 0..10 {
        let (byte, left) = rest.split_first().ok_or(GateError::Damaged)?;
        *rest = left;
        value |= u64::from(byte & 0x7f) << (7 * shift);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(GateError::Damaged)
}
