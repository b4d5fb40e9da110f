//! The daemon as its users meet it: captures in, results out, and everything that is asked of it
//! meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod audit;
mod bridges;
mod clients;
mod contract;
mod correlation;
mod engine_choice;
mod field_requests;
mod fields;
mod folder_to_result;
mod forward;
mod ingest_folder;
mod ingest_support;
mod ingest_verdicts;
mod load;
mod log_level;
mod metrics;
mod observability;
#[cfg(feature = "otlp")]
mod otlp;
mod process;
mod python_package;
mod real_cells;
mod reload;
mod signed_bundles;
mod subscribe;
