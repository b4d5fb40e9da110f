//! Sends the message under way until it was taken or set aside.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use leukd_bridge::{Attempts, Cursor, Destination, Message, Next, Patience, State, Verdict};

use super::figures::Figures;
use super::kept;
use crate::cli::error::CliError;
use crate::clock::Clock;

/// The way of messages to their destination.
pub(super) struct Delivery {
    state: State,
    /// Absent while an attempt has it.
    destination: Option<Box<dyn Destination>>,
    patience: Patience,
    max_dead_letters: u64,
    figures: Arc<Figures>,
}

/// The end of the attempts at one message.
enum Fate {
    Taken,
    Refused { reason: String, attempts: u32 },
}

impl Delivery {
    pub(super) fn new(
        state: State,
        destination: Box<dyn Destination>,
        patience: Patience,
        max_dead_letters: u64,
        figures: Arc<Figures>,
    ) -> Self {
        Self { state, destination: Some(destination), patience, max_dead_letters, figures }
    }

    pub(super) const fn cursor(&self) -> Option<&Cursor> {
        self.state.cursor()
    }

    /// Keeps a message, and sends it until it was taken or set aside.
    pub(super) async fn send(&mut self, message: Message) -> Result<(), CliError> {
        self.state.begin(message).map_err(|error| kept(&error))?;
        self.finish().await
    }

    /// Moves the cursor past events that lead to no message.
    pub(super) fn advance(&mut self, cursor: Cursor) -> Result<(), CliError> {
        if self.state.cursor() == Some(&cursor) {
            return Ok(());
        }
        self.figures.passed(cursor.sequence);
        self.state.advance(cursor).map_err(|error| kept(&error))
    }

    /// Sends the message under way, if there is one, until it was taken or set aside.
    pub(super) async fn finish(&mut self) -> Result<(), CliError> {
        let Some(message) = self.state.pending().cloned() else { return Ok(()) };
        self.figures.began();
        let room = self.state.dead_letters() < self.max_dead_letters;
        match self.attempt(&message, room).await? {
            Fate::Taken => {
                self.state.taken().map_err(|error| kept(&error))?;
                self.figures.acknowledged(message.sequence);
                tracing::info!(id = message.id, "message taken");
            }
            Fate::Refused { reason, attempts } => {
                let at = Clock::system().wall().to_rfc3339();
                let file = self.state.set_aside(&reason, attempts, at).map_err(|e| kept(&e))?;
                self.figures.set_aside(message.sequence, self.state.dead_letters());
                let file = file.display();
                tracing::error!(
                    id = message.id, attempts, reason, %file,
                    "message set aside: mend what the reason names, then start with --retry-dead-letters"
                );
            }
        }
        Ok(())
    }

    /// Sends dead letters again. One that is refused again stays.
    pub(super) async fn retry_dead_letters(&mut self) -> Result<(), CliError> {
        let letters = self.state.set_aside_before().map_err(|error| kept(&error))?;
        for (file, letter) in letters {
            self.retry(file, &letter.message).await?;
        }
        Ok(())
    }

    async fn retry(&mut self, file: PathBuf, message: &Message) -> Result<(), CliError> {
        match self.attempt(message, true).await? {
            Fate::Taken => {
                self.state.sent_after_all(&file).map_err(|error| kept(&error))?;
                self.figures.revived(self.state.dead_letters());
                tracing::info!(id = message.id, "dead letter taken after all");
            }
            Fate::Refused { reason, .. } => {
                tracing::warn!(id = message.id, reason, "dead letter refused again");
            }
        }
        Ok(())
    }

    /// Attempts until the other side has taken the message, or has refused it often enough and there
    /// is `room` for a dead letter.
    async fn attempt(&mut self, message: &Message, room: bool) -> Result<Fate, CliError> {
        let mut attempts = Attempts::new(self.patience);
        let mut full = false;
        loop {
            let verdict = self.once(message).await?;
            self.figures.answered(&verdict);
            let pause = match attempts.after(verdict) {
                Next::Advance => return Ok(Fate::Taken),
                Next::SetAside(reason) if room => {
                    return Ok(Fate::Refused { reason, attempts: attempts.made() });
                }
                Next::SetAside(reason) => {
                    if !std::mem::replace(&mut full, true) {
                        let limit = self.max_dead_letters;
                        tracing::error!(
                            id = message.id,
                            reason,
                            limit,
                            "there are as many dead letters as there may be: the message waits"
                        );
                    }
                    self.patience.longest_pause
                }
                Next::Wait(pause) => pause,
            };
            tokio::time::sleep(pause.max(Duration::from_millis(1))).await;
        }
    }

    /// One attempt, on a thread where it may wait.
    async fn once(&mut self, message: &Message) -> Result<Verdict, CliError> {
        let gone = || CliError::Software("the destination was lost in an attempt".to_owned());
        let mut destination = self.destination.take().ok_or_else(gone)?;
        let message = message.clone();
        let sending = tokio::task::spawn_blocking(move || {
            let verdict = destination.send(&message);
            (destination, verdict)
        });
        let (destination, verdict) = sending.await.map_err(|_| gone())?;
        self.destination = Some(destination);
        Ok(verdict)
    }
}
