//! kill -9 while fields of view are taken apart: each field has its cells and one event, or neither
//! yet. Real fields are looked for in LEUKD_DATA, else in ../shared/data.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use leukd::cell::segment::{SegmentOptions, segment};
use leukd::cell::synthetic;
use leukd::cell::synthetic::smear::{Recipe, draw};
use leukd::cell::words::KindRule;
use leukd::cell::{Limits, decode};
use leukd::config::Settings;
use leukd::grpc::proto::{self, event, subscribe_request};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::ready::{newest, settled};
use crate::support::bounded::InTime as _;
use crate::support::ome::{self, tiff};
use crate::support::process::{Process, serve_command};
use crate::support::{Folders, in_time, path_of, until};

const FIELDS: u64 = 24;
const KILLS: u32 = 20;

fn as_fields(settings: &mut Settings) {
    settings.watch.kind = KindRule::Auto;
}

/// Writes small fields of view; their names with the number of white cells that are found in each.
fn exported(folders: &Folders) -> BTreeMap<String, usize> {
    let drawn = (0..FIELDS).map(|seed| {
        let white_cells = u32::try_from(seed % 4).unwrap();
        let recipe = Recipe { seed, width: 400, height: 300, white_cells, ..Recipe::default() };
        let picture = draw(&recipe).picture;
        let name = format!("field-{seed}.png");
        folders.drop_capture(&name, &synthetic::png(&picture));
        (name, segment(&picture, &SegmentOptions::default()).cells.len())
    });
    drawn.collect()
}

/// All events that are stored, by path: the results, and those that close fields.
async fn stored(process: &Process, newest: u64) -> (BTreeMap<String, usize>, Vec<String>) {
    let start = Some(subscribe_request::Start::Earliest(()));
    let request = proto::SubscribeRequest { start, filter: None };
    let mut stream = process.results().await.subscribe(request).await.unwrap().into_inner();
    let (mut cells, mut closed, mut last) = (BTreeMap::new(), Vec::new(), 0);
    while last < newest {
        let event = in_time("an event", stream.message()).await.unwrap().unwrap();
        let sequence = match event.kind {
            Some(event::Kind::Result(result)) => {
                *cells.entry(path_of(&result).to_owned()).or_default() += 1;
                result.sequence
            }
            Some(event::Kind::Field(field)) => {
                let source = field.capture.unwrap().source.unwrap().kind.unwrap();
                let proto::source::Kind::Folder(folder) = source else { panic!("no file") };
                closed.push(folder.path);
                field.sequence
            }
            _ => continue,
        };
        assert_eq!(sequence, last + 1, "no holes");
        last = sequence;
    }
    (cells, closed)
}

/// Lets a daemon take the fields of `folders` apart, kills it again and again while it does, and
/// looks at what the last one has stored in the end.
async fn killed(folders: &Folders, expected: &BTreeMap<String, usize>, kills: u32, life: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for _ in 0..kills {
        let mut victim = serve_command(folders, as_fields)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(random.random_range(80..life))).await;
        victim.kill().unwrap();
        victim.in_time();
    }
    let process = Process::serve_with(folders, as_fields);
    until("results", async || newest(&process).await.filter(|newest| *newest > 0)).await;
    settled(&process).await;
    let names: Vec<String> = expected.keys().cloned().collect();
    // One that was in hand at several deaths is looked at apart, and comes last.
    let all = until("an event for each field", async || {
        let (cells, closed) = stored(&process, newest(&process).await?).await;
        (closed.len() >= names.len()).then_some((cells, closed))
    });
    let (cells, mut closed) = all.await;
    closed.sort();
    assert_eq!(closed, names, "one event a field");
    let found: BTreeMap<String, usize> =
        expected.keys().map(|name| (name.clone(), cells.get(name).copied().unwrap_or(0))).collect();
    assert_eq!(found, *expected, "one result a cell");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_twenty_times_each_field_has_its_cells_and_one_event() {
    let folders = Folders::new();
    let expected = exported(&folders);
    killed(&folders, &expected, KILLS, 400).await;
}

/// Real fields of view: bccd's, JPEG.
fn real_fields() -> Option<Vec<PathBuf>> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let data = std::env::var_os("LEUKD_DATA").map_or_else(beside, PathBuf::from);
    let folder = std::fs::read_dir(data.join("fields/bccd/JPEGImages")).ok()?;
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    Some(files)
}

/// With `LEUKD_KILLS`, which `.ci/run` sets, fewer fields and kills.
#[tokio::test(flavor = "multi_thread")]
async fn real_fields_in_three_formats_have_one_result_a_cell_over_kills() {
    let Some(mut files) = real_fields() else {
        println!("skipped: no fields of view in LEUKD_DATA or ../shared/data");
        return;
    };
    let mut kills = KILLS;
    if std::env::var_os("LEUKD_KILLS").is_some() {
        files.truncate(30);
        kills = 5;
    }
    let folders = Folders::new();
    let mut expected = BTreeMap::new();
    for file in &files {
        let jpeg = std::fs::read(file).unwrap();
        let picture = decode(&jpeg, &Limits::default()).unwrap();
        let cells = segment(&picture, &SegmentOptions::default()).cells.len();
        let stem = file.file_stem().unwrap().to_string_lossy();
        let ome = tiff(&picture, &ome::description(0.1));
        for (extension, bytes) in
            [("jpg", jpeg), ("ome.tif", ome), ("bmp", synthetic::bmp(&picture))]
        {
            let name = format!("{stem}.{extension}");
            folders.drop_capture(&name, &bytes);
            expected.insert(name, cells);
        }
    }
    killed(&folders, &expected, kills, 1500).await;
}
