//! `leukd-train pool` and `ship`, on runs' files that are written here: from folds to a bundle with
//! their figures.

mod kept_runs;
mod own_reference;
mod pooling;
mod shipping;
mod story;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use leukd_train::pool::Pooled;

use crate::support::said;
use story::Story;

fn train(arguments: &[&str], paths: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_leukd-train")).args(arguments).args(paths).output().unwrap()
}

/// Pools `runs` into `dir/name`; the file that was written.
fn pool(dir: &Path, name: &str, runs: &[&Path]) -> (PathBuf, Pooled, String) {
    pool_with(dir, name, runs, &[])
}

fn pool_with(dir: &Path, name: &str, runs: &[&Path], more: &[&str]) -> (PathBuf, Pooled, String) {
    let out = dir.join(name);
    let arguments = [&["pool", "--out", out.to_str().unwrap()], more].concat();
    let output = train(&arguments, runs);
    assert!(output.status.success(), "{}", said(&output));
    let path = out.join("pooled.json");
    let pooled = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    (path, pooled, said(&output))
}

fn three_folds(dir: &Path) -> (Vec<Story>, Vec<PathBuf>) {
    let stories: Vec<_> = (1..=3).map(Story::fold).collect();
    let folders = stories
        .iter()
        .enumerate()
        .map(|(at, story)| story.write(dir, &format!("run{}", at + 1)))
        .collect();
    (stories, folders)
}

fn paths(folders: &[PathBuf]) -> Vec<&Path> {
    folders.iter().map(PathBuf::as_path).collect()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-12
}
