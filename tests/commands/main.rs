//! The command line by itself, its manual, its settings and the documents beside it: without a
//! running daemon.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/bounded.rs"]
mod bounded;

mod classify;
mod config;
mod documents;
mod local;
mod manual;
mod remote;
