//! What a site's events become in the store.

use leukd_fleet::local::OWNER;
use leukd_journal::Options;
use leukd_journal::clock::Clock;

use crate::fixtures::{Running, Store, fill, open, open_with, wait};

#[tokio::test(flavor = "multi_thread")]
async fn history_and_what_comes_reach_the_store_byte_for_byte() {
    let Some(store) = Store::start(&["ward"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).await;
    fill(&journal, 0, 600).await;
    let site = Running::start(&store, "ward", store.server.port(), journal.clone());
    store.equals("ward", &journal).await;
    fill(&journal, 600, 40).await;
    store.equals("ward", &journal).await;
    store.is_in_order().await;
    let figures = site.progress.figures();
    assert_eq!((figures.held, figures.missed), (Some(journal.bounds().newest), 0));
    site.stop().await;

    let client = store.client(OWNER).await;
    let row = client
        .query_one(
            "SELECT count(*), count(*) FILTER (WHERE is_live), count(DISTINCT result_id),
                    count(*) FILTER (WHERE specimen = 'S1' AND decision = 'hem' AND p_all < 0.5)
             FROM leukd.results",
            &[],
        )
        .await
        .unwrap();
    let counts: [i64; 4] = std::array::from_fn(|index| row.get(index));
    assert_eq!(counts, [640, 640, 640, 92]);
    let row = client
        .query_one(
            "SELECT count(*) FROM leukd.reviews JOIN leukd.results USING (site, result_id)
             WHERE label = 'all' AND reviewer = 'Dr. Doe'",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, i64>(0), 64);
    let status = store.lab().await.sites().await.unwrap();
    assert_eq!((status[0].held, status[0].behind()), (704, 0));
    assert_eq!(status[0].host, "host-of-ward");
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_leaves_what_the_store_does_not_hold() {
    let Some(store) = Store::start(&["ward"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = Options { keep_count: Some(5), ..Options::new(Clock::system()) };
    let journal = open_with(folder.path(), options).await;
    fill(&journal, 1, 9).await;
    // Before anybody forwards, retention goes as it always does: the store is told of the gap.
    assert_eq!(journal.prune().await.unwrap(), 4);
    fill(&journal, 11, 9).await;
    let hold = journal.hold();
    assert_eq!(journal.prune().await.unwrap(), 0, "nothing of it is in the store");
    hold.release_to(6);
    assert_eq!(journal.prune().await.unwrap(), 2);
    let site = Running::start(&store, "ward", store.server.port(), journal.clone());
    drop(hold);
    wait("the store holds it", async || site.progress.figures().held == Some(18)).await;
    assert_eq!(journal.prune().await.unwrap(), 7);
    let figures = site.progress.figures();
    assert_eq!((figures.events, figures.missed), (12, 6));
    assert_eq!(store.held("ward", journal.epoch()).await.events.len(), 12);
    assert_eq!(store.lab().await.sites().await.unwrap()[0].missed, 6);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn below_the_disk_floor_retention_goes_on_without_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).await;
    fill(&journal, 1, 9).await;
    drop(journal);
    let options =
        Options { keep_count: Some(5), disk_floor: u64::MAX, ..Options::new(Clock::system()) };
    let journal = open_with(folder.path(), options).await;
    let _hold = journal.hold();
    assert_eq!(journal.prune().await.unwrap(), 4, "a full disk would serve nobody");
}
