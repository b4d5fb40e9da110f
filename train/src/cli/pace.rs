//! `leukd-train pace`.

use std::io::Write;

use clap::{Args, ValueEnum};
use leukd_train::compute::{Compute, Numbers};
use leukd_train::fit::pace;

use super::Outcome;
use super::recipe::RecipeArgs;

/// See [`Numbers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NumbersArg {
    /// IEEE single precision, as training uses it; NVIDIA's tensor cores round the factors of a
    /// product to TF32.
    F32,
    /// bfloat16 throughout: to time, not to train with. Small updates of weights and averages are
    /// lost in it.
    Bf16,
}

impl From<NumbersArg> for Numbers {
    fn from(numbers: NumbersArg) -> Self {
        match numbers {
            NumbersArg::F32 => Self::F32,
            NumbersArg::Bf16 => Self::Bf16,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct PaceArgs {
    /// What computes: cpu, cuda, cuda:N or vulkan.
    #[arg(long, default_value = "cpu")]
    device: Compute,
    /// How numbers are kept on a graphics card.
    #[arg(long, value_enum, default_value = "f32")]
    numbers: NumbersArg,
    /// Steps that are timed, after --warm-up.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    steps: u32,
    /// Steps before them: a graphics card compiles and tunes its kernels in these.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(..=100_000))]
    warm_up: u32,
    /// One JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    recipe: RecipeArgs,
}

pub(super) fn run(args: &PaceArgs) -> Outcome {
    let recipe = args.recipe.read()?;
    let device = args.device.device(args.numbers.into())?;
    let all = pace(&recipe, &device, args.warm_up + args.steps);
    let mut timed: Vec<f64> = all.iter().skip(args.warm_up as usize).copied().collect();
    timed.sort_by(f64::total_cmp);
    let half = timed.len() / 2;
    let median = f64::midpoint(timed[half], timed[(timed.len() - 1) / 2]);
    let (least, most) = (timed[0], timed[timed.len() - 1]);
    let (batch, size) = (recipe.steps.batch, recipe.input.size);
    let a_second = batch as f64 / median;
    let mut out = std::io::stdout();
    if args.json {
        let line = serde_json::json!({
            "device": args.device.to_string(),
            "batch": batch,
            "size": size,
            "steps": timed.len(),
            "median_seconds": median,
            "least_seconds": least,
            "most_seconds": most,
            "images_per_second": a_second,
        });
        writeln!(out, "{line}")?;
    } else {
        writeln!(
            out,
            "{}: {a_second:.1} images a second; a step of {batch} at {size} × {size} takes \
             {median:.3} s (median of {}; {least:.3} to {most:.3})",
            args.device,
            timed.len()
        )?;
    }
    Ok(())
}
