//! The fused engine: the answers of tract's own operators, for any network, whatever of it is recognised.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use leukd::cell::preprocess::{InputTensor, Layout};
use leukd::cell::synthetic::{self, Kind};
use leukd::model::bundle::Bundle;
use leukd::model::engine::{Engine, EngineKind, Fusion};
use leukd::model::onnx::{ModelProto, NodeProto};
use leukd::model::serving::Model;
use leukd::model::testing;

const BOTH: [EngineKind; 2] = [EngineKind::Fused, EngineKind::Stock];

fn embedded() -> ModelProto {
    Bundle::embedded().unwrap().network().clone()
}

fn counts(fusion: &Fusion) -> (usize, usize, usize) {
    (fusion.stems, fusion.blocks, fusion.tops)
}

/// What the two engines make of `network`: the fused one's account, after both agreed on a few cells.
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
        for (one, other) in one.iter().zip(&other) {
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
fn a_tensor_inside_a_block_that_something_else_looks_at_keeps_it_from_being_fused() {
    let mut network = embedded();
    let product = node(&mut network, "block12.squeeze.gated");
    let place = product.input.iter().position(|input| input == "block12.squeeze.gate").unwrap();
    // A gate that is no gate: the mean's own hidden layer is not looked at any more.
    product.input[place] = "block12.squeeze.mean".to_owned();
    let fusion = agreed(&network, 80);
    assert_eq!(fusion.blocks, 25, "{fusion}");
}

#[test]
fn a_network_without_such_blocks_runs_on_tract_alone() {
    let bundle = Bundle::from_bytes(&testing::tiny_bundle("tiny", 1), "test").unwrap();
    let model = Model::load(bundle).unwrap();
    assert_eq!(counts(model.fusion()), (0, 0, 0));
    assert!(model.fusion().to_string().starts_with("nothing fused"), "{}", model.fusion());
}
