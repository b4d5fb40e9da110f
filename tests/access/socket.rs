//! The Unix socket.

use std::os::unix::fs::PermissionsExt as _;

use leukd::config::files::FileMode;
use leukd::grpc::proto;
use leukd::grpc::proto::classifier_client::ClassifierClient;
use leukd::grpc::proto::control_client::ControlClient;
use leukd::grpc::transport::{ListenError, Listeners, UnixSocket};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::support::{self, ALL, Harness, cell_of, in_time, until};

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
        let source = answer.result.unwrap().capture.unwrap().source.unwrap().kind.unwrap();
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

/// Only root can be somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn another_user_may_do_over_the_socket_what_the_file_says_and_nothing_else() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only the superuser may call as another user");
        return;
    }
    const OTHER: u32 = 12_345;
    let folders = support::Folders::new();
    let root = folders.root.path().to_owned();
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (path, file, program) =
        (root.join("leukd.sock"), root.join("access.toml"), root.join("leukd"));
    std::fs::copy(env!("CARGO_BIN_EXE_leukd"), &program).unwrap();
    std::fs::write(&file, "").unwrap();
    let _harness = Harness::start_on(folders, |settings| {
        settings.rpc.socket = Some(path.clone());
        settings.rpc.socket_mode = FileMode(0o666);
        settings.access.file = Some(file.clone().into());
    })
    .await;
    let ask = async || {
        let run = tokio::process::Command::new(&program)
            .args(["status", "--server", &format!("unix:{}", path.display())])
            .current_dir(&root)
            .uid(OTHER)
            .gid(OTHER)
            .kill_on_drop(true)
            .output();
        in_time("leukd status", run).await.unwrap()
    };
    let refused = ask().await;
    let says = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(77), "{says}");
    assert!(says.contains("uid:12345 lacks the scope read"), "{says}");
    std::fs::write(&file, format!("[[user]]\nuid = {OTHER}\nscopes = [\"read\"]\n")).unwrap();
    until("the right", async || ask().await.status.success().then_some(())).await;
    // A right to read is none to do anything else: PERMISSION_DENIED, and it is told whose.
    let run = tokio::process::Command::new(&program)
        .args(["reload", "--server", &format!("unix:{}", path.display())])
        .uid(OTHER)
        .gid(OTHER)
        .kill_on_drop(true)
        .output();
    let refused = in_time("leukd reload", run).await.unwrap();
    let says = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(77), "{says}");
    assert!(says.contains("uid:12345 lacks the scope admin"), "{says}");
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
    let nowhere =
        UnixSocket::open(&folder.path().join("none/leukd.sock"), 0o660).await.unwrap_err();
    assert!(nowhere.to_string().contains("its folder must exist"), "{nowhere}");
}
