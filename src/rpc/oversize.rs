//! An image beyond the limit is refused while its message is still arriving; tonic then answers
//! OUT_OF_RANGE with a message about "decoded message length". The contract promises RESOURCE_EXHAUSTED
//! and a sentence that helps, so that one answer is rewritten: of a single request by the layer, of a stream
//! by the service itself, which sees the error before its status goes out.

use std::pin::Pin;
use std::task::{Context, Poll};

use tonic::Status;
use tonic::codegen::http::{HeaderMap, HeaderValue, Request, Response};
use tower::{Layer, Service};

/// How tonic's own answer begins.
const TONIC_SAYS: &str = "decoded message length too large";
/// The same as it stands percent-encoded in `grpc-message`.
const TONIC_SAYS_ENCODED: &str = "decoded%20message%20length%20too%20large";

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
        let answer = self.inner.call(request);
        let limit = self.max_image_bytes;
        Box::pin(async move {
            let mut response = answer.await?;
            rewrite(response.headers_mut(), limit);
            Ok(response)
        })
    }
}

fn rewrite(headers: &mut HeaderMap, limit: u64) {
    let says = headers.get("grpc-message").and_then(|message| message.to_str().ok());
    if !says.is_some_and(|message| message.contains(TONIC_SAYS_ENCODED)) {
        return;
    }
    let status = too_large(limit);
    let mut rewritten = HeaderMap::new();
    if status.add_header(&mut rewritten).is_ok() {
        for name in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
            if let Some(value) = rewritten.get(name).cloned() {
                let _: Option<HeaderValue> = headers.insert(name, value);
            }
        }
    }
}

/// The status that ends a stream of requests, rewritten where it tells of an oversized one.
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
