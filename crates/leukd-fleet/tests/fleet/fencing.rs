//! One name, one journal.

use leukd_fleet::local::OWNER;
use leukd_fleet::{Claim, Held, Sink as _, SinkError};
use leukd_journal::clock::Clock;
use leukd_journal::{FILE, backup};

use crate::fixtures::{Copied, Running, Store, fill, open, refusal, sink, wait};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_with_the_same_name_is_refused_loudly() {
    let Some(store) = Store::start(&["ward"]).await else { return };
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (one, two) = (open(folders[0].path()).await, open(folders[1].path()).await);
    let port = store.server.port();
    fill(&one, 0, 20).await;
    fill(&two, 50, 30).await;
    let first = Running::start(&store, "ward", port, one.clone());
    store.equals("ward", &one).await;
    let second = Running::start(&store, "ward", port, two.clone());
    let why = refusal(&second.progress).await;
    for part in [one.epoch(), two.epoch(), "leukd lab accept --site ward"] {
        assert!(why.contains(part), "{why}");
    }
    // The first goes on as if nothing had been.
    fill(&one, 100, 20).await;
    store.equals("ward", &one).await;
    assert_eq!(first.progress.figures().failures, 0);
    assert_eq!(store.held("ward", two.epoch()).await.events, []);
    let status = store.lab().await.sites().await.unwrap();
    assert_eq!(status[0].refused, why.split_once(": ").unwrap().1);

    // A person lets the new workstation in: the old one is fenced from then on.
    store.lab().await.accept("ward").await.unwrap();
    store.equals("ward", &two).await;
    fill(&one, 200, 1).await;
    let why = refusal(&first.progress).await;
    assert!(why.contains(two.epoch()), "{why}");
    first.stop().await;
    second.stop().await;
    store.lab().await.accept("nobody").await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_connection_writes_nothing_any_more() {
    let Some(store) = Store::start(&["ward"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).await;
    fill(&journal, 1, 3).await;
    let port = store.server.port();
    let (mut old, mut new) =
        (sink(&store, "ward", port, &journal), sink(&store, "ward", port, &journal));
    let claim =
        Claim { held: Held::default(), hash: None, newest: 3, acknowledged: 0, former: Vec::new() };
    assert_eq!(old.connect().await.unwrap(), Held::default());
    old.claim(&claim).await.unwrap();
    new.connect().await.unwrap();
    new.claim(&claim).await.unwrap();
    let batch = leukd_fleet::Reader::new(journal.clone()).read(Held::default()).await.unwrap();
    let refused = old.append(&batch).await.unwrap_err();
    assert!(matches!(refused, SinkError::Superseded(_)), "{refused}");
    new.append(&batch).await.unwrap();
    let again = new.append(&batch).await.unwrap_err();
    assert!(matches!(again, SinkError::Superseded(_)), "{again}");
    assert_eq!(store.held("ward", journal.epoch()).await, Copied::of(&journal));

    // The same epoch with another chain: copies of one journal that went different ways.
    let held = old.connect().await.unwrap();
    let other = Claim { held, hash: Some(blake3::hash(b"another")), ..claim.clone() };
    let fenced = old.claim(&other).await.unwrap_err();
    assert!(matches!(&fenced, SinkError::Fenced(text) if text.contains("copies")), "{fenced}");
    let behind = Claim { held, hash: None, newest: 2, ..claim };
    let fenced = old.claim(&behind).await.unwrap_err();
    assert!(matches!(&fenced, SinkError::Fenced(text) if text.contains("ends at 2")), "{fenced}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_journal_goes_on_and_nothing_shows_twice() {
    let Some(store) = Store::start(&["ward"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let journal = open(&state).await;
    let port = store.server.port();
    fill(&journal, 1, 30).await;
    let site = Running::start(&store, "ward", port, journal.clone());
    store.equals("ward", &journal).await;
    let copy = folder.path().join("copy");
    backup::backup(&state.join(FILE), &copy, &mut |_, _| {}).unwrap();
    fill(&journal, 50, 10).await;
    store.equals("ward", &journal).await;
    let before = journal.epoch().to_owned();
    drop(journal);
    drop(site.stop().await);

    backup::restore(&copy, &state, &Clock::system(), &mut |_, _| {}).unwrap();
    let journal = open(&state).await;
    assert_ne!(journal.epoch(), before);
    fill(&journal, 90, 5).await;
    let site = Running::start(&store, "ward", port, journal.clone());
    store.equals("ward", &journal).await;
    store.is_in_order().await;
    let client = store.client(OWNER).await;
    let row = client
        .query_one("SELECT count(*), count(DISTINCT result_id) FROM leukd.results", &[])
        .await
        .unwrap();
    // What the journal lost stays in the store; what it has twice shows once.
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (45, 45));
    wait("it is quiet", async || site.progress.figures().failures == 0).await;
    site.stop().await;
}
