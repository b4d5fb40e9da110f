//! Images that are kept: which, how much of them, who may read them, and when they go.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use leukd::config::settings::KeepImages;
use leukd::config::units::{Bytes, Span};
use leukd::grpc::proto::explainer_client::ExplainerClient;
use leukd::grpc::proto::get_heat_map_request::By;
use leukd::grpc::proto::submit_review_request::Of;
use leukd::grpc::proto::{self, GetHeatMapRequest};
use leukd::journal::images::place;

use crate::support::refusal::reason;
use crate::support::{ALL, HEM, Harness, cell_of, sha256_of, until};

/// Every file below the state folder's images.
fn kept(state: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in std::fs::read_dir(state.join("images")).into_iter().flatten() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            files.push(file.unwrap().path());
        }
    }
    files
}

async fn keeping(keep: KeepImages) -> Harness {
    Harness::start_with(|settings| settings.journal.keep_images = keep).await
}

fn uuid(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

async fn review(harness: &Harness, sequence: u64, review_id: &str) {
    let request = proto::SubmitReviewRequest {
        of: Some(Of::Sequence(sequence)),
        label: "all".to_owned(),
        reviewer: "Dr. Doe".to_owned(),
        review_id: review_id.to_owned(),
        ..Default::default()
    };
    harness.reviews().submit_review(request).await.unwrap();
}

fn place_of(harness: &Harness, result: &proto::Result) -> PathBuf {
    place(&harness.folders.state, &sha256_of(result).parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_image_is_kept_unless_the_configuration_says_so() {
    let harness = Harness::start().await;
    harness.drop_capture("a.bmp", &cell_of(ALL, 1));
    harness.classify(cell_of(ALL, 2)).await;
    harness.wait_results(2).await;
    review(&harness, 1, "").await;
    let folders = harness.stop().await;
    assert!(!folders.state.join("images").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn images_of_reviewed_results_are_kept_as_far_as_their_files_are_still_there() {
    let harness = Harness::start_with(|settings| {
        settings.journal.keep_images = KeepImages::Reviewed;
        // What is put in a capture's place below is not to become a result of its own.
        settings.watch.broken_after = Span::from_secs(600);
    })
    .await;
    let gone = harness.drop_capture("gone.bmp", &cell_of(ALL, 1));
    harness.wait_results(1).await;
    std::fs::remove_file(gone).unwrap();
    let bytes = cell_of(HEM, 2);
    harness.drop_capture("there.bmp", &bytes);
    harness.wait_results(2).await;
    let changed = harness.drop_capture("changed.bmp", &cell_of(ALL, 3));
    harness.wait_results(3).await;
    // Whoever reviews this result has seen what it was of before.
    std::fs::write(changed, b"other bytes").unwrap();
    harness.classify(cell_of(ALL, 4)).await;
    for sequence in 1..=3 {
        review(&harness, sequence, &uuid(sequence)).await;
    }
    let results = harness.all_results().await;
    let there = place_of(&harness, &results[1]);
    assert_eq!(kept(&harness.folders.state), std::slice::from_ref(&there));
    assert_eq!(std::fs::read(&there).unwrap(), bytes);
    // A client that went away before its review's image was kept sends it again.
    std::fs::remove_file(&there).unwrap();
    review(&harness, 2, &uuid(2)).await;
    assert_eq!(std::fs::read(&there).unwrap(), bytes);
    // Patients' cells: for leukd's own user and group.
    assert_eq!(std::fs::metadata(&there).unwrap().permissions().mode() & 0o777, 0o640);
    let folder = there.parent().unwrap().parent().unwrap();
    assert_eq!(std::fs::metadata(folder).unwrap().permissions().mode() & 0o007, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_images_are_kept_and_give_heat_maps_when_their_files_are_gone() {
    let harness = keeping(KeepImages::All).await;
    let file = harness.drop_capture("a.bmp", &cell_of(ALL, 1));
    harness.drop_capture("broken.bmp", b"BM, but no picture");
    harness.wait_results(2).await;
    harness.classify(cell_of(HEM, 2)).await;
    let results = harness.wait_results(3).await;
    std::fs::remove_file(file).unwrap();
    let judged: Vec<_> = results.iter().filter(|result| result.model.is_some()).collect();
    assert_eq!(judged.len(), 2);
    let mut explainer = ExplainerClient::new(harness.channel());
    for result in &judged {
        assert!(place_of(&harness, result).is_file());
        let by = Some(By::Sequence(result.sequence));
        let request = GetHeatMapRequest { by, ..Default::default() };
        let map = explainer.get_heat_map(request.clone()).await.unwrap().into_inner();
        assert!(map.heat_map.is_some());
        // One that was changed by hand is none.
        std::fs::write(place_of(&harness, result), b"another picture").unwrap();
        let refused = explainer.get_heat_map(request).await.unwrap_err();
        assert!(reason(&refused) == "NO_IMAGE", "{refused:?}");
    }
    assert_eq!(kept(&harness.folders.state).len(), 2, "rejections have none");
    // What is known already is kept when it comes again, as where images are kept only since a
    // while.
    for file in kept(&harness.folders.state) {
        std::fs::remove_file(file).unwrap();
    }
    harness.drop_capture("again.bmp", &cell_of(ALL, 1));
    harness.classify(cell_of(HEM, 2)).await;
    until("both are kept", async || {
        judged.iter().all(|result| place_of(&harness, result).is_file()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_kept_than_the_configuration_allows_and_every_result_is_stored_all_the_same() {
    let size = cell_of(ALL, 1).len() as u64;
    let harness = Harness::start_with(|settings| {
        settings.journal.keep_images = KeepImages::All;
        settings.journal.max_images = Bytes(size * 5 / 2);
    })
    .await;
    for seed in 1..=5 {
        harness.classify(cell_of(ALL, seed)).await;
    }
    harness.wait_results(5).await;
    let held: u64 = kept(&harness.folders.state)
        .iter()
        .map(|file| std::fs::metadata(file).unwrap().len())
        .sum();
    assert!(held > 0 && held <= size * 5 / 2, "{held}");
    // What a daemon before has kept counts.
    let folders = harness.stop().await;
    let harness = Harness::start_on(folders, |settings| {
        settings.journal.keep_images = KeepImages::All;
        settings.journal.max_images = Bytes(held);
    })
    .await;
    harness.classify(cell_of(ALL, 6)).await;
    let files = kept(&harness.folders.state);
    assert_eq!(files.iter().map(|file| std::fs::metadata(file).unwrap().len()).sum::<u64>(), held);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_goes_with_the_last_result_of_its_bytes() {
    let harness = keeping(KeepImages::All).await;
    for seed in 1..=3 {
        harness.classify(cell_of(ALL, seed)).await;
    }
    let results = harness.wait_results(3).await;
    let places: Vec<_> = results.iter().map(|result| place_of(&harness, result)).collect();
    let folders = harness.stop().await;
    let half = places[0].with_file_name(".tmpAbCdEf");
    std::fs::write(&half, b"half").unwrap();
    let old = SystemTime::now() - Duration::from_secs(2 * 3600);
    for file in [&places[0], &places[2], &half] {
        std::fs::File::options().write(true).open(file).unwrap().set_modified(old).unwrap();
    }
    // No longer kept, and those that are there go with their results all the same. The second one
    // is so young that its result may be on its way.
    let harness =
        Harness::start_on(folders, |settings| settings.journal.keep_count = Some(1)).await;
    until("the first image is gone", async || {
        (!places[0].exists() && !half.exists()).then_some(())
    })
    .await;
    assert!(places[1].is_file() && places[2].is_file());
    assert_eq!(harness.wait_results(1).await[0].sequence, 3);
}
