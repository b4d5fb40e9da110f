//! What a fault costs: the real binary, and real faults. docs/development/faults.md has one row for
//! each of these tests.
//!
//! Some need the superuser (mounts, control groups) or a program (strace, libfaketime); where one
//! is missing a test says that it skips.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

mod burst;
mod certificates;
mod clock;
mod disk;
mod epochs;
mod folder;
mod guilty;
mod killed;
mod killed_fields;
mod limits;
mod ready;
mod recovery;
mod reload;
mod share;
mod slow;
mod subscribers;
mod wire;
