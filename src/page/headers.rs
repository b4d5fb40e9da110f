//! What every answer carries, and which requests no browser of this page would send.

use std::net::IpAddr;

use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue};

/// A page of its own alone: no inline script or style, no other origin, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The header that a form of another page cannot set.
const OWN: &str = "x-leukd";

/// Puts the headers on an answer; one that says how long it keeps is believed.
pub(super) fn protect(headers: &mut HeaderMap) {
    let fixed: [(HeaderName, &'static str); 7] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let kept = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(kept);
}

fn text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// True where the browser was led here by a name of this machine. Any other name may be an
/// attacker's, who had it point here (DNS rebinding). Any port: a tunnel has its own.
pub(super) fn is_host_own(headers: &HeaderMap) -> bool {
    let Some(host) = text(headers, header::HOST) else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest
            .split_once(']')
            .filter(|(_, port)| port.is_empty() || port.starts_with(':'))
            .map_or("", |(name, _)| name),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// True where no page of another site asks.
pub(super) fn is_site_own(headers: &HeaderMap) -> bool {
    text(headers, "sec-fetch-site").is_none_or(|site| site != "cross-site" && site != "same-site")
}

/// True where the page itself writes: its own origin, and a header that forms cannot send.
pub(super) fn is_write_own(headers: &HeaderMap) -> bool {
    let (Some(origin), Some(host)) = (text(headers, header::ORIGIN), text(headers, header::HOST))
    else {
        return false;
    };
    let place = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    place.is_some_and(|place| place.eq_ignore_ascii_case(host)) && text(headers, OWN) == Some("1")
}

/// True for a request that no person caused: it does not keep a session alive.
pub(super) fn is_background(headers: &HeaderMap) -> bool {
    headers.contains_key("x-leukd-background")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_of_this_machine_or_refused() {
        let own = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            is_host_own(&headers)
        };
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:9", "127.3.2.1", "[::1]:8080"] {
            assert!(own(host), "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example:8080", "10.0.0.1", "[::2]", "[::1].evil:1", ""]
        {
            assert!(!own(host), "{host}");
        }
        assert!(!is_host_own(&HeaderMap::new()));
    }
}
