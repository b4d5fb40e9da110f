//! kill -9 at any moment.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use leukd::cell::synthetic::{self, Kind};
use leukd::grpc::proto::classifier_client::ClassifierClient;
use leukd::grpc::proto::results_client::ResultsClient;
use leukd::grpc::proto::{self, Decision, event, subscribe_request};
use leukd::journal::{AuditHead, audit};
use leukd::result::Digest;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rusqlite::Connection;

use crate::ready::{newest, settled};
use crate::support::bounded::InTime as _;
use crate::support::process::{Process, serve_command};
use crate::support::{Folders, all_results, assert_gapless, cell_of, path_of, sha256_of, until};

/// How many kills, in so many daemons side by side. `LEUKD_KILLS` changes the number.
const KILLS: u32 = 500;
const SIDE_BY_SIDE: u32 = 4;

/// The longest life, in milliseconds from the start of the process: from before it listens to long
/// after.
const LONGEST_LIFE: u64 = 320;

/// What clients were promised, each by sequence.
#[derive(Default)]
struct Promises {
    /// Result ids that a Classify was answered or a subscriber was sent.
    results: Mutex<BTreeMap<u64, String>>,
    answered: AtomicU64,
    seen: AtomicU64,
    /// The audit chain's head after the last death.
    head: Mutex<Option<AuditHead>>,
}

impl Promises {
    fn note(&self, result: &proto::Result) {
        let mut results = self.results.lock().unwrap();
        let before = results.insert(result.sequence, result.result_id.clone());
        assert!(
            before.is_none_or(|id| id == result.result_id),
            "sequence {} was given twice",
            result.sequence
        );
    }
}

/// A daemon of which only the port is awaited, and that by the load, not by the killer.
struct Victim {
    child: Child,
    address: Arc<Mutex<Option<String>>>,
}

impl Victim {
    fn start(mut command: Command, blamed: Arc<AtomicU64>) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let address = Arc::new(Mutex::new(None));
        let told = Arc::clone(&address);
        let log = std::io::BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in std::io::BufRead::lines(log).map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once("listening on ") {
                    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                    *told.lock().unwrap() = Some(format!("http://{}", &rest[..end]));
                }
                blamed
                    .fetch_add(u64::from(line.contains("when leukd last died")), Ordering::Relaxed);
            }
        });
        Self { child, address }
    }
}

/// Classifies and subscribes until the daemon is gone.
async fn load(address: Arc<Mutex<Option<String>>>, promises: Arc<Promises>, round: u64) {
    let url = loop {
        let url = address.lock().unwrap().clone();
        match url {
            Some(url) => break url,
            None => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    };
    let classify = async {
        let Ok(mut client) = ClassifierClient::connect(url.clone()).await else { return };
        for number in 0.. {
            let image = cell_of(80, 1_000_000 * (round + 1) + number);
            let request = proto::ClassifyRequest { image, ..Default::default() };
            match client.classify(request).await {
                Ok(answer) => {
                    promises.note(&answer.into_inner().result.unwrap());
                    promises.answered.fetch_add(1, Ordering::Relaxed);
                }
                // No model yet.
                Err(status) if status.code() == tonic::Code::Unavailable => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(_) => return,
            }
        }
    };
    let follow = async {
        let Ok(mut client) = ResultsClient::connect(url.clone()).await else { return };
        let start = Some(subscribe_request::Start::Earliest(()));
        let request = proto::SubscribeRequest { start, filter: None };
        let Ok(stream) = client.subscribe(request).await else { return };
        let mut stream = stream.into_inner();
        while let Ok(Some(event)) = stream.message().await {
            if let Some(event::Kind::Result(result)) = event.kind {
                promises.note(&result);
                promises.seen.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    tokio::join!(classify, follow);
}

/// The journal's invariants, read from its file with any SQLite tool's means.
fn assert_whole(state: &Path, promises: &Promises) {
    let file = state.join(leukd::journal::FILE);
    if !file.exists() {
        return;
    }
    let journal = Connection::open(&file).unwrap();
    let number = |sql: &str| journal.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let tables = number("SELECT count(*) FROM sqlite_master WHERE name = 'meta'");
    if tables == 0 {
        return;
    }
    let check: String = journal.query_row("PRAGMA quick_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let (results, next) = (
        number("SELECT count(*) FROM results"),
        number("SELECT coalesce((SELECT next_sequence FROM meta), 1)"),
    );
    assert_eq!(number("SELECT coalesce(max(sequence), 0) FROM results"), results, "no holes");
    assert_eq!(next, results + 1, "the next number follows the last");
    let lost = "SELECT count(*) FROM ledger c LEFT JOIN results r USING (sequence) \
                WHERE r.sequence IS NULL";
    assert_eq!(number(lost), 0, "a ledger row without its result");
    let orphans = "SELECT count(*) FROM results r WHERE r.source = 'folder' AND superseded_by IS NULL \
                   AND NOT EXISTS (SELECT 1 FROM ledger c WHERE c.sequence = r.sequence) \
                   AND NOT EXISTS (SELECT 1 FROM ledger c WHERE c.folder = r.folder AND c.path = r.path)";
    assert_eq!(number(orphans), 0, "a result without its ledger row");
    let twins = "SELECT count(*) FROM (SELECT digest FROM results WHERE source = 'folder' \
                 AND superseded_by IS NULL AND digest IS NOT NULL GROUP BY digest HAVING count(*) > 1)";
    assert_eq!(number(twins), 0, "two live results of the same bytes");
    if number("SELECT count(*) FROM meta") > 0 {
        let mut head = promises.head.lock().unwrap();
        let verified = audit::verify(&file, head.as_slice()).unwrap();
        assert_eq!(verified.fault, None, "the audit chain");
        assert_eq!(verified.compared, results.cast_unsigned(), "each result has its record");
        *head = Some(verified.head);
    }
    let mut find = journal.prepare("SELECT result_id FROM results WHERE sequence = ?1").unwrap();
    for (sequence, id) in &*promises.results.lock().unwrap() {
        let stored = find.query_row([sequence.cast_signed()], |row| row.get::<_, String>(0));
        let stored = stored.unwrap_or_else(|_| panic!("{sequence} was promised and is lost"));
        assert_eq!(stored, *id, "{sequence} was promised as another result");
    }
}

/// Puts captures into the folder in the ways that microscopes do; knows what lies there.
struct Microscope {
    random: ChaCha8Rng,
    large: [image::RgbImage; 2],
    written: BTreeMap<String, Digest>,
    next: u64,
}

impl Microscope {
    fn new(seed: u64) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            large: [synthetic::cell(1, Kind::Blast), synthetic::cell(2, Kind::Normal)],
            written: BTreeMap::new(),
            next: 0,
        }
    }

    fn fresh(&mut self) -> Vec<u8> {
        self.next += 1;
        if self.random.random_ratio(2, 3) {
            return cell_of(30 + u32::try_from(self.next % 60).unwrap(), self.next);
        }
        let mut cell = self.large[usize::from(self.next.is_multiple_of(2))].clone();
        let [a, b, c, ..] = self.next.to_le_bytes();
        cell.put_pixel(225, 225, image::Rgb([a, b, c]));
        synthetic::bmp(&cell)
    }

    fn export(&mut self, folders: &Folders) {
        for _ in 0..self.random.random_range(1..8) {
            let bytes = self.fresh();
            let existing = self.random.random_ratio(1, 10) && !self.written.is_empty();
            let name = if existing {
                let at = self.random.random_range(0..self.written.len());
                self.written.keys().nth(at).unwrap().clone()
            } else {
                format!("{}/UID_{}_1_{}_x.bmp", self.next % 3, self.next % 7, self.next)
            };
            let path = folders.export.join(&name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            if self.random.random_ratio(1, 2) {
                let partial = folders.root.path().join("partial");
                std::fs::write(&partial, &bytes).unwrap();
                std::fs::rename(partial, path).unwrap();
            } else {
                std::fs::write(path, &bytes).unwrap();
            }
            self.written.insert(name, Digest::of(&bytes));
        }
    }
}

async fn one_daemon(seed: u64, kills: u32) -> (u64, u64) {
    let folders = Folders::new();
    let mut microscope = Microscope::new(seed);
    let promises = Arc::new(Promises::default());
    let blamed = Arc::new(AtomicU64::new(0));
    for round in 0..kills {
        microscope.export(&folders);
        let command = serve_command(&folders, |_| {});
        let mut victim = Victim::start(command, Arc::clone(&blamed));
        let loading =
            tokio::spawn(load(Arc::clone(&victim.address), Arc::clone(&promises), round.into()));
        let life = Duration::from_millis(microscope.random.random_range(0..LONGEST_LIFE));
        tokio::time::sleep(life / 2).await;
        microscope.export(&folders);
        tokio::time::sleep(life / 2).await;
        victim.child.kill().unwrap();
        victim.child.in_time();
        loading.abort();
        if let Err(error) = loading.await {
            assert!(error.is_cancelled(), "{error}");
        }
        assert_whole(&folders.state, &promises);
    }
    // Whatever became of it: each file has its result now, and only the ones that it needs.
    let process = Process::serve(&folders);
    until("results", async || newest(&process).await.filter(|newest| *newest > 0)).await;
    settled(&process).await;
    let results = all_results(process.results().await).await;
    assert_gapless(&results);
    let superseded: Vec<u64> = results.iter().map(|result| result.supersedes).collect();
    let live = results.iter().filter(|result| !superseded.contains(&result.sequence));
    let mut of_file = BTreeMap::new();
    for result in live.filter(|result| !path_of(result).is_empty()) {
        // Being in hand at two deaths is no crime.
        assert_ne!(result.decision(), Decision::Rejected, "{result:?}");
        of_file.insert(path_of(result).to_owned(), sha256_of(result).to_owned());
    }
    for (path, digest) in &microscope.written {
        let found = of_file.get(path).unwrap_or_else(|| panic!("{path} has no result"));
        assert_eq!(*found, digest.to_string(), "{path} has an old result");
    }
    let (answered, seen) = (&promises.answered, &promises.seen);
    println!(
        "seed {seed}: {kills} kills, {} captures, {} results, {} requests answered, {} events seen, \
         {} times a capture in hand",
        microscope.written.len(),
        results.len(),
        answered.load(Ordering::Relaxed),
        seen.load(Ordering::Relaxed),
        blamed.load(Ordering::Relaxed),
    );
    (microscope.written.len() as u64, answered.load(Ordering::Relaxed))
}

#[test]
fn killed_five_hundred_times_under_load_nothing_is_lost_and_no_promise_broken() {
    let kills = std::env::var("LEUKD_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let seed = std::env::var("LEUKD_SEED").map_or(2026, |text| text.parse().unwrap());
    let daemons: Vec<_> = (0..SIDE_BY_SIDE)
        .map(|number| {
            let share = kills / SIDE_BY_SIDE + u32::from(number < kills % SIDE_BY_SIDE);
            std::thread::spawn(move || {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(one_daemon(seed + u64::from(number), share))
            })
        })
        .collect();
    let mut total = (0, 0);
    for daemon in daemons {
        let (captures, answered) = daemon.join().unwrap();
        total = (total.0 + captures, total.1 + answered);
    }
    println!("{kills} kills survived; {} captures and {} requests, none lost", total.0, total.1);
    assert!(total.1 > 0, "no request was answered before any kill");
}
