//! An ONNX graph, written node by node.

use leukd_model::manifest::Precision;
use leukd_model::onnx::attribute_proto::AttributeType;
use leukd_model::onnx::tensor_proto::DataType;
use leukd_model::onnx::tensor_shape_proto::{Dimension, dimension};
use leukd_model::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

pub(super) use crate::storage::integer;
use crate::storage::{self, Stored};

/// ONNX operators in the version of ONNX 1.8, and the file format that came with it.
const OPSET: i64 = 13;
const IR_VERSION: i64 = 7;

/// A graph in the making. Each method adds a node and returns the name of its output.
#[derive(Debug)]
pub(super) struct Builder {
    nodes: Vec<NodeProto>,
    tensors: Vec<TensorProto>,
    precision: Precision,
}

impl Builder {
    pub(super) fn new(precision: Precision) -> Self {
        Self { nodes: Vec::new(), tensors: Vec::new(), precision }
    }

    /// Any operator.
    pub(super) fn node(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> String {
        self.nodes.push(storage::node(operator, name, inputs, attributes));
        name.to_owned()
    }

    /// A stored f32 tensor.
    pub(super) fn tensor(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        let shape: Vec<i64> = shape.iter().map(|side| *side as i64).collect();
        self.tensors.push(storage::float_tensor(name, &shape, values));
        name.to_owned()
    }

    /// A kernel of `shape[0]` output channels, stored as the builder's precision asks.
    pub(super) fn kernel(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        let rows = shape.first().copied().unwrap_or(1);
        let shape: Vec<i64> = shape.iter().map(|side| *side as i64).collect();
        let (tensors, node) = Stored::new(values, rows, self.precision).onnx(name, &shape);
        self.tensors.extend(tensors);
        self.nodes.extend(node);
        name.to_owned()
    }

    /// x · sigmoid(x).
    pub(super) fn swish(&mut self, name: &str, x: &str) -> String {
        let gate = self.node("Sigmoid", &format!("{name}.sigmoid"), &[x], Vec::new());
        self.node("Mul", &format!("{name}.swish"), &[x, &gate], Vec::new())
    }

    /// The whole file, from `input` of `shape` to `output` of `[1, classes]`.
    pub(super) fn finish(
        self,
        input: &str,
        shape: [usize; 4],
        output: &str,
        classes: usize,
    ) -> ModelProto {
        ModelProto {
            ir_version: IR_VERSION,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
            producer_name: env!("CARGO_PKG_NAME").to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            doc_string: leukd_journal::result::RESEARCH_USE_ONLY.to_owned(),
            graph: Some(GraphProto {
                name: "efficientnet".to_owned(),
                node: self.nodes,
                initializer: self.tensors,
                input: vec![value(input, &shape)],
                output: vec![value(output, &[1, classes])],
                ..GraphProto::default()
            }),
            ..ModelProto::default()
        }
    }
}

pub(super) fn integers(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Ints as i32,
        ints: values.iter().map(|value| *value as i64).collect(),
        ..AttributeProto::default()
    }
}

pub(super) fn float(name: &str, value: f64) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Float as i32,
        f: value as f32,
        ..AttributeProto::default()
    }
}

fn value(name: &str, shape: &[usize]) -> ValueInfoProto {
    let dim = shape
        .iter()
        .map(|side| Dimension {
            value: Some(dimension::Value::DimValue(*side as i64)),
            ..Dimension::default()
        })
        .collect();
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto { dim }),
    };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}
