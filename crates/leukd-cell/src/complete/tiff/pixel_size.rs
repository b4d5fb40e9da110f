//! The scale of a TIFF by its own word.

use super::directory::Directory;
use super::{DESCRIPTION, picture};

const X_RESOLUTION: u16 = 282;
const Y_RESOLUTION: u16 = 283;
const RESOLUTION_UNIT: u16 = 296;

/// Micrometres in an inch and in a centimetre: the units 2 and 3 of `ResolutionUnit`.
const INCH: f64 = 25_400.0;
const CENTIMETRE: f64 = 10_000.0;

/// Resolutions that a microscope's pixel can have, in micrometres. Programs write one for printers
/// unasked: 72, 96 or 300 pixels an inch are 85 µm and more.
const PLAUSIBLE: std::ops::RangeInclusive<f64> = 0.02..=2.0;

/// The two sides of a pixel may differ by this share and still be called square.
const SQUARE: f64 = 0.01;

/// Micrometres that one pixel of the picture spans: by OME-XML's `PhysicalSizeX`, else by ImageJ's
/// unit, else by `XResolution`. None where the file does not say, or its pixels are not square.
pub(crate) fn pixel_size(bytes: &[u8]) -> Option<f64> {
    let directory = picture(bytes).ok()?;
    let description = directory.bytes(DESCRIPTION);
    if let Some(size) = by_ome(description) {
        return size;
    }
    let per_unit = |tag| directory.fractions(tag).first().copied().filter(|value| *value > 0.0);
    let resolution = [per_unit(X_RESOLUTION)?, per_unit(Y_RESOLUTION)?].map(f64::from);
    // ImageJ counts in its own unit, and writes a unit of printers beside it.
    let unit = if description.starts_with(b"ImageJ=") {
        by_image_j(description)?
    } else {
        by_tag(&directory)?
    };
    square(resolution.map(|value| unit / value)).filter(|size| PLAUSIBLE.contains(size))
}

fn by_tag(directory: &Directory<'_>) -> Option<f64> {
    match directory.value(RESOLUTION_UNIT).unwrap_or(2) {
        2 => Some(INCH),
        3 => Some(CENTIMETRE),
        _ => None,
    }
}

/// The outer option: whether the description is OME-XML with a size at all.
fn by_ome(description: &[u8]) -> Option<Option<f64>> {
    let text = std::str::from_utf8(description).ok()?;
    let start = text.find("<OME").or_else(|| text.find(":OME"))?;
    let pixels = text[start..].split_once("Pixels ")?.1.split('>').next()?;
    let attribute = |name: &str| {
        let value = pixels.split_once(&format!("{name}=\""))?.1;
        value.split('"').next()
    };
    let side = |size: &str, unit: &str| {
        let unit = micrometres(attribute(unit).unwrap_or("µm"))?;
        let size: f64 = attribute(size)?.trim().parse().ok()?;
        (size.is_finite() && size > 0.0).then_some(size * unit)
    };
    attribute("PhysicalSizeX")?;
    let sides =
        side("PhysicalSizeX", "PhysicalSizeXUnit").zip(side("PhysicalSizeY", "PhysicalSizeYUnit"));
    Some(sides.and_then(|(x, y)| square([x, y])).filter(|size| PLAUSIBLE.contains(size)))
}

/// Micrometres in the unit of an ImageJ file, whose resolution counts pixels in one unit.
fn by_image_j(description: &[u8]) -> Option<f64> {
    let mut lines = description.split(|byte| matches!(byte, b'\n' | 0));
    lines.next()?.strip_prefix(b"ImageJ=")?;
    let unit = lines.find_map(|line| line.strip_prefix(b"unit="))?;
    micrometres(&String::from_utf8_lossy(unit).trim().replace("\\u00B5", "µ"))
}

/// Micrometres in a unit of length. The micro sign has two code points.
fn micrometres(unit: &str) -> Option<f64> {
    Some(match unit {
        "nm" => 1e-3,
        "µm" | "μm" | "um" | "micron" | "microns" => 1.0,
        "mm" => 1e3,
        "cm" => CENTIMETRE,
        "inch" => INCH,
        _ => return None,
    })
}

fn square([x, y]: [f64; 2]) -> Option<f64> {
    ((x - y).abs() <= SQUARE * x).then_some(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A little-endian page of one grey pixel with a description and a resolution.
    fn page(description: &str, resolution: [u32; 2], unit: u16) -> Vec<u8> {
        let mut entries: Vec<(u16, u16, u32, [u8; 4])> = Vec::new();
        let number = |value: u32| value.to_le_bytes();
        let data = 8 + 2 + 12 * 10 + 4;
        let text_at = data + 24;
        for (tag, kind, count, value) in [
            (256, 4, 1, number(1)),
            (257, 4, 1, number(1)),
            (258, 3, 1, number(8)),
            (262, 3, 1, number(1)),
            (270, 2, description.len() as u32, number(text_at)),
            (273, 4, 1, number(data + 16)),
            (279, 4, 1, number(1)),
            (282, 5, 1, number(data)),
            (283, 5, 1, number(data + 8)),
            (296, 3, 1, number(u32::from(unit))),
        ] {
            entries.push((tag, kind, count, value));
        }
        let mut bytes = b"II\x2a\0\x08\0\0\0".to_vec();
        bytes.extend((entries.len() as u16).to_le_bytes());
        for (tag, kind, count, value) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(count.to_le_bytes());
            bytes.extend(value);
        }
        bytes.extend([0; 4]);
        for value in [resolution[0], resolution[1], resolution[0], resolution[1]] {
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend([0; 8]);
        bytes.extend(description.as_bytes());
        bytes
    }

    fn near(found: Option<f64>, expected: f64) {
        assert!(found.is_some_and(|size| (size / expected - 1.0).abs() < 1e-5), "{found:?}");
    }

    #[test]
    fn ome_xml_names_the_size_of_a_pixel() {
        let ome = |attributes: &str| {
            let text = format!("<?xml?><OME><Image><Pixels ID=\"a\" {attributes}></Pixels></OME>");
            pixel_size(&page(&text, [72, 1], 2))
        };
        near(ome("PhysicalSizeX=\"0.11\" PhysicalSizeY=\"0.11\""), 0.11);
        let unit = "PhysicalSizeXUnit=\"nm\" PhysicalSizeYUnit=\"nm\"";
        near(ome(&format!("PhysicalSizeX=\"65.0\" PhysicalSizeY=\"65.0\" {unit}")), 0.065);
        assert_eq!(ome("PhysicalSizeX=\"0.11\" PhysicalSizeY=\"0.2\""), None);
        for absurd in ["0", "1e300", "1e-300", "1e9"] {
            let size = format!("PhysicalSizeX=\"{absurd}\" PhysicalSizeY=\"{absurd}\"");
            assert_eq!(ome(&size), None, "{absurd}");
        }
        assert_eq!(
            ome("PhysicalSizeX=\"1\" PhysicalSizeY=\"1\" PhysicalSizeXUnit=\"pixel\""),
            None
        );
    }

    #[test]
    fn image_j_counts_pixels_in_its_unit() {
        near(pixel_size(&page("ImageJ=1.54f\nunit=micron\n", [100, 11], 1)), 0.11);
        near(pixel_size(&page("ImageJ=1.54f\nunit=\\u00B5m\n", [100, 11], 1)), 0.11);
        assert_eq!(pixel_size(&page("ImageJ=1.54f\n", [100, 11], 1)), None);
        assert_eq!(pixel_size(&page("ImageJ=1.54f\nunit=pixel\n", [100_000, 1], 2)), None);
    }

    #[test]
    fn a_resolution_for_printers_is_no_scale() {
        near(pixel_size(&page("", [100_000, 1], 3)), 0.1);
        near(pixel_size(&page("", [254_000, 1], 2)), 0.1);
        for (resolution, unit) in [([72, 1], 2), ([300, 1], 2), ([118, 1], 3), ([9, 1], 1)] {
            assert_eq!(pixel_size(&page("", resolution, unit)), None, "{resolution:?} {unit}");
        }
        assert_eq!(pixel_size(&page("", [0, 0], 3)), None);
    }
}
