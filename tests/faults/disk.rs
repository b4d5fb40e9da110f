//! A state disk that runs full.

use std::fs;
use std::path::Path;
use std::time::Duration;

use leukd::access::Scope;
use leukd::config::settings::Settings;
use leukd::config::units::Bytes;
use leukd::grpc::proto;

use crate::ready::{Mount, all_once, degraded, is_root, newest, settled, skip};
use crate::support::keys::{showing, token};
use crate::support::process::{Process, leukd, serve_command, stderr, stdout};
use crate::support::refusal::reason;
use crate::support::{ALL, Folders, PATIENCE, all_results, cell_of, until};

const DISK: u64 = 6 << 20;

/// Fills a file system but for so many bytes.
fn fill(folder: &Path, but_for: u64) -> std::path::PathBuf {
    let stat = rustix::fs::statvfs(folder).unwrap();
    let free = stat.f_bavail * stat.f_frsize;
    let ballast = folder.join("ballast");
    let length = usize::try_from(free.saturating_sub(but_for)).unwrap();
    // tmpfs gives what is there before it says that there is no more.
    let _ = fs::write(&ballast, vec![1; length]);
    ballast
}

/// Takes what is left after [`fill`]: somebody else's log, say.
fn top_up(folder: &Path) {
    let mut file = fs::File::create(folder.join("ballast.2")).unwrap();
    while std::io::Write::write(&mut file, &[1; 4096]).is_ok_and(|written| written > 0) {}
}

fn make_room(folder: &Path) {
    for name in ["ballast", "ballast.2"] {
        let _ = fs::remove_file(folder.join(name));
    }
}

/// Puts captures into the folder until one cannot be stored. How many there are then.
async fn until_refused(folders: &Folders, process: &Process, mut number: u64) -> u64 {
    until("a refused commit", async || {
        folders.drop_capture(&format!("{number}.bmp"), &cell_of(ALL, number));
        number += 1;
        let told = degraded(process, "journal").await;
        told.or(degraded(process, "disk").await)
    })
    .await;
    number
}

/// The audit chain's records of a kind, by a program of its own.
async fn records(folders: &Folders, kind: &str) -> Vec<serde_json::Value> {
    let state = folders.state.to_str().unwrap();
    let export = leukd(&["audit", "export", "--state", state]).await;
    assert!(export.status.success(), "{}", stderr(&export));
    let lines = stdout(&export);
    let records = lines.lines().skip(1).map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        serde_json::from_str::<serde_json::Value>(line["record"].as_str().unwrap()).unwrap()
    });
    records.filter(|record| record["kind"] == kind).collect()
}

async fn assert_chain_is_whole(folders: &Folders) {
    let verified = leukd(&["audit", "verify", "--state", folders.state.to_str().unwrap()]).await;
    assert!(verified.status.success(), "{}", stderr(&verified));
}

/// Captures wait, requests are refused with the reason, `GetStatus` tells; and with space all of it
/// heals by itself.
async fn full_and_free_again(change: impl FnOnce(&mut Settings), but_for: u64) {
    if !is_root() {
        return skip("only the superuser may mount a small disk");
    }
    let folders = Folders::new();
    let _disk = Mount::memory(&folders.state, DISK);
    let process = Process::serve_with(&folders, change);
    for number in 0..20 {
        folders.drop_capture(&format!("before-{number}.bmp"), &cell_of(ALL, number));
    }
    all_once(&process, 20).await;

    let ballast = fill(&folders.state, but_for);
    for number in 20..60 {
        folders.drop_capture(&format!("full-{number}.bmp"), &cell_of(ALL, number));
    }
    let told = until("a degraded disk", async || match degraded(&process, "disk").await {
        Some(told) => Some(told),
        None => degraded(&process, "journal").await,
    })
    .await;
    assert!(told.contains("disk") || told.contains("free"), "{told}");
    // Reading goes on, and nothing is half stored.
    let stored = newest(&process).await.expect("it answers");
    assert!((20..60).contains(&stored), "{stored}");
    let mut classifier =
        proto::classifier_client::ClassifierClient::connect(format!("http://{}", process.address))
            .await
            .unwrap();
    let request = proto::ClassifyRequest { image: cell_of(ALL, 1_000), ..Default::default() };
    let refused =
        until("a refusal", async || classifier.classify(request.clone()).await.err()).await;
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused:?}");
    assert!(!reason(&refused).is_empty(), "{refused:?}");

    fs::remove_file(ballast).unwrap();
    until("a healthy disk", async || {
        let both = (degraded(&process, "disk").await, degraded(&process, "journal").await);
        (both == (None, None)).then_some(())
    })
    .await;
    settled(&process).await;
    let answered = newest(&process).await.unwrap() - 60;
    assert!(answered < 10, "requests that came before the refusal were stored: {answered}");
    let results = crate::support::all_results(process.results().await).await;
    crate::support::assert_gapless(&results);
    let mut paths: Vec<_> = results.iter().map(crate::support::path_of).collect();
    paths.retain(|path| !path.is_empty());
    paths.sort_unstable();
    let all = paths.len();
    paths.dedup();
    assert_eq!((all, paths.len()), (60, 60), "each capture has one result");
}

#[tokio::test(flavor = "multi_thread")]
async fn below_the_floor_captures_wait_and_come_by_themselves_when_there_is_space() {
    let floor = |settings: &mut Settings| settings.journal.disk_floor = Bytes(3 << 20);
    full_and_free_again(floor, 1 << 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_a_free_byte_loses_nothing_and_heals_by_itself() {
    full_and_free_again(|settings| settings.journal.disk_floor = Bytes(0), 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_on_a_full_disk_it_starts_again_with_all_that_was_stored() {
    if !is_root() {
        return skip("only the superuser may mount a small disk");
    }
    let folders = Folders::new();
    let _disk = Mount::memory(&folders.state, DISK);
    let mut process = Process::serve(&folders);
    for number in 0..30 {
        folders.drop_capture(&format!("{number}.bmp"), &cell_of(ALL, number));
    }
    let before = all_once(&process, 30).await;
    let ballast = fill(&folders.state, 0);
    folders.drop_capture("later.bmp", &cell_of(ALL, 99));
    until("a refused commit", async || match degraded(&process, "journal").await {
        Some(told) => Some(told),
        None => degraded(&process, "disk").await,
    })
    .await;
    process.kill();
    fs::remove_file(ballast).unwrap();
    let process = Process::serve(&folders);
    let after = all_once(&process, 31).await;
    assert_eq!(after[..30], before[..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn started_on_a_full_disk_it_shows_what_is_stored_and_stores_by_itself_when_there_is_space() {
    if !is_root() {
        return skip("only the superuser may mount a small disk");
    }
    let folders = Folders::new();
    let _disk = Mount::memory(&folders.state, DISK);
    let mut process = Process::serve(&folders);
    for number in 0..30 {
        folders.drop_capture(&format!("{number}.bmp"), &cell_of(ALL, number));
    }
    let before = all_once(&process, 30).await;
    fill(&folders.state, 0);
    let captures = until_refused(&folders, &process, 30).await;
    let stored = newest(&process).await.unwrap();
    process.kill();
    top_up(&folders.state);
    let lock = fs::read_to_string(folders.state.join("leukd.lock")).unwrap();

    let process = Process::serve(&folders);
    let again = fs::read_to_string(folders.state.join("leukd.lock")).unwrap();
    assert_eq!(lock.lines().nth(1), again.lines().nth(1), "how far it came is not forgotten");
    until("a degraded disk", async || degraded(&process, "disk").await).await;
    let shown = all_results(process.results().await).await;
    assert_eq!(shown[..30], before[..]);
    assert_eq!(shown.len() as u64, stored);

    make_room(&folders.state);
    until("a healthy disk", async || {
        let both = (degraded(&process, "disk").await, degraded(&process, "journal").await);
        (both == (None, None)).then_some(())
    })
    .await;
    let after = all_once(&process, usize::try_from(captures).unwrap()).await;
    assert_eq!(after[..shown.len()], shown[..]);
    assert_eq!(records(&folders, "start").await.len(), 2, "this start is told, if late");
    assert_chain_is_whole(&folders).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_for_which_no_byte_is_free_waits_and_goes_on_by_itself() {
    if !is_root() {
        return skip("only the superuser may mount a small disk");
    }
    let folders = Folders::new();
    let _disk = Mount::memory(&folders.state, DISK);
    let mut process = Process::serve(&folders);
    folders.drop_capture("0.bmp", &cell_of(ALL, 0));
    let before = all_once(&process, 1).await;
    process.signal(rustix::process::Signal::TERM);
    assert!(process.wait(PATIENCE).await.expect("it stops").success());
    fill(&folders.state, 0);
    top_up(&folders.state);
    let command = serve_command(&folders, |_| {});
    let starting = tokio::task::spawn_blocking(move || Process::spawn(command));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!starting.is_finished(), "it neither serves nor gives up");
    make_room(&folders.state);
    let process = tokio::time::timeout(PATIENCE, starting).await.expect("it starts").unwrap();
    folders.drop_capture("1.bmp", &cell_of(ALL, 1));
    assert_eq!(all_once(&process, 2).await[..1], before[..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_on_a_full_disk_is_told_when_there_is_space() {
    if !is_root() {
        return skip("only the superuser may mount a small disk");
    }
    let folders = Folders::new();
    let access = folders.root.path().join("access.toml");
    fs::write(&access, "").unwrap();
    let admin = token(&access, "root", &[Scope::Admin, Scope::Read]);
    let _disk = Mount::memory(&folders.state, DISK);
    let process = Process::serve_with(&folders, |settings| {
        settings.access.file = Some(access.clone().into());
    });
    let mut control = process.control().await;
    let mut degraded = async || {
        let status = control.get_status(showing(&admin, proto::GetStatusRequest {})).await;
        let degraded = status.unwrap().into_inner().degraded;
        degraded.into_iter().map(|what| what.component).collect::<Vec<_>>()
    };
    until("a model", async || degraded().await.is_empty().then_some(())).await;
    // It is stored after the model serves: a disk that is full before would keep it waiting too.
    until("its record", async || (records(&folders, "model").await.len() == 1).then_some(())).await;
    fill(&folders.state, 0);
    let mut number = 0;
    until("a refused commit", async || {
        folders.drop_capture(&format!("{number}.bmp"), &cell_of(ALL, number));
        number += 1;
        degraded().await.contains(&"journal".to_owned()).then_some(())
    })
    .await;
    top_up(&folders.state);
    let mut other = process.control().await;
    let reload = proto::ReloadModelRequest::default();
    other.reload_model(showing(&admin, reload)).await.expect("the model is swapped all the same");
    until("a degraded disk", async || degraded().await.contains(&"disk".to_owned()).then_some(()))
        .await;
    let guess = showing("leukd_guess", proto::GetStatusRequest {});
    assert_eq!(other.get_status(guess).await.unwrap_err().code(), tonic::Code::Unauthenticated);
    assert_eq!(records(&folders, "model").await.len(), 1, "there was no room for it");

    make_room(&folders.state);
    until("health", async || degraded().await.is_empty().then_some(())).await;
    let models = records(&folders, "model").await;
    assert_eq!(models.len(), 2, "{models:#?}");
    assert_eq!((&models[1]["by"], &models[1]["failure"]), (&"token:root".into(), &().into()));
    let failures = until("the login failure", async || {
        Some(records(&folders, "login-failure").await).filter(|failures| !failures.is_empty())
    })
    .await;
    assert_eq!(failures[0]["count"], 1);
    assert_chain_is_whole(&folders).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_on_a_disk_below_its_floor_are_counted_and_told_when_there_is_space() {
    if !is_root() {
        return skip("only the superuser may mount a small disk");
    }
    let folders = Folders::new();
    let access = folders.root.path().join("access.toml");
    fs::write(&access, "").unwrap();
    let reader = token(&access, "reader", &[Scope::Read]);
    let _disk = Mount::memory(&folders.state, DISK);
    let process = Process::serve_with(&folders, |settings| {
        settings.access.file = Some(access.clone().into());
        settings.journal.disk_floor = Bytes(3 << 20);
    });
    fill(&folders.state, 1 << 20);
    let mut control = process.control().await;
    until("a degraded disk", async || {
        let status = control.get_status(showing(&reader, proto::GetStatusRequest {})).await;
        let degraded = status.unwrap().into_inner().degraded;
        degraded.iter().any(|what| what.component == "disk").then_some(())
    })
    .await;
    for _ in 0..40 {
        let guess = showing("leukd_guess", proto::GetStatusRequest {});
        let refused = control.get_status(guess).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    }
    // Longer than refusals wait for their turn.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(records(&folders, "login-failure").await.is_empty(), "strangers fill no disk");
    make_room(&folders.state);
    let told = until("the count", async || {
        Some(records(&folders, "login-failure").await).filter(|told| !told.is_empty())
    })
    .await;
    assert_eq!((told.len(), &told[0]["count"]), (1, &40.into()));
}
