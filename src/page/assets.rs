//! The shell, the modules and the style: inside the binary, under the digest of their content.

use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::problem::{Answer, Problem};
use crate::result::{Digest, RESEARCH_USE_ONLY};

const SHELL: &str = include_str!("assets/shell.html");

const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! modules {
    ($($name:literal),+ $(,)?) => {
        [$(($name, SCRIPT, include_str!(concat!("assets/", $name)))),+]
    };
}

/// Modules: name, type, content.
const MODULES: [(&str, &str, &str); 19] = modules![
    "app.js",
    "api.js",
    "cell.js",
    "dom.js",
    "field.js",
    "live.js",
    "login.js",
    "model.js",
    "now.js",
    "parts.js",
    "person.js",
    "readers.js",
    "report.js",
    "review.js",
    "sign.js",
    "specimens.js",
    "text.js",
    "try.js",
    "zoom.js",
];

const OTHERS: [(&str, &str, &str); 2] = [
    ("style.css", "text/css; charset=utf-8", include_str!("assets/style.css")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

/// A year: another content has another address.
const FOREVER: &str = "public, max-age=31536000, immutable";

/// Names the content of all assets. A page of another build asks to be loaded again.
pub(super) static BUILD: LazyLock<String> = LazyLock::new(|| {
    let mut all = SHELL.to_owned();
    for (name, _, content) in MODULES.iter().chain(&OTHERS) {
        all.push_str(name);
        all.push_str(content);
    }
    Digest::of(all.as_bytes()).to_string().get(..16).unwrap_or_default().to_owned()
});

static PAGE: LazyLock<String> =
    LazyLock::new(|| SHELL.replace("{build}", &BUILD).replace("{notice}", RESEARCH_USE_ONLY));

fn content(kind: &'static str, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The same for every screen: the modules look at the address.
pub(super) async fn shell() -> Response {
    content("text/html; charset=utf-8", PAGE.as_str())
}

/// A module or the style.
pub(super) async fn asset(Path((build, name)): Path<(String, String)>) -> Answer {
    let found = MODULES.iter().chain(&OTHERS).find(|(own, ..)| *own == name);
    let found = found.filter(|_| build == *BUILD).ok_or_else(|| {
        let message = "this is of another leukd: load the page again";
        Problem::new(StatusCode::NOT_FOUND, "OTHER_BUILD", message)
    })?;
    let mut response = content(found.1, found.2);
    let kept = HeaderValue::from_static(FOREVER);
    response.headers_mut().insert(header::CACHE_CONTROL, kept);
    Ok(response)
}
