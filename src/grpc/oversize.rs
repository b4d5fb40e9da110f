//! A message beyond the limit is refused while it is still arriving; tonic then answers
//! OUT_OF_RANGE with a sentence about "decoded message length". The contract promises
//! RESOURCE_EXHAUSTED for an image, INVALID_ARGUMENT for what carries none, and a sentence that
//! helps, so that one answer is rewritten: of a single request by the layer, of a stream by the
//! service itself, which sees the error before its status goes out.

use std::pin::Pin;
use std::task::{Context, Poll};

use tonic::Status;
use tonic::codegen::http::{HeaderMap, HeaderValue, Request, Response};
use tower::{Layer, Service};

/// Beginning of tonic's own message.
const TONIC_SAYS: &str = "decoded message length too large";
/// The same as it stands percent-encoded in `grpc-message`.
const TONIC_SAYS_ENCODED: &str = "decoded%20message%20length%20too%20large";

/// The services whose requests may carry an image, as a request's path begins.
const CARRY_IMAGES: [&str; 2] = ["/leukd.v1.Classifier/", "/leukd.v1.Explainer/"];

/// The layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClearOversizeLayer {
    max_image_bytes: u64,
}

/// The service around the others.
#[derive(Debug, Clone)]
pub(super) struct ClearOversize<S> {
    inner: S,
    max_image_bytes: u64,
}

impl ClearOversize<()> {
    pub(super) const fn layer(max_image_bytes: u64) -> ClearOversizeLayer {
        ClearOversizeLayer { max_image_bytes }
    }
}

impl<S> Layer<S> for ClearOversizeLayer {
    type Service = ClearOversize<S>;

    fn layer(&self, inner: S) -> ClearOversize<S> {
        ClearOversize { inner, max_image_bytes: self.max_image_bytes }
    }
}

impl<S, A, B> Service<Request<A>> for ClearOversize<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let path = request.uri().path().to_owned();
        let answer = self.inner.call(request);
        let limit = self.max_image_bytes;
        let carries_image = CARRY_IMAGES.iter().any(|service| path.starts_with(service));
        Box::pin(async move {
            let mut response = answer.await?;
            if is_too_long(response.headers()) {
                let status =
                    if carries_image { too_large(limit) } else { super::status::too_long() };
                rewrite(response.headers_mut(), status);
            }
            Ok(response)
        })
    }
}

fn is_too_long(headers: &HeaderMap) -> bool {
    let says = headers.get("grpc-message").and_then(|message| message.to_str().ok());
    says.is_some_and(|message| message.contains(TONIC_SAYS_ENCODED))
}

fn rewrite(headers: &mut HeaderMap, status: Status) {
    let mut rewritten = HeaderMap::new();
    if status.add_header(&mut rewritten).is_ok() {
        for name in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
            if let Some(value) = rewritten.get(name).cloned() {
                let _: Option<HeaderValue> = headers.insert(name, value);
            }
        }
    }
}

/// The status that ends a stream of requests, rewritten for an oversized message.
pub(super) fn clear(status: Status, limit: u64) -> Status {
    if status.message().contains(TONIC_SAYS) { too_large(limit) } else { status }
}

fn too_large(limit: u64) -> Status {
    let status =
        super::status::request(&crate::pipeline::RequestError::TooLarge { size: 0, limit });
    let message = format!(
        "the image is larger than a request may carry: {limit} bytes (rpc.max_image_bytes)"
    );
    Status::with_details(status.code(), message, status.details().to_vec().into())
}
