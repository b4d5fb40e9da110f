use std::fs;

use super::*;
use crate::segment::{SegmentOptions, segment};
use crate::synthetic;
use crate::synthetic::smear::{DrawnCell, Recipe, draw};

fn voc(cells: &[DrawnCell]) -> String {
    let objects: String = cells
        .iter()
        .map(|cell| {
            let (x, y, radius) = (cell.x, cell.y, cell.radius);
            format!(
                "<object><name>WBC</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>\
                 <ymax>{}</ymax></bndbox></object>",
                x - radius,
                y - radius,
                x + radius,
                y + radius
            )
        })
        .collect();
    format!("<annotation>{objects}</annotation>")
}

#[test]
fn annotations_are_found_beside_their_fields_and_compared() {
    let dir = std::env::temp_dir().join(format!("leukd-annotated-{}", std::process::id()));
    for folder in ["a/JPEGImages", "a/Annotations", "a/CellMasks", "b"] {
        fs::create_dir_all(dir.join(folder)).unwrap();
    }
    let smear = draw(&Recipe { seed: 3, white_cells: 3, ..Recipe::default() });
    let (width, height) = smear.picture.dimensions();
    let levels = |is_three: bool| {
        RgbImage::from_fn(width, height, |x, y| {
            let is_cell = smear.cells.iter().any(|cell| cell.holds(x, y));
            image::Rgb([if is_cell && is_three { 128 } else { u8::from(is_cell) * 255 }; 3])
        })
    };
    let png = synthetic::png(&smear.picture);
    fs::write(dir.join("a/JPEGImages/one.png"), &png).unwrap();
    fs::write(dir.join("a/Annotations/one.xml"), voc(&smear.cells[1..])).unwrap();
    fs::write(dir.join("a/CellMasks/one.png"), synthetic::png(&levels(false))).unwrap();
    fs::write(dir.join("b/two_img.png"), &png).unwrap();
    fs::write(dir.join("b/two_mask.png"), synthetic::png(&levels(true))).unwrap();
    fs::write(dir.join("b/bare.png"), &png).unwrap();
    let found = find(&dir).unwrap();
    assert_eq!(found.bare, [dir.join("b/bare.png")]);
    let [(_, one), (_, two)] = &found.sets[..] else { panic!("{found:?}") };
    let (one, two) = (&one[0], &two[0]);
    let read = |place: &Place| place.read(&Names::default()).unwrap();
    let (one_read, two_read) = (read(one), read(two));
    assert_eq!((one_read.boxes.len(), one_read.cells.len()), (2, 3));
    assert_eq!((two_read.boxes.len(), two_read.cells.len()), (3, 3));
    assert!(two_read.nuclei.is_some() && one_read.nuclei.is_none());

    let field = segment(&one_read.picture, &SegmentOptions::default());
    let own = agreement(&one_read, &field);
    assert!(own.boxes.iter().all(|own| own.is_found), "{own:?}");
    // One has no box, and a mask.
    assert_eq!((own.more, own.more_with_mask), (1, 1), "{own:?}");
    assert!(own.masks.iter().all(|own| own.cell > 0.85 && own.nucleus.is_none()), "{own:?}");
    let sheet = contact_sheet(&[Compared { truth: &one_read, field: &field }]);
    assert_eq!(sheet.dimensions(), (6 * 320, 240));

    fs::write(dir.join("a/CellMasks/one.png"), synthetic::png(&RgbImage::new(9, 9))).unwrap();
    let refused = one.read(&Names::default()).unwrap_err().to_string();
    assert!(refused.contains("CellMasks/one.png") && refused.contains("9×9"), "{refused}");
    fs::write(dir.join("a/Annotations/one.xml"), "<annotation><object><name>WBC</name>").unwrap();
    fs::remove_file(dir.join("a/CellMasks/one.png")).unwrap();
    let no_mask = Place { cells: None, ..one.clone() };
    let refused = no_mask.read(&Names::default()).unwrap_err().to_string();
    assert!(refused.contains("one.xml") && refused.contains("xmin"), "{refused}");
    fs::remove_dir_all(&dir).unwrap();
}
