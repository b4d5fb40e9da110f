//! HL7 v2 over MLLP.

use leukd::grpc::proto;

use super::*;
use crate::support::keys::Ca;
use crate::support::scrape;

const STRANGE: &str = "a|b^c~d\\e&f é \"q\"\u{b}\u{1c}\r\nMSH|";

async fn classify(harness: &Harness, specimen: &str, cell: &str) {
    let request = proto::ClassifyRequest {
        image: cell_of(ALL, cell.len() as u64),
        specimen: specimen.to_owned(),
        cell: cell.to_owned(),
        ..Default::default()
    };
    harness.classifier().classify(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn both_messages_are_read_by_what_others_wrote_with_any_name() {
    if !readers_are_here().await {
        return;
    }
    let harness = daemon_on(Folders::new()).await;
    let folder = tempfile::tempdir().unwrap();
    for (at, more) in [vec![], vec!["--oru", "--short-control-id"]].iter().enumerate() {
        let own = folder.path().join(at.to_string());
        std::fs::create_dir(&own).unwrap();
        let mut lims = Lims::new("mllp", &own, &["--validate"]);
        lims.start();
        classify(&harness, STRANGE, &"c".repeat(2 * at + 1)).await;
        summarised(&harness, 1).await;
        let to = format!("mllp://127.0.0.1:{}", lims.port);
        let mut more = more.clone();
        more.extend(["--code", "blast-fraction=26446-5^Blasts/Leukocytes^LN", "--facility", "A&B"]);
        let state = own.join("state");
        let _running = start(bridge("hl7", &url(&harness), &to, &state, &more));
        let first = lims.takes(1).await.remove(0);
        assert_eq!((&first["specimen"], &first["status"]), (&STRANGE.into(), &"P".into()));
        let values = &first["values"];
        assert_eq!(values["cells-all"], "1");
        assert_eq!((&values["26446-5"], &values["blast-fraction"]), (&"100.00".into(), &().into()));
        assert_eq!(values["notice"], leukd::result::RESEARCH_USE_ONLY);
        assert_eq!(values["model"], "tiny");
        // Further cells: a later round is a correction, under another identifier.
        let before = lims.taken().len();
        classify(&harness, STRANGE, &"c".repeat(2 * at + 2)).await;
        let second = lims.takes(before + 1).await.pop().unwrap();
        assert_eq!(second["status"], "C");
        assert_ne!(second["id"], first["id"]);
        assert!(std::fs::read_dir(state.join("dead-letters")).unwrap().next().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_refuses_stalls_breaks_off_and_answers_twice_has_each_just_once() {
    if !readers_are_here().await {
        return;
    }
    let harness = daemon_on(Folders::new()).await;
    feed(&harness.folders, 0..30);
    let folder = tempfile::tempdir().unwrap();
    let mut lims = Lims::new("mllp", folder.path(), &["--trouble", "7"]);
    lims.start();
    let to = format!("mllp://127.0.0.1:{}", lims.port);
    let more = ["--refusals", "1000", "--answer-within", "1s"];
    let state = folder.path().join("state");
    let _running = start(bridge("hl7", &url(&harness), &to, &state, &more));
    let expected = summarised(&harness, 30).await;
    let taken = lims.takes(expected.len()).await;
    let taken: Vec<_> = taken.iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    let expected: Vec<_> = expected.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(taken, expected, "in the journal's order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_message_becomes_a_dead_letter_and_holds_up_no_other() {
    if !readers_are_here().await {
        return;
    }
    let harness = daemon_on(Folders::new()).await;
    feed(&harness.folders, 0..3);
    summarised(&harness, 3).await;
    let folder = tempfile::tempdir().unwrap();
    let mut lims = Lims::new("mllp", folder.path(), &["--refuse", "|^S1"]);
    lims.start();
    let to = format!("mllp://127.0.0.1:{}", lims.port);
    let state = folder.path().join("state");
    let run = |more: &[&str]| {
        let command = bridge("hl7", &url(&harness), &to, &state, &[&["--once"], more].concat());
        let mut command = tokio::process::Command::from(command);
        command.stderr(Stdio::piped()).kill_on_drop(true);
        async move {
            let output = crate::clients::ended(&mut command).await.unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success(), "{said}");
            said
        }
    };
    let said = run(&["--refusals", "3"]).await;
    assert!(said.contains("message set aside") && said.contains("no such specimen"), "{said}");
    assert_eq!(lims.taken().len(), 2);
    let letters = || -> Vec<_> {
        let files = std::fs::read_dir(state.join("dead-letters")).unwrap();
        files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
    };
    let letter: serde_json::Value = serde_json::from_str(&letters()[0]).unwrap();
    assert_eq!(letter["reason"], "AE: no such specimen");
    assert_eq!(letter["attempts"], 3);
    assert!(letter["message"]["body"].as_str().unwrap().contains("|^S1"));
    // The receiver learned of the specimen.
    lims.more.clear();
    lims.start();
    let said = run(&["--retry-dead-letters"]).await;
    assert!(said.contains("dead letter taken after all"), "{said}");
    assert!(letters().is_empty());
    assert_eq!(ids(lims.taken().iter().map(|entry| entry["id"].as_str().unwrap())).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_go_over_tls_with_a_certificate_of_our_own() {
    if !readers_are_here().await {
        return;
    }
    let harness = daemon_on(Folders::new()).await;
    feed(&harness.folders, 0..1);
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::new("lab");
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(file("ca.pem"), &ca.pem).unwrap();
    ca.server().write(folder.path(), "server");
    ca.client("leukd.example").write(folder.path(), "client");
    let [ca, cert, key, own, own_key] =
        ["ca.pem", "server.pem", "server.key", "client.pem", "client.key"].map(file);
    let more = ["--certificate", &cert, "--key", &key, "--client-ca", &ca];
    let mut lims = Lims::new("mllp", folder.path(), &more);
    lims.start();
    let to = format!("mllps://localhost:{}", lims.port);
    let state = folder.path().join("state");
    // A receiver of another laboratory, and one that asks for a certificate, get nothing.
    let other = file("other.pem");
    std::fs::write(&other, &Ca::new("other").pem).unwrap();
    let url = url(&harness);
    for more in [
        vec!["--to-ca", &other, "--to-cert", &own, "--to-key", &own_key],
        vec!["--to-ca", ca.as_str()],
    ] {
        let mut command = bridge("hl7", &url, &to, &state, &more);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut running = Running(child);
        let away = log.lines().map_while(Result::ok).find(|line| line.contains("is away"));
        assert!(away.is_some(), "{more:?}");
        running.kill();
        assert!(lims.taken().is_empty());
    }
    let more = ["--to-ca", &ca, "--to-cert", &own, "--to-key", &own_key];
    let _running = start(bridge("hl7", &url, &to, &state, &more));
    lims.takes(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_seen_in_the_metrics_and_caught_up_in_order() {
    if !readers_are_here().await {
        return;
    }
    let harness = daemon_on(Folders::new()).await;
    feed(&harness.folders, 0..2);
    let folder = tempfile::tempdir().unwrap();
    let mut lims = Lims::new("mllp", folder.path(), &[]);
    let to = format!("mllp://127.0.0.1:{}", lims.port);
    let metrics = free_address();
    let listen = metrics.to_string();
    let state = folder.path().join("state");
    let more = ["--metrics", listen.as_str()];
    let _running = start(bridge("hl7", &url(&harness), &to, &state, &more));
    let figure = async |name: &str, value: f64| {
        until(name, async || {
            tokio::net::TcpStream::connect(metrics).await.ok()?;
            let page = scrape::get(metrics, "/metrics").await.body;
            let line = page.lines().find(|line| line.starts_with(&format!("{name}{{")))?;
            (line.rsplit(' ').next()?.parse::<f64>().ok()? == value).then_some(())
        })
        .await;
    };
    figure("leukd_bridge_away", 1.0).await;
    figure("leukd_bridge_connected", 1.0).await;
    feed(&harness.folders, 2..5);
    let expected = summarised(&harness, 5).await;
    lims.start();
    let taken = lims.takes(5).await;
    let taken: Vec<_> = taken.iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!(taken, expected.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>());
    figure("leukd_bridge_away", 0.0).await;
    figure("leukd_bridge_acknowledged_total", 5.0).await;
    figure("leukd_bridge_dead_letters", 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_journal_is_sent_from_its_beginning() {
    if !readers_are_here().await {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut lims = Lims::new("mllp", folder.path(), &[]);
    lims.start();
    let to = format!("mllp://127.0.0.1:{}", lims.port);
    for journal in [1, 2] {
        let harness = daemon_on(Folders::new()).await;
        feed(&harness.folders, 0..2);
        summarised(&harness, 2).await;
        let state = folder.path().join("state");
        let _running = start(bridge("hl7", &url(&harness), &to, &state, &[]));
        let taken = lims.takes(2 * journal).await;
        assert_eq!(ids(taken.iter().map(|entry| entry["id"].as_str().unwrap())).len(), 2 * journal);
    }
}
