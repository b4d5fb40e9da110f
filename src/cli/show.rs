//! Messages of the contract as text for people.

use super::output::{Colour, Output, clean};
use crate::grpc::proto;

/// A time of the contract as RFC 3339; `-` when absent.
#[must_use]
pub(super) fn time(at: Option<&prost_types::Timestamp>) -> String {
    at.and_then(|at| jiff::Timestamp::new(at.seconds, at.nanos).ok())
        .map_or_else(|| "-".to_owned(), |at| format!("{at:.0}"))
}

/// A duration of the contract with its unit; `-` when absent.
#[must_use]
pub(super) fn duration(length: Option<&prost_types::Duration>) -> String {
    let length = length.and_then(|length| std::time::Duration::try_from(*length).ok());
    length.map_or_else(|| "-".to_owned(), |length| format!("{length:.1?}"))
}

/// A decision's word and colour.
#[must_use]
pub(super) const fn decision(decision: proto::Decision) -> (&'static str, Option<Colour>) {
    match decision {
        proto::Decision::Unspecified => ("?", None),
        proto::Decision::All => ("all", Some(Colour::Red)),
        proto::Decision::Hem => ("hem", Some(Colour::Green)),
        proto::Decision::Review => ("review", Some(Colour::Yellow)),
        proto::Decision::Rejected => ("rejected", Some(Colour::Dim)),
    }
}

/// The head over [`result_cells`].
pub(super) const RESULT_HEADER: [&str; 7] =
    ["SEQUENCE", "CLASSIFIED", "DECISION", "P", "SPECIMEN/SLIDE/CELL", "SOURCE", "REASONS"];

/// One result as the cells of a table's row.
#[must_use]
pub(super) fn result_cells(result: &proto::Result) -> Vec<String> {
    let own = result.probabilities.iter().find(|class| class.label == result.label);
    let source = result.capture.as_ref().map(source).unwrap_or_default();
    let reasons: Vec<&str> = result.reasons.iter().map(|reason| reason.code.as_str()).collect();
    vec![
        result.sequence.to_string(),
        time(result.classified_at.as_ref()),
        decision(result.decision()).0.to_owned(),
        own.map_or_else(|| "-".to_owned(), |class| format!("{:.4}", class.probability)),
        [&result.specimen, &result.slide, &result.cell].map(String::as_str).join("/"),
        source,
        reasons.join(","),
    ]
}

/// The origin of a capture: its path below the folder, or its request.
fn source(capture: &proto::Capture) -> String {
    match capture.source.as_ref().and_then(|source| source.kind.as_ref()) {
        Some(proto::source::Kind::Folder(folder)) => folder.path.clone(),
        Some(proto::source::Kind::Rpc(rpc)) if rpc.request_id.is_empty() => {
            format!("rpc {}", rpc.peer)
        }
        Some(proto::source::Kind::Rpc(rpc)) => format!("rpc {} {}", rpc.peer, rpc.request_id),
        None => String::new(),
    }
}

/// The head over [`field_cells`].
pub(super) const FIELD_HEADER: [&str; 10] = [
    "SEQUENCE",
    "STORED",
    "CELLS",
    "ALL",
    "HEM",
    "REVIEW",
    "REJECTED",
    "µM/PIXEL",
    "SET ASIDE",
    "SOURCE",
];

/// The end of a field of view as the cells of a table's row.
#[must_use]
pub(super) fn field_cells(field: &proto::FieldEvent) -> Vec<String> {
    let counts = [field.all, field.hem, field.review, field.rejected];
    let aside = field.set_aside.unwrap_or_default();
    let aside = [
        (aside.edge, "edge"),
        (aside.smudges, "smudges"),
        (aside.deposits, "deposits"),
        (aside.platelet_clumps, "clumps"),
        (aside.burst, "burst"),
    ];
    let aside: Vec<String> = aside
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    let mut source = field.capture.as_ref().map(source).unwrap_or_default();
    if field.supersedes > 0 {
        source.push_str(&format!(" (replaces {})", field.supersedes));
    }
    let mut cells = vec![field.sequence.to_string(), time(field.stored_at.as_ref())];
    cells.push(counts.iter().sum::<u64>().to_string());
    cells.extend(counts.map(|count| count.to_string()));
    cells.push(format!("{:.3} {}", field.micrometres_per_pixel, field.scale_source));
    cells.push(if aside.is_empty() { "-".to_owned() } else { aside.join(", ") });
    cells.push(source);
    cells
}

/// The end of a field of view as a line of a stream.
#[must_use]
pub(super) fn field_line(field: &proto::FieldEvent) -> String {
    let proto::FieldEvent { sequence, all, hem, review, rejected, micrometres_per_pixel, .. } =
        field;
    let scale = clean(&field.scale_source);
    let source = clean(&field.capture.as_ref().map(source).unwrap_or_default());
    let at = time(field.stored_at.as_ref());
    format!(
        "{sequence:>8}  {at:<20}  field     {source}: {all} all, {hem} hem, {review} review, \
         {rejected} rejected; {micrometres_per_pixel:.3} µm a pixel ({scale})"
    )
}

/// One result as a line of a stream, whose later lines are not known yet: fixed widths.
#[must_use]
pub(super) fn result_line(result: &proto::Result, out: &Output) -> String {
    let cells: Vec<String> = result_cells(result).iter().map(|cell| clean(cell)).collect();
    let [sequence, at, decided, p, ids, source, reasons] = cells.as_slice() else {
        return String::new();
    };
    let (_, colour) = decision(result.decision());
    let decided = format!("{decided:<8}");
    let decided = colour.map_or_else(|| decided.clone(), |colour| out.paint(colour, &decided));
    format!("{sequence:>8}  {at:<20}  {decided}  {p:<6}  {ids:<16}  {source}  {reasons}")
        .trim_end()
        .to_owned()
}

/// Standing of a result by its reviews; empty without one.
#[must_use]
pub(super) fn standing(standing: Option<&proto::Standing>) -> String {
    use proto::standing::State;
    standing.map_or_else(String::new, |standing| {
        let word = match standing.state() {
            State::Confirmed => "confirmed",
            State::Corrected => "corrected",
            State::Suggested | State::Unspecified => return String::new(),
        };
        format!("{word}: {} by {}", standing.label, standing.reviewer)
    })
}

/// The head over [`review_cells`].
pub(super) const REVIEW_HEADER: [&str; 9] = [
    "SEQUENCE",
    "REVIEWED",
    "LABEL",
    "RESULT",
    "DECISION",
    "P",
    "SPECIMEN/SLIDE/CELL",
    "REVIEWER",
    "NOTE",
];

/// One review as the cells of a table's row.
#[must_use]
pub(super) fn review_cells(review: &proto::Review) -> Vec<String> {
    let p = if review.suggested_label.is_empty() {
        "-".to_owned()
    } else {
        format!("{:.4}", review.suggested_probability)
    };
    vec![
        review.sequence.to_string(),
        time(review.reviewed_at.as_ref()),
        review.label.clone(),
        review.result_sequence.to_string(),
        decision(review.suggested_decision()).0.to_owned(),
        p,
        [&review.specimen, &review.slide, &review.cell].map(String::as_str).join("/"),
        review.reviewer.clone(),
        review.note.clone(),
    ]
}

/// Only a correction stands out.
#[must_use]
pub(super) const fn review_colour(review: &proto::Review) -> Option<Colour> {
    if review.confirms { None } else { Some(Colour::Yellow) }
}

/// One review as a line of a stream, beside those of [`result_line`].
#[must_use]
pub(super) fn review_line(review: &proto::Review, out: &Output) -> String {
    let [label, reviewer, note] = [&review.label, &review.reviewer, &review.note].map(|t| clean(t));
    let verdict = if review.confirms { "confirms" } else { "corrects" };
    let said = format!(
        "{verdict} {} of result {}: {label} by {reviewer}",
        decision(review.suggested_decision()).0,
        review.result_sequence
    );
    let said =
        review_colour(review).map_or_else(|| said.clone(), |colour| out.paint(colour, &said));
    let at = time(review.reviewed_at.as_ref());
    format!("{:>8}  {at:<20}  {said}  {note}", review.sequence).trim_end().to_owned()
}

/// A specimen's event as a line of a stream.
#[must_use]
pub(super) fn specimen_line(told: &proto::SpecimenEvent) -> String {
    use proto::specimen_event::Cause;
    let cause = match told.cause() {
        Cause::Marker => "is marked as done",
        Cause::Quiet | Cause::Unspecified => "is quiet",
    };
    format!(
        "{:>8}  {:<20}  specimen {} {cause}: {} all, {} hem, {} review, {} rejected (round {})",
        told.sequence,
        time(told.stored_at.as_ref()),
        clean(&told.specimen),
        told.all,
        told.hem,
        told.review,
        told.rejected,
        told.round
    )
}

/// A model's card as lines.
#[must_use]
pub(super) fn model_lines(model: &proto::Model) -> Vec<String> {
    let mut lines = vec![
        format!("model      {}", clean(&model.id)),
        format!("digest     {}", model.digest),
        format!("origin     {}", clean(&model.origin)),
        format!("labels     {}", clean(&model.labels.join(", "))),
        format!("input      {0}×{0}, {1}", model.input_size, clean(&model.precision)),
    ];
    match (model.engine.as_str(), model.fusion.as_str()) {
        // A daemon from before these fields.
        ("", "") => {}
        ("", fusion) => lines.push(format!("engine     {}", clean(fusion))),
        (engine, fusion) => lines.push(format!("engine     {}: {}", clean(engine), clean(fusion))),
    }
    match model.trust.as_str() {
        "signed" => lines.push(format!(
            "signed     by key {}: {}",
            clean(&model.signed_by),
            clean(&model.trusted_comment)
        )),
        "allowed" => lines.push(format!(
            "signed     by no trusted key; allowed by {:?} of model.allow_unsigned",
            clean(&model.allowed_by)
        )),
        // The origin says so for the embedded one; a file that is only shown has no trust.
        _ => {}
    }
    if !model.standardise.is_empty() {
        lines.push(format!("colours    {}", clean(&model.standardise)));
    }
    lines.extend([
        format!("trained    {} by {}", time(model.trained_at.as_ref()), clean(&model.trainer)),
        format!("split      {}", clean(&model.split)),
        format!("threshold  P(all) ≥ {}", model.threshold),
    ]);
    if model.review_lower < model.review_upper {
        let (lower, upper) = (bound(model.review_lower), bound(model.review_upper));
        lines.push(format!("review     {lower} ≤ P(all) < {upper}"));
    }
    if !model.review_reason.is_empty() {
        let (lower, upper) = (model.bundle_review_lower, model.bundle_review_upper);
        let own = if lower < upper {
            format!("the model's own: {} ≤ P(all) < {}; ", bound(lower), bound(upper))
        } else {
            String::new()
        };
        lines.push(format!("           {own}{}", clean(&model.review_reason)));
    }
    if model.serving_since.is_some() {
        lines.push(format!("serving    since {}", time(model.serving_since.as_ref())));
    }
    lines.extend(model.metrics.iter().map(|metric| {
        // As the contract says it: where no interval was computed its ends are the value.
        let interval = if (metric.lower, metric.upper) == (metric.value, metric.value) {
            "no interval".to_owned()
        } else {
            format!("[{:.4}, {:.4}]", metric.lower, metric.upper)
        };
        let siblings = match metric.siblings {
            0 => String::new(),
            1 => ", measured on 1 sibling model".to_owned(),
            many => format!(", cross-validated, {many} models"),
        };
        format!(
            "measured   {} {:.4} {interval}, split by {}, {} cells of {} subjects{siblings}",
            clean(&metric.name),
            metric.value,
            clean(&metric.split),
            metric.cells,
            metric.subjects
        )
    }));
    if let Some(cost) = &model.quantization {
        lines.push(format!(
            "quantized  {} of {}: accuracy {:+.2} points, sensitivity {:+.2} points, {} of {} cells decided otherwise",
            clean(&cost.variant),
            clean(&cost.from_digest),
            cost.accuracy_change * 100.0,
            cost.sensitivity_change * 100.0,
            cost.flips,
            cost.cells
        ));
    }
    lines.extend(model.card.lines().map(|line| format!("           {}", clean(line))));
    lines
}

/// An end of a band for people: a sum of steps may miss its last digits.
pub(super) const fn bound(end: f64) -> f32 {
    end as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::standardise::{Standardise, Targets};

    #[test]
    fn a_model_s_card_names_its_standardisation_where_it_has_one() {
        let how = Standardise::Channels(Targets::levels(0));
        let model = proto::Model { standardise: how.to_string(), ..proto::Model::default() };
        let line = "colours    channels to mean 112, deviation 36";
        assert!(model_lines(&model).iter().any(|own| own == line));
        let lines = model_lines(&proto::Model::default());
        assert!(!lines.iter().any(|line| line.starts_with("colours")));
    }

    #[test]
    fn times_and_durations_are_short() {
        let at = prost_types::Timestamp { seconds: 1_700_000_000, nanos: 123_000_000 };
        assert_eq!(time(Some(&at)), "2023-11-14T22:13:20Z");
        assert_eq!(time(None), "-");
        let length = prost_types::Duration { seconds: 0, nanos: 612_000_000 };
        assert_eq!(duration(Some(&length)), "612.0ms");
    }
}
