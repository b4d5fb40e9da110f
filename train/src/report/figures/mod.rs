//! The figures: plotters draws them, and each says in words what it shows.

mod bars;
mod curves;
mod learning;
mod matrix;
mod sheet;

use sheet::BACKGROUND;
pub(super) use sheet::STYLE;

use super::error::ReportError;
use super::{Facts, words};
use crate::evaluate::Evaluation;
use sheet::{Area, Drawn};

/// One figure.
#[derive(Debug, Clone)]
pub(super) struct Figure {
    /// Of its file, without `.svg`, and of its anchor in the page.
    pub(super) name: &'static str,
    /// For people.
    pub(super) title: &'static str,
    /// What it means, in one or two sentences.
    pub(super) meaning: String,
    /// Width and height in the drawing's own units; half of them are CSS pixels.
    size: (u32, u32),
    /// What stands inside the `svg` element.
    body: String,
}

impl Figure {
    fn new(
        name: &'static str,
        title: &'static str,
        meaning: String,
        size: (u32, u32),
        draw: impl FnOnce(&Area<'_>) -> Drawn,
    ) -> Result<Self, ReportError> {
        let body = sheet::body(size, draw)
            .map_err(|error| ReportError::Drawing { name, detail: error.to_string() })?;
        Ok(Self { name, title, meaning, size, body })
    }

    /// For the page: it brings the style.
    pub(super) fn inline(&self) -> String {
        self.element("", "")
    }

    /// A file of its own.
    pub(super) fn standalone(&self) -> String {
        // A page has its own background; a file has none, and dark ink needs one.
        let style = format!("<style>{STYLE}{BACKGROUND}</style>\n");
        let namespace = r#" xmlns="http://www.w3.org/2000/svg""#;
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", self.element(namespace, &style))
    }

    fn element(&self, attributes: &str, style: &str) -> String {
        let Self { name, title, meaning, size: (width, height), body } = self;
        let escaped =
            |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        format!(
            "<svg{attributes} class=\"leukd-figure\" width=\"{}\" height=\"{}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" \
             aria-labelledby=\"{name}-title {name}-desc\">\n\
             <title id=\"{name}-title\">{}</title>\n<desc id=\"{name}-desc\">{}</desc>\n\
             {style}{body}</svg>",
            width / 2,
            height / 2,
            escaped(title),
            escaped(meaning),
        )
    }
}

/// Every figure that `facts` have the data for, in the order of the page.
pub(super) fn all(facts: &Facts) -> Result<Vec<Figure>, ReportError> {
    let mut figures = Vec::new();
    if let Some(headline) = headline(&facts.evaluations) {
        figures.extend([matrix::threshold(headline)?, matrix::review(headline)?]);
        if !headline.roc.is_empty() {
            figures.extend([curves::roc(headline)?, curves::precision_recall(headline)?]);
        }
        if !headline.risk_coverage.is_empty() {
            figures.extend([curves::reliability(headline)?, curves::risk_coverage(headline)?]);
            figures.extend([bars::scores(headline)?, bars::subjects(headline)?]);
        }
    }
    figures.extend(learning::all(&facts.curves)?);
    Ok(figures)
}

/// The evaluation that the report is about: of the test side where there is one, else of the
/// validation side, else of the training side.
pub(super) fn headline(evaluations: &[Evaluation]) -> Option<&Evaluation> {
    evaluations.iter().max_by_key(|one| one.side)
}
