//! What is installed: the unit, the package, and what they are made of. Most of it on a machine of
//! its own (`boot.rs`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/bounded.rs"]
mod bounded;

mod boot;
mod confined;
mod dependencies;
mod package;
mod units;
