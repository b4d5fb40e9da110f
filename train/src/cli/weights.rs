//! `leukd-train weights`.

use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use clap::Args;
use leukd_cell::preprocess::Preprocessing;
use leukd_journal::result::RESEARCH_USE_ONLY;
use leukd_train::fit::{Checkpoint, pixels};
use leukd_train::init::{self, Comparison};
use leukd_train::network::{Architecture, Network, Regularisation};

use super::Outcome;

#[derive(Debug, Args)]
pub(super) struct WeightsArgs {
    /// Keras' .h5, timm's or torchvision's .safetensors or .pth, a bundle, or a run's folder.
    file: PathBuf,
    /// Print JSON: one object.
    #[arg(long)]
    json: bool,
    /// List every tensor.
    #[arg(long, conflicts_with = "json")]
    list: bool,
    /// Then run the network on a square picture as it is, without resizing: prints the backbone's
    /// features after global max pooling, and the logits where the file has a head. To compare
    /// with the program that the weights come from.
    #[arg(long, value_name = "IMAGE")]
    run: Option<PathBuf>,
    /// The random head's seed, where the file has none.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// What `--run` found.
#[derive(Debug, serde::Serialize)]
struct Ran {
    features: Vec<f32>,
    logits: Option<Vec<f32>>,
}

/// Everything, for `--json`.
#[derive(Debug, serde::Serialize)]
struct Answer<'a> {
    research_use_only: &'static str,
    fits: bool,
    #[serde(flatten)]
    comparison: &'a Comparison,
    ran: Option<Ran>,
}

pub(super) fn run(args: &WeightsArgs) -> Outcome {
    let device = Device::flex();
    device.seed(args.seed);
    let tensors = init::read(&args.file)?;
    let network = Network::new(&architecture(&args.file)?, &Regularisation::default(), &device);
    let comparison = init::compare(&network, &tensors);
    let refused = !comparison.fits();
    let (comparison, ran) = if refused {
        (comparison, None)
    } else {
        let (network, comparison) = init::apply(network, &tensors)?;
        let ran = args.run.as_deref().map(|path| ran(&network, &comparison, path)).transpose()?;
        (comparison, ran)
    };
    if args.json {
        let answer = Answer {
            research_use_only: RESEARCH_USE_ONLY,
            fits: !refused,
            comparison: &comparison,
            ran,
        };
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&answer)?)?;
    } else {
        print(&comparison, args.list, ran.as_ref())?;
    }
    if refused {
        return Err(Box::new(init::InitError::Misfit(Box::new(comparison))));
    }
    Ok(())
}

/// That of the run whose folder, or whose folder's file, is given; B3 for everything else.
fn architecture(path: &Path) -> Result<Architecture, Box<dyn std::error::Error>> {
    // A run's weights lie in its folder, or in the checkpoint below it.
    let above = if path.is_dir() { 1 } else { 3 };
    let ours = path.is_dir() || path.extension().is_some_and(|ending| ending == "bpk");
    let run = path
        .ancestors()
        .take(above)
        .filter(|_| ours)
        .map(Checkpoint::open)
        .find(|run| run.exists());
    Ok(run
        .map(|run| run.state())
        .transpose()?
        .map_or(Architecture::B3, |state| state.recipe.architecture()))
}

fn ran(
    network: &Network,
    comparison: &Comparison,
    path: &Path,
) -> Result<Ran, Box<dyn std::error::Error>> {
    let picture = image::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let picture = picture.to_rgb8();
    let (width, height) = picture.dimensions();
    if width != height || width < 32 {
        return Err(format!(
            "{}: {width} × {height} pixels; --run needs a square of at least 32 × 32",
            path.display()
        )
        .into());
    }
    let as_it_is = Preprocessing { size: width, ..Preprocessing::b3() };
    let input = pixels(&[picture.as_raw()], &as_it_is, &Device::flex());
    let features = network.pooled(input.clone()).into_data().iter::<f32>().collect();
    let logits = comparison
        .at_random
        .is_empty()
        .then(|| network.forward(input).into_data().iter::<f32>().collect());
    Ok(Ran { features, logits })
}

fn print(comparison: &Comparison, list: bool, ran: Option<&Ran>) -> Outcome {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", comparison.summary())?;
    let counts = [
        ("applied", comparison.applied.len()),
        ("at random, the file has no such head", comparison.at_random.len()),
        ("left out", comparison.left_out.len()),
        ("missing", comparison.missing.len()),
        ("that cannot be taken", comparison.mismatched.len()),
        ("unexpected", comparison.unexpected.len()),
    ];
    for (what, count) in counts {
        writeln!(out, "  {count:>4} {what}")?;
    }
    for (what, lines) in [("folded", &comparison.folded), ("note", &comparison.notes)] {
        for line in lines {
            writeln!(out, "  {what}: {line}")?;
        }
    }
    if list {
        for one in &comparison.applied {
            writeln!(
                out,
                "applied  {} {:?} <- {} {:?}",
                one.ours, one.shape, one.theirs, one.their_shape
            )?;
        }
        for one in &comparison.at_random {
            writeln!(out, "random   {} {:?}", one.ours, one.shape)?;
        }
        for one in &comparison.left_out {
            writeln!(out, "left out {} {:?}: {}", one.name, one.shape, one.why)?;
        }
        for one in &comparison.missing {
            let theirs = one.theirs.as_deref().unwrap_or("-");
            writeln!(out, "missing  {} {:?} <- {theirs}", one.ours, one.shape)?;
        }
        for one in &comparison.mismatched {
            writeln!(
                out,
                "wrong    {} {:?} <- {} {:?}: {}",
                one.ours, one.shape, one.theirs, one.their_shape, one.problem
            )?;
        }
        for one in &comparison.unexpected {
            writeln!(out, "unknown  {} {:?}", one.name, one.shape)?;
        }
    }
    if let Some(ran) = ran {
        let count = ran.features.len();
        let mean = ran.features.iter().map(|value| f64::from(*value)).sum::<f64>() / count as f64;
        writeln!(out, "{count} features, mean {mean:.6}")?;
        if let Some(logits) = &ran.logits {
            writeln!(out, "logits {logits:?}")?;
        }
    }
    writeln!(out, "{RESEARCH_USE_ONLY}")?;
    Ok(())
}
