//! The daemon's decisions, on a terminal.

use std::io::Write;

use leukd_train::dataset::LABELS;
use leukd_train::evaluate::{Doubted, Evaluation};
use leukd_train::report::{NO_REFERENCE, counted, number};

/// What the daemon decides about a side's cells, why it leaves some to a person, and how many
/// pictures it doubts.
pub(super) fn print(out: &mut impl Write, of: &Evaluation) -> std::io::Result<()> {
    let Some(served) = &of.served else { return Ok(()) };
    writeln!(out, "\n{:<18} {:>8} {:>8} {:>8}", "as the daemon", "all", "review", "hem")?;
    let decisions = &served.decisions;
    for (truth, decided) in [(LABELS[0], &decisions.all), (LABELS[1], &decisions.hem)] {
        let (all, review, hem) = (decided.all, decided.review, decided.hem);
        writeln!(out, "  truth {truth:<10}  {all:>8} {review:>8} {hem:>8}")?;
    }
    let (band, doubt, both) =
        (served.by_band.both(), served.by_doubt.both(), served.by_both.both());
    writeln!(
        out,
        "left to a person: {band} by the review band, {doubt} by a doubt, {both} by both; wrong of those decided {}",
        number(served.error_decided)
    )?;
    for (code, count) in &served.reasons {
        writeln!(out, "  {code:<18} {:>6} all {:>6} hem", count.all, count.hem)?;
    }
    let Some(own) = &served.doubted else { return writeln!(out, "{NO_REFERENCE}") };
    writeln!(
        out,
        "\n{:<34} {:>6} {:>7}  share, 95 % interval",
        "unlike the training cells", "of", "doubted"
    )?;
    line(out, own)?;
    served.others.iter().try_for_each(|one| line(out, one))
}

fn line(out: &mut impl Write, of: &Doubted) -> std::io::Result<()> {
    // A folder's name: control characters in it would steer the terminal.
    let mut kind = of.kind.escape_debug().to_string();
    if !of.split.is_empty() {
        kind += &format!(", split by {}", of.split);
    }
    let interval =
        of.interval.map_or_else(|| "–".to_owned(), |(low, high)| format!("{low:.3} to {high:.3}"));
    let unreadable = match of.unreadable {
        0 => String::new(),
        some => format!("; {} left out", counted(some, "unreadable file")),
    };
    writeln!(
        out,
        "{kind:<34} {:>6} {:>7}  {} ({interval}){unreadable}",
        of.pictures,
        of.doubted,
        number(of.share)
    )
}
