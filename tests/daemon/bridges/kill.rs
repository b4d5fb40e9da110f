//! kill -9 on either side, at random.

use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};

use super::*;

/// Kills of one bridge and its other side together.
fn kills() -> u64 {
    let kills = std::env::var("LEUKD_BRIDGE_KILLS").ok();
    kills.map_or(10, |kills| kills.parse().expect("LEUKD_BRIDGE_KILLS is a number"))
}

/// Kills the bridge or the other side while specimens come, ten for each kill. What the other side
/// has then is `taken`: every identifier, once.
async fn killed(
    kind: &str,
    folder: &Path,
    to: &str,
    mut lims: Option<Lims>,
    taken: impl Fn(Option<&Lims>) -> Vec<String>,
) {
    let seed = getrandom::u64().unwrap();
    println!("seed {seed}");
    let mut dice = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let harness = daemon_on(Folders::new()).await;
    let state = folder.join("state");
    let mut more = vec!["--refusals", "1000", "--log-level", "error"];
    if lims.is_some() {
        more.extend(["--answer-within", "5s"]);
    }
    let server = url(&harness);
    let begin = || start(bridge(kind, &server, to, &state, &more));
    if let Some(lims) = &mut lims {
        lims.start();
    }
    let mut bridge = begin();
    let kills = kills();
    let per_kill = if kills > 100 { 10 } else { 4 };
    for kill in 0..kills {
        feed(&harness.folders, kill * per_kill..(kill + 1) * per_kill);
        tokio::time::sleep(Duration::from_millis(dice.random_range(20..600))).await;
        match &mut lims {
            Some(lims) if dice.random_bool(0.5) => {
                lims.kill();
                tokio::time::sleep(Duration::from_millis(dice.random_range(0..200))).await;
                lims.start();
            }
            _ => {
                bridge.kill();
                bridge = begin();
            }
        }
    }
    let specimens = usize::try_from(kills * per_kill).unwrap();
    let expected = summarised(&harness, specimens).await;
    // Thousands take longer than any one wait: as long as more come, they are waited for.
    let mut seen = taken(lims.as_ref()).len();
    while seen < expected.len() {
        seen = until("a further message", async || {
            let now = taken(lims.as_ref()).len();
            (now > seen).then_some(now)
        })
        .await;
    }
    drop(bridge);
    let taken = ids(taken(lims.as_ref()).iter().map(String::as_str));
    let expected: BTreeMap<_, _> = expected.into_iter().map(|(id, _)| (id, 1)).collect();
    assert_eq!(taken, expected);
    println!("{kills} kills, {} messages, each just once", taken.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn hl7_over_kills_of_either_side_has_each_message_just_once() {
    if !readers_are_here().await {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let lims = Lims::new("mllp", folder.path(), &[]);
    let to = format!("mllp://127.0.0.1:{}", lims.port);
    killed("hl7", folder.path(), &to, Some(lims), |lims| {
        let taken = lims.unwrap().taken();
        taken.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fhir_over_kills_of_either_side_has_each_report_just_once() {
    if !readers_are_here().await {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let lims = Lims::new("fhir", folder.path(), &[]);
    let to = format!("http://127.0.0.1:{}/fhir", lims.port);
    killed("fhir", folder.path(), &to, Some(lims), |lims| {
        let taken = lims.unwrap().taken();
        let ids = taken.iter().map(|entry| entry["id"].as_str().unwrap());
        ids.filter_map(|id| id.strip_prefix("DiagnosticReport?urn:leukd:round|"))
            .map(str::to_owned)
            .collect()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_over_kills_has_each_file_just_once_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let import = folder.path().join("import");
    std::fs::create_dir(&import).unwrap();
    let to = import.to_str().unwrap();
    killed("csv", folder.path(), to, None, |_| {
        let files = std::fs::read_dir(&import).unwrap().map(|file| file.unwrap().path());
        let whole = files.filter(|file| file.extension().is_some_and(|kind| kind == "csv"));
        let id = |file: PathBuf| {
            let text = std::fs::read_to_string(file).unwrap();
            let (_, values) = text.split_once("\r\n").unwrap();
            assert!(values.ends_with("diagnostic procedures.\r\n"), "{text}");
            values.split(',').next().unwrap().to_owned()
        };
        whole.map(id).collect()
    })
    .await;
}
