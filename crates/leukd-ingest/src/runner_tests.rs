//! What only shows with limits that no setting reaches.

use super::*;
use crate::watch::Watch;
use crate::{Captures, Ingest, IngestSettings, Verdict};
use leukd_journal::types::{CaptureState, LedgerRow};
use leukd_journal::units::Span;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Rows {
    rows: Mutex<HashMap<CapturePath, LedgerRow>>,
    asked: AtomicUsize,
}

impl Ledger for Rows {
    fn lookup(&self, path: &CapturePath) -> Result<Option<LedgerRow>, String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(self.rows.lock().unwrap().get(path).cloned())
    }
}

fn start(root: &std::path::Path, max_pending: usize) -> (Arc<Rows>, Ingest, Captures) {
    let watch = Watch {
        folders: vec![root.to_path_buf()],
        mode: WatchMode::Poll,
        settle_interval: Span::from_millis(10),
        poll_interval: Span::from_millis(20),
        ..Watch::default()
    };
    let mut settings = IngestSettings::new(&watch, 4).unwrap();
    Arc::make_mut(&mut settings.folders[0]).tracking.max_pending = max_pending;
    let rows = Arc::new(Rows::default());
    let (ingest, captures) = Ingest::spawn(&settings, Arc::clone(&rows), Clock::system()).unwrap();
    (rows, ingest, captures)
}

async fn until(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, wait).await.unwrap();
}

#[tokio::test]
async fn beyond_the_limit_captures_wait_on_disk_are_counted_and_all_get_their_turn() {
    let dir = tempfile::tempdir().unwrap();
    for index in 0..40 {
        let file = fs_err::File::create(dir.path().join(format!("{index}.bmp"))).unwrap();
        file.file().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(index)).unwrap();
    }
    let (rows, ingest, mut captures) = start(dir.path(), 10);
    until(|| {
        let state = ingest.status().remove(0);
        assert!(state.settling + state.queued <= 10, "{state:?}");
        (state.queued, state.waiting_on_disk) == (10, 30)
    })
    .await;
    let mut order = Vec::new();
    for _ in 0..40 {
        let settled = timeout(DEADLINE, captures.recv()).await.unwrap().unwrap();
        let row = LedgerRow { stamp: settled.stamp, state: CaptureState::Done, sequence: 1 };
        rows.rows.lock().unwrap().insert(settled.path.clone(), row);
        ingest.report(&settled.path, Verdict::Finished);
        order.push(settled.path.path);
    }
    order.sort();
    order.dedup();
    assert_eq!(order.len(), 40);
    until(|| ingest.status().remove(0).waiting_on_disk == 0).await;
    ingest.stop();
    assert!(ingest.join(DEADLINE));
}

#[tokio::test]
async fn the_ledger_is_asked_once_for_a_file_that_is_done() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("a.bmp"), b"cell").unwrap();
    let (rows, ingest, mut captures) = start(dir.path(), 10);
    let settled = timeout(DEADLINE, captures.recv()).await.unwrap().unwrap();
    let row = LedgerRow { stamp: settled.stamp, state: CaptureState::Done, sequence: 1 };
    rows.rows.lock().unwrap().insert(settled.path.clone(), row);
    ingest.report(&settled.path, Verdict::Finished);
    let scans = || ingest.status().remove(0).last_scan_at;
    for _ in 0..4 {
        let last = scans();
        until(|| scans() != last).await;
    }
    assert_eq!(rows.asked.load(Ordering::SeqCst), 2);
    ingest.stop();
    assert!(ingest.join(DEADLINE));
}
