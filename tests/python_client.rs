//! A Python client made from proto/ alone gets every result just once, over many broken connections.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use support::{ALL, HEM, Harness, cell_of};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_gets_every_result_just_once_over_broken_connections() {
    let program = std::env::var("LEUKD_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let packages = "import grpc, grpc_tools, grpc_health, grpc_reflection";
    let found = python(&program, &["-c", packages]).await;
    if !found.is_some_and(|output| output.status.success()) {
        let missing =
            format!("{program} with the packages of tests/python/requirements.txt is not here");
        assert!(std::env::var("LEUKD_REQUIRE_PYTHON").as_deref() != Ok("1"), "{missing}");
        println!("skipped: {missing}");
        return;
    }
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
    let says = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let both = format!("{}{}", says(&output.stdout), says(&output.stderr));
    assert!(output.status.success(), "{both}");
    assert!(both.contains(&format!("{CAPTURES} results over")), "{both}");
    println!("{both}");
}
