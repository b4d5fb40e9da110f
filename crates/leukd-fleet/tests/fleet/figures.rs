//! The figures of docs/reference/scale.md: measured where `LEUKD_FLEET_FIGURES` says how many events.

use std::time::Instant;

use leukd_fleet::local::OWNER;

use crate::fixtures::{Running, Store, fill, open, wait};

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_caught_up_with() {
    let asked = std::env::var("LEUKD_FLEET_FIGURES").ok().and_then(|text| text.parse().ok());
    let events: usize = asked.unwrap_or(400);
    for sites in [1, 8] {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"].get(..sites).unwrap();
        let Some(store) = Store::start(names).await else { return };
        let (mut folders, mut journals) = (Vec::new(), Vec::new());
        for _ in names {
            let folder = tempfile::tempdir().unwrap();
            let journal = open(folder.path()).await;
            let mut stored = 0;
            while stored < events / sites {
                let some = (events / sites - stored).min(5_000);
                fill(&journal, stored, some).await;
                stored += some;
            }
            folders.push(folder);
            journals.push(journal);
        }
        let backlog: u64 = journals.iter().map(|journal| journal.bounds().newest).sum();
        let began = Instant::now();
        let running: Vec<Running> = names
            .iter()
            .zip(&journals)
            .map(|(name, journal)| {
                Running::start(&store, name, store.server.port(), journal.clone())
            })
            .collect();
        wait("all are held", async || {
            running
                .iter()
                .all(|site| site.progress.figures().held == Some(site.journal.bounds().newest))
        })
        .await;
        let took = began.elapsed();
        let client = store.client(OWNER).await;
        let sql =
            "SELECT pg_total_relation_size('leukd.events'), pg_total_relation_size('leukd.audit')";
        let sizes = client.query_one(sql, &[]).await.unwrap();
        let per_event = |column| sizes.get::<_, i64>(column).cast_unsigned() / backlog;
        eprintln!(
            "{sites} sites: {backlog} events in {:.1} s, {:.0} events/s; {} + {} bytes an event (events, audit)",
            took.as_secs_f64(),
            backlog as f64 / took.as_secs_f64(),
            per_event(0),
            per_event(1),
        );
        for site in running {
            site.stop().await;
        }
    }
}
