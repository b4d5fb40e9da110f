//! The fused engine: the answers of tract's own operators, for any network, whatever of it is
//! recognised.

use leukd::cell::preprocess::{InputTensor, Layout};
use leukd::cell::synthetic::{self, Kind};
use leukd::model::bundle::Bundle;
use leukd::model::engine::{Engine, EngineKind, Fusion};
use leukd::model::head::Head;
use leukd::model::onnx::attribute_proto::AttributeType;
use leukd::model::onnx::{AttributeProto, ModelProto, NodeProto};
use leukd::model::serving::Model;
use leukd::model::testing;

const BOTH: [EngineKind; 2] = [EngineKind::Fused, EngineKind::Stock];

fn embedded() -> ModelProto {
    Bundle::embedded().unwrap().network().clone()
}

fn counts(fusion: &Fusion) -> (usize, usize, usize) {
    (fusion.stems, fusion.blocks, fusion.tops)
}

/// What the two engines make of `network`: the fused one's account, after both agreed on a few
/// cells.
fn agreed(network: &ModelProto, size: u32) -> Fusion {
    let mut preprocessing = Bundle::embedded().unwrap().manifest().preprocessing.clone();
    preprocessing.size = size;
    assert_eq!(preprocessing.layout, Layout::Nchw);
    let shape = preprocessing.shape();
    let [fused, stock] = BOTH.map(|kind| Engine::compile(network, shape, 2, kind).unwrap());
    for seed in 0..4 {
        let picture = synthetic::cell(seed, Kind::Blast);
        let input: InputTensor = preprocessing.tensor(&picture).unwrap();
        let [one, other] = [&fused, &stock].map(|engine| engine.run(&input).unwrap());
        for (one, other) in one.outputs.iter().zip(&other.outputs) {
            let apart = (one - other).abs() / other.abs().max(1.0);
            assert!(apart < 2e-5, "size {size}, seed {seed}: {one} and {other}");
        }
    }
    assert_eq!(counts(stock.fusion()), (0, 0, 0));
    fused.fusion().clone()
}

/// The nodes that give `name`, to be changed.
fn node<'a>(network: &'a mut ModelProto, name: &str) -> &'a mut NodeProto {
    let nodes = &mut network.graph.as_mut().unwrap().node;
    nodes.iter_mut().find(|node| node.output.iter().any(|output| output == name)).unwrap()
}

/// Sets an attribute of whole numbers.
fn set(node: &mut NodeProto, name: &str, ints: &[i64]) {
    node.attribute.retain(|attribute| attribute.name != name);
    node.attribute.push(AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Ints as i32,
        ints: ints.to_vec(),
        ..AttributeProto::default()
    });
}

#[test]
fn all_of_the_embedded_models_convolutions_are_fused() {
    let [fused, stock] =
        BOTH.map(|kind| Model::load_on(Bundle::embedded().unwrap(), kind).unwrap());
    let fusion = fused.fusion();
    assert_eq!(counts(fusion), (1, 26, 1));
    assert!(fusion.others < 20, "{fusion}");
    assert!(["avx512", "avx2", "portable"].contains(&&*fusion.isa), "{fusion}");
    let fusion = stock.fusion();
    assert_eq!(counts(fusion), (0, 0, 0));
    assert!(fusion.isa.is_empty() && fusion.others > 200, "{fusion}");
}

/// What explains an answer is an output too: that ends a chain, and what pools it begins another.
#[test]
fn the_last_activation_as_an_output_costs_no_fusion_and_is_the_same_for_both_engines() {
    let network = embedded();
    let preprocessing = Bundle::embedded().unwrap().manifest().preprocessing.clone();
    let head = Head::of(&network).unwrap();
    let (shape, names) = (preprocessing.shape(), (head.activation(), head.bends()));
    let [fused, stock] =
        BOTH.map(|kind| Engine::compile_with(&network, names.0, names.1, shape, 2, kind).unwrap());
    let plain = Engine::compile(&network, shape, 2, EngineKind::Fused).unwrap();
    assert_eq!(fused.fusion(), plain.fusion(), "the pooling is left to tract");
    let input = preprocessing.tensor(&synthetic::cell(1, Kind::Normal)).unwrap();
    let [one, other] = [&fused, &stock].map(|engine| engine.run(&input).unwrap());
    let near = |one: &[f32], other: &[f32]| {
        let apart = |(a, b): (&f32, &f32)| (a - b).abs() / b.abs().max(1.0);
        one.len() == other.len() && one.iter().zip(other).map(apart).all(|apart| apart < 2e-5)
    };
    assert!(near(&one.outputs, &plain.run(&input).unwrap().outputs));
    assert!(near(&one.outputs, &other.outputs));
    let [seen, expected] = [&one, &other].map(|answer| answer.activation.as_ref().unwrap());
    assert_eq!((seen.height, seen.width), (expected.height, expected.width));
    // Inside the network what differs is held against the tensor's own range.
    let alike = |one: &[f32], other: &[f32]| {
        let apart = one.iter().zip(other).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
        let range = other.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        one.len() == other.len() && apart < 1e-4 * range
    };
    assert!(alike(&seen.values, &expected.values));
    assert!(!one.bends.is_empty() && one.bends.len() == other.bends.len());
    assert!(one.bends.iter().zip(&other.bends).all(|(one, other)| alike(one, other)));
}

#[test]
fn fused_and_stock_probabilities_agree_to_a_ten_thousandth() {
    let [fused, stock] =
        BOTH.map(|kind| Model::load_on(Bundle::embedded().unwrap(), kind).unwrap());
    for seed in 0..20 {
        for kind in [Kind::Blast, Kind::Normal] {
            let picture = synthetic::cell(seed, kind);
            let input = fused.manifest().preprocessing.tensor(&picture).unwrap();
            let (one, other) = (fused.run(&input).unwrap(), stock.run(&input).unwrap());
            let worst = one.iter().zip(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst <= 1e-4, "seed {seed}, {kind:?}: {one:?} and {other:?}");
        }
    }
}

#[test]
fn a_fused_run_repeats_to_the_last_bit_on_every_thread() {
    let model = Model::load(Bundle::embedded().unwrap()).unwrap();
    let input = model.manifest().preprocessing.tensor(&synthetic::cell(3, Kind::Blast)).unwrap();
    let first = model.logits(&input).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..3 {
                    assert_eq!(model.logits(&input).unwrap(), first);
                }
            });
        }
    });
}

#[test]
fn odd_and_even_sizes_pad_as_tract_does() {
    let network = embedded();
    for size in [33, 64, 75, 112] {
        assert_eq!(counts(&agreed(&network, size)), (1, 26, 1), "size {size}");
    }
}

#[test]
fn a_block_with_another_activation_is_left_to_tract() {
    let mut network = embedded();
    let swish = node(&mut network, "block7.depthwise.swish");
    swish.op_type = "Relu".to_owned();
    swish.input.truncate(1);
    let fusion = agreed(&network, 80);
    assert_eq!(
        counts(&fusion),
        (1, 25, 3),
        "two 1×1 of block 7 with SiLU can still be computed alone"
    );
    assert!(fusion.others > 20, "{fusion}");
}

#[test]
fn a_tensor_that_something_else_looks_at_ends_a_chain() {
    let mut network = embedded();
    // The residual of block 9 comes from two blocks before instead of one.
    let sum = node(&mut network, "block10.sum");
    let place = sum.input.iter().position(|input| input == "block9.sum").unwrap();
    sum.input[place] = "block8.project.norm".to_owned();
    let fusion = agreed(&network, 80);
    assert_eq!(counts(&fusion), (1, 26, 1), "a block without its residual is still one");
}

#[test]
fn a_block_whose_gate_is_something_else_is_left_to_tract() {
    let mut network = embedded();
    let product = node(&mut network, "block12.squeeze.gated");
    let place = product.input.iter().position(|input| input == "block12.squeeze.gate").unwrap();
    product.input[place] = "block12.squeeze.mean".to_owned();
    assert_eq!(agreed(&network, 80).blocks, 25);
}

#[test]
fn a_block_with_one_gate_for_all_channels_is_left_to_tract() {
    let mut network = embedded();
    let expand = node(&mut network, "block12.squeeze.expand").clone();
    let graph = network.graph.as_mut().unwrap();
    for (name, sides) in expand.input[1..].iter().zip([4, 1]) {
        let tensor = graph.initializer.iter_mut().find(|tensor| tensor.name == *name).unwrap();
        assert_eq!(tensor.dims.len(), sides);
        let channels = usize::try_from(std::mem::replace(&mut tensor.dims[0], 1)).unwrap();
        tensor.raw_data.truncate(tensor.raw_data.len() / channels);
        tensor.float_data.truncate(tensor.float_data.len() / channels);
    }
    assert_eq!(agreed(&network, 80).blocks, 25);
}

#[test]
fn a_dilated_window_is_left_to_tract() {
    let mut network = embedded();
    let depthwise = node(&mut network, "block4.depthwise.conv");
    set(depthwise, "pads", &[2, 2, 2, 2]);
    set(depthwise, "dilations", &[2, 2]);
    assert_eq!(agreed(&network, 80).blocks, 25);
}

#[test]
fn unequal_borders_are_padded_as_tract_does() {
    let mut network = embedded();
    set(node(&mut network, "block3.depthwise.conv"), "pads", &[0, 2, 2, 0]);
    set(node(&mut network, "stem.conv"), "pads", &[2, 0, 1, 1]);
    assert_eq!(counts(&agreed(&network, 80)), (1, 26, 1));
}

#[test]
fn names_that_tract_changes_do_no_harm() {
    let mut network = embedded();
    let swish = node(&mut network, "block7.depthwise.swish");
    swish.op_type = "Relu".to_owned();
    swish.input.truncate(1);
    for (index, node) in network.graph.as_mut().unwrap().node.iter_mut().enumerate() {
        node.name = format!("n#{index}.fused");
    }
    assert_eq!(agreed(&network, 80).blocks, 25);
}

#[test]
fn a_network_without_such_blocks_runs_on_tract_alone() {
    let bundle = Bundle::from_bytes(&testing::tiny_bundle("tiny", 1), "test").unwrap();
    let model = Model::load(bundle).unwrap();
    assert_eq!(counts(model.fusion()), (0, 0, 0));
    assert!(model.fusion().to_string().starts_with("nothing fused"), "{}", model.fusion());
}
