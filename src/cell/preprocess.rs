//! Pixels → the network's input tensor: the one function that both the daemon and the trainer call.

use serde::{Deserialize, Serialize};

/// The steps from pixels to tensor, in the order of the fields. It is written into every bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Cut this many pixels square from the middle first, with black where the picture is smaller;
    /// absent: the whole picture, made square with black. Scale stays the same for every cell: its size is a cue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// Width and height of the network's input, in pixels.
    pub size: u32,
    /// How pixels are interpolated.
    pub filter: Filter,
    /// What the tensor's numbers run over.
    pub range: Range,
    /// The order of the tensor's axes.
    pub layout: Layout,
}

/// Interpolation when the picture's size changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// The nearest pixel: what Keras' generators do by default, and the seed trained on.
    Nearest,
    /// Antialiased bilinear (a triangle as wide as the reduction): leukd's default.
    Bilinear,
    /// Antialiased Catmull-Rom.
    Bicubic,
    /// Antialiased Lanczos with three lobes.
    Lanczos3,
}

/// What the tensor's numbers run over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Range {
    /// 0 to 255, as Keras' EfficientNet takes them: it rescales inside.
    #[serde(rename = "0-255")]
    Bytes,
    /// 0 to 1.
    #[serde(rename = "0-1")]
    Unit,
}

/// The order of the tensor's axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// `[1, 3, size, size]`, channels red, green, blue.
    Nchw,
    /// `[1, size, size, 3]`.
    Nhwc,
}
