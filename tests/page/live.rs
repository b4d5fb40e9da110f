//! Events as they come: none is missed, none comes twice, and no stream holds up a stop.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::http::Client;
use crate::support::process::Process;
use crate::support::{ALL, Folders, cell_of};
use crate::{start, with_page};

/// The address of a process's page, which its log tells after the port of gRPC.
fn page_of(process: &Process) -> SocketAddr {
    let line = process.line_with(&["serving the page at"]);
    let (_, rest) = line.split_once("http://").unwrap();
    rest[..rest.find('/').unwrap()].parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_comes_back_after_a_kill_misses_nothing() {
    let folders = Folders::new();
    let mut seen: Vec<u64> = Vec::new();
    let mut last = String::new();
    for round in 0..3 {
        let mut process = Process::serve_with(&folders, with_page);
        let client = Client::new(page_of(&process));
        let mut events =
            client.stream(Some(&last).filter(|last| !last.is_empty()).map(|l| &**l)).await;
        events.next_of("hello").await;
        for number in 0..10 {
            let number = round * 10 + number;
            folders.drop_capture(&format!("UID_7_1_{number}_x.bmp"), &cell_of(ALL, number));
        }
        // Some are still under way when the process dies.
        for _ in 0..5 {
            let event = events.next_of("result").await;
            last.clone_from(&event.id);
            let sequence = event.data["sequence"].as_u64().unwrap();
            assert!(event.id.ends_with(&format!(":{sequence}")), "{}", event.id);
            seen.push(sequence);
        }
        process.kill();
    }
    let process = Process::serve_with(&folders, with_page);
    let mut events = Client::new(page_of(&process)).stream(Some(&last)).await;
    while seen.len() < 30 {
        seen.push(events.next_of("result").await.data["sequence"].as_u64().unwrap());
    }
    assert!(seen.is_sorted() && seen.iter().collect::<BTreeSet<_>>().len() == 30, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_another_journal_reads_everything_anew() {
    let (_harness, client) = start().await;
    let mut events = client.stream(Some("0193a5f0-0000-7000-8000-000000000001:7")).await;
    assert_eq!(events.next().await.unwrap().kind, "resync");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_shows_that_it_lives() {
    let (_harness, client) = start().await;
    let mut events = client.stream(None).await;
    let began = Instant::now();
    events.next_of("ping").await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn open_streams_do_not_hold_up_a_stop() {
    let (harness, client) = start().await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut events = client.stream(None).await;
        events.next_of("hello").await;
        streams.push(events);
    }
    // A page answers beside them.
    assert_eq!(client.get("/api/now").await.status, 200);
    let began = Instant::now();
    assert!(harness.drain(Duration::from_secs(5)).await.clean);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    for events in &mut streams {
        assert!(events.ends_within(Duration::from_secs(1)).await);
    }
}
