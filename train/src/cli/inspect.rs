//! `leukd-train inspect`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use leukd_cell::preprocess::Preprocessing;
use leukd_train::dataset::{
    ByClass, ContactSheet, Joined, LABELS, Overview, Quantiles, SheetRow, Side, SplitOverview,
    TwinGroup, packed_with,
};

use leukd_train::report::counted;

use super::Outcome;
use super::data::{SplitArgs, read};

/// Entries of a list that the text names one by one; --json has them all.
const NAMED: usize = 20;

/// Columns that the text keeps to.
const WIDTH: usize = 80;

#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// A folder with all/ and hem/ at any depth, a CSV with the columns path, label and subject, or
    /// leukd's state folder (the cells that people reviewed).
    #[arg(value_name = "DIR|CSV")]
    data: PathBuf,
    /// Print one JSON object, with every file that was left out and every twin.
    #[arg(long)]
    json: bool,
    /// Draw some cells of every subject into one picture (PNG), framed in vermilion where they are
    /// labelled all and in blue where hem; its rows are listed with the rest.
    #[arg(long, value_name = "FILE")]
    contact_sheet: Option<PathBuf>,
    /// How many cells of each subject the contact sheet shows.
    #[arg(long, value_name = "N", default_value_t = 12, requires = "contact_sheet",
          value_parser = clap::value_parser!(u32).range(1..=100))]
    per_subject: u32,
    #[command(flatten)]
    sides: SplitArgs,
}

/// What --json prints.
#[derive(serde::Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    overview: &'a Overview,
    /// The rows of the contact sheet; absent where none was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    contact_sheet: Option<&'a [SheetRow]>,
}

/// Fails where there is no usable cell, and where a file that is asked for cannot be written; that
/// no split can be made is a finding like others.
pub(super) fn run(args: &InspectArgs) -> Outcome {
    // Nothing here looks at the small pixels.
    let small = Preprocessing { size: 8, ..Preprocessing::b3() };
    let dataset = read(&args.data, &packed_with(&args.data)?.unwrap_or(small))?;
    let sheet = match &args.contact_sheet {
        None => None,
        Some(path) => {
            let sheet = ContactSheet::draw(&dataset, args.per_subject as usize)?;
            sheet.write(path)?;
            Some(sheet)
        }
    };
    let split = args.sides.split(dataset.clone());
    let overview = Overview::of(&dataset, &split);
    let mut out = std::io::stdout().lock();
    if args.json {
        let contact_sheet = sheet.as_ref().map(|sheet| sheet.rows.as_slice());
        serde_json::to_writer(&mut out, &Document { overview: &overview, contact_sheet })?;
        writeln!(out)?;
    } else {
        write!(out, "{}", text(&overview, sheet.as_ref()))?;
    }
    Ok(())
}

/// The overview for people.
fn text(overview: &Overview, sheet: Option<&ContactSheet>) -> String {
    let mut lines = vec![
        overview.notice.to_owned(),
        String::new(),
        format!("{}: {} cells", overview.source, overview.cells),
    ];
    lines.extend(classes(overview));
    lines.push(String::new());
    lines.extend(subjects(overview));
    if !overview.folds.is_empty() {
        lines.extend([String::new(), "given folds".to_owned()]);
        lines.extend(
            overview.folds.iter().map(|(fold, counts)| format!("  {fold}: {}", by_class(counts))),
        );
    }
    lines.push(String::new());
    match (&overview.split, &overview.split_problem) {
        (Some(split), _) => lines.extend(sides(split)),
        (None, problem) => {
            let problem = problem.as_deref().unwrap_or_default();
            lines.extend(wrapped("no split can be made: ", problem));
        }
    }
    lines.push(String::new());
    lines.extend(twins(&overview.twins));
    lines.extend(near(overview));
    let sizes =
        overview.sizes.iter().map(|size| format!("{}×{}: {}", size.width, size.height, size.cells));
    lines.extend(wrapped("sizes in pixels: ", &shortened(sizes, ", ")));
    let formats = overview.formats.iter().map(|(format, cells)| format!("{format}: {cells}"));
    lines.extend(wrapped("file formats: ", &shortened(formats, ", ")));
    lines.push(String::new());
    lines.push(format!("left out: {}", overview.broken.len()));
    for file in overview.broken.iter().take(NAMED) {
        lines.push(format!("  {}", file.path.display()));
        lines.extend(wrapped("    ", &file.reason));
    }
    lines.extend(more(overview.broken.len()));
    if let Some(sheet) = sheet {
        lines.extend([String::new(), "contact sheet, from top to bottom".to_owned()]);
        for (row, SheetRow { label, subject, names }) in sheet.rows.iter().enumerate() {
            let subject = named(subject);
            lines.push(format!("  row {}: {label} {subject}, {} cells", row + 1, names.len()));
        }
        if sheet.left_out > 0 {
            lines.push(format!("  {} more rows have no place on it", sheet.left_out));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn classes(overview: &Overview) -> Vec<String> {
    let mut lines = vec![
        String::new(),
        format!("{:<8}{:>8}{:>10}   area in pixels", "class", "cells", "subjects"),
        format!("{:>26}{:>10}{:>10}{:>10}{:>10}{:>10}", "", "5 %", "25 %", "50 %", "75 %", "95 %"),
    ];
    for class in &overview.classes {
        let area = class.area.map_or_else(String::new, |area| {
            let Quantiles { p5, p25, p50, p75, p95 } = area;
            format!("{p5:>10.0}{p25:>10.0}{p50:>10.0}{p75:>10.0}{p95:>10.0}")
        });
        lines.push(format!("{:<8}{:>8}{:>10}{area}", class.label, class.cells, class.subjects));
    }
    lines
}

fn subjects(overview: &Overview) -> Vec<String> {
    const NAME: usize = 24;
    let mut lines = vec![format!(
        "{:<NAME$}{:>8}{:>8}{:>12}{:>12}{:>8}",
        "subject", "all", "hem", "training", "validation", "test"
    )];
    for subject in &overview.subjects {
        let mut name: String = named(&subject.subject).to_owned();
        if name.chars().count() >= NAME {
            name = name.chars().take(NAME - 2).chain(['…']).collect();
        }
        let [all, hem] = LABELS.map(|label| subject.cells.get(label).copied().unwrap_or_default());
        let [training, validation, test] =
            Side::EVERY.map(|side| subject.sides.get(&side).copied().unwrap_or_default());
        lines.push(format!("{name:<NAME$}{all:>8}{hem:>8}{training:>12}{validation:>12}{test:>8}"));
    }
    lines
}

fn sides(split: &SplitOverview) -> Vec<String> {
    let mut lines =
        vec![format!("{:<12}{:>8}{:>8}{:>8}{:>10}", "side", "cells", "all", "hem", "subjects")];
    for side in &split.sides {
        let [all, hem] = LABELS.map(|label| side.cells.get(label).copied().unwrap_or_default());
        let subjects = side.subjects.iter().filter(|name| !name.is_empty()).count();
        lines.push(format!(
            "{:<12}{:>8}{all:>8}{hem:>8}{subjects:>10}",
            side.side.as_str(),
            all + hem
        ));
    }
    lines.extend(wrapped("split: ", &split.words));
    lines
}

fn twins(groups: &[TwinGroup]) -> Vec<String> {
    let copies: usize = groups.iter().map(|group| group.files.len() - 1).sum();
    let across: Vec<_> = groups.iter().filter(|group| group.subjects.len() > 1).collect();
    let mut lines = wrapped(
        "twins: ",
        &format!(
            "{} pictures come more than once, with {copies} byte-identical copies; {} of them under \
             the names of several subjects",
            groups.len(),
            across.len()
        ),
    );
    for group in across.iter().take(NAMED) {
        let name = |file: &String| file.rsplit('/').next().unwrap_or_default().to_owned();
        let names: Vec<_> = group.files.iter().map(name).collect();
        lines.extend(wrapped("  ", &names.join(" = ")));
    }
    lines.extend(more(across.len()));
    lines
}

fn near(overview: &Overview) -> Vec<String> {
    let pairs = &overview.near_identical;
    let mut lines = wrapped(
        "near-identical: ",
        &format!(
            "{} of cells whose figures are nearly the same, though their bytes differ",
            counted(pairs.len() as u64, "pair")
        ),
    );
    for Joined { person, ids, pairs } in &overview.joined {
        let pairs = counted(*pairs as u64, "pair");
        lines.extend(wrapped(
            "  ",
            &format!("{} counted as {person}, for they share {pairs}", ids.join(", ")),
        ));
    }
    let name = |file: &String| file.rsplit('/').next().unwrap_or_default().to_owned();
    let disagree: Vec<_> = pairs.iter().filter(|pair| !pair.agree).collect();
    for pair in disagree.iter().take(NAMED) {
        let [first, second] = &pair.files;
        let told = format!("{} and {} are labelled with both classes", name(first), name(second));
        lines.extend(wrapped("  ", &told));
    }
    lines.extend(more(disagree.len()));
    lines
}

fn named(subject: &str) -> &str {
    if subject.is_empty() { "(not known)" } else { subject }
}

fn by_class(counts: &ByClass) -> String {
    counts.iter().map(|(label, count)| format!("{label} {count}")).collect::<Vec<_>>().join(", ")
}

fn more(count: usize) -> Option<String> {
    (count > NAMED).then(|| format!("  and {} more: --json lists them all", count - NAMED))
}

/// At most [`NAMED`] entries in one text.
fn shortened(entries: impl ExactSizeIterator<Item = String>, between: &str) -> String {
    let beyond = entries.len().saturating_sub(NAMED);
    let mut entries: Vec<String> = entries.take(NAMED).collect();
    entries.extend((beyond > 0).then(|| format!("and {beyond} more")));
    entries.join(between)
}

/// `text` after `start`, in lines of [`WIDTH`] columns; those after the first are indented like it,
/// by two at least.
fn wrapped(start: &str, text: &str) -> Vec<String> {
    let indent = " ".repeat((start.len() - start.trim_start().len()).max(2));
    let mut lines = Vec::new();
    let mut line = start.to_owned();
    let mut fresh = true;
    for word in text.split_whitespace() {
        if !fresh && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::replace(&mut line, indent.clone()));
            fresh = true;
        }
        if !fresh {
            line.push(' ');
        }
        line += word;
        fresh = false;
    }
    lines.push(line);
    lines
}
