//! The oracle: whatever fails meanwhile, the store ends as the union of the journals.

use std::time::Duration;

use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::fixtures::{Running, Store, fill, open};
use crate::proxy::{Fault, Proxy};

const SITES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// A number of the environment, or else a small one.
fn number(name: &str, or: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or)
}

/// `LEUKD_FLEET_SITES`, `LEUKD_FLEET_EVENTS` (of each site), `LEUKD_FLEET_SEED` and
/// `LEUKD_FLEET_FAULTS` make it longer.
#[tokio::test(flavor = "multi_thread")]
async fn under_random_faults_the_store_is_the_union_of_the_journals() {
    let (sites, events) = (number("LEUKD_FLEET_SITES", 3), number("LEUKD_FLEET_EVENTS", 900));
    let (seed, faults) = (number("LEUKD_FLEET_SEED", 1), number("LEUKD_FLEET_FAULTS", 12));
    let names = &SITES[..sites.clamp(1, SITES.len())];
    let Some(mut store) = Store::start(names).await else { return };
    let mut rng = ChaCha8Rng::seed_from_u64(seed as u64);
    let (mut running, mut proxies, mut writers) = (Vec::new(), Vec::new(), Vec::new());
    let mut folders = Vec::new();
    for name in names {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path()).await;
        let proxy = Proxy::start(store.server.port()).await;
        let pieces = 30;
        let writing = journal.clone();
        writers.push(tokio::spawn(async move {
            for piece in 0..pieces {
                fill(&writing, piece * events / pieces, events / pieces).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }));
        running.push(Running::start(&store, name, proxy.port, journal));
        proxies.push(proxy);
        folders.push(folder);
    }
    for _ in 0..faults {
        tokio::time::sleep(Duration::from_millis(rng.random_range(50..400))).await;
        match rng.random_range(0..8) {
            0 => {
                store.server.kill().unwrap();
                store.server.resume().unwrap();
            }
            1 => {
                // A site's forwarder dies in the midst of whatever it does, and comes back.
                let index = rng.random_range(0..running.len());
                let site = running.remove(index);
                let journal = site.stop().await;
                let again = Running::start(&store, names[index], proxies[index].port, journal);
                running.insert(index, again);
            }
            _ => {
                let fault = match rng.random_range(0..4) {
                    0 => Fault::Cut,
                    1 => Fault::HalfOpen,
                    2 => Fault::Delay(Duration::from_millis(rng.random_range(1..40))),
                    _ => Fault::DropAnswersAfter(rng.random_range(400..6000)),
                };
                let proxy = proxies.choose(&mut rng).unwrap();
                proxy.set(fault);
                tokio::time::sleep(Duration::from_millis(rng.random_range(50..300))).await;
                proxy.set(Fault::None);
            }
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    for proxy in &proxies {
        proxy.set(Fault::None);
    }
    for (name, site) in names.iter().zip(&running) {
        store.equals(name, &site.journal).await;
    }
    store.is_in_order().await;
    for site in running {
        site.stop().await;
    }
}
