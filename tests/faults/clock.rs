//! A wall clock that jumps, by libfaketime. Waiting goes by the monotonic clock, which it leaves alone.

use std::path::{Path, PathBuf};

use leukd::config::units::Span;

use crate::ready::{all_once, skip};
use crate::support::process::{Process, serve_command};
use crate::support::{ALL, Folders, cell_of};

/// Where Debian and others install it.
fn libfaketime() -> Option<PathBuf> {
    let folders =
        ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    let files = folders.map(|folder| Path::new(folder).join("faketime/libfaketimeMT.so.1"));
    files.into_iter().find(|file| file.exists())
}

/// The wall clock jumps to `to` between two lots of captures, and back before a third.
async fn jumps(to: &str) {
    let Some(library) = libfaketime() else { return skip("libfaketime is not installed") };
    let folders = Folders::new();
    let offset = folders.root.path().join("offset");
    let set = |text: &str| {
        let fresh = folders.root.path().join("offset.fresh");
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(fresh, &offset).unwrap();
    };
    set("+0");
    let mut command = serve_command(&folders, |settings| {
        settings.journal.keep_for = Some(Span::from_secs(30 * 24 * 3600));
    });
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", &offset)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("DONT_FAKE_MONOTONIC", "1");
    let process = Process::spawn(command);
    let drop_captures = |numbers: std::ops::Range<u64>| {
        for number in numbers {
            folders.drop_capture(&format!("{number}.bmp"), &cell_of(ALL, number));
        }
    };
    drop_captures(0..10);
    let first = all_once(&process, 10).await;
    set(to);
    drop_captures(10..20);
    let second = all_once(&process, 20).await;
    let time = |result: &leukd::rpc::proto::Result| result.classified_at.unwrap().seconds;
    let jumped = time(&second[19]) - time(&first[0]);
    assert!(jumped.abs() > 86_400, "the clock did not jump: {jumped} s");
    set("+0");
    drop_captures(20..30);
    let third = all_once(&process, 30).await;
    assert_eq!(third[..20], second[..]);
    // The files' own times, which the microscope gives, are as they were.
    assert_eq!(first[..], second[..10]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_a_year_forward_and_back_removes_nothing_and_stops_nothing() {
    jumps("+365d").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_a_year_back_and_forward_removes_nothing_and_stops_nothing() {
    jumps("-365d").await;
}
