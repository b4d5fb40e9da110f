//! Fuzzing: bytes that nobody meant, for a bounded time, with the toolchain that builds leukd.
//!
//! `LEUKD_FUZZ_SECONDS` says how long each target runs (2 by default), `LEUKD_FUZZ_SEED` where its
//! dice begin. What fails is written to `target/fuzz/` and named in the failure;
//! `LEUKD_FUZZ_REPLAY=FILE` runs that input alone. The same targets run under libFuzzer:
//! `fuzz/README.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub
)]

mod harness;
mod targets;

use harness::fuzz;

#[test]
fn picture() {
    fuzz("picture", targets::picture::seeds(), targets::picture::run);
}

#[test]
fn pixels() {
    fuzz("pixels", targets::pixels::seeds(), targets::pixels::run);
}

#[test]
fn name() {
    fuzz("name", targets::name::seeds(), targets::name::run);
}

#[test]
fn config() {
    fuzz("config", targets::config::seeds(), targets::config::run);
}

#[test]
fn bundle() {
    fuzz("bundle", targets::bundle::seeds(), targets::bundle::run);
}

#[test]
fn network() {
    fuzz("network", targets::network::seeds(), targets::network::run);
}

#[test]
fn signature() {
    fuzz("signature", targets::signature::seeds(), targets::signature::run);
}

#[test]
fn request() {
    fuzz("request", targets::request::seeds(), targets::request::run);
}

#[test]
fn ledger() {
    fuzz("ledger", targets::ledger::seeds(), targets::ledger::run);
}
