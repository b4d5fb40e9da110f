//! What is sent, and how the other side answers.

use serde::{Deserialize, Serialize};

/// One round of a specimen, encoded. It is made once and sent again as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The journal that the round is of.
    pub epoch: String,
    /// The round's place in it.
    pub sequence: u64,
    /// The name that a file of it has.
    pub file: String,
    /// The identifier that the other side answers with, or knows a repeat by.
    pub id: String,
    /// What is sent.
    pub body: String,
}

/// The other side's answer to one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It has taken the message.
    Accepted,
    /// It refuses this message, for this reason.
    Refused(String),
    /// It cannot be reached, or cannot answer now, for this reason. No fault of the message's.
    Away(String),
}

/// Where messages go.
pub trait Destination: Send {
    /// Sends a message once, in bounded time.
    fn send(&mut self, message: &Message) -> Verdict;
}
