//! `leukd-train pack`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::recipe::RecipeArgs;
use super::{Outcome, data};

#[derive(Debug, Args)]
pub(super) struct PackArgs {
    /// The cells: a folder with all/ and hem/ at any depth, or a CSV with the columns path, label
    /// and subject; with --from-journal, leukd's state folder: the cells that people reviewed.
    #[arg(long, visible_alias = "from-journal", value_name = "DIR|CSV")]
    data: PathBuf,
    /// The pack to write; every command takes it as --data.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    recipe: RecipeArgs,
}

pub(super) fn run(args: &PackArgs) -> Outcome {
    let preprocessing = args.recipe.read()?.preprocessing();
    let dataset = data::read(&args.data, &preprocessing)?;
    dataset.pack(&preprocessing, &args.out)?;
    let mut out = std::io::stdout();
    let bytes = std::fs::metadata(&args.out).map_or(0, |file| file.len());
    writeln!(out, "{}: {} cells, {bytes} bytes", args.out.display(), dataset.cells.len())?;
    if !dataset.broken.is_empty() {
        writeln!(out, "{} files were left out; inspect lists them", dataset.broken.len())?;
    }
    Ok(())
}
