//! Many workstations, one laboratory. Each site keeps its own journal, which stays the buffer and
//! the truth; a [`Forwarder`] copies it into the laboratory's store.
//!
//! A copied event is the text that the site's audit chain hashes, byte for byte, and the chain's
//! records go with it: the store alone is enough to verify every site.
//!
//! The guarantee lies in the store's own transaction, not in an acknowledgement: on each connection
//! the cursor is what the store really holds ([`Sink::connect`]), so that a store that came back
//! from an older backup is filled again, and an answer that was lost costs nothing. A key over
//! (site, epoch, sequence) sees to it that nothing is held twice.
//!
//! # One writer for one name
//!
//! A site's name belongs to one journal and to those that come of it: a journal that was restored or
//! recovered names the epochs before its own. Any other journal is refused until a person lets it in
//! (`leukd lab accept`). Each connection takes a new number ([`Sink::claim`]), and what an earlier
//! one still has under way is refused by the store. Two copies of one journal that went different
//! ways show at the audit chain's record that the store holds last.

mod backoff;
mod batch;
mod engine;
pub mod local;
mod postgres;
mod progress;
mod sink;

pub use batch::{Batch, Held, Reader};
pub use engine::{Forwarder, Identity};
pub use postgres::{
    Address, Lab, LabError, PostgresSink as StoreSink, SiteStatus, TlsFiles, Verified,
    check_site_name,
};
pub use progress::{Figures, Progress, State};
pub use sink::{Claim, Sink, SinkError};
