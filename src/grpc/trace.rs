//! A client's own names for its request, in metadata: for the log alone.

use tonic::metadata::MetadataMap;
use tracing::Span;

use crate::telemetry;

/// The longest `x-request-id` that is logged.
const MOST: usize = 128;

/// The span of a call: `x-request-id`, and the trace of a W3C `traceparent`
/// (<https://www.w3.org/TR/trace-context/>).
pub(super) fn span(method: &'static str, metadata: &MetadataMap) -> Span {
    let text = |name: &str| metadata.get(name).and_then(|value| value.to_str().ok());
    let given = text("x-request-id").filter(|id| id.len() <= MOST);
    let parent = text("traceparent");
    let trace = parent.and_then(trace_id);
    if given.is_none() && trace.is_none() {
        return Span::none();
    }
    let span = tracing::error_span!("call", method, x_request_id = given, trace_id = trace);
    if let Some(parent) = parent.filter(|_| trace.is_some()) {
        telemetry::join(&span, parent);
    }
    span
}

/// The trace of `00-<trace>-<parent>-<flags>`; none where it is no valid one.
fn trace_id(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.split('-');
    let hex = |text: &&str, length: usize| {
        text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    parts.next().filter(|version| hex(version, 2) && *version != "ff")?;
    let trace = parts.next().filter(|trace| hex(trace, 32) && trace.bytes().any(|b| b != b'0'))?;
    parts.next().filter(|parent| hex(parent, 16) && parent.bytes().any(|b| b != b'0'))?;
    parts.next().filter(|flags| hex(flags, 2))?;
    Some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_valid_traceparent_names_a_trace() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let valid = format!("00-{trace}-b7ad6b7169203331-01");
        assert_eq!(trace_id(&valid), Some(trace));
        for bad in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        ] {
            assert_eq!(trace_id(bad), None, "{bad}");
        }
    }
}
