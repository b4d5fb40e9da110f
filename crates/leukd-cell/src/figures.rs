//! Figures that are stored with a result.

use serde::{Deserialize, Serialize};

use crate::measures::Measures;
use crate::segment::{RedCells, SetAside};

/// Figures measured in a picture. They say how the picture is, not what it shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The picture's own figures. None: nothing in it is foreground.
    pub measures: Option<Measures>,
    /// Distance of the network's features from the training cells'. None: the model's bundle says
    /// nothing of those, or nothing in the picture is foreground.
    pub distance: Option<Distance>,
}

impl Figures {
    /// The figures without those that are no finite numbers, which say nothing and have no form in
    /// JSON.
    #[must_use]
    pub fn finite(self) -> Self {
        let measures = self.measures.filter(|seen| seen.values().iter().all(|v| v.is_finite()));
        let distance =
            self.distance.filter(|far| far.distance.is_finite() && far.limit.is_finite());
        Self { measures, distance }
    }
}

crate::words! {
    /// Origin of a field's scale.
    pub enum ScaleSource: "origin of a scale" {
        /// The settings, or the request.
        Given = "given",
        /// The file.
        File = "file",
        /// An estimate from the red cells.
        RedCells = "red-cells",
    }
}

/// Figures of a field of view, beside those of its cells.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FieldFigures {
    /// Micrometres that one pixel spans, above 0. The crops of the cells went by it.
    pub micrometres_per_pixel: f64,
    /// Origin of the scale.
    pub scale_source: ScaleSource,
    /// The red cells' diameter in pixels; absent where too few stand alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub red_cells: Option<RedCells>,
    /// Stained things that are no whole white cells, counted.
    pub set_aside: SetAside,
}

/// Distance of a capture from the cells that its model was trained on, as the network sees them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Distance {
    /// Near 1 for a training cell; 0 and above.
    pub distance: f64,
    /// The model's limit, above 0: a capture further away is doubted.
    pub limit: f64,
}
