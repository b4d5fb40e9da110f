//! A request's body, as far as it may be long, in the time that it may take.

use std::sync::PoisonError;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;

use super::guard::Caller;
use super::problem::Problem;

/// A body that stands still for this long is given up.
const STALLED: Duration = Duration::from_secs(10);

/// The longest JSON that the page sends: a note with its framing.
const JSON: u64 = 64 * 1024;

/// Reads a body of at most `limit` bytes. They count for the client until it is answered.
pub(super) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    limit: u64,
    caller: &Caller,
) -> Result<Vec<u8>, Problem> {
    let too_long = || {
        let message = format!("more than {limit} bytes are not taken here");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LONG", message)
    };
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    // Before anything is read.
    if length.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > limit) {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    loop {
        let frame = tokio::time::timeout(STALLED, body.frame()).await.map_err(|_| {
            let message = format!("nothing more came for {} s", STALLED.as_secs());
            Problem::new(StatusCode::REQUEST_TIMEOUT, "STALLED", message)
        })?;
        let Some(frame) = frame else { return Ok(bytes) };
        let frame = frame.map_err(|_| Problem::field("the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        let length = data.len() as u64;
        if bytes.len() as u64 + length > limit {
            return Err(too_long());
        }
        caller.place.lock().unwrap_or_else(PoisonError::into_inner).add(length)?;
        bytes.extend_from_slice(&data);
    }
}

/// Reads JSON.
pub(super) async fn json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    caller: &Caller,
) -> Result<T, Problem> {
    let bytes = read(headers, body, JSON, caller).await?;
    serde_json::from_slice(&bytes).map_err(|error| Problem::field(error.to_string()))
}
