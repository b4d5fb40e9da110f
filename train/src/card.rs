//! The model card's paragraphs: each begins with its own words, by which it is found and replaced.

/// Which cells the figures were measured on.
pub(crate) const FIGURES: &str = "\n\nFigures: ";

/// What was fitted on cells that the network was not.
pub(crate) const CALIBRATION: &str = "\n\nCalibration: ";

/// What the bundle knows of its training cells, and leaves to a person for being unlike them.
pub(crate) const REFERENCE: &str = "\n\nUnlike its training cells: ";

/// The discriminant beside the network.
pub(crate) const BESIDE: &str = "\n\nDiscriminant: ";

/// What whoever ships the model wants its readers to know.
pub(crate) const REMARK: &str = "\n\nRemark: ";

/// Of a smaller form's figures and calibration, as long as they are its f32 bundle's.
pub(crate) const OF_FLOAT: &str = " All figures and the calibration above were measured with the f32 weights unless they say otherwise.";

/// `card` with `paragraph` in place of the one that begins with `begin`; at its end where there is
/// none. An empty one takes it out.
pub(crate) fn with_paragraph(card: &str, begin: &str, paragraph: &str) -> String {
    let Some(start) = card.find(begin) else { return card.to_owned() + paragraph };
    let after = start + begin.len();
    let end = card[after..].find("\n\n").map_or(card.len(), |length| after + length);
    format!("{}{paragraph}{}", &card[..start], &card[end..])
}
