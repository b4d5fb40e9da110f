//! `leukd classify --overlay`: a field of view with its cells outlined.

use std::path::Path;

use super::error::CliError;
use super::images::ImageFile;
use crate::cell::{Limits, caption, decode, synthetic};
use crate::result::{CaptureKind, Decision, Record};

/// Writes `file`, a field of view, with the outlines of `records` to NAME.overlay.png. Nothing for
/// a capture of one cell.
///
/// # Errors
/// [`CliError::Io`]: the file cannot be written.
pub(super) fn write(
    folder: &Path,
    file: &ImageFile,
    bytes: &[u8],
    limits: &Limits,
    records: &[Record],
) -> Result<(), CliError> {
    let is_field = |record: &Record| record.capture.kind == CaptureKind::Field;
    if !records.iter().all(is_field) {
        return Ok(());
    }
    let Ok(mut picture) = decode(bytes, limits) else { return Ok(()) };
    // Lines and letters that can be seen where the whole picture fits a screen.
    let thickness = (picture.width() / 320).clamp(2, 24);
    for record in records {
        let finding = &record.finding;
        let colour = colour(finding.decision);
        let corners = finding.outline.as_deref().unwrap_or_default();
        caption::outline(&mut picture, corners, colour, thickness);
        if let Some(region) = finding.region {
            let probability = finding.label_probability();
            let probability = probability.map_or_else(String::new, |p| format!(" {p:.2}"));
            let text = format!("#{} {}{probability}", finding.ordinal, finding.decision);
            let place = (region.x, region.y.saturating_sub(8 * thickness));
            caption::text(&mut picture, place, &text, colour, thickness);
        }
    }
    let place = folder.join(file.below());
    let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let io = |error: std::io::Error| CliError::Io(error.to_string());
    fs_err::create_dir_all(place.parent().unwrap_or(folder)).map_err(io)?;
    let target = place.with_file_name(format!("{name}.overlay.png"));
    fs_err::write(target, synthetic::png(&picture)).map_err(io)
}

/// The colours of the terminal's table.
const fn colour(decision: Decision) -> [u8; 3] {
    match decision {
        Decision::All => [235, 40, 40],
        Decision::Hem => [20, 170, 60],
        Decision::Review => [235, 190, 0],
        Decision::Rejected => [150, 150, 150],
    }
}
