//! A capture in the export folder becomes one durable result: whatever the microscope's software
//! does.

use crate::support;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::Duration;

use crate::support::{Harness, assert_gapless, capture, path_of, reason_of, sha256_of};
use leukd::grpc::proto::Decision;

#[tokio::test(flavor = "multi_thread")]
async fn one_dropped_capture_gets_one_result_with_its_ids() {
    let harness = Harness::start().await;
    harness.drop_capture("UID_H14_3_7_hem.bmp", &capture(1));
    let results = harness.wait_results(1).await;
    let result = &results[0];
    assert_eq!((result.sequence, path_of(result)), (1, "UID_H14_3_7_hem.bmp"));
    assert_eq!(
        (result.specimen.as_str(), result.slide.as_str(), result.cell.as_str()),
        ("H14", "3", "7")
    );
    let sum: f64 = result.probabilities.iter().map(|class| class.probability).sum();
    assert!((sum - 1.0).abs() < 1e-6);
    assert_eq!(sha256_of(result), leukd::result::Digest::of(&capture(1)).to_string());
    assert_eq!(result.model.as_ref().unwrap().id, "tiny");
    assert_ne!(result.decision(), Decision::Rejected);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_at_once_get_one_result_each() {
    let harness = Harness::start().await;
    for index in 0..500 {
        harness.drop_capture(&format!("UID_11_{index}_1_all.bmp"), &capture(index));
    }
    let results = harness.wait_results(500).await;
    assert_gapless(&results);
    let mut paths: Vec<_> = results.iter().map(path_of).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_writer_is_waited_for() {
    let harness = Harness::start().await;
    let bytes = capture(2);
    let path = harness.export().join("slow.bmp");
    let mut file = fs::File::create(&path).unwrap();
    // Each pause is longer than it takes to settle, and shorter than it takes to be called broken.
    for part in bytes.chunks(bytes.len() / 5 + 1) {
        file.write_all(part).unwrap();
        file.flush().unwrap();
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let results = harness.wait_results(1).await;
    assert_ne!(results[0].decision(), Decision::Rejected, "{results:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preallocated_file_is_waited_for_until_it_is_filled() {
    let harness = Harness::start().await;
    let bytes = capture(3);
    let path = harness.drop_capture("zeros.bmp", &vec![0; bytes.len()]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(harness.all_results().await.is_empty());
    fs::write(&path, &bytes).unwrap();
    let results = harness.wait_results(1).await;
    assert_ne!(results[0].decision(), Decision::Rejected, "{results:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_then_rewritten_gives_the_whole_files_result() {
    let harness = Harness::start().await;
    let bytes = capture(4);
    let path = harness.drop_capture("rewritten.bmp", &bytes[..bytes.len() / 2]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    fs::write(&path, &bytes).unwrap();
    let results = harness.wait_results(1).await;
    assert_ne!(results[0].decision(), Decision::Rejected, "{results:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn renamed_in_and_renamed_over() {
    let harness = Harness::start().await;
    let outside = harness.folders.root.path().join("outside.bmp");
    fs::write(&outside, capture(5)).unwrap();
    fs::rename(&outside, harness.export().join("in.bmp")).unwrap();
    harness.wait_results(1).await;
    // Another picture of equal size and equal mtime takes its name.
    let mtime = fs::metadata(harness.export().join("in.bmp")).unwrap().modified().unwrap();
    fs::write(&outside, capture(7)).unwrap();
    fs::File::open(&outside).unwrap().set_modified(mtime).unwrap();
    fs::rename(&outside, harness.export().join("in.bmp")).unwrap();
    let results = harness.wait_results(2).await;
    assert_eq!((results[1].sequence, results[1].supersedes), (2, 1));
    assert_eq!(sha256_of(&results[1]), leukd::result::Digest::of(&capture(7)).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_under_two_names_get_one_result() {
    let harness = Harness::start().await;
    harness.drop_capture("a.bmp", &capture(8));
    harness.drop_capture("b.bmp", &capture(8));
    harness.wait_results(1).await;
    let folder = harness.status().await.folders.remove(0);
    assert_eq!((folder.done, folder.duplicates), (1, 1));
    // Both names lead to it.
    for path in ["a.bmp", "b.bmp"] {
        let by =
            leukd::grpc::proto::get_result_request::By::Path(leukd::grpc::proto::FolderSource {
                folder: harness.export().to_str().unwrap().to_owned(),
                path: path.to_owned(),
            });
        let request = leukd::grpc::proto::GetResultRequest { by: Some(by) };
        let found = harness.results().get_result(request).await.unwrap().into_inner();
        assert_eq!(found.result.unwrap().sequence, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_and_a_touched_capture_get_no_second_result() {
    let harness = Harness::start().await;
    let path = harness.drop_capture("a.bmp", &capture(9));
    harness.wait_results(1).await;
    fs::File::open(&path).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    fs::create_dir(harness.export().join("done")).unwrap();
    fs::rename(&path, harness.export().join("done/a.bmp")).unwrap();
    harness.wait_results(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_bytes_under_one_name_supersede() {
    let harness = Harness::start().await;
    let path = harness.drop_capture("a.bmp", &capture(10));
    harness.wait_results(1).await;
    fs::write(&path, capture(11)).unwrap();
    harness.wait_results(2).await;
    fs::write(&path, capture(10)).unwrap();
    let results = harness.wait_results(3).await;
    let chain: Vec<_> = results.iter().map(|result| result.supersedes).collect();
    assert_eq!(chain, [0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_mtime_does_not_hide_a_capture() {
    let harness = Harness::start().await;
    let outside = harness.folders.root.path().join("old.bmp");
    fs::write(&outside, capture(12)).unwrap();
    let long_ago = std::time::UNIX_EPOCH + Duration::from_secs(946_684_800);
    fs::File::open(&outside).unwrap().set_modified(long_ago).unwrap();
    fs::rename(&outside, harness.export().join("old.bmp")).unwrap();
    let results = harness.wait_results(1).await;
    assert_eq!(results[0].capture.as_ref().unwrap().captured_at.unwrap().seconds, 946_684_800);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subfolder_that_comes_with_files_in_it_is_found() {
    let harness = Harness::start().await;
    let outside = harness.folders.root.path().join("slide");
    fs::create_dir_all(outside.join("deep")).unwrap();
    fs::write(outside.join("a.bmp"), capture(13)).unwrap();
    fs::write(outside.join("deep/b.bmp"), capture(14)).unwrap();
    fs::rename(&outside, harness.export().join("slide")).unwrap();
    let results = harness.wait_results(2).await;
    let mut paths: Vec<_> = results.iter().map(path_of).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["slide/a.bmp", "slide/deep/b.bmp"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrived_while_leukd_was_down_is_caught_up() {
    let harness = Harness::start().await;
    harness.drop_capture("before.bmp", &capture(15));
    harness.wait_results(1).await;
    let folders = harness.stop().await;
    folders.drop_capture("meanwhile.bmp", &capture(16));
    let harness = Harness::start_on(folders, |_| {}).await;
    let results = harness.wait_results(2).await;
    assert_gapless(&results);
    assert_eq!(path_of(&results[1]), "meanwhile.bmp");
    assert_eq!(results[0].epoch, results[1].epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_broken_file_is_rejected_with_its_reason_and_stops_no_other() {
    let harness = Harness::start().await;
    let whole = capture(17);
    let mut huge = whole.clone();
    huge[18..22].copy_from_slice(&20_000_i32.to_le_bytes());
    huge[22..26].copy_from_slice(&20_000_i32.to_le_bytes());
    for (name, bytes) in [
        ("truncated.bmp", &whole[..whole.len() - 10]),
        ("empty.bmp", &[]),
        ("huge.bmp", &huge),
        ("words.bmp", b"this is no picture at all"),
        ("words.jpg", b"neither is this"),
    ] {
        harness.drop_capture(name, bytes);
    }
    harness.drop_capture("good.bmp", &whole);
    let results = harness.wait_results(6).await;
    let reason = |name: &str| {
        let result = results.iter().find(|result| path_of(result) == name).unwrap();
        assert_eq!(result.decision() == Decision::Rejected, !reason_of(result).is_empty());
        assert!(result.reasons.iter().all(|reason| !reason.message.is_empty()));
        reason_of(result).to_owned()
    };
    assert_eq!(reason("truncated.bmp"), "truncated");
    assert_eq!(reason("empty.bmp"), "empty");
    assert_eq!(reason("huge.bmp"), "too-large");
    assert_eq!(reason("words.bmp"), "not-an-image");
    assert_eq!(reason("words.jpg"), "not-an-image");
    assert_eq!(reason("good.bmp"), "");
    assert_eq!(harness.status().await.folders[0].rejected, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_file_that_becomes_whole_supersedes_its_rejection() {
    let harness = Harness::start().await;
    let whole = capture(18);
    let path = harness.drop_capture("late.bmp", &whole[..100]);
    let results = harness.wait_results(1).await;
    assert_eq!(results[0].decision(), Decision::Rejected);
    fs::write(&path, &whole).unwrap();
    let results = harness.wait_results(2).await;
    assert_eq!(results[1].supersedes, 1);
    assert_ne!(results[1].decision(), Decision::Rejected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_file_is_rejected_and_tried_again_once_it_may_be_read() {
    let harness = Harness::start().await;
    let path = harness.drop_capture("secret.bmp", &capture(19));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&path).is_ok() {
        println!("skipped: this user may read every file");
        return;
    }
    let results = harness.wait_results(1).await;
    assert_eq!(reason_of(&results[0]), "unreadable");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let results = harness.wait_results(2).await;
    assert_eq!(results[1].supersedes, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_and_fifos_are_refused_and_the_folder_is_left_as_it_was() {
    let harness = Harness::start().await;
    let outside = harness.folders.root.path().join("outside.bmp");
    fs::write(&outside, capture(20)).unwrap();
    symlink(&outside, harness.export().join("link.bmp")).unwrap();
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        harness.export().join("fifo.bmp"),
        rustix::fs::Mode::from_raw_mode(0o600),
    )
    .unwrap();
    harness.drop_capture("notes.txt", b"no capture");
    harness.drop_capture("good.bmp", &capture(21));
    let before = listing(harness.export());
    let results = harness.wait_results(1).await;
    assert_eq!(path_of(&results[0]), "good.bmp");
    assert_eq!(harness.status().await.folders[0].ignored, 3);
    assert_eq!(listing(harness.export()), before);
}

/// Name, length, modification time and mode of everything in a folder.
fn listing(folder: &std::path::Path) -> Vec<(String, u64, std::time::SystemTime, u32)> {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let metadata = entry.path().symlink_metadata().unwrap();
            (
                entry.file_name().into_string().unwrap(),
                metadata.len(),
                metadata.modified().unwrap(),
                metadata.permissions().mode(),
            )
        })
        .collect();
    entries.sort();
    entries
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_missing_is_degraded_and_comes_back_by_itself() {
    let harness = Harness::start().await;
    harness.drop_capture("a.bmp", &capture(22));
    harness.wait_results(1).await;
    let away = harness.folders.root.path().join("away");
    fs::rename(harness.export(), &away).unwrap();
    let degraded = async {
        while !harness.status().await.degraded.iter().any(|what| what.component == "folder") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(support::PATIENCE, degraded).await.expect("degraded");
    assert_eq!(harness.all_results().await.len(), 1, "nothing is deleted");
    fs::rename(&away, harness.export()).unwrap();
    harness.drop_capture("b.bmp", &capture(23));
    harness.wait_results(2).await;
    let healthy = async {
        while !harness.status().await.degraded.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(support::PATIENCE, healthy).await.expect("recovered");
}
