//! The web page, over real HTTP and in a real browser.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod blind;
mod browser;
mod demo;
mod driver;
mod exports;
mod guard;
mod http;
mod large;
mod live;
mod plots;
mod screens;
mod signing;
#[path = "../support/mod.rs"]
mod support;

use leukd::config::settings::Settings;

use http::Client;
use support::{Folders, Harness};

/// Switches the page on, at any free port.
fn with_page(settings: &mut Settings) {
    settings.page.enabled = true;
    settings.page.listen = "127.0.0.1:0".parse().unwrap();
}

/// A daemon with a page, and a browser's HTTP.
async fn start_on(folders: Folders, change: impl FnOnce(&mut Settings)) -> (Harness, Client) {
    let harness = Harness::start_on(folders, |settings| {
        with_page(settings);
        change(settings);
    })
    .await;
    let client = Client::new(harness.daemon().page_address().unwrap());
    (harness, client)
}

async fn start() -> (Harness, Client) {
    start_on(Folders::new(), |_| {}).await
}
