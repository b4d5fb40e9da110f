//! From folders of cells to figures: what is read, split, measured, pooled and told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod dataset;
mod decisions;
mod distil;
mod evaluate;
mod evaluate_command;
mod fields;
mod journal;
mod pool;
mod recipe;
mod report;
mod shipped_script;
mod whole;
