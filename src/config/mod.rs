//! Layered settings → one checked struct. The only room that reads files or variables for settings.

pub mod settings;
pub mod units;
