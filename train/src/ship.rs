//! A model that was trained on everything gets the figures of its siblings that tested.

use std::collections::BTreeMap;

use leukd_cell::{Fault, Morphometry};
use leukd_model::bundle::{Bundle, BundleError};
use leukd_model::curves::Epoch;
use leukd_model::discriminant::Discriminant;
use leukd_model::manifest::{MANIFEST_VERSION, Manifest, Metric, Person};
use leukd_model::serving::{ModelError, golden_picture};

use crate::card::{BESIDE, CALIBRATION, FIGURES, OF_FLOAT, REMARK, with_paragraph};
use crate::dataset::Protocol;
use crate::discriminant::SHARE;
use crate::evaluate::{CELLS, Counts, Estimate, Measures, REVIEW_ACCURACY, WIDEST_BAND};
use crate::export::{ExportError, rewritten};
use crate::init::NAMED_DIGITS;
use crate::pool::{self, DISCRIMINANT, Fold, POOLED_VERSION, Pooled};
use crate::report::{counted, number, with_interval};

/// Below so many healthy subjects the card says what they can show at most.
const FEW_SUBJECTS: u64 = 10;

/// Why a bundle cannot be shipped with these figures.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// It is no bundle, or cannot be written.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// It cannot be read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The bundle was measured itself, or may be.
    #[error(
        "`training.protocol`: the bundle was trained on a split by {0:?}, and figures of siblings are for one that was \
         trained on everything (--protocol everything)"
    )]
    NotOnEverything(String),
    /// A golden input cannot be read.
    #[error(transparent)]
    Golden(#[from] ModelError),
    /// Nor measured.
    #[error(transparent)]
    Measure(#[from] Fault),
    /// Not one file by subject and at most one by image.
    #[error("{0}")]
    Figures(String),
    /// Figures of another version.
    #[error(
        "pooled figures of version {0}; this leukd-train reads {POOLED_VERSION}: pool the runs anew"
    )]
    Version(u32),
    /// The figures are no siblings' of this bundle.
    #[error(
        "figures by {protocol}: `{field}`: {bundle} in the bundle, and {figures} in the figures' runs"
    )]
    NoSibling {
        /// Which figures.
        protocol: Protocol,
        /// A setting of the recipe.
        field: String,
        /// Its value here.
        bundle: String,
        /// Its value there.
        figures: String,
    },
}

/// The bundle `bytes`, trained on everything, with the cross-validated figures of its siblings: its
/// metrics, its calibration (from the figures by subject) and its card, with `remark` as a
/// paragraph of its own. `figures` are one by subject and at most one by image. `discriminant` joins
/// the network; without one the network decides alone. `learning` takes the place of the bundle's
/// own learning curve.
///
/// # Errors
///
/// Where the figures are of another recipe, all settings compared but [`pool::MAY_DIFFER`], or of
/// other cells, or where the bundle was not trained on everything. Where its weights began as one
/// of the measured models, how they went on may differ too: [`GOES_ON`].
pub fn ship(
    bytes: &[u8],
    figures: &[Pooled],
    discriminant: Option<Discriminant>,
    learning: Option<Vec<Epoch>>,
    remark: Option<&str>,
) -> Result<Vec<u8>, ShipError> {
    let mut manifest = Bundle::from_bytes(bytes, "the bundle")?.manifest().clone();
    let discriminant = discriminant.map(|own| scored(own, &manifest)).transpose()?;
    if discriminant.is_some() {
        manifest.training.recipe.insert(DISCRIMINANT.to_owned(), SHARE.to_string());
    } else {
        manifest.training.recipe.remove(DISCRIMINANT);
    }
    let protocol = &manifest.training.protocol;
    if protocol != Protocol::Everything.as_str() {
        return Err(ShipError::NotOnEverything(protocol.clone()));
    }
    if let Some(other) = figures.iter().find(|one| one.version != POOLED_VERSION) {
        return Err(ShipError::Version(other.version));
    }
    let of = |protocol| figures.iter().filter(move |one| one.protocol == protocol);
    let mut by_subject = of(Protocol::Subject);
    let (Some(subject), None) = (by_subject.next(), by_subject.next()) else {
        return Err(ShipError::Figures(
            "give one --figures by subject: the calibration comes from subjects that a model had not seen".to_owned(),
        ));
    };
    if of(Protocol::Image).count() > 1 {
        return Err(ShipError::Figures("give at most one --figures by image".to_owned()));
    }
    // By subject first, whatever the order of the arguments: those are the figures that matter.
    let ordered: Vec<&Pooled> = of(Protocol::Subject).chain(of(Protocol::Image)).collect();
    for one in &ordered {
        check_siblings(&manifest, one)?;
    }
    let recipe = manifest.training.recipe;
    let shipped = rewritten(bytes, |manifest| {
        manifest.version = MANIFEST_VERSION;
        manifest.training.recipe = recipe;
        manifest.discriminant = discriminant;
        manifest.persons = persons(subject);
        manifest.curves = ordered.iter().map(|one| one.pooled.curves()).collect();
        if let Some(learning) = learning {
            manifest.learning = learning;
        }
        manifest.calibration = subject.calibration;
        manifest.metrics = ordered.iter().flat_map(|one| metrics(one)).collect();
        let card = with_paragraph(&manifest.card, FIGURES, &told(manifest, &ordered));
        let card = with_paragraph(&card, CALIBRATION, &calibrated(subject));
        let card = with_paragraph(&card, BESIDE, &beside(manifest.discriminant.as_ref()));
        // The figures and the calibration are the siblings', in whatever form those were measured.
        let card = card.replace(OF_FLOAT, "");
        manifest.card = match remark {
            Some(remark) => with_paragraph(&card, REMARK, &remarked(remark)),
            None => card,
        };
    })?;
    Ok(shipped)
}

/// `discriminant` with its scores of the manifest's golden inputs.
fn scored(mut discriminant: Discriminant, manifest: &Manifest) -> Result<Discriminant, ShipError> {
    discriminant.data.clone_from(&manifest.training.data);
    discriminant.golden = Vec::with_capacity(manifest.golden.len());
    for golden in &manifest.golden {
        let seen = Morphometry::of(&golden_picture(golden)?)?;
        discriminant.golden.push(seen.map_or(0.0, |seen| discriminant.score(&seen)));
    }
    Ok(discriminant)
}

/// One paragraph, however the text was broken into lines: an empty line would begin another one.
fn remarked(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    if words.is_empty() { String::new() } else { format!("{REMARK}{}", words.join(" ")) }
}

/// What may differ, besides [`pool::MAY_DIFFER`], between a model and the one that it began as: how
/// long and how fast it went on. Network, input, losses, augmentation and sampling must be the
/// same.
pub const GOES_ON: [&str; 6] = ["steps.", "optimizer.", "schedule.", "average.", "run.", "choice."];

/// The measured model whose weights this one began as: `run.initial_weights` names the digest of
/// its file. Only where it was measured alone: the figures of several belong to none of them.
fn parent<'a>(manifest: &Manifest, figures: &'a Pooled) -> Option<&'a Fold> {
    let began = manifest.training.recipe.get("run.initial_weights")?;
    let [fold] = figures.folds.as_slice() else { return None };
    Some(fold).filter(|fold| {
        let named = fold.model.digest.get(..NAMED_DIGITS);
        named.is_some_and(|digits| began.contains(&format!("SHA-256 {digits}")))
    })
}

fn check_siblings(manifest: &Manifest, figures: &Pooled) -> Result<(), ShipError> {
    let no_sibling = |field: String, bundle: String, theirs: String| ShipError::NoSibling {
        protocol: figures.protocol,
        field,
        bundle,
        figures: theirs,
    };
    let recipe = &manifest.training.recipe;
    let goes_on = parent(manifest, figures).is_some();
    let compared = |settings: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        let compared = settings.iter().filter(|(setting, _)| {
            !(goes_on && GOES_ON.iter().any(|begin| setting.starts_with(begin)))
        });
        compared.map(|(setting, value)| (setting.clone(), value.clone())).collect()
    };
    let difference = pool::difference(&compared(recipe), &compared(&figures.recipe));
    if let Some((setting, own, theirs)) = difference {
        return Err(no_sibling(setting, own, theirs));
    }
    let cells = recipe.get(CELLS).map_or("nothing", String::as_str);
    if cells != figures.cells_digest {
        return Err(no_sibling(CELLS.to_owned(), cells.to_owned(), figures.cells_digest.clone()));
    }
    Ok(())
}

/// The figures as a manifest holds them: pooled, model by model, and what the cells' area alone
/// reaches. Those before temperature scaling say nothing of a bundle that has a temperature.
fn metrics(of: &Pooled) -> Vec<Metric> {
    let siblings = u32::try_from(of.folds.len()).ok();
    let mut metrics: Vec<Metric> = of.pooled.metrics();
    metrics.retain(|metric| !metric.name.ends_with("_before"));
    let metric = |name: String, estimate: &Estimate, counts: &Counts| {
        Some(Metric {
            name,
            value: estimate.value?,
            interval: estimate.interval,
            split: of.protocol.to_string(),
            cells: counts.cells,
            subjects: counts.subjects,
            siblings: None,
        })
    };
    if let Some(area) = &of.baseline {
        let figures = [("balanced_accuracy", &area.balanced_accuracy), ("auroc", &area.auroc)];
        metrics.extend(figures.into_iter().filter_map(|(name, estimate)| {
            metric(format!("cell_area_{name}"), estimate, &of.pooled.counts)
        }));
    }
    for metric in &mut metrics {
        metric.siblings = siblings;
    }
    if of.folds.len() > 1 {
        for (index, fold) in of.folds.iter().enumerate() {
            let figures = [
                ("balanced_accuracy", &fold.figures.balanced_accuracy),
                ("auroc", &fold.figures.auroc),
            ];
            metrics.extend(figures.into_iter().filter_map(|(name, estimate)| {
                let name = format!("{name}_fold_{}", index + 1);
                Some(Metric { siblings: Some(1), ..metric(name, estimate, &fold.counts)? })
            }));
        }
    }
    metrics
}

/// The score of each person that a sibling tested.
fn persons(subject: &Pooled) -> Vec<Person> {
    let scored = subject.pooled.subjects.iter().filter_map(|row| {
        let label = row.label.parse().ok()?;
        Some(Person { label, score: row.score?, cells: row.cells })
    });
    scored.collect()
}

/// The card's paragraph on the figures.
fn told(manifest: &Manifest, figures: &[&Pooled]) -> String {
    let cells = figures.first().map_or(0, |one| one.cells);
    let trained = manifest.training.cells;
    if let Some(parent) = figures.iter().find_map(|one| parent(manifest, one)) {
        let mut text = format!(
            "{FIGURES}on the model that this one began as, {}. This very model went on from its weights on {trained} of all \
             {cells} cells, those that it had been tested on among them, and was measured on none: what that changed is not \
             known.",
            parent.model.id
        );
        for one in figures {
            text.push('\n');
            text += &protocol(one);
        }
        return text;
    }
    let mut text = format!(
        "{FIGURES}by cross-validation. This very model was trained on {trained} of all {cells} cells and measured on none of \
         them. The figures are those of siblings, models trained by the same recipe, each measured on cells that it had \
         not seen: they estimate what such a training gives. The protocols answer different questions and are never mixed."
    );
    for one in figures {
        text.push('\n');
        text += &protocol(one);
    }
    text
}

/// The figures in which every person counts once; nothing where there are none.
fn by_person(figures: &Measures<Estimate>) -> String {
    if figures.person_auroc.value.is_none() {
        return String::new();
    }
    format!(
        "AUROC with every person counted once {}, between cells of like area {}; specificity per healthy person: median {}, \
         lowest {}. AUROC of specimens, each person's cells taken together, {}. Over cells: ",
        with_interval(&figures.person_auroc),
        with_interval(&figures.person_auroc_in_area_bands),
        number(figures.person_specificity_median.value),
        number(figures.person_specificity_minimum.value),
        with_interval(&figures.specimen_auroc),
    )
}

/// One protocol's figures in words.
fn protocol(of: &Pooled) -> String {
    let counts = &of.pooled.counts;
    let asks = match of.protocol {
        Protocol::Subject => "By subject, as for a new patient",
        Protocol::Image | Protocol::Everything => {
            "By image, as for other cells of patients who were trained on (it says little about a new one)"
        }
    };
    let figures = &of.pooled.figures;
    let mut text = format!(
        "{asks}: {}. {} all of {}, {} hem of {}. {}AUROC {}, between cells of like area {}, balanced accuracy {}, sensitivity {}, \
         specificity {} at threshold {}; 95 % intervals from a bootstrap over {}.",
        match of.folds.len() as u64 {
            1 => "one model on one split".to_owned(),
            many => format!("cross-validated, {}", counted(many, "model")),
        },
        counts.all,
        counted(counts.all_subjects, "subject"),
        counts.hem,
        counted(counts.hem_subjects, "subject"),
        by_person(figures),
        with_interval(&figures.auroc),
        with_interval(&figures.auroc_in_area_bands),
        with_interval(&figures.balanced_accuracy),
        with_interval(&figures.sensitivity),
        with_interval(&figures.specificity),
        of.pooled.calibration.threshold,
        of.pooled.resampled,
    );
    if of.folds.len() > 1 {
        let each = |name: &str, value: &dyn Fn(&pool::Fold) -> Option<f64>| {
            let values: Vec<String> = of.folds.iter().map(|fold| number(value(fold))).collect();
            format!(" {name} model by model: {}.", values.join(", "))
        };
        text += &each("AUROC", &|fold| fold.figures.auroc.value);
        text += &each("Balanced accuracy", &|fold| fold.figures.balanced_accuracy.value);
    }
    if let Some(area) = &of.baseline {
        text += &format!(
            " On the same cells the cell's area alone reaches AUROC {} and balanced accuracy {}.",
            with_interval(&area.auroc),
            with_interval(&area.balanced_accuracy)
        );
    }
    let each_doubt: Vec<String> = of
        .folds
        .iter()
        .map(|fold| number(fold.doubted.as_ref().and_then(|doubted| doubted.share)))
        .collect();
    if let Some((all, (low, high))) =
        of.doubted().and_then(|all| Some((all.clone(), all.interval?)))
    {
        text += &format!(
            " For being unlike their own training cells {} of {} of these cells are left to a person, {} ({low:.3}–{high:.3}, \
             as if cells of a subject were independent; model by model: {}); the figures count them all the same.",
            all.doubted,
            all.pictures,
            number(all.share),
            each_doubt.join(", ")
        );
    }
    for caveat in &of.pooled.caveats {
        text.push(' ');
        text += caveat;
    }
    if of.protocol == Protocol::Subject {
        text += &few(counts.hem_subjects);
    }
    text
}

/// What few healthy subjects can and cannot show.
fn few(subjects: u64) -> String {
    if subjects >= FEW_SUBJECTS || subjects == 0 {
        return String::new();
    }
    // Where none of n fails, a rate of failure of up to 1 − 0.05^(1/n) is not excluded at 95 %
    // (Clopper & Pearson 1934).
    let unseen = 1.0 - 0.05_f64.powf(1.0 / subjects as f64);
    format!(
        " The specificity rests on {}: that can show a recipe that fails on one of them, and cannot show how often it \
         fails on the next. Even where it fails on none, {:.0} % of healthy subjects might still be served badly (95 % \
         bound).",
        counted(subjects, "healthy subject"),
        unseen * 100.0
    )
}

/// The card's paragraph on the calibration.
fn calibrated(subject: &Pooled) -> String {
    let calibration = &subject.calibration;
    let (low, high) = calibration.review;
    let percent = REVIEW_ACCURACY * 100.0;
    let band = if calibration.review == WIDEST_BAND {
        "the widest, because no band has"
    } else {
        "the narrowest with"
    };
    // The figures come from a file: what does not add up there is no reason to fall over here.
    let outside = subject.pooled.counts.cells.saturating_sub(subject.review.cells);
    format!(
        "{CALIBRATION}temperature {:.3}, fitted on the logits of all {} cells that siblings tested by subject, because \
         this model's own cells would make it too sure. Threshold {} on P(all). Review band {low:.2} to {high:.2}: {band} \
         {percent} % of the siblings' tested cells outside it decided rightly, each class counted equally; of the {outside} outside \
         this one a share of {} is decided wrongly. This card's figures were calibrated by {} and not by this.",
        calibration.temperature,
        subject.pooled.counts.cells,
        calibration.threshold,
        number(subject.review.error_outside),
        if subject.recipe.contains_key(DISCRIMINANT) {
            "what the other siblings tested"
        } else {
            "each sibling's own validation cells"
        },
    )
}

/// The card's paragraph on the discriminant; empty without one.
fn beside(discriminant: Option<&Discriminant>) -> String {
    discriminant.map_or_else(String::new, |own| {
        format!(
            "{BESIDE}a weighed sum of {} figures of each cell (size, outline, colour, tone, texture, nucleus) is added to \
             the network's logit of all. Its weights were fitted on {} cells of {} persons; each sibling's on that \
             sibling's training cells alone. A heat map shows the network's part.",
            own.figures.len(),
            own.cells,
            own.persons,
        )
    })
}
