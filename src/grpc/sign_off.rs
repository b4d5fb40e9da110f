//! Signatures as clients see them.

use super::convert::time;
use super::proto::{self, sign_off::Held};
use crate::service::SignedOff;
use crate::signature::{self, Act, NewSignature, SignOff, SignOffState};

/// A signature or a withdrawal.
pub(super) fn signature(own: &signature::Signature, epoch: &str) -> proto::Signature {
    use proto::signature::Act as Told;
    proto::Signature {
        sequence: own.sequence,
        epoch: epoch.to_owned(),
        signature_id: own.signature_id.clone(),
        specimen: own.specimen.clone(),
        act: match own.act {
            Act::Signed => Told::Signed.into(),
            Act::Withdrawn => Told::Withdrawn.into(),
        },
        signer: own.signer.clone(),
        acted_by: own.by.clone(),
        reason: own.reason.clone(),
        withdraws: own.withdraws.unwrap_or_default(),
        all: own.cells.all,
        hem: own.cells.hem,
        review: own.cells.review,
        rejected: own.cells.rejected,
        client: own.client.clone(),
        signed_at: Some(time(own.at)),
    }
}

/// Where the sign-off of a specimen stands.
pub(super) fn sign_off(own: SignOff, epoch: &str) -> proto::SignOff {
    use proto::sign_off::{Since, State};
    let state = match own.state {
        SignOffState::Open => State::Open,
        SignOffState::Waiting => State::Waiting,
        SignOffState::Signed => State::Signed,
        SignOffState::Changed => State::Changed,
    };
    let held = own.held.iter().map(|held| Held {
        signature: Some(signature(&held.signature, epoch)),
        counts: held.is_current,
    });
    proto::SignOff {
        state: state.into(),
        readers: own.readers,
        to_review: own.to_review,
        signatures: held.collect(),
        first_to_review: own.first,
        since: own.since.map(|since| Since {
            newest: since.newest,
            results: since.results,
            reviews: since.reviews,
        }),
        as_of_sequence: own.as_of_sequence,
    }
}

/// The signature that a client asks for.
pub(super) fn to_sign(request: proto::SignSpecimenRequest, client: String) -> NewSignature {
    let proto::SignSpecimenRequest { specimen, signer, as_of_sequence, signature_id } = request;
    NewSignature {
        specimen,
        act: Act::Signed,
        by: signer.clone(),
        signer,
        reason: String::new(),
        client,
        signature_id: Some(signature_id).filter(|id| !id.is_empty()),
        seen: (as_of_sequence > 0).then_some(as_of_sequence),
        readers: 0,
    }
}

/// The withdrawal that a client asks for.
pub(super) fn to_withdraw(
    request: proto::WithdrawSignatureRequest,
    client: String,
) -> NewSignature {
    let proto::WithdrawSignatureRequest { specimen, signer, withdrawn_by, reason, signature_id } =
        request;
    NewSignature {
        specimen,
        act: Act::Withdrawn,
        by: if withdrawn_by.is_empty() { signer.clone() } else { withdrawn_by },
        signer,
        reason,
        client,
        signature_id: Some(signature_id).filter(|id| !id.is_empty()),
        seen: None,
        readers: 0,
    }
}

/// The parts of an answer.
pub(super) fn answer(
    done: SignedOff,
    epoch: &str,
) -> (Option<proto::Signature>, bool, Option<proto::SignOff>) {
    let sign_off = done.sign_off.map(|own| self::sign_off(own, epoch));
    (Some(signature(&done.signature, epoch)), done.is_known, sign_off)
}
