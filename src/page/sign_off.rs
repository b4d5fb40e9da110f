//! Signatures → JSON, as the page's modules read them. Times are milliseconds since 1970.

use serde_json::{Value, json};

use crate::signature::{SignOff, Signature};

/// A signature or a withdrawal.
pub(super) fn signature(own: &Signature) -> Value {
    json!({
        "sequence": own.sequence,
        "signature_id": own.signature_id,
        "specimen": own.specimen,
        "act": own.act,
        "signer": own.signer,
        "by": own.by,
        "reason": own.reason,
        "withdraws": own.withdraws,
        "client": own.client,
        "at": own.at,
    })
}

/// The sign-off of a specimen.
pub(super) fn sign_off(own: &SignOff) -> Value {
    let held = own.held.iter().map(|held| {
        let mut value = signature(&held.signature);
        value["counts"] = held.is_current.into();
        value
    });
    let since = own.since.map(
        |since| json!({"newest": since.newest, "results": since.results, "reviews": since.reviews}),
    );
    json!({
        "state": own.state,
        "readers": own.readers,
        "to_review": own.to_review,
        "first": own.first,
        "signatures": held.collect::<Vec<_>>(),
        "since": since,
        "as_of": own.as_of_sequence,
    })
}
