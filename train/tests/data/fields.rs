//! `leukd-train fields`: figures of segmentation on fields that somebody drew on.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use leukd_cell::synthetic;
use leukd_cell::synthetic::smear::{Recipe, draw};
use serde_json::Value;

use crate::support::said;

fn fields(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leukd-train"));
    command.arg("fields").arg(folder).args(arguments).output().unwrap()
}

/// A set of drawn fields with boxes, in PASCAL VOC's layout.
fn drawn(folder: &Path) {
    for name in ["JPEGImages", "Annotations"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    for seed in 0..3 {
        let smear = draw(&Recipe { seed, white_cells: 2, ..Recipe::default() });
        let boxes: String = smear
            .cells
            .iter()
            .map(|cell| {
                let (x, y, radius) = (cell.x, cell.y, cell.radius);
                let [left, top, right, bottom] = [x - radius, y - radius, x + radius, y + radius];
                format!(
                    "<object><name>WBC</name><bndbox><xmin>{left}</xmin><ymin>{top}</ymin>\
                     <xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
                )
            })
            .collect();
        let picture = folder.join(format!("JPEGImages/{seed}.png"));
        fs::write(picture, synthetic::png(&smear.picture)).unwrap();
        let annotation = format!("<annotation>{boxes}</annotation>");
        fs::write(folder.join(format!("Annotations/{seed}.xml")), annotation).unwrap();
    }
}

#[test]
fn segmentation_is_measured_on_fields_with_boxes_and_the_worst_are_drawn() {
    let dir = tempfile::tempdir().unwrap();
    drawn(dir.path());
    let sheet = dir.path().join("worst.png");
    let output = fields(&["--json", "--contact-sheet", sheet.to_str().unwrap()], dir.path());
    assert!(output.status.success(), "{}", said(&output));
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    let set = &object["sets"][0];
    assert_eq!((set["fields"].as_u64(), set["boxes"].as_u64()), (Some(3), Some(6)), "{set}");
    assert_eq!((set["recall"].as_f64(), set["precision"].as_f64()), (Some(1.0), Some(1.0)));
    assert!(set["cells"].is_null() && set["by_size"].as_array().unwrap().len() == 3, "{set}");
    assert!(fs::read(&sheet).unwrap().starts_with(b"\x89PNG"));
    // A person's table, and what half the size and strong compression cost.
    let output = fields(&["--resize", "0.5", "--jpeg", "60"], dir.path());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("| recall |") && text.contains("(6 of 6)"), "{text}");
}

#[test]
fn a_folder_without_annotations_and_a_broken_box_are_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.png"), b"").unwrap();
    let output = fields(&[], dir.path());
    assert!(!output.status.success());
    assert!(said(&output).contains("no picture has annotations"), "{}", said(&output));
    drawn(dir.path());
    fs::write(dir.path().join("Annotations/1.xml"), "<annotation><object>").unwrap();
    let output = fields(&[], dir.path());
    assert!(!output.status.success() && said(&output).contains("Annotations/1.xml"));
    for wrong in [["--resize", "0"], ["--light", "1,2"], ["--blur", "x"], ["--jpeg", "0"]] {
        assert_eq!(fields(&wrong, dir.path()).status.code(), Some(2), "{wrong:?}");
    }
}
