//! The package `leukd-client` (clients/python) against real daemons.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use leukd::access::Scope;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::clients::{Language, ended, free_address, interpreter, output_of, root, secure};
use crate::support::keys::token;
use crate::support::process::Process;
use crate::support::{self, ALL, Folders, HEM, Harness, cell_of, until};

fn package() -> PathBuf {
    root().join("clients/python")
}

/// Python with the package as it stands in the tree; none where its needs are not installed.
async fn python() -> Option<Command> {
    if !Language::Python.is_here().await {
        return None;
    }
    let mut python = interpreter();
    python.env("PYTHONPATH", package().join("src")).kill_on_drop(true);
    Some(python)
}

async fn scenario(arguments: &[&str]) -> Option<String> {
    let mut python = python().await?;
    python.arg(root().join("tests/clients/python/package.py")).args(arguments);
    Some(output_of(ended(&mut python).await.unwrap()))
}

#[tokio::test]
async fn the_packages_modules_are_what_the_contract_generates() {
    let Some(mut python) = python().await else { return };
    let out = tempfile::tempdir().unwrap();
    python.arg(package().join("generate.py")).arg("--out").arg(out.path());
    output_of(ended(&mut python).await.unwrap());
    let files = |folder: &Path| {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        let texts = entries.filter(|entry| entry.file_type().unwrap().is_file());
        let named = |entry: fs::DirEntry| (entry.file_name(), fs::read_to_string(entry.path()));
        texts.map(named).map(|(name, text)| (name, text.unwrap())).collect::<BTreeMap<_, _>>()
    };
    let (made, kept) = (files(out.path()), files(&package().join("src/leukd_client/v1")));
    let run = "proto/ changed: run clients/python/generate.py with the pinned grpcio-tools";
    assert!(made == kept, "{run}");
}

#[tokio::test]
async fn what_a_real_daemon_does_seldom_is_followed_too() {
    let Some(said) = scenario(&["scripted"]).await else { return };
    assert!(said.contains("unknown kinds, gaps, breaks, silence and new epochs"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_classified_over_tcp_a_socket_and_tls() {
    if !Language::Python.is_here().await {
        return;
    }
    let folders = Folders::new();
    let [socket, capture] = ["leukd.sock", "a.bmp"].map(|name| folders.root.path().join(name));
    fs::write(&capture, cell_of(ALL, 7)).unwrap();
    let capture = capture.to_str().unwrap();
    for over_socket in [false, true] {
        let harness = Harness::start_with(|settings| {
            settings.rpc.socket = over_socket.then(|| socket.clone());
        })
        .await;
        let tcp = format!("http://{}", harness.daemon().address());
        let server = if over_socket { format!("unix:{}", socket.display()) } else { tcp };
        scenario(&["classify", "--server", &server, "--capture", capture]).await.unwrap();
    }
    let (_daemon, server, path) = secure(|settings, root, _| {
        let access = root.join("access.toml");
        fs::write(root.join("token"), token(&access, "lims", &[Scope::Classify])).unwrap();
        settings.access.file = Some(access.into());
    })
    .await;
    let server = format!("https://{server}");
    let mut arguments = vec!["classify", "--server", &server, "--capture", capture];
    let (ca, token) = (path("ca.pem"), path("token"));
    arguments.extend(["--ca", &ca, "--token-file", &token]);
    scenario(&arguments).await.unwrap();
}

/// A daemon that comes again at its address, with captures that it has not seen.
struct Fed {
    folders: Folders,
    address: std::net::SocketAddr,
    daemon: Option<Process>,
    dropped: u64,
}

impl Fed {
    fn new() -> Self {
        Self { folders: Folders::new(), address: free_address(), daemon: None, dropped: 0 }
    }

    fn serve(&mut self) {
        // The one before lets go of the port and the journal.
        self.daemon = None;
        let address = self.address;
        self.daemon =
            Some(Process::serve_with(&self.folders, |settings| settings.rpc.listen = address));
    }

    fn feed(&mut self, captures: u64) {
        for number in self.dropped..self.dropped + captures {
            let patches = if number % 2 == 0 { ALL } else { HEM };
            self.folders.drop_capture(&format!("{number}.bmp"), &cell_of(patches, number));
        }
        self.dropped += captures;
    }
}

/// Each result that the file holds, by its id, and how often. The last line may be under way.
fn results_in(file: &Path) -> BTreeMap<String, u64> {
    let mut results = BTreeMap::new();
    let text = fs::read_to_string(file).unwrap_or_default();
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let id = event["result"]["result_id"].as_str().unwrap().to_owned();
        *results.entry(id).or_default() += 1;
    }
    results
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_follower_and_a_killed_daemon_lose_no_result() {
    const ROUNDS: u64 = 6;
    let Some(_) = python().await else { return };
    let mut fed = Fed::new();
    let folder = tempfile::tempdir().unwrap();
    let (lines, state) = (folder.path().join("lines"), folder.path().join("cursor.json"));
    fed.serve();
    for round in 0..ROUNDS {
        let out = fs::File::options().create(true).append(true).open(&lines).unwrap();
        let mut follower = python().await.unwrap();
        follower.args(["-m", "leukd_client.cli", "--ndjson", "--kind", "result", "--state"]);
        follower.arg(&state).args(["--server", &fed.address.to_string()]).stdout(out);
        let mut child = follower.spawn().unwrap();
        fed.feed(5);
        let enough = 3 + 5 * round;
        until("results of this round", async || {
            (results_in(&lines).len() as u64 >= enough).then_some(())
        })
        .await;
        if round % 2 == 1 {
            fed.serve();
            fed.feed(2);
            until("what came after the daemon's death", async || {
                (results_in(&lines).len() as u64 >= fed.dropped).then_some(())
            })
            .await;
        }
        child.kill().await.unwrap();
    }
    // The last one ends by itself.
    until("every result", async || {
        let mut follower = python().await.unwrap();
        follower.args(["-m", "leukd_client.cli", "--ndjson", "--once", "--kind", "result"]);
        follower.arg("--state").arg(&state).args(["--server", &fed.address.to_string()]);
        let out = fs::File::options().append(true).open(&lines).unwrap();
        follower.stdout(out).stderr(Stdio::piped());
        let ended = ended(&mut follower).await.unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        (results_in(&lines).len() as u64 >= fed.dropped).then_some(())
    })
    .await;
    let results = results_in(&lines);
    assert_eq!(results.len() as u64, fed.dropped, "no other result came");
    // A follower that is killed between its line and its cursor prints that one line again.
    let repeats: u64 = results.values().map(|times| times - 1).sum();
    assert!(repeats <= ROUNDS, "{results:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_keeps_the_cursor_has_each_result_just_once() {
    let Some(_) = python().await else { return };
    let mut fed = Fed::new();
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("lims.sqlite");
    let (server, expect) = (fed.address.to_string(), "40".to_owned());
    let arguments = ["--server", &server, "--expect", &expect, "--database"];
    fed.serve();
    for round in 0..4_u64 {
        let mut lims = python().await.unwrap();
        lims.arg(root().join("tests/clients/python/package.py")).arg("follow").args(arguments);
        let mut child = lims.arg(&database).spawn().unwrap();
        fed.feed(10);
        tokio::time::sleep(Duration::from_millis(300 * (round + 1))).await;
        if round == 2 {
            fed.serve();
        }
        child.kill().await.unwrap();
    }
    let mut all = vec!["follow"];
    all.extend(arguments);
    all.push(database.to_str().unwrap());
    let said = scenario(&all).await.unwrap();
    assert!(said.contains("40 results, each just once"), "{said}");
}

/// The first block of Python of a page.
fn first_block(page: &Path) -> String {
    let page = fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once("```python\n").unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_package_installs_and_its_five_lines_follow_and_resume() {
    if !Language::Python.is_here().await {
        return;
    }
    let code = first_block(&package().join("README.md"));
    assert_eq!(code, first_block(&root().join("docs/clients/integrator.md")));
    assert_eq!(code, first_block(&root().join("docs/clients/python.md")));
    assert!(code.lines().filter(|line| !line.trim().is_empty()).count() <= 5, "{code}");
    let folder = tempfile::tempdir().unwrap();
    let [source, installed] = ["source", "installed"].map(|name| folder.path().join(name));
    // A build leaves its remains beside what it builds.
    let copy = Command::new("cp").arg("-r").arg(package()).arg(&source).status().await.unwrap();
    assert!(copy.success());
    let mut pip = interpreter();
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]);
    pip.args(["--no-index", "--disable-pip-version-check", "--target"]).arg(&installed);
    output_of(ended(pip.arg(&source)).await.unwrap());
    assert!(installed.join("leukd_client/py.typed").is_file());
    assert!(installed.join("bin/leukd-follow").is_file());
    let harness = Harness::start().await;
    let file = folder.path().join("five.py");
    let url = format!("http://{}", harness.daemon().address());
    fs::write(&file, code.replace("http://127.0.0.1:50051", &url)).unwrap();
    for first in [1_usize, 4] {
        for number in first..first + 3 {
            harness.drop_capture(&format!("{number}.bmp"), &cell_of(ALL, number as u64));
        }
        let mut five = interpreter();
        five.arg(&file).current_dir(folder.path()).env("PYTHONPATH", &installed);
        let mut child = five.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for sequence in first..first + 3 {
            let line = tokio::time::timeout(support::PATIENCE, lines.next_line()).await;
            let line = line.expect("a line in time").unwrap().expect("a line");
            assert!(line.starts_with(&format!("{sequence} ")), "{line}");
        }
        let kept = format!(r#""sequence": {}}}"#, first + 2);
        until("the cursor to be kept", async || {
            let cursor = fs::read_to_string(folder.path().join("cursor.json")).ok()?;
            cursor.contains(&kept).then_some(())
        })
        .await;
        child.kill().await.unwrap();
    }
}
