//! An export folder, hostile as they are, becomes settled captures: each once, none missed.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use super::ingest_support::{Lab, long_ago, put, set_modified};
use leukd::config::settings::WatchMode;
use leukd::config::units::Span;
use leukd::ingest::open_capture;

#[tokio::test]
async fn a_dropped_file_is_handed_over_once() {
    let mut lab = Lab::watched();
    lab.put("a.bmp", b"cell");
    let settled = lab.done().await;
    assert_eq!(settled.path.absolute(), lab.root.join("a.bmp"));
    assert_eq!(settled.stamp.size, 4);
    assert!(!settled.last_chance);
    let file = open_capture(&settled.path).unwrap();
    assert!(settled.is_still(&file.metadata().unwrap()));
    lab.nothing_more().await;
    let state = lab.state();
    assert_eq!((state.settling, state.queued, state.oldest_waiting), (0, 0, None));
}

#[tokio::test]
async fn what_lies_there_at_the_start_is_found_without_an_event() {
    let fill = |root: &Path| put(root, "s1/slide/a.bmp", b"cell");
    let mut lab = Lab::prepared(fill, |watch, _| watch.mode = WatchMode::Watch);
    assert_eq!(lab.done().await.path.path, "s1/slide/a.bmp");
}

#[tokio::test]
async fn five_hundred_at_once_are_all_handed_over_and_none_twice() {
    let mut lab = Lab::watched();
    for index in 0..500 {
        lab.put(&format!("s{}/{index}.bmp", index % 7), b"cell");
    }
    let times = lab.collect(500).await;
    assert_eq!(times.len(), 500);
    lab.nothing_more().await;
}

#[tokio::test]
async fn polling_finds_the_same_as_watching() {
    let mut lab = Lab::open(|watch, _| watch.mode = WatchMode::Poll);
    for index in 0..100 {
        lab.put(&format!("s{}/{index}.bmp", index % 7), b"cell");
    }
    assert_eq!(lab.collect(100).await.len(), 100);
    lab.nothing_more().await;
    assert_eq!(lab.state().mode, "poll");
}

#[tokio::test]
async fn a_slow_writer_is_waited_for() {
    let mut lab = Lab::open(|watch, _| {
        watch.mode = WatchMode::Watch;
        watch.settle_interval = Span::from_millis(500);
    });
    let mut file = fs_err::File::create(lab.root.join("slow.tif")).unwrap();
    for _ in 0..12 {
        file.write_all(&[7; 100]).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(file);
    assert_eq!(lab.done().await.stamp.size, 1200);
    lab.nothing_more().await;
}

#[tokio::test]
async fn a_file_renamed_in_is_found() {
    let mut lab = Lab::watched();
    lab.put("a.bmp.part", b"cell");
    lab.nothing_more().await;
    fs_err::rename(lab.root.join("a.bmp.part"), lab.root.join("a.bmp")).unwrap();
    assert_eq!(lab.done().await.path.path, "a.bmp");
}

#[tokio::test]
async fn an_old_modification_time_is_no_obstacle() {
    let mut lab = Lab::watched();
    lab.put("old.part", b"cell");
    set_modified(&lab.root.join("old.part"), long_ago());
    fs_err::rename(lab.root.join("old.part"), lab.root.join("old.bmp")).unwrap();
    assert_eq!(lab.done().await.captured_at.0, 1_000_000_000_000);
}

#[tokio::test]
async fn a_file_of_equal_size_and_old_time_renamed_over_another_is_seen() {
    let mut lab = Lab::watched();
    lab.put("one.part", b"first");
    set_modified(&lab.root.join("one.part"), long_ago());
    fs_err::rename(lab.root.join("one.part"), lab.root.join("a.bmp")).unwrap();
    let first = lab.done().await;
    lab.put("two.part", b"other");
    set_modified(&lab.root.join("two.part"), long_ago());
    fs_err::rename(lab.root.join("two.part"), lab.root.join("a.bmp")).unwrap();
    if first.stamp.inode == 0 {
        return; // A file system whose stamps cannot tell.
    }
    let second = lab.done().await;
    assert_eq!(second.path, first.path);
    assert_eq!(
        (second.stamp.size, second.stamp.mtime_ns),
        (first.stamp.size, first.stamp.mtime_ns)
    );
    assert_ne!(second.stamp, first.stamp);
}

#[tokio::test]
async fn a_subfolder_that_arrives_with_files_in_it_is_found() {
    let mut lab = Lab::watched();
    let aside = lab.root.parent().unwrap().join("aside");
    for index in 0..5 {
        put(&aside, &format!("deep/{index}.bmp"), b"cell");
    }
    fs_err::rename(&aside, lab.root.join("slide")).unwrap();
    let times = lab.collect(5).await;
    assert!(times.keys().all(|path| path.starts_with("slide/deep/")), "{times:?}");
}

#[tokio::test]
async fn links_and_fifos_are_refused_and_counted() {
    let mut lab = Lab::prepared(
        |root| {
            let outside = root.parent().unwrap().join("outside");
            put(&outside, "secret.bmp", b"secret");
            std::os::unix::fs::symlink(outside.join("secret.bmp"), root.join("link.bmp")).unwrap();
            std::os::unix::fs::symlink(&outside, root.join("door")).unwrap();
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            rustix::fs::mkfifoat(rustix::fs::CWD, root.join("pipe.bmp"), mode).unwrap();
            put(root, "a.bmp", b"cell");
        },
        |_, _| {},
    );
    assert_eq!(lab.done().await.path.path, "a.bmp");
    lab.nothing_more().await;
    assert_eq!(lab.state().refused, 3);
}

#[tokio::test]
async fn a_watched_folder_may_be_a_link_and_changes_behind_it_are_heard() {
    // Full scans come once a minute: only inotify is quick enough.
    let mut lab = Lab::open(|watch, root| {
        let link = root.with_file_name("link");
        std::os::unix::fs::symlink(root, &link).unwrap();
        watch.folders = vec![link];
        watch.mode = WatchMode::Auto;
    });
    lab.until("watched", |state| state.mode == "watch" && state.last_scan_at.is_some()).await;
    lab.put("s1/a.bmp", b"cell");
    assert_eq!(lab.done().await.path.path, "s1/a.bmp");
}

#[tokio::test]
async fn a_mount_below_the_folder_that_reports_no_changes_has_it_polled() {
    let mut lab = Lab::open(|watch, root| {
        watch.mode = WatchMode::Auto;
        watch.rescan_interval = Span::from_millis(100);
        fs_err::create_dir(root.join("share")).unwrap();
    });
    lab.until("watched", |state| state.mode == "watch").await;
    // A file system of the kernel stands for a share: leukd knows of neither that it reports
    // changes.
    let share = lab.root.join("share");
    if !std::process::Command::new("mount")
        .args(["-t", "devpts", "devpts"])
        .arg(&share)
        .status()
        .is_ok_and(|done| done.success())
    {
        println!("skipped: this user may not mount");
        return;
    }
    let polled = lab
        .until("polled", |state| state.mode == "poll" && state.file_system.ends_with(" at share"));
    let told = tokio::time::timeout(Duration::from_secs(20), polled).await;
    assert!(
        std::process::Command::new("umount").arg("--lazy").arg(&share).status().unwrap().success()
    );
    told.unwrap();
    lab.until("watched again", |state| state.mode == "watch").await;
    lab.put("a.bmp", b"cell");
    assert_eq!(lab.done().await.path.path, "a.bmp");
}

#[tokio::test]
async fn what_the_globs_exclude_is_ignored_and_counted() {
    let mut lab = Lab::prepared(
        |root| {
            for file in ["A.BMP", "b.txt", ".hidden/c.bmp", "~d.bmp", "thumbs.DB", "old/e.bmp"] {
                put(root, file, b"cell");
            }
        },
        |watch, _| watch.ignore.push("old".to_owned()),
    );
    assert_eq!(lab.done().await.path.path, "A.BMP");
    lab.nothing_more().await;
    assert_eq!(lab.state().ignored, 5);
}

#[tokio::test]
async fn an_unreadable_subfolder_is_a_problem_and_not_the_end() {
    if rustix::process::geteuid().is_root() {
        return; // Root reads everything.
    }
    use std::os::unix::fs::PermissionsExt;
    let closed = std::fs::Permissions::from_mode(0o000);
    let mut lab = Lab::prepared(
        |root| {
            put(root, "closed/a.bmp", b"cell");
            put(root, "open/b.bmp", b"cell");
            fs_err::set_permissions(root.join("closed"), closed).unwrap();
        },
        |_, _| {},
    );
    assert_eq!(lab.done().await.path.path, "open/b.bmp");
    lab.until("told", |state| {
        state.problem.as_deref().is_some_and(|problem| problem.contains("closed"))
    })
    .await;
    assert!(lab.state().reachable);
    fs_err::set_permissions(lab.root.join("closed"), std::fs::Permissions::from_mode(0o700))
        .unwrap();
    assert_eq!(lab.done().await.path.path, "closed/a.bmp");
}

#[tokio::test]
async fn a_name_that_is_not_utf8_is_reported_and_the_others_go_on() {
    let mut lab = Lab::open(|_, _| {});
    let odd = lab.root.join(std::ffi::OsStr::from_bytes(b"bad\xff.bmp"));
    if fs_err::write(odd, b"cell").is_err() {
        return; // A file system that takes only UTF-8 names.
    }
    lab.put("good.bmp", b"cell");
    assert_eq!(lab.done().await.path.path, "good.bmp");
    lab.until("told", |state| {
        state.problem.as_deref().is_some_and(|problem| problem.contains("UTF-8"))
    })
    .await;
    assert!(lab.state().problem_since.is_some());
}

#[tokio::test]
async fn a_missing_folder_is_degraded_and_recovers_by_itself() {
    let mut lab = Lab::open(|watch, root| {
        watch.mode = WatchMode::Watch;
        watch.folders = vec![root.join("later")];
    });
    lab.until("unreachable", |state| state.problem.is_some()).await;
    let state = lab.state();
    assert!(!state.reachable);
    assert!(state.problem.unwrap().contains("does not exist"));
    lab.put("later/a.bmp", b"cell");
    assert_eq!(lab.done().await.path.path, "a.bmp");
    lab.until("well", |state| state.reachable && state.problem.is_none()).await;
}

#[tokio::test]
async fn a_folder_that_goes_and_comes_back_hands_nothing_over_twice() {
    let mut lab = Lab::watched();
    lab.put("a.bmp", b"cell");
    lab.done().await;
    let aside = lab.root.parent().unwrap().join("aside");
    fs_err::rename(&lab.root, &aside).unwrap();
    lab.until("unreachable", |state| !state.reachable).await;
    fs_err::rename(&aside, &lab.root).unwrap();
    lab.until("reachable", |state| state.reachable).await;
    lab.nothing_more().await;
    // The watcher follows: with a rescan only each minute, an event must have told of this one.
    lab.put("b.bmp", b"cell");
    assert_eq!(lab.done().await.path.path, "b.bmp");
}

#[tokio::test]
async fn a_pending_capture_outlives_the_absence_of_its_folder() {
    let mut lab = Lab::open(|watch, _| watch.settle_interval = Span::from_millis(500));
    lab.put("a.bmp", b"cell");
    lab.until("seen", |state| state.settling == 1).await;
    let aside = lab.root.parent().unwrap().join("aside");
    fs_err::rename(&lab.root, &aside).unwrap();
    lab.until("unreachable", |state| !state.reachable).await;
    assert_eq!(lab.state().settling, 1);
    fs_err::rename(&aside, &lab.root).unwrap();
    assert_eq!(lab.done().await.path.path, "a.bmp");
}

#[tokio::test]
async fn a_folder_that_must_be_a_mount_point_is_degraded_until_it_is() {
    let mut lab = Lab::open(|watch, _| watch.require_mount = true);
    lab.put("a.bmp", b"cell");
    lab.until("told", |state| {
        state.problem.as_deref().is_some_and(|problem| problem.contains("no mount point"))
    })
    .await;
    lab.nothing_more().await;
    assert!(!lab.state().reachable);
}
