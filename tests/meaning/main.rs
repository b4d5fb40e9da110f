//! What a result says: its decision, its doubts, where in the picture it came from, what a specimen
//! and a person add.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod decision;
mod drift;
mod heatmap;
mod images;
mod quality;
mod reference;
mod reviews;
mod signing;
mod specimen;
mod specimens;
