//! A Python client made from proto/ alone gets every result just once, over many broken
//! connections.

#![allow(clippy::print_stdout)]

use crate::support;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use crate::support::keys::{Ca, speak_tls, token};
use crate::support::{ALL, Folders, HEM, Harness, cell_of};
use leukd::access::Scope;

const CAPTURES: u64 = 60;

/// Runs a python to its end, in bounded time; none where there is no such program.
async fn python(program: &str, arguments: &[&str]) -> Option<Output> {
    let run = tokio::process::Command::new(program)
        .args(arguments)
        // tests/python is no place for caches.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(support::PATIENCE, run).await.expect("python ends in time").ok()
}

/// The python that has the packages of tests/python/requirements.txt; none, said so, where it is
/// not here.
async fn interpreter() -> Option<String> {
    let program = std::env::var("LEUKD_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let packages = "import grpc, grpc_tools, grpc_health, grpc_reflection";
    let found = python(&program, &["-c", packages]).await;
    if found.is_some_and(|output| output.status.success()) {
        return Some(program);
    }
    let missing =
        format!("{program} with the packages of tests/python/requirements.txt is not here");
    assert!(std::env::var("LEUKD_REQUIRE_PYTHON").as_deref() != Ok("1"), "{missing}");
    println!("skipped: {missing}");
    None
}

fn output_of(output: &Output) -> String {
    let says = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", says(&output.stdout), says(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_gets_every_result_just_once_over_broken_connections() {
    let Some(program) = interpreter().await else { return };
    let harness = Harness::start().await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = root.join("tests/python/client_test.py");
    let proto = root.join("proto");
    let (server, expect) = (harness.daemon().address().to_string(), CAPTURES.to_string());
    let arguments = [
        script.to_str().unwrap(),
        "--proto",
        proto.to_str().unwrap(),
        "--server",
        &server,
        "--expect",
        &expect,
    ];
    let drop_captures = async {
        for number in 0..CAPTURES {
            let patches = if number % 2 == 0 { ALL } else { HEM };
            harness.drop_capture(&format!("{number}.bmp"), &cell_of(patches, number));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (output, ()) = tokio::join!(python(&program, &arguments), drop_captures);
    let output = output.unwrap();
    let both = output_of(&output);
    assert!(output.status.success(), "{both}");
    assert!(both.contains(&format!("{CAPTURES} results over")), "{both}");
    println!("{both}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_shows_its_token_over_tls_and_may_what_its_scope_says() {
    let Some(program) = interpreter().await else { return };
    let folders = Folders::new();
    let root = folders.root.path().to_owned();
    let path = |name: &str| root.join(name).to_str().unwrap().to_owned();
    let (ca, access) = (Ca::new("ca"), root.join("access.toml"));
    std::fs::write(path("ca.pem"), &ca.pem).unwrap();
    std::fs::write(path("token"), token(&access, "reader", &[Scope::Read])).unwrap();
    let harness = Harness::start_on(folders, |settings| {
        speak_tls(settings, &root, &ca);
        settings.access.file = Some(access.into());
    })
    .await;
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let server = format!("localhost:{}", harness.daemon().address().port());
    let script = here.join("tests/python/secure_client.py");
    let proto = here.join("proto");
    let arguments = [
        script.to_str().unwrap(),
        "--proto",
        proto.to_str().unwrap(),
        "--server",
        &server,
        "--ca",
        &path("ca.pem"),
        "--token-file",
        &path("token"),
    ];
    let output = python(&program, &arguments).await.unwrap();
    let both = output_of(&output);
    assert!(output.status.success(), "{both}");
    println!("{both}");
}
