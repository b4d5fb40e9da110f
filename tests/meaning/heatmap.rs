//! A heat map says, in numbers that add up, which places of a picture spoke for which class.

#![allow(clippy::print_stdout)]

use crate::support;
use crate::support::process::{leukd, stderr, stdout};
use crate::support::refusal::reason;
use crate::support::{ALL, HEM, Harness, cell_of};
use leukd::cell::foreground::is_foreground;
use leukd::cell::synthetic::{self, Kind};
use leukd::cell::{Limits, decode};
use leukd::grpc::proto::classify_stream_response::Outcome;
use leukd::grpc::proto::explainer_client::ExplainerClient;
use leukd::grpc::proto::get_heat_map_request::By;
use leukd::grpc::proto::{ClassifyRequest, GetHeatMapRequest, ReloadModelRequest};
use leukd::model::bundle::Bundle;
use leukd::model::engine::{Engine, EngineKind};
use leukd::model::head::{Head, Pooling};
use leukd::model::heatmap::HeatMap;
use leukd::model::onnx::tensor_proto::DataType;
use leukd::model::onnx::{ModelProto, NodeProto, TensorProto};
use leukd::model::serving::Model;
use leukd::model::testing;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tonic::Code;

/// The embedded model: EfficientNet-B3 with the seed's head, and so the network that a laboratory
/// runs.
fn embedded() -> Model {
    Model::load(Bundle::embedded().unwrap()).unwrap()
}

fn map_of(model: &Model, seed: u64, kind: Kind) -> HeatMap {
    let picture = synthetic::cell(seed, kind);
    let input = model.manifest().preprocessing.tensor(&picture).unwrap();
    let seen = model.look(&input).unwrap();
    HeatMap::of(model, &seen, &picture).unwrap()
}

/// The map of a picture, held against what the network's own head says of its features; and whether
/// it could be held against the slope of the logits too.
fn map_that_adds_up(model: &Model, picture: &image::RgbImage, whose: &str) -> (HeatMap, bool) {
    let head = model.head().unwrap();
    let seen = model.look(&model.manifest().preprocessing.tensor(picture).unwrap()).unwrap();
    let map = HeatMap::of(model, &seen, picture).unwrap();
    assert_eq!(map.contributions.len(), map.rows * map.columns);
    let features = seen.pooled.as_ref().unwrap().features.clone();
    let difference = |features: &[f32]| {
        let logits = head.logits(features);
        logits[0] - logits[1]
    };
    let sum: f64 = map.contributions.iter().sum();
    let scale: f64 = map.contributions.iter().map(|part| part.abs()).sum();
    // The network's own logits, and those of leukd's reading of the head.
    let engine = seen.logits[0] - seen.logits[1];
    for value in [engine, difference(&features)] {
        let off = (sum + map.constant - value).abs();
        assert!(off <= 1e-3 * scale.max(1.0), "{whose}: {sum} + {} and {value}", map.constant);
    }
    // Along the line from the features towards nothing, as far as no ReLU bends, the logits change
    // by the map alone.
    let least = 1.0 / 4096.0;
    let nearer: Vec<f32> = features.iter().map(|value| value * (1.0 - least)).collect();
    let bent = |features: &[f32]| -> Vec<bool> {
        head.bends_at(features).concat().iter().map(|bend| *bend > 0.0).collect()
    };
    let is_straight = bent(&features) == bent(&nearer);
    if is_straight {
        let slope = (difference(&features) - difference(&nearer)) / f64::from(least);
        assert!((sum - slope).abs() <= 1e-3 * scale.max(1.0), "{whose}: {sum} {slope}");
    }
    (map, is_straight)
}

#[test]
fn a_map_adds_up_to_the_difference_of_the_logits() {
    let model = embedded();
    assert_eq!(model.head().unwrap().pooling(), Pooling::Max);
    let mut straight = 0;
    for seed in 0..12 {
        for kind in [Kind::Blast, Kind::Normal] {
            let whose = format!("{seed} {kind:?}");
            straight +=
                usize::from(map_that_adds_up(&model, &synthetic::cell(seed, kind), &whose).1);
        }
    }
    assert!(straight >= 18, "of 24 only {straight} could be held against the slope");
}

#[test]
fn the_gradient_is_what_finite_differences_give() {
    let model = embedded();
    let head = model.head().unwrap();
    let picture = synthetic::cell(3, Kind::Blast);
    let seen = model.look(&model.manifest().preprocessing.tensor(&picture).unwrap()).unwrap();
    let features = seen.pooled.as_ref().unwrap().features.clone();
    // What the engine says went into the ReLUs is what goes into them.
    for (own, seen) in head.bends_at(&features).iter().zip(&seen.bends) {
        assert!(
            own.iter().zip(seen).all(|(own, seen)| (own - seen).abs() < 1e-3),
            "{own:?} {seen:?}"
        );
    }
    let gradient = head.gradient(&seen.bends, &[1.0, -1.0]).unwrap();
    let value = |features: &[f32]| {
        let logits = head.logits(features);
        logits[0] - logits[1]
    };
    let mut dice = ChaCha8Rng::seed_from_u64(4);
    let largest = gradient.iter().fold(0.0_f32, |most, part| most.max(part.abs()));
    assert!(largest > 0.0);
    for _ in 0..200 {
        let channel = dice.random_range(0..features.len());
        // So small that hardly a ReLU bends between the two.
        let step = 1.0 / 1024.0;
        let at = |by: f32| {
            let mut moved = features.clone();
            moved[channel] += by;
            (value(&moved), f64::from(moved[channel]))
        };
        let ((above, right), (below, left)) = (at(step), at(-step));
        let slope = (above - below) / (right - left);
        let off = (slope - f64::from(gradient[channel])).abs();
        assert!(off <= 1e-3 * f64::from(largest), "{channel}: {slope} {}", gradient[channel]);
    }
}

/// The map of a picture by a network that nobody has vouched for.
fn raw_map(network: &ModelProto, model: &Model, seed: u64) -> Vec<f64> {
    let head = Head::of(network).unwrap();
    let preprocessing = &model.manifest().preprocessing;
    let shape = preprocessing.shape();
    let engine =
        Engine::compile_with(network, head.activation(), head.bends(), shape, 2, EngineKind::Fused)
            .unwrap();
    let input = preprocessing.tensor(&synthetic::cell(seed, Kind::Blast)).unwrap();
    let answer = engine.run(&input).unwrap();
    let gradient = head.gradient(&answer.bends, &[1.0, -1.0]).unwrap();
    let activation = answer.activation.unwrap();
    head.contributions(&activation, &head.pool(&activation), &gradient)
}

/// The sanity check of Adebayo et al. 2018: an explanation that does not depend on the weights
/// explains nothing.
#[test]
fn weights_in_another_order_give_another_map() {
    let (model, bundle) = (embedded(), Bundle::embedded().unwrap());
    let own = raw_map(bundle.network(), &model, 5);
    for part in ["head.hidden.kernel", "logits.kernel", "top.kernel"] {
        let mut network = bundle.network().clone();
        let graph = network.graph.as_mut().unwrap();
        let tensor = graph.initializer.iter_mut().find(|tensor| tensor.name == part).unwrap();
        let (numbers, _) = tensor.raw_data.as_chunks_mut::<4>();
        numbers.shuffle(&mut ChaCha8Rng::seed_from_u64(1));
        let other = raw_map(&network, &model, 5);
        let size: f64 = own.iter().map(|value| value * value).sum();
        let change: f64 = own.iter().zip(&other).map(|(a, b)| (a - b) * (a - b)).sum();
        assert!(change > 0.1 * size, "{part}: {own:?} {other:?}");
    }
}

/// The embedded network with two more layers behind it, `wide` hidden numbers between them.
fn widened(wide: i64) -> ModelProto {
    let mut network = Bundle::embedded().unwrap().network().clone();
    let graph = network.graph.as_mut().unwrap();
    let mut from = graph.output[0].name.clone();
    for (name, dims) in [("out", [2, wide]), ("back", [wide, 2])] {
        graph.initializer.push(TensorProto {
            name: format!("{name}.kernel"),
            dims: dims.to_vec(),
            data_type: DataType::Float as i32,
            raw_data: vec![0; usize::try_from(wide * 8).unwrap()],
            ..Default::default()
        });
        graph.node.push(NodeProto {
            op_type: "MatMul".to_owned(),
            input: vec![from, format!("{name}.kernel")],
            output: vec![name.to_owned()],
            ..Default::default()
        });
        from = name.to_owned();
    }
    graph.output[0].name = from;
    network
}

/// A narrow layer's few weights, padded to whole vectors, would be a hundred times as many.
#[test]
fn a_head_that_would_take_too_much_memory_has_no_map() {
    assert!(Head::of(&widened(300)).is_ok());
    let refused = Head::of(&widened(300_000)).unwrap_err();
    assert!(refused.to_string().contains("too large"), "{refused}");
}

/// How much of a map's positive mass lies in places that hold a part of the cell.
fn inside(map: &HeatMap, picture: &image::RgbImage) -> f64 {
    let side = f64::from(map.placement.side);
    let mut holds = vec![false; map.rows * map.columns];
    for (x, y, pixel) in picture.enumerate_pixels() {
        let u = (f64::from(x) + 0.5 - map.placement.left as f64) / side;
        let v = (f64::from(y) + 0.5 - map.placement.top as f64) / side;
        if is_foreground(&pixel.0) && (0.0..1.0).contains(&u) && (0.0..1.0).contains(&v) {
            let (row, column) = (v * map.rows as f64, u * map.columns as f64);
            #[allow(clippy::cast_sign_loss)]
            let place = row as usize * map.columns + column as usize;
            holds[place] = true;
        }
    }
    let positive = |(value, _): &(&f64, &bool)| **value > 0.0;
    let parts: Vec<_> = map.contributions.iter().zip(&holds).filter(positive).collect();
    let all: f64 = parts.iter().map(|(value, _)| **value).sum();
    let own: f64 = parts.iter().filter(|(_, holds)| **holds).map(|(value, _)| **value).sum();
    if all > 0.0 { own / all } else { 1.0 }
}

#[test]
fn what_speaks_for_a_blast_lies_where_the_cell_is() {
    // Finer places than the embedded model has: what counts as inside is not nearly everything.
    let model =
        Model::load(Bundle::from_bytes(&testing::tiny_bundle("tiny", 1), "tiny").unwrap()).unwrap();
    for seed in 0..20 {
        let picture = synthetic::cell(seed, Kind::Blast);
        let map = map_of(&model, seed, Kind::Blast);
        let share = inside(&map, &picture);
        assert!(share > 0.95, "seed {seed}: {share}");
    }
}

#[test]
fn on_real_cells_a_map_adds_up_and_what_speaks_for_a_blast_lies_where_the_cell_is() {
    let Some(cells) = support::cnmc::cells(60) else { return };
    let model = embedded();
    let (mut shares, mut straight) = (Vec::new(), 0);
    for (index, bytes) in cells.iter().enumerate() {
        let picture = decode(bytes, &Limits::default()).unwrap();
        let (map, is_straight) = map_that_adds_up(&model, &picture, &format!("cell {index}"));
        straight += usize::from(is_straight);
        shares.push(inside(&map, &picture));
    }
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    println!(
        "{:.3} of the positive mass lies in places that hold a part of the cell ({} cells)",
        mean,
        cells.len()
    );
    assert!(mean > 0.9, "{mean}: {shares:?}");
    assert!(straight * 4 >= cells.len() * 3, "{straight} of {}", cells.len());
}

fn by_sequence(sequence: u64) -> GetHeatMapRequest {
    GetHeatMapRequest { by: Some(By::Sequence(sequence)), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_captures_map_is_given_from_its_file_as_long_as_that_is_what_it_was() {
    let harness = Harness::start().await;
    let file = harness.drop_capture("11/a.bmp", &cell_of(ALL, 1));
    let result = harness.wait_results(1).await.remove(0);
    let mut explainer = ExplainerClient::new(harness.channel());
    let asked = GetHeatMapRequest { overlay: true, ..by_sequence(1) };
    let answer = explainer.get_heat_map(asked).await.unwrap().into_inner();
    let map = answer.heat_map.unwrap();
    assert_eq!(map.model, result.model);
    assert_eq!(map.contributions.len(), (map.rows * map.columns) as usize);
    assert_eq!(map.grad_cam.len(), map.contributions.len());
    // The tiny bundle's temperature is 1.
    let all = 1.0 / (1.0 + (-map.difference).exp());
    assert!((all - support::probability(&result, "all")).abs() < 1e-4);
    let drawn = decode(&answer.overlay_png, &Limits::default()).unwrap();
    assert_eq!(drawn.dimensions(), (map.image_width, map.image_height));
    assert!(answer.notice.starts_with("For Research Use Only."));
    // Under another name, which the daemon has seen.
    let renamed = file.with_file_name("b.bmp");
    std::fs::rename(&file, &renamed).unwrap();
    support::until("the new name", async || {
        (harness.status().await.folders[0].duplicates == 1).then_some(())
    })
    .await;
    let moved = explainer.get_heat_map(by_sequence(1)).await.unwrap().into_inner();
    assert_eq!(moved.heat_map.unwrap().contributions, map.contributions);
    std::fs::rename(&renamed, &file).unwrap();
    // Other bytes, and none.
    let kept = std::fs::read(&file).unwrap();
    std::fs::write(&file, cell_of(HEM, 2)).unwrap();
    let changed = explainer.get_heat_map(by_sequence(1)).await.unwrap_err();
    assert_eq!((changed.code(), &*reason(&changed)), (Code::FailedPrecondition, "OTHER_BYTES"));
    std::fs::remove_file(&file).unwrap();
    let gone = explainer.get_heat_map(by_sequence(1)).await.unwrap_err();
    assert_eq!((gone.code(), &*reason(&gone)), (Code::FailedPrecondition, "NO_IMAGE"));
    let sent = GetHeatMapRequest { image: kept, ..by_sequence(1) };
    let again = explainer.get_heat_map(sent).await.unwrap().into_inner();
    assert_eq!(again.heat_map.unwrap().contributions, map.contributions);
    assert!(again.overlay_png.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requests_map_takes_the_image_again_and_what_has_no_map_says_why() {
    let harness = Harness::start().await;
    let image = cell_of(ALL, 3);
    let request = ClassifyRequest { image: image.clone(), ..Default::default() };
    let result = harness.classifier().classify(request).await.unwrap().into_inner().result.unwrap();
    let mut explainer = ExplainerClient::new(harness.channel());
    let by = Some(By::ResultId(result.result_id.clone()));
    let asked = GetHeatMapRequest { by: by.clone(), ..Default::default() };
    let none = explainer.get_heat_map(asked).await.unwrap_err();
    assert_eq!((none.code(), &*reason(&none)), (Code::FailedPrecondition, "NO_IMAGE"));
    let asked = GetHeatMapRequest { by: by.clone(), image: image.clone(), overlay: false };
    assert!(explainer.get_heat_map(asked).await.unwrap().into_inner().heat_map.is_some());
    let other = GetHeatMapRequest { by: by.clone(), image: cell_of(ALL, 4), overlay: false };
    let other = explainer.get_heat_map(other).await.unwrap_err();
    assert_eq!(reason(&other), "OTHER_BYTES");
    harness.drop_capture("bad.bmp", b"no picture at all");
    harness.wait_results(2).await;
    let rejected = explainer.get_heat_map(by_sequence(2)).await.unwrap_err();
    assert_eq!((rejected.code(), &*reason(&rejected)), (Code::FailedPrecondition, "REJECTED"));
    let unknown = explainer.get_heat_map(by_sequence(99)).await.unwrap_err();
    assert_eq!((unknown.code(), &*reason(&unknown)), (Code::NotFound, "NO_RESULT"));
    let nothing = explainer.get_heat_map(GetHeatMapRequest::default()).await.unwrap_err();
    assert_eq!(nothing.code(), Code::InvalidArgument);
    // Another model has another reason for its answers.
    let next = testing::tiny_bundle("next", 2);
    std::fs::write(harness.folders.models.join("next.onnx"), next).unwrap();
    let reload = ReloadModelRequest { file: "next.onnx".to_owned() };
    harness.control().reload_model(reload).await.unwrap();
    let swapped =
        explainer.get_heat_map(GetHeatMapRequest { by, image, overlay: false }).await.unwrap_err();
    assert_eq!((swapped.code(), &*reason(&swapped)), (Code::FailedPrecondition, "OTHER_MODEL"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_with_its_map_when_it_asks_for_one() {
    let harness = Harness::start().await;
    let asked =
        |heat_map| ClassifyRequest { image: cell_of(ALL, 5), heat_map, ..Default::default() };
    let mut client = harness.classifier();
    let first = client.classify(asked(true)).await.unwrap().into_inner();
    let (result, map) = (first.result.unwrap(), first.heat_map.unwrap());
    assert_eq!(map.model, result.model);
    let all = 1.0 / (1.0 + (-map.difference).exp());
    assert!((all - support::probability(&result, "all")).abs() < 1e-4);
    // A result that is there already has the same map, and nobody gets one who did not ask.
    let again = client.classify(asked(true)).await.unwrap().into_inner();
    assert!(again.reused);
    assert_eq!(again.heat_map.as_ref(), Some(&map));
    assert!(client.classify(asked(false)).await.unwrap().into_inner().heat_map.is_none());
    // Nothing else says otherwise: the Explainer's is the same.
    let by = GetHeatMapRequest { image: cell_of(ALL, 5), ..by_sequence(result.sequence) };
    let explained = ExplainerClient::new(harness.channel()).get_heat_map(by).await.unwrap();
    assert_eq!(explained.into_inner().heat_map, Some(map));
    for answer in harness.classify_requests(vec![asked(true), asked(false)]).await.unwrap() {
        let Some(Outcome::Classified(classified)) = answer.outcome else { panic!("{answer:?}") };
        assert_eq!(classified.heat_map.is_some(), answer.index == 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_write_maps_and_say_what_they_cannot() {
    let harness = Harness::start().await;
    let file = harness.drop_capture("a.bmp", &cell_of(ALL, 1));
    harness.wait_results(1).await;
    let server = format!("http://{}", harness.daemon().address());
    let drawn = harness.folders.root.path().join("map.png");
    let out = drawn.to_str().unwrap();
    let shown = leukd(&["heatmap", "1", "--server", &server, "--out", out]).await;
    assert!(shown.status.success(), "{}", stderr(&shown));
    assert!(stdout(&shown).contains("logit(all) - logit(hem)"), "{}", stdout(&shown));
    assert!(decode(&std::fs::read(&drawn).unwrap(), &Limits::default()).is_ok());
    let json = leukd(&["heatmap", "1", "--server", &server, "--json"]).await;
    let map: serde_json::Value = serde_json::from_str(&stdout(&json)).unwrap();
    assert!(map["contributions"].as_array().is_some_and(|map| !map.is_empty()), "{map}");
    let missing = leukd(&["heatmap", "7", "--server", &server]).await;
    assert_eq!(missing.status.code(), Some(66), "{}", stderr(&missing));

    let maps = harness.folders.root.path().join("maps");
    let [file, folder] = [&file, &maps].map(|path| path.to_str().unwrap());
    let classified = leukd(&["classify", file, "--heatmap", folder]).await;
    assert!(classified.status.success(), "{}", stderr(&classified));
    let numbers = std::fs::read_to_string(maps.join("a.bmp.heatmap.json")).unwrap();
    let numbers: serde_json::Value = serde_json::from_str(&numbers).unwrap();
    // The embedded model sees 64 pixels, of which each place of its map has 32.
    assert_eq!(numbers["rows"], 2);
    assert!(
        decode(&std::fs::read(maps.join("a.bmp.heatmap.png")).unwrap(), &Limits::default()).is_ok()
    );
    let twice = leukd(&["classify", file, file, "--heatmap", folder]).await;
    assert_eq!(twice.status.code(), Some(64), "{}", stderr(&twice));
    let said = stderr(&twice);
    assert!(said.contains("the same path below its folder"), "{said}");
}
