//! Sign-off of a specimen.

use std::sync::Arc;

use super::person::name;
use super::results::at_most;
use super::{MAX_ID, Service, ServiceError};
use crate::journal::SignError;
use crate::signature::{Act, MAX_REASON, NewSignature, SignOff, Signature, Signed, is_same_person};

/// A stored signature or withdrawal.
#[derive(Debug)]
pub struct SignedOff {
    /// The signature or withdrawal.
    pub signature: Arc<Signature>,
    /// It was stored already, under the same id.
    pub is_known: bool,
    /// The specimen's sign-off now; none where retention has removed its results.
    pub sign_off: Option<SignOff>,
}

impl Service {
    /// Stores a signature or a withdrawal. The journal decides whether it may be.
    ///
    /// # Errors
    /// A field does not hold what it must, the specimen cannot be signed as it is, or the journal
    /// cannot be written.
    pub async fn sign(&self, mut new: NewSignature) -> Result<SignedOff, ServiceError> {
        if new.specimen.is_empty() {
            return Err(ServiceError::field("specimen", "give the specimen's id"));
        }
        at_most(MAX_ID, "specimen", &new.specimen)?;
        new.signer = name("signer", &new.signer)?;
        new.by = name("withdrawn_by", &new.by)?;
        at_most(MAX_REASON, "reason", &new.reason)?;
        let is_others = !is_same_person(&new.signer, &new.by);
        if new.act == Act::Signed && (is_others || !new.reason.is_empty()) {
            let message = "only a withdrawal is by another person, or has a reason";
            return Err(ServiceError::field("signer", message));
        }
        if new.act == Act::Withdrawn && is_others && new.reason.trim().is_empty() {
            let message = format!("say why {} withdraws the signature of {}", new.by, new.signer);
            return Err(ServiceError::field("reason", message));
        }
        if let Some(id) = &mut new.signature_id {
            let uuid = uuid::Uuid::try_parse(id)
                .map_err(|_| ServiceError::field("signature_id", "this is no UUID"))?;
            // One way to write it, or the same id would be two.
            *id = uuid.hyphenated().to_string();
        }
        new.readers = self.limits.sign_off_readers;
        let (signature, is_known) = match self.journal.sign(new).await {
            Ok(Signed::Stored(signature)) => (signature, false),
            Ok(Signed::Known(signature)) => (signature, true),
            // The same words for a specimen that is not there, whoever asks for it.
            Err(SignError::NoSpecimen(specimen)) => {
                return Err(ServiceError::NoSpecimen { specimen, slide: None });
            }
            Err(error) => return Err(error.into()),
        };
        if !is_known {
            let (sequence, act) = (signature.sequence, signature.act.as_str());
            tracing::info!(sequence, act, "signature stored");
        }
        let sign_off = self.sign_off(signature.specimen.clone()).await?;
        Ok(SignedOff { signature, is_known, sign_off })
    }

    /// The sign-off of a specimen; none when no live result names it.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(super) async fn sign_off(&self, specimen: String) -> Result<Option<SignOff>, ServiceError> {
        let readers = self.limits.sign_off_readers;
        self.read(move |journal| journal.sign_off(&specimen, readers)).await
    }
}
