//! `leukd-train fit`.

use std::io::Write;

use clap::Args;
use leukd_train::fit::Ending;

use super::Outcome;
use super::data::DataArgs;
use super::recipe::RecipeArgs;
use super::run::RunArgs;

#[derive(Debug, Args)]
pub(super) struct FitArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    recipe: RecipeArgs,
}

pub(super) fn run(args: &FitArgs) -> Outcome {
    let checkpoint = args.run.checkpoint()?;
    let recipe = args.recipe.read()?;
    let mut split = args.data.split(&recipe.preprocessing())?;
    args.run.teach(&recipe, &mut split)?;
    writeln!(std::io::stdout(), "{}", split.in_words())?;
    let start = args.run.start(&recipe, &mut std::io::stdout())?;
    args.run.prepare(&recipe, &split, &checkpoint)?;
    let (_, ending) = args.run.fit(&recipe, &split, &checkpoint, start)?;
    if ending == Ending::Stopped {
        return Err(super::Stopped.into());
    }
    writeln!(
        std::io::stdout(),
        "`leukd-train export {}` makes a bundle of it.",
        args.run.out.display()
    )?;
    Ok(())
}
