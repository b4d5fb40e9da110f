//! Boxes in PASCAL VOC's XML: `<object><name>…</name><bndbox><xmin>…</bndbox></object>`.

use super::Box4;

/// Name and box of each object.
///
/// # Errors
/// What an object lacks.
pub(super) fn objects(text: &str) -> Result<Vec<(String, Box4)>, String> {
    if !text.contains("<annotation") {
        return Err("it is no PASCAL VOC annotation: it has no <annotation>".to_owned());
    }
    text.split("<object>")
        .skip(1)
        .enumerate()
        .map(|(at, part)| {
            let part = part.split("</object>").next().unwrap_or(part);
            let value = |tag: &str| {
                let rest = part.split_once(&format!("<{tag}>"))?.1;
                Some(rest.split_once('<')?.0.trim())
            };
            let number = |tag: &str| {
                let problem = || format!("its object {} has no number in <{tag}>", at + 1);
                let number = value(tag).and_then(|text| text.parse::<f32>().ok());
                number.filter(|own| own.is_finite()).ok_or_else(problem)
            };
            let name = value("name").ok_or_else(|| format!("its object {} has no name", at + 1))?;
            let own = [number("xmin")?, number("ymin")?, number("xmax")?, number("ymax")?];
            Ok((name.to_owned(), own))
        })
        .collect()
}
