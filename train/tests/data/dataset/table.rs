//! CSVs of cells.

use leukd_train::dataset::{Dataset, DatasetError, Side};

use crate::dataset::{picture, preprocessing, read, write};

#[test]
fn a_csv_names_cells_wherever_they_are() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "lab/one.bmp", &picture(1));
    write(dir.path(), "other/UID_H3_1_1_hem.bmp", &picture(2));
    let third = write(dir.path(), "other/three.bmp", &picture(3));
    let csv = format!(
        "Path,label,subject,fold,side,comment\n\
         one.bmp,all,\"A, the first\",a,training,\n\
         ../other/UID_H3_1_1_hem.bmp,HEM,,b,Test,\"x\"\"y\"\n\
         {},hem,H4,,,\n",
        third.display()
    );
    let dataset = read(&write(dir.path(), "lab/cells.csv", csv.as_bytes()));
    assert!(dataset.broken.is_empty(), "{:?}", dataset.broken);
    let told: Vec<_> = dataset
        .cells
        .iter()
        .map(|cell| (cell.subject.as_str(), cell.label, cell.fold.as_deref(), cell.side))
        .collect();
    assert_eq!(
        told,
        [
            ("H3", 1, Some("b"), Some(Side::Test)),
            ("A, the first", 0, Some("a"), Some(Side::Training)),
            ("H4", 1, None, None),
        ]
    );
}

#[test]
fn lines_that_name_no_cell_are_listed_with_their_numbers() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.bmp", &picture(1));
    write(dir.path(), "b.bmp", &picture(2));
    write(dir.path(), "half.bmp", &picture(3)[..1000]);
    let csv = b"path,label,side\n\
        a.bmp,all,\n\
        \n\
        \r\n\
        b.bmp,blast,\n\
        absent.bmp,hem,\n\
        b.bmp,hem,\n\
        ,hem,\n\
        half.bmp,hem,\n\
        b.bmp,hem,\n\
        c.bmp,all\n\
        c\xff.bmp,all,\n\
        d.bmp,,\n\
        e.bmp,all,somewhere\n\
        \"f.bmp,all,\n";
    let dataset = read(&write(dir.path(), "cells.csv", csv));
    assert_eq!(dataset.cells.len(), 2);
    let mut told: Vec<(u64, &str)> = dataset
        .broken
        .iter()
        .map(|file| {
            let rest = file.reason.split_once("cells.csv, line ").unwrap().1;
            let (line, reason) = rest.split_once(": ").unwrap();
            (line.parse().unwrap(), reason)
        })
        .collect();
    told.sort_unstable();
    let wanted = [
        (5, "the label \"blast\" is neither all nor hem"),
        (6, "No such file"),
        (8, "the path is empty"),
        (9, "not complete"),
        (10, "the same file as in line 7"),
        (11, "2 fields, and the header 3"),
        (12, "not UTF-8"),
        (13, "the label is empty"),
        (14, "the side \"somewhere\" is none of"),
        (15, "a quote is not closed"),
    ];
    assert_eq!(told.len(), wanted.len(), "{told:?}");
    for ((line, reason), (wanted, words)) in told.iter().zip(wanted) {
        assert!(
            *line == wanted && reason.contains(words),
            "{line}: {reason}, not {wanted}: {words}"
        );
    }
}

#[test]
fn a_csv_without_its_columns_is_refused_with_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    for (csv, words) in [
        (&b"\n\nfile,label\na.bmp,all\n"[..], "line 3: no column \"path\""),
        (
            b"path,class\na.bmp,all\n",
            "line 1: no column \"label\": the header needs path, label, and has path, class",
        ),
        (b"path,label,path\na.bmp,all,b\n", "two columns are named \"path\""),
        (b"", "the file is empty"),
        (b"\xff\xfep\0a\0", "UTF-16"),
    ] {
        let path = write(dir.path(), "cells.csv", csv);
        let error = Dataset::read(&path, &preprocessing()).unwrap_err();
        assert!(matches!(error, DatasetError::Header { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.to_string().contains("cells.csv, line"), "{error}");
    }
}

#[test]
fn what_spreadsheets_write_is_read() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.bmp", &picture(1));
    for csv in [
        "\u{feff}path;label;subject\r\na.bmp; all ;S, 1\r\n",
        "path\tlabel\tsubject\na.bmp\tall\tS, 1",
    ] {
        let dataset = read(&write(dir.path(), "cells.csv", csv.as_bytes()));
        assert_eq!(dataset.cells[0].subject, "S, 1");
    }
}
