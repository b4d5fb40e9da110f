//! A damaged journal as the administrator meets it: the daemon refuses, `check` tells, `recover`
//! mends, and every capture has its result again.

use crate::support::process::{Process, config_file, leukd, stderr, stdout};
use crate::support::{
    Folders, PATIENCE, all_results, assert_gapless, capture, path_of, sha256_of, until,
};
use leukd::grpc::proto::GetStatusRequest;
use leukd::journal::FILE;

async fn stored(daemon: &Process, count: u64) {
    let mut control = daemon.control().await;
    until("results", async || {
        let status = control.get_status(GetStatusRequest {}).await.unwrap().into_inner();
        (status.journal?.newest >= count).then_some(())
    })
    .await;
}

async fn stop(mut daemon: Process) {
    daemon.signal(rustix::process::Signal::TERM);
    assert!(daemon.wait(PATIENCE).await.expect("it stops").success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_journal_is_refused_checked_recovered_and_every_capture_has_its_result_again() {
    let folders = Folders::new();
    for seed in 0..40 {
        folders.drop_capture(&format!("c{seed:02}.bmp"), &capture(seed));
    }
    let daemon = Process::serve(&folders);
    stored(&daemon, 40).await;
    let before = all_results(daemon.results().await).await;
    stop(daemon).await;

    // Every second page, from the first third of the file on, is zeros.
    let file = folders.state.join(FILE);
    let mut bytes = std::fs::read(&file).unwrap();
    let pages = bytes.len() / 4096;
    for page in (pages / 3..pages).step_by(2) {
        bytes[page * 4096..(page + 1) * 4096].fill(0);
    }
    bytes[..64].fill(0xff);
    std::fs::write(&file, &bytes).unwrap();

    let config = config_file(&folders, "leukd.toml", |_| {});
    let config = config.to_str().unwrap();
    let refused = leukd(&["serve", "--config", config]).await;
    assert_eq!(refused.status.code(), Some(65), "{}", stderr(&refused));
    for command in ["leukd journal check", "leukd journal recover"] {
        assert!(stderr(&refused).contains(command), "{}", stderr(&refused));
    }
    let checked = leukd(&["journal", "check", "--config", config]).await;
    assert_eq!(checked.status.code(), Some(65), "{}", stderr(&checked));
    assert!(stderr(&checked).contains("leukd journal recover"), "{}", stderr(&checked));
    assert_eq!(std::fs::read(&file).unwrap(), bytes, "looking changes nothing");

    let state = folders.state.to_str().unwrap();
    let recovered = leukd(&["journal", "recover", "--state", state, "--json"]).await;
    assert!(recovered.status.success(), "{}", stderr(&recovered));
    let told: serde_json::Value = serde_json::from_str(&stdout(&recovered)).unwrap();
    let saved = told["saved"]["result"].as_u64().unwrap();
    assert!(saved < 40, "the damage took some: {told}");
    assert_eq!(std::fs::read(told["damaged"].as_str().unwrap()).unwrap(), bytes);
    let checked = leukd(&["journal", "check", "--state", state]).await;
    assert!(checked.status.success(), "{}{}", stdout(&checked), stderr(&checked));

    let daemon = Process::serve(&folders);
    stored(&daemon, 40).await;
    let after = all_results(daemon.results().await).await;
    assert_gapless(&after);
    assert_eq!(after.len(), 40);
    assert_ne!(after[0].epoch, before[0].epoch);
    for old in &before {
        let new = after.iter().find(|new| path_of(new) == path_of(old)).expect("every capture");
        assert_eq!((sha256_of(new), new.decision), (sha256_of(old), old.decision));
    }
    let kept = after.iter().filter(|new| before.iter().any(|old| old.result_id == new.result_id));
    assert_eq!(kept.count() as u64, saved, "what was saved is not classified again");
    let checked = leukd(&["journal", "check", "--state", state]).await;
    assert!(checked.status.success(), "{}", stderr(&checked));
    assert!(stdout(&checked).contains("a leukd has it"), "{}", stdout(&checked));
    let busy = leukd(&["journal", "recover", "--state", state]).await;
    assert_eq!(busy.status.code(), Some(69), "not while a daemon has it: {}", stderr(&busy));
    stop(daemon).await;
}
