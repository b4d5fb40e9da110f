//! Fields of view by request, their scale, and rules for some files of a folder.

use image::RgbImage;
use leukd::cell::synthetic;
use leukd::cell::synthetic::smear::{self, Recipe};
use leukd::cell::words::KindRule;
use leukd::grpc::proto;
use leukd::grpc::proto::subscribe_request::Start;
use leukd::grpc::proto::{capture, event};
use leukd::ingest::watch::WatchRule;
use tonic::Code;

use crate::support::ome::tiff;
use crate::support::{Harness, in_time, next, path_of, until};

fn drawn(seed: u64, cells: u32) -> RgbImage {
    smear::draw(&Recipe { seed, white_cells: cells, ..Recipe::default() }).picture
}

async fn start() -> Harness {
    Harness::start_with(|settings| settings.watch.kind = KindRule::Auto).await
}

fn request(image: Vec<u8>, scale: Option<f64>) -> proto::ClassifyFieldRequest {
    proto::ClassifyFieldRequest {
        image,
        specimen: "12".to_owned(),
        slide: "4".to_owned(),
        cell: "7".to_owned(),
        request_id: "r".to_owned(),
        micrometres_per_pixel: scale,
    }
}

async fn classify(
    harness: &Harness,
    image: &[u8],
    scale: Option<f64>,
) -> proto::ClassifyFieldResponse {
    let request = request(image.to_vec(), scale);
    harness.classifier().classify_field(request).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requests_field_is_answered_with_all_its_cells_and_streamed() {
    let harness = start().await;
    let image = synthetic::png(&drawn(3, 3));
    let answer = classify(&harness, &image, None).await;
    let field = answer.field.unwrap();
    assert_eq!((answer.results.len(), field.sequence, answer.reused), (3, 4, false));
    assert_eq!((field.review, field.scale_source.as_str()), (3, "red-cells"));
    assert!(field.micrometres_per_pixel > 0.0 && field.red_cell_diameter.unwrap() > 10.0);
    assert!(field.set_aside.is_some() && !answer.outlines_left_out);
    for (ordinal, result) in (0..).zip(&answer.results) {
        assert_eq!(
            (result.ordinal, result.field, result.sequence),
            (ordinal, 4, 1 + u64::from(ordinal))
        );
        assert_eq!((result.specimen.as_str(), result.cell.clone()), ("12", format!("7.{ordinal}")));
        assert!(result.region.is_some() && result.outline.len() >= 8);
        assert_eq!(result.capture.as_ref().unwrap().kind(), capture::Kind::Field);
    }
    // The stream has the same events, in one piece.
    let (_, mut stream) = harness.subscribe(Start::Earliest(())).await;
    let mut streamed = Vec::new();
    let closed = loop {
        match in_time("the field's events", next(&mut stream)).await.kind {
            Some(event::Kind::Result(result)) => streamed.push(result),
            Some(event::Kind::Field(closed)) => break closed,
            _ => {}
        }
    };
    assert_eq!((streamed, closed), (answer.results.clone(), field.clone()));
    // A retry is answered with what is stored, another scale with a new field.
    let again = classify(&harness, &image, None).await;
    assert!(again.reused);
    assert_eq!((again.results, again.field), (answer.results.clone(), Some(field)));
    let scaled = classify(&harness, &image, Some(0.1)).await;
    let own = scaled.field.unwrap();
    assert_eq!((own.sequence, own.scale_source.as_str()), (8, "given"));
    assert_eq!(own.micrometres_per_pixel, 0.1);
    assert!(classify(&harness, &image, Some(0.1)).await.reused);
    // The same bytes as one cell are another capture.
    let cell = harness.classify(image).await;
    assert_eq!((cell.sequence, cell.field), (9, 0));
    assert!(cell.reasons.iter().any(|reason| reason.code == "field-of-view"), "{cell:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requests_field_without_cells_is_stored_once() {
    let harness = start().await;
    let image = synthetic::png(&drawn(5, 0));
    let first = classify(&harness, &image, None).await;
    let again = classify(&harness, &image, None).await;
    assert_eq!((first.results.len(), first.reused, again.reused), (0, false, true));
    assert_eq!(first.field, again.field);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_field_request_names_its_fault_and_stores_nothing() {
    let harness = start().await;
    let good = synthetic::png(&drawn(3, 1));
    let long = proto::ClassifyFieldRequest { cell: "x".repeat(249), ..request(good.clone(), None) };
    for (request, word) in [
        (request(Vec::new(), None), "image"),
        (request(good[..good.len() / 2].to_vec(), None), "not complete"),
        (request(good.clone(), Some(0.0)), "scale"),
        (request(good.clone(), Some(f64::NAN)), "scale"),
        (long, "248"),
    ] {
        let refused = harness.classifier().classify_field(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        assert!(refused.message().contains(word), "{word}: {refused:?}");
    }
    assert_eq!(harness.all_results().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_files_own_scale_is_used_and_one_cell_taken_as_a_field_is_doubted() {
    let harness = start().await;
    let ome = "<?xml version=\"1.0\"?><OME><Image><Pixels PhysicalSizeX=\"0.11\" \
               PhysicalSizeY=\"0.11\"/></Image></OME>\0";
    let answer = classify(&harness, &tiff(&drawn(3, 1), ome), None).await;
    let field = answer.field.unwrap();
    assert_eq!((field.scale_source.as_str(), field.micrometres_per_pixel), ("file", 0.11));
    let cell = synthetic::png(&synthetic::cell(1, synthetic::Kind::Blast));
    let answer = classify(&harness, &cell, None).await;
    let is_doubted =
        |result: &proto::Result| result.reasons.iter().any(|reason| reason.code == "unknown-kind");
    assert!(answer.results.iter().all(is_doubted), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_for_some_files_comes_before_the_folders_own() {
    let harness = Harness::start_with(|settings| {
        settings.watch.kind = KindRule::Auto;
        let rule = |glob: &str, kind, micrometres_per_pixel| WatchRule {
            glob: glob.to_owned(),
            kind,
            micrometres_per_pixel,
        };
        settings.watch.rules = vec![
            rule("**/cells/**", Some(KindRule::Cell), None),
            rule("**/scope-2/**", None, Some(0.2)),
        ];
    })
    .await;
    let image = |seed| synthetic::png(&drawn(seed, 2));
    harness.drop_capture("cells/a.png", &image(3));
    harness.drop_capture("scope-2/b.png", &image(7));
    harness.drop_capture("c.png", &image(9));
    let (_, mut stream) = harness.subscribe(Start::Earliest(())).await;
    let (mut cells, mut scales) = (0, Vec::new());
    while scales.len() < 2 || cells == 0 {
        match in_time("three captures", next(&mut stream)).await.kind {
            Some(event::Kind::Result(result)) if result.field == 0 => {
                assert_eq!(path_of(&result), "cells/a.png");
                cells += 1;
            }
            Some(event::Kind::Field(field)) => {
                let Some(proto::source::Kind::Folder(source)) =
                    field.capture.unwrap().source.unwrap().kind
                else {
                    panic!()
                };
                scales.push((source.path, field.scale_source));
            }
            _ => {}
        }
    }
    scales.sort();
    let expected = [("c.png", "red-cells"), ("scope-2/b.png", "given")];
    assert_eq!(scales, expected.map(|(path, scale)| (path.to_owned(), scale.to_owned())));
    let settled = async || harness.all_results().await.len().eq(&5).then_some(());
    until("a result for the cell, two for each field", settled).await;
}
