//! The gate: what a bundle may not hold is refused before the engine sees it, quickly and without
//! memory.

use std::time::{Duration, Instant};

use leukd::model::bundle::{self, Bundle, BundleError};
use leukd::model::gate::{self, GateError, Limits};
use leukd::model::manifest::{Manifest, Precision};
use leukd::model::onnx::attribute_proto::AttributeType;
use leukd::model::onnx::tensor_proto::{DataLocation, DataType};
use leukd::model::onnx::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    SparseTensorProto, StringStringEntryProto, TensorProto, TrainingInfoProto, tensor_shape_proto,
    type_proto,
};
use leukd::model::serving::Model;
use leukd::model::testing;
use prost::Message as _;

/// A bundle that works, as a message.
fn sound() -> ModelProto {
    ModelProto::decode(&*testing::tiny_bundle("tiny", 1)).unwrap()
}

/// The refusal of a sound bundle that was changed; it took hardly any time.
fn refusal(change: impl FnOnce(&mut ModelProto)) -> String {
    let mut network = sound();
    change(&mut network);
    refused(&network.encode_to_vec())
}

fn refused(bytes: &[u8]) -> String {
    let started = Instant::now();
    let error = Bundle::from_bytes(bytes, "b.onnx").unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}: {error}", started.elapsed());
    assert!(matches!(error, BundleError::Gate { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.starts_with("b.onnx: refused: "), "{text}");
    text
}

#[track_caller]
fn assert_refused(words: &[&str], change: impl FnOnce(&mut ModelProto)) {
    let text = refusal(change);
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
}

/// The same for its graph.
#[track_caller]
fn assert_graph_refused(words: &[&str], change: impl FnOnce(&mut GraphProto)) {
    assert_refused(words, |network| change(network.graph.as_mut().unwrap()));
}

fn node(kind: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: kind.to_owned(),
        name: format!("the {output}"),
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Ints as i32,
        ints: values.to_vec(),
        ..AttributeProto::default()
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    let kind = AttributeType::Int as i32;
    AttributeProto { name: name.to_owned(), r#type: kind, i: value, ..AttributeProto::default() }
}

fn tensor(name: &str, kind: DataType, dims: &[i64], raw_data: Vec<u8>) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: dims.to_vec(),
        data_type: kind as i32,
        raw_data,
        ..TensorProto::default()
    }
}

/// Sides as stored integers.
fn sides(name: &str, values: &[i64]) -> TensorProto {
    let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor(name, DataType::Int64, &[values.len() as i64], raw)
}

/// The graph's nodes replaced by others, whose last gives `logits`.
fn only(graph: &mut GraphProto, nodes: Vec<NodeProto>, stored: Vec<TensorProto>) {
    graph.node = nodes;
    graph.initializer = stored;
}

/// A protobuf field that holds these bytes.
fn field(number: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + 12);
    prost::encoding::encode_varint(number << 3 | 2, &mut bytes);
    prost::encoding::encode_varint(body.len() as u64, &mut bytes);
    bytes.extend_from_slice(body);
    bytes
}

#[test]
fn the_embedded_bundle_and_every_stored_form_pass_with_what_they_need() {
    let needs = Bundle::embedded().unwrap().needs();
    // 11 million weights three times, and a B3's multiplications at 64 × 64 pixels.
    assert!((120_000_000..400_000_000).contains(&needs.memory), "{needs:?}");
    assert!((50_000_000..200_000_000).contains(&needs.products), "{needs:?}");
    for precision in [Precision::F32, Precision::F16, Precision::Int8] {
        let bundle = testing::tiny_bundle_stored("tiny", 1, precision);
        assert!(Bundle::from_bytes(&bundle, "b.onnx").unwrap().needs().nodes >= 5);
    }
}

#[test]
fn millions_of_empty_nodes_are_refused_at_once_and_take_no_memory() {
    // Decoded they would be some 6 GB.
    let nodes = [0x0a, 0x00].repeat(16 << 20);
    let bytes = field(7, &nodes);
    let mut text = String::new();
    let taken = allocation_counter::measure(|| text = refused(&bytes));
    assert!(text.contains("more than 4096 nodes"), "{text}");
    assert!(taken.bytes_max < 1 << 20, "{taken:?}");
}

#[test]
fn what_a_few_bytes_unfold_into_is_counted_before_it_is_decoded() {
    let cases: [(Vec<u8>, &str); 6] = [
        // Empty tensors, empty names of inputs of one node, empty metadata.
        (field(7, &[0x2a, 0x00].repeat(1 << 20)), "tensors"),
        (field(7, &field(1, &[0x0a, 0x00].repeat(1 << 20))), "messages and texts"),
        ([0x72, 0x00].repeat(1 << 20), "messages and texts"),
        // Integers of an attribute, packed and one by one.
        (field(7, &field(1, &field(5, &field(8, &vec![0; 2 << 20])))), "integers in lists"),
        (field(7, &field(1, &field(5, &[0x40, 0x00].repeat(2 << 20)))), "integers in lists"),
        // Weights one by one.
        (field(7, &field(5, &field(5, &vec![0; 65 << 20]))), "weights listed as integers"),
    ];
    for (bytes, words) in cases {
        let mut text = String::new();
        let taken = allocation_counter::measure(|| text = refused(&bytes));
        assert!(text.contains(words), "{text}");
        assert!(taken.bytes_max < 1 << 20, "{words}: {taken:?}");
    }
}

#[test]
fn shapes_that_are_huge_negative_or_empty_are_refused_and_take_no_memory() {
    let weight = |dims: &[i64]| tensor("conv.weight", DataType::Float, dims, vec![0; 16]);
    for dims in [
        &[i64::MAX][..],
        &[1 << 40, 1 << 40],
        &[-4],
        &[2, -2],
        &[0],
        &[4, 0, 4, 4],
        &[1 << 31, 1 << 31, 1 << 31],
        &[1_000_000_000],
    ] {
        let mut text = String::new();
        let mut network = sound();
        let graph = network.graph.as_mut().unwrap();
        *graph.initializer.iter_mut().find(|own| own.name == "conv.weight").unwrap() = weight(dims);
        let bytes = network.encode_to_vec();
        let taken = allocation_counter::measure(|| text = refused(&bytes));
        assert!(text.contains("tensor \"conv.weight\""), "{dims:?}: {text}");
        assert!(taken.bytes_max < 4 << 20, "{dims:?}: {taken:?}");
    }
}

#[test]
fn an_input_that_no_picture_can_be_or_that_is_not_the_only_one_is_refused() {
    for side in [-1, 0, 1 << 20, i64::MAX, i64::MIN] {
        assert_graph_refused(&["input \"image\"", "a picture's are 1 to 65536"], |graph| {
            let kind = graph.input[0].r#type.as_mut().unwrap().value.as_mut().unwrap();
            let type_proto::Value::TensorType(own) = kind;
            let value = Some(tensor_shape_proto::dimension::Value::DimValue(side));
            own.shape.as_mut().unwrap().dim[3].value = value;
        });
    }
    assert_graph_refused(&["the graph: it has 2 inputs, not one"], |graph| {
        let mut second = graph.input[0].clone();
        second.name = "second".to_owned();
        graph.input.push(second);
    });
    assert_graph_refused(&["the graph: it has 0 inputs"], |graph| graph.input.clear());
}

#[test]
fn an_output_that_is_not_one_number_a_label_is_refused() {
    assert_graph_refused(&["output \"convolved\"", "not [1, 2]"], |graph| {
        graph.output[0].name = "convolved".to_owned();
    });
    assert_graph_refused(&["output \"nothing\": nothing gives it"], |graph| {
        graph.output[0].name = "nothing".to_owned();
    });
    assert_graph_refused(&["the graph: it has 2 outputs"], |graph| {
        graph.output.push(graph.output[0].clone());
    });
}

#[test]
fn control_flow_and_operators_that_are_not_on_the_list_are_refused_by_name() {
    for kind in [
        "If",
        "Loop",
        "Scan",
        "LSTM",
        "Expand",
        "ConstantOfShape",
        "NonZero",
        "RandomUniform",
        "Mine",
    ] {
        assert_graph_refused(&["node \"the logits\"", kind, "is not allowed"], |graph| {
            only(graph, vec![node(kind, &["image"], "logits")], Vec::new());
        });
    }
    assert_graph_refused(&["a graph of its own", "Loop"], |graph| {
        let mut own = node("Loop", &["image"], "logits");
        own.attribute.push(AttributeProto {
            name: "body".to_owned(),
            r#type: AttributeType::Graph as i32,
            g: Some(GraphProto::default()),
            ..AttributeProto::default()
        });
        only(graph, vec![own], Vec::new());
    });
}

#[test]
fn a_domain_of_one_s_own_functions_and_training_are_refused() {
    assert_refused(&["\"com.microsoft\"", "only ONNX's own"], |network| {
        let (domain, version) = ("com.microsoft".to_owned(), 1);
        network.opset_import.push(OperatorSetIdProto { domain, version });
    });
    assert_graph_refused(&["node \"positive\"", "com.microsoft"], |graph| {
        graph.node[1].domain = "com.microsoft".to_owned();
    });
    assert_refused(&["functions of the file's own"], |network| {
        network.functions.push(FunctionProto::default());
    });
    assert_refused(&["training information"], |network| {
        network.training_info.push(TrainingInfoProto::default());
    });
}

#[test]
fn values_outside_the_file_and_sparse_values_are_refused() {
    assert_graph_refused(&["another file"], |graph| {
        let (key, value) = ("location".to_owned(), "/etc/shadow".to_owned());
        graph.initializer[0].external_data.push(StringStringEntryProto { key, value });
    });
    assert_graph_refused(&["tensor \"conv.bias\"", "another file"], |graph| {
        graph.initializer[0].data_location = Some(DataLocation::External as i32);
    });
    assert_graph_refused(&["sparse tensors"], |graph| {
        graph.sparse_initializer.push(SparseTensorProto::default());
    });
}

#[test]
fn a_name_given_twice_or_taken_before_it_is_given_is_refused() {
    assert_graph_refused(&["the name \"convolved\" is given twice"], |graph| {
        graph.node.insert(1, node("Relu", &["image"], "convolved"));
    });
    assert_graph_refused(&["the name \"conv.bias\" is given twice"], |graph| {
        graph.initializer.push(graph.initializer[0].clone());
    });
    assert_graph_refused(&["it takes \"positive\", which nothing before it gives"], |graph| {
        graph.node.swap(1, 2);
    });
    // A circle.
    assert_graph_refused(&["it takes \"logits\", which nothing before it gives"], |graph| {
        graph.node[1].input[0] = "logits".to_owned();
    });
}

#[test]
fn a_network_that_needs_too_much_memory_is_refused_before_it_takes_any() {
    // Each doubles the tensor before it: 2^40 pictures.
    let doubling = |graph: &mut GraphProto| {
        let mut before = "image".to_owned();
        let mut nodes = Vec::new();
        for index in 0..40 {
            let next = format!("x{index}");
            let mut own = node("Concat", &[&before, &before], &next);
            own.attribute.push(int("axis", 2));
            nodes.push(own);
            before = next;
        }
        only(graph, nodes, Vec::new());
    };
    assert_graph_refused(&["Concat", "bytes of memory", "model.max_memory"], doubling);
    // One stored megabyte, expanded three thousand times.
    assert_graph_refused(&["DequantizeLinear", "bytes of memory"], |graph| {
        let nodes = (0..3000)
            .map(|index| node("DequantizeLinear", &["bytes", "scale"], &format!("w{index}")))
            .collect();
        let stored = vec![
            tensor("bytes", DataType::Int8, &[1 << 20], vec![1; 1 << 20]),
            tensor("scale", DataType::Float, &[1], vec![0; 4]),
        ];
        only(graph, nodes, stored);
    });
    // Spread over one another: 10,000 numbers become 100 million, and those 100 times as many.
    assert_graph_refused(&["Add", "bytes of memory"], |graph| {
        let nodes =
            vec![node("Add", &["row", "column"], "table"), node("Add", &["table", "deep"], "all")];
        let many = |name: &str, dims: &[i64]| {
            let bytes = 4 * usize::try_from(dims.iter().product::<i64>()).unwrap();
            tensor(name, DataType::Float, dims, vec![0; bytes])
        };
        let stored = vec![
            many("row", &[1, 10_000]),
            many("column", &[10_000, 1]),
            many("deep", &[100, 1, 1]),
        ];
        only(graph, nodes, stored);
    });
}

/// A pool that leaves one number a label of the picture's first two channels.
fn pooled(graph: &mut GraphProto, kernel: i64, stride: i64) {
    let mut pool = node("MaxPool", &["image"], "logits");
    let auto = AttributeProto {
        name: "auto_pad".to_owned(),
        r#type: AttributeType::String as i32,
        s: b"SAME_UPPER".to_vec(),
        ..AttributeProto::default()
    };
    pool.attribute = vec![ints("kernel_shape", &[kernel; 2]), ints("strides", &[stride; 2]), auto];
    only(graph, vec![pool], Vec::new());
}

#[test]
fn a_window_whose_tables_would_fill_the_memory_is_refused() {
    // One place, in which the window is a billion times as large as the picture.
    assert_graph_refused(&["MaxPool", "window", "model.max_memory"], |graph| {
        pooled(graph, 60_000, 1 << 16);
    });
    // A window that sticks out differently at each of its places.
    assert_graph_refused(&["MaxPool", "window", "model.max_memory"], |graph| pooled(graph, 127, 1));
    // One of a usual size is only stopped by what comes out of it.
    assert_graph_refused(&["output \"logits\"", "not [1, 2]"], |graph| pooled(graph, 7, 1));
}

#[test]
fn a_sum_counts_as_the_chain_that_the_engine_makes_of_it() {
    let many = |kind: &str, count: usize| node(kind, &vec!["image"; count], "logits");
    for kind in ["Sum", "Mean", "Min", "Max"] {
        assert_graph_refused(&["5000 nodes; at most 4096"], |graph| {
            only(graph, vec![many(kind, 5001)], Vec::new());
        });
        // 16 million numbers, once and 4,000 times.
        for (count, refused) in [(2, "its shape is [4000, 4000]"), (4_000, "multiplications")] {
            assert_graph_refused(&[refused], |graph| {
                let add = node("Add", &["row", "column"], "table");
                let side = |name: &str, dims: &[i64]| {
                    tensor(name, DataType::Float, dims, vec![0; 4 * 4_000])
                };
                let stored = vec![side("row", &[1, 4_000]), side("column", &[4_000, 1])];
                only(graph, vec![add, node(kind, &vec!["table"; count], "logits")], stored);
            });
        }
    }
}

#[test]
fn less_memory_may_be_allowed_by_the_settings() {
    let network = sound();
    let bundle = Bundle::from_bytes(&network.encode_to_vec(), "x").unwrap();
    let needed = bundle.needs().memory;
    let admit = |max_memory| {
        gate::admit(&network, bundle.manifest(), &Limits { max_memory, ..Limits::default() })
    };
    assert_eq!(admit(needed).unwrap(), bundle.needs());
    let error = admit(needed - 1).unwrap_err().to_string();
    assert!(error.contains(&format!("at most {} are allowed", needed - 1)), "{error}");
}

#[test]
fn a_network_that_would_compute_for_minutes_is_refused() {
    let wide = tensor("w", DataType::Float, &[1024, 1024, 3, 3], vec![0; 4 * 1024 * 1024 * 9]);
    let first = tensor("f", DataType::Float, &[1024, 3, 1, 1], vec![0; 4 * 1024 * 3]);
    assert_graph_refused(&["node \"the c\"", "multiplications"], |graph| {
        let mut nodes = vec![node("Conv", &["image", "f"], "a")];
        for (from, to) in [("a", "b"), ("b", "c")] {
            let mut own = node("Conv", &[from, "w"], to);
            own.attribute.push(ints("pads", &[1, 1, 1, 1]));
            nodes.push(own);
        }
        only(graph, nodes, vec![first, wide]);
    });
}

#[test]
fn a_tensor_of_nine_sides_is_refused() {
    assert_graph_refused(&["9 sides"], |graph| {
        let nodes = vec![node("Unsqueeze", &["image", "axes"], "x")];
        only(graph, nodes, vec![sides("axes", &[0, 1, 2, 3, 4])]);
    });
}

#[test]
fn shapes_that_do_not_fit_their_operator_are_refused_by_the_node() {
    let cases: [(NodeProto, &str); 12] = [
        (node("Conv", &["image"], "logits"), "its second input is missing"),
        (node("Conv", &["image", "matrix"], "logits"), "is no picture"),
        (node("Conv", &["image", "large"], "logits"), "does not fit"),
        (node("Conv", &["image", "deep"], "logits"), "channels"),
        (node("Gemm", &["image", "matrix"], "logits"), "is no matrix"),
        (node("MatMul", &["image", "matrix"], "logits"), "do not fit together"),
        (node("Add", &["image", "matrix"], "logits"), "do not fit together"),
        (node("Reshape", &["image", "shape"], "logits"), "does not become"),
        (node("Reshape", &["image", "matrix"], "logits"), "computed, not written down"),
        (node("Transpose", &["image", "shape"], "logits"), "it has no output"),
        (node("BatchNormalization", &["image", "row"], "logits"), "parameters for 3 channels"),
        (node("PRelu", &["image", "matrix"], "logits"), "do not fit"),
    ];
    let stored = || {
        vec![
            tensor("matrix", DataType::Float, &[2, 5], vec![0; 40]),
            tensor("row", DataType::Float, &[5], vec![0; 20]),
            tensor("large", DataType::Float, &[1, 3, 65, 1], vec![0; 4 * 3 * 65]),
            tensor("deep", DataType::Float, &[1, 4, 1, 1], vec![0; 16]),
            sides("shape", &[7, -1]),
        ]
    };
    for (mut own, words) in cases {
        if own.op_type == "Transpose" {
            own.output.push("second".to_owned());
        }
        assert_graph_refused(&["node \"the logits\"", words], |graph| {
            only(graph, vec![own], stored());
        });
    }
    for (name, values) in [
        ("strides", &[0, 1][..]),
        ("strides", &[-1, 1]),
        ("strides", &[i64::MAX, 1]),
        ("dilations", &[0, 0]),
        ("pads", &[-1, 0, 0, 0]),
        ("pads", &[1 << 40; 4]),
        ("strides", &[1]),
    ] {
        assert_graph_refused(&["Conv", name], |graph| {
            graph.node[0].attribute.retain(|own| own.name != name);
            graph.node[0].attribute.push(ints(name, values));
        });
    }
}

#[test]
fn metadata_of_more_than_128_mib_is_refused() {
    assert_refused(&["the metadata: more than"], |network| {
        let (key, value) = ("notes".to_owned(), "x".repeat(129 << 20));
        network.metadata_props.insert(0, StringStringEntryProto { key, value });
    });
}

#[test]
fn a_long_name_out_of_the_file_is_cut_in_the_message() {
    let text = refusal(|network| {
        network.graph.as_mut().unwrap().node[1].op_type = "x\n".repeat(100_000);
    });
    assert!(text.len() < 400 && !text.contains('\n'), "{text}");
}

#[test]
fn as_many_nodes_as_are_allowed_load_on_a_thread_s_usual_stack() {
    let mut network = sound();
    let graph = network.graph.as_mut().unwrap();
    let before = graph.node.len();
    let last = graph.node.pop().unwrap();
    let mut from = last.input[0].clone();
    for index in 0..gate::MOST_NODES - before {
        let to = format!("r{index}");
        graph.node.push(node("Relu", &[&from], &to));
        from = to;
    }
    let mut last = last;
    last.input[0] = from;
    graph.node.push(last);
    assert_eq!(graph.node.len(), gate::MOST_NODES);
    let bytes = network.encode_to_vec();
    let load = move || Model::load(Bundle::from_bytes(&bytes, "deep.onnx").unwrap()).unwrap();
    let model = std::thread::spawn(load).join().unwrap();
    assert_eq!(model.manifest().id, "tiny");
    network.graph.as_mut().unwrap().node.insert(0, node("Relu", &["image"], "one too many"));
    assert!(refused(&network.encode_to_vec()).contains("more than 4096 nodes"));
}

#[test]
fn a_shape_that_the_network_asks_of_its_own_picture_is_followed() {
    // What PyTorch writes for `x.view(x.size(0), -1)`.
    let mut network = sound();
    let graph = network.graph.as_mut().unwrap();
    let place = graph.node.iter().position(|own| own.op_type == "Flatten").unwrap();
    let mut axis = node("Unsqueeze", &["batch", "zero"], "batch.1");
    axis.input.truncate(2);
    let mut concat = node("Concat", &["batch.1", "rest"], "shape");
    concat.attribute.push(int("axis", 0));
    let chain = vec![
        node("Shape", &["mean"], "sides"),
        node("Gather", &["sides", "first"], "batch"),
        axis,
        concat,
        node("Reshape", &["mean", "shape"], "features"),
    ];
    graph.node.splice(place..=place, chain);
    graph.initializer.extend([
        tensor("first", DataType::Int64, &[], 0_i64.to_le_bytes().to_vec()),
        sides("zero", &[0]),
        sides("rest", &[-1]),
    ]);
    let model = Model::load(Bundle::from_bytes(&network.encode_to_vec(), "view.onnx").unwrap());
    assert_eq!(model.unwrap().manifest().id, "tiny");
}

#[test]
fn a_damaged_file_is_no_onnx_model_and_not_the_gate_s_affair() {
    for bytes in
        [&b"\x07"[..], b"\x0b", b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", &[0x3a; 4096]]
    {
        let error = Bundle::from_bytes(bytes, "b.onnx").unwrap_err();
        assert!(matches!(error, BundleError::NotOnnx { .. }), "{error:?}");
    }
    assert_eq!(gate::scan(b"\x0b"), Err(GateError::Damaged));
}

#[test]
fn what_leukd_writes_passes() {
    let manifest: Manifest = testing::tiny_manifest("t", Precision::F32);
    let bytes = testing::bundle_of(testing::tiny_network(2, Precision::F32), manifest);
    let bundle = Bundle::from_bytes(&bytes, "x").unwrap();
    let again = bundle::write(bundle.network().clone(), bundle.manifest()).unwrap();
    Bundle::from_bytes(&again, "x").unwrap();
}
