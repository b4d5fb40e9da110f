//! Counts every call by method and code, with how long it took: a layer around all services.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use hyper::body::{Body, Frame, SizeHint};
use prost::Message as _;
use tonic::Code;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tower::{Layer, Service};

use super::proto;
use crate::measure::{Counter, Histogram};

/// Stands for every path that is no method of the daemon's services: clients choose paths.
const OTHER: &str = "other";

/// gRPC's codes, 0 to 16, as `google/rpc/code.proto` writes them.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The calls of one method.
#[derive(Debug, Default)]
pub struct Method {
    codes: [Counter; CODES.len()],
    /// From the request's arrival to the end of its answer; for a stream, all of its life.
    pub took: Histogram,
    /// Calls that are being answered.
    open: std::sync::atomic::AtomicU64,
}

impl Method {
    /// Every code with how many calls ended in it.
    pub fn codes(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        CODES.iter().zip(&self.codes).map(|(code, count)| (*code, count.get()))
    }

    /// Calls that are being answered now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// Every method of the daemon with its calls.
#[derive(Debug)]
pub struct Calls {
    methods: Vec<(String, Method)>,
    by_path: HashMap<String, usize>,
}

impl Default for Calls {
    fn default() -> Self {
        Self::new()
    }
}

impl Calls {
    /// No call yet. Methods are those of the contract, of health and of reflection.
    #[must_use]
    pub fn new() -> Self {
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
                    names.extend(
                        service.method.iter().map(|m| format!("{service_name}/{}", m.name())),
                    );
                }
            }
        }
        names.sort();
        names.dedup();
        names.push(OTHER.to_owned());
        let by_path =
            names.iter().enumerate().map(|(index, name)| (format!("/{name}"), index)).collect();
        Self { methods: names.into_iter().map(|name| (name, Method::default())).collect(), by_path }
    }

    /// Every method, `package.Service/Method`; the last one stands for all paths that are none.
    pub fn methods(&self) -> impl Iterator<Item = (&str, &Method)> {
        self.methods.iter().map(|(name, method)| (name.as_str(), method))
    }

    fn index(&self, path: &str) -> usize {
        self.by_path.get(path).copied().unwrap_or(self.methods.len() - 1)
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
        let index = self.calls.index(request.uri().path());
        let call = Call::begin(Arc::clone(&self.calls), index);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let mut call = call;
            let response = answer.await?;
            // An answer without a message has its status at once.
            call.note(response.headers());
            Ok(response.map(|inner| CountedBody { inner, call }))
        })
    }
}

/// One call; counted when it is dropped, however it ends.
#[derive(Debug)]
struct Call {
    calls: Arc<Calls>,
    index: usize,
    began: Instant,
    /// None until the status is known: then the client went away, or cancelled.
    code: Option<Code>,
}

impl Call {
    fn begin(calls: Arc<Calls>, index: usize) -> Self {
        calls.methods[index].1.open.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Self { calls, index, began: Instant::now(), code: None }
    }

    fn note(&mut self, headers: &HeaderMap) {
        if let Some(status) = headers.get("grpc-status") {
            self.code = Some(Code::from_bytes(status.as_bytes()));
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let method = &self.calls.methods[self.index].1;
        method.open.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        let code = i32::from(self.code.unwrap_or(Code::Cancelled));
        if let Some(count) = usize::try_from(code).ok().and_then(|code| method.codes.get(code)) {
            count.one();
        }
        method.took.observe(self.began.elapsed());
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
            self.call.note(trailers);
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
    fn every_method_has_a_place_and_any_other_path_shares_one() {
        let calls = Calls::new();
        let names: Vec<_> = calls.methods().map(|(name, _)| name).collect();
        for name in [
            "leukd.v1.Classifier/Classify",
            "leukd.v1.Results/Subscribe",
            "leukd.v1.Control/GetStatus",
            "grpc.health.v1.Health/Watch",
            "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        ] {
            assert!(names.contains(&name), "{names:?}");
            assert_eq!(names[calls.index(&format!("/{name}"))], name);
        }
        assert_eq!(names[calls.index("/made.up/Path")], OTHER);
        assert_eq!(names[calls.index("")], OTHER);
    }

    #[test]
    fn a_call_that_is_dropped_without_a_status_was_cancelled() {
        let calls = Arc::new(Calls::new());
        let call = Call::begin(Arc::clone(&calls), 0);
        let (_, method) = calls.methods().next().unwrap();
        assert_eq!(method.open(), 1);
        drop(call);
        assert_eq!(method.open(), 0);
        let ended: Vec<_> = method.codes().filter(|(_, count)| *count > 0).collect();
        assert_eq!(ended, [("CANCELLED", 1)]);
        assert_eq!(method.took.now().count(), 1);
    }
}
