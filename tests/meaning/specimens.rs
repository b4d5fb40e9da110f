//! A specimen that has been told, as clients meet it.

use std::time::Duration;

use crate::support::process::{Process, leukd, stderr, stdout};
use crate::support::{ALL, Folders, HEM, Harness, REVIEW, cell_of, next, until};
use leukd::clock::Clock;
use leukd::config::units::Span;
use leukd::grpc::proto::event::Kind;
use leukd::grpc::proto::specimen_event::Cause;
use leukd::grpc::proto::subscribe_request::Start;
use leukd::grpc::proto::{self, Filter};
use leukd::result::Timestamp;
use tonic::Streaming;

const START: Timestamp = Timestamp(1_767_225_600_000);
const MINUTE: Duration = Duration::from_secs(60);

async fn classify(harness: &Harness, specimen: &str, patches: u32, seed: u64) -> u64 {
    let request = proto::ClassifyRequest {
        image: cell_of(patches, seed),
        specimen: specimen.to_owned(),
        ..Default::default()
    };
    let answer = harness.classifier().classify(request).await.unwrap().into_inner();
    answer.result.unwrap().sequence
}

/// The next specimen's event; results and heartbeats pass.
async fn specimen(stream: &mut Streaming<proto::Event>) -> proto::SpecimenEvent {
    loop {
        match next(stream).await.kind.unwrap() {
            Kind::Specimen(told) => return told,
            Kind::Result(_) | Kind::Heartbeat(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Every specimen's event that is stored.
async fn stored(harness: &Harness) -> Vec<proto::SpecimenEvent> {
    let (hello, mut stream) = harness.subscribe(Start::Earliest(())).await;
    let mut found = Vec::new();
    loop {
        match next(&mut stream).await.kind.unwrap() {
            Kind::Specimen(told) => found.push(told),
            Kind::Heartbeat(beat) if beat.sequence >= hello.newest => return found,
            _ => {}
        }
    }
}

fn counts(told: &proto::SpecimenEvent) -> (u64, u64, u64, u64) {
    (told.all, told.hem, told.review, told.rejected)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_specimen_that_falls_quiet_is_told_and_told_again_after_further_results() {
    let clock = Clock::manual(START);
    let harness = Harness::start_at(clock.clone(), Folders::new(), |_| {}).await;
    let (_, mut stream) = harness.subscribe(Start::Latest(())).await;
    for (seed, patches) in (0..).zip([ALL, ALL, HEM, REVIEW]) {
        classify(&harness, "S", patches, seed).await;
        clock.advance(MINUTE);
    }
    // Ten minutes after the newest, and not before: another specimen's event proves that somebody
    // looked.
    classify(&harness, "early", ALL, 10).await;
    clock.advance(9 * MINUTE);
    let told = specimen(&mut stream).await;
    assert_eq!((told.specimen.as_str(), told.round, told.cause()), ("S", 1, Cause::Quiet));
    assert_eq!((counts(&told), told.sequence), ((2, 1, 1, 0), 6));
    assert!(told.marker.is_none() && !told.epoch.is_empty());
    let seconds = |at: &Option<prost_types::Timestamp>| at.as_ref().unwrap().seconds * 1000;
    assert_eq!(seconds(&told.first_classified_at), START.0);
    assert_eq!(seconds(&told.last_classified_at), START.0 + 3 * 60_000);
    assert_eq!(seconds(&told.stored_at), START.0 + 13 * 60_000);
    clock.advance(MINUTE);
    assert_eq!(specimen(&mut stream).await.specimen, "early");

    classify(&harness, "S", HEM, 20).await;
    clock.advance(10 * MINUTE);
    let again = specimen(&mut stream).await;
    assert_eq!((again.specimen.as_str(), again.round, counts(&again)), ("S", 2, (2, 2, 1, 0)));
    // What is counted now is what was told last.
    let request = proto::GetSpecimenRequest { specimen: "S".to_owned(), ..Default::default() };
    let now = harness.results().get_specimen(request).await.unwrap().into_inner();
    assert_eq!((now.all, now.hem, now.review, now.rejected), counts(&again));

    // A filter's specimen applies.
    let filter = Some(Filter { specimen: "early".to_owned(), ..Default::default() });
    let request = proto::SubscribeRequest { start: Some(Start::Earliest(())), filter };
    let mut early = harness.results().subscribe(request).await.unwrap().into_inner();
    assert!(matches!(next(&mut early).await.kind, Some(Kind::Hello(_))));
    assert!(matches!(next(&mut early).await.kind, Some(Kind::Result(_))));
    assert_eq!(specimen(&mut early).await.specimen, "early");
    let Some(Kind::Heartbeat(beat)) = next(&mut early).await.kind else { panic!("no end") };
    assert_eq!(beat.sequence, again.sequence);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_specimen_that_fell_quiet_while_leukd_was_down_is_told_once() {
    let clock = Clock::manual(START);
    let harness = Harness::start_at(clock.clone(), Folders::new(), |_| {}).await;
    classify(&harness, "S", ALL, 1).await;
    assert!(stored(&harness).await.is_empty());
    let folders = harness.stop().await;
    clock.advance(60 * MINUTE);
    let harness = Harness::start_at(clock.clone(), folders, |_| {}).await;
    let (_, mut stream) = harness.subscribe(Start::Earliest(())).await;
    let told = specimen(&mut stream).await;
    let folders = harness.stop().await;
    clock.advance(60 * MINUTE);
    let harness = Harness::start_at(clock.clone(), folders, |_| {}).await;
    // Another one is told, so this one was looked at.
    classify(&harness, "T", ALL, 2).await;
    clock.advance(10 * MINUTE);
    let (_, mut stream) = harness.subscribe(Start::Earliest(())).await;
    assert_eq!(specimen(&mut stream).await, told, "durable");
    assert_eq!(specimen(&mut stream).await.specimen, "T");
}

#[tokio::test(flavor = "multi_thread")]
async fn turned_off_no_specimen_is_told_however_long_it_is_quiet() {
    let clock = Clock::manual(START);
    let off = |settings: &mut leukd::config::settings::Settings| {
        settings.specimen.quiet_after = Span::from_secs(0);
    };
    let harness = Harness::start_at(clock.clone(), Folders::new(), off).await;
    classify(&harness, "S", ALL, 1).await;
    clock.advance(1000 * MINUTE);
    let folders = harness.stop().await;
    let harness = Harness::start_at(clock.clone(), folders, off).await;
    // While it is off, too: it is nothing to tell later.
    classify(&harness, "R", ALL, 3).await;
    clock.advance(1000 * MINUTE);
    // Nothing tells when something is never done: two turns of the task that would.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(stored(&harness).await.is_empty());
    // On again: what came before is not told, what comes is.
    let folders = harness.stop().await;
    let harness = Harness::start_at(clock.clone(), folders, |_| {}).await;
    classify(&harness, "T", ALL, 2).await;
    clock.advance(10 * MINUTE);
    let (_, mut stream) = harness.subscribe(Start::Earliest(())).await;
    assert_eq!(specimen(&mut stream).await.specimen, "T");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_done_marker_tells_its_specimen_when_its_captures_are_through() {
    let harness = Harness::start_with(|settings| {
        settings.specimen.done_marker = Some("*.DONE".to_owned());
    })
    .await;
    let (_, mut stream) = harness.subscribe(Start::Latest(())).await;
    // Before its captures: it waits for them. Beside them: it waits for them too.
    harness.drop_capture("late/H7.done", b"");
    for cell in 0..12 {
        let patches = if cell % 3 == 0 { HEM } else { ALL };
        harness.drop_capture(&format!("run/UID_11_1_{cell}_all.bmp"), &cell_of(patches, cell));
    }
    let mark = harness.drop_capture("run/UID_11_1_0_all.done", b"of no interest");
    let told = specimen(&mut stream).await;
    assert_eq!((told.specimen.as_str(), told.cause(), told.round), ("11", Cause::Marker, 1));
    assert_eq!(counts(&told), (8, 4, 0, 0));
    let marker = told.marker.unwrap();
    assert_eq!(marker.path, "run/UID_11_1_0_all.done");
    assert_eq!(marker.folder, harness.export().to_str().unwrap());
    // A name that the pattern does not read is the specimen's own.
    harness.drop_capture("UID_H7_1_1_all.bmp", &cell_of(ALL, 100));
    let told = specimen(&mut stream).await;
    assert_eq!((told.specimen.as_str(), told.all), ("H7", 1));

    // It was told: further results fall quiet, and a marker that is written again counts again.
    harness.drop_capture("run/UID_11_1_90_all.bmp", &cell_of(ALL, 90));
    harness.wait_results(14).await;
    assert_eq!(stored(&harness).await.len(), 2);
    std::fs::write(&mark, b"again").unwrap();
    let told = specimen(&mut stream).await;
    assert_eq!((told.specimen.as_str(), told.round, told.all), ("11", 2, 9));
    // leukd has touched none of them, and made captures of none.
    assert_eq!(std::fs::read(&mark).unwrap(), b"again");
    assert_eq!(std::fs::read_dir(harness.export().join("late")).unwrap().count(), 1);
    let folders = harness.stop().await;
    let harness = Harness::start_on(folders, |settings| {
        settings.specimen.done_marker = Some("*.DONE".to_owned());
    })
    .await;
    harness.wait_idle().await;
    assert_eq!(stored(&harness).await.len(), 3, "a restart tells nothing twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_that_does_not_fit_the_settings_is_no_marker() {
    let harness = Harness::start().await;
    harness.drop_capture("UID_11_1_1_all.bmp", &cell_of(ALL, 1));
    harness.drop_capture("11.done", b"");
    harness.wait_results(1).await;
    assert!(stored(&harness).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_shows_a_specimen_that_was_told() {
    let folders = Folders::new();
    folders.drop_capture("UID_11_1_1_all.bmp", &cell_of(ALL, 1));
    let daemon = Process::serve_with(&folders, |settings| {
        settings.specimen.quiet_after = Span::from_secs(1);
    });
    let server = format!("http://{}", daemon.address);
    let shown = until("the specimen", async || {
        let output = leukd(&["tail", "--once", "--server", &server]).await;
        assert!(output.status.success(), "{}", stderr(&output));
        let shown = stdout(&output);
        shown.contains("specimen").then_some(shown)
    })
    .await;
    let line = "specimen 11 is quiet: 1 all, 0 hem, 0 review, 0 rejected (round 1)";
    assert!(shown.contains(line), "{shown}");
}
