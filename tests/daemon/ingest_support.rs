//! One export folder under watch, with a ledger in memory.
// Each test file uses a part of it.
#![allow(dead_code, unreachable_pub)]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use leukd::clock::Clock;
use leukd::config::settings::{Watch, WatchMode};
use leukd::config::units::Span;
use leukd::ingest::{Captures, FolderState, Ingest, IngestSettings, Ledger, Settled, Verdict};
use leukd::journal::types::{CaptureState, LedgerRow};
use leukd::result::CapturePath;
use tokio::time::timeout;

/// Longer than any of these tests needs on a machine that is busy with other things.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// Long enough for a few looks and scans at the intervals below.
pub const QUIET: Duration = Duration::from_millis(400);

/// The journal's ledger, in memory.
#[derive(Default)]
pub struct Rows {
    pub rows: Mutex<HashMap<CapturePath, LedgerRow>>,
    pub broken: Mutex<bool>,
}

impl Rows {
    pub fn store(&self, settled: &Settled) {
        let row = LedgerRow { stamp: settled.stamp, state: CaptureState::Done, sequence: 1 };
        self.rows.lock().unwrap().insert(settled.path.clone(), row);
    }
}

impl Ledger for Rows {
    fn lookup(&self, path: &CapturePath) -> Result<Option<LedgerRow>, String> {
        if *self.broken.lock().unwrap() {
            return Err("the disk is gone".to_owned());
        }
        Ok(self.rows.lock().unwrap().get(path).cloned())
    }
}

/// One folder under watch.
pub struct Lab {
    pub root: PathBuf,
    pub rows: Arc<Rows>,
    pub ingest: Ingest,
    pub captures: Captures,
    _dir: tempfile::TempDir,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.ingest.stop();
        assert!(self.ingest.join(DEADLINE), "a folder's thread did not end");
    }
}

pub fn quick(folders: &[&Path]) -> Watch {
    Watch {
        folders: folders.iter().map(|folder| folder.to_path_buf()).collect(),
        settle_interval: Span::from_millis(20),
        rescan_interval: Span::from_secs(60),
        poll_interval: Span::from_millis(50),
        broken_after: Span::from_millis(300),
        ..Watch::default()
    }
}

impl Lab {
    pub fn open(change: impl FnOnce(&mut Watch, &Path)) -> Self {
        Self::prepared(|_| {}, change)
    }

    pub fn prepared(fill: impl FnOnce(&Path), change: impl FnOnce(&mut Watch, &Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("export");
        fs_err::create_dir(&root).unwrap();
        fill(&root);
        let mut watch = quick(&[&root]);
        change(&mut watch, &root);
        let rows = Arc::new(Rows::default());
        let settings = IngestSettings::new(&watch, 8).unwrap();
        let (ingest, captures) =
            Ingest::spawn(&settings, Arc::clone(&rows), Clock::system()).unwrap();
        Self { root, rows, ingest, captures, _dir: dir }
    }

    pub fn watched() -> Self {
        Self::open(|watch, _| watch.mode = WatchMode::Watch)
    }

    pub fn put(&self, path: &str, bytes: &[u8]) {
        put(&self.root, path, bytes);
    }

    pub async fn next(&mut self) -> Settled {
        timeout(DEADLINE, self.captures.recv()).await.expect("no capture in time").unwrap()
    }

    pub fn finish(&self, settled: &Settled) {
        self.rows.store(settled);
        self.ingest.report(&settled.path, Verdict::Finished);
    }

    /// The next capture, brought to its end.
    pub async fn done(&mut self) -> Settled {
        let settled = self.next().await;
        self.finish(&settled);
        settled
    }

    pub async fn nothing_more(&mut self) {
        if let Ok(Some(settled)) = timeout(QUIET, self.captures.recv()).await {
            panic!("handed over without need: {settled:?}");
        }
    }

    pub fn state(&self) -> FolderState {
        self.ingest.status().remove(0)
    }

    pub async fn until(&self, what: &str, holds: impl Fn(&FolderState) -> bool) {
        let wait = async {
            while !holds(&self.state()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(DEADLINE, wait).await.is_err() {
            panic!("never {what}: {:?}", self.state());
        }
    }

    /// So many captures, brought to their end: how often each was handed over.
    pub async fn collect(&mut self, count: usize) -> BTreeMap<String, u32> {
        let mut times = BTreeMap::new();
        for _ in 0..count {
            let settled = self.done().await;
            *times.entry(settled.path.path).or_default() += 1;
        }
        times
    }
}

pub fn put(root: &Path, path: &str, bytes: &[u8]) {
    let file = root.join(path);
    fs_err::create_dir_all(file.parent().unwrap()).unwrap();
    fs_err::write(file, bytes).unwrap();
}

pub fn set_modified(file: &Path, at: SystemTime) {
    std::fs::File::options().write(true).open(file).unwrap().set_modified(at).unwrap();
}

pub fn long_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)
}
