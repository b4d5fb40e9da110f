//! A process that is killed while it commits.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use leukd_journal::result::Decision;
use leukd_journal::{Lookup, audit};

use crate::bounded::{self, InTime as _};
use crate::fixtures::{all, at, capture, open};

const DIRECTORY: &str = "LEUKD_TEST_KILLED_DIRECTORY";

/// The process that is killed: it commits as fast as it can and prints each number that it was
/// answered.
#[test]
#[ignore = "started by a_killed_process_leaves_ledger_and_results_in_agreement"]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let journal = open(Path::new(&directory));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let base = journal.bounds().newest;
    runtime.block_on(async {
        let mut lanes = tokio::task::JoinSet::new();
        for lane in 0..8 {
            let journal = journal.clone();
            lanes.spawn(async move {
                for index in 0.. {
                    // Every third entry rewrites the file before it.
                    let file = index - u64::from(index % 3 == 2);
                    let path = format!("{base}-{lane}-{file}");
                    let bytes = format!("{base} {lane} {index}");
                    let moment = i64::try_from(index).unwrap();
                    let entry = capture(&path, moment, &bytes, Decision::All);
                    let committed = journal.commit(entry).await.unwrap();
                    println!("\nstored {} {path}", committed.stored().sequence);
                }
            });
        }
        lanes.join_all().await;
    });
}

#[test]
fn a_killed_process_leaves_ledger_and_results_in_agreement() {
    let directory = tempfile::tempdir().unwrap();
    let mut promised: BTreeMap<u64, String> = BTreeMap::new();
    let mut head = None;
    for answers in [40, 150, 90] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "kill::child", "--nocapture", "--test-threads=1"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = bounded::lines(child.stdout.take().unwrap());
        let answered = |line: String| {
            let mut words = line.strip_prefix("stored ")?.split(' ');
            Some((words.next()?.parse::<u64>().ok()?, words.next()?.to_owned()))
        };
        promised.extend(lines.by_ref().filter_map(answered).take(answers));
        child.kill().unwrap();
        child.in_time();
        promised.extend(lines.filter_map(answered));

        // Before anything opens it: as the dead process left it.
        let file = directory.path().join(leukd_journal::FILE);
        let verified = audit::verify(&file, head.as_slice()).unwrap();
        assert_eq!(verified.fault, None, "the audit chain");
        head = Some(verified.head);
        let journal = open(directory.path());
        let records = all(&journal);
        assert_eq!(verified.compared, records.len() as u64, "each result has its record");
        let numbers: Vec<u64> = records.iter().map(|record| record.sequence).collect();
        assert_eq!(numbers, (1..=journal.bounds().newest).collect::<Vec<_>>(), "no holes");
        for (sequence, path) in &promised {
            let record = journal.get(&Lookup::Sequence(*sequence)).unwrap();
            let record = record.unwrap_or_else(|| panic!("{sequence} was answered and is lost"));
            assert_eq!(record.capture.source, leukd_journal::result::Source::Folder(at(path)));
        }
        let mut latest = BTreeMap::new();
        for record in &records {
            let leukd_journal::result::Source::Folder(path) = &record.capture.source else {
                panic!()
            };
            let before = latest.insert(path.clone(), record.sequence);
            assert_eq!(record.supersedes, before, "each rewrite supersedes");
        }
        for (path, sequence) in &latest {
            let row = journal.ledger(path).unwrap().expect("a result without its ledger row");
            assert_eq!(row.sequence, *sequence);
        }
        let done = journal.folder_counts("/export").unwrap().done;
        assert_eq!(done, latest.len() as u64, "a ledger row without its result");
    }
    assert!(promised.len() >= 280);
}
