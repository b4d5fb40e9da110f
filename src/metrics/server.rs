//! The smallest HTTP server that Prometheus needs: one path, one answer a connection, everything
//! bounded.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::page::{self, OPEN_METRICS, PROMETHEUS};
use super::sample::Sampler;
use crate::service::Service;

/// The most connections at once; further ones wait to be accepted.
const CONNECTIONS: usize = 16;

/// The time for a request's headers to arrive.
const HEADERS_IN: Duration = Duration::from_secs(2);

/// The time for a whole connection, its answer and a slow reader included.
const CONNECTION: Duration = Duration::from_secs(10);

/// The most bytes of a request's head that are held.
const HEAD: usize = 16 * 1024;

/// The most headers of a request.
const HEADERS: usize = 64;

/// After a connection could not be accepted: for example when the process has no file descriptor
/// left.
const PAUSE: Duration = Duration::from_millis(200);

/// Writes the page, in the OpenMetrics format or in Prometheus' own.
pub trait Write: Fn(bool) -> Self::Page + Send + Sync + 'static {
    /// The page, once everything has answered.
    type Page: Future<Output = Result<String, fmt::Error>> + Send;
}

impl<F, P> Write for F
where
    F: Fn(bool) -> P + Send + Sync + 'static,
    P: Future<Output = Result<String, fmt::Error>> + Send,
{
    type Page = P;
}

/// Serves the daemon's figures until `service.stop` is cancelled.
pub async fn serve(listener: TcpListener, service: Arc<Service>) {
    let stop = service.stop.clone();
    let sampler = Arc::new(Sampler::new(service));
    let write = move |open_metrics| {
        let sampler = Arc::clone(&sampler);
        async move { page::write(sampler.sample().await, open_metrics) }
    };
    serve_page(listener, stop, write).await;
}

/// Serves a page of figures until `stop` is cancelled.
pub async fn serve_page(listener: TcpListener, stop: CancellationToken, write: impl Write) {
    let write = Arc::new(write);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let accepting = async {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (write, stop) = (Arc::clone(&write), stop.clone());
                    tokio::spawn(async move {
                        tokio::select! {
                            () = answer(stream, write) => {}
                            () = stop.cancelled() => {}
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::debug!("no connection for Prometheus: {error}");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = stop.cancelled() => {}
    }
}

/// One connection, one answer.
async fn answer(stream: TcpStream, write: Arc<impl Write>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let write = Arc::clone(&write);
        async move { Ok::<_, Infallible>(respond(&request, &*write).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_IN)
        .keep_alive(false)
        .max_buf_size(HEAD)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(CONNECTION, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("a scrape broke off: {error}"),
        Err(_) => tracing::debug!("a scrape took longer than {} s", CONNECTION.as_secs()),
    }
}

async fn respond(request: &Request<Incoming>, write: &impl Write) -> Response<Full<Bytes>> {
    if request.uri().path() != "/metrics" {
        return text(StatusCode::NOT_FOUND, "nothing but /metrics is here\n");
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "GET it\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let open_metrics =
        request.headers().get_all(ACCEPT).iter().any(|accept| {
            accept.to_str().is_ok_and(|a| a.contains("application/openmetrics-text"))
        });
    match write(open_metrics).await {
        Ok(page) => {
            let kind = if open_metrics { OPEN_METRICS } else { PROMETHEUS };
            let mut response = Response::new(Full::from(page));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the figures cannot be written\n"),
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
