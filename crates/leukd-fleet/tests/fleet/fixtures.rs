//! A store, sites with journals, and what must hold of both.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use leukd_fleet::local::{OWNER, Server, programs};
use leukd_fleet::{Address, Forwarder, Identity, Lab, Progress, StoreSink, TlsFiles};
use leukd_journal::clock::Clock;
use leukd_journal::result::{
    Capture, CaptureKind, CapturePath, CellIds, Decision, Digest, Finding, ModelRef, Source,
    Timestamp,
};
use leukd_journal::review::ReviewLabel;
use leukd_journal::types::{Committed, Entry, FileStamp, Found};
use leukd_journal::{Journal, JournalError, Lookup, NewReview, Options};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// Longest wait for anything, on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// 2026-01-01T00:00:00Z.
pub(crate) const START: Timestamp = Timestamp(1_767_225_600_000);

/// A store with its schema, or none where PostgreSQL is not installed.
pub(crate) struct Store {
    pub(crate) server: Server,
    pub(crate) folder: tempfile::TempDir,
}

impl Store {
    pub(crate) async fn start(sites: &[&str]) -> Option<Self> {
        let store = Self::empty()?;
        let mut lab = store.lab().await;
        assert!(lab.init().await.unwrap(), "the store is new");
        for site in sites {
            lab.add_site(site, &password(site)).await.unwrap();
            fs_err::write(store.folder.path().join(site), password(site) + "\n").unwrap();
        }
        Some(store)
    }

    /// A server without leukd's schema.
    pub(crate) fn empty() -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(
                std::env::var_os("LEUKD_REQUIRE_POSTGRES").is_none(),
                "PostgreSQL is required and not installed"
            );
            eprintln!("skipped: PostgreSQL 15 or newer is not installed (apt install postgresql)");
            return None;
        };
        let server = Server::start(programs).unwrap();
        Some(Self { server, folder: tempfile::tempdir().unwrap() })
    }

    pub(crate) async fn lab(&self) -> Lab {
        let url = self.server.url(OWNER);
        let address = Address::new(&url, None, TlsFiles::default()).unwrap();
        Lab::connect(address).await.unwrap()
    }

    /// A plain client, as a user with any tool has one.
    pub(crate) async fn client(&self, user: &str) -> tokio_postgres::Client {
        let mut config: tokio_postgres::Config = self.server.url(user).parse().unwrap();
        config.password(password(user.strip_prefix("leukd_").unwrap_or(user)));
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    pub(crate) fn address(&self, site: &str, port: u16) -> Address {
        let url = format!("postgres://leukd_{site}@127.0.0.1:{port}/postgres");
        Address::new(&url, Some(self.folder.path().join(site)), TlsFiles::default()).unwrap()
    }

    /// Everything that is held of a journal: what the journal itself would give.
    pub(crate) async fn held(&self, site: &str, epoch: &str) -> Copied {
        let client = self.client(OWNER).await;
        let events = client
            .query(
                "SELECT sequence, kind, (extract(epoch FROM at) * 1000)::bigint, text
                 FROM leukd.events WHERE site = $1 AND epoch = $2 ORDER BY sequence",
                &[&site, &epoch],
            )
            .await
            .unwrap();
        let records = client
            .query(
                "SELECT record, hash FROM leukd.audit WHERE site = $1 AND epoch = $2 ORDER BY number",
                &[&site, &epoch],
            )
            .await
            .unwrap();
        Copied {
            events: events
                .iter()
                .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
                .collect(),
            records: records.iter().map(|row| (row.get(0), row.get(1))).collect(),
        }
    }

    /// Waits until the store equals the journal, then says so of its chain, too.
    pub(crate) async fn equals(&self, site: &str, journal: &Journal) {
        let wanted = Copied::of(journal);
        wait("the store equals the journal", async || {
            let held = self.held(site, journal.epoch()).await;
            held.events.len() == wanted.events.len() && held.records.len() >= wanted.records.len()
        })
        .await;
        let mut held = self.held(site, journal.epoch()).await;
        held.records.truncate(wanted.records.len());
        assert_eq!(held.events, wanted.events);
        assert_eq!(held.records, wanted.records);
        let verified = self.lab().await.verify(site, journal.epoch()).await.unwrap();
        assert_eq!(verified.fault, None);
        assert_eq!(verified.events, wanted.events.len() as u64, "{verified:?}");
    }

    /// Lab sequences are 1, 2, 3, … without holes, and within a site in the site's own order.
    pub(crate) async fn is_in_order(&self) {
        let client = self.client(OWNER).await;
        let rows = client
            .query("SELECT lab_sequence, site, epoch, sequence FROM leukd.events ORDER BY 1", &[])
            .await
            .unwrap();
        let mut last: BTreeMap<(String, String), i64> = BTreeMap::new();
        for (index, row) in rows.iter().enumerate() {
            assert_eq!(row.get::<_, i64>(0), index as i64 + 1, "a hole");
            let own = last.entry((row.get(1), row.get(2))).or_default();
            assert!(*own < row.get(3), "out of order");
            *own = row.get(3);
        }
    }
}

/// Sequence, kind, milliseconds since 1970, text.
type Row = (i64, String, i64, String);

/// Events and records as they are stored.
#[derive(Debug, PartialEq)]
pub(crate) struct Copied {
    pub(crate) events: Vec<Row>,
    pub(crate) records: Vec<(String, Vec<u8>)>,
}

impl Copied {
    pub(crate) fn of(journal: &Journal) -> Self {
        let (mut events, mut records) = (Vec::new(), Vec::new());
        loop {
            let after = events.last().map_or(0, |last: &Row| last.0.cast_unsigned());
            let batch = journal.stored_after(after, 1000).unwrap();
            if batch.events.is_empty() {
                break;
            }
            let row = |event: leukd_journal::StoredEvent| {
                (event.sequence.cast_signed(), event.kind, event.at.0, event.payload)
            };
            events.extend(batch.events.into_iter().map(row));
        }
        loop {
            let batch = journal.sealed_after(records.len() as u64, 1000).unwrap();
            if batch.is_empty() {
                break;
            }
            records.extend(
                batch.into_iter().map(|sealed| (sealed.record, sealed.hash.as_bytes().to_vec())),
            );
        }
        Self { events, records }
    }
}

pub(crate) fn password(site: &str) -> String {
    format!("pass of {site}")
}

/// A journal on its way into the store.
pub(crate) struct Running {
    pub(crate) journal: Journal,
    pub(crate) progress: Progress,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(store: &Store, site: &str, port: u16, journal: Journal) -> Self {
        let sink = sink(store, site, port, &journal);
        let forwarder = Forwarder::new(journal.clone(), sink, Clock::system());
        let (progress, stop) = (forwarder.progress(), CancellationToken::new());
        let (name, stopped) = (site.to_owned(), stop.clone());
        let task = tokio::spawn(async move { forwarder.run(&name, stopped).await });
        Self { journal, progress, stop, task }
    }

    pub(crate) async fn stop(self) -> Journal {
        self.stop.cancel();
        self.task.await.unwrap();
        self.journal
    }
}

pub(crate) fn sink(store: &Store, site: &str, port: u16, journal: &Journal) -> StoreSink {
    let identity = Identity {
        epoch: journal.epoch().to_owned(),
        host: format!("host-of-{site}"),
        version: "0.0.0".to_owned(),
    };
    // A half-open connection is given up soon.
    StoreSink::new(store.address(site, port), site.to_owned(), identity)
        .answering_within(Duration::from_secs(5))
}

/// A journal that no other has. A process that a test beside this one starts holds every file of
/// this process between its fork and its exec, a lock that was just let go too.
pub(crate) async fn open(directory: &Path) -> Journal {
    open_with(directory, Options::new(Clock::system())).await
}

pub(crate) async fn open_with(directory: &Path, options: Options) -> Journal {
    let mut tries = 200;
    loop {
        match Journal::open(directory, options.clone()) {
            Err(JournalError::Locked { .. }) if tries > 0 => {
                tries -= 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            opened => return opened.unwrap(),
        }
    }
}

/// Stores so many more results, and a review of one in ten.
pub(crate) async fn fill(journal: &Journal, from: usize, count: usize) {
    let mut under_way = JoinSet::new();
    for index in from..from + count {
        let journal = journal.clone();
        under_way.spawn(async move {
            let Committed::Stored(stored) = journal.commit(entry(index)).await.unwrap() else {
                panic!("{index} is new");
            };
            if index % 10 == 0 {
                journal.review(review(stored.sequence)).await.unwrap();
            }
        });
    }
    while let Some(done) = under_way.join_next().await {
        done.unwrap();
    }
}

fn entry(index: usize) -> Entry {
    let path = CapturePath { folder: "/export".to_owned(), path: format!("p{index}.bmp") };
    let moment = i64::try_from(index).unwrap();
    let capture = Capture {
        digest: Some(Digest::of(path.path.as_bytes())),
        size_bytes: 3,
        source: Source::Folder(path),
        captured_at: START,
        kind: CaptureKind::Cell,
    };
    let ids = CellIds { specimen: format!("S{}", index % 7), ..CellIds::default() };
    let finding = Finding {
        p_all: Some(1.0 / (index as f64 + 3.0)),
        decision: Decision::Hem,
        quality_flags: vec!["touches-frame \"\\u0000\" ä\u{0}".to_owned()],
        model: Some(ModelRef { id: "b3".to_owned(), digest: "ab".repeat(32) }),
        ..Finding::blank(uuid::Uuid::now_v7(), ids, START)
    };
    let stamp = FileStamp { size: 3, mtime_ns: moment, ctime_ns: moment, inode: 1 };
    Entry::Capture { stamp, found: Found::one(capture, finding) }
}

fn review(sequence: u64) -> NewReview {
    NewReview {
        of: Lookup::Sequence(sequence),
        label: ReviewLabel::All,
        reviewer: "Dr. Doe".to_owned(),
        note: "seen twice: \"sure\" \u{1F52C}".to_owned(),
        blind: false,
        client: "token:lims".to_owned(),
        review_id: None,
    }
}

/// Waits until `holds` says so.
pub(crate) async fn wait(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Waits until the forwarder is refused, and gives the reason.
pub(crate) async fn refusal(progress: &Progress) -> String {
    let mut found = String::new();
    wait("the store refuses", async || {
        use leukd_fleet::{SinkError, State};
        if let State::Failing { error, .. } = progress.figures().state
            && let SinkError::Refused(text) | SinkError::Fenced(text) = error
        {
            found = text;
        }
        !found.is_empty()
    })
    .await;
    found
}
