//! The journal's side of a sign-off.

use crate::error::{JournalError, SignError};
use crate::handle::Journal;
use crate::kinds::signature;
use crate::signature::{NewSignature, SignOff, Signed};
use crate::work::Work;

impl Journal {
    /// Makes a signature or a withdrawal durable, or finds it by its id. Waits for the writer and
    /// for the disk, as [`Journal::commit`] does.
    ///
    /// # Errors
    /// See [`SignError`]; nothing was stored.
    pub async fn sign(&self, new: NewSignature) -> Result<Signed, SignError> {
        self.ask(|reply| Work::Sign(Box::new(new), reply)).await?
    }

    /// The sign-off of a specimen that `readers` people must sign; none when no live result names
    /// it. Blocks.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read.
    pub fn sign_off(&self, specimen: &str, readers: u32) -> Result<Option<SignOff>, JournalError> {
        let newest = self.bounds().newest;
        self.read(|connection| {
            // One snapshot for all statements: retention may work in between.
            let snapshot = connection.unchecked_transaction()?;
            signature::sign_off(&snapshot, specimen, readers, newest)
        })
    }
}
