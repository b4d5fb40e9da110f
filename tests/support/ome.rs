//! TIFF with a description, such as OME-XML.

use image::RgbImage;

/// OME-XML of a picture whose pixels span so many micrometres.
pub fn description(micrometres: f64) -> String {
    format!(
        "<?xml version=\"1.0\"?><OME><Image><Pixels PhysicalSizeX=\"{micrometres}\" \
         PhysicalSizeY=\"{micrometres}\"/></Image></OME>\0"
    )
}

/// An uncompressed RGB TIFF with a description.
pub fn tiff(picture: &RgbImage, description: &str) -> Vec<u8> {
    let (width, height) = picture.dimensions();
    let entries = 10;
    let bits_at = 8 + 2 + 12 * entries + 4;
    let text_at = bits_at + 6;
    let pixels_at = text_at + description.len() as u32;
    let mut bytes = b"II\x2a\0\x08\0\0\0".to_vec();
    bytes.extend((entries as u16).to_le_bytes());
    for (tag, kind, count, value) in [
        (256_u16, 4_u16, 1_u32, width),
        (257, 4, 1, height),
        (258, 3, 3, bits_at),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (270, 2, description.len() as u32, text_at),
        (273, 4, 1, pixels_at),
        (277, 3, 1, 3),
        (278, 4, 1, height),
        (279, 4, 1, width * height * 3),
    ] {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    bytes.extend([8, 0, 8, 0, 8, 0]);
    bytes.extend(description.as_bytes());
    bytes.extend(picture.as_raw());
    bytes
}
