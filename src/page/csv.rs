//! A specimen's cells as CSV (RFC 4180), page by page: memory holds one page, whatever the size.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, Uri, header};
use axum::response::Response;
use futures_util::stream;

use super::encode::verdict;
use super::guard::Caller;
use super::problem::{Answer, Problem};
use super::query::Query;
use super::shared::Shared;
use crate::cell::Measures;
use crate::result::{RESEARCH_USE_ONLY, Record, Source};
use crate::review::Standing;
use crate::service::{CellCursor, ServiceError};

/// A spreadsheet takes a field that begins with one of these for a formula.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// By it Excel knows UTF-8.
const MARK: char = '\u{feff}';

/// A column: its name and what stands in it.
type Column = (&'static str, fn(&Record, &Standing) -> String);

/// Columns before the measures, in order. docs/guide/page.md says what each means.
const COLUMNS: [Column; 28] = [
    ("sequence", |record, _| record.sequence.to_string()),
    ("result_id", |record, _| record.finding.result_id.clone()),
    ("specimen", |record, _| text(&record.finding.ids.specimen)),
    ("slide", |record, _| text(&record.finding.ids.slide)),
    ("cell", |record, _| text(&record.finding.ids.cell)),
    ("decision", |record, _| record.finding.decision.to_string()),
    ("p_all", |record, _| optional(record.finding.p_all)),
    ("reasons", |record, _| {
        let codes = record.finding.reasons.iter().map(|reason| reason.code.as_str());
        codes.collect::<Vec<_>>().join(" ")
    }),
    ("flags", |record, _| text(&record.finding.quality_flags.join(" "))),
    ("standing", |_, standing| verdict(standing.verdict).to_owned()),
    ("reviews", |_, standing| standing.reviews.to_string()),
    ("label", |_, standing| {
        standing.latest.as_ref().map(|own| own.label.to_string()).unwrap_or_default()
    }),
    ("reviewer", |_, standing| {
        standing.latest.as_ref().map(|own| text(&own.reviewer)).unwrap_or_default()
    }),
    ("reviewed_at", |_, standing| {
        standing.latest.as_ref().map(|own| own.at.to_rfc3339()).unwrap_or_default()
    }),
    ("classified_at", |record, _| record.finding.classified_at.to_rfc3339()),
    ("captured_at", |record, _| record.capture.captured_at.to_rfc3339()),
    ("file", |record, _| match &record.capture.source {
        Source::Folder(path) => text(&path.to_string()),
        Source::Rpc { .. } => String::new(),
    }),
    ("request", |record, _| match &record.capture.source {
        Source::Folder(_) => String::new(),
        Source::Rpc { request_id, .. } => text(request_id),
    }),
    ("digest", |record, _| optional(record.capture.digest)),
    ("ordinal", |record, _| record.finding.ordinal.to_string()),
    ("field", |record, _| optional(record.field)),
    ("x", |record, _| optional(record.finding.region.map(|region| region.x))),
    ("y", |record, _| optional(record.finding.region.map(|region| region.y))),
    ("width", |record, _| optional(record.finding.region.map(|region| region.width))),
    ("height", |record, _| optional(record.finding.region.map(|region| region.height))),
    ("model", |record, _| {
        record.finding.model.as_ref().map(|model| text(&model.id)).unwrap_or_default()
    }),
    ("model_digest", |record, _| {
        record.finding.model.as_ref().map(|model| model.digest.clone()).unwrap_or_default()
    }),
    ("feature_distance", |record, _| {
        let figures = record.finding.quality.as_ref();
        optional(figures.and_then(|figures| figures.distance).map(|far| far.distance))
    }),
];

/// The last column: the notice, in every line, so that no part of the file goes without.
const NOTICE: &str = "notice";

/// Sends the file. An export that cannot go on breaks off, so that nobody takes a part for all.
pub(super) async fn cells(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Answer {
    let query = Query::new(&uri);
    let cursor = shared.service.export(query.text("specimen").unwrap_or_default()).await?;
    let name = format!("attachment; filename=\"leukd-cells-{}.csv\"", cursor.as_of);
    let open = Open { shared, cursor, is_begun: false, _caller: caller };
    let lines = stream::unfold(Some(open), async |open| {
        let mut open = open?;
        match open.next().await {
            Ok(lines) => Some((Ok(Bytes::from(lines?)), Some(open))),
            Err(error) => {
                tracing::warn!("an export of cells broke off: {error}");
                Some((Err(error), None))
            }
        }
    });
    let mut response = Response::new(Body::from_stream(lines));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    headers.insert(header::CONTENT_TYPE, kind);
    let name = HeaderValue::from_str(&name).map_err(|error| Problem::defect(&error))?;
    headers.insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}

/// An export under way. The browser asks for the next page by taking the one before.
struct Open {
    shared: Arc<Shared>,
    cursor: CellCursor,
    is_begun: bool,
    /// Counts as a call of its client until the end.
    _caller: Caller,
}

impl Open {
    async fn next(&mut self) -> Result<Option<String>, ServiceError> {
        if !self.is_begun {
            self.is_begun = true;
            return Ok(Some(format!("{MARK}{}", line(names()))));
        }
        let page = self.shared.service.export_next(&mut self.cursor).await?;
        Ok(page.map(|cells| cells.iter().map(|(record, standing)| row(record, standing)).collect()))
    }
}

fn names() -> impl Iterator<Item = String> {
    let own = COLUMNS.iter().map(|(name, _)| *name);
    own.chain(Measures::NAMES).chain([NOTICE]).map(str::to_owned)
}

fn row(record: &Record, standing: &Standing) -> String {
    let measures = record.finding.quality.as_ref().and_then(|figures| figures.measures);
    let measures = (0..Measures::NAMES.len())
        .map(|at| optional(measures.and_then(|measures| measures.values().get(at).copied())));
    let own = COLUMNS.iter().map(|(_, value)| value(record, standing));
    line(own.chain(measures).chain([RESEARCH_USE_ONLY.to_owned()]))
}

/// A line with its end.
fn line(fields: impl Iterator<Item = String>) -> String {
    let mut line = fields.map(|field| quoted(&field)).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// A text that somebody else chose. An apostrophe keeps a spreadsheet from running it.
fn text(text: &str) -> String {
    // A spreadsheet of another country parts fields at semicolons or tabs.
    if text.split([';', '\t']).any(|part| part.trim_start_matches(' ').starts_with(FORMULA)) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

fn optional(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_quoted_and_no_formula() {
        let fields = ["a,b", "say \"x\"", "two\nlines", "plain"].map(str::to_owned);
        assert_eq!(line(fields.into_iter()), "\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",plain\r\n");
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1"] {
            assert_eq!(text(formula), format!("'{formula}"));
        }
        assert_eq!(text("UID_1"), "UID_1");
    }
}
