//! A store and a network that fail.

use std::time::Duration;

use crate::fixtures::{Running, Store, fill, open, wait};
use crate::proxy::{Fault, Proxy};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_store_loses_nothing_and_is_used_again() {
    let Some(mut store) = Store::start(&["ward"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).await;
    fill(&journal, 0, 300).await;
    let site = Running::start(&store, "ward", store.server.port(), journal.clone());
    wait("some are held", async || site.progress.figures().events > 0).await;
    store.server.kill().unwrap();
    fill(&journal, 300, 300).await;
    wait("it is noticed", async || site.progress.figures().failures > 0).await;
    store.server.resume().unwrap();
    store.equals("ward", &journal).await;
    store.is_in_order().await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_lost_at_the_commit_doubles_nothing() {
    let Some(store) = Store::start(&["ward"]).await else { return };
    let proxy = Proxy::start(store.server.port()).await;
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).await;
    fill(&journal, 0, 300).await;
    let site = Running::start(&store, "ward", proxy.port, journal.clone());
    // The answers to some commits are lost, after ever more of them.
    for bytes in [900, 1100, 1300, 1500, 2000, 4000] {
        let before = site.progress.figures().failures;
        proxy.set(Fault::DropAnswersAfter(bytes));
        fill(&journal, 300 + bytes as usize * 10, 60).await;
        wait("an answer is lost", async || {
            fill_one(&journal).await;
            site.progress.figures().failures > before
        })
        .await;
    }
    proxy.set(Fault::Cut);
    fill(&journal, 100_000, 20).await;
    proxy.set(Fault::Delay(Duration::from_millis(20)));
    store.equals("ward", &journal).await;
    store.is_in_order().await;
    site.stop().await;
}

/// One more event, whichever.
async fn fill_one(journal: &leukd_journal::Journal) {
    let next = usize::try_from(journal.bounds().newest).unwrap();
    fill(journal, 10_000_001 + next * 10, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_goes_silent_is_given_up() {
    let Some(store) = Store::start(&["ward"]).await else { return };
    let proxy = Proxy::start(store.server.port()).await;
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).await;
    let site = Running::start(&store, "ward", proxy.port, journal.clone());
    wait("it is connected", async || site.progress.figures().connections == 1).await;
    proxy.set(Fault::HalfOpen);
    fill(&journal, 0, 30).await;
    wait("it is given up", async || site.progress.figures().failures > 0).await;
    proxy.set(Fault::None);
    store.equals("ward", &journal).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_restored_from_an_older_backup_fills_itself_again() {
    let Some(mut store) = Store::start(&["east", "west"]).await else { return };
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (east, west) = (open(folders[0].path()).await, open(folders[1].path()).await);
    let port = store.server.port();
    let first = Running::start(&store, "east", port, east.clone());
    let second = Running::start(&store, "west", port, west.clone());
    fill(&east, 0, 100).await;
    store.equals("east", &east).await;
    store.server.stop().unwrap();
    let backup = store.server.data().with_file_name("backup");
    store.server.copy(&store.server.data(), &backup).unwrap();
    store.server.resume().unwrap();
    fill(&east, 100, 100).await;
    fill(&west, 0, 100).await;
    store.equals("east", &east).await;
    store.equals("west", &west).await;
    let (epoch, newest) = store.lab().await.newest().await.unwrap();

    store.server.kill().unwrap();
    fs_err::remove_dir_all(store.server.data()).unwrap();
    store.server.copy(&backup, &store.server.data()).unwrap();
    store.server.resume().unwrap();
    store.equals("east", &east).await;
    store.equals("west", &west).await;
    store.is_in_order().await;
    let (after, filled) = store.lab().await.newest().await.unwrap();
    assert_ne!(epoch, after, "clients know other events by these numbers");
    assert_eq!(newest, filled);
    first.stop().await;
    second.stop().await;
}
