//! What was measured of a picture comes with its result, by whatever way the result is asked for.

use crate::support::process::{config_file, leukd, stderr, stdout};
use crate::support::{Folders, Harness, next_results};
use image::RgbImage;
use leukd::cell::synthetic::{self, Kind};
use leukd::cell::{Limits, Measures};
use leukd::grpc::proto;
use leukd::grpc::proto::classify_stream_response::Outcome;
use leukd::grpc::proto::get_result_request::By;
use leukd::grpc::proto::subscribe_request::Start;
use leukd::journal::FILE;
use leukd::journal::audit::verify;
use leukd::model::bundle::Bundle;
use leukd::model::serving::Model;
use leukd::pipeline::examine;

/// What the contract's message says of a picture, by the library's own figures and the embedded
/// model.
fn expected(picture: &RgbImage) -> proto::Quality {
    let model = Model::load(Bundle::embedded().unwrap()).unwrap();
    let input = model.manifest().preprocessing.tensor(picture).unwrap();
    let seen = model.look(&input).unwrap();
    let measures = Measures::of(picture);
    let far = model.figures(measures, &seen).distance;
    assert_eq!(far.is_some(), measures.is_some(), "the embedded model has a reference");
    proto::Quality {
        area: measures.map(|seen| seen.area),
        frame: measures.map(|seen| seen.frame),
        solidity: measures.map(|seen| seen.solidity),
        sharpness: measures.map(|seen| seen.sharpness),
        brightness: measures.map(|seen| seen.brightness),
        contrast: measures.map(|seen| seen.contrast),
        saturation: measures.map(|seen| seen.saturation),
        hue: measures.map(|seen| seen.hue),
        feature_distance: far.map(|far| far.distance),
        feature_distance_limit: far.map(|far| far.limit),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_measured_comes_with_the_result_by_every_way_and_after_a_restart() {
    let folders = Folders::new();
    let (cell, black) = (synthetic::cell(3, Kind::Blast), RgbImage::new(60, 60));
    folders.drop_capture("1.bmp", &synthetic::bmp(&cell));
    let harness = Harness::start_on(folders, |settings| settings.model.bundle = None).await;
    harness.wait_results(1).await;
    harness.drop_capture("2.bmp", &synthetic::bmp(&black));
    harness.wait_results(2).await;
    harness.drop_capture("3.bmp", b"BM no picture at all");
    harness.wait_results(3).await;
    let other = synthetic::cell(4, Kind::Normal);
    let streamed = harness.classify_all(vec![synthetic::bmp(&other)]).await;
    let Some(Outcome::Classified(streamed)) = streamed[0].outcome.clone() else {
        panic!("{streamed:?}")
    };
    let streamed = streamed.result.unwrap();
    let quality = [Some(expected(&cell)), Some(expected(&black)), None, Some(expected(&other))];
    assert_eq!(quality[1], Some(proto::Quality::default()), "of nothing, nothing is measured");
    assert_eq!(streamed.quality, quality[3]);

    let (_, mut live) = harness.subscribe(Start::Earliest(())).await;
    let live = next_results(&mut live, 4).await;
    assert_eq!(live.iter().map(|one| one.quality).collect::<Vec<_>>(), quality);
    let config =
        config_file(&harness.folders, "leukd.toml", |settings| settings.model.bundle = None);
    let folders = harness.stop().await;
    let harness = Harness::start_on(folders, |settings| settings.model.bundle = None).await;
    let listed = harness.all_results().await;
    assert_eq!(listed.iter().map(|one| one.quality).collect::<Vec<_>>(), quality);
    for (sequence, quality) in (1..).zip(&quality) {
        let request = proto::GetResultRequest { by: Some(By::Sequence(sequence)) };
        let one = harness.results().get_result(request).await.unwrap().into_inner();
        assert_eq!(&one.result.unwrap().quality, quality);
    }

    // The command line's JSON has the contract's names, of stored results and of files alike.
    let server = format!("http://{}", harness.daemon().address());
    let told = leukd(&["results", "--server", &server, "--json"]).await;
    assert!(told.status.success(), "{}", stderr(&told));
    let lines = |text: &str| -> Vec<serde_json::Value> {
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let of_daemon = lines(&stdout(&told));
    assert_eq!(of_daemon[0]["quality"]["area"].as_f64(), quality[0].unwrap().area);
    assert_eq!(of_daemon[1]["quality"], serde_json::json!({}));
    assert!(of_daemon[2].get("quality").is_none(), "{}", of_daemon[2]);
    let file = harness.export().join("1.bmp");
    let (config, file) = (config.to_str().unwrap(), file.to_str().unwrap());
    let here = leukd(&["classify", "--config", config, "--json", file]).await;
    assert!(here.status.success(), "{}", stderr(&here));
    assert_eq!(lines(&stdout(&here))[0]["quality"], of_daemon[0]["quality"]);

    let folders = harness.stop().await;
    let verified = verify(&folders.state.join(FILE), &[]).unwrap();
    assert_eq!((verified.fault, verified.compared), (None, 4));
}

#[test]
fn a_model_without_a_reference_measures_the_picture_and_no_distance() {
    let bytes = leukd::model::testing::tiny_bundle("tiny", 1);
    let model = Model::load(Bundle::from_bytes(&bytes, "tiny").unwrap()).unwrap();
    let picture = synthetic::cell(3, Kind::Blast);
    let examined = examine(&synthetic::bmp(&picture), &model, &Limits::default()).unwrap();
    assert_eq!(examined.quality.measures, Measures::of(&picture));
    assert!(examined.quality.measures.is_some());
    assert_eq!(examined.quality.distance, None);
}
