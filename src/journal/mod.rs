//! Results that survive: store, ledger, cursor, retention.

pub mod types;
