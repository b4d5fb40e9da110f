//! Times segmentation of drawn smears, or of pictures:
//! `cargo run --release -p leukd-cell --example time_segment [-- FILE…]`.

#![allow(clippy::print_stdout, clippy::expect_used)]

use std::time::Instant;

use leukd_cell::segment::{SegmentOptions, segment};
use leukd_cell::synthetic::smear::{Recipe, draw};

fn main() {
    let files: Vec<String> = std::env::args().skip(1).collect();
    for file in &files {
        let picture = image::open(file).expect("a picture").to_rgb8();
        let (start, before) = (Instant::now(), processor());
        let found = segment(&picture, &SegmentOptions::default()).cells.len();
        let (wall, spent) = (start.elapsed().as_millis(), processor() - before);
        println!("{file}: {found} cells, {wall} ms, {spent} ms of processor time");
    }
    if !files.is_empty() {
        return;
    }
    let small = Recipe {
        diameter: 100.0,
        red_cells: 16,
        white_cells: 1,
        platelets: 3,
        ..Recipe::default()
    };
    let large = Recipe {
        width: 5472,
        height: 3648,
        diameter: 52.0,
        red_cells: 2500,
        white_cells: 24,
        platelets: 100,
        ..Recipe::default()
    };
    println!("| field | white cells | min ms | median ms | CPU ms | peak MB |");
    println!("|---|---|---|---|---|---|");
    for (recipe, rounds) in [(small, 60), (large, 9)] {
        let smear = draw(&recipe);
        let (mut found, before) = (0, processor());
        let mut times: Vec<f64> = (0..rounds)
            .map(|_| {
                let start = Instant::now();
                found = segment(&smear.picture, &SegmentOptions::default()).cells.len();
                start.elapsed().as_secs_f64() * 1000.0
            })
            .collect();
        let processor = (processor() - before) / f64::from(rounds);
        times.sort_by(f64::total_cmp);
        println!(
            "| {}×{} | {found} of {} | {:.1} | {:.1} | {processor:.1} | {} |",
            recipe.width,
            recipe.height,
            smear.cells.len(),
            times[0],
            times[times.len() / 2],
            peak()
        );
    }
}

/// Milliseconds of processor time of this process, in steps of 10, where Linux says: a busy machine
/// lengthens all other times.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() * 10.0
}

/// Most memory that this process has had, where Linux says.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
    kilobytes.map_or_else(|| "?".to_owned(), |own: u64| (own / 1024).to_string())
}
