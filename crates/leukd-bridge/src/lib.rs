//! Specimens for laboratory systems that do not speak gRPC: HL7 v2.5.1 over MLLP, FHIR R4, CSV.
//!
//! A [`Round`] is what leukd counted of a specimen, once. It becomes one [`Message`], which is
//! stored before it is sent ([`State`]), sent again as it is until the other side has taken it
//! ([`Destination`], [`Attempts`]), and only then does the cursor move. A message that the other
//! side refuses again and again is set aside with the reason, never dropped.
//!
//! Nothing here knows gRPC: the program that follows the daemon makes the rounds.
//!
//! For Research Use Only. Not for use in diagnostic procedures.

mod attempts;
mod codes;
pub mod csv;
pub mod fhir;
mod folder;
pub mod hl7;
mod message;
pub mod mllp;
mod place;
mod round;
mod state;
mod tls;

pub use attempts::{Attempts, Next, Patience};
pub use codes::{Code, CodeError, Codes};
pub use folder::Folder;
pub use message::{Destination, Message, Verdict};
pub use place::{Place, PlaceError};
pub use round::{Count, ModelName, Round, Standing};
pub use state::{Cursor, DeadLetter, State, StateError};
pub use tls::{ClientKeys, TlsError};
