//! Mutates inputs and runs a target on them. What a target answers is a word for how it ended (an
//! error's kind): an input that gives a new word joins those that are mutated, which stands in for
//! the coverage that libFuzzer measures.

use std::collections::HashSet;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// No input grows beyond this: small ones find more in the same time.
const LARGEST: usize = 1 << 16;

/// The most inputs that are kept to be mutated.
const MOST_KEPT: usize = 4096;

/// Processor time that one input may take. The clock on the wall would count a busy machine too.
const LONGEST: Duration = Duration::from_secs(20);

/// Numbers that lengths and sizes go wrong at.
const EDGES: [u64; 14] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    u64::MAX,
];

/// Runs a target on its corpus, the seeds, and what comes of them, for as long as
/// `LEUKD_FUZZ_SECONDS` says.
///
/// # Panics
///
/// The target panicked, or took too long; the message names the file that holds the input.
pub fn fuzz(name: &str, seeds: Vec<Vec<u8>>, run: fn(&[u8]) -> String) {
    if let Some(file) = std::env::var_os("LEUKD_FUZZ_REPLAY") {
        let outcome = run(&std::fs::read(file).unwrap());
        println!("{name}: {outcome}");
        return;
    }
    if let Some(folder) = std::env::var_os("LEUKD_FUZZ_EXPORT") {
        return export(&Path::new(&folder).join(name), &seeds);
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut kept: Vec<Vec<u8>> = corpus(&here.join("tests/fuzz/corpus").join(name));
    kept.extend(seeds);
    let seconds = number("LEUKD_FUZZ_SECONDS", 2);
    let mut dice = ChaCha8Rng::seed_from_u64(number("LEUKD_FUZZ_SEED", 1));
    let folder = here.join("target/fuzz");
    std::fs::create_dir_all(&folder).unwrap();
    // Written for each input: in memory where there is such a place.
    let memory = Path::new("/dev/shm");
    let current = if memory.is_dir() { memory } else { &folder };
    let current = current.join(format!("leukd-fuzz-{name}-{}", std::process::id()));
    let mut watch = Watch { folder, current, name, run, runs: 0, slowest: Duration::ZERO };
    let mut outcomes = HashSet::new();
    for input in &kept {
        outcomes.insert(watch.look(input));
    }
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        let input = mutated(&kept, &mut dice);
        if outcomes.insert(watch.look(&input)) && kept.len() < MOST_KEPT {
            kept.push(input);
        }
    }
    // What the test runner shows with --nocapture; `.ci/run` does.
    std::fs::remove_file(&watch.current).unwrap();
    println!(
        "fuzz {name}: {} executions in {seconds} s, {} different outcomes, slowest {:.1?}, nothing found",
        watch.runs,
        outcomes.len(),
        watch.slowest
    );
}

/// Writes the seeds as files, for libFuzzer.
fn export(folder: &Path, seeds: &[Vec<u8>]) {
    std::fs::create_dir_all(folder).unwrap();
    for (index, seed) in seeds.iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{index}")), seed).unwrap();
    }
}

struct Watch<'a> {
    folder: PathBuf,
    current: PathBuf,
    name: &'a str,
    run: fn(&[u8]) -> String,
    runs: u64,
    slowest: Duration,
}

impl Watch<'_> {
    fn look(&mut self, input: &[u8]) -> String {
        self.runs += 1;
        // Written before it runs: an abort (stack, memory) leaves it behind.
        std::fs::write(&self.current, input).unwrap();
        let started = processor_time();
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.run)(input)));
        let took = processor_time().saturating_sub(started);
        self.slowest = self.slowest.max(took);
        match outcome {
            Ok(outcome) if took < LONGEST => outcome,
            Ok(_) => self.found(input, &format!("took {took:.1?}")),
            Err(_) => self.found(input, "panicked"),
        }
    }

    fn found(&self, input: &[u8], what: &str) -> ! {
        let digest = leukd::result::Digest::of(input).to_string();
        let file = self.folder.join(format!("{}-{}", self.name, &digest[..12]));
        std::fs::write(&file, input).unwrap();
        let _ = std::io::stdout().flush();
        panic!(
            "after {} executions {} {what} on {}; again: LEUKD_FUZZ_REPLAY={} cargo test --release -p leukd --test fuzz {}",
            self.runs,
            self.name,
            file.display(),
            file.display(),
            self.name
        );
    }
}

/// What this thread has spent on a processor.
fn processor_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.try_into().unwrap()
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// All files of a folder, by name; none where there is no such folder.
fn corpus(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// A kept input, changed in one to eight places.
fn mutated(kept: &[Vec<u8>], dice: &mut ChaCha8Rng) -> Vec<u8> {
    let mut input = kept[dice.random_range(0..kept.len())].clone();
    for _ in 0..dice.random_range(1..=8) {
        mutate(&mut input, kept, dice);
    }
    input.truncate(LARGEST);
    input
}

fn mutate(input: &mut Vec<u8>, kept: &[Vec<u8>], dice: &mut ChaCha8Rng) {
    let length = input.len();
    if length == 0 {
        input.push(dice.random());
        return;
    }
    // Headers are where much is decided.
    let place = if dice.random_bool(0.3) {
        dice.random_range(0..length.min(64))
    } else {
        dice.random_range(0..length)
    };
    let span = |dice: &mut ChaCha8Rng| dice.random_range(1..=(length - place).min(64));
    match dice.random_range(0..10) {
        0 => input[place] ^= 1 << dice.random_range(0..8),
        1 => input[place] = dice.random(),
        2 => input[place] = input[place].wrapping_add(if dice.random() { 1 } else { 255 }),
        3 => {
            let width = [1, 2, 4, 8][dice.random_range(0..4)];
            let number = EDGES[dice.random_range(0..EDGES.len())];
            let mut bytes = number.to_le_bytes()[..width].to_vec();
            if dice.random() {
                bytes.reverse();
            }
            for (offset, byte) in bytes.into_iter().enumerate().take(length - place) {
                input[place + offset] = byte;
            }
        }
        4 => {
            let span = span(dice);
            input.drain(place..place + span);
        }
        5 => {
            let span = span(dice);
            let copy = input[place..place + span].to_vec();
            let to = dice.random_range(0..=length);
            input.splice(to..to, copy);
        }
        6 => input.truncate(place),
        7 => {
            let byte = dice.random();
            let count = dice.random_range(1..32);
            input.splice(place..place, std::iter::repeat_n(byte, count));
        }
        8 => {
            let span = span(dice);
            let other = dice.random_range(0..=length - span);
            for offset in 0..span {
                input.swap(place + offset, other + offset);
            }
        }
        _ => {
            let other = &kept[dice.random_range(0..kept.len())];
            if !other.is_empty() {
                let from = dice.random_range(0..other.len());
                let many = dice.random_range(1..=(other.len() - from).min(256));
                let end = (place + many).min(length);
                input.splice(place..end, other[from..from + many].iter().copied());
            }
        }
    }
}
