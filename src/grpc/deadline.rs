//! Ends a call whose deadline passes, as the contract says: DEADLINE_EXCEEDED. tonic says
//! CANCELLED.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tower::{Layer, Service};

use super::status;

/// The answer leaves this much before the deadline, so that it is there before tonic's own, and
/// before the client gives up without a reason.
const EARLY: Duration = Duration::from_millis(5);

/// Puts the deadline before the services.
#[derive(Debug, Clone)]
pub(super) struct DeadlineLayer;

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline(inner)
    }
}

/// The deadline, before the services.
#[derive(Debug, Clone)]
pub(super) struct Deadline<S>(S);

type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<S> Service<Request<Body>> for Deadline<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let timeout = timeout(request.headers());
        let answer = self.0.call(request);
        let Some(timeout) = timeout else { return Box::pin(answer) };
        let wait = timeout.saturating_sub(EARLY.min(timeout / 2));
        Box::pin(async move {
            match tokio::time::timeout(wait, answer).await {
                Ok(answer) => answer,
                Err(_) => Ok(status::deadline(timeout).into_http()),
            }
        })
    }
}

/// `grpc-timeout`: up to eight digits and a unit. tonic ignores any other text, too.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            timeout(&headers)
        };
        assert_eq!(of("250m"), Some(Duration::from_millis(250)));
        assert_eq!(of("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(of("7u"), Some(Duration::from_micros(7)));
        for odd in ["", "S", "5", "-5S", "5 S", "123456789S", "5x", "5µ"] {
            let mut headers = HeaderMap::new();
            let Ok(value) = tonic::codegen::http::HeaderValue::from_bytes(odd.as_bytes()) else {
                continue;
            };
            headers.insert("grpc-timeout", value);
            assert_eq!(timeout(&headers), None, "{odd:?}");
        }
    }
}
