//! One file a target: its seeds, and what must hold of any bytes. libFuzzer's entries include the
//! same files.

pub mod bundle;
pub mod config;
pub mod ledger;
pub mod name;
pub mod network;
pub mod picture;
pub mod pixels;
pub mod request;
pub mod signature;

/// An error's words without its numbers and quotations: how it ended, not where.
pub fn kind(message: &str) -> String {
    let mut quoted = false;
    let words = message.chars().filter(|c| {
        quoted ^= matches!(c, '"' | '`');
        !quoted && !c.is_ascii_digit() && !c.is_control()
    });
    words.take(120).collect()
}
