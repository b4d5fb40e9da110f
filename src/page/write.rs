//! What a person does: sign in and out, review, sign a specimen, try an image.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::{Extension, extract::Request};
use serde::Deserialize;
use serde_json::json;

use super::guard::{Caller, turn_away};
use super::problem::{Answer, Problem, good};
use super::shared::{Line, Shared};
use super::{body, encode, sign_off};
use crate::access::gate::Credential;
use crate::journal::{Lookup, NewReview};
use crate::result::ReasonCode;
use crate::review::ReviewLabel;
use crate::signature::{Act, NewSignature};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    token: String,
}

/// Begins a session with a token.
pub(super) async fn login(
    State(shared): State<Arc<Shared>>,
    Extension(line): Extension<Line>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let Login { token } = body::json(&headers, body, &caller).await?;
    let gate = &shared.gate;
    if gate.is_open() {
        let message = "this leukd has no access file: nobody needs a token";
        return Err(Problem::new(StatusCode::CONFLICT, "NO_TOKENS", message));
    }
    let shown = format!("Bearer {}", token.trim());
    let judged = gate
        .credential(&line.peer, [Some(shown.as_str())].into_iter())
        .and_then(|credential| Ok((gate.judge(&credential, None)?, credential)));
    let (granted, credential) =
        judged.map_err(|denied| turn_away(gate, &line.peer, "sign in", &denied))?;
    // One that was begun before ends, so that nobody plants a session.
    shared.sessions.end(&headers);
    let cookie = shared.sessions.begin(credential).map_err(|error| Problem::defect(&error))?;
    tracing::info!(client = granted.identity, "signed in to the page");
    with_cookie(good(&json!({"identity": granted.identity})), &cookie)
}

/// Ends the session, here and not only in the browser.
pub(super) async fn logout(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Answer {
    with_cookie(good(&json!({})), &shared.sessions.end(&headers))
}

fn with_cookie(mut response: Response, cookie: &str) -> Answer {
    let cookie = HeaderValue::from_str(cookie).map_err(|error| Problem::defect(&error))?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReviewRequest {
    result_id: String,
    label: ReviewLabel,
    reviewer: String,
    #[serde(default)]
    note: String,
    /// Answered before the suggestion was seen.
    #[serde(default)]
    blind: bool,
    /// The page's own, so that sending it again is harmless.
    review_id: String,
}

/// Stores a review.
pub(super) async fn review(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let request: ReviewRequest = body::json(&headers, body, &caller).await?;
    let new = NewReview {
        of: Lookup::ResultId(request.result_id),
        label: request.label,
        reviewer: request.reviewer,
        note: request.note,
        blind: request.blind,
        client: caller.identity,
        review_id: Some(request.review_id),
    };
    // A browser that leaves meanwhile ends this call, but not what the journal does.
    let reviewed = shared.service.submit_review(new).await?;
    let review = encode::review(&reviewed.review);
    let suggestion = encode::suggestion(&reviewed.review.of);
    Ok(good(&json!({"review": review, "known": reviewed.is_known, "suggestion": suggestion})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignRequest {
    specimen: String,
    act: Act,
    /// Whose signature it is.
    signer: String,
    /// Who withdraws; none for the signer.
    #[serde(default)]
    by: Option<String>,
    #[serde(default)]
    reason: String,
    /// What the page showed when the person signed.
    #[serde(default)]
    as_of: Option<u64>,
    /// The page's own, so that sending it again is harmless.
    signature_id: String,
}

/// Stores a signature of a specimen, or a withdrawal.
pub(super) async fn sign(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let request: SignRequest = body::json(&headers, body, &caller).await?;
    let new = NewSignature {
        specimen: request.specimen,
        act: request.act,
        by: request.by.unwrap_or_else(|| request.signer.clone()),
        signer: request.signer,
        reason: request.reason,
        client: caller.identity,
        signature_id: Some(request.signature_id),
        seen: request.as_of,
        readers: 0,
    };
    let done = shared.service.sign(new).await?;
    Ok(good(&json!({
        "signature": sign_off::signature(&done.signature),
        "known": done.is_known,
        "sign_off": done.sign_off.as_ref().map(sign_off::sign_off),
    })))
}

/// Says what leukd would say of an image. Nothing is stored.
pub(super) async fn attempt(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Answer {
    let (parts, body) = request.into_parts();
    let limit = shared.service.limits.max_image_bytes;
    let image = body::read(&parts.headers, body, limit, &caller).await?;
    Ok(good(&encode::attempt(&shared.service.attempt(image).await?)))
}

/// Who is signed in, and what they may do.
pub(super) async fn session(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
) -> Answer {
    let gate = &shared.gate;
    let may = |scope| gate.judge(&caller.credential, Some(scope)).is_ok();
    let scopes = crate::access::Scope::EVERY.into_iter().filter(|scope| may(*scope));
    let scopes: Vec<&str> = scopes.map(crate::access::Scope::as_str).collect();
    let is_signed_in = gate.is_open() || !matches!(caller.credential, Credential::Nobody);
    Ok(good(&json!({
        "open": gate.is_open(),
        "signed_in": is_signed_in,
        "identity": caller.identity,
        "scopes": scopes,
        "blind_first": shared.blind_first,
        "reasons": ReasonCode::EVERY,
        "build": super::assets::BUILD.as_str(),
        "version": env!("CARGO_PKG_VERSION"),
    })))
}
