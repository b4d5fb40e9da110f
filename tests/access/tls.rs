//! TLS: who is at the other end, and keys that change under a running daemon.

use crate::support;
use std::time::Duration;

use crate::support::keys::{Ca, Pair, ask_for_certificates, connect, showing, speak_tls, token};
use crate::support::refusal::reason;
use crate::support::{ALL, Folders, Harness, PATIENCE, cell_of, until};
use leukd::access::Scope;
use leukd::config::settings::ClientAuth;
use leukd::grpc::proto::control_client::ControlClient;
use leukd::grpc::proto::results_client::ResultsClient;
use leukd::grpc::proto::{self, event, subscribe_request};
use rcgen::SanType;
use rcgen::string::Ia5String;
use tonic::transport::Channel;
use tonic::{Code, Status};

/// A daemon that speaks TLS with a certificate of `ca`, with or without a CA for its clients.
async fn start(ca: &Ca, clients: Option<(&Ca, ClientAuth)>) -> Harness {
    let folders = Folders::new();
    let root = folders.root.path().to_owned();
    Harness::start_on(folders, |settings| {
        speak_tls(settings, &root, ca);
        if let Some((clients, auth)) = clients {
            ask_for_certificates(settings, &root, clients);
            settings.tls.client = auth;
        }
    })
    .await
}

/// What an empty GetStatus says to somebody with this certificate; none where there is no
/// connection.
async fn status(
    harness: &Harness,
    ca: &Ca,
    identity: Option<&Pair>,
) -> Option<Result<proto::GetStatusResponse, Status>> {
    let channel = connect(harness.daemon().address(), ca, identity).await.ok()?;
    let asked = ControlClient::new(channel).get_status(proto::GetStatusRequest {}).await;
    match asked {
        // With TLS 1.3 a server refuses a certificate after the client takes the connection for
        // made.
        Err(status) if std::error::Error::source(&status).is_some() => None,
        asked => Some(asked.map(tonic::Response::into_inner)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_trusts_another_ca_does_not_connect() {
    let (ours, other) = (Ca::new("ours"), Ca::new("other"));
    let harness = start(&ours, None).await;
    assert!(status(&harness, &ours, None).await.unwrap().is_ok());
    assert!(status(&harness, &other, None).await.is_none());
    // Nor does one that speaks no TLS.
    let address = harness.daemon().address();
    let plain = Channel::from_shared(format!("http://{address}")).unwrap().connect().await;
    if let Ok(plain) = plain {
        let asked = ControlClient::new(plain).get_status(proto::GetStatusRequest {}).await;
        assert!(asked.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_certificate_or_with_a_foreign_or_ended_one_does_not_connect() {
    let (ours, clients, foreign) = (Ca::new("ours"), Ca::new("clients"), Ca::new("foreign"));
    let harness = start(&ours, Some((&clients, ClientAuth::Required))).await;
    assert!(status(&harness, &ours, Some(&clients.client("lims"))).await.unwrap().is_ok());
    assert!(status(&harness, &ours, None).await.is_none(), "without");
    assert!(status(&harness, &ours, Some(&foreign.client("lims"))).await.is_none(), "foreign");
    assert!(status(&harness, &ours, Some(&clients.ended_client("lims"))).await.is_none(), "ended");
    assert!(status(&harness, &ours, Some(&clients.server())).await.is_none(), "not for clients");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_optional_certificates_a_client_without_one_is_nobody() {
    let (ours, clients) = (Ca::new("ours"), Ca::new("clients"));
    let harness = start(&ours, Some((&clients, ClientAuth::Optional))).await;
    assert!(status(&harness, &ours, Some(&clients.client("lims"))).await.unwrap().is_ok());
    let nobody = status(&harness, &ours, None).await.unwrap().unwrap_err();
    assert_eq!((nobody.code(), reason(&nobody).as_str()), (Code::Unauthenticated, "NO_CREDENTIAL"));
    let foreign = Ca::new("foreign").client("lims");
    assert!(status(&harness, &ours, Some(&foreign)).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_alone_reads_and_classifies_but_does_not_administrate() {
    let (ours, clients) = (Ca::new("ours"), Ca::new("clients"));
    let harness = start(&ours, Some((&clients, ClientAuth::Required))).await;
    let lims = clients.client("lims.example");
    let channel = connect(harness.daemon().address(), &ours, Some(&lims)).await.unwrap();
    let refused =
        ControlClient::new(channel).reload_model(proto::ReloadModelRequest::default()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("cert:lims.example lacks"), "{}", refused.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_file_gives_certificates_their_scopes_by_name() {
    let (ours, clients) = (Ca::new("ours"), Ca::new("clients"));
    let folders = Folders::new();
    let root = folders.root.path().to_owned();
    let file = root.join("access.toml");
    let names = ["dns.example", "mailto:x@example", "x@example", "Common Name"];
    let entries =
        names.map(|name| format!("[[certificate]]\nname = {name:?}\nscopes = [\"read\"]\n"));
    std::fs::write(&file, entries.concat()).unwrap();
    let harness = Harness::start_on(folders, |settings| {
        speak_tls(settings, &root, &ours);
        ask_for_certificates(settings, &root, &clients);
        settings.access.file = Some(file.into());
    })
    .await;
    let text = |text: &str| Ia5String::try_from(text).unwrap();
    let dns = || SanType::DnsName(text("dns.example"));
    let uri = || SanType::URI(text("mailto:x@example"));
    let mail = || SanType::Rfc822Name(text("x@example"));
    for (common, alternatives, known) in [
        ("other", vec![uri(), dns()], true),
        ("other", vec![uri(), mail()], true),
        ("other", vec![mail()], true),
        ("Common Name", vec![], true),
        // A name that stands elsewhere in the certificate does not count.
        ("Common Name", vec![SanType::DnsName(text("else.example")), dns()], false),
        ("Common Name", vec![SanType::URI(text("urn:else"))], false),
        ("stranger", vec![], false),
    ] {
        let pair = clients.client_named(common, alternatives.clone());
        let asked = status(&harness, &ours, Some(&pair)).await.expect("a connection");
        let code = asked.err().map_or(Code::Ok, |status| status.code());
        let expected = if known { Code::Ok } else { Code::PermissionDenied };
        assert_eq!(code, expected, "{common} {alternatives:?}");
    }
    for nameless in ["", "two\nlines"] {
        let pair = clients.client_named(nameless, vec![]);
        assert!(status(&harness, &ours, Some(&pair)).await.is_none(), "{nameless:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_replaced_under_a_running_daemon_and_streams_go_on() {
    let (before, after) = (Ca::new("before"), Ca::new("after"));
    let harness = start(&before, None).await;
    let channel = connect(harness.daemon().address(), &before, None).await.unwrap();
    let start = Some(subscribe_request::Start::Latest(()));
    let request = proto::SubscribeRequest { start, filter: None };
    let mut stream = ResultsClient::new(channel).subscribe(request).await.unwrap().into_inner();
    let first = support::next(&mut stream).await.kind.unwrap();
    assert!(matches!(first, event::Kind::Hello(_)));
    // First the certificate, which for a moment is not the key's; then the key.
    let (certificate, key) = (after.server(), harness.folders.root.path());
    std::fs::write(key.join("server.pem"), &certificate.certificate).unwrap();
    std::fs::write(key.join("server.key"), &certificate.key).unwrap();
    until("the new certificate", async || status(&harness, &after, None).await).await.unwrap();
    assert!(status(&harness, &before, None).await.is_none(), "the old one is out of service");
    harness.drop_capture("one.bmp", &cell_of(ALL, 1));
    assert_eq!(support::next_results(&mut stream, 1).await.len(), 1, "over the old connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_that_does_not_work_keeps_the_old_certificate_and_is_told_until_mended() {
    let ca = Ca::new("ca");
    let harness = start(&ca, None).await;
    let root = harness.folders.root.path();
    let (certificate, key) = (root.join("server.pem"), root.join("server.key"));
    let good = [&certificate, &key].map(|file| std::fs::read(file).unwrap());
    let other = ca.server();
    let degraded = async || status(&harness, &ca, None).await.unwrap().unwrap().degraded;
    assert!(degraded().await.is_empty());
    for (file, content, says) in [
        (&key, Some(other.key.as_bytes()), "is not the key of"),
        (&certificate, Some(&b"no certificate"[..]), "there is no PEM section CERTIFICATE"),
        (
            &key,
            Some(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
            "server.key",
        ),
        (&certificate, None, "server.pem cannot be read"),
    ] {
        match content {
            Some(content) => std::fs::write(file, content).unwrap(),
            None => std::fs::remove_file(file).unwrap(),
        }
        let told = until("a degradation", async || degraded().await.into_iter().next()).await;
        assert_eq!(told.component, "certificate");
        assert!(told.message.contains(says), "{says}: {}", told.message);
        std::fs::write(&certificate, &good[0]).unwrap();
        std::fs::write(&key, &good[1]).unwrap();
        until("the recovery", async || degraded().await.is_empty().then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_that_has_ended_or_not_begun_does_not_displace_a_certificate_in_its_time() {
    let ca = Ca::new("ca");
    let harness = start(&ca, None).await;
    let root = harness.folders.root.path().to_owned();
    // Over a connection of its own each time: clients take the old certificate still.
    let degraded = async || status(&harness, &ca, None).await.unwrap().unwrap().degraded;
    for (pair, says) in [
        (ca.ended_server(), "server.pem ended at 2021-01-01T00:00:00Z"),
        (ca.future_server(), "server.pem is valid only from 2090-01-01T00:00:00Z on"),
    ] {
        pair.write(&root, "server");
        let told = until("a degradation", async || degraded().await.into_iter().next()).await;
        assert_eq!(told.component, "certificate");
        assert!(told.message.contains(says), "{}", told.message);
        ca.server().write(&root, "server");
        until("the recovery", async || degraded().await.is_empty().then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_certificate_is_told_and_the_folder_is_served_all_the_same() {
    let ca = Ca::new("ca");
    let folders = Folders::new();
    let root = folders.root.path().to_owned();
    let socket = root.join("leukd.sock");
    let harness = Harness::start_on(folders, |settings| {
        speak_tls(settings, &root, &ca);
        ca.ended_server().write(&root, "server");
        settings.rpc.socket = Some(socket.clone());
    })
    .await;
    assert!(status(&harness, &ca, None).await.is_none(), "clients refuse it");
    let channel = tonic::transport::Endpoint::from_shared(format!("unix:{}", socket.display()));
    let mut control = ControlClient::new(channel.unwrap().connect().await.unwrap());
    let degraded = until("a degradation", async || {
        let status = control.get_status(proto::GetStatusRequest {}).await.unwrap().into_inner();
        status.degraded.into_iter().next()
    })
    .await;
    assert_eq!(degraded.component, "certificate");
    assert!(degraded.message.contains("ended at 2021-01-01"), "{}", degraded.message);
    ca.server().write(&root, "server");
    until("the renewed certificate", async || status(&harness, &ca, None).await).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_never_end_hold_up_nobody_and_are_ended() {
    let ca = Ca::new("ca");
    let harness = start(&ca, None).await;
    let address = harness.daemon().address();
    let silent = async |from: &str| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        socket.connect(address).await.unwrap()
    };
    let mut peers = Vec::new();
    for from in ["127.0.0.2", "127.0.0.3", "127.0.0.4"] {
        for _ in 0..40 {
            peers.push(silent(from).await);
        }
    }
    // Some of those who come in peace come from an address that has such peers too.
    for _ in 0..20 {
        peers.push(silent("127.0.0.1").await);
    }
    let began = std::time::Instant::now();
    status(&harness, &ca, None).await.expect("a connection").unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    for peer in &mut peers {
        use tokio::io::AsyncReadExt as _;
        let mut rest = Vec::new();
        let read = tokio::time::timeout(PATIENCE, peer.read_to_end(&mut rest)).await;
        let _ = read.expect("it is ended");
    }
    status(&harness, &ca, None).await.expect("a connection").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_work_over_tls_and_beat_the_certificate() {
    let (ours, clients) = (Ca::new("ours"), Ca::new("clients"));
    let folders = Folders::new();
    let root = folders.root.path().to_owned();
    let file = root.join("access.toml");
    std::fs::write(&file, "[[certificate]]\nname = \"lims\"\nscopes = [\"read\"]\n").unwrap();
    let admin = token(&file, "admin", &[Scope::Admin]);
    let harness = Harness::start_on(folders, |settings| {
        speak_tls(settings, &root, &ours);
        ask_for_certificates(settings, &root, &clients);
        settings.tls.client = ClientAuth::Optional;
        settings.access.file = Some(file.into());
    })
    .await;
    let address = harness.daemon().address();
    for identity in [None, Some(clients.client("lims"))] {
        let channel = connect(address, &ours, identity.as_ref()).await.unwrap();
        let mut control = ControlClient::new(channel);
        let reload = showing(&admin, proto::ReloadModelRequest::default());
        control.reload_model(reload).await.unwrap();
        let asked = control.get_status(showing(&admin, proto::GetStatusRequest {})).await;
        assert_eq!(asked.unwrap_err().code(), Code::PermissionDenied, "the token counts alone");
        let wrong = control.get_status(showing("leukd_wrong", proto::GetStatusRequest {})).await;
        assert_eq!(wrong.unwrap_err().code(), Code::Unauthenticated, "no falling back");
    }
}
