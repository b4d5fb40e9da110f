//! Trees of folders.

use leukd_cell::Format;
use leukd_cell::synthetic::{self, Kind};
use leukd_train::dataset::{Dataset, DatasetError, Side};

use crate::dataset::{four_subjects, picture, preprocessing, put, read, reason, write};

#[test]
fn cnmc_folds_are_read_with_their_names() {
    let dir = four_subjects();
    put(dir.path(), "hem", "H14", 3, &picture(50));
    let dataset = read(dir.path());
    assert!(dataset.broken.is_empty(), "{:?}", dataset.broken);
    let told: Vec<_> = dataset
        .cells
        .iter()
        .map(|cell| (cell.name.as_str(), cell.subject.as_str(), cell.label, cell.fold.as_deref()))
        .collect();
    assert_eq!(told.len(), 9);
    assert!(told.contains(&("UID_11_0_1_all.bmp", "11", 0, Some("fold_0"))));
    assert!(told.contains(&("UID_h2_1_1_hem.bmp", "h2", 1, Some("fold_1"))));
    assert!(told.contains(&("UID_H14_3_1_hem.bmp", "H14", 1, None)));
    assert!(told.is_sorted());
    let cell = &dataset.cells[0];
    assert_eq!((cell.width, cell.height, cell.format), (450, 450, Format::Bmp));
    assert!(cell.area > 10_000);
    assert_eq!(cell.pixels.len(), 8 * 8 * 3);
    assert_eq!(dataset.given_folds().into_iter().collect::<Vec<_>>(), ["fold_0", "fold_1"]);
}

#[test]
fn a_subjects_folder_names_it_above_or_below_the_class() {
    let dir = tempfile::tempdir().unwrap();
    let cell = synthetic::cell(1, Kind::Normal);
    write(dir.path(), "patient 7/all/x.png", &synthetic::png(&cell));
    write(
        dir.path(),
        "hem/donor-3/slide 1/x.TIF",
        &synthetic::tiff(&synthetic::cell(2, Kind::Blast)),
    );
    write(dir.path(), "site/fold_2/HEM/UID_H9_1_1_hem.bmp", &picture(3));
    write(dir.path(), "site/all/data/y.jpg", &synthetic::jpeg(&synthetic::cell(4, Kind::Blast)));
    write(dir.path(), "hem/z.png", &synthetic::png(&synthetic::cell(5, Kind::Normal)));
    write(dir.path(), "train/all/t.bmp", &picture(6));
    let dataset = read(dir.path());
    assert!(dataset.broken.is_empty(), "{:?}", dataset.broken);
    let told = |name: &str| {
        let cell = dataset.cells.iter().find(|cell| cell.name == name).unwrap();
        (cell.subject.as_str(), cell.label, cell.format, cell.fold.as_deref(), cell.side)
    };
    assert_eq!(told("x.png"), ("patient 7", 0, Format::Png, None, None));
    assert_eq!(told("x.TIF"), ("donor-3", 1, Format::Tiff, None, None));
    // The name knows better than the folder.
    assert_eq!(told("UID_H9_1_1_hem.bmp"), ("H9", 1, Format::Bmp, Some("fold_2"), None));
    assert_eq!(told("y.jpg"), ("site", 0, Format::Jpeg, None, None));
    assert_eq!(told("z.png"), ("", 1, Format::Png, None, None));
    // A side is nobody.
    assert_eq!(told("t.bmp"), ("", 0, Format::Bmp, None, Some(Side::Training)));
}

#[test]
fn broken_files_are_listed_with_reasons_and_the_others_are_read() {
    let dir = four_subjects();
    let fold = dir.path().join("fold_1");
    let whole = picture(20);
    put(&fold, "all", "2", 9, &whole[..whole.len() / 2]);
    write(&fold, "hem/empty.png", b"");
    write(&fold, "hem/notes.txt", b"not an image");
    write(&fold, "hem/cell.webp", b"RIFF");
    write(&fold, "all/UID_2_8_1_hem.bmp", &picture(21));
    write(&fold, "elsewhere.png", &picture(22));
    write(&fold, "all/hem/both.bmp", &picture(23));
    // The same picture under both labels: neither can be believed.
    write(&fold, "all/a.bmp", &picture(24));
    write(&fold, "hem/b.bmp", &picture(24));
    #[cfg(unix)]
    std::os::unix::fs::symlink(fold.join("nowhere.bmp"), fold.join("hem/dangling.bmp")).unwrap();
    let dataset = read(dir.path());
    assert_eq!(dataset.cells.len(), 8);
    let says = |name: &str, what: &str| {
        let reason = reason(&dataset.broken, name);
        assert!(reason.contains(what), "{name}: {reason}");
    };
    says("UID_2_9_1_all.bmp", "not complete");
    says("empty.png", "no bytes");
    says("cell.webp", "convert it");
    says("UID_2_8_1_hem.bmp", "its name says hem, and it is labelled all");
    says("elsewhere.png", "no folder all or hem");
    says("both.bmp", "below a folder all and below a folder hem");
    says("a.bmp", "labelled all here and hem in");
    says("b.bmp", "labelled hem here and all in");
    says("dangling.bmp", "No such file");
    assert_eq!(dataset.broken.len(), 9, "{:?}", dataset.broken);
    assert!(dataset.broken.is_sorted_by_key(|file| &file.path));
}

#[cfg(unix)]
#[test]
fn links_are_followed_once_and_a_loop_of_them_ends() {
    let dir = four_subjects();
    std::os::unix::fs::symlink("..", dir.path().join("fold_0/all/up")).unwrap();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("fold_1/self")).unwrap();
    let outside = four_subjects();
    put(outside.path(), "all", "77", 1, &picture(70));
    std::os::unix::fs::symlink(outside.path().join("all"), dir.path().join("all")).unwrap();
    let dataset = read(dir.path());
    assert_eq!((dataset.cells.len(), dataset.broken.len()), (9, 0));
    assert!(dataset.subjects().contains("77"));
}

#[cfg(unix)]
#[test]
fn a_pipe_with_an_images_name_does_not_hang_the_reading() {
    let dir = four_subjects();
    let pipe = dir.path().join("fold_0/all/pipe.bmp");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let dataset = read(dir.path());
    assert_eq!(dataset.cells.len(), 8);
    assert!(reason(&dataset.broken, "pipe.bmp").contains("no regular file"));
}

#[test]
fn what_other_programs_leave_in_a_folder_is_no_cell() {
    let dir = four_subjects();
    for folder in ["@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", ".Trash-1000"]
    {
        write(dir.path(), &format!("fold_0/all/{folder}/a.bmp"), b"no picture");
    }
    write(dir.path(), "fold_0/all/._a.bmp", b"no picture");
    let dataset = read(dir.path());
    assert_eq!((dataset.cells.len(), dataset.broken.len()), (8, 0));
}

#[test]
fn nothing_to_read_is_an_error_that_says_what_it_takes() {
    let dir = tempfile::tempdir().unwrap();
    let read = || Dataset::read(dir.path(), &preprocessing()).unwrap_err();
    let error = read();
    assert!(error.to_string().contains("all/ and hem/"), "{error}");
    write(dir.path(), "all/broken.bmp", b"BM");
    let error = read();
    assert!(matches!(error, DatasetError::Empty { .. }));
    assert!(error.to_string().contains("broken.bmp"), "{error}");
    let error = Dataset::read(&dir.path().join("absent"), &preprocessing()).unwrap_err();
    assert!(matches!(error, DatasetError::Folder { .. }), "{error}");
    assert!(error.to_string().contains("absent"), "{error}");
}

#[test]
fn progress_counts_every_file() {
    let dir = four_subjects();
    write(dir.path(), "all/broken.bmp", b"BM");
    let most = std::sync::atomic::AtomicUsize::new(0);
    Dataset::read_with(dir.path(), &preprocessing(), &|progress| {
        assert_eq!(progress.of, 9);
        most.fetch_max(progress.done, std::sync::atomic::Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(most.into_inner(), 9);
}
