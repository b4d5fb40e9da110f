//! The HTML page: facts brought to words, then filled into the template.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use leukd_journal::result::RESEARCH_USE_ONLY;
use minijinja::Environment;
use serde::Serialize;

use super::error::ReportError;
use super::figures::{Figure, STYLE, headline};
use super::served::{ServedWords, served};
use super::{Facts, Picture, Variant, words};
use crate::dataset::Protocol;
use crate::evaluate::{Baseline, Evaluation};

/// Its name ends in `.html`, by which minijinja escapes every value in it.
const NAME: &str = "report.html";

const TEMPLATE: &str = include_str!("report.html");

/// The figures of the headline, in its order.
const KEY: [&str; 7] = [
    "person_auroc",
    "person_auroc_in_area_bands",
    "specimen_auroc",
    "balanced_accuracy",
    "auroc",
    "sensitivity",
    "specificity",
];

/// What the template reads: words alone.
#[derive(Serialize)]
struct Page<'a> {
    notice: &'a str,
    style: &'a str,
    id: &'a str,
    made_at: &'a str,
    bundle: Vec<(&'static str, &'a str)>,
    headline: Option<Headline>,
    columns: Vec<String>,
    figures_table: Vec<FigureRow>,
    baseline: Option<BaselineWords>,
    served: Option<ServedWords>,
    subjects: Vec<[String; 8]>,
    drawings: Vec<Drawing<'a>>,
    learning: Vec<Drawing<'a>>,
    wrong: Vec<PictureWords>,
    right: Vec<PictureWords>,
    split: SplitWords<'a>,
    recipe: &'a [(String, String)],
    variants: Vec<[String; 7]>,
    machine: Vec<(&'static str, String)>,
    card: Vec<&'a str>,
}

#[derive(Serialize)]
struct Headline {
    side: &'static str,
    protocol: &'static str,
    by_image: bool,
    counts: String,
    resampled: String,
    caveats: Vec<String>,
    key: Vec<(String, String, String)>,
}

#[derive(Serialize)]
struct FigureRow {
    title: String,
    meaning: &'static str,
    values: Vec<String>,
}

#[derive(Serialize)]
struct BaselineWords {
    cut: String,
    rows: Vec<(&'static str, String, String)>,
}

#[derive(Serialize)]
struct Drawing<'a> {
    name: &'static str,
    title: &'static str,
    meaning: &'a str,
    svg: String,
}

#[derive(Serialize)]
struct PictureWords {
    name: String,
    subject: String,
    label: &'static str,
    probability: String,
    png: String,
}

#[derive(Serialize)]
struct SplitWords<'a> {
    words: &'a str,
    rows: Vec<[String; 4]>,
    twins: usize,
    broken: Option<Vec<(String, &'a str)>>,
}

pub(super) fn render(facts: &Facts, figures: &[Figure]) -> Result<String, ReportError> {
    let best = headline(&facts.evaluations);
    let learning = ["loss", "validation", "learning-rate"];
    let (run, measured): (Vec<_>, Vec<_>) =
        figures.iter().map(drawing).partition(|one| learning.contains(&one.name));
    let (right, wrong) = facts.pictures.iter().partition::<Vec<_>, _>(|one| one.right);
    let bundle = &facts.bundle;
    let page = Page {
        notice: RESEARCH_USE_ONLY,
        style: STYLE,
        id: &bundle.id,
        made_at: &facts.made_at,
        bundle: vec![
            ("Model", &bundle.id),
            ("SHA-256 of the bundle", &bundle.digest),
            ("Weights stored as", &bundle.precision),
            ("Written by", &bundle.trainer),
            ("Weights made at", &bundle.trained_at),
            ("Data", &bundle.data),
        ],
        headline: best.map(headline_words),
        columns: facts.evaluations.iter().map(column).collect(),
        figures_table: figure_rows(&facts.evaluations),
        baseline: best.and_then(|one| Some(baseline_words(one.baseline.as_ref()?, one))),
        served: best.and_then(|one| served(one, &facts.evaluations)),
        subjects: best.map(subject_rows).unwrap_or_default(),
        drawings: measured,
        learning: run,
        wrong: wrong.into_iter().map(picture).collect(),
        right: right.into_iter().map(picture).collect(),
        split: split_words(facts),
        recipe: &facts.recipe,
        variants: facts.variants.iter().map(variant).collect(),
        machine: machine(facts),
        card: bundle.card.split("\n\n").map(str::trim).filter(|part| !part.is_empty()).collect(),
    };
    let mut environment = Environment::new();
    // A name that the template reads and that is not given is a defect, not an empty text.
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment.add_template(NAME, TEMPLATE)?;
    Ok(environment.get_template(NAME)?.render(page)?)
}

fn drawing(figure: &Figure) -> Drawing<'_> {
    Drawing {
        name: figure.name,
        title: figure.title,
        meaning: &figure.meaning,
        svg: figure.inline(),
    }
}

fn protocol(of: &Evaluation) -> &'static str {
    if of.protocol == Protocol::Image { "by image" } else { "by subject" }
}

fn counts(of: &Evaluation) -> String {
    format!(
        "{} of {} (all) and {} of {} (hem)",
        words::counted(of.counts.all, "blast"),
        words::counted(of.counts.all_subjects, "subject"),
        words::counted(of.counts.hem, "normal cell"),
        words::counted(of.counts.hem_subjects, "subject"),
    )
}

fn headline_words(of: &Evaluation) -> Headline {
    let named = of.figures.named();
    let key = KEY
        .iter()
        .filter_map(|key| named.iter().find(|(name, _)| name == key))
        // Without persons there are no figures of theirs.
        .filter(|(name, one)| one.value.is_some() || !name.starts_with("person_"))
        .map(|(name, estimate)| {
            let interval = words::interval(estimate.interval);
            (
                words::title_and_meaning(name).0.to_owned(),
                words::number(estimate.value),
                interval.unwrap_or_else(|| "no interval".to_owned()),
            )
        })
        .collect();
    Headline {
        side: of.side.as_str(),
        protocol: protocol(of),
        by_image: of.protocol == Protocol::Image,
        counts: counts(of),
        resampled: of.resampled.clone(),
        caveats: of.caveats.clone(),
        key,
    }
}

fn column(of: &Evaluation) -> String {
    format!(
        "{} side, {}, {}",
        of.side.as_str(),
        protocol(of),
        words::counted(of.counts.cells, "cell")
    )
}

fn figure_rows(evaluations: &[Evaluation]) -> Vec<FigureRow> {
    let Some(first) = evaluations.first() else { return Vec::new() };
    let named: Vec<_> = evaluations.iter().map(|one| one.figures.named()).collect();
    first
        .figures
        .named()
        .iter()
        .enumerate()
        .map(|(index, (name, _))| {
            let (title, meaning) = words::title_and_meaning(name);
            FigureRow {
                title: title.to_owned(),
                meaning,
                values: named.iter().map(|side| words::with_interval(side[index].1)).collect(),
            }
        })
        .collect()
}

fn baseline_words(baseline: &Baseline, of: &Evaluation) -> BaselineWords {
    let Baseline { cut, figures: area } = baseline;
    let figures = &of.figures;
    BaselineWords {
        cut: format!(
            "A cell {} {:.0} non-black pixels is called a blast; the cut has the best balanced \
             accuracy on {} of the training side.",
            if cut.larger_is_all { "of at least" } else { "below" },
            cut.area,
            words::counted(cut.fitted_on, "cell"),
        ),
        rows: [
            ("Accuracy", &area.accuracy, &figures.accuracy),
            ("Balanced accuracy", &area.balanced_accuracy, &figures.balanced_accuracy),
            ("AUROC", &area.auroc, &figures.auroc),
            ("Sensitivity", &area.sensitivity, &figures.sensitivity),
            ("Specificity", &area.specificity, &figures.specificity),
        ]
        .map(|(name, area, network)| {
            (name, words::with_interval(network), words::with_interval(area))
        })
        .to_vec(),
    }
}

fn subject_rows(of: &Evaluation) -> Vec<[String; 8]> {
    of.subjects
        .iter()
        .map(|row| {
            [
                words::subject(&row.subject).to_owned(),
                row.label.clone(),
                row.cells.to_string(),
                row.right.to_string(),
                row.review.to_string(),
                format!("{:.3}", row.mean_probability),
                words::score(row),
                format!("{:.3} ({:.3}–{:.3})", row.accuracy, row.interval.0, row.interval.1),
            ]
        })
        .collect()
}

fn picture(picture: &Picture) -> PictureWords {
    PictureWords {
        name: picture.name.clone(),
        subject: words::subject(&picture.subject).to_owned(),
        label: picture.label,
        probability: format!("{:.3}", picture.probability),
        png: BASE64.encode(&picture.png),
    }
}

fn split_words(facts: &Facts) -> SplitWords<'_> {
    let split = &facts.split;
    SplitWords {
        words: &split.words,
        rows: split
            .rows
            .iter()
            .map(|row| {
                let subject = words::subject(&row.subject).to_owned();
                let side = row.side.as_str().to_owned();
                [side, row.label.to_owned(), subject, row.cells.to_string()]
            })
            .collect(),
        twins: split.twins,
        broken: split.broken.as_ref().map(|files| {
            files
                .iter()
                .map(|(path, reason)| (path.display().to_string(), reason.as_str()))
                .collect()
        }),
    }
}

fn variant(variant: &Variant) -> [String; 7] {
    let points = |change: Option<f64>| {
        change.map_or_else(|| "–".to_owned(), |change| format!("{:+.2}", change * 100.0))
    };
    [
        variant.name.clone(),
        format!("{:.1} MB", variant.bytes as f64 / 1e6),
        points(variant.accuracy_change),
        points(variant.sensitivity_change),
        variant.flips.map_or_else(|| "–".to_owned(), |flips| flips.to_string()),
        variant.milliseconds.map_or_else(|| "–".to_owned(), |time| format!("{time:.1}")),
        variant.verdict.clone(),
    ]
}

fn machine(facts: &Facts) -> Vec<(&'static str, String)> {
    let machine = &facts.machine;
    vec![
        ("Processor", machine.processor.clone()),
        ("Threads", machine.cores.to_string()),
        ("Memory", machine.memory.clone()),
        ("System", machine.system.clone()),
        ("Device", machine.device.clone()),
    ]
}
