//! What one scrape finds.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::ingest::FolderState;
use crate::journal::{FolderCounts, Status};
use crate::measure::process::Process;
use crate::service::Service;

/// How long a scrape waits for the journal.
const PATIENCE: Duration = Duration::from_secs(5);

/// Counting a ledger of millions takes a while: no more than a tenth of the time goes into it,
/// however often is asked.
const REST: u32 = 10;

/// What must be asked of the disk.
#[derive(Debug, Clone, Default)]
pub(super) struct FromDisk {
    pub(super) journal: Option<Status>,
    /// In the order of the settings' folders.
    pub(super) counts: Vec<Option<FolderCounts>>,
}

/// What one scrape finds; the rest is in the service, and asked while it is written.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) service: Arc<Service>,
    pub(super) folders: Vec<FolderState>,
    /// None where the journal did not answer in time.
    pub(super) disk: Option<FromDisk>,
    pub(super) process: Process,
}

/// The ledger's counts as they were last read.
#[derive(Debug)]
struct Counted {
    counts: Vec<Option<FolderCounts>>,
    until: Instant,
}

/// Asks the rooms.
#[derive(Debug)]
pub(super) struct Sampler {
    service: Arc<Service>,
    /// Held while the disk is asked, so that one that hangs takes a single thread.
    last: Arc<Mutex<Option<Counted>>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Sampler {
    pub(super) fn new(service: Arc<Service>) -> Self {
        Self { service, last: Arc::default(), turn: Arc::default() }
    }

    pub(super) async fn sample(&self) -> Sample {
        let folders = self.service.ingest.status();
        let names = folders.iter().map(|folder| folder.folder.clone()).collect();
        let disk = tokio::time::timeout(PATIENCE, self.ask(names)).await.ok().flatten();
        Sample { service: Arc::clone(&self.service), folders, disk, process: Process::now() }
    }

    /// Asks off the async threads, one scrape at a time. The turn goes with the question: where the
    /// disk hangs, no further scrape takes a thread.
    async fn ask(&self, folders: Vec<String>) -> Option<FromDisk> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let (service, last) = (Arc::clone(&self.service), Arc::clone(&self.last));
        let asked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            read(&service, &folders, &last)
        });
        asked.await.ok()
    }
}

fn read(service: &Service, folders: &[String], last: &Mutex<Option<Counted>>) -> FromDisk {
    let journal = service.journal.status().ok();
    let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(last) = last.as_ref().filter(|last| Instant::now() < last.until) {
        return FromDisk { journal, counts: last.counts.clone() };
    }
    let began = Instant::now();
    let counts: Vec<_> =
        folders.iter().map(|folder| service.journal.folder_counts(folder).ok()).collect();
    let took = began.elapsed();
    *last = Some(Counted { counts: counts.clone(), until: Instant::now() + took * REST });
    FromDisk { journal, counts }
}

impl Sample {
    /// Everything could be asked.
    pub(super) fn is_complete(&self) -> bool {
        self.disk
            .as_ref()
            .is_some_and(|disk| disk.journal.is_some() && disk.counts.iter().all(Option::is_some))
    }
}
