//! A journal that opens slowly, one that answers slowly, and one whose folder moves away. Another
//! program's lock stands for a slow disk.

use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::Duration;

use leukd::grpc::proto::{self, GetStatusRequest};
use leukd::journal::FILE;
use tonic::transport::Channel;
use tonic::{Code, Request};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt as _;

use crate::ready::{degraded, newest};
use crate::support::bounded::InTime as _;
use crate::support::process::{Process, serve_command};
use crate::support::{Folders, PATIENCE, capture, until};

/// Holds the journal's write lock, as a tool that hangs does.
fn hold(folders: &Folders) -> rusqlite::Connection {
    let tool = rusqlite::Connection::open(folders.state.join(FILE)).unwrap();
    tool.execute_batch("BEGIN IMMEDIATE").unwrap();
    tool
}

/// A journal that was closed.
async fn closed(folders: &Folders) {
    let mut daemon = Process::serve(folders);
    daemon.signal(rustix::process::Signal::TERM);
    assert!(daemon.wait(PATIENCE).await.expect("it stops").success());
}

/// A socket as systemd has it, and what was said there until a line begins with `word`.
struct Manager(UnixDatagram, std::path::PathBuf);

impl Manager {
    fn new(folders: &Folders) -> Self {
        let path = folders.root.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket, path)
    }

    fn hears(&self, word: &str) -> String {
        let mut buffer = [0; 1024];
        loop {
            let length = self.0.recv(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.contains(word) {
                return text;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_journal_opens_systemd_and_clients_are_answered() {
    let folders = Folders::new();
    closed(&folders).await;
    let lock = hold(&folders);
    let manager = Manager::new(&folders);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = serve_command(&folders, |settings| settings.rpc.listen = free);
    command.env("NOTIFY_SOCKET", &manager.1);
    let starting = tokio::task::spawn_blocking(move || Process::spawn(command));

    let channel = Channel::from_shared(format!("http://{free}")).unwrap().connect_lazy();
    let mut control = proto::control_client::ControlClient::new(channel.clone());
    until("an answer", async || {
        let refused = control.get_status(GetStatusRequest {}).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{refused}");
        // Nothing listens in the first moments.
        let details = refused.get_details_error_info()?;
        assert_eq!(details.reason, "STARTING");
        assert!(refused.get_details_retry_info().is_some());
        Some(())
    })
    .await;
    let mut health = HealthClient::new(channel.clone());
    for service in ["", "leukd.v1.Results", "leukd.v1.Classifier"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::NotServing, "{service}");
    }
    let watched = health.watch(HealthCheckRequest { service: String::new() }).await;
    let mut watched = watched.unwrap().into_inner();
    let asked = manager.hears("STATUS=opening the journal");
    assert!(asked.contains("write-ahead log"), "{asked}");

    lock.execute_batch("ROLLBACK").unwrap();
    manager.hears("READY=1");
    let daemon = starting.await.unwrap();
    assert_eq!(daemon.address, free);
    // The old connection is let go, and the same channel comes back by itself.
    until("a status", async || control.get_status(GetStatusRequest {}).await.ok()).await;
    let ends = async { while let Ok(Some(_)) = watched.message().await {} };
    tokio::time::timeout(PATIENCE, ends).await.expect("a watcher comes again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_ends_a_start_whose_journal_is_not_open_yet() {
    let folders = Folders::new();
    closed(&folders).await;
    let lock = hold(&folders);
    let manager = Manager::new(&folders);
    let mut command = serve_command(&folders, |_| {});
    command.env("NOTIFY_SOCKET", &manager.1).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    assert!(manager.hears("EXTEND_TIMEOUT_USEC=").contains("=60000000"));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    manager.hears("STOPPING=1");
    assert!(child.within(Duration::from_secs(3)).success(), "while the lock is held");
    drop(lock);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_that_passes_on_the_server_says_so() {
    let folders = Folders::new();
    folders.drop_capture("a.bmp", &capture(1));
    let daemon = Process::serve(&folders);
    until("a result", async || newest(&daemon).await.filter(|newest| *newest >= 1)).await;
    let lock = hold(&folders);
    let channel = Channel::from_shared(format!("http://{}", daemon.address)).unwrap();
    let mut reviews = proto::reviews_client::ReviewsClient::new(channel.connect().await.unwrap());
    let mut request = Request::new(proto::SubmitReviewRequest {
        of: Some(proto::submit_review_request::Of::Sequence(1)),
        label: "all".to_owned(),
        reviewer: "Dr. Doe".to_owned(),
        ..Default::default()
    });
    request.set_timeout(Duration::from_millis(400));
    let late = reviews.submit_review(request).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded, "{late}");
    assert!(late.message().contains("400 ms"), "the server's own answer: {late}");
    drop(lock);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_folder_that_moves_away_is_told_once_and_counted() {
    let folders = Folders::new();
    folders.drop_capture("a.bmp", &capture(1));
    let daemon = Process::serve(&folders);
    until("a result", async || newest(&daemon).await.filter(|newest| *newest >= 1)).await;
    let aside = folders.root.path().join("aside");
    std::fs::rename(&folders.state, &aside).unwrap();
    let channel = Channel::from_shared(format!("http://{}", daemon.address)).unwrap();
    let mut classifier =
        proto::classifier_client::ClassifierClient::new(channel.connect().await.unwrap());
    for seed in 10..40 {
        folders.drop_capture(&format!("{seed}.bmp"), &capture(seed));
        let request = proto::ClassifyRequest { image: capture(seed + 100), ..Default::default() };
        let refused = classifier.classify(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    }
    let told = until("a degradation", async || degraded(&daemon, "journal").await).await;
    assert!(told.contains("is not the file that leukd has open"), "{told}");
    std::fs::rename(&aside, &folders.state).unwrap();
    until("31 results", async || newest(&daemon).await.filter(|newest| *newest >= 31)).await;
    until("health", async || degraded(&daemon, "journal").await.is_none().then_some(())).await;
    let mut lines = Vec::new();
    while let Ok(line) = daemon.log.recv_timeout(Duration::from_millis(200)) {
        lines.push(line);
    }
    let loud: Vec<_> =
        lines.iter().filter(|line| line.contains(" WARN ") || line.contains("ERROR ")).collect();
    assert!(loud.len() <= 2, "{loud:#?}");
    assert!(loud.iter().any(|line| line.contains("degraded: ")), "{lines:#?}");
    let over: Vec<_> = lines.iter().filter(|line| line.contains("recovered from")).collect();
    assert!(over.iter().any(|line| line.contains("reports=")), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_write_ahead_logs_size_is_shown() {
    let folders = Folders::new();
    folders.drop_capture("a.bmp", &capture(1));
    let daemon = Process::serve(&folders);
    until("a result", async || newest(&daemon).await.filter(|newest| *newest >= 1)).await;
    let log = folders.state.join(format!("{FILE}-wal"));
    let mut control = daemon.control().await;
    until("the log's size", async || {
        let status = control.get_status(GetStatusRequest {}).await.unwrap().into_inner();
        let shown = status.journal?.wal_bytes;
        (shown > 0 && shown == std::fs::metadata(&log).unwrap().len()).then_some(())
    })
    .await;
}
