//! The training loop.

mod checkpoint;
mod loader;
mod loss;
mod order;
mod pace;
mod plan;
mod plateau;
mod readings;
mod run;
mod schedule;
mod state;
mod stop;
mod validate;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use loader::{Batch, Loader, pixels};
pub use loss::loss;
pub use order::batches;
pub use pace::pace;
pub use plan::{Ending, Observer, Plan, Start, Step};
pub use plateau::{Monitor, Plateau, PlateauSettings, Verdict};
pub use run::fit;
pub use schedule::Cosine;
pub use state::{EpochLine, HEADING, Partial, State};
pub use stop::Stop;
pub use validate::{Validation, refresh_norms, validate};
