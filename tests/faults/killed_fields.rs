//! kill -9 while fields of view are taken apart: each field has its cells and one event, or neither
//! yet.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use leukd::cell::segment::{SegmentOptions, segment};
use leukd::cell::synthetic;
use leukd::cell::synthetic::smear::{Recipe, draw};
use leukd::cell::words::KindRule;
use leukd::config::Settings;
use leukd::grpc::proto::{self, event, subscribe_request};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::ready::{newest, settled};
use crate::support::bounded::InTime as _;
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

#[tokio::test(flavor = "multi_thread")]
async fn killed_twenty_times_each_field_has_its_cells_and_one_event() {
    let folders = Folders::new();
    let expected = exported(&folders);
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for _ in 0..KILLS {
        let mut victim = serve_command(&folders, as_fields)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(random.random_range(80..400))).await;
        victim.kill().unwrap();
        victim.in_time();
    }
    let process = Process::serve_with(&folders, as_fields);
    until("results", async || newest(&process).await.filter(|newest| *newest > 0)).await;
    settled(&process).await;
    let mut names: Vec<String> = expected.keys().cloned().collect();
    names.sort();
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
    assert_eq!(found, expected, "one result a cell");
}
