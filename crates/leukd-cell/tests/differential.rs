//! Pixels beside the reference readers': every variant that `reference/variants.py` wrote is read
//! as it says, or refused. `reference/run.sh` runs both.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use leukd_cell::{Limits, decode};

#[derive(Default)]
struct Row {
    equal: usize,
    unsaid: usize,
    refused: BTreeMap<&'static str, usize>,
}

#[test]
fn every_variant_is_read_as_its_reference_reads_it_or_refused() {
    let Some(folder) = std::env::var_os("LEUKD_VARIANTS") else {
        eprintln!("skipped: LEUKD_VARIANTS names no folder that variants.py has written");
        return;
    };
    let folder = Path::new(&folder);
    let manifest = fs::read_to_string(folder.join("manifest.tsv")).unwrap();
    let (mut table, mut wrong) = (BTreeMap::<&str, Row>::new(), Vec::new());
    for line in manifest.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let &[group, file, demand, tolerance] = &fields[..] else { panic!("{line:?}") };
        let bytes = fs::read(folder.join(file)).unwrap();
        let expected = || fs::read(folder.join(format!("{file}.rgb"))).unwrap();
        let read = std::panic::catch_unwind(|| decode(&bytes, &Limits::default()));
        let row = table.entry(group).or_default();
        match read {
            Ok(_) if demand == "any" => row.unsaid += 1,
            Err(_) => wrong.push(format!("{group}: {file} panics")),
            Ok(Ok(_)) if demand == "refuse" => {
                wrong.push(format!("{group}: {file} is read and should be refused"));
            }
            Ok(Ok(picture)) => {
                let mut found = Vec::new();
                found.extend(picture.width().to_le_bytes());
                found.extend(picture.height().to_le_bytes());
                found.extend(picture.into_raw());
                match furthest(&found, &expected()) {
                    Some(most) if most <= tolerance.parse().unwrap() => row.equal += 1,
                    most => wrong.push(format!("{group}: {file} differs by {most:?}")),
                }
            }
            Ok(Err(fault)) if demand == "read" => {
                wrong.push(format!("{group}: {file} is refused: {fault}"));
            }
            Ok(Err(fault)) => {
                *row.refused.entry(fault.code()).or_default() += 1;
            }
        }
    }
    println!("| variants | as the reference | refused | no reference |\n|---|---|---|---|");
    let (mut equal, mut refused, mut unsaid) = (0, 0, 0);
    for (group, row) in &table {
        let words: Vec<_> =
            row.refused.iter().map(|(code, count)| format!("{count} `{code}`")).collect();
        println!("| {group} | {} | {} | {} |", row.equal, words.join(", "), row.unsaid);
        unsaid += row.unsaid;
        equal += row.equal;
        refused += row.refused.values().sum::<usize>();
    }
    println!("| all | {equal} | {refused} | {unsaid} |");
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

/// The largest difference of two levels; none where the sides differ.
fn furthest(one: &[u8], other: &[u8]) -> Option<u8> {
    let is_same_size = one.len() == other.len() && one[..8] == other[..8];
    is_same_size
        .then(|| one[8..].iter().zip(&other[8..]).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0))
}
