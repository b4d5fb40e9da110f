//! A state disk that runs full.

use std::fs;
use std::path::Path;

use leukd::config::settings::Settings;
use leukd::config::units::Bytes;
use leukd::rpc::proto;

use crate::ready::{Mount, all_once, degraded, is_root, newest, settled, skip};
use crate::support::process::Process;
use crate::support::refusal::reason;
use crate::support::{ALL, Folders, cell_of, until};

const DISK: u64 = 6 << 20;

/// Fills a file system but for so many bytes.
fn fill(folder: &Path, but_for: u64) -> std::path::PathBuf {
    let stat = rustix::fs::statvfs(folder).unwrap();
    let free = stat.f_bavail * stat.f_frsize;
    let ballast = folder.join("ballast");
    let length = usize::try_from(free.saturating_sub(but_for)).unwrap();
    // tmpfs gives what is there before it says that there is no more.
    let _ = fs::write(&ballast, vec![1; length]);
    ballast
}

/// Captures wait, requests are refused with the reason, `GetStatus` tells; and with space all of it heals by itself.
async fn full_and_free_again(change: impl FnOnce(&mut Settings), but_for: u64) {
    if !is_root() {
        return skip("only the superuser may mount a small disk");
    }
    let folders = Folders::new();
    let _disk = Mount::memory(&folders.state, DISK);
    let process = Process::serve_with(&folders, change);
    for number in 0..20 {
        folders.drop_capture(&format!("before-{number}.bmp"), &cell_of(ALL, number));
    }
    all_once(&process, 20).await;

    let ballast = fill(&folders.state, but_for);
    for number in 20..60 {
        folders.drop_capture(&format!("full-{number}.bmp"), &cell_of(ALL, number));
    }
    let told = until("a degraded disk", async || match degraded(&process, "disk").await {
        Some(told) => Some(told),
        None => degraded(&process, "journal").await,
    })
    .await;
    assert!(told.contains("disk") || told.contains("free"), "{told}");
    // Reading goes on, and nothing is half stored.
    let stored = newest(&process).await.expect("it answers");
    assert!((20..60).contains(&stored), "{stored}");
    let mut classifier =
        proto::classifier_client::ClassifierClient::connect(format!("http://{}", process.address))
            .await
            .unwrap();
    let request = proto::ClassifyRequest { image: cell_of(ALL, 1_000), ..Default::default() };
    let refused =
        until("a refusal", async || classifier.classify(request.clone()).await.err()).await;
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused:?}");
    assert!(!reason(&refused).is_empty(), "{refused:?}");

    fs::remove_file(ballast).unwrap();
    until("a healthy disk", async || {
        let both = (degraded(&process, "disk").await, degraded(&process, "journal").await);
        (both == (None, None)).then_some(())
    })
    .await;
    settled(&process).await;
    let answered = newest(&process).await.unwrap() - 60;
    assert!(answered < 10, "requests that came before the refusal were stored: {answered}");
    let results = crate::support::all_results(process.results().await).await;
    crate::support::assert_gapless(&results);
    let mut paths: Vec<_> = results.iter().map(crate::support::path_of).collect();
    paths.retain(|path| !path.is_empty());
    paths.sort_unstable();
    let all = paths.len();
    paths.dedup();
    assert_eq!((all, paths.len()), (60, 60), "each capture has one result");
}

#[tokio::test(flavor = "multi_thread")]
async fn below_the_floor_captures_wait_and_come_by_themselves_when_there_is_space() {
    let floor = |settings: &mut Settings| settings.journal.disk_floor = Bytes(3 << 20);
    full_and_free_again(floor, 1 << 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_a_free_byte_loses_nothing_and_heals_by_itself() {
    full_and_free_again(|settings| settings.journal.disk_floor = Bytes(0), 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_on_a_full_disk_it_starts_again_with_all_that_was_stored() {
    if !is_root() {
        return skip("only the superuser may mount a small disk");
    }
    let folders = Folders::new();
    let _disk = Mount::memory(&folders.state, DISK);
    let mut process = Process::serve(&folders);
    for number in 0..30 {
        folders.drop_capture(&format!("{number}.bmp"), &cell_of(ALL, number));
    }
    let before = all_once(&process, 30).await;
    let ballast = fill(&folders.state, 0);
    folders.drop_capture("later.bmp", &cell_of(ALL, 99));
    until("a refused commit", async || match degraded(&process, "journal").await {
        Some(told) => Some(told),
        None => degraded(&process, "disk").await,
    })
    .await;
    process.kill();
    fs::remove_file(ballast).unwrap();
    let process = Process::serve(&folders);
    let after = all_once(&process, 31).await;
    assert_eq!(after[..30], before[..]);
}
