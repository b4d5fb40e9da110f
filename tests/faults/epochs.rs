//! A journal that was copied, and one that was restored, as an administrator and a client meet
//! them.

use std::collections::BTreeMap;

use leukd::grpc::proto::event::Kind;
use leukd::grpc::proto::subscribe_request::Start;
use leukd::grpc::proto::{self, GetStatusRequest};
use leukd::journal::FILE;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::ready::{newest, settled};
use crate::support::process::{Process, leukd, stderr, stdout};
use crate::support::{Folders, PATIENCE, capture, path_of, sha256_of, until};

async fn stop(mut daemon: Process) {
    daemon.signal(rustix::process::Signal::TERM);
    assert!(daemon.wait(PATIENCE).await.expect("it stops").success());
}

async fn journal(daemon: &Process) -> proto::JournalStatus {
    let status = daemon.control().await.get_status(GetStatusRequest {}).await.unwrap();
    status.into_inner().journal.unwrap()
}

async fn stored(daemon: &Process, count: u64) {
    until("results", async || newest(daemon).await.filter(|newest| *newest >= count)).await;
}

/// A client as docs/clients/integrator.md wants it: its own copy of the results, and a cursor.
#[derive(Default)]
struct Client {
    epoch: String,
    sequence: u64,
    /// By result id; false: not seen in the running epoch yet.
    results: BTreeMap<String, (bool, proto::Result)>,
    refusals: Vec<String>,
}

impl Client {
    /// Reads on until nothing newer than `until` is left.
    async fn read(&mut self, daemon: &Process, until: u64) {
        let start = match self.epoch.as_str() {
            "" => Start::Earliest(()),
            epoch => {
                Start::After(proto::Cursor { epoch: epoch.to_owned(), sequence: self.sequence })
            }
        };
        let request = proto::SubscribeRequest { start: Some(start), filter: None };
        let mut results = daemon.results().await;
        let mut stream = match results.subscribe(request).await {
            Ok(stream) => stream.into_inner(),
            Err(status) => {
                assert_eq!(status.code(), Code::OutOfRange, "{status}");
                self.refusals.push(status.get_details_error_info().unwrap().reason);
                (self.epoch, self.sequence) = (String::new(), 0);
                for (seen, _) in self.results.values_mut() {
                    *seen = false;
                }
                return Box::pin(self.read(daemon, until)).await;
            }
        };
        while self.epoch.is_empty() || self.sequence < until {
            let event = tokio::time::timeout(PATIENCE, stream.message()).await.unwrap().unwrap();
            match event.unwrap().kind.unwrap() {
                Kind::Hello(hello) => self.epoch = hello.epoch,
                Kind::Result(result) => {
                    assert_eq!(result.sequence, self.sequence + 1, "without holes");
                    self.sequence = result.sequence;
                    self.results.insert(result.result_id.clone(), (true, result));
                }
                Kind::Heartbeat(beat) => self.sequence = self.sequence.max(beat.sequence),
                _ => {}
            }
        }
        // What the running epoch does not have was classified again, or is gone.
        self.results.retain(|_, (seen, _)| *seen);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_is_restored_and_a_client_neither_skips_nor_doubles_a_result() {
    let folders = Folders::new();
    let drop = |seeds: std::ops::Range<u64>| {
        for seed in seeds {
            folders.drop_capture(&format!("c{seed:02}.bmp"), &capture(seed));
        }
    };
    let daemon = Process::serve(&folders);
    drop(0..20);
    stored(&daemon, 10).await;
    drop(20..40);
    let state = folders.state.to_str().unwrap();
    let backup = folders.root.path().join("backup.sqlite");
    let backup = backup.to_str().unwrap();
    let made = leukd(&["journal", "backup", backup, "--state", state, "--json"]).await;
    assert!(made.status.success(), "{}", stderr(&made));
    let made: serde_json::Value = serde_json::from_str(&stdout(&made)).unwrap();
    let kept = made["newest"].as_u64().unwrap();
    assert!(kept >= 10, "{made}");
    let again = leukd(&["journal", "backup", backup, "--state", state]).await;
    assert_eq!(again.status.code(), Some(64), "{}", stderr(&again));
    assert!(stderr(&again).contains("exists already"), "{}", stderr(&again));
    drop(40..50);
    stored(&daemon, 50).await;
    let mut client = Client::default();
    client.read(&daemon, 50).await;
    assert_eq!(client.results.len(), 50);
    let before: BTreeMap<_, _> = client
        .results
        .values()
        .map(|(_, result)| (sha256_of(result).to_owned(), result.clone()))
        .collect();

    let busy = leukd(&["journal", "restore", backup, "--state", state]).await;
    assert_eq!(busy.status.code(), Some(69), "{}", stderr(&busy));
    stop(daemon).await;
    let odd = leukd(&["journal", "restore", backup, "--state", backup]).await;
    assert_eq!(odd.status.code(), Some(64), "{}", stderr(&odd));
    assert!(stderr(&odd).contains("name the state folder"), "{}", stderr(&odd));
    // The journal's file stands for its folder.
    let file = folders.state.join(leukd::journal::FILE);
    let file = file.to_str().unwrap();
    let restored = leukd(&["journal", "restore", backup, "--state", file, "--json"]).await;
    assert!(restored.status.success(), "{}", stderr(&restored));
    let restored: serde_json::Value = serde_json::from_str(&stdout(&restored)).unwrap();
    assert_eq!(restored["newest"], kept);
    assert!(std::fs::metadata(restored["replaced"].as_str().unwrap()).unwrap().len() > 0);

    let daemon = Process::serve(&folders);
    stored(&daemon, 50).await;
    settled(&daemon).await;
    let status = journal(&daemon).await;
    assert_eq!((status.newest, &restored["epoch"]), (50, &status.epoch.as_str().into()));
    assert_eq!(status.epoch_origin.unwrap().reason, "restored");
    client.read(&daemon, 50).await;
    assert_eq!(client.refusals, ["WRONG_EPOCH"]);
    assert_eq!(client.results.len(), 50, "none skipped, none doubled");
    let mut same = 0;
    for (_, result) in client.results.values() {
        let old = &before[sha256_of(result)];
        assert_eq!((path_of(result), result.decision), (path_of(old), old.decision));
        same += u64::from(result.result_id == old.result_id);
    }
    assert_eq!(same, kept, "what the backup holds keeps its ids");
    let checked = leukd(&["journal", "check", "--state", state]).await;
    assert!(checked.status.success(), "{}{}", stdout(&checked), stderr(&checked));
    stop(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copied_state_folder_begins_an_epoch_and_says_so() {
    let folders = Folders::new();
    folders.drop_capture("a.bmp", &capture(1));
    let daemon = Process::serve(&folders);
    stored(&daemon, 1).await;
    let original = journal(&daemon).await;
    stop(daemon).await;
    let elsewhere = folders.root.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    for name in [FILE, "leukd.lock"] {
        std::fs::copy(folders.state.join(name), elsewhere.join(name)).unwrap();
    }
    let there = || {
        Process::serve_with(&folders, |settings| settings.journal.directory.clone_from(&elsewhere))
    };
    let daemon = there();
    let copy = journal(&daemon).await;
    assert_ne!(copy.epoch, original.epoch);
    let origin = copy.epoch_origin.unwrap();
    assert_eq!((origin.reason.as_str(), &origin.previous_epoch), ("copied", &original.epoch));
    let url = format!("http://{}", daemon.address);
    let shown = leukd(&["status", "--server", &url]).await;
    assert!(stdout(&shown).contains("(copied)"), "{}{}", stdout(&shown), stderr(&shown));
    let mut client = Client { epoch: original.epoch.clone(), sequence: 1, ..Client::default() };
    client.read(&daemon, 1).await;
    assert_eq!(client.refusals, ["WRONG_EPOCH"]);
    stop(daemon).await;
    let daemon = there();
    assert_eq!(journal(&daemon).await.epoch, copy.epoch, "once");
    stop(daemon).await;
    let daemon = Process::serve(&folders);
    assert_eq!(journal(&daemon).await.epoch, original.epoch, "the original goes on");
    stop(daemon).await;
}
