//! Counts every call by method and code, with how long it took: a layer around all services.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Frame, SizeHint};
use prost::Message as _;
use tonic::Code;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tower::{Layer, Service};

use super::proto;
use crate::measure::{Call, Calls};

/// The methods of the contract, of health and of reflection, `package.Service/Method` each.
#[must_use]
pub fn methods() -> Vec<String> {
    let sets = [
        proto::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let mut names = Vec::new();
    for set in sets {
        let Ok(set) = prost_types::FileDescriptorSet::decode(set) else { continue };
        for file in &set.file {
            for service in &file.service {
                let service_name = format!("{}.{}", file.package(), service.name());
                names.extend(service.method.iter().map(|m| format!("{service_name}/{}", m.name())));
            }
        }
    }
    names
}

/// Takes the status out of headers or trailers.
fn note(call: &mut Call, headers: &HeaderMap) {
    if let Some(status) = headers.get("grpc-status") {
        call.ends_in(Code::from_bytes(status.as_bytes()).into());
    }
}

/// The layer.
#[derive(Debug, Clone)]
pub(super) struct CountLayer(pub(super) Arc<Calls>);

impl<S> Layer<S> for CountLayer {
    type Service = Count<S>;

    fn layer(&self, inner: S) -> Count<S> {
        Count { inner, calls: Arc::clone(&self.0) }
    }
}

/// The service around the others.
#[derive(Debug, Clone)]
pub(super) struct Count<S> {
    inner: S,
    calls: Arc<Calls>,
}

impl<S, A, B> Service<Request<A>> for Count<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<CountedBody<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let call = Call::begin(Arc::clone(&self.calls), request.uri().path());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let mut call = call;
            let response = answer.await?;
            // An answer without a message has its status at once.
            note(&mut call, response.headers());
            Ok(response.map(|inner| CountedBody { inner, call }))
        })
    }
}

/// An answer's body that looks at the status in its trailers.
#[derive(Debug)]
pub(super) struct CountedBody<B> {
    inner: B,
    call: Call,
}

impl<B: Body + Unpin> Body for CountedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            note(&mut self.call, trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_a_place() {
        let methods = methods();
        for name in [
            "leukd.v1.Classifier/Classify",
            "leukd.v1.Results/Subscribe",
            "leukd.v1.Control/GetStatus",
            "grpc.health.v1.Health/Watch",
            "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        ] {
            assert!(methods.iter().any(|method| method == name), "{methods:?}");
        }
    }
}
