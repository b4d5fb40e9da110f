//! `leukd-train fields`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use leukd_cell::annotated::{
    Agreement, Annotated, Compared, Names, agreement, contact_sheet, find,
};
use leukd_cell::segment::{FieldOfView, SegmentOptions, segment};
use leukd_train::fields::{Change, Figures, SetFigures};

use super::Outcome;

#[derive(Debug, Args)]
pub(super) struct FieldsArgs {
    /// A folder with fields of view and their annotations, at any depth. Pictures of one folder are
    /// one set.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The name that white cells have in files of boxes; may be repeated.
    #[arg(long, value_name = "NAME", default_values_t = Names::default().white)]
    white: Vec<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Draw the worst fields into one picture (PNG), the worst first: what people drew in green,
    /// what was found in red, its nuclei in yellow.
    #[arg(long, value_name = "FILE")]
    contact_sheet: Option<PathBuf>,
    /// How many fields the contact sheet shows.
    #[arg(long, value_name = "N", default_value_t = 30, requires = "contact_sheet",
          value_parser = clap::value_parser!(u32).range(1..=300))]
    worst: u32,
    /// Change each field before it is segmented, to see how much that costs: its size.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = factor)]
    resize: f32,
    /// The same: red, green and blue light, 1 being as it is.
    #[arg(long, value_name = "R,G,B", default_value = "1,1,1", value_parser = light)]
    light: [f32; 3],
    /// The same: blur, as a standard deviation in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 0.0, value_parser = blur)]
    blur: f32,
    /// The same: JPEG of this quality.
    #[arg(long, value_name = "QUALITY", value_parser = clap::value_parser!(u8).range(1..=100))]
    jpeg: Option<u8>,
}

fn number(text: &str, least: f32, most: f32) -> Result<f32, String> {
    let number = text.trim().parse::<f32>().ok().filter(|own| (least..=most).contains(own));
    number.ok_or_else(|| format!("{text:?} is no number from {least} to {most}"))
}

fn factor(text: &str) -> Result<f32, String> {
    number(text, 0.1, 4.0)
}

fn blur(text: &str) -> Result<f32, String> {
    number(text, 0.0, 20.0)
}

fn light(text: &str) -> Result<[f32; 3], String> {
    let parts: Vec<f32> =
        text.split(',').map(|part| number(part, 0.05, 4.0)).collect::<Result<_, _>>()?;
    parts.try_into().map_err(|_| format!("{text:?} is not three numbers with commas between"))
}

/// A field beside its annotations, for the contact sheet.
struct Kept {
    truth: Annotated,
    field: FieldOfView,
    badness: f64,
    line: String,
}

/// Fails where no field has annotations, and where a file cannot be read or written.
pub(super) fn run(args: &FieldsArgs) -> Outcome {
    let names = Names { white: args.white.clone(), ..Names::default() };
    let change =
        Change { resize: args.resize, light: args.light, blur: args.blur, jpeg: args.jpeg };
    let found = find(&args.folder)?;
    if found.sets.is_empty() {
        let (folder, bare) = (args.folder.display(), found.bare.len());
        return Err(format!(
            "{folder}: no picture has annotations ({bare} without any): see `leukd-train fields --help`"
        )
        .into());
    }
    for picture in &found.bare {
        tracing::warn!(path = %picture.display(), "left out: no annotations");
    }
    let (mut sets, mut worst) = (Vec::new(), Vec::<Kept>::new());
    for (folder, places) in &found.sets {
        let mut figures = Figures::default();
        for place in places {
            let mut truth = place.read(&names)?;
            change.apply(&mut truth)?;
            let started = Instant::now();
            let field = segment(&truth.picture, &SegmentOptions::default());
            let millis = started.elapsed().as_secs_f64() * 1000.0;
            let own = agreement(&truth, &field);
            figures.add(&truth, &field, &own, millis);
            if args.contact_sheet.is_some() {
                let (badness, line) = (own.badness(), line(&truth.path, &own));
                worst.push(Kept { truth, field, badness, line });
                worst.sort_by(|a, b| b.badness.total_cmp(&a.badness));
                worst.truncate(args.worst as usize);
            }
        }
        if figures.boxes() == 0 {
            tracing::warn!(folder = %folder.display(), white = ?args.white, "no white cell was drawn");
        }
        sets.push(figures.of_set(folder));
    }
    if let Some(path) = &args.contact_sheet {
        let compared: Vec<Compared<'_>> =
            worst.iter().map(|own| Compared { truth: &own.truth, field: &own.field }).collect();
        let sheet = contact_sheet(&compared);
        let failed = |error| format!("cannot write {}: {error}", path.display());
        sheet.save_with_format(path, image::ImageFormat::Png).map_err(failed)?;
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        let bare: Vec<_> = found.bare.iter().map(|path| path.display().to_string()).collect();
        let object = serde_json::json!({ "sets": sets, "without_annotations": bare });
        writeln!(out, "{object}")?;
        return Ok(());
    }
    write!(out, "{}", text(&sets))?;
    if !worst.is_empty() {
        writeln!(out, "\nworst fields, as on the contact sheet by rows of six")?;
        worst.iter().try_for_each(|own| writeln!(out, "  {}", own.line))?;
    }
    Ok(())
}

fn line(path: &Path, own: &Agreement) -> String {
    let found = own.boxes.iter().filter(|own| own.is_found).count();
    let overlaps: Vec<String> = own
        .masks
        .iter()
        .map(|own| match own.nucleus {
            Some(nucleus) => format!("{:.2} (nucleus {nucleus:.2})", own.cell),
            None => format!("{:.2}", own.cell),
        })
        .collect();
    let (boxes, more, path) = (own.boxes.len(), own.more, path.display());
    format!("{path}: {found} of {boxes} found, {more} more; overlap {}", overlaps.join(", "))
}

/// A table for people, in Markdown.
fn text(sets: &[SetFigures]) -> String {
    let share = |own: Option<f64>| own.map_or_else(|| "-".to_owned(), |own| format!("{own:.3}"));
    let mut lines = vec![
        "| set | fields | recall | precision | overlap of cells | of nuclei | median ms |"
            .to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    for set in sets {
        lines.push(format!(
            "| {} | {} | {} ({} of {}) | {} ({} more, {} of them with a mask) | {} | {} | {:.1} |",
            set.folder,
            set.fields,
            share(set.recall),
            set.found,
            set.boxes,
            share(set.precision),
            set.more,
            set.more_with_mask,
            share(set.cells),
            share(set.nuclei),
            set.median_ms,
        ));
    }
    lines.extend([
        String::new(),
        "| set | thirds by size, small to large | recall | overlap of cells | of nuclei |"
            .to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ]);
    for set in sets {
        let row = |own: [Option<f64>; 3]| own.map(share).join(", ");
        let thirds = ["recall", "cells", "nuclei"].map(|name| {
            row([0, 1, 2].map(|at| match name {
                "recall" => set.by_size[at].recall,
                "cells" => set.by_size[at].cells,
                _ => set.by_size[at].nuclei,
            }))
        });
        let ends = set.by_size.map(|third| format!("to {:.0} px", third.max_diameter)).join(", ");
        lines.push(format!(
            "| {} | {ends} | {} | {} | {} |",
            set.folder, thirds[0], thirds[1], thirds[2]
        ));
    }
    for set in sets {
        if let Some([low, middle, high]) = set.scale {
            lines.push(format!(
                "\n{}: red cells' diameter by that of their boxes: {middle:.2}, \
                 {low:.2} to {high:.2} in nine of ten fields",
                set.folder
            ));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}
