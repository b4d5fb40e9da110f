//! Layered settings → one checked struct. The only room that reads files or variables for settings.
//!
//! Layers, each over the one before: built-in defaults (with systemd's `STATE_DIRECTORY`), the
//! system's file (`/etc/leukd/leukd.toml`, or `leukd.toml` in systemd's `CONFIGURATION_DIRECTORY`)
//! where it exists, the file that `--config` names, `LEUKD__SECTION__KEY` variables, flags. A list
//! in a later layer replaces the whole list. An unknown name or a bad value in any layer is an
//! error that says where it stands.

mod audited;
mod check;
mod disk;
mod error;
pub mod files;
mod filter;
mod keys;
mod layer;
mod load;
pub mod settings;
pub use crate::journal::units;

pub use audited::audited;
pub use error::{ConfigError, Origin, Problem};
pub use filter::filter;
pub use load::{Flag, Loaded, SYSTEM_FILE, Sources, load};
pub use settings::Settings;
