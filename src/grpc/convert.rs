//! Domain words ↔ the contract's messages.

use std::time::Duration;

use prost_types::{Duration as ProtoDuration, Timestamp as ProtoTimestamp};

use super::proto;
use crate::cell::segment::SetAside;
use crate::journal::filter::{Criteria, Filter};
use crate::model::engine::EngineKind;
use crate::model::serving::Model;
use crate::model::trust::Provenance;
use crate::pipeline::Explained;
use crate::result::{
    Capture, CaptureKind, Decision, Field, Figures, Label, RESEARCH_USE_ONLY, Record, Region,
    Source, Timestamp,
};
use crate::review::{Review, Standing, Verdict};
use crate::service::Served;
use crate::summary::{Cause, SpecimenSummary};

/// A time.
pub(super) fn time(at: Timestamp) -> ProtoTimestamp {
    ProtoTimestamp {
        seconds: at.0.div_euclid(1_000),
        // 0 to 999 milliseconds: fits.
        nanos: i32::try_from(at.0.rem_euclid(1_000) * 1_000_000).unwrap_or(0),
    }
}

/// A length of time.
pub(super) fn span(length: Duration) -> ProtoDuration {
    ProtoDuration {
        seconds: i64::try_from(length.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(length.subsec_nanos()).unwrap_or(0),
    }
}

fn micros(us: u64) -> Option<ProtoDuration> {
    Some(span(Duration::from_micros(us)))
}

/// The log level's message.
pub(super) fn log_level(level: crate::telemetry::LogLevel) -> proto::LogLevel {
    let until = level.until.map(time);
    proto::LogLevel { filter: level.filter, configured: level.configured, until }
}

/// A decision.
pub(super) const fn decision(decision: Decision) -> proto::Decision {
    match decision {
        Decision::All => proto::Decision::All,
        Decision::Hem => proto::Decision::Hem,
        Decision::Review => proto::Decision::Review,
        Decision::Rejected => proto::Decision::Rejected,
    }
}

/// A result as clients see it.
#[must_use]
pub fn result(record: &Record, epoch: &str) -> proto::Result {
    own_result(record.clone(), epoch)
}

/// The same for an owned record: a history of millions is sent without copying its strings.
pub(super) fn own_result(record: Record, epoch: &str) -> proto::Result {
    let (capture, finding) = (record.capture, record.finding);
    let probabilities = finding.probabilities();
    let label = finding.label().map_or("", Label::as_str).to_owned();
    proto::Result {
        sequence: record.sequence,
        epoch: epoch.to_owned(),
        result_id: finding.result_id,
        capture: Some(self::capture(capture)),
        ordinal: finding.ordinal,
        region: finding.region.map(region),
        outline: finding.outline.unwrap_or_default().into_iter().map(point).collect(),
        field: record.field.unwrap_or(0),
        specimen: finding.ids.specimen,
        slide: finding.ids.slide,
        cell: finding.ids.cell,
        label,
        probabilities: probabilities
            .into_iter()
            .map(|class| proto::ClassProbability {
                label: class.label.as_str().to_owned(),
                probability: class.probability,
            })
            .collect(),
        decision: decision(finding.decision).into(),
        reasons: finding
            .reasons
            .into_iter()
            .map(|reason| proto::Reason {
                code: reason.code.as_str().to_owned(),
                message: reason.message,
            })
            .collect(),
        quality_flags: finding.quality_flags,
        model: finding.model.map(|model| proto::ModelRef { id: model.id, digest: model.digest }),
        classified_at: Some(time(finding.classified_at)),
        timings: Some(proto::Timings {
            queue: micros(finding.timings.queue_us),
            read: micros(finding.timings.read_us),
            decode: micros(finding.timings.decode_us),
            preprocess: micros(finding.timings.preprocess_us),
            infer: micros(finding.timings.infer_us),
        }),
        supersedes: record.supersedes.unwrap_or(0),
        quality: finding.quality.map(quality),
        standing: None,
    }
}

fn capture(capture: Capture) -> proto::Capture {
    let source = match capture.source {
        Source::Folder(path) => proto::source::Kind::Folder(proto::FolderSource {
            folder: path.folder,
            path: path.path,
        }),
        Source::Rpc { peer, request_id, client } => {
            proto::source::Kind::Rpc(proto::RpcSource { peer, request_id, client })
        }
    };
    let kind = match capture.kind {
        CaptureKind::Cell => proto::capture::Kind::Cell,
        CaptureKind::Field => proto::capture::Kind::Field,
    };
    proto::Capture {
        sha256: capture.digest.map(|digest| digest.to_string()).unwrap_or_default(),
        size_bytes: capture.size_bytes,
        source: Some(proto::Source { kind: Some(source) }),
        captured_at: Some(time(capture.captured_at)),
        kind: kind.into(),
    }
}

const fn region(region: Region) -> proto::Region {
    let Region { x, y, width, height } = region;
    proto::Region { x, y, width, height }
}

const fn point([x, y]: [u32; 2]) -> proto::Point {
    proto::Point { x, y }
}

/// The end of a field of view as clients see it.
pub(super) fn field(field: &Field, epoch: &str) -> proto::FieldEvent {
    let figures = field.figures;
    let red_cells = figures.and_then(|own| own.red_cells);
    proto::FieldEvent {
        sequence: field.sequence,
        epoch: epoch.to_owned(),
        capture: Some(capture(field.capture.clone())),
        all: field.cells.all,
        hem: field.cells.hem,
        review: field.cells.review,
        rejected: field.cells.rejected,
        took: micros(field.took_us),
        supersedes: field.supersedes.unwrap_or(0),
        stored_at: Some(time(field.stored_at)),
        micrometres_per_pixel: figures.map_or(0.0, |own| own.micrometres_per_pixel),
        scale_source: figures.map_or("", |own| own.scale_source.as_str()).to_owned(),
        red_cell_diameter: red_cells.map(|own| own.diameter),
        set_aside: figures.map(|own| set_aside(own.set_aside)),
    }
}

const fn set_aside(counts: SetAside) -> proto::SetAside {
    let SetAside { edge, smudges, deposits, platelet_clumps, burst } = counts;
    proto::SetAside { edge, smudges, deposits, platelet_clumps, burst }
}

fn quality(figures: Figures) -> proto::Quality {
    let (measures, far) = (figures.measures, figures.distance);
    proto::Quality {
        area: measures.map(|seen| seen.area),
        frame: measures.map(|seen| seen.frame),
        solidity: measures.map(|seen| seen.solidity),
        sharpness: measures.map(|seen| seen.sharpness),
        brightness: measures.map(|seen| seen.brightness),
        contrast: measures.map(|seen| seen.contrast),
        saturation: measures.map(|seen| seen.saturation),
        hue: measures.map(|seen| seen.hue),
        feature_distance: far.map(|far| far.distance),
        feature_distance_limit: far.map(|far| far.limit),
    }
}

/// The same with how it stands now.
pub(super) fn standing_result(
    record: std::sync::Arc<Record>,
    standing: Standing,
    epoch: &str,
) -> proto::Result {
    let record = std::sync::Arc::unwrap_or_clone(record);
    proto::Result { standing: Some(self::standing(standing)), ..own_result(record, epoch) }
}

fn standing(standing: Standing) -> proto::Standing {
    use proto::standing::State;
    let state = match standing.verdict {
        Verdict::Suggested => State::Suggested,
        Verdict::Confirmed => State::Confirmed,
        Verdict::Corrected => State::Corrected,
    };
    let mut told = proto::Standing {
        state: state.into(),
        reviews: standing.reviews,
        ..proto::Standing::default()
    };
    if let Some(latest) = standing.latest {
        told.label = latest.label.as_str().to_owned();
        told.reviewer = latest.reviewer;
        told.reviewed_at = Some(time(latest.at));
    }
    told
}

/// A specimen's event as clients see it.
pub(super) fn specimen(summary: &SpecimenSummary, epoch: &str) -> proto::SpecimenEvent {
    use proto::specimen_event::Cause as Told;
    let (cause, marker) = match &summary.cause {
        Cause::Quiet => (Told::Quiet, None),
        Cause::Marker(marker) => (Told::Marker, Some(&marker.path)),
    };
    proto::SpecimenEvent {
        sequence: summary.sequence,
        epoch: epoch.to_owned(),
        specimen: summary.specimen.clone(),
        round: summary.round,
        cause: cause.into(),
        marker: marker.map(|path| proto::FolderSource {
            folder: path.folder.clone(),
            path: path.path.clone(),
        }),
        all: summary.cells.all,
        hem: summary.cells.hem,
        review: summary.cells.review,
        rejected: summary.cells.rejected,
        first_classified_at: Some(time(summary.first_classified_at)),
        last_classified_at: Some(time(summary.last_classified_at)),
        stored_at: Some(time(summary.stored_at)),
    }
}

/// A review as clients see it.
pub(super) fn review(review: &Review, epoch: &str) -> proto::Review {
    let of = &review.of;
    proto::Review {
        sequence: review.sequence,
        epoch: epoch.to_owned(),
        review_id: review.review_id.clone(),
        result_sequence: of.sequence.unwrap_or(0),
        result_id: of.result_id.clone(),
        label: review.label.as_str().to_owned(),
        confirms: review.confirms,
        blind: review.blind,
        reviewer: review.reviewer.clone(),
        note: review.note.clone(),
        client: review.client.clone(),
        reviewed_at: Some(time(review.reviewed_at)),
        specimen: of.ids.specimen.clone(),
        slide: of.ids.slide.clone(),
        cell: of.ids.cell.clone(),
        path: of
            .path
            .clone()
            .map(|path| proto::FolderSource { folder: path.folder, path: path.path }),
        suggested_label: of.label().map_or("", Label::as_str).to_owned(),
        suggested_decision: decision(of.decision).into(),
        suggested_probability: of.label_probability().unwrap_or(0.0),
    }
}

/// A heat map.
#[must_use]
pub fn heat_map(explained: &Explained) -> proto::HeatMap {
    let map = &explained.map;
    // A map has some dozens of places.
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    proto::HeatMap {
        model: Some(proto::ModelRef {
            id: explained.model.id.clone(),
            digest: explained.model.digest.clone(),
        }),
        rows: count(map.rows),
        columns: count(map.columns),
        contributions: map.contributions.clone(),
        grad_cam: map.grad_cam.clone(),
        constant: map.constant,
        difference: map.difference,
        left: map.placement.left as f64,
        top: map.placement.top as f64,
        side: map.placement.side.into(),
        image_width: explained.width,
        image_height: explained.height,
    }
}

/// A model's card. `kind` is the engine that it was loaded on; `since` is when it was put into
/// service, none for a file that is only looked at.
#[must_use]
pub fn model(model: &Model, kind: EngineKind, since: Option<Timestamp>) -> proto::Model {
    let manifest = model.manifest();
    let (trust, signed_by, trusted_comment, allowed_by) = match model.provenance() {
        Provenance::Embedded => ("embedded", String::new(), "", ""),
        Provenance::Signed { key, comment } => ("signed", key.to_string(), comment.as_str(), ""),
        Provenance::Allowed { by } => ("allowed", String::new(), "", by.as_str()),
        Provenance::Unasked => ("", String::new(), "", ""),
    };
    let (review_lower, review_upper) = model.band().in_force();
    proto::Model {
        review_lower,
        review_upper,
        review_reason: model.band().why().unwrap_or_default(),
        trust: trust.to_owned(),
        signed_by,
        trusted_comment: trusted_comment.to_owned(),
        allowed_by: allowed_by.to_owned(),
        id: manifest.id.clone(),
        digest: model.digest().to_string(),
        origin: model.origin().to_owned(),
        serving_since: since.map(time),
        engine: kind.word().to_owned(),
        fusion: model.fusion().to_string(),
        ..card(manifest)
    }
}

/// The card of the model in service.
pub(super) fn served(served: &Served) -> proto::Model {
    model(&served.model, served.engine, served.since)
}

/// The part of a card that comes from the manifest alone.
#[must_use]
pub fn card(manifest: &crate::model::manifest::Manifest) -> proto::Model {
    proto::Model {
        id: manifest.id.clone(),
        labels: manifest.labels.clone(),
        input_size: manifest.preprocessing.size,
        standardise: manifest
            .preprocessing
            .standardise
            .map_or_else(String::new, |how| how.to_string()),
        precision: manifest.precision.as_str().to_owned(),
        trainer: manifest.training.trainer.clone(),
        trained_at: manifest
            .training
            .trained_at
            .parse::<jiff::Timestamp>()
            .ok()
            .map(|at| time(Timestamp(at.as_millisecond()))),
        metrics: manifest
            .metrics
            .iter()
            .map(|metric| {
                let (lower, upper) = metric.interval.unwrap_or((metric.value, metric.value));
                proto::Metric {
                    name: metric.name.clone(),
                    value: metric.value,
                    lower,
                    upper,
                    split: metric.split.clone(),
                    cells: metric.cells,
                    subjects: metric.subjects,
                    siblings: metric.siblings.unwrap_or(0),
                }
            })
            .collect(),
        split: manifest.training.split.clone(),
        threshold: manifest.calibration.threshold,
        review_lower: manifest.calibration.review.0,
        review_upper: manifest.calibration.review.1,
        bundle_review_lower: manifest.calibration.review.0,
        bundle_review_upper: manifest.calibration.review.1,
        card: manifest.card.clone(),
        notice: RESEARCH_USE_ONLY.to_owned(),
        quantization: manifest.quantization.as_ref().map(|quantization| proto::Quantization {
            from_digest: quantization.from_digest.clone(),
            variant: quantization.variant.clone(),
            accuracy_change: quantization.accuracy_change,
            sensitivity_change: quantization.sensitivity_change,
            flips: quantization.flips,
            cells: quantization.cells,
        }),
        ..proto::Model::default()
    }
}

/// A checked filter from what the client sent.
///
/// # Errors
/// INVALID_ARGUMENT that names the field.
pub(super) fn filter(given: Option<proto::Filter>) -> Result<Filter, tonic::Status> {
    let given = given.unwrap_or_default();
    let mut decisions = Vec::new();
    for number in &given.decisions {
        match proto::Decision::try_from(*number) {
            Ok(proto::Decision::Unspecified) => {}
            Ok(proto::Decision::All) => decisions.push(Decision::All),
            Ok(proto::Decision::Hem) => decisions.push(Decision::Hem),
            Ok(proto::Decision::Review) => decisions.push(Decision::Review),
            Ok(proto::Decision::Rejected) => decisions.push(Decision::Rejected),
            Err(_) => {
                let message = format!("{number} is no Decision of this version of the contract");
                return Err(super::status::field("filter.decisions", message));
            }
        }
    }
    Filter::new(Criteria {
        specimen: given.specimen,
        slide: given.slide,
        label: given.label,
        decisions,
        path_glob: given.path_glob,
        minimum_probability: given.minimum_probability,
    })
    .map_err(|error| super::status::filter_field(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_before_1970_has_positive_nanos_as_the_contract_asks() {
        let at = time(Timestamp(-1));
        assert_eq!((at.seconds, at.nanos), (-1, 999_000_000));
    }
}
