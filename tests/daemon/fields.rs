//! A field of view in the folder: a result for each white cell, one event that closes it.

use leukd::cell::synthetic;
use leukd::cell::synthetic::smear::{self, Recipe, Smear};
use leukd::cell::words::KindRule;
use leukd::grpc::proto::subscribe_request::Start;
use leukd::grpc::proto::{self, Decision, event};

use crate::support::process::{leukd, stderr, stdout};
use crate::support::{Harness, all_results, in_time, next, path_of, until};

/// A drawn field with `cells` white cells.
fn drawn(seed: u64, cells: u32) -> Smear {
    smear::draw(&Recipe { seed, white_cells: cells, ..Recipe::default() })
}

async fn start() -> Harness {
    Harness::start_with(|settings| settings.watch.kind = KindRule::Auto).await
}

/// The events of a subscription from the earliest on, up to and with the `count`th that closes a
/// field.
async fn events(harness: &Harness, count: usize) -> Vec<event::Kind> {
    let (_, mut stream) = harness.subscribe(Start::Earliest(())).await;
    let mut found = Vec::new();
    let mut closed = 0;
    while closed < count {
        match next(&mut stream).await.kind {
            Some(event::Kind::Heartbeat(_)) | None => {}
            Some(kind) => {
                closed += usize::from(matches!(kind, event::Kind::Field(_)));
                found.push(kind);
            }
        }
    }
    found
}

fn results(events: &[event::Kind]) -> Vec<proto::Result> {
    let result = |kind: &event::Kind| match kind {
        event::Kind::Result(result) => Some(result.clone()),
        _ => None,
    };
    events.iter().filter_map(result).collect()
}

fn field(events: &[event::Kind]) -> proto::FieldEvent {
    let field = |kind: &event::Kind| match kind {
        event::Kind::Field(field) => Some(field.clone()),
        _ => None,
    };
    events.iter().filter_map(field).next_back().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_white_cell_of_a_field_has_a_result_and_the_field_an_event() {
    let harness = start().await;
    let smear = drawn(3, 3);
    harness.drop_capture("UID_12_4_1_hem.png", &synthetic::png(&smear.picture));
    let events = in_time("the field", events(&harness, 1)).await;
    let (results, field) = (results(&events), field(&events));
    assert_eq!(results.len(), smear.cells.len());
    assert_eq!(field.sequence, 4, "it follows its cells");
    assert_eq!(field.all + field.hem + field.review + field.rejected, 3);
    assert!(field.took.is_some() && field.stored_at.is_some());
    assert_eq!(field.capture.as_ref().unwrap().kind(), proto::capture::Kind::Field);
    for (ordinal, result) in (0..).zip(&results) {
        assert_eq!((result.ordinal, result.field), (ordinal, 4));
        assert_eq!(result.capture, field.capture);
        assert_eq!((result.specimen.as_str(), result.slide.as_str()), ("12", "4"));
        assert_eq!(result.cell, format!("1.{ordinal}"), "the file's number, then the cell's");
        let region = result.region.unwrap();
        let holds = |cell: &&smear::DrawnCell| {
            let within = |at: f64, from: u32, length: u32| {
                (f64::from(from)..f64::from(from + length)).contains(&at)
            };
            within(cell.x, region.x, region.width) && within(cell.y, region.y, region.height)
        };
        assert_eq!(smear.cells.iter().filter(holds).count(), 1, "{region:?}");
        assert!(result.outline.len() >= 8, "{:?}", result.outline);
        // Nobody knows the scale of the model's pictures.
        assert_eq!(result.decision(), Decision::Review);
        assert!(result.reasons.iter().any(|reason| reason.code == "unknown-scale"), "{result:?}");
    }
    // The model's errors were not measured on cells of fields.
    let request = proto::GetSpecimenRequest { specimen: "12".to_owned(), slide: None };
    let specimen = harness.results().get_specimen(request).await.unwrap().into_inner();
    assert_eq!(specimen.review, 3);
    assert_eq!(specimen.corrected_fraction.unwrap().reason.unwrap().code, "from-fields");
    let ids: std::collections::HashSet<_> = results.iter().map(|one| &one.result_id).collect();
    assert_eq!(ids.len(), results.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_without_white_cells_is_closed_and_its_bytes_are_known() {
    let harness = start().await;
    let empty = synthetic::png(&drawn(5, 0).picture);
    harness.drop_capture("a.png", &empty);
    harness.drop_capture("copy.png", &empty);
    let events = in_time("the field", events(&harness, 1)).await;
    assert_eq!((results(&events).len(), field(&events).sequence), (0, 1));
    harness.wait_idle().await;
    let folder = harness.status().await.folders.remove(0);
    assert_eq!((folder.done, folder.duplicates), (1, 1), "{folder:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_with_other_bytes_replaces_all_results_of_the_one_before() {
    let harness = start().await;
    harness.drop_capture("a.png", &synthetic::png(&drawn(3, 2).picture));
    in_time("the first", events(&harness, 1)).await;
    harness.drop_capture("a.png", &synthetic::png(&drawn(7, 3).picture));
    let events = in_time("the second", events(&harness, 2)).await;
    let (results, second) = (results(&events), field(&events));
    assert_eq!((results.len(), second.sequence, second.supersedes), (5, 7, 3));
    assert!(results[2..].iter().all(|result| result.supersedes == 3 && result.field == 7));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cell_of_a_field_has_a_heat_map_of_its_own() {
    let harness = Harness::start_with(|settings| {
        settings.watch.kind = KindRule::Auto;
        settings.model.bundle = None;
    })
    .await;
    harness.drop_capture("a.png", &synthetic::png(&drawn(3, 2).picture));
    in_time("the field", events(&harness, 1)).await;
    let mut explainer = proto::explainer_client::ExplainerClient::new(harness.channel());
    let map = |sequence| proto::GetHeatMapRequest {
        by: Some(proto::get_heat_map_request::By::Sequence(sequence)),
        overlay: true,
        ..Default::default()
    };
    let first = explainer.get_heat_map(map(1)).await.unwrap().into_inner();
    let second = explainer.get_heat_map(map(2)).await.unwrap().into_inner();
    let of = |answer: &proto::GetHeatMapResponse| answer.heat_map.clone().unwrap();
    assert_eq!((of(&first).image_width, of(&first).image_height), (450, 450));
    assert_ne!(of(&first).contributions, of(&second).contributions);
    assert!(first.overlay_png.starts_with(b"\x89PNG"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_a_field_of_view_is_left_to_a_person() {
    let harness = start().await;
    let result = harness.classify(synthetic::png(&drawn(3, 2).picture)).await;
    assert_eq!(result.decision(), Decision::Review);
    assert_eq!(result.reasons[0].code, "field-of-view");
    let result =
        harness.classify(synthetic::png(&synthetic::cell(1, synthetic::Kind::Blast))).await;
    assert!(result.reasons.iter().all(|reason| reason.code != "field-of-view"), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cells_and_fields_lie_side_by_side_in_one_folder() {
    let harness = start().await;
    for seed in 0..3 {
        let name = format!("field-{seed}.png");
        harness.drop_capture(&name, &synthetic::png(&drawn(seed, 2).picture));
        let cell = synthetic::cell(seed, synthetic::Kind::Normal);
        harness.drop_capture(&format!("cell-{seed}.bmp"), &synthetic::bmp(&cell));
    }
    let events = in_time("all", events(&harness, 3)).await;
    drop(events);
    let results = until("all results", async || {
        let results = all_results(harness.results()).await;
        (results.len() == 9).then_some(results)
    })
    .await;
    let cells = results.iter().filter(|result| path_of(result).starts_with("cell-"));
    assert!(cells.clone().all(|result| result.field == 0 && result.region.is_none()));
    assert_eq!(cells.count(), 3);
    // The events that close fields have numbers of their own.
    let journal = harness.status().await.journal.unwrap();
    assert_eq!(journal.newest, 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_fields_lists_what_is_stored() {
    let harness = start().await;
    let server = harness.url();
    let fields = async |more: &[&str]| {
        let output = leukd(&[&["fields", "--server", &server], more].concat()).await;
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stderr(&output).contains("For Research Use Only"));
        stdout(&output)
    };
    assert_eq!(fields(&["--json"]).await, "");
    harness.drop_capture("cell.bmp", &synthetic::bmp(&synthetic::cell(1, synthetic::Kind::Blast)));
    harness.drop_capture("a.png", &synthetic::png(&drawn(3, 2).picture));
    in_time("the first", events(&harness, 1)).await;
    harness.drop_capture("a.png", &synthetic::png(&drawn(7, 3).picture));
    in_time("the second", events(&harness, 2)).await;
    let table = fields(&[]).await;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines[0].contains("SEQUENCE") && lines[1].ends_with("a.png"), "{table}");
    assert!(lines[2].contains("red-cells") && lines[2].contains("a.png (replaces "), "{table}");
    let json = fields(&["--json", "--newest", "--limit", "1"]).await;
    let newest: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((newest.len(), newest[0]["review"].as_str()), (1, Some("3")), "{json}");
}
