//! The demonstration serves the page.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::http::Client;
use crate::support::{in_time, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_cells_and_a_field_on_its_page_until_ctrl_c() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_leukd"))
        .args(["demo", "--cells", "2"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(demo.stderr.take().unwrap()).lines();
    let address = in_time("the page's address", async {
        loop {
            let line = said.next_line().await.unwrap().expect("the demo goes on");
            if let Some((_, rest)) = line.split_once("the page: http://") {
                break rest.split('/').next().unwrap().parse().unwrap();
            }
        }
    })
    .await;
    let client = Client::new(address);
    assert_eq!(client.get("/").await.status, 200);
    let listed = until("the drawn field to be classified", async || {
        let listed = client.get("/api/specimens").await.json();
        let specimens = listed["specimens"].as_array().unwrap().clone();
        specimens.iter().any(|own| own["specimen"] == "903").then_some(specimens.len())
    })
    .await;
    assert_eq!(listed, 3, "two specimens of cells and the field");
    let id = rustix::process::Pid::from_raw(demo.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let ended = in_time("the demo to end", demo.wait()).await.unwrap();
    assert!(ended.success(), "{ended}");
}
