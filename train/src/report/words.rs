//! The figures' names and meanings for people, and how their values are written.

use crate::evaluate::{Estimate, SubjectRow};

/// Title and meaning, one sentence, of the figure `name` of [`crate::evaluate::Measures`]. An
/// unknown name is its own title.
#[must_use]
pub fn title_and_meaning(name: &str) -> (&str, &'static str) {
    match name {
        "accuracy" => ("Accuracy", "Share of cells that are decided rightly."),
        "balanced_accuracy" => (
            "Balanced accuracy",
            "Mean of sensitivity and specificity: guessing gives 0.5 whatever the classes' sizes.",
        ),
        "weighted_f1" => (
            "Weighted F1",
            "Each class's F1, weighted by its number of cells: the C-NMC challenge's metric.",
        ),
        "auroc" => ("AUROC", "How often a random blast is ranked above a random normal cell."),
        "auroc_in_area_bands" => (
            "AUROC within area bands",
            "The same between cells of like area alone: what is left where size is no cue.",
        ),
        "person_auroc" => (
            "AUROC, person-balanced",
            "Mean over all pairs of a healthy person and one with blasts: every person counts once.",
        ),
        "person_auroc_in_area_bands" => (
            "Person-balanced, in area bands",
            "The same between cells of like area alone: what is left where size is no cue.",
        ),
        "person_specificity_median" => (
            "Specificity per person, median",
            "Half of the healthy persons have more of their cells called normal, half fewer.",
        ),
        "person_specificity_minimum" => {
            ("Specificity per person, minimum", "The healthy person whose cells fare worst.")
        }
        "specimen_auroc" => (
            "AUROC of specimens",
            "How often a person with blasts has a higher score than a healthy one: of persons, not cells.",
        ),
        "average_precision" => (
            "PR-AUC (average precision)",
            "Precision averaged over recall; guessing gives the share of blasts.",
        ),
        "sensitivity" => ("Sensitivity", "Share of blasts that are called blasts."),
        "specificity" => ("Specificity", "Share of normal cells that are called normal."),
        "sensitivity_at_specificity_80" => ("Sensitivity at specificity 0.80", AT_SPECIFICITY),
        "sensitivity_at_specificity_90" => ("Sensitivity at specificity 0.90", AT_SPECIFICITY),
        "sensitivity_at_specificity_95" => ("Sensitivity at specificity 0.95", AT_SPECIFICITY),
        "specificity_at_sensitivity_80" => ("Specificity at sensitivity 0.80", AT_SENSITIVITY),
        "specificity_at_sensitivity_90" => ("Specificity at sensitivity 0.90", AT_SENSITIVITY),
        "specificity_at_sensitivity_95" => ("Specificity at sensitivity 0.95", AT_SENSITIVITY),
        "calibration_error_before" => (
            "Calibration error, raw",
            "Mean gap between confidence and accuracy over 15 bins, before temperature scaling.",
        ),
        "calibration_error" => (
            "Calibration error",
            "The same with the bundle's temperature; 0 means that P(all) can be taken literally.",
        ),
        "brier_before" => {
            ("Brier score, raw", "Mean squared error of P(all), before temperature scaling.")
        }
        "brier" => ("Brier score", "The same with the bundle's temperature; 0 is best."),
        other => (other, ""),
    }
}

/// What is said of a bundle without a reference.
pub const NO_REFERENCE: &str = "The bundle knows nothing of its training cells (it holds no reference), so nothing is left to a \
                                person for being unlike them; `leukd model reference` writes one into it.";

const AT_SPECIFICITY: &str =
    "What the ranking allows when the threshold is set, on these very cells, for that specificity.";
const AT_SENSITIVITY: &str =
    "What the ranking allows when the threshold is set, on these very cells, for that sensitivity.";

/// Three decimals; a dash for none.
#[must_use]
pub fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"))
}

/// `0.912 (0.870–0.950)`.
#[must_use]
pub fn with_interval(estimate: &Estimate) -> String {
    let value = number(estimate.value);
    match interval(estimate.interval) {
        Some(interval) => format!("{value} ({interval})"),
        None => value,
    }
}

/// `0.870–0.950`.
pub(super) fn interval(interval: Option<(f64, f64)>) -> Option<String> {
    interval.map(|(lower, upper)| format!("{lower:.3}–{upper:.3}"))
}

/// `1 cell`, `2 cells`.
#[must_use]
pub fn counted(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// A subject's name, or a dash where the data name nobody.
pub(super) fn subject(name: &str) -> &str {
    if name.is_empty() { "–" } else { name }
}

/// A person's score with its interval, in logits.
pub(super) fn score(row: &SubjectRow) -> String {
    row.score.zip(row.score_interval).map_or_else(
        || "–".to_owned(),
        |(score, (lower, upper))| format!("{score:.2} ({lower:.2} to {upper:.2})"),
    )
}
