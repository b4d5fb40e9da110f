//! Pictures as PNG. An ETag names the bytes, so that a browser asks again and reads nothing twice.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;

use super::problem::{Answer, Problem};
use super::query::Query;
use super::read::which;
use super::shared::Shared;
use crate::pipeline::{Cut, ExplainError};
use crate::result::Record;
use crate::service::ServiceError;

/// A cell, its thumbnail, its field, or its heat map.
pub(super) async fn picture(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    let service = &shared.service;
    let wanted = Query::new(&uri).text("of").unwrap_or("cell").to_owned();
    let cut = match wanted.as_str() {
        "thumbnail" => Some(Cut::Thumbnail),
        "cell" => Some(Cut::Cell),
        "field" => Some(Cut::Capture),
        "heat" => None,
        _ => return Err(Problem::field("of: write thumbnail, cell, field or heat")),
    };
    let (record, _) = service.result(which(&uri)?).await?;
    let tag = tag(&record, &wanted);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known == Some(tag.as_str()) {
        return finish(StatusCode::NOT_MODIFIED, &tag, Vec::new(), None);
    }
    let mut size = None;
    let png = match cut {
        Some(cut) => {
            let picture = service.picture(record, cut).await?;
            size = Some(picture.size);
            picture.png
        }
        None => {
            let sequence = record.sequence;
            let explained = service.heat_map(which(&uri)?, None, true).await?;
            let missing = || ServiceError::from(ExplainError::NotKept(sequence));
            explained.overlay.ok_or_else(missing)?
        }
    };
    finish(StatusCode::OK, &tag, png, size)
}

/// Equal for equal bytes of the capture, cut the same way.
fn tag(record: &Record, wanted: &str) -> String {
    let digest = record.capture.digest.map(|digest| digest.to_string()).unwrap_or_default();
    let model = match (wanted, &record.finding.model) {
        ("heat", Some(model)) => model.digest.get(..12).unwrap_or_default(),
        _ => "",
    };
    format!("\"{digest:.32}-{}-{wanted}{model}\"", record.finding.ordinal)
}

fn finish(status: StatusCode, tag: &str, png: Vec<u8>, size: Option<(u32, u32)>) -> Answer {
    let mut response = Response::new(Body::from(png));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/png"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    let tag = HeaderValue::from_str(tag).map_err(|error| Problem::defect(&error))?;
    headers.insert(header::ETAG, tag);
    if let Some((width, height)) = size {
        let size = HeaderValue::from_str(&format!("{width}x{height}"));
        headers.insert("x-leukd-size", size.map_err(|error| Problem::defect(&error))?);
    }
    Ok(response)
}
