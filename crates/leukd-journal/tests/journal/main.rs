//! What the journal promises, through its public face.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod audit;
mod audit_edits;
mod backup;
#[path = "../../../../tests/support/bounded.rs"]
mod bounded;
mod crash;
mod damage;
mod durability;
mod epochs;
mod fields;
mod fixtures;
mod follow;
mod identity;
mod kill;
mod quality;
mod queries;
mod retention;
mod reviews;
mod signatures;
mod specimens;
mod stream;
