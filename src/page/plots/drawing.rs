//! A plot as SVG, with what it shows in words.

use std::fmt::Write as _;

/// A drawing with its words.
pub(super) struct Drawing {
    name: &'static str,
    title: &'static str,
    width: u32,
    height: u32,
    pub(super) said: Vec<String>,
    body: String,
}

impl Drawing {
    pub(super) fn new(name: &'static str, title: &'static str, width: u32, height: u32) -> Self {
        Self { name, title, width, height, said: Vec::new(), body: String::new() }
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = write!(
            self.body,
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        );
    }

    /// Text with its baseline's point. `anchor`: start, middle or end.
    pub(super) fn text(&mut self, anchor: &str, (x, y): (f64, f64), text: &str) {
        let text = escaped(text);
        let _ = write!(
            self.body,
            "<text text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"
        );
    }

    pub(super) fn rectangle(&mut self, class: &str, (x, y): (f64, f64), side: f64, opacity: f64) {
        let _ = write!(
            self.body,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side:.1}\" \
             height=\"{side:.1}\" fill-opacity=\"{opacity:.2}\"/>"
        );
    }

    /// The protocols differ in shape: a disc, a square.
    pub(super) fn mark(&mut self, split: &str, (x, y): (f64, f64)) {
        if split == "subject" {
            let _ = write!(
                self.body,
                "<circle class=\"subject\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"/>"
            );
        } else {
            self.rectangle("image", (x - 4.5, y - 4.5), 9.0, 1.0);
        }
    }

    /// A line through all points; nothing of fewer than two.
    pub(super) fn path(&mut self, class: &str, points: &[(f64, f64)]) {
        if points.len() < 2 {
            return;
        }
        let _ = write!(self.body, "<polyline class=\"{class} curve\" points=\"");
        for (x, y) in points {
            let _ = write!(self.body, "{x:.1},{y:.1} ");
        }
        self.body.push_str("\"/>");
    }

    /// The drawing; none where nothing is said of it.
    pub(super) fn finished(self) -> Option<String> {
        (!self.said.is_empty()).then(|| self.finish())
    }

    fn finish(self) -> String {
        let Self { name, title, width, height, said, body } = self;
        let said = escaped(&said.join(". "));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" role=\"img\" \
             aria-labelledby=\"{name}-title {name}-said\" viewBox=\"0 0 {width} {height}\">\
             <title id=\"{name}-title\">{}</title><desc id=\"{name}-said\">{said}</desc>{body}</svg>",
            escaped(title)
        )
    }
}

fn escaped(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    // Letters that no XML may hold.
    escaped.replace(|letter: char| letter.is_control() || "\u{fffe}\u{ffff}".contains(letter), " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_a_bundle_stays_text() {
        assert_eq!(escaped("a<b>&\u{0}\u{1b}"), "a&lt;b&gt;&amp;  ");
    }
}
