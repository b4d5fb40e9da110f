//! Who may do what, and how much at once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use leukd::access::Scope;
use leukd::clock::Clock;
use leukd::config::files::FileMode;
use leukd::config::settings::Settings;
use leukd::config::units::Bytes;
use leukd::result::Timestamp;
use leukd::rpc::proto::classifier_client::ClassifierClient;
use leukd::rpc::proto::control_client::ControlClient;
use leukd::rpc::proto::results_client::ResultsClient;
use leukd::rpc::proto::{self, event, subscribe_request};
use leukd::rpc::transport::{ListenError, Listeners, UnixSocket};
use prost_reflect::DescriptorPool;
use support::keys::{showing, token, token_until};
use support::refusal::{assert_retry, info, reason};
use support::{ALL, Harness, PATIENCE, cell_of, until};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

/// A daemon with an access file.
async fn guarded(change: impl FnOnce(&mut Settings, &PathBuf)) -> (Harness, PathBuf) {
    let folders = support::Folders::new();
    let file = folders.root.path().join("access.toml");
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let harness = Harness::start_on(folders, |settings| {
        settings.access.file = Some(file.clone().into());
        change(settings, &file);
    })
    .await;
    (harness, file)
}

/// Every method that the daemon serves, by its path.
fn methods() -> Vec<String> {
    let mut pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    for more in [
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ] {
        pool.decode_file_descriptor_set(more).unwrap();
    }
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    methods.map(|method| format!("/{}/{}", method.parent_service().full_name(), method.name())).collect()
}

/// Calls a method with an empty message. OK stands for every answer of the method itself, a refused field too.
async fn call(channel: Channel, path: &str, token: &str) -> (Code, String) {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let request = showing(token, ());
    let path = path.parse().unwrap();
    let answered = client.server_streaming(request, path, ProstCodec::<(), ()>::default());
    let answered = match tokio::time::timeout(PATIENCE, answered).await.unwrap() {
        Ok(stream) => {
            let mut stream = stream.into_inner();
            tokio::time::timeout(PATIENCE, stream.message()).await.unwrap().map(|_| ())
        }
        Err(status) => Err(status),
    };
    match answered {
        Err(status)
            if [Code::Unauthenticated, Code::PermissionDenied, Code::Unimplemented]
                .contains(&status.code()) =>
        {
            (status.code(), reason(&status))
        }
        _ => (Code::Ok, String::new()),
    }
}

/// What each method takes, as the contract's comments say. Written out here once more on purpose.
fn scope_of(path: &str) -> Option<Scope> {
    match path.rsplit('/').next().unwrap() {
        "Classify" | "ClassifyStream" => Some(Scope::Classify),
        "ReloadModel" => Some(Scope::Admin),
        "Check" | "Watch" if path.starts_with("/grpc.health.v1.Health/") => None,
        _ => Some(Scope::Read),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_method_takes_its_scope_and_no_other() {
    let (harness, file) = guarded(|_, _| {}).await;
    let mut tokens = BTreeMap::new();
    for (name, scopes) in [
        ("classify", vec![Scope::Classify]),
        ("read", vec![Scope::Read]),
        ("admin", vec![Scope::Admin]),
        ("nothing", vec![]),
        ("all", Scope::EVERY.to_vec()),
    ] {
        let text = token(&file, name, &scopes);
        tokens.insert(name, (text, scopes));
    }
    known(&harness, &tokens["all"].0).await;
    let methods = methods();
    assert!(methods.len() >= 13, "{methods:?}");
    for path in &methods {
        let need = scope_of(path);
        for (name, (token, scopes)) in &tokens {
            let allowed = need.is_none_or(|need| scopes.contains(&need));
            let expected = if allowed { (Code::Ok, "") } else { (Code::PermissionDenied, "MISSING_SCOPE") };
            let (code, reason) = call(harness.channel(), path, token).await;
            assert_eq!((code, reason.as_str()), expected, "{name} calls {path}");
        }
        let nobody = call(harness.channel(), path, "").await;
        let stranger = call(harness.channel(), path, "leukd_0123456789").await;
        if need.is_some() {
            assert_eq!(nobody, (Code::Unauthenticated, "NO_CREDENTIAL".to_owned()), "{path}");
        } else {
            assert_eq!(nobody.0, Code::Ok, "{path}");
        }
        assert_eq!(stranger, (Code::Unauthenticated, "UNKNOWN_TOKEN".to_owned()), "{path}");
    }
    let unknown = call(harness.channel(), "/leukd.v1.Control/Shutdown", &tokens["all"].0).await;
    assert_eq!(unknown, (Code::Unimplemented, "NO_METHOD".to_owned()));
}

/// Waits until the daemon knows a token that was just written.
async fn known(harness: &Harness, token: &str) {
    until("the token to be known", async || {
        let asked = harness.control().get_status(showing(token, proto::GetStatusRequest {})).await;
        asked.map_or_else(|status| status.code() != Code::Unauthenticated, |_| true).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_scope_is_told_with_what_is_missing() {
    let (harness, file) = guarded(|_, _| {}).await;
    let reader = token(&file, "reader", &[Scope::Read]);
    known(&harness, &reader).await;
    let request = showing(&reader, proto::ReloadModelRequest::default());
    let status = harness.control().reload_model(request).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let (reason, metadata) = info(&status);
    assert_eq!(reason, "MISSING_SCOPE");
    assert_eq!((metadata["scope"].as_str(), metadata["client"].as_str()), ("admin", "token:reader"));
    assert!(status.message().contains("token:reader lacks the scope admin"), "{}", status.message());
    assert!(!status.message().contains(&reader));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_access_control_whoever_can_connect_may_do_everything() {
    let harness = Harness::start().await;
    for path in methods() {
        assert_eq!(call(harness.channel(), &path, "").await.0, Code::Ok, "{path}");
        // A client that is ready for tokens works already.
        assert_eq!(call(harness.channel(), &path, "leukd_any").await.0, Code::Ok, "{path}");
    }
}

/// A subscription with a token, its Hello taken.
async fn subscribe(channel: Channel, token: &str) -> Result<tonic::Streaming<proto::Event>, Status> {
    let start = Some(subscribe_request::Start::Latest(()));
    let request = showing(token, proto::SubscribeRequest { start, filter: None });
    let mut stream = ResultsClient::new(channel).subscribe(request).await?.into_inner();
    let first = stream.message().await?.unwrap().kind.unwrap();
    assert!(matches!(first, event::Kind::Hello(_)), "{first:?}");
    Ok(stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_refused_within_seconds_and_its_streams_end() {
    let (harness, file) = guarded(|_, _| {}).await;
    let (gone, stays) = (token(&file, "gone", &[Scope::Read]), token(&file, "stays", &Scope::EVERY));
    known(&harness, &stays).await;
    let mut doomed = subscribe(harness.channel(), &gone).await.unwrap();
    let mut other = subscribe(harness.channel(), &stays).await.unwrap();
    leukd::access::edit::revoke(&file, "gone").unwrap();
    let status = support::end(&mut doomed).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "UNKNOWN_TOKEN"));
    let again = subscribe(harness.channel(), &gone).await.unwrap_err();
    assert_eq!(again.code(), Code::Unauthenticated);
    // Whoever is not meant notices nothing.
    let image = proto::ClassifyRequest { image: cell_of(ALL, 1), ..Default::default() };
    harness.classifier().classify(showing(&stays, image)).await.unwrap();
    assert_eq!(support::next_results(&mut other, 1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_at_its_time_and_its_streams_with_it() {
    let (harness, file) = guarded(|_, _| {}).await;
    let now = Clock::system().wall();
    let soon = Timestamp(now.0 + 5_000);
    let ends = token_until(&file, "ends", &[Scope::Read], Some(soon));
    let ended = token_until(&file, "ended", &[Scope::Read], Some(Timestamp(now.0 - 1_000)));
    known(&harness, &ends).await;
    let mut stream = subscribe(harness.channel(), &ends).await.unwrap();
    let status = subscribe(harness.channel(), &ended).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "EXPIRED_TOKEN"));
    let status = support::end(&mut stream).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "EXPIRED_TOKEN"));
    assert!(Clock::system().wall() >= Timestamp(soon.0 / 1000 * 1000));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_file_that_does_not_work_changes_nothing_and_is_told() {
    let (harness, file) = guarded(|_, _| {}).await;
    let reader = token(&file, "reader", &[Scope::Read]);
    known(&harness, &reader).await;
    let good = std::fs::read_to_string(&file).unwrap();
    let status = async || {
        let request = showing(&reader, proto::GetStatusRequest {});
        harness.control().get_status(request).await.unwrap().into_inner().degraded
    };
    assert!(status().await.is_empty());
    std::fs::write(&file, format!("{good}\n[[token]]\nname = 3\n")).unwrap();
    let degraded = until("a degradation", async || {
        let degraded = status().await;
        (!degraded.is_empty()).then_some(degraded)
    })
    .await;
    assert_eq!(degraded[0].component, "access");
    assert!(degraded[0].message.contains("access.toml: line "), "{degraded:?}");
    std::fs::write(&file, &good).unwrap();
    until("the recovery", async || status().await.is_empty().then_some(())).await;
}

/// A call whose request has begun and does not end: it counts until the sender is dropped.
async fn unfinished(
    channel: Channel,
    image: Option<Vec<u8>>,
) -> tokio::task::JoinHandle<Result<(), Status>> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let first = image.map(|image| proto::ClassifyRequest { image, ..Default::default() });
    let endless = tokio_stream::StreamExt::chain(
        tokio_stream::iter(first),
        tokio_stream::pending::<proto::ClassifyRequest>(),
    );
    tokio::spawn(async move {
        let path = "/leukd.v1.Classifier/Classify".parse().unwrap();
        let codec = ProstCodec::<proto::ClassifyRequest, proto::ClassifyResponse>::default();
        client.client_streaming(Request::new(endless), path, codec).await.map(|_| ())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_no_more_requests_under_way_than_it_may() {
    let harness = Harness::start_with(|settings| settings.access.max_requests = 2).await;
    let open = [unfinished(harness.channel(), None).await, unfinished(harness.channel(), None).await];
    let status = until("the limit", async || {
        harness.control().get_status(proto::GetStatusRequest {}).await.err()
    })
    .await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "TOO_MANY_REQUESTS"));
    assert_retry(&status);
    assert!(status.message().contains("access.max_requests"), "{}", status.message());
    for call in open {
        call.abort();
    }
    until("a place", async || harness.control().get_status(proto::GetStatusRequest {}).await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_no_more_streams_open_than_it_may() {
    let harness = Harness::start_with(|settings| settings.access.max_streams = 2).await;
    let first = subscribe(harness.channel(), "").await.unwrap();
    let _second = subscribe(harness.channel(), "").await.unwrap();
    let status = subscribe(harness.channel(), "").await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "TOO_MANY_STREAMS"));
    assert_retry(&status);
    drop(first);
    until("a place", async || subscribe(harness.channel(), "").await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_no_more_bytes_under_way_than_it_may_and_hinders_no_other() {
    let (harness, file) =
        guarded(|settings, _| settings.access.max_bytes = Bytes(30_000)).await;
    let (greedy, modest) =
        (token(&file, "greedy", &[Scope::Classify]), token(&file, "modest", &[Scope::Classify]));
    known(&harness, &modest).await;
    let classify = async |token: &str, bytes: usize| {
        // What follows the picture's end is no part of it.
        let mut image = cell_of(ALL, bytes as u64);
        image.resize(image.len().max(bytes), 0);
        let request = proto::ClassifyRequest { image, ..Default::default() };
        harness.classifier().classify(showing(token, request)).await
    };
    let status = classify(&greedy, 40_000).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "TOO_MANY_BYTES"));
    assert_retry(&status);
    for _ in 0..5 {
        classify(&greedy, 20_000).await.unwrap();
        classify(&modest, 20_000).await.unwrap();
    }
}

async fn over_socket(path: &std::path::Path) -> Channel {
    let endpoint = Endpoint::from_shared(format!("unix:{}", path.display())).unwrap();
    endpoint.connect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_served_beside_the_address_or_alone() {
    for tcp in [true, false] {
        let folders = support::Folders::new();
        let path = folders.root.path().join("leukd.sock");
        let harness = Harness::start_on(folders, |settings| {
            settings.rpc.tcp = tcp;
            settings.rpc.socket = Some(path.clone());
            settings.rpc.socket_mode = FileMode(0o600);
        })
        .await;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let request = proto::ClassifyRequest { image: cell_of(ALL, 3), ..Default::default() };
        let channel = over_socket(&path).await;
        let answer = ClassifierClient::new(channel).classify(request).await.unwrap().into_inner();
        let source = answer.result.unwrap().source.unwrap().kind.unwrap();
        let proto::source::Kind::Rpc(source) = source else { panic!("{source:?}") };
        assert_eq!(source.peer, "unix");
        assert_eq!(harness.daemon().address().port() != 0, tcp);
        assert!(harness.daemon().place().contains(path.to_str().unwrap()));
        if tcp {
            harness.status().await;
        }
        harness.stop().await;
        until("the socket to go with its daemon", async || (!path.exists()).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_socket_the_kernel_says_who_calls() {
    let folders = support::Folders::new();
    let path = folders.root.path().join("leukd.sock");
    let (harness, _file) = {
        let file = folders.root.path().join("access.toml");
        std::fs::write(&file, "").unwrap();
        let harness = Harness::start_on(folders, |settings| {
            settings.rpc.socket = Some(path.clone());
            settings.access.file = Some(file.clone().into());
        })
        .await;
        (harness, file)
    };
    // Our own user, which is the daemon's too.
    let mut control = ControlClient::new(over_socket(&path).await);
    control.get_status(proto::GetStatusRequest {}).await.unwrap();
    let status = harness.control().get_status(proto::GetStatusRequest {}).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "over TCP he is nobody");
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_one_in_use_or_another_file_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leukd.sock");
    // A listener that is dropped without ceremony leaves its file, as a killed daemon does.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let first = UnixSocket::open(&path, 0o660).await.unwrap();
    let second = UnixSocket::open(&path, 0o660).await;
    assert!(matches!(second, Err(ListenError::InUse(_))), "{second:?}");
    assert!(tokio::net::UnixStream::connect(&path).await.is_ok(), "the first is left in peace");
    // A socket that somebody else has put there meanwhile is not ours to remove.
    std::fs::remove_file(&path).unwrap();
    let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
    drop(first);
    assert!(path.exists());
    drop(other);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "precious").unwrap();
    let third = Listeners::open(None, Some((&path, 0o660))).await;
    assert!(matches!(third, Err(ListenError::NoSocket(_))), "{third:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    let nowhere = UnixSocket::open(&folder.path().join("none/leukd.sock"), 0o660).await.unwrap_err();
    assert!(nowhere.to_string().contains("its folder must exist"), "{nowhere}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_beyond_measure_is_refused() {
    let harness = Harness::start().await;
    let mut request = Request::new(proto::GetStatusRequest {});
    request.metadata_mut().insert("x-long", "x".repeat(64 * 1024).parse().unwrap());
    let refused = tokio::time::timeout(PATIENCE, harness.control().get_status(request)).await;
    assert!(refused.expect("an answer in time").is_err());
    harness.status().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_cannot_take_every_connection_and_silent_ones_are_closed() {
    let harness = Harness::start_with(|settings| settings.rpc.max_connections = 8).await;
    let address = harness.daemon().address();
    let elsewhere = async |from: &str| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        socket.connect(address).await.unwrap()
    };
    // Six are the most of one address; the seventh is closed at once, and is told nothing.
    let mut silent = Vec::new();
    for _ in 0..6 {
        silent.push(elsewhere("127.0.0.2").await);
    }
    let began = std::time::Instant::now();
    let mut seventh = elsewhere("127.0.0.2").await;
    closes(&mut seventh).await;
    assert!(began.elapsed() < Duration::from_secs(5), "at once, {:?}", began.elapsed());
    harness.status().await;
    let other = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    ControlClient::new(other).get_status(proto::GetStatusRequest {}).await.unwrap();
    // Who never begins to speak HTTP/2 gives his place back.
    for connection in &mut silent {
        closes(connection).await;
    }
}

/// Waits until the server has closed the connection.
async fn closes(connection: &mut tokio::net::TcpStream) {
    use tokio::io::AsyncReadExt as _;
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, connection.read_to_end(&mut bytes)).await;
    let _ = read.expect("the connection is closed in time");
}
