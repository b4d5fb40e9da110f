//! The demonstration serves the page.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::driver::Browser;
use crate::http::Client;
use crate::support::{in_time, until};

/// A demonstration with its page.
struct Demo {
    process: Child,
    address: SocketAddr,
    /// What it says goes on being read, so that it never waits.
    _said: JoinHandle<()>,
}

async fn demo(cells: &str) -> Demo {
    let mut process = Command::new(env!("CARGO_BIN_EXE_leukd"))
        .args(["demo", "--cells", cells])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(process.stderr.take().unwrap()).lines();
    let address = in_time("the page's address", async {
        loop {
            let line = said.next_line().await.unwrap().expect("the demo goes on");
            if let Some((_, rest)) = line.split_once("the page: http://") {
                break rest.split('/').next().unwrap().parse().unwrap();
            }
        }
    })
    .await;
    let said = tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
    Demo { process, address, _said: said }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_cells_and_a_field_on_its_page_until_ctrl_c() {
    let Demo { process: mut demo, address, .. } = demo("2").await;
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

/// README's picture: the page on cells that the demonstration draws.
const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/images/page.webp");

/// The picture's most bytes: everybody who clones the repository loads it.
const MAX_BYTES: usize = 200_000;

#[tokio::test(flavor = "multi_thread")]
async fn the_picture_in_the_readme_is_the_demo() {
    if std::env::var_os("LEUKD_UPDATE_DOCS").is_some() {
        let Some(browser) = Browser::start().await else { return };
        let demo = demo("12").await;
        let client = Client::new(demo.address);
        let field = until("the drawn field", async || {
            let page = client.get("/api/gallery?specimen=903").await.json();
            page["cells"][4]["field"].as_u64()
        })
        .await;
        browser.open(&format!("http://{}/field?sequence={field}", demo.address)).await;
        browser.wait("return document.getElementById('live')?.className === 'badge live'").await;
        let shown = "const images = [...document.querySelectorAll('.card img, .field img')]
                         .filter((one) => one.getBoundingClientRect().top < innerHeight);
                     return images.length > 3 && images.every((one) => one.naturalWidth > 0)
                         && document.querySelector('.outline')";
        browser.wait(shown).await;
        std::fs::create_dir_all(Path::new(PICTURE).parent().unwrap()).unwrap();
        std::fs::write(PICTURE, browser.webp().await).unwrap();
    }
    let picture = std::fs::read(PICTURE).unwrap();
    assert_eq!((&picture[..4], &picture[8..12]), (&b"RIFF"[..], &b"WEBP"[..]));
    assert!(picture.len() < MAX_BYTES, "{} bytes", picture.len());
    for document in ["README.md", "docs/guide/page.md"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document));
        assert!(text.unwrap().contains("images/page.webp"), "{document}");
    }
}
