//! Figures that are stored with a result.

use crate::measures::Measures;

/// What was measured of a picture. It says how the picture is, not what it shows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// The picture's own figures; none where nothing in it is foreground.
    pub measures: Option<Measures>,
    /// How far the network's features lie from the training cells'; none where the model's bundle says nothing of those, or
    /// nothing in the picture is foreground.
    pub distance: Option<Distance>,
}

/// How far a capture lies from the cells that its model was trained on, to the network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distance {
    /// Near 1 for a cell of theirs; 0 and above.
    pub distance: f64,
    /// The model's limit, above 0: a capture further away is doubted.
    pub limit: f64,
}
