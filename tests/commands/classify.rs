//! `leukd classify` on files and folders as people have them: each capture gets an answer, whatever
//! lies beside it.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::bounded::InTime as _;
use crate::local::{leukd, stderr, stdout};

use leukd::cell::synthetic::{self, Kind};
use leukd::model::testing;
use serde_json::Value;

/// A folder with the model `tiny.onnx` and, in `cells`, `files`; a name that ends in `/` is a
/// folder.
fn folder_of(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tiny.onnx"), testing::tiny_bundle("tiny", 1)).unwrap();
    for (name, bytes) in files {
        let path = folder.path().join("cells").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

/// A path, with P(all) or the code of the reason.
type Answer = (String, Result<f64, String>);

/// The exit code, and the answers.
fn classify(folder: &Path, paths: &[&str]) -> (Option<i32>, Vec<Answer>) {
    let arguments = ["classify", "--json", "--model", "tiny.onnx"];
    let output: Output = leukd(folder).args(arguments).args(paths).in_time().unwrap();
    let answers: Vec<_> = stdout(&output)
        .lines()
        .map(|line| {
            let result: Value = serde_json::from_str(line).unwrap();
            let path = result["capture"]["source"]["folder"]["path"].as_str().unwrap().to_owned();
            let classes = result["probabilities"].as_array().filter(|classes| !classes.is_empty());
            let answer = classes.map(|classes| {
                let all = classes.iter().find(|class| class["label"] == "all").unwrap();
                all["probability"].as_f64().unwrap()
            });
            let reason = || result["reasons"][0]["code"].as_str().unwrap_or_default().to_owned();
            (path, answer.ok_or_else(reason))
        })
        .collect();
    assert!(output.status.code().is_some(), "{}", stderr(&output));
    (output.status.code(), answers)
}

#[test]
fn what_other_programs_leave_in_a_folder_is_not_classified() {
    let bytes = || synthetic::png(&synthetic::cell(1, Kind::Normal));
    let leftovers = [
        "._a.png",
        "~$a.png",
        "@eaDir/a.png/SYNOPHOTO_THUMB_M.jpg",
        "s1/@eaDir/a.png",
        "@Recycle/a.png",
        "#recycle/a.png",
        "#snapshot/daily/a.png",
        "$RECYCLE.BIN/S-1-5/a.png",
        "System Volume Information/a.png",
        ".Trash-1000/files/a.png",
        "lost+found/a.png",
        ".ipynb_checkpoints/a-checkpoint.png",
        ".@__thumb/a.png",
        "__MACOSX/._a.png",
    ];
    let captures = ["b.png", "s1/a.png", "s1/deep/a.PNG"];
    let all = leftovers.iter().chain(&captures).map(|name| (*name, bytes())).collect::<Vec<_>>();
    let folder = folder_of(&all);
    let (code, answers) = classify(folder.path(), &["cells"]);
    let paths: Vec<_> = answers.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!((code, paths), (Some(0), captures.to_vec()));
    // The same list for a comparison of two models.
    let compared = ["model", "diff", "--json", "tiny.onnx", "tiny.onnx", "cells"];
    let output = leukd(folder.path()).args(compared).in_time().unwrap();
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["images"], captures.len(), "{report}");
    // Another list is the laboratory's choice.
    fs::write(folder.path().join("leukd.toml"), "[watch]\nignore = [\"s1\", \"**/[@#$.~_]*\"]\n")
        .unwrap();
    let (_, answers) = classify(folder.path(), &["--config", "leukd.toml", "cells"]);
    let paths: Vec<_> = answers.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["System Volume Information/a.png", "b.png", "lost+found/a.png"]);
}

#[test]
fn what_classify_passes_over_in_a_folder_is_counted_aloud() {
    let picture = synthetic::png(&synthetic::cell(1, Kind::Normal));
    let folder = folder_of(&[("a.png", picture), ("b.czi", vec![1]), ("notes.txt", vec![2])]);
    std::os::unix::fs::symlink("a.png", folder.path().join("cells/link.png")).unwrap();
    let arguments = ["classify", "--model", "tiny.onnx", "cells"];
    let output = leukd(folder.path()).args(arguments).in_time().unwrap();
    assert!(stderr(&output).contains("cells: passed over 3 "), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_pipe_is_refused_and_the_files_after_it_are_answered() {
    let picture = synthetic::cell(2, Kind::Blast);
    let folder = folder_of(&[("z.png", synthetic::png(&picture))]);
    let pipe = folder.path().join("cells/a.png");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    let (code, answers) = classify(folder.path(), &["cells/a.png", "/dev/null", "cells/z.png"]);
    let refused = Err("unreadable".to_owned());
    assert_eq!((code, &answers[0].1, &answers[1].1), (Some(65), &refused, &refused));
    assert!(answers[2].1.is_ok() && answers.len() == 3, "{answers:?}");
}

#[test]
fn every_file_gets_its_own_answer_whatever_the_others_hold() {
    let picture = synthetic::cell(3, Kind::Blast);
    let [png, bmp, jpeg, tiff] = [synthetic::png, synthetic::bmp, synthetic::jpeg, synthetic::tiff]
        .map(|write| write(&picture));
    let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    // A scan that was filled up with zeros, as a download or a full disk leaves it.
    let mut filled = half(&jpeg);
    filled.resize(jpeg.len() - 2, 0);
    filled.extend([0xff, 0xd9]);
    let folder = folder_of(&[
        ("a.png", png),
        ("b-half.png", half(&synthetic::png(&picture))),
        ("c.bmp", bmp.clone()),
        ("d-half.bmp", half(&bmp)),
        ("e-half.jpg", half(&jpeg)),
        ("f-zeros.jpg", filled),
        ("g-half.tif", half(&tiff)),
        ("h-empty.tif", Vec::new()),
        ("i-text.jpg", b"no picture at all".to_vec()),
        ("j.tif", tiff),
        ("k.jpg", jpeg),
    ]);
    let (code, answers) = classify(folder.path(), &["cells"]);
    assert_eq!((code, answers.len()), (Some(65), 11));
    let of = |name: &str| &answers.iter().find(|(path, _)| path.starts_with(name)).unwrap().1;
    let expected = of("a").clone().unwrap();
    for whole in ["c", "j"] {
        assert!((of(whole).clone().unwrap() - expected).abs() < 1e-6, "{answers:?}");
    }
    assert!(of("k").is_ok());
    for cut in ["b", "d", "e", "f", "g", "h", "i"] {
        assert!(of(cut).is_err(), "{cut}: {answers:?}");
    }
}

#[test]
fn a_path_that_cannot_be_looked_at_costs_the_others_nothing() {
    let picture = synthetic::png(&synthetic::cell(4, Kind::Normal));
    let folder = folder_of(&[("s1/a.png", picture.clone()), ("s2/b.png", picture)]);
    let at = |name: &str| folder.path().join("cells").join(name);
    std::os::unix::fs::symlink("moved.png", at("link.png")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(at("socket.png")).unwrap();
    let (code, answers) = classify(folder.path(), &["absent.png", "cells", "cells/link.png"]);
    let paths: Vec<_> = answers.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!((code, paths), (Some(66), vec!["s1/a.png", "s2/b.png"]));
    let arguments =
        ["classify", "--model", "tiny.onnx", "absent.png", "cells/socket.png", "cells/link.png"];
    let output = leukd(folder.path()).args(arguments).in_time().unwrap();
    drop(socket);
    for said in [
        "absent.png: there is no such file or folder",
        "cells/link.png: this link leads to moved.png, which is not there",
    ] {
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
    assert!(stdout(&output).contains("unreadable"), "{}", stdout(&output));
}

#[test]
fn a_folder_that_may_not_be_read_costs_the_others_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let picture = synthetic::png(&synthetic::cell(4, Kind::Normal));
    let folder = folder_of(&[("s1/a.png", picture.clone()), ("s2/b.png", picture)]);
    let closed = folder.path().join("cells/s1");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read_dir(&closed).is_ok() {
        println!("skipped: this user may read every folder");
        return;
    }
    let (code, answers) = classify(folder.path(), &["cells"]);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
    let paths: Vec<_> = answers.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!((code, paths), (Some(66), vec!["s2/b.png"]));
}

#[test]
fn heat_maps_keep_the_folders_of_their_images() {
    let picture = synthetic::png(&synthetic::cell(5, Kind::Blast));
    let folder = folder_of(&[("s1/a.png", picture.clone()), ("s2/a.png", picture)]);
    let arguments = ["classify", "--heatmap", "maps", "cells"];
    let output = leukd(folder.path()).args(arguments).in_time().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for map in ["s1/a.png.heatmap.png", "s1/a.png.heatmap.json", "s2/a.png.heatmap.png"] {
        assert!(folder.path().join("maps").join(map).is_file(), "{map}");
    }
}

#[test]
fn a_field_of_view_gives_a_line_for_each_cell_and_a_picture_with_outlines() {
    use leukd::cell::synthetic::smear::{Recipe, draw};
    let smear = draw(&Recipe { seed: 3, white_cells: 3, ..Recipe::default() });
    let folder = folder_of(&[
        ("s/field.png", synthetic::png(&smear.picture)),
        ("cell.png", synthetic::png(&synthetic::cell(6, Kind::Blast))),
    ]);
    let (code, answers) = classify(folder.path(), &["cells"]);
    let paths: Vec<_> = answers.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        (code, paths),
        (Some(0), vec!["cell.png", "s/field.png", "s/field.png", "s/field.png"])
    );
    let arguments = ["classify", "--model", "tiny.onnx", "--overlay", "drawn", "cells"];
    let output = leukd(folder.path()).args(arguments).in_time().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let overlay = fs::read(folder.path().join("drawn/s/field.png.overlay.png")).unwrap();
    let drawn = image::load_from_memory(&overlay).unwrap().to_rgb8();
    assert_eq!(drawn.dimensions(), smear.picture.dimensions());
    let changed = drawn.pixels().zip(smear.picture.pixels()).filter(|(one, other)| one != other);
    assert!(changed.count() > 300, "outlines and captions are seen");
    assert!(!folder.path().join("drawn/cell.png.overlay.png").exists());
}
