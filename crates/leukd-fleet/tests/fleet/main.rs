//! The journal in a real PostgreSQL. Tests skip, saying so, where it is not installed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod access;
mod fencing;
mod figures;
mod fixtures;
mod forward;
mod oracle;
mod proxy;
mod recovery;
