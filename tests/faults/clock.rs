//! A wall clock that jumps, by libfaketime. Waiting goes by the monotonic clock, which it leaves
//! alone.

use std::path::{Path, PathBuf};

use leukd::config::units::Span;

use crate::ready::{all_once, degraded, skip};
use crate::support::process::{Process, serve_command};
use crate::support::{ALL, Folders, PATIENCE, cell_of, until};

/// Where Debian and others install it.
fn libfaketime() -> Option<PathBuf> {
    let folders =
        ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    let files = folders.map(|folder| Path::new(folder).join("faketime/libfaketimeMT.so.1"));
    files.into_iter().find(|file| file.exists())
}

/// The wall clock jumps to `to` between two lots of captures, and back before a third. After each
/// jump leukd starts anew, too: retention looks at what is too old at a start, and then once a
/// minute.
async fn jumps(to: &str, forward: bool) {
    let Some(library) = libfaketime() else { return skip("libfaketime is not installed") };
    let folders = Folders::new();
    let offset = folders.root.path().join("offset");
    let set = |text: &str| {
        let fresh = folders.root.path().join("offset.fresh");
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(fresh, &offset).unwrap();
    };
    set("+0");
    let start = || {
        let mut command = serve_command(&folders, |settings| {
            settings.journal.keep_for = Some(Span::from_secs(30 * 24 * 3600));
        });
        command
            .env("LD_PRELOAD", &library)
            .env("FAKETIME_TIMESTAMP_FILE", &offset)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1");
        Process::spawn(command)
    };
    let again = async |mut process: Process| {
        process.signal(rustix::process::Signal::TERM);
        assert!(process.wait(PATIENCE).await.expect("it stops").success());
        let process = start();
        // Retention has looked when the first result of this start is stored: it came before.
        until("a model", async || degraded(&process, "model").await.is_none().then_some(())).await;
        process
    };
    let process = start();
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
    let time = |result: &leukd::grpc::proto::Result| result.classified_at.unwrap().seconds;
    let jumped = time(&second[19]) - time(&first[0]);
    assert!(jumped.abs() > 86_400, "the clock did not jump: {jumped} s");
    let process = again(process).await;
    drop_captures(20..25);
    let third = all_once(&process, 25).await;
    assert_eq!(third[..20], second[..]);
    if forward {
        until("a doubted clock", async || degraded(&process, "clock").await).await;
    }
    set("+0");
    drop_captures(25..30);
    let fourth = all_once(&process, 30).await;
    assert_eq!(fourth[..25], third[..]);
    let process = again(process).await;
    drop_captures(30..35);
    let fifth = all_once(&process, 35).await;
    assert_eq!(fifth[..30], fourth[..]);
    if !forward {
        // The way back is a leap ahead of the time that leukd has seen.
        until("a doubted clock", async || degraded(&process, "clock").await).await;
    }
    // The files' own times, which the microscope gives, are as they were.
    assert_eq!(first[..], second[..10]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_a_year_forward_and_back_removes_nothing_and_stops_nothing() {
    jumps("+365d", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_a_year_back_and_forward_removes_nothing_and_stops_nothing() {
    jumps("-365d", false).await;
}
